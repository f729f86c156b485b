//! Which packages an image holds, and whose each file is: what apk's database in it says.

use std::collections::{BTreeSet, HashMap};

use hoopy_apk::installed;
use serde::Serialize;

use super::Image;
use super::root::Kind;

/// Where apk has its database: apk 2 and 3, and apk 3 where `/lib` is a link into `/usr`.
const DATABASES: [&[u8]; 2] = [b"lib/apk/db/installed", b"usr/lib/apk/db/installed"];

/// A database of ten thousand packages has less; what a larger one would become in memory is a multiple of it.
const MAX_DATABASE: u64 = 64 << 20;

/// A package in the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Bytes it says that it takes, unpacked.
    pub installed_size: u64,
    /// Its license, as it says.
    pub license: String,
}

/// The packages of an image.
#[derive(Debug, Default)]
pub struct Packages {
    /// In the order of names.
    pub all: Vec<Package>,
    /// What is wrong with the database, where something is.
    pub problem: Option<String>,
    /// Paths, and whose they are: a place in `all`.
    owners: HashMap<Vec<u8>, usize>,
}

impl Packages {
    /// Reads the database of an image; nothing where there is none.
    pub fn of(image: &Image) -> Self {
        let Some(bytes) = DATABASES.iter().find_map(|path| image.read_small(path, MAX_DATABASE)) else {
            return Self::default();
        };
        match installed::parse(&String::from_utf8_lossy(&bytes)) {
            Ok(packages) => Self::from_database(packages),
            Err(e) => Self { problem: Some(format!("the package database: {e}")), ..Self::default() },
        }
    }

    fn from_database(mut packages: Vec<installed::Installed>) -> Self {
        packages.sort_by(|a, b| a.record.name.cmp(&b.record.name));
        let mut found = Self::default();
        for (index, package) in packages.into_iter().enumerate() {
            let record = &package.record;
            found.all.push(Package {
                name: record.name.to_string(),
                version: record.version.to_string(),
                installed_size: record.installed_size,
                license: record.license.to_string(),
            });
            for dir in &package.dirs {
                let below = |name: &[u8]| match dir.path.as_slice() {
                    b"" => name.to_vec(),
                    dir => [dir, b"/", name].concat(),
                };
                found.owners.extend(dir.files.iter().map(|file| (below(&file.name), index)));
            }
        }
        found
    }

    /// Whose the file at `path` is.
    pub fn owner(&self, path: &[u8]) -> Option<&Package> {
        self.owners.get(path).and_then(|&index| self.all.get(index))
    }
}

impl Package {
    /// `NAME-VERSION`
    pub fn label(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

/// For each segment, the packages that its files are of; none where some file is of no package.
pub(super) fn of_segments(image: &Image) -> Vec<Vec<String>> {
    let packages = Packages::of(image);
    let mut owners: Vec<Option<BTreeSet<usize>>> = vec![Some(BTreeSet::new()); image.segments.len()];
    image.root.walk(image.root.top(), &mut |path, _, node| {
        if matches!(node.kind, Kind::Dir(_)) {
            return;
        }
        let Some(known) = owners.get_mut(node.segment as usize) else { return };
        match (packages.owners.get(path), &mut *known) {
            (Some(&owner), Some(owners)) => drop(owners.insert(owner)),
            _ => *known = None,
        }
    });
    let labels = |owners: BTreeSet<usize>| {
        let packages = owners.into_iter().filter_map(|owner| packages.all.get(owner));
        packages.map(Package::label).collect()
    };
    owners.into_iter().map(|owners| owners.map(labels).unwrap_or_default()).collect()
}
