//! The host's resolver configuration, for a script that has the host's network: a copy for as long as it runs.
//!
//! It lies in a directory that is stacked on top of the image's layers. So what the script makes of it (another content, a
//! link in its place, nothing) is a change like any other and goes into the image, and where the script leaves it alone
//! the image has what it had. Whether it was left alone is told by its time, since to change owner or mode is enough for
//! overlayfs to copy a file to where changes are.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{Stat, getxattr};

use super::Result;
use super::unpack::OPAQUE;
use crate::wire::Doing as _;

/// The directory's name, below the working one.
pub(super) const DIRECTORY: &str = "resolver";

/// The host's files that are lent, and whether the image's own counts where it has one: it names its own machines in its
/// `hosts`, but its `resolv.conf` is for where it will run.
const LENT: [(&str, bool); 2] = [("etc/resolv.conf", false), ("etc/hosts", true)];

/// Most of them that is copied: lines of a few names.
const MAX_SIZE: u64 = 1 << 20;

/// The time of the copies, which no clock gives: seconds and nanoseconds.
const TIME: (u64, u32) = (1, 918_273_645);

/// Makes the directory for an image of these layers, bottom first. False where `/etc` of the image is no directory: then
/// there is no place for them.
pub(super) fn lay(layers: &[PathBuf]) -> Result<bool> {
    let dir = Path::new(DIRECTORY);
    let etc = dir.join("etc");
    let there = find(layers, "etc");
    if there.as_ref().is_some_and(|meta| !meta.is_dir()) {
        return Ok(false);
    }
    let make = || -> io::Result<()> {
        fs::create_dir(dir)?;
        fs::create_dir(&etc)?;
        for (path, images) in LENT {
            if !images || find(layers, path).is_none() {
                copy(&Path::new("/").join(path), &dir.join(path))?;
            }
        }
        // The topmost directory is the one whose owner and mode show
        if let Some(meta) = there {
            chown(&etc, Some(meta.uid()), Some(meta.gid()))?;
            fs::set_permissions(&etc, fs::Permissions::from_mode(meta.mode() & 0o7777))?;
        }
        Ok(())
    };
    make().doing("lend the host's resolver configuration")?;
    Ok(true)
}

/// Whether a changed file is one of the copies, with the content that it had.
pub(super) fn is_as_lent(path: &[u8], stat: &Stat) -> bool {
    let time = (u64::try_from(stat.st_mtime).ok(), u32::try_from(stat.st_mtime_nsec).ok());
    LENT.iter().any(|(lent, _)| lent.as_bytes() == path)
        && time == (Some(TIME.0), Some(TIME.1))
        && stat.st_nlink == 1
}

fn copy(host: &Path, to: &Path) -> io::Result<()> {
    let mut copy = File::create_new(to)?;
    // A host without it gives an empty one: the resolver's own default
    if let Ok(from) = File::open(host) {
        io::copy(&mut io::Read::take(from, MAX_SIZE), &mut copy)?;
    }
    copy.set_permissions(fs::Permissions::from_mode(0o644))?;
    copy.set_modified(SystemTime::UNIX_EPOCH + Duration::new(TIME.0, TIME.1))
}

/// What a path with at most one `/` is in these layers, bottom first. Directories on the way are not followed.
fn find(layers: &[PathBuf], path: &str) -> Option<Metadata> {
    for layer in layers.iter().rev() {
        if let Ok(meta) = fs::symlink_metadata(layer.join(path)) {
            return Some(meta).filter(|meta| !(meta.file_type().is_char_device() && meta.rdev() == 0));
        }
        let above = path.split_once('/').map(|(dir, _)| layer.join(dir));
        let hides = |dir: &PathBuf| match fs::symlink_metadata(dir) {
            Ok(meta) if meta.is_dir() => getxattr(dir, OPAQUE, &mut [0; 1][..]).is_ok_and(|len| len == 1),
            Ok(_) => true,
            Err(_) => false,
        };
        if above.as_ref().is_some_and(hides) {
            return None;
        }
    }
    None
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn finds_what_the_topmost_layer_has() {
        let dir = tempfile::tempdir().unwrap();
        let layers: Vec<PathBuf> = ["a", "b", "c"].map(|name| dir.path().join(name)).into();
        layers.iter().for_each(|layer| fs::create_dir(layer).unwrap());
        fs::create_dir(layers[0].join("etc")).unwrap();
        fs::write(layers[0].join("etc/hosts"), "a").unwrap();
        assert_eq!(find(&layers, "etc/hosts").unwrap().len(), 1);
        assert!(find(&layers, "etc/resolv.conf").is_none());
        fs::create_dir(layers[1].join("etc")).unwrap();
        assert!(find(&layers, "etc/hosts").is_some());
        fs::write(layers[2].join("etc"), "in the way").unwrap();
        assert!(find(&layers, "etc/hosts").is_none());
        assert!(find(&layers, "etc").unwrap().is_file());
    }
}
