//! For whom a secret is encrypted: the lines of `secrets/recipients` and `machine.pub`, in the format of `age -R`.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::str::FromStr;

use age::{EncryptError, plugin, ssh, tag, tagpq, x25519};
use age_core::format::{FileKey, Stanza};
use hoopy_base::digest::{Hasher, RecipeId};

use crate::Prompt;

/// The longest text with recipients that is read: thousands of them.
pub const MAX_TEXT: u64 = 1 << 20;

/// More than this many make every header larger than [`crate::cipher::MAX_HEADER`].
const MAX_RECIPIENTS: usize = 256;

/// The stanza that says for which recipients a file is: its argument is [`Recipients::digest`]. age passes over stanzas
/// that it does not know (C2SP age.md, "Recipient stanza"), so a file with it is as ordinary as one without. It is needed
/// because X25519 stanzas do not say for whom they are, and `check` must notice that `recipients` has changed.
pub const STANZA: &str = "hoopy/recipients";

/// Someone a secret is encrypted for.
#[derive(Clone)]
pub struct Recipient {
    text: String,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    X25519(x25519::Recipient),
    Tag(Box<tag::Recipient>),
    TagPq(Box<tagpq::Recipient>),
    Ssh(Box<ssh::Recipient>),
    Plugin(plugin::Recipient),
}

/// A line that is no recipient.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipientError {
    /// A private key, which must not be repeated.
    #[error("line {line}: expected a public key (age1...), found a private one")]
    Private {
        /// Counted from 1.
        line: usize,
    },
    /// Neither age's nor ssh's.
    #[error(
        "line {line}: expected an age recipient (age1...) or a public key of ssh (ssh-ed25519, ssh-rsa), found {found:?}"
    )]
    Unknown {
        /// Counted from 1.
        line: usize,
        /// How the line begins.
        found: String,
    },
    /// No line at all.
    #[error("expected at least one recipient, found none")]
    Empty,
    /// More than can be.
    #[error("expected at most {MAX_RECIPIENTS} recipients, found more")]
    TooMany,
}

impl Recipient {
    /// The recipient of an age identity.
    pub fn x25519(recipient: x25519::Recipient) -> Self {
        Self { text: recipient.to_string(), kind: Kind::X25519(recipient) }
    }

    /// As it stands in the file, without a comment behind it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The plugin that encrypts for it.
    pub fn plugin(&self) -> Option<&str> {
        match &self.kind {
            Kind::Plugin(recipient) => Some(recipient.plugin()),
            _ => None,
        }
    }

    /// The tag of its stanzas, where every file has just one for it: only of plugins that is not known.
    pub fn stanza_tag(&self) -> Option<&'static str> {
        match &self.kind {
            Kind::X25519(_) => Some("X25519"),
            Kind::Tag(_) => Some("p256tag"),
            Kind::TagPq(_) => Some("mlkem768p256tag"),
            Kind::Ssh(key) => Some(match **key {
                ssh::Recipient::SshRsa(..) => "ssh-rsa",
                ssh::Recipient::SshEd25519(..) => "ssh-ed25519",
            }),
            Kind::Plugin(_) => None,
        }
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.text)
    }
}

impl FromStr for Recipient {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, RecipientError> {
        parse_line(1, text.trim())
    }
}

fn parse_line(line: usize, text: &str) -> Result<Recipient, RecipientError> {
    if text.starts_with("AGE-SECRET-KEY-") || text.starts_with("AGE-PLUGIN-") || text.contains("PRIVATE KEY")
    {
        return Err(RecipientError::Private { line });
    }
    let kind = if let Ok(recipient) = text.parse() {
        Some(Kind::X25519(recipient))
    } else if let Ok(recipient) = text.parse() {
        Some(Kind::Tag(Box::new(recipient)))
    } else if let Ok(recipient) = text.parse() {
        Some(Kind::TagPq(Box::new(recipient)))
    } else if let Ok(recipient) = text.parse() {
        Some(Kind::Ssh(Box::new(recipient)))
    } else {
        text.parse().ok().map(Kind::Plugin)
    };
    // Behind a key of ssh stands who made it.
    let text = if text.starts_with("ssh-") {
        text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    } else {
        text.to_owned()
    };
    let found = || text.chars().take(24).collect();
    match kind {
        Some(kind) => Ok(Recipient { text, kind }),
        None => Err(RecipientError::Unknown { line, found: found() }),
    }
}

/// All for whom a secret is encrypted.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipients(Vec<Recipient>);

impl Recipients {
    /// Parses lines of recipients; `#` begins a comment.
    ///
    /// # Errors
    /// [`RecipientError`] with the line.
    pub fn parse(text: &str) -> Result<Self, RecipientError> {
        let lines = text.lines().map(str::trim).enumerate();
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let found = lines.map(|(n, line)| parse_line(n + 1, line)).take(MAX_RECIPIENTS + 1);
        let found = found.collect::<Result<Vec<_>, _>>()?;
        match found.len() {
            0 => Err(RecipientError::Empty),
            n if n > MAX_RECIPIENTS => Err(RecipientError::TooMany),
            _ => Ok(Self(found)),
        }
    }

    /// These and one more.
    pub fn with(&self, other: &Recipient) -> Self {
        let mut all = self.0.clone();
        if !all.contains(other) {
            all.push(other.clone());
        }
        Self(all)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Recipient> {
        self.0.iter()
    }

    /// What stands for this set of recipients, in whatever order: half a SHA-256, in hexadecimal.
    pub fn digest(&self) -> String {
        let texts: BTreeSet<&str> = self.0.iter().map(Recipient::as_str).collect();
        let mut hasher = Hasher::new("hoopy recipients 1");
        texts.iter().for_each(|text| {
            hasher.field(text.as_bytes());
        });
        RecipeId::from_bytes(hasher.finish()).to_string().chars().take(DIGEST_LEN).collect()
    }

    /// What age encrypts with.
    ///
    /// # Errors
    /// Where a plugin is not installed.
    pub(crate) fn encryptor(&self, prompt: &impl Prompt) -> Result<Wrap, EncryptError> {
        let mut all: Vec<Box<dyn age::Recipient>> = Vec::new();
        let mut of_plugins = Vec::new();
        for recipient in &self.0 {
            match &recipient.kind {
                Kind::X25519(key) => all.push(Box::new(key.clone())),
                Kind::Tag(key) => all.push(key.clone()),
                Kind::TagPq(key) => all.push(key.clone()),
                Kind::Ssh(key) => all.push(key.clone()),
                Kind::Plugin(key) => of_plugins.push(key.clone()),
            }
        }
        let names: BTreeSet<String> = of_plugins.iter().map(|key| key.plugin().to_owned()).collect();
        for name in names {
            let plugin = plugin::RecipientPluginV1::new(&name, &of_plugins, &[], prompt.clone());
            all.push(Box::new(plugin.map_err(EncryptError::PluginResolve)?));
        }
        Ok(Wrap { all, digest: self.digest() })
    }
}

/// How much of a SHA-256 in hexadecimal is enough to tell sets of recipients apart.
const DIGEST_LEN: usize = 32;

/// All recipients as one, with the stanza that says which they are.
pub(crate) struct Wrap {
    all: Vec<Box<dyn age::Recipient>>,
    digest: String,
}

impl age::Recipient for Wrap {
    fn wrap_file_key(&self, key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let (mut stanzas, mut labels) = (Vec::new(), None);
        for recipient in &self.all {
            let (more, r_labels) = recipient.wrap_file_key(key)?;
            stanzas.extend(more);
            match &labels {
                None => labels = Some(r_labels),
                Some(l_labels) if *l_labels == r_labels => {}
                Some(l_labels) => {
                    return Err(EncryptError::IncompatibleRecipients {
                        l_labels: l_labels.clone(),
                        r_labels,
                    });
                }
            }
        }
        stanzas.push(Stanza { tag: STANZA.to_owned(), args: vec![self.digest.clone()], body: Vec::new() });
        Ok((stanzas, labels.unwrap_or_default()))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const A: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
    const SSH: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN";

    #[test]
    fn order_comments_and_repetition_do_not_matter() {
        let one = Recipients::parse(&format!("# me\n{A}\n\n{SSH} me@desk\n")).unwrap();
        let two = Recipients::parse(&format!("  {SSH} other\r\n{A}\n{A}\n")).unwrap();
        assert_eq!(one.digest(), two.digest());
        assert_ne!(one.digest(), Recipients::parse(A).unwrap().digest());
        assert_eq!(one.iter().last().unwrap().as_str(), SSH);
    }

    #[test]
    fn a_private_key_is_refused_and_not_repeated() {
        let text = "# x\nAGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33\n";
        let error = Recipients::parse(text).unwrap_err();
        assert_eq!(error, RecipientError::Private { line: 2 });
        assert!(!error.to_string().contains("1GQ9778"));
    }

    #[test]
    fn what_is_no_recipient_is_told_with_its_line() {
        let error = Recipients::parse(&format!("{A}\nhello world\n")).unwrap_err();
        assert_eq!(error, RecipientError::Unknown { line: 2, found: "hello world".to_owned() });
        assert_eq!(Recipients::parse("# nothing\n").unwrap_err(), RecipientError::Empty);
        let many = format!("{A}\n").repeat(MAX_RECIPIENTS + 1);
        assert_eq!(Recipients::parse(&many).unwrap_err(), RecipientError::TooMany);
    }

    #[test]
    fn a_plugin_is_known_by_its_name() {
        let recipient: Recipient =
            "age1yubikey1q2w7u3vpya839jxxuq8g0sedh3d740d4xvn639sqhr95ejj8vu3hyfumptt".parse().unwrap();
        assert_eq!(recipient.plugin(), Some("yubikey"));
    }
}
