//! A path inside an image: relative to its root, normal, bytes. It cannot leave the root by construction.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The kernel's PATH_MAX less its NUL (include/uapi/linux/limits.h): longer names are silently lost by the
/// initramfs unpacker, so they are refused here.
pub const MAX_PATH: usize = 4095;

/// NAME_MAX of every filesystem a layer may be unpacked on (tmpfs, ext4, overlayfs).
pub const MAX_NAME: usize = 255;

/// A path that an image cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{:?}: {reason}", String::from_utf8_lossy(.path))]
pub struct BadPath {
    /// The path as it was met.
    pub path: Vec<u8>,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// A normal relative path: components joined by one `/`, no empty one, no `.`, no `..`, no NUL, no newline,
/// at most [`MAX_PATH`] bytes. Ordered by bytes of its components, so that a directory comes directly before
/// what it holds.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct EntryPath(Box<[u8]>);

impl EntryPath {
    /// Takes a path as a package or a file tree has it. One leading `/` or `./` and one trailing `/` are
    /// accepted; nothing else is repaired.
    ///
    /// # Errors
    /// [`BadPath`] when it is not a normal path below the root, or is the root itself.
    pub fn new(path: impl AsRef<[u8]>) -> Result<Self, BadPath> {
        let whole = path.as_ref();
        let bad = |reason| BadPath { path: whole.to_vec(), reason };
        let path = whole.strip_prefix(b"./").or_else(|| whole.strip_prefix(b"/")).unwrap_or(whole);
        let path = path.strip_suffix(b"/").unwrap_or(path);
        if path.is_empty() {
            return Err(bad("the path is empty"));
        }
        if path.len() > MAX_PATH {
            return Err(bad("the path is longer than 4095 bytes"));
        }
        if path.contains(&0) || path.contains(&b'\n') {
            return Err(bad("the path holds a NUL or a newline"));
        }
        for name in path.split(|&b| b == b'/') {
            match name {
                b"" => return Err(bad("the path has an empty component")),
                b"." | b".." => {
                    return Err(bad("the path has a `.` or `..` component and could leave the root"));
                }
                _ if name.len() > MAX_NAME => return Err(bad("a name in the path is longer than 255 bytes")),
                _ => {}
            }
        }
        Ok(Self(path.into()))
    }

    /// The bytes, without a leading `/`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same as a [`Path`], relative.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// The last component.
    pub fn name(&self) -> &[u8] {
        self.0.rsplit(|&b| b == b'/').next().unwrap_or(&self.0)
    }

    /// The directory that holds it, or `None` directly below the root.
    pub fn parent(&self) -> Option<Self> {
        let cut = self.0.iter().rposition(|&b| b == b'/')?;
        Some(Self(self.0[..cut].into()))
    }

    /// The bytes of the directory that holds it, as [`parent`](Self::parent) has them, and the last component.
    pub fn split(&self) -> (Option<&[u8]>, &[u8]) {
        match self.0.iter().rposition(|&b| b == b'/') {
            Some(cut) => (Some(&self.0[..cut]), &self.0[cut + 1..]),
            None => (None, &self.0),
        }
    }

    /// Whether it is `dir` or lies below it.
    pub fn is_within(&self, dir: &[u8]) -> bool {
        is_within(&self.0, dir)
    }
}

/// Whether `path` is `dir` or lies below it; all lies below the root, which is empty.
pub fn is_within(path: &[u8], dir: &[u8]) -> bool {
    dir.is_empty() || path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// Whether the two are equal, or one lies below the other.
pub fn overlap(one: &[u8], other: &[u8]) -> bool {
    is_within(one, other) || is_within(other, one)
}

impl Ord for EntryPath {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // Component by component is byte by byte where the slash comes before every other: no path has a NUL.
        let rank = |&byte: &u8| if byte == b'/' { 0 } else { byte };
        let differ = self.0.iter().zip(other.0.iter()).find(|(a, b)| a != b);
        differ.map_or_else(|| self.0.len().cmp(&other.0.len()), |(a, b)| rank(a).cmp(&rank(b)))
    }
}

impl PartialOrd for EntryPath {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for EntryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}
