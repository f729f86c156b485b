//! Entries as headers of a tar archive.

use hoopy_apk::tar;

use super::{Entry, EntryPath, Kind};

impl Kind {
    /// The same in a tar archive, which has no whiteouts.
    pub fn to_tar(&self) -> Option<tar::Kind> {
        Some(match self {
            Self::File { size, .. } => tar::Kind::File(*size),
            Self::Hardlink(first) => tar::Kind::Hardlink(first.as_bytes().to_vec()),
            Self::Dir { .. } => tar::Kind::Dir,
            Self::Symlink(target) => tar::Kind::Symlink(target.clone()),
            Self::Char { major, minor } => tar::Kind::Char(*major, *minor),
            Self::Block { major, minor } => tar::Kind::Block(*major, *minor),
            Self::Fifo => tar::Kind::Fifo,
            Self::Whiteout => return None,
        })
    }
}

impl Entry {
    /// The header of this entry at `path`, as `kind`: an archive may give a file's content to another of its names. Owners
    /// are numbers alone, since their names may have others where it is unpacked.
    pub fn tar_header(&self, path: &EntryPath, kind: tar::Kind) -> tar::Entry {
        tar::Entry {
            kind,
            mode: self.mode,
            uid: self.user.id,
            gid: self.group.id,
            uname: String::new(),
            gname: String::new(),
            mtime: self.mtime,
            xattrs: self.xattrs.clone(),
            ..tar::Entry::file(path.as_bytes(), 0)
        }
    }
}
