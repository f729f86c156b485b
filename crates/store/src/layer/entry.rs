//! What a layer is made of: entries, and their one encoding.
//!
//! The encoding is both what a [`LayerId`] digests and what the store and the sandbox's pipe carry:
//! little-endian integers, byte strings with a `u32` length before them, one tag byte per kind. It is only
//! ever read by the version of hoopy that wrote it (the store's version says which) or checked against a digest.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

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
    let mut hasher = Hasher::new("hoopy layer 1");
    let mut bytes = Vec::with_capacity(256);
    for entry in entries {
        bytes.clear();
        entry.encode(&mut bytes);
        hasher.field(&bytes);
    }
    LayerId::from_bytes(hasher.finish())
}

/// Longest byte string in an encoded entry: a link target (PATH_MAX) or an attribute (XATTR_SIZE_MAX, 64 KiB).
const MAX_STRING: u32 = 64 << 10;

/// Attributes an entry may have; Linux filesystems hold fewer.
const MAX_XATTRS: u32 = 256;

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

    /// Writes the encoding to a stream.
    ///
    /// # Errors
    /// What `out` fails with.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(256);
        self.encode(&mut bytes);
        out.write_all(&bytes)
    }

    /// Reads one entry from a stream.
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
