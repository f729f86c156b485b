//! Who may read a store: its owner alone, unless users share it.
//!
//! A store holds what images hold, keys and hashes of passwords too. One that is not shared is 0700 and its files 0600, so
//! that a copy made with its modes is closed as well. A shared one (`install -d -m 2770 -g builders DIR`) gives the group,
//! and others where its directory does, the right to read.

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use hoopy_base::atomic::Readers;
use rustix::process::geteuid;

/// Bits of a directory's mode: its group may make files in it, and they belong to that group.
const GROUP_WRITES: u32 = 0o020;
const HANDS_GROUP_ON: u32 = 0o2000;

/// All that others than the owner may do.
const OTHERS: u32 = 0o077;

/// What files of a shared store may be read by, of those who may enter it.
const READ: u32 = 0o644;

/// Who may use the files of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// The owner.
    Owner,
    /// Whom the mode of the store's directory lets in.
    Shared(u32),
}

impl Access {
    /// What the directory of a store says.
    pub(super) fn of(dir: &Metadata) -> Self {
        let mode = dir.mode();
        // useradd(8) gives a user a group of their own with the same number, and a umask that lets it write. `group` in
        // that sense is the owner.
        let own_group = mode & HANDS_GROUP_ON == 0 && dir.uid() == dir.gid();
        if mode & GROUP_WRITES != 0 && !own_group { Self::Shared(mode & 0o2777) } else { Self::Owner }
    }

    /// Who may read what is kept in it.
    pub(super) fn readers(self) -> Readers {
        Readers::Exactly(self.file_mode())
    }

    /// The mode of its files.
    pub(super) fn file_mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Shared(mode) => mode & READ | 0o600,
        }
    }

    /// Makes a directory of it.
    pub(super) fn make_dir(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Owner => make_private(path),
            Self::Shared(mode) => {
                fs::create_dir(path)?;
                fs::set_permissions(path, Permissions::from_mode(mode))
            }
        }
    }
}

/// Makes the directory `path` for its owner alone.
pub(super) fn make_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Takes from others what an earlier hoopy let them read in the store `root`, with `parts` below it. Where this is
/// interrupted the next one goes on: a directory is closed after its files, except for the first, which closes them all.
pub(super) fn close(root: &Path, parts: &[&str]) -> io::Result<()> {
    let meta = fs::metadata(root)?;
    if meta.uid() != geteuid().as_raw() || Access::of(&meta) != Access::Owner {
        return Ok(());
    }
    close_one(root, &meta, 0o700)?;
    if parts.iter().all(|part| fs::metadata(root.join(part)).is_ok_and(|meta| meta.mode() & OTHERS == 0)) {
        return Ok(());
    }
    close_files(root)?;
    for part in parts {
        let path = root.join(part);
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.mode() & OTHERS != 0 {
            close_files(&path)?;
            close_one(&path, &meta, 0o700)?;
        }
    }
    Ok(())
}

/// Closes the regular files of one directory. Those below its directories stay as they are: unpacked layers have the
/// modes of the image, and lie in a directory that is closed.
fn close_files(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_file() => close_one(&path, &meta, 0o600)?,
            // Gone meanwhile, or no file
            _ => {}
        }
    }
    Ok(())
}

fn close_one(path: &Path, meta: &Metadata, mode: u32) -> io::Result<()> {
    if meta.mode() & OTHERS == 0 {
        return Ok(());
    }
    match fs::set_permissions(path, Permissions::from_mode(mode)) {
        // Of another user, or on a medium that cannot be written to; or gone meanwhile
        Err(e) if is_refusal(&e) || e.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Whether it says that this user, or nobody, may write there.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::Store;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_new_store_is_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("cache/hoopy");
        let store = Store::open(&root).unwrap();
        let blob = store.blob_path(store.put_blob(b"secret").unwrap());
        assert_eq!((mode(&root), mode(&root.join("blob")), mode(&blob)), (0o700, 0o700, 0o600));
        for name in ["gate", "lock", "CACHEDIR.TAG"] {
            assert_eq!(mode(&root.join(name)), 0o600, "{name}");
        }
    }

    #[test]
    fn a_store_of_an_earlier_hoopy_is_closed_when_it_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("hoopy");
        let blob = {
            let store = Store::open(&root).unwrap();
            store.blob_path(store.put_blob(b"secret").unwrap())
        };
        for (path, mode) in [(&root, 0o755), (&root.join("blob"), 0o755), (&root.join("lock"), 0o644)] {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        fs::set_permissions(&blob, Permissions::from_mode(0o644)).unwrap();
        Store::open(&root).unwrap();
        assert_eq!((mode(&root), mode(&root.join("blob")), mode(&blob)), (0o700, 0o700, 0o600));
        assert_eq!(mode(&root.join("lock")), 0o600);
    }

    #[test]
    fn closing_goes_on_where_it_was_interrupted() {
        let dir = tempfile::tempdir().unwrap();
        let blob = {
            let store = Store::open(dir.path()).unwrap();
            store.blob_path(store.put_blob(b"secret").unwrap())
        };
        // The first directory is closed, and a part of it is not
        fs::set_permissions(&blob, Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(dir.path().join("blob"), Permissions::from_mode(0o755)).unwrap();
        Store::open(dir.path()).unwrap();
        assert_eq!((mode(&dir.path().join("blob")), mode(&blob)), (0o700, 0o600));
    }

    #[test]
    fn a_shared_store_stays_shared_whatever_the_umask() {
        for (of_root, of_files) in [(0o2775, 0o644), (0o2770, 0o640)] {
            let dir = tempfile::tempdir().unwrap();
            fs::set_permissions(dir.path(), Permissions::from_mode(of_root)).unwrap();
            let store = Store::open(dir.path()).unwrap();
            let blob = store.blob_path(store.put_blob(b"x").unwrap());
            assert_eq!(mode(dir.path()), of_root);
            assert_eq!((mode(&dir.path().join("blob")), mode(&blob)), (of_root, of_files));
        }
    }
}
