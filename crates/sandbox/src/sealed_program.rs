//! The helper's program, protected so that a script that reaches the file of a running helper cannot change it
//! (CVE-2019-5736 was such a hole in runc).
//!
//! Root starts it from a read-only mount of its own. An ordinary user cannot mount, and starts a sealed copy in memory,
//! unless the file belongs to root: root's files cannot be changed from a user namespace of an ordinary user. A copy costs
//! 10 ms, which is why it is not always made. Helpers are not dumpable either way, which keeps scripts from their file.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{CWD, MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};

use super::helper::sys;

/// Write permission for the group or for everybody.
const OTHERS_WRITE: u32 = 0o022;

/// A program to start, sealed when it is started first.
#[derive(Debug)]
pub(super) struct SealedProgram {
    path: PathBuf,
    /// Nothing where the file itself is started.
    sealed: OnceLock<Option<OwnedFd>>,
}

impl SealedProgram {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, sealed: OnceLock::new() }
    }

    /// Where it is on the host.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What to start. The file itself, too, where this system lets nothing be executed from memory (`vm.memfd_noexec`).
    pub(super) fn to_start(&self) -> PathBuf {
        let sealed = self.sealed.get_or_init(|| seal(&self.path));
        sealed
            .as_ref()
            .map_or_else(|| self.path.clone(), |fd| format!("/proc/self/fd/{}", fd.as_raw_fd()).into())
    }
}

fn seal(path: &Path) -> Option<OwnedFd> {
    if let Ok(mount) = read_only_mount(path) {
        return Some(mount);
    }
    let is_safe = |meta: fs::Metadata| meta.uid() == 0 && meta.mode() & OTHERS_WRITE == 0;
    let scripts_cannot_write = !rustix::process::geteuid().is_root() && fs::metadata(path).is_ok_and(is_safe);
    if scripts_cannot_write { None } else { sealed_copy(path).ok() }
}

fn read_only_mount(path: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let mount = open_tree(CWD, path, flags)?;
    sys::make_detached_read_only(&mount)?;
    Ok(mount)
}

/// A copy in memory of the file `path`, which cannot be changed any more.
fn sealed_copy(path: &Path) -> io::Result<OwnedFd> {
    let mut from = File::open(path)?;
    let mut to = File::from(memory()?);
    io::copy(&mut from, &mut to)?;
    fcntl_add_seals(&to, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    Ok(to.into())
}

fn memory() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match memfd_create("hoopy", flags | MemfdFlags::EXEC) {
        // Before Linux 6.3 nobody had to ask for it
        Err(Errno::INVAL) => Ok(memfd_create("hoopy", flags)?),
        made => Ok(made?),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::Command;

    use super::*;

    fn starts(fd: &OwnedFd) {
        let output = Command::new(format!("/proc/self/fd/{}", fd.as_raw_fd())).arg("hello").output().unwrap();
        assert_eq!(output.stdout, b"hello\n");
    }

    #[test]
    fn a_copy_in_memory_can_be_started_and_not_changed() {
        let copy = sealed_copy(Path::new("/bin/echo")).unwrap();
        starts(&copy);
        let mut copy = File::from(copy);
        assert_eq!(copy.write(b"x").unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert!(copy.set_len(0).is_err());
    }

    #[test]
    fn a_program_on_a_read_only_mount_can_be_started_and_not_changed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("echo");
        fs::copy("/bin/echo", &file).unwrap();
        // Only root may mount
        let Ok(mount) = read_only_mount(&file) else { return };
        starts(&mount);
        let path = format!("/proc/self/fd/{}", mount.as_raw_fd());
        let changed = fs::set_permissions(&path, fs::Permissions::from_mode(0o4777));
        assert_eq!(changed.unwrap_err().kind(), io::ErrorKind::ReadOnlyFilesystem);
        assert!(fs::OpenOptions::new().write(true).open(&path).is_err());
    }
}
