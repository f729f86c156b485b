//! Mounts: the filesystem with the state, each directory over that of the image, and what takes the place of one that is
//! not there.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};

use crate::error::AgentError;
use crate::mounts;

/// How long a disk may take to turn up, after all others were mounted: a stick takes its time.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often to look for it.
const PAUSE: Duration = Duration::from_millis(250);

/// What `/proc/mounts` calls the directory that stands for state that is not there.
const GUARD: &str = "hoopy-state-missing";

/// Sees that the filesystem of the mount point `on` is mounted, as `fstab` says; waits for a disk that is late.
///
/// # Errors
/// [`AgentError::Filesystem`] with what `mount` says.
pub fn ensure_mounted(on: &str) -> Result<(), AgentError> {
    let begun = Instant::now();
    loop {
        if source_of(on).is_some() {
            return Ok(());
        }
        let mounted = Command::new("mount").arg(on).stdin(Stdio::null()).output();
        let reason = match mounted {
            Ok(output) if output.status.success() => continue_if_mounted(on),
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Some(error.to_string()),
        };
        match reason {
            None => return Ok(()),
            Some(_) if begun.elapsed() < PATIENCE => thread::sleep(PAUSE),
            Some(reason) => return Err(AgentError::Filesystem { on: on.to_owned(), reason }),
        }
    }
}

fn continue_if_mounted(on: &str) -> Option<String> {
    if source_of(on).is_some() {
        None
    } else {
        Some("mount says that it did, and nothing is there".to_owned())
    }
}

/// What is mounted at `path`.
fn source_of(path: &str) -> Option<String> {
    mounts::at(Path::new("/"), path).map(|mount| mount.source)
}

/// Binds `place` over `target`, which is made where the image does not have it. What is bound already stays.
///
/// # Errors
/// [`AgentError::Io`].
pub fn bind(place: &Path, target: &Path) -> Result<(), AgentError> {
    let failed = || AgentError::io("bind", target);
    release(target).map_err(failed())?;
    fs::create_dir_all(target).map_err(AgentError::io("make", target))?;
    let same = |one: fs::Metadata, other: fs::Metadata| (one.dev(), one.ino()) == (other.dev(), other.ino());
    let bound = fs::metadata(place).and_then(|one| Ok(same(one, fs::metadata(target)?)));
    if bound.map_err(failed())? {
        return Ok(());
    }
    mount_bind(place, target).map_err(|error| failed()(error.into()))
}

/// Puts an empty directory over `target` that nothing can be written to.
///
/// # Errors
/// What the system says.
pub fn guard(target: &Path) -> io::Result<()> {
    release(target)?;
    fs::create_dir_all(target)?;
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(mount(GUARD, target, "tmpfs", flags, c"mode=0555,size=4k")?)
}

/// Takes away what [`guard`] put there.
fn release(target: &Path) -> io::Result<()> {
    if target.to_str().and_then(source_of).as_deref() == Some(GUARD) {
        unmount(target, UnmountFlags::DETACH)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_is_found_by_its_name() {
        assert!(source_of("/proc").is_some());
        assert!(source_of("/proc/no such mount").is_none());
        assert_eq!(hoopy_base::octal::unescape("/mnt/a\\040b"), "/mnt/a b");
    }
}
