//! Putting a secret where it belongs: written under another name, given its owner and mode, and then its name, so that
//! nobody ever sees half of it or has rights to it that are not theirs. No link is followed on the way.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use hoopy_base::beneath::Beneath;
use hoopy_boot::secrets::SecretFile;
use hoopy_secrets::Plaintext;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, fchmod, fchown, openat, renameat, unlinkat};

/// The mode of missing parent directories, which are created.
const DIRECTORY: u32 = 0o755;

/// What the file is called while it is written.
const TEMPORARY: &str = ".hoopy-secret";

/// Writes a secret to its place below `root`.
///
/// # Errors
/// The error of the system. The file that was there before stays in place.
pub fn put(root: &Path, file: &SecretFile, secret: &Plaintext) -> io::Result<()> {
    let top = Beneath::open(root, DIRECTORY)?;
    let (dir, name) = top.place(file.path.as_bytes())?;
    // Left behind by an agent that was killed.
    let _ = unlinkat(&dir, TEMPORARY, AtFlags::empty());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut written = File::from(openat(&dir, TEMPORARY, flags, Mode::from_raw_mode(0o600))?);
    let done = (|| {
        written.write_all(secret.as_bytes())?;
        fchown(&written, Some(Uid::from_raw(file.user)), Some(Gid::from_raw(file.group)))?;
        fchmod(&written, Mode::from_raw_mode(file.mode))?;
        written.sync_all()?;
        Ok(renameat(&dir, TEMPORARY, &dir, name)?)
    })();
    if done.is_err() {
        let _ = unlinkat(&dir, TEMPORARY, AtFlags::empty());
    }
    done
}
