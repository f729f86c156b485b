//! The machine's identity: an age X25519 key pair, made on the owner's computer before the machine is.

use std::str::FromStr as _;

use age::secrecy::ExposeSecret as _;
use age::x25519;
use zeroize::Zeroizing;

use crate::{Plaintext, Recipient};

/// The longest identity file that is read: a few keys of 74 characters, and comments.
pub const MAX_FILE: u64 = 16 << 10;

/// How many identities a machine keeps: the one in use, and those that images to fall back to need.
pub const MAX_IDENTITIES: usize = 8;

/// A private key of a machine.
#[derive(Clone)]
pub struct MachineIdentity(x25519::Identity);

/// A file that holds no machine's identity. What it holds is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentity {
    /// A line that is neither a comment nor a key.
    #[error("line {0}: expected AGE-SECRET-KEY-1..., found something else")]
    Line(usize),
    /// No key, or more than a machine keeps.
    #[error("expected 1 to {MAX_IDENTITIES} keys (AGE-SECRET-KEY-1...), found {0}")]
    Count(usize),
}

impl MachineIdentity {
    /// A new one.
    pub fn generate() -> Self {
        Self(x25519::Identity::generate())
    }

    /// The identities of a file, the one in use first.
    ///
    /// # Errors
    /// [`BadIdentity`].
    pub fn parse(file: &Plaintext) -> Result<Vec<Self>, BadIdentity> {
        let lines = file.as_bytes().split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).enumerate();
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"));
        let parsed = lines.map(|(n, line)| {
            let key = std::str::from_utf8(line).ok().and_then(|line| x25519::Identity::from_str(line).ok());
            key.map(Self).ok_or(BadIdentity::Line(n + 1))
        });
        let found = parsed.collect::<Result<Vec<_>, _>>()?;
        if found.is_empty() || found.len() > MAX_IDENTITIES {
            return Err(BadIdentity::Count(found.len()));
        }
        Ok(found)
    }

    /// The file with these identities, as `age -i` reads it.
    pub fn file(identities: &[Self]) -> Plaintext {
        let mut text = Zeroizing::new(Vec::with_capacity(HEADING.len() + identities.len() * LINE));
        text.extend_from_slice(HEADING);
        for identity in identities {
            text.extend_from_slice(identity.0.to_string().expose_secret().as_bytes());
            text.push(b'\n');
        }
        Plaintext::new(std::mem::take(&mut *text))
    }

    /// The key alone, without a comment: few enough bytes for a TPM.
    pub fn line(&self) -> Plaintext {
        let text = self.0.to_string();
        Plaintext::new(text.expose_secret().as_bytes().to_vec())
    }

    /// The public half.
    pub fn recipient(&self) -> Recipient {
        Recipient::x25519(self.0.to_public())
    }

    pub(crate) fn key(&self) -> &x25519::Identity {
        &self.0
    }
}

impl std::fmt::Debug for MachineIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MachineIdentity({})", self.recipient().as_str())
    }
}

const HEADING: &[u8] =
    b"# The machine's identity, written by hoopy. Whoever has it can open the machine's secrets.\n";

/// More than a line with a key has.
const LINE: usize = 80;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_several_identities_is_read_as_it_was_written() {
        let both = [MachineIdentity::generate(), MachineIdentity::generate()];
        let again = MachineIdentity::parse(&MachineIdentity::file(&both)).unwrap();
        let recipients =
            |list: &[MachineIdentity]| list.iter().map(MachineIdentity::recipient).collect::<Vec<_>>();
        assert_eq!(recipients(&again), recipients(&both));
    }

    #[test]
    fn a_file_without_a_key_is_refused_and_not_repeated() {
        let parse = |text: &str| MachineIdentity::parse(&Plaintext::new(text.into())).unwrap_err();
        assert_eq!(parse("# nothing\n"), BadIdentity::Count(0));
        assert_eq!(parse("# x\nhunter2\n"), BadIdentity::Line(2));
        assert!(!parse("hunter2").to_string().contains("hunter2"));
    }
}
