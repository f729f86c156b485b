//! What the page and the agent tell each other, as JSON with bytes in base64url.

use data_encoding::BASE64URL_NOPAD;
use hoopy_secrets::Plaintext;
use hoopy_secrets::passkey::{Evaluated, Passkey};
use serde::Deserialize;
use serde_json::json;
use zeroize::{Zeroize as _, Zeroizing};

/// A volume is to be unlocked.
pub struct Unlock {
    /// The file whose passkey was asked.
    pub name: String,
    /// What it said.
    pub evaluated: Evaluated,
}

/// A key is to be encrypted.
pub struct Enroll {
    /// For whom.
    pub passkey: Passkey,
    /// What it said.
    pub evaluated: Evaluated,
    /// What is encrypted.
    pub key: Plaintext,
}

/// Bytes of a message. The text is overwritten once it was read.
struct Bytes(Zeroizing<Vec<u8>>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut text = String::deserialize(deserializer)?;
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes());
        text.zeroize();
        // An error that says where repeats a character of a key.
        bytes.map(|bytes| Self(Zeroizing::new(bytes))).map_err(|_| serde::de::Error::custom("not base64url"))
    }
}

impl Unlock {
    /// Reads it.
    pub fn parse(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Message {
            passkey: String,
            first: Bytes,
            second: Bytes,
        }
        let message: Message = serde_json::from_slice(body).ok()?;
        Some(Self { name: message.passkey, evaluated: evaluated(&message.first, &message.second)? })
    }
}

impl Enroll {
    /// Reads it.
    pub fn parse(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Message {
            nonce: Bytes,
            first: Bytes,
            second: Bytes,
            credential: Bytes,
            key: Bytes,
        }
        let message: Message = serde_json::from_slice(body).ok()?;
        let nonce = message.nonce.0.as_slice().try_into().ok()?;
        let credential = Some(message.credential.0.to_vec());
        let key = message.key.0.to_vec();
        (!key.is_empty()).then_some(())?;
        Some(Self {
            passkey: Passkey { nonce, credential },
            evaluated: evaluated(&message.first, &message.second)?,
            key: Plaintext::new(key),
        })
    }
}

fn evaluated(first: &Bytes, second: &Bytes) -> Option<Evaluated> {
    Some(Evaluated::new(first.0.as_slice().try_into().ok()?, second.0.as_slice().try_into().ok()?))
}

/// How a volume is, and the passkeys that open it.
pub fn state(volume: &str, state: &str, said: &str, passkeys: &[(String, Passkey)]) -> Vec<u8> {
    let passkey = |(name, passkey): &(String, Passkey)| {
        let credential = passkey.credential.as_ref().map(|name| BASE64URL_NOPAD.encode(name));
        json!({ "name": name, "nonce": BASE64URL_NOPAD.encode(&passkey.nonce), "credential": credential })
    };
    let passkeys: Vec<_> = passkeys.iter().map(passkey).collect();
    let all = json!({ "volume": volume, "state": state, "said": said, "passkeys": passkeys });
    all.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_is_refused() {
        for body in [
            &b""[..],
            b"{}",
            b"[]",
            b"{\"passkey\":\"a\",\"first\":\"AA\",\"second\":\"AA\"}",
            b"{\"passkey\":\"a\",\"first\":\"!\",\"second\":\"\"}",
            b"{\"passkey\":1}",
            b"\xff",
        ] {
            assert!(Unlock::parse(body).is_none() && Enroll::parse(body).is_none());
        }
    }
}
