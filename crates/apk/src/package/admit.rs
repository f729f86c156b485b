//! Which files a package may have.
//!
//! What is refused here would leave the root or be lost in silence: paths that are absolute or hold `..`, a path
//! below what the package itself made a link or a file, a path twice, a hard link to nothing. Paths that are deeper than
//! any package's would make everything that looks at directories slow.

use std::collections::HashMap;

use super::PackageError;
use crate::tar;

/// Ten times what the largest package of Alpine has.
pub const MAX_FILES: usize = 1 << 20;

/// What a package's files may have together: an image lives in memory, and no package of Alpine has a tenth.
pub const MAX_DATA: u64 = 16 << 30;

/// How much more than this many times its own size a package may hold, and the allowance for small ones: files of
/// Alpine's packages shrink to a twentieth at most.
const MAX_RATIO: (u64, u64) = (200, 64 << 20);

/// NAME_MAX of every filesystem it may be unpacked on.
const MAX_NAME: usize = 255;

/// How many names a path may have: as many as one of `root/`, and several times what any package of Alpine has. Whoever
/// reads a tree looks at each directory above each file.
pub const MAX_DEPTH: usize = 128;

/// What a file of a package is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Dir,
    /// A file with content, or another name of one.
    File,
    /// A link, device or pipe.
    Other,
}

/// What has been admitted so far.
#[derive(Debug)]
pub(super) struct Admission {
    seen: HashMap<Vec<u8>, FileKind>,
    /// How many bytes of content are still allowed.
    left: u64,
}

impl Admission {
    pub(super) fn new() -> Self {
        Self { seen: HashMap::new(), left: MAX_DATA }
    }

    /// See [`super::Data::bound`].
    pub(super) fn bound(&mut self, size: u64) {
        let (times, allowance) = MAX_RATIO;
        self.left = self.left.min(size.saturating_mul(times).saturating_add(allowance));
    }

    /// The entry with its paths made plain.
    pub(super) fn admit(&mut self, mut entry: tar::Entry) -> Result<tar::Entry, PackageError> {
        entry.path = normal(&entry.path)?;
        let bad = |reason| PackageError::Path { path: shown(&entry.path), reason };
        let kind = match &entry.kind {
            tar::Kind::Dir => FileKind::Dir,
            tar::Kind::File(size) => {
                self.left = self.left.checked_sub(*size).ok_or(PackageError::TooLarge)?;
                FileKind::File
            }
            tar::Kind::Hardlink(target) => {
                let target = normal(target)?;
                if self.seen.get(&target) != Some(&FileKind::File) {
                    return Err(bad("a hard link to something that is not a file earlier in the package"));
                }
                FileKind::File
            }
            tar::Kind::Sparse(_) => return Err(bad("a sparse file, which packages do not have")),
            _ => FileKind::Other,
        };
        if self.seen.len() >= MAX_FILES {
            return Err(PackageError::TooManyFiles);
        }
        let mut above = entry.path.as_slice();
        while let Some(cut) = above.iter().rposition(|&b| b == b'/') {
            above = &above[..cut];
            match self.seen.get(above) {
                None => {}
                Some(FileKind::Dir) => break,
                Some(_) => return Err(bad("it lies below what the package made a file or a link")),
            }
        }
        match self.seen.insert(entry.path.clone(), kind) {
            None => {}
            Some(FileKind::Dir) if kind == FileKind::Dir => {}
            Some(_) => return Err(bad("the package has it twice")),
        }
        if let tar::Kind::Hardlink(target) = &mut entry.kind {
            *target = normal(target)?;
        }
        Ok(entry)
    }
}

/// A relative path without `.`, `..` and empty components; `./` in front is taken off.
fn normal(path: &[u8]) -> Result<Vec<u8>, PackageError> {
    let bad = |reason| Err(PackageError::Path { path: shown(path), reason });
    let inner = path.strip_prefix(b"./").unwrap_or(path);
    if inner.starts_with(b"/") {
        return bad("an absolute path");
    }
    if inner.contains(&0) || inner.contains(&b'\n') {
        return bad("a path with a NUL or a newline");
    }
    if inner.iter().filter(|&&b| b == b'/').count() >= MAX_DEPTH {
        return bad("a path more than 128 directories deep");
    }
    for name in inner.split(|&b| b == b'/') {
        match name {
            b".." => return bad("a path with `..`, which could leave the root"),
            b"" | b"." => return bad("a path with an empty or `.` component"),
            _ if name.len() > MAX_NAME => return bad("a name longer than 255 bytes"),
            _ => {}
        }
    }
    Ok(inner.to_vec())
}

pub(super) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
