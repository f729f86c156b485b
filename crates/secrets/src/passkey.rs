//! Files for passkeys: the recipient `fido2prf` of age's TypeScript implementation.
//!
//! ```text
//! -> age-encryption.org/fido2prf NONCE         16 random bytes, base64 without padding
//! file key, ChaCha20-Poly1305 under HMAC-SHA256(key: "age-encryption.org/fido2prf", PRF(label 1 NONCE) PRF(label 2 NONCE))
//! -> hoopy/passkey CREDENTIAL                  ours: which passkey it is, so that a browser need not ask for each in turn
//! ```
//!
//! The PRF is the passkey's: a browser evaluates it (WebAuthn Level 3, extension `prf`). Two inputs, so that one touch opens
//! one file.

use std::collections::HashSet;
use std::fmt;

use age::EncryptError as AgeEncryptError;
use age_core::format::{FILE_KEY_BYTES, FileKey, Stanza};
use age_core::primitives::{aead_decrypt, aead_encrypt};
use age_core::secrecy::ExposeSecret as _;
use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
use ring::hmac;
use zeroize::{Zeroize as _, Zeroizing};

use crate::Plaintext;
use crate::cipher::{DecryptError, EncryptError, decrypt_as, seal_armored, stanzas};

/// The tag of the stanza, and what everything is derived under.
const LABEL: &str = "age-encryption.org/fido2prf";

/// The stanza with the passkey's name among passkeys. age passes over it.
const CREDENTIAL: &str = "hoopy/passkey";

/// The longest name of a credential (WebAuthn Level 3, 4 "Credential ID").
const MAX_CREDENTIAL: usize = 1023;

/// What a file's nonce is.
pub type Nonce = [u8; 16];

/// A passkey that a file is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkey {
    /// What its PRF is evaluated on.
    pub nonce: Nonce,
    /// Its name among passkeys; none where the file does not say.
    pub credential: Option<Vec<u8>>,
}

/// The passkeys that a file is for, in the order of its header. Nothing says that they are genuine.
///
/// # Errors
/// [`DecryptError`] where it is no age file.
pub fn passkeys(ciphertext: &[u8]) -> Result<Vec<Passkey>, DecryptError> {
    let mut found: Vec<Passkey> = Vec::new();
    for stanza in stanzas(ciphertext)? {
        match (&*stanza.tag, &*stanza.args) {
            (LABEL, [nonce]) => {
                found.extend(nonce_of(nonce).map(|nonce| Passkey { nonce, credential: None }))
            }
            (CREDENTIAL, [name]) => {
                let name = BASE64URL_NOPAD.decode(name.as_bytes()).ok();
                if let Some(last) = found.last_mut() {
                    last.credential = name.filter(|name| name.len() <= MAX_CREDENTIAL);
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn nonce_of(text: &str) -> Option<Nonce> {
    BASE64_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()
}

/// What a passkey made of a nonce.
pub struct Evaluated(Zeroizing<[u8; 32]>);

impl fmt::Debug for Evaluated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Evaluated(..)")
    }
}

impl Evaluated {
    /// Of the two answers of the PRF.
    pub fn new(first: &[u8; 32], second: &[u8; 32]) -> Self {
        let mut both = [*first, *second].concat();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, LABEL.as_bytes()), &both);
        both.zeroize();
        Self(Zeroizing::new(tag.as_ref().try_into().unwrap_or_default()))
    }
}

/// Encrypts for one passkey, armoured.
///
/// # Errors
/// [`EncryptError`].
pub fn encrypt(
    plaintext: &Plaintext,
    passkey: &Passkey,
    evaluated: &Evaluated,
) -> Result<Vec<u8>, EncryptError> {
    if passkey.credential.as_ref().is_some_and(|name| name.is_empty() || name.len() > MAX_CREDENTIAL) {
        return Err(EncryptError::Age(format!("a passkey's name has 1 to {MAX_CREDENTIAL} bytes")));
    }
    seal_armored(plaintext, &For { passkey, evaluated })
}

/// Decrypts what is for a passkey.
///
/// # Errors
/// [`DecryptError`].
pub fn decrypt(ciphertext: &[u8], evaluated: &Evaluated) -> Result<Plaintext, DecryptError> {
    decrypt_as(ciphertext, evaluated)
}

struct For<'a> {
    passkey: &'a Passkey,
    evaluated: &'a Evaluated,
}

impl age::Recipient for For<'_> {
    fn wrap_file_key(&self, key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), AgeEncryptError> {
        let stanza = |tag: &str, arg, body| Stanza { tag: tag.to_owned(), args: vec![arg], body };
        let sealed = aead_encrypt(&self.evaluated.0, key.expose_secret());
        let mut stanzas = vec![stanza(LABEL, BASE64_NOPAD.encode(&self.passkey.nonce), sealed)];
        if let Some(name) = &self.passkey.credential {
            stanzas.push(stanza(CREDENTIAL, BASE64URL_NOPAD.encode(name), Vec::new()));
        }
        Ok((stanzas, HashSet::new()))
    }
}

impl age::Identity for Evaluated {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<Result<FileKey, age::DecryptError>> {
        if stanza.tag != LABEL || stanza.args.len() != 1 {
            return None;
        }
        // Another passkey's, or another file's.
        let key = aead_decrypt(&self.0, FILE_KEY_BYTES, &stanza.body).ok().map(Zeroizing::new)?;
        let copy = |to: &mut [u8; FILE_KEY_BYTES]| to.copy_from_slice(&key);
        (key.len() == FILE_KEY_BYTES).then(|| Ok(FileKey::init_with_mut(copy)))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_passkey_that_a_file_is_for_opens_it_and_no_other() {
        let passkey = Passkey { nonce: [7; 16], credential: Some(vec![1, 2, 3]) };
        let right = Evaluated::new(&[1; 32], &[2; 32]);
        let sealed = encrypt(&Plaintext::new(b"key".to_vec()), &passkey, &right).unwrap();
        assert!(sealed.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----"));
        assert_eq!(passkeys(&sealed).unwrap(), [passkey]);
        assert_eq!(decrypt(&sealed, &right).unwrap().as_bytes(), b"key");
        let wrong = Evaluated::new(&[2; 32], &[1; 32]);
        assert_eq!(decrypt(&sealed, &wrong).err(), Some(DecryptError::NoMatch));
    }

    #[test]
    fn what_is_for_others_names_no_passkey() {
        let other = crate::MachineIdentity::generate();
        let to = crate::Recipients::parse(other.recipient().as_str()).unwrap();
        let sealed = crate::cipher::encrypt(&Plaintext::new(vec![1]), &to, &crate::NoPrompt).unwrap();
        assert_eq!(passkeys(&sealed).unwrap(), []);
        assert!(passkeys(b"nonsense").is_err());
    }
}
