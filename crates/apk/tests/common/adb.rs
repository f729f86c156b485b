//! Packages of apk 3 that the real apk would never make. What is written here is only what a hostile one needs.

use hoopy_apk::tar::{Entry, Kind};
use sha2::{Digest as _, Sha256};

/// A database being written: values one after the other, each by its place.
pub struct Adb(pub Vec<u8>);

impl Adb {
    pub fn new() -> Self {
        Self(vec![0; 8])
    }

    fn align(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
    }

    pub fn int(&mut self, number: u64) -> u32 {
        if number < 1 << 28 {
            return 0x1000_0000 | number as u32;
        }
        self.align();
        self.0.extend(number.to_le_bytes());
        0x3000_0000 | (self.0.len() - 8) as u32
    }

    pub fn blob(&mut self, bytes: &[u8]) -> u32 {
        if bytes.is_empty() {
            return 0;
        }
        self.align();
        let at = self.0.len();
        self.0.extend((bytes.len() as u32).to_le_bytes());
        self.0.extend(bytes);
        0xa000_0000 | at as u32
    }

    /// An array or object of these values, the first at 1.
    pub fn object(&mut self, values: &[u32]) -> u32 {
        self.align();
        let at = self.0.len();
        self.0.extend((values.len() as u32 + 1).to_le_bytes());
        self.0.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        0xe000_0000 | at as u32
    }

    /// The file: this database with `root`, then blocks of data.
    pub fn file(mut self, schema: &[u8; 4], root: u32, data: &[(u32, u32, Vec<u8>)]) -> Vec<u8> {
        self.0[4..8].copy_from_slice(&root.to_le_bytes());
        let mut out = [b"ADB.", &schema[..], &block(0, &self.0)].concat();
        for (dir, file, content) in data {
            out.extend(block(2, &[&dir.to_le_bytes()[..], &file.to_le_bytes(), content].concat()));
        }
        out
    }
}

/// A block with its header and padding.
pub fn block(kind: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = (kind << 30 | (payload.len() as u32 + 4)).to_le_bytes().to_vec();
    out.extend(payload);
    out.resize(out.len().next_multiple_of(8), 0);
    out
}

/// What a package says of itself, as little as may be.
pub fn info(adb: &mut Adb, name: &[u8]) -> u32 {
    let values = [adb.blob(name), adb.blob(b"1-r0"), adb.blob(&[0; 20])];
    adb.object(&values)
}

/// A package with these entries, in this order, without content: each in a directory of its own.
pub fn package(entries: &[Entry]) -> Vec<u8> {
    let mut adb = Adb::new();
    let info = info(&mut adb, b"evil");
    let mut dirs: Vec<(&[u8], Vec<u32>)> = Vec::new();
    for entry in entries {
        if entry.kind == Kind::Dir {
            dirs.push((&entry.path, Vec::new()));
            continue;
        }
        let cut = entry.path.iter().rposition(|&b| b == b'/');
        let (dir, name) =
            cut.map_or((&b""[..], &entry.path[..]), |at| (&entry.path[..at], &entry.path[at + 1..]));
        let file = file(&mut adb, name, &entry.kind);
        match dirs.last_mut() {
            Some((last, files)) if *last == dir => files.push(file),
            _ => dirs.push((dir, vec![file])),
        }
    }
    let dir = |(path, files): &(&[u8], Vec<u32>)| {
        let acl = acl(&mut adb, 0o755);
        let values = [adb.blob(path), acl, adb.object(files)];
        adb.object(&values)
    };
    let dirs: Vec<u32> = dirs.iter().map(dir).collect();
    let paths = adb.object(&dirs);
    let root = adb.object(&[info, paths]);
    adb.file(b"pckg", root, &[])
}

pub fn acl(adb: &mut Adb, mode: u64) -> u32 {
    let root = adb.blob(b"root");
    let mode = adb.int(mode);
    adb.object(&[mode, root, root])
}

fn file(adb: &mut Adb, name: &[u8], kind: &Kind) -> u32 {
    let name = adb.blob(name);
    let acl = acl(adb, 0o644);
    let hash = adb.blob(&Sha256::digest(b""));
    let (size, target) = match kind {
        Kind::File(size) => (*size, 0),
        Kind::Symlink(target) => (0, adb.blob(&[&0o120_000_u16.to_le_bytes()[..], target].concat())),
        Kind::Hardlink(target) => (0, adb.blob(&[&0o100_000_u16.to_le_bytes()[..], target].concat())),
        other => panic!("{other:?}"),
    };
    let size = adb.int(size);
    adb.object(&[name, acl, size, 0x1000_0000, hash, target])
}
