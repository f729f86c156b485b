//! apk's database of a machine's packages: it tells which files belong to packages, whatever their version.

use std::collections::BTreeMap;

use hoopy_apk::installed;
use hoopy_apk::record::Checksum;
use hoopy_store::layer::EntryPath;
use sha1::{Digest as _, Sha1};

use crate::overlay::{NodeKind, Overlay};

/// Where the database is: of Alpine until 3.22, and since.
const PLACES: [&str; 2] = ["lib/apk/db/installed", "usr/lib/apk/db/installed"];

/// The files of installed packages, with their checksums.
#[derive(Debug, Default)]
pub struct Database {
    files: BTreeMap<EntryPath, Option<Checksum>>,
}

impl Database {
    /// The database of the machine; nothing where the overlay does not have it, or it cannot be read.
    pub fn of(overlay: &Overlay) -> Option<Self> {
        let text = PLACES.iter().find_map(|path| overlay.file(path).ok()?)?;
        let packages = installed::parse(&String::from_utf8_lossy(&text)).ok()?;
        let mut files = BTreeMap::new();
        for dir in packages.into_iter().flat_map(|package| package.dirs) {
            for file in dir.files {
                let path = [dir.path.as_slice(), b"/", file.name.as_slice()].concat();
                if let Ok(path) = EntryPath::new(path) {
                    files.insert(path, file.checksum);
                }
            }
        }
        Some(Self { files })
    }

    /// Whether a package has the path.
    pub fn has(&self, path: &EntryPath) -> bool {
        self.files.contains_key(path)
    }

    /// The same, on either side of a merged `/usr`.
    pub fn has_merged(&self, path: &EntryPath) -> bool {
        let bytes = path.as_bytes();
        let other = match bytes.strip_prefix(b"usr/") {
            Some(rest) => EntryPath::new(rest),
            None => EntryPath::new([b"usr/".as_slice(), bytes].concat()),
        };
        self.has(path) || other.is_ok_and(|other| self.has(&other))
    }

    /// Whether a package has something below the directory.
    pub fn has_below(&self, dir: &EntryPath) -> bool {
        self.files
            .range(dir..)
            .find(|(path, _)| *path != dir)
            .is_some_and(|(path, _)| path.is_within(dir.as_bytes()))
    }

    /// Whether the node is as its package brought it.
    pub fn is_untouched(&self, path: &EntryPath, kind: &NodeKind) -> bool {
        let Some(Some(Checksum::Sha1(expected))) = self.files.get(path) else { return false };
        let found = match kind {
            NodeKind::File(content) => content.read().ok().map(|bytes| Sha1::digest(&bytes)),
            NodeKind::Symlink(target) => Some(Sha1::digest(target)),
            _ => None,
        };
        found.is_some_and(|found| found.as_slice() == expected.as_slice())
    }
}
