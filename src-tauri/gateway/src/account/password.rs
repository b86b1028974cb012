//! Passwords: which are good enough, and argon2id; bcrypt is verified where an older program made it.

use argon2::{Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version, password_hash::SaltString};

use crate::model::{Saying, is_affordable};

/// Shortest password, in bytes.
pub const PASSWORD_MIN: usize = 8;

/// Longest password, in bytes; nothing is cut off.
pub const PASSWORD_MAX: usize = 1024;

/// The passwords that are tried first (from lists of leaked ones), at least eight characters long.
const COMMON: [&str; 40] = [
    "12345678",
    "123456789",
    "1234567890",
    "password",
    "password1",
    "password123",
    "qwertyuiop",
    "qwerty123",
    "11111111",
    "00000000",
    "88888888",
    "66666666",
    "12341234",
    "123123123",
    "87654321",
    "987654321",
    "1q2w3e4r",
    "1qaz2wsx",
    "zaq12wsx",
    "abc12345",
    "a1234567",
    "a12345678",
    "aa123456",
    "abcd1234",
    "iloveyou",
    "woaini1314",
    "woaini520",
    "5201314520",
    "1314520520",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "superman",
    "trustno1",
    "letmein123",
    "admin123",
    "admin888",
    "administrator",
    "picgate123",
];

/// OWASP's second choice for argon2id (Password Storage Cheat Sheet): 19 MiB, two passes, one lane.
fn argon2() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Whether `password` is good enough.
///
/// # Errors
/// What is wrong with it, for a person.
pub fn check(password: &str, username: &str) -> Result<(), Saying> {
    if password.len() < PASSWORD_MIN {
        return Err(Saying::new("密码至少要有 8 个字符", "the password must have at least 8 characters"));
    }
    if password.len() > PASSWORD_MAX {
        return Err(Saying::new("密码最多 1024 字节", "the password must have at most 1024 bytes"));
    }
    let lower = password.to_lowercase();
    let first = lower.chars().next();
    if COMMON.contains(&lower.as_str()) || lower.chars().all(|c| Some(c) == first) || lower == username.to_lowercase() {
        return Err(Saying::new("这个密码太容易被猜到", "this password is one of the first that are tried"));
    }
    Ok(())
}

/// The hash of a password. Blocks for some tens of milliseconds.
pub fn hash(password: &str) -> Option<String> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).ok()?;
    let salt = SaltString::encode_b64(&salt).ok()?;
    Some(argon2().hash_password(password.as_bytes(), &salt).ok()?.to_string())
}

/// Whether a hash is one of bcrypt, which the Python program made and which is to be replaced.
pub fn is_outdated(stored: &str) -> bool {
    stored.starts_with("$2")
}

/// Whether `password` is the one that was hashed. Takes as long when there is none, or when the hash asks for more than a
/// sign-in may cost. Blocks.
pub fn verify(password: &str, stored: Option<&str>) -> bool {
    // Of a password that nobody has.
    const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let stored = stored.filter(|stored| is_affordable(stored));
    if let Some(stored) = stored.filter(|stored| is_outdated(stored)) {
        return bcrypt::verify(password, stored).unwrap_or(false);
    }
    let parsed = PasswordHash::new(stored.unwrap_or(NOBODY)).or_else(|_| PasswordHash::new(NOBODY));
    parsed.is_ok_and(|hash| argon2().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_verified_and_a_wrong_one_is_not() {
        let hashed = hash("correct horse").expect("hashes");
        assert!(hashed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(verify("correct horse", Some(&hashed)));
        for (password, stored) in [("wrong", Some(hashed.as_str())), ("", Some("")), ("x", None), ("x", Some("$argon2id$broken"))] {
            assert!(!verify(password, stored), "{password}");
        }
    }

    #[test]
    fn a_hash_of_the_python_program_is_verified() {
        let old = "$2b$12$4vcKGERLDrLcduNNaaKrEeyb2wOJR2nBwcxQF7TlpvO1GmIj1UzuK";
        assert!(is_outdated(old) && !is_outdated(&hash("correct horse").expect("hashes")));
        assert!(verify("correct-horse", Some(old)));
        assert!(!verify("correct horse", Some(old)) && !verify("x", Some("$2b$12$broken")));
    }

    #[test]
    fn a_hash_that_asks_for_too_much_is_not_even_tried() {
        let most = "$argon2id$v=19$m=64,t=10,p=1$MDEyMzQ1Njc4OWFiY2RlZg$XyhwxYIwa/QJGxvUKE7/0OxUcwLI7upvIDld5xpMKT0";
        let more = "$argon2id$v=19$m=64,t=11,p=1$MDEyMzQ1Njc4OWFiY2RlZg$NWe6Hzxod4dHcmKkZkHy1AJkoThWhoCA55xDH/NEIWs";
        assert!(argon2().verify_password(b"correct horse", &PasswordHash::new(more).expect("a hash")).is_ok(), "it is of this password");
        assert!(verify("correct horse", Some(most)) && !verify("correct horse", Some(more)));
    }

    #[test]
    fn weak_passwords_are_refused() {
        for weak in ["short", "12345678", "AAAAAAAA", "PassWord123", "somebody1"] {
            assert!(check(weak, "Somebody1").is_err(), "{weak}");
        }
        assert!(check(&"长".repeat(400), "a").is_err());
        for good in ["correct horse", "我的密码很长", "x7!kkpQz"] {
            assert!(check(good, "admin").is_ok(), "{good}");
        }
    }
}
