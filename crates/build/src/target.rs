//! What a command works on: a system directory, for one architecture, with the lock that goes with it.
//!
//! It is resolved once, at the start of a command, and passed on: nothing later decides again which architecture is
//! meant. `hoopy.lock` is for the directory's own architecture: what `hoopy.toml` says, else what the lock says, else
//! this machine's. `--arch` with another one has a lock and images of its own beside it (`hoopy-aarch64.lock`,
//! `NAME-aarch64-VERSION.efi`). Where `hoopy.toml`, `--arch` and a lock contradict each other, no target is resolved.
//!
//! The Alpine branch is what `hoopy.toml` says, else what the lock says, else that of the directory's own lock; without
//! any of them it is not known before the mirror was asked (`locking/newest.rs`).

use std::path::{Path, PathBuf};

use hoopy_base::arch::Arch;
use hoopy_base::digest::{ContentId, Hasher, RecipeId};
use hoopy_lock::{Lock, LockError};

use crate::config::System;
use crate::config::branch::BranchSource;

/// The lock of a directory's own architecture.
const OWN_LOCK: &str = "hoopy.lock";

/// A system directory for one architecture, with its lock.
#[derive(Debug, Clone)]
pub struct Target {
    /// The system directory.
    pub system: System,
    /// The architecture.
    pub arch: Arch,
    /// The lock.
    pub lock: LockFile,
    /// What images are called: the system's name, with the architecture where it is not the directory's own, so that
    /// images of both kinds can stand side by side.
    pub image_name: String,
}

/// A lock file that may not be there yet.
#[derive(Debug, Clone)]
pub struct LockFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it says.
    pub content: Option<Lock>,
    /// The digest of its text.
    pub digest: Option<ContentId>,
}

/// No target can be resolved.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// hoopy cannot build for this machine's architecture, and no other was named.
    #[error("no architecture named, and hoopy cannot build for that of this computer")]
    NoArch,
    /// A lock is for another architecture.
    #[error("{}: wrong architecture: expected {expected} ({}), found {found}", .path.display(), .by)]
    WrongArch {
        /// The lock.
        path: PathBuf,
        /// What it should be for.
        expected: Arch,
        /// What says so.
        by: &'static str,
        /// What it is for.
        found: Arch,
    },
    /// A lock could not be read.
    #[error(transparent)]
    Lock(#[from] LockError),
}

impl Target {
    /// The target of a command that reads the lock: the architecture `asked` for on the command line, or the
    /// directory's own.
    ///
    /// # Errors
    /// [`TargetError`]: also where the lock is for another architecture than `hoopy.toml` or `asked` says.
    pub fn resolve(system: System, asked: Option<Arch>) -> Result<Self, TargetError> {
        let own = LockFile::read(system.path(OWN_LOCK))?;
        if let Some(arch) = system.arch {
            own.must_be_for(arch, "`arch` in hoopy.toml")?;
        }
        let target = Self::of(system, asked, own)?;
        target.lock.must_be_for(target.arch, "its name")?;
        Ok(target)
    }

    /// The target of a command that writes the lock anew, whatever the one that is there was made for.
    ///
    /// # Errors
    /// [`TargetError`].
    pub fn to_lock(system: System, asked: Option<Arch>) -> Result<Self, TargetError> {
        let own = LockFile::read(system.path(OWN_LOCK))?;
        Self::of(system, asked, own)
    }

    fn of(system: System, asked: Option<Arch>, own: LockFile) -> Result<Self, TargetError> {
        let locked = own.content.as_ref().map(|lock| lock.arch);
        let own_branch = own.content.as_ref().map(|lock| lock.branch.clone());
        let home = system.arch.or(locked).or_else(Arch::host);
        let arch = asked.or(home).ok_or(TargetError::NoArch)?;
        let name = system.name.clone();
        let (lock, image_name) = match home {
            Some(home) if home != arch => {
                (LockFile::read(system.path(&format!("hoopy-{arch}.lock")))?, format!("{name}-{arch}"))
            }
            _ => (own, name),
        };
        let branch = lock.content.as_ref().map(|lock| lock.branch.clone()).or(own_branch);
        let system = match branch.filter(|_| system.branch_source == BranchSource::Unknown) {
            Some(locked) => system.on_branch(&locked, BranchSource::Lock),
            None => system,
        };
        Ok(Self { system, arch, lock, image_name })
    }

    /// The same target on another branch than `hoopy.toml` and the lock say.
    pub fn on_branch(self, branch: &str) -> Self {
        Self { system: self.system.on_branch(branch, BranchSource::Chosen), ..self }
    }

    /// What stands for all that an image can depend on, but for files that a build reads by itself.
    pub fn fingerprint(&self) -> RecipeId {
        let Self { system, arch, lock: LockFile { path, content: _, digest }, image_name } = self;
        let mut hasher = Hasher::new("hoopy target 1");
        hasher.field(system.fingerprint().as_bytes()).field(arch.as_str().as_bytes());
        hasher.field(path.as_os_str().as_encoded_bytes()).field(image_name.as_bytes());
        hasher.field(digest.as_ref().map_or(&[][..], |digest| digest.as_bytes()));
        RecipeId::from_bytes(hasher.finish())
    }

    /// The same target in a copy of its directory, with the lock that is there.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn moved_to(&self, dir: &Path) -> Result<Self, LockError> {
        let lock = LockFile::read(dir.join(self.lock.name()))?;
        let system = System { dir: dir.to_owned(), ..self.system.clone() };
        Ok(Self { system, lock, ..self.clone() })
    }
}

/// The locks of the directory for other architectures than that of `target`, by name. One that cannot be read is left to
/// who works on it.
pub fn other_locks(target: &Target) -> Vec<(String, Lock)> {
    let beside = Arch::ALL.iter().map(|arch| format!("hoopy-{arch}.lock"));
    let names = std::iter::once(OWN_LOCK.to_owned()).chain(beside).filter(|name| *name != target.lock.name());
    names.filter_map(|name| Some((name.clone(), Lock::read(&target.system.path(&name)).ok()??))).collect()
}

impl LockFile {
    fn read(path: PathBuf) -> Result<Self, LockError> {
        let text = Lock::read_text(&path)?;
        let digest = text.as_ref().map(|text| ContentId::of(text.as_bytes()));
        let content = text.map(|text| Lock::parse(&path, &text)).transpose()?;
        Ok(Self { path, content, digest })
    }

    /// Its name: `hoopy.lock`.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn must_be_for(&self, expected: Arch, by: &'static str) -> Result<(), TargetError> {
        match &self.content {
            Some(lock) if lock.arch != expected => {
                Err(TargetError::WrongArch { path: self.path.clone(), expected, by, found: lock.arch })
            }
            _ => Ok(()),
        }
    }
}
