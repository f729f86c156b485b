//! The tar dialect of packages and indexes: ustar with PAX extended headers and GNU long names (POSIX.1-2017,
//! pax; GNU tar's `tar.h`). Archives may lack their end-of-archive blocks: apk cuts them off.

mod header;
mod pax;
mod read;
mod write;

pub use read::Reader;
pub use write::Writer;

use std::collections::BTreeMap;

/// Size of a header, and what every file's data is padded to.
pub const BLOCK: usize = 512;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file of this many bytes.
    File(u64),
    /// Another name for the file at this path of the archive.
    Hardlink(Vec<u8>),
    /// A symbolic link with this target.
    Symlink(Vec<u8>),
    /// A character device: major, minor.
    Char(u32, u32),
    /// A block device: major, minor.
    Block(u32, u32),
    /// A directory.
    Dir,
    /// A named pipe.
    Fifo,
    /// A file of which GNU tar left the holes out (`--sparse`), with so many bytes of data: those that lie between them, and in
    /// some of its formats a map in front. They are not put together here.
    Sparse(u64),
}

/// One entry's header, with what extended headers say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name as the archive has it, without a trailing `/`.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits (`07777`).
    pub mode: u32,
    /// Owner by number.
    pub uid: u32,
    /// Group by number.
    pub gid: u32,
    /// Owner by name, may be empty.
    pub uname: String,
    /// Group by name, may be empty.
    pub gname: String,
    /// Seconds since 1970.
    pub mtime: u64,
    /// `SCHILY.xattr.NAME` records.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// `APK-TOOLS.checksum.SHA1`: of a file's content, or of a link's target. Of a v3 package's, the first 20 bytes of
    /// the SHA-256, which apk lists in the same place.
    pub sha1: Option<[u8; 20]>,
}

impl Entry {
    /// A regular file of root's, 0644, at time 0.
    pub fn file(path: &[u8], size: u64) -> Self {
        Self {
            path: path.to_vec(),
            kind: Kind::File(size),
            mode: 0o644,
            uid: 0,
            gid: 0,
            uname: "root".to_owned(),
            gname: "root".to_owned(),
            mtime: 0,
            xattrs: BTreeMap::new(),
            sha1: None,
        }
    }
}

/// An archive that is not one, or holds what it must not.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The stream failed or ended early.
    #[error("the archive ends early or cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// A header whose checksum is wrong: not tar, or damaged.
    #[error("not a tar header, or a damaged one, at byte {0} of the archive")]
    Checksum(u64),
    /// A number that is none, or too large.
    #[error("{0:?}: its field `{1}` is not a number that fits")]
    Number(String, &'static str),
    /// An extended header that does not follow the format.
    #[error("an extended header that does not follow the format: {0}")]
    Pax(&'static str),
    /// An extended header or long name over its bound.
    #[error("an extended header of {0} bytes: at most {MAX_EXTENDED} are read")]
    ExtendedTooLong(u64),
    /// An entry of a kind that packages do not have.
    #[error("{0:?}: an entry of type {1:?}, which packages do not have")]
    Kind(String, char),
    /// A name or link target that is too long.
    #[error("a name or link target of {0} bytes: paths have at most 4095")]
    NameTooLong(usize),
}

/// Names, targets and attributes of one entry: attributes are at most 64 KiB each (XATTR_SIZE_MAX), and few.
const MAX_EXTENDED: u64 = 1 << 20;

/// PATH_MAX less its NUL.
const MAX_NAME: usize = 4095;

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::io::{Read as _, Write as _};

    use proptest::prelude::*;

    use super::*;

    fn entry(path: Vec<u8>, kind: Kind) -> Entry {
        Entry {
            path,
            kind,
            mode: 0o4755,
            uid: 0,
            gid: 42,
            uname: "root".into(),
            gname: "shadow".into(),
            mtime: 1_774_422_169,
            xattrs: BTreeMap::new(),
            sha1: None,
        }
    }

    fn round_trip(entry: &Entry, data: &[u8]) -> (Entry, Vec<u8>) {
        let mut writer = Writer::new(Vec::new());
        writer.entry(entry).unwrap();
        writer.write_all(data).unwrap();
        let bytes = writer.finish(true).unwrap();
        let mut reader = Reader::new(bytes.as_slice());
        let read = reader.next().unwrap().unwrap();
        let mut back = Vec::new();
        reader.read_to_end(&mut back).unwrap();
        assert!(reader.next().unwrap().is_none());
        (read, back)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            path in "[a-z/]{1,300}[a-z]",
            data in proptest::collection::vec(any::<u8>(), 0..1500),
            value in proptest::collection::vec(any::<u8>(), 0..200),
            uid in any::<u32>(),
        ) {
            let mut e = entry(path.into_bytes(), Kind::File(data.len() as u64));
            e.uid = uid;
            e.xattrs.insert(b"security.capability".to_vec(), value);
            e.sha1 = Some([7; 20]);
            prop_assert_eq!(round_trip(&e, &data), (e, data));
        }

        #[test]
        fn no_input_crashes_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
            let mut reader = Reader::new(bytes.as_slice());
            while let Ok(Some(_)) = reader.next() {}
        }
    }

    #[test]
    fn links_and_devices_survive() {
        for kind in [
            Kind::Symlink(vec![b'x'; 200]),
            Kind::Hardlink(b"bin/busybox".to_vec()),
            Kind::Char(5, 1),
            Kind::Block(259, 3),
            Kind::Dir,
            Kind::Fifo,
        ] {
            let e = entry(b"some/path".to_vec(), kind);
            assert_eq!(round_trip(&e, &[]).0, e);
        }
    }

    #[test]
    fn an_archive_without_its_end_is_whole() {
        let mut writer = Writer::new(Vec::new());
        writer.entry(&entry(b"a".to_vec(), Kind::Dir)).unwrap();
        let bytes = writer.finish(false).unwrap();
        let mut reader = Reader::new(bytes.as_slice());
        assert!(reader.next().unwrap().is_some());
        assert!(reader.next().unwrap().is_none());
    }

    #[test]
    fn a_file_cut_short_is_an_error() {
        let mut writer = Writer::new(Vec::new());
        writer.entry(&entry(b"a".to_vec(), Kind::File(2000))).unwrap();
        writer.write_all(&[1; 2000]).unwrap();
        let bytes = writer.finish(false).unwrap();
        let mut reader = Reader::new(&bytes[..1500]);
        reader.next().unwrap().unwrap();
        assert!(reader.next().is_err());
    }
}
