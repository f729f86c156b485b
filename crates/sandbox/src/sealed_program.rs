//! The helper's program, as a sealed copy in memory: whoever reaches what a helper runs reaches nothing of the host's, and
//! can change nothing of it either (CVE-2019-5736 was that of runc).

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::io::Errno;

/// A program to start, copied when it is started first.
#[derive(Debug)]
pub(super) struct SealedProgram {
    path: PathBuf,
    copy: OnceLock<Option<OwnedFd>>,
}

impl SealedProgram {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, copy: OnceLock::new() }
    }

    /// Where it is on the host.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What to start. The program's own file, where this system lets nothing be executed from memory
    /// (`vm.memfd_noexec`): that one is not dumpable either.
    pub(super) fn to_start(&self) -> PathBuf {
        let copy = self.copy.get_or_init(|| sealed(&self.path).ok());
        copy.as_ref()
            .map_or_else(|| self.path.clone(), |fd| format!("/proc/self/fd/{}", fd.as_raw_fd()).into())
    }
}

/// A copy of the file `path` that nobody can change.
fn sealed(path: &Path) -> io::Result<OwnedFd> {
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
    use std::process::Command;

    use super::*;

    #[test]
    fn starts_a_copy_that_cannot_be_changed() {
        let program = SealedProgram::new("/bin/echo".into());
        let output = Command::new(program.to_start()).arg("hello").output().unwrap();
        assert_eq!(output.stdout, b"hello\n");
        let mut copy = File::from(program.copy.get().unwrap().as_ref().unwrap().try_clone().unwrap());
        assert_eq!(copy.write(b"x").unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert!(copy.set_len(0).is_err());
    }
}
