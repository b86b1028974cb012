//! Secrets under a passphrase: argon2id makes the key, ChaCha20-Poly1305 seals. What the secrets belong to is sealed along:
//! with another database (one that sends a key elsewhere) they do not open.

use argon2::{Algorithm, Argon2, Params, Version};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};

use super::{ArchiveError, PASSPHRASE_MIN};
use crate::model::Secret;

/// What one guess costs: 64 MiB and three passes.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;

/// What an archive may ask for at most.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
const PASSES_MAX: u32 = 16;

#[derive(Serialize, Deserialize)]
struct Sealed {
    derivation: String,
    memory_kib: u32,
    passes: u32,
    salt: String,
    cipher: String,
    nonce: String,
    text: String,
}

const DERIVATION: &str = "argon2id";
const CIPHER: &str = "chacha20-poly1305";

fn encode(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

fn decode(text: &str) -> Result<Vec<u8>, ArchiveError> {
    base64_simd::STANDARD.decode_to_vec(text).map_err(|_| ArchiveError::Damaged("the sealed secrets are no base64".into()))
}

/// Blocks for about a quarter of a second.
fn key(passphrase: &Secret, salt: &[u8], memory_kib: u32, passes: u32) -> Result<LessSafeKey, ArchiveError> {
    let params = Params::new(memory_kib, passes, 1, Some(32)).map_err(|_| ArchiveError::Seal("its cost cannot be used"))?;
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.expose().as_bytes(), salt, &mut key)
        .map_err(|_| ArchiveError::Seal("no key can be made of the passphrase"))?;
    let key = UnboundKey::new(&CHACHA20_POLY1305, &key).map_err(|_| ArchiveError::Seal("the key cannot be used"))?;
    Ok(LessSafeKey::new(key))
}

/// Whether a passphrase is long enough.
///
/// # Errors
/// [`ArchiveError::WeakPassphrase`].
pub fn check(passphrase: &Secret) -> Result<(), ArchiveError> {
    if passphrase.expose().chars().count() < PASSPHRASE_MIN { Err(ArchiveError::WeakPassphrase) } else { Ok(()) }
}

/// Seals `text` together with `belongs_to`, which stays readable elsewhere.
///
/// # Errors
/// [`ArchiveError`].
pub fn seal(text: &[u8], passphrase: &Secret, belongs_to: &str) -> Result<Vec<u8>, ArchiveError> {
    check(passphrase)?;
    let (mut salt, mut nonce) = ([0; 16], [0; NONCE_LEN]);
    getrandom::fill(&mut salt).and_then(|()| getrandom::fill(&mut nonce)).map_err(|_| ArchiveError::Seal("there are no random numbers"))?;
    let mut sealed = text.to_vec();
    key(passphrase, &salt, MEMORY_KIB, PASSES)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(belongs_to.as_bytes()), &mut sealed)
        .map_err(|_| ArchiveError::Seal("the cipher failed"))?;
    let sealed = Sealed {
        derivation: DERIVATION.into(),
        memory_kib: MEMORY_KIB,
        passes: PASSES,
        salt: encode(&salt),
        cipher: CIPHER.into(),
        nonce: encode(&nonce),
        text: encode(&sealed),
    };
    serde_json::to_vec_pretty(&sealed).map_err(|_| ArchiveError::Seal("it cannot be written"))
}

/// The inverse of [`seal`].
///
/// # Errors
/// [`ArchiveError::WrongPassphrase`] also if anything was changed.
pub fn open(sealed: &[u8], passphrase: &Secret, belongs_to: &str) -> Result<Vec<u8>, ArchiveError> {
    let sealed: Sealed = serde_json::from_slice(sealed).map_err(|_| ArchiveError::Damaged("the sealed secrets cannot be read".into()))?;
    if sealed.derivation != DERIVATION || sealed.cipher != CIPHER || sealed.memory_kib > MEMORY_KIB_MAX || sealed.passes > PASSES_MAX {
        return Err(ArchiveError::Damaged("the secrets are sealed in a way that this version does not know".into()));
    }
    let (salt, nonce, mut text) = (decode(&sealed.salt)?, decode(&sealed.nonce)?, decode(&sealed.text)?);
    let nonce = Nonce::try_assume_unique_for_key(&nonce).map_err(|_| ArchiveError::WrongPassphrase)?;
    let opened = key(passphrase, &salt, sealed.memory_kib, sealed.passes)?;
    let opened = opened.open_in_place(nonce, Aad::from(belongs_to.as_bytes()), &mut text).map_err(|_| ArchiveError::WrongPassphrase)?;
    Ok(opened.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_passphrase_opens_it_and_only_for_what_it_belongs_to() {
        let passphrase = Secret::new("correct horse");
        let sealed = seal(b"canary", &passphrase, "database a").expect("seals");
        assert!(!String::from_utf8_lossy(&sealed).contains("canary"));
        assert_eq!(open(&sealed, &passphrase, "database a").expect("opens"), b"canary");
        for (passphrase, belongs_to) in [("wrong horse", "database a"), ("correct horse", "database b")] {
            assert!(matches!(open(&sealed, &Secret::new(passphrase), belongs_to), Err(ArchiveError::WrongPassphrase)));
        }
        let costly = String::from_utf8_lossy(&sealed).replace("65536", "4000000000");
        assert!(matches!(open(costly.as_bytes(), &passphrase, "database a"), Err(ArchiveError::Damaged(_))));
        assert!(matches!(seal(b"x", &Secret::new("short"), ""), Err(ArchiveError::WeakPassphrase)));
    }
}
