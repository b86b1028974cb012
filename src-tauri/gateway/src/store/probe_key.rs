//! Proves to a gateway that it is asked by itself, or by a doctor who reads its data folder. The key of clients stays here:
//! an address that is to be tried may lead to anybody.

use ring::hmac;
use serde::{Deserialize, Serialize};

use crate::model::{Millis, Secret, now};

/// How long a pass is good, in milliseconds. Whoever gets one by mistake can read the list of models so long.
const GOOD_FOR: Millis = 30_000;

/// What a pass begins with.
const PREFIX: &str = "picgate-probe";

/// See the module; another one each time the gateway starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProbeKey(Secret);

impl ProbeKey {
    /// 256 random bits; if the system has none, a key that admits nobody.
    pub fn random() -> Self {
        let mut bytes = [0; 32];
        let digits = getrandom::fill(&mut bytes).map(|()| hex(&bytes));
        Self(Secret::new(digits.unwrap_or_default()))
    }

    fn sealed(&self, until: Millis) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose().as_bytes());
        let text = format!("{PREFIX}-{until}");
        let seal = hex(hmac::sign(&key, text.as_bytes()).as_ref());
        format!("{text}-{seal}")
    }

    /// A pass, to be sent in place of the key of clients.
    pub fn pass(&self) -> String {
        self.sealed(now() + GOOD_FOR)
    }

    /// Whether `offered` is a pass that is still good.
    pub fn admits(&self, offered: &[u8]) -> bool {
        let until = std::str::from_utf8(offered).ok().and_then(|text| text.strip_prefix(PREFIX)?.strip_prefix('-')?.split('-').next());
        let Some(until) = until.and_then(|digits| digits.parse::<Millis>().ok()) else { return false };
        let is_present = (now()..=now() + GOOD_FOR).contains(&until);
        is_present && !self.0.expose().is_empty() && Secret::new(self.sealed(until)).matches(offered)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_good_for_its_gateway_alone_and_not_for_long() {
        let (own, other) = (ProbeKey::random(), ProbeKey::random());
        let pass = own.pass();
        assert!(own.admits(pass.as_bytes()) && !other.admits(pass.as_bytes()));
        for until in [now() - 1, now() + 2 * GOOD_FOR] {
            assert!(!own.admits(own.sealed(until).as_bytes()));
        }
        let longer = pass.replacen(PREFIX, "picgate-other", 1);
        for forged in ["", "picgate-probe", "picgate-probe-", "picgate-probe-9-", longer.as_str(), &pass[..pass.len() - 1]] {
            assert!(!own.admits(forged.as_bytes()), "{forged}");
        }
        let none = ProbeKey(Secret::new(""));
        assert!(!none.admits(none.pass().as_bytes()), "without random numbers nobody is admitted");
    }
}
