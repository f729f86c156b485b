//! The identities that secrets are opened with: the owner's, in the files that age and ssh keep them in, or a machine's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use age::{IdentityFile, ssh};

use age::secrecy::{ExposeSecret as _, SecretString};

use crate::{MachineIdentity, Plaintext, Prompt, Recipient};

/// The longest file with an identity that is read.
pub const MAX_FILE: u64 = 1 << 20;

/// What an age file begins with; an identity may be one, behind a passphrase.
const AGE_FILE: &[u8] = b"age-encryption.org/v1";

/// The work that a passphrase may ask for: 2^22 takes 4 GiB and some seconds; `age -p` asks for 2^18.
const MAX_WORK: u8 = 20;

/// An identity, and what messages call it.
pub struct Identity {
    name: String,
    key: Box<dyn age::Identity>,
    answer: Answer,
}

impl Identity {
    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn key(&self) -> &dyn age::Identity {
        &*self.key
    }

    fn answer(&self) -> MutexGuard<'_, PassphraseAnswer> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets why it could not be opened before. What it was opened with is kept.
    pub(crate) fn begin(&self) {
        self.answer().refusal = None;
    }

    /// Why it could not be opened with what its passphrase was answered with, if that was asked for. It is asked for again then.
    pub(crate) fn refusal(&self) -> Option<&'static str> {
        let mut answer = self.answer();
        answer.passphrase = None;
        answer.refusal
    }

    /// The same where it was not answered at all: whether it opens anything is not known then.
    pub(crate) fn unanswered(&self) -> Option<&'static str> {
        let answer = self.answer();
        answer.refusal.filter(|_| answer.passphrase.is_none())
    }
}

/// The last answer to the question for a passphrase.
#[derive(Default)]
struct PassphraseAnswer {
    /// What is wrong with it, should it open nothing.
    refusal: Option<&'static str>,
    /// Itself, so that it is asked for once and not for each secret.
    passphrase: Option<SecretString>,
}

/// Shared by an identity and its prompt.
type Answer = Arc<Mutex<PassphraseAnswer>>;

/// Takes note of how the question for a passphrase was answered: age tells only that a key was not opened.
#[derive(Clone)]
struct Noting<P> {
    prompt: P,
    answer: Answer,
}

impl<P: Prompt> Prompt for Noting<P> {
    fn display_message(&self, message: &str) {
        self.prompt.display_message(message);
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        self.prompt.confirm(message, yes, no)
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        self.prompt.request_public_string(description)
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        let given = answer.passphrase.take().or_else(|| self.prompt.request_passphrase(description));
        let (refusal, kept) = match &given {
            None => (
                "its passphrase was not given: without a terminal, name an identity that needs none, with --identity \
                 FILE or in HOOPY_IDENTITY",
                None,
            ),
            Some(text) if text.expose_secret().is_empty() => {
                ("the passphrase is empty: run it again to be asked again", None)
            }
            Some(text) => ("wrong passphrase: run it again to be asked again", Some(text.clone())),
        };
        *answer = PassphraseAnswer { refusal: Some(refusal), passphrase: kept };
        given
    }
}

/// Identities, in the order in which they are tried.
#[derive(Default)]
pub struct Identities(Vec<Identity>);

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(Identity::name)).finish()
    }
}

/// A file that holds no identity. What it holds is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Neither age's nor ssh's.
    #[error("expected an age identity (AGE-SECRET-KEY-1...) or a private key of ssh, found something else")]
    Unknown,
    /// A key of ssh of a kind that age has no use for.
    #[error("age cannot use this kind of ssh key: expected ssh-ed25519 or ssh-rsa")]
    UnsupportedSsh,
    /// It needs a plugin that is not there.
    #[error("{0}")]
    Plugin(String),
    /// An age file that no passphrase opens.
    #[error("expected an identity behind a passphrase, found another age file")]
    NotBehindPassphrase,
}

impl Identities {
    /// Adds what the bytes of a file hold: age identities (also behind a passphrase), plugins' or a private key of ssh.
    /// A passphrase is asked for only when it is needed.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn add_file(&mut self, bytes: &[u8], name: &str, prompt: &impl Prompt) -> Result<(), IdentityError> {
        let answer = Answer::default();
        let prompt = &Noting { prompt: prompt.clone(), answer: Arc::clone(&answer) };
        let mut push =
            |key| self.0.push(Identity { name: name.to_owned(), key, answer: Arc::clone(&answer) });
        let armored = bytes.trim_ascii_start().starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----");
        if armored || bytes.starts_with(AGE_FILE) {
            push(behind_passphrase(bytes, name, prompt)?);
        } else if bytes.windows(16).any(|window| window.ends_with(b"PRIVATE KEY-----")) {
            push(of_ssh(bytes, name, prompt)?);
        } else {
            let file = IdentityFile::from_buffer(bytes).map_err(|_| IdentityError::Unknown)?;
            let keys = file.with_callbacks(prompt.clone()).into_identities();
            let keys = keys.map_err(|error| IdentityError::Plugin(error.to_string()))?;
            if keys.is_empty() {
                return Err(IdentityError::Unknown);
            }
            keys.into_iter().for_each(|key| push(key));
        }
        Ok(())
    }

    /// Adds a machine's.
    pub fn add_machine(&mut self, identity: &MachineIdentity) {
        let (name, key) = ("machine.age".to_owned(), Box::new(identity.key().clone()));
        self.0.push(Identity { name, key, answer: Answer::default() });
    }

    /// Those of a machine alone.
    pub fn of_machine(identities: &[MachineIdentity]) -> Self {
        let mut all = Self::default();
        identities.iter().for_each(|identity| all.add_machine(identity));
        all
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Identity> {
        self.0.iter()
    }
}

fn behind_passphrase(
    bytes: &[u8],
    name: &str,
    prompt: &impl Prompt,
) -> Result<Box<dyn age::Identity>, IdentityError> {
    let input = age::armor::ArmoredReader::new(std::io::Cursor::new(bytes.to_vec()));
    let name = Some(name.to_owned());
    match age::encrypted::Identity::from_buffer(input, name, prompt.clone(), Some(MAX_WORK)) {
        Ok(Some(identity)) => Ok(Box::new(identity)),
        Ok(None) => Err(IdentityError::NotBehindPassphrase),
        Err(_) => Err(IdentityError::Unknown),
    }
}

fn of_ssh(bytes: &[u8], name: &str, prompt: &impl Prompt) -> Result<Box<dyn age::Identity>, IdentityError> {
    match ssh::Identity::from_buffer(bytes, Some(name.to_owned())) {
        Ok(ssh::Identity::Unsupported(_)) => Err(IdentityError::UnsupportedSsh),
        Ok(identity) => Ok(Box::new(identity.with_callbacks(prompt.clone()))),
        Err(_) => Err(IdentityError::Unknown),
    }
}

/// The recipients of an age identity file; empty where the file is of another kind, or of a plugin, which alone knows.
pub fn recipients_of(bytes: &[u8]) -> Vec<Recipient> {
    let Ok(file) = IdentityFile::from_buffer(bytes) else { return Vec::new() };
    let mut text = Vec::new();
    if file.write_recipients_file(&mut text).is_err() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&text);
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// A new identity for an owner who has none, as `age-keygen` writes it.
pub fn generate() -> (Plaintext, Recipient) {
    let key = age::x25519::Identity::generate();
    let recipient = Recipient::x25519(key.to_public());
    let text = format!("# public key: {}\n{}\n", recipient.as_str(), key.to_string().expose_secret());
    (Plaintext::new(text.into_bytes()), recipient)
}
