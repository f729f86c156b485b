//! `hoopy info`: all that an index says of a package.

use hoopy_apk::resolve::similar_names;
use hoopy_apk::{Dependency, Record};
use hoopy_lock::{Lock, LockedPackage};
use serde::Serialize;

use super::QueryError;
use super::shelf::Shelf;

/// What an index says of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Info {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The repository that has it, with its tag where it has one.
    pub repository: String,
    /// What it says of itself.
    pub description: String,
    /// Bytes of the package file.
    pub size: u64,
    /// Bytes when installed.
    pub installed_size: u64,
    /// Its licence.
    pub license: String,
    /// The source package.
    pub origin: String,
    /// Where it comes from.
    pub url: String,
    /// Seconds since 1970 at which it was built.
    pub build_time: u64,
    /// What it depends on and conflicts with.
    pub depends: Vec<String>,
    /// What it provides.
    pub provides: Vec<String>,
    /// What must all be there for it to come by itself.
    pub install_if: Vec<String>,
    /// Whether it is locked.
    pub locked: Locked,
}

/// How a package stands to the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "version")]
pub enum Locked {
    /// There is no lock.
    NoLock,
    /// It is not in the lock.
    No,
    /// Another version is.
    Other(String),
    /// It is.
    Yes,
}

/// What the repositories say of the package `name`, or of those that provide it; the newest first.
///
/// # Errors
/// [`QueryError::NotThere`] where no repository has it.
pub fn info(shelves: &[Shelf], name: &str, lock: Option<&Lock>) -> Result<Vec<Info>, QueryError> {
    let all = || shelves.iter().flat_map(|s| s.records.iter().map(move |r| (s, r)));
    let mut found: Vec<_> = all().filter(|(_, r)| &*r.name == name).collect();
    if found.is_empty() {
        found = all().filter(|(_, r)| r.provides.iter().any(|p| &*p.name == name)).collect();
    }
    if found.is_empty() {
        let provided = all().flat_map(|(_, r)| r.provides.iter().map(|p| &*p.name));
        let names = all().map(|(_, r)| &*r.name).chain(provided);
        return Err(QueryError::NotThere { name: name.to_owned(), similar: similar_names(names, name) });
    }
    // Stable: of equal versions the repository that comes first is first.
    found.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name).then_with(|| b.version.cmp(&a.version)));
    Ok(found.into_iter().map(|(shelf, record)| of(shelf, record, lock)).collect())
}

fn of(shelf: &Shelf, record: &Record, lock: Option<&Lock>) -> Info {
    let texts = |deps: &[Dependency]| deps.iter().map(ToString::to_string).collect();
    Info {
        name: record.name.to_string(),
        version: record.version.to_string(),
        repository: shelf.label(),
        description: record.description.to_string(),
        size: record.size,
        installed_size: record.installed_size,
        license: record.license.to_string(),
        origin: record.origin.to_string(),
        url: record.url.to_string(),
        build_time: record.build_time,
        depends: texts(&record.depends),
        provides: texts(&record.provides),
        install_if: texts(&record.install_if),
        locked: locked(shelf, record, lock),
    }
}

fn locked(shelf: &Shelf, record: &Record, lock: Option<&Lock>) -> Locked {
    let Some(lock) = lock else { return Locked::NoLock };
    let same = |p: &&LockedPackage| p.name == *record.name;
    let this = |p: &LockedPackage| p.version == record.version.as_str() && p.repository == shelf.repository;
    match lock.packages.iter().find(same) {
        None => Locked::No,
        Some(p) if this(p) => Locked::Yes,
        Some(p) => Locked::Other(p.version.clone()),
    }
}
