//! A place to run scripts in, and the sessions that are opened in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hoopy_base::digest::LayerId;
use hoopy_store::gc::{Tally, UnpackedLayers};
use hoopy_store::spread;

use super::helper;
use super::identity::Identity;
use super::leftovers;
use super::sealed_program::SealedProgram;
use super::{Limits, Restriction, SandboxError, Session};

/// What a sandbox needs to know.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// The program to start as a helper: one whose `main` calls [`super::helper_main`] first when its first
    /// argument is `__sandbox`. Usually the running one.
    pub helper: PathBuf,
    /// A directory for unpacked layers. What is in it is owned by subordinate ids, and may go at any time at
    /// which no session is open.
    pub lowers: PathBuf,
    /// How much a script may use.
    pub limits: Limits,
}

/// A place to run scripts in, on this machine, as this user.
#[derive(Debug)]
pub struct Sandbox {
    pub(super) program: SealedProgram,
    pub(super) lowers: PathBuf,
    pub(super) limits: Limits,
    pub(super) identity: Identity,
    pub(super) boot: String,
}

impl Sandbox {
    /// Finds out whether and how this user can run scripts.
    ///
    /// # Errors
    /// [`SandboxError::NoSubordinateIds`] for an ordinary user without them, and [`SandboxError::Io`].
    pub fn new(config: SandboxConfig) -> Result<Self, SandboxError> {
        if !helper::syscall_filter::exists() {
            return Err(Restriction::NoFilter(std::env::consts::ARCH).into());
        }
        let identity = Identity::of_this_process()?;
        let id = "/proc/sys/kernel/random/boot_id";
        let boot = fs::read_to_string(id).map_err(SandboxError::io(id))?.trim().to_owned();
        fs::create_dir_all(&config.lowers).map_err(SandboxError::io(config.lowers.display().to_string()))?;
        let lowers = fs::canonicalize(&config.lowers);
        let lowers = lowers.map_err(SandboxError::io(config.lowers.display().to_string()))?;
        make_own(&lowers, &boot, &identity)?;
        let program = SealedProgram::new(config.helper);
        Ok(Self { program, lowers, limits: config.limits, identity, boot })
    }

    /// Which ids of this computer are 0 to 65535 in it: `1000, 100000 to 165534`.
    pub fn ids(&self) -> String {
        self.identity.shown()
    }

    /// Starts a helper. Sessions are independent of each other: several may be open at a time.
    ///
    /// # Errors
    /// [`SandboxError::Restricted`] where user namespaces are forbidden, [`SandboxError::MapTool`] and
    /// [`SandboxError::NoMapTool`] where ids can't be had, and what starting a process fails with.
    pub fn session(&self) -> Result<Session, SandboxError> {
        Session::open(self)
    }

    /// Removes all unpacked layers but those of `keep`; gives how many and their size in bytes. The user's own tools
    /// can't, since most are owned by subordinate ids. None when a session uses them: then they stay.
    ///
    /// # Errors
    /// As [`Sandbox::session`], and [`SandboxError::Setup`] for what can't be removed.
    pub fn clear(&self, keep: &[LayerId]) -> Result<Option<(u64, u64)>, SandboxError> {
        self.session()?.clear(keep)
    }
}

impl UnpackedLayers for Sandbox {
    fn clear(&self, keep: &[LayerId]) -> Result<Tally, Box<dyn std::error::Error + Send + Sync>> {
        let (files, bytes) = Self::clear(self, keep)?.unwrap_or_default();
        Ok(Tally { files, bytes })
    }
}

/// Makes the directory for unpacked layers that belongs to whom scripts run as, in a directory that users may share. It
/// does not hand its group on (inode(7), set-group-ID of directories): what is made in it must have the owners that
/// scripts give. What earlier boots left is removed here where the helper has no right to.
fn make_own(lowers: &Path, boot: &str, identity: &Identity) -> Result<(), SandboxError> {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    let name = identity.name();
    let dir = lowers.join(format!("{boot}-{name}"));
    if identity.is_root() {
        leftovers::remove_other_boots(lowers, boot, &name);
        leftovers::remove_other_boots(lowers, boot, leftovers::WITHOUT_NAMESPACE);
    }
    let make = || -> io::Result<()> {
        if !dir.is_dir() {
            fs::create_dir(&dir)?;
            let (user, group) = identity.owner();
            chown(&dir, Some(user), Some(group))?;
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
            spread(&dir);
        }
        Ok(())
    };
    match make() {
        // Made by another session at the same time.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // A store that cannot be written to: no script needs to run, or the helper will say so.
        Err(e) if matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => {
            Ok(())
        }
        made => made.map_err(SandboxError::io(format!("make {}", dir.display()))),
    }
}
