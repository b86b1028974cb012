//! What it costs to check a password against a hash. The hash says so itself, and it may come from elsewhere.

/// Most memory that argon2 may take, in KiB. Ours take 19 MiB.
const MEMORY_KIB_MAX: u32 = 64 * 1024;

/// Most passes of argon2.
const PASSES_MAX: u32 = 10;

/// Most lanes of argon2.
const LANES_MAX: u32 = 4;

/// bcrypt's highest cost: each step doubles the time, and this one takes about a second.
const BCRYPT_COST_MAX: u32 = 14;

/// Whether a hash of argon2 or bcrypt can be checked at a cost that strangers may cause.
pub fn is_affordable(hash: &str) -> bool {
    is_bcrypt(hash) || is_argon2(hash)
}

/// Whether this is a hash of bcrypt that can be checked in reasonable time: `$2b$12$` and 53 characters.
pub fn is_bcrypt(hash: &str) -> bool {
    let mut parts = hash.split('$').skip(1);
    let known = matches!(parts.next(), Some("2a" | "2b" | "2x" | "2y"));
    let cost = parts.next().and_then(|cost| cost.parse::<u32>().ok()).is_some_and(|cost| (4..=BCRYPT_COST_MAX).contains(&cost));
    known && cost && parts.next().is_some_and(|rest| rest.len() == 53) && parts.next().is_none()
}

/// `$argon2id$v=19$m=19456,t=2,p=1$` and more. What is looked at is everything that looks like a parameter, wherever it stands.
fn is_argon2(hash: &str) -> bool {
    let within = |parameter: &str| {
        let Some((name, value)) = parameter.split_once('=') else { return true };
        let most = match name {
            "m" => MEMORY_KIB_MAX,
            "t" => PASSES_MAX,
            "p" => LANES_MAX,
            _ => return true,
        };
        value.parse::<u32>().is_ok_and(|value| value <= most)
    };
    hash.starts_with("$argon2") && hash.split(['$', ',']).all(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_told_from_those_that_would_cost_too_much() {
        let rest = "4vcKGERLDrLcduNNaaKrEeyb2wOJR2nBwcxQF7TlpvO1GmIj1UzuK";
        assert!(is_bcrypt(&format!("$2b$12${rest}")) && is_affordable(&format!("$2b$14${rest}")));
        for wrong in [format!("$2b$15${rest}"), format!("$2b$xx${rest}"), format!("$1$12${rest}"), "$2b$12$short".into(), String::new()] {
            assert!(!is_bcrypt(&wrong) && !is_affordable(&wrong), "{wrong}");
        }
        for (costs, affordable) in [
            ("m=19456,t=2,p=1", true),
            ("m=65536,t=10,p=4", true),
            ("m=65537,t=2,p=1", false),
            ("m=1048576,t=1,p=1", false),
            ("m=19456,t=11,p=1", false),
            ("m=19456,t=2,p=5", false),
            ("m=8,m=1048576,t=2,p=1", false),
            ("m=99999999999,t=2,p=1", false),
        ] {
            assert_eq!(is_affordable(&format!("$argon2id$v=19${costs}$c2FsdHNhbHQ$aGFzaGhhc2g")), affordable, "{costs}");
        }
    }
}
