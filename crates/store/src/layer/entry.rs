//! What a layer is made of: entries, and their one encoding.
//!
//! The encoding is both what a [`LayerId`] digests and what the store and the sandbox's pipe carry:
//! little-endian integers, byte strings with a `u32` length before them, one tag byte per kind. It is only
//! ever read by the version of hoopy that wrote it (the store's version says which) or checked against a digest.

use std::collections::BTreeMap;
use std::io::{self, Read};

use hoopy_base::digest::{ContentId, Hasher, LayerId};

use super::path::EntryPath;

/// Extended attributes by name (`security.capability`, ...).
pub type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// Who owns an entry. Packages name owners; what number a name has is known only where a `passwd` is, so a
/// layer as a package has it keeps the name, and [`super::package`] resolves it against the stack below.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owner {
    /// The number: the one that counts, once names are resolved.
    pub id: u32,
    /// A name other than `root` that is still to be resolved.
    pub name: Option<String>,
}

impl Owner {
    /// An owner by number.
    pub const fn id(id: u32) -> Self {
        Self { id, name: None }
    }
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory. Opaque: nothing that lower layers have below it shows.
    Dir {
        /// Whether it hides what lower layers have below it.
        opaque: bool,
    },
    /// A regular file.
    File {
        /// In bytes.
        size: u64,
        /// SHA-256 of the content.
        content: ContentId,
    },
    /// A symbolic link, with its target as written.
    Symlink(Vec<u8>),
    /// Another name of a regular file that stands earlier in the same layer.
    Hardlink(EntryPath),
    /// A character device.
    Char {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    Block {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
    /// Nothing: what lower layers have at this path is gone.
    Whiteout,
}

/// One path of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub path: EntryPath,
    /// What.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky (`07777`).
    pub mode: u32,
    /// Owning user.
    pub user: Owner,
    /// Owning group.
    pub group: Owner,
    /// Modification time, seconds since 1970.
    pub mtime: u64,
    /// Extended attributes.
    pub xattrs: Xattrs,
}

impl Entry {
    /// An entry of root's, with no attributes, at time 0.
    pub fn new(path: EntryPath, kind: Kind, mode: u32) -> Self {
        Self {
            path,
            kind,
            mode,
            user: Owner::default(),
            group: Owner::default(),
            mtime: 0,
            xattrs: Xattrs::new(),
        }
    }

    /// The bytes of content that follow it in a stream: a regular file's size, else 0.
    pub fn size(&self) -> u64 {
        if let Kind::File { size, .. } = self.kind { size } else { 0 }
    }

    /// Mode, owner and group: what an archive's later entry for the same directory sets anew.
    pub fn access(&self) -> (u32, u32, u32) {
        (self.mode, self.user.id, self.group.id)
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        matches!(self.kind, Kind::Dir { .. })
    }
}

/// The id of a layer with these entries, in this order.
pub fn layer_id(entries: &[Entry]) -> LayerId {
    let mut digest = LayerDigest::default();
    entries.iter().for_each(|entry| digest.add(entry));
    digest.id()
}

/// The id of a layer in the making.
pub struct LayerDigest {
    hasher: Hasher,
    bytes: Vec<u8>,
}

impl Default for LayerDigest {
    fn default() -> Self {
        Self { hasher: Hasher::new("hoopy layer 1"), bytes: Vec::with_capacity(256) }
    }
}

impl LayerDigest {
    /// Adds the next entry.
    pub fn add(&mut self, entry: &Entry) {
        self.bytes.clear();
        entry.encode(&mut self.bytes);
        self.hasher.field(&self.bytes);
    }

    /// The id of a layer with the entries so far.
    pub fn id(self) -> LayerId {
        LayerId::from_bytes(self.hasher.finish())
    }
}

/// Longest byte string in an encoded entry: a link target (PATH_MAX) or an attribute (XATTR_SIZE_MAX, 64 KiB).
/// Readers and writers of streams are bounded by it alike.
const MAX_STRING: u32 = 64 << 10;

/// Attributes an entry may have; Linux filesystems hold fewer.
const MAX_XATTRS: u32 = 256;

/// What no layer can hold, and so no pipe and no store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}")]
pub struct TooLarge {
    /// Of which path.
    pub path: EntryPath,
    /// What is too large, and how large it may be.
    pub what: String,
}

impl Entry {
    /// Appends the encoding to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.path.as_bytes());
        match &self.kind {
            Kind::Dir { opaque } => out.extend([b'd', u8::from(*opaque)]),
            Kind::File { size, content } => {
                out.push(b'f');
                out.extend(size.to_le_bytes());
                out.extend(content.as_bytes());
            }
            Kind::Symlink(target) => {
                out.push(b'l');
                put_bytes(out, target);
            }
            Kind::Hardlink(first) => {
                out.push(b'h');
                put_bytes(out, first.as_bytes());
            }
            Kind::Char { major, minor } => put_device(out, b'c', *major, *minor),
            Kind::Block { major, minor } => put_device(out, b'b', *major, *minor),
            Kind::Fifo => out.push(b'p'),
            Kind::Whiteout => out.push(b'w'),
        }
        out.extend(self.mode.to_le_bytes());
        for owner in [&self.user, &self.group] {
            out.extend(owner.id.to_le_bytes());
            put_bytes(out, owner.name.as_deref().unwrap_or("").as_bytes());
        }
        out.extend(self.mtime.to_le_bytes());
        out.extend((self.xattrs.len() as u32).to_le_bytes());
        for (name, value) in &self.xattrs {
            put_bytes(out, name);
            put_bytes(out, value);
        }
    }

    /// Finds out whether [`Entry::read`] takes it.
    ///
    /// # Errors
    /// [`TooLarge`], which says why not.
    pub fn check(&self) -> Result<(), TooLarge> {
        let too_large = |what: String| Err(TooLarge { path: self.path.clone(), what });
        let most = MAX_STRING as usize;
        let bounded = |what: &dyn Fn() -> String, bytes: &[u8]| match bytes.len() {
            len if len > most => too_large(format!("{} has {len} bytes, expected at most {most}", what())),
            _ => Ok(()),
        };
        if let Kind::Symlink(target) = &self.kind {
            bounded(&|| "the target of the link".into(), target)?;
        }
        for name in [&self.user, &self.group].into_iter().filter_map(|owner| owner.name.as_ref()) {
            bounded(&|| "the name of its owner".into(), name.as_bytes())?;
        }
        if self.xattrs.len() > MAX_XATTRS as usize {
            return too_large(format!("{} attributes, expected at most {MAX_XATTRS}", self.xattrs.len()));
        }
        for (name, value) in &self.xattrs {
            let shown = || String::from_utf8_lossy(name.get(..64).unwrap_or(name)).into_owned();
            bounded(&|| format!("the name of attribute {}", shown()), name)?;
            bounded(&|| format!("attribute {}", shown()), value)?;
        }
        Ok(())
    }

    /// Reads one entry.
    ///
    /// # Errors
    /// What `from` fails with, and `InvalidData` for anything that [`Entry::encode`] does not write.
    pub fn read(from: &mut dyn Read) -> io::Result<Self> {
        let path = get_path(from)?;
        let kind = match get::<1>(from)?[0] {
            b'd' => Kind::Dir { opaque: get::<1>(from)?[0] != 0 },
            b'f' => Kind::File { size: get_u64(from)?, content: ContentId::from_bytes(get(from)?) },
            b'l' => Kind::Symlink(get_bytes(from)?),
            b'h' => Kind::Hardlink(get_path(from)?),
            b'c' => Kind::Char { major: get_u32(from)?, minor: get_u32(from)? },
            b'b' => Kind::Block { major: get_u32(from)?, minor: get_u32(from)? },
            b'p' => Kind::Fifo,
            b'w' => Kind::Whiteout,
            _ => return Err(invalid("an entry of unknown kind")),
        };
        let mode = get_u32(from)?;
        let (user, group) = (get_owner(from)?, get_owner(from)?);
        let mtime = get_u64(from)?;
        let count = get_u32(from)?;
        if count > MAX_XATTRS {
            return Err(invalid("an entry with more than 256 attributes"));
        }
        let xattrs =
            (0..count).map(|_| Ok((get_bytes(from)?, get_bytes(from)?))).collect::<io::Result<_>>()?;
        Ok(Self { path, kind, mode, user, group, mtime, xattrs })
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u32).to_le_bytes());
    out.extend(bytes);
}

fn put_device(out: &mut Vec<u8>, tag: u8, major: u32, minor: u32) {
    out.push(tag);
    out.extend(major.to_le_bytes());
    out.extend(minor.to_le_bytes());
}

fn get<const N: usize>(from: &mut dyn Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn get_u32(from: &mut dyn Read) -> io::Result<u32> {
    get(from).map(u32::from_le_bytes)
}

fn get_u64(from: &mut dyn Read) -> io::Result<u64> {
    get(from).map(u64::from_le_bytes)
}

fn get_bytes(from: &mut dyn Read) -> io::Result<Vec<u8>> {
    let len = get_u32(from)?;
    if len > MAX_STRING {
        return Err(invalid("an entry with a string over 64 KiB"));
    }
    let mut bytes = vec![0; len as usize];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn get_path(from: &mut dyn Read) -> io::Result<EntryPath> {
    EntryPath::new(get_bytes(from)?).map_err(|e| invalid(&e.to_string()))
}

fn get_owner(from: &mut dyn Read) -> io::Result<Owner> {
    let id = get_u32(from)?;
    let name = String::from_utf8(get_bytes(from)?).map_err(|_| invalid("an owner that is not UTF-8"))?;
    Ok(Owner { id, name: Some(name).filter(|n| !n.is_empty()) })
}
