//! The file with sealed identities, on the filesystem that would keep them in the clear.
//!
//! JSON: a list of recipients, each with what the TPM sealed, in Base64. Nothing in it is secret, and nothing is trusted.

use std::io;
use std::path::Path;

use data_encoding::BASE64;
use hoopy_base::atomic::{Pending, Readers};
use hoopy_base::input;
use hoopy_boot::secrets::SEALED_IDENTITY;
use hoopy_secrets::MachineIdentity;
use hoopy_secrets::machine::MAX_IDENTITIES;
use hoopy_tpm::Sealed;
use serde::{Deserialize, Serialize};

use crate::error::AgentError;
use crate::identity;

/// What makes a machine that came up locked open its secrets again.
pub const SEAL_ANEW: &str = "hoopy secret enroll HOST seals the identity again";

/// The largest file that is read: eight identities have 8 kB.
const MAX: u64 = 64 << 10;

/// The most entries: while the counter is raised, each identity is there twice.
const MAX_ENTRIES: usize = 2 * MAX_IDENTITIES;

/// Sealed identities, the one in use first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Each of them.
    pub sealed: Vec<Entry>,
}

/// A sealed identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its public half.
    pub recipient: String,
    /// [`Sealed::to_bytes`], in Base64.
    data: String,
}

impl Entry {
    /// What the TPM takes.
    ///
    /// # Errors
    /// [`AgentError::Locked`].
    pub fn sealed(&self) -> Result<Sealed, AgentError> {
        let bytes = BASE64.decode(self.data.as_bytes()).map_err(|error| unreadable(&error))?;
        Sealed::parse(&bytes).map_err(|error| unreadable(&error))
    }
}

fn unreadable(reason: &dyn std::fmt::Display) -> AgentError {
    AgentError::Locked(format!("{SEALED_IDENTITY} on its filesystem: {reason}: {SEAL_ANEW}"))
}

impl Kept {
    /// Those in a file; nothing where there is none.
    ///
    /// # Errors
    /// [`AgentError::Locked`].
    pub fn read_file(path: &Path) -> Result<Option<Self>, AgentError> {
        match input::read_up_to(path, MAX) {
            Ok(bytes) => {
                let kept: Self = serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))?;
                let count = kept.sealed.len();
                match count <= MAX_ENTRIES {
                    true => Ok(Some(kept)),
                    false => {
                        Err(unreadable(&format_args!("{count} identities: expected at most {MAX_ENTRIES}")))
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(&error)),
        }
    }

    /// Those on the filesystem at `mounted`; none where there is no file.
    ///
    /// # Errors
    /// [`AgentError::Locked`].
    pub fn read(mounted: &Path) -> Result<Self, AgentError> {
        Ok(Self::read_file(&mounted.join(SEALED_IDENTITY))?.unwrap_or_default())
    }

    /// Those that the TPM can still open, as far as its counter goes.
    #[must_use]
    pub fn live(mut self, counter: Option<u64>) -> Self {
        self.sealed.retain(|entry| {
            entry
                .sealed()
                .is_ok_and(|sealed| sealed.bound().is_none_or(|bound| Some(bound.counter) == counter))
        });
        self
    }

    /// The value of the counter that the first of them is sealed for.
    pub fn counter(&self) -> Option<u64> {
        Some(self.sealed.first()?.sealed().ok()?.bound()?.counter)
    }

    /// Whether any of them opens for images of an epoch before this one.
    pub fn opens_before(&self, epoch: u32) -> bool {
        let floor = |entry: &Entry| Some(entry.sealed().ok()?.bound().map_or(0, |bound| bound.epoch));
        self.sealed.iter().any(|entry| floor(entry).is_some_and(|floor| floor < epoch))
    }

    /// These and all of `others`: one of both opens, whenever the power goes.
    #[must_use]
    pub fn beside(&self, others: &Self) -> Self {
        Self { sealed: self.sealed.iter().chain(&others.sealed).cloned().collect() }
    }

    /// Adds one.
    pub fn push(&mut self, identity: &MachineIdentity, sealed: &Sealed) {
        let recipient = identity.recipient().as_str().to_owned();
        self.sealed.push(Entry { recipient, data: BASE64.encode(&sealed.to_bytes()) });
    }

    /// These, and behind them those of `older` that are others.
    #[must_use]
    pub fn before(mut self, older: &Self) -> Self {
        for entry in &older.sealed {
            if self.sealed.iter().all(|known| known.recipient != entry.recipient) {
                self.sealed.push(entry.clone());
            }
        }
        self.sealed.truncate(MAX_IDENTITIES);
        self
    }

    /// Writes them to the filesystem at `mounted`, in place of what was there.
    ///
    /// # Errors
    /// [`AgentError::Io`].
    pub fn write(&self, mounted: &Path) -> Result<(), AgentError> {
        identity::directory(mounted)?;
        self.write_file(&mounted.join(SEALED_IDENTITY))
    }

    /// Writes them to a file.
    ///
    /// # Errors
    /// [`AgentError::Io`].
    pub fn write_file(&self, path: &Path) -> Result<(), AgentError> {
        let write = || {
            let mut pending = Pending::new_in(path.parent().unwrap_or(path))?;
            io::Write::write_all(pending.file(), &serde_json::to_vec(self).map_err(io::Error::from)?)?;
            pending.keep(path, Readers::Owner)
        };
        write().map_err(AgentError::io("write", path))
    }
}
