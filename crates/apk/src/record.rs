//! What an index, a package or the installed database says about one package.

use crate::dependency::Dependency;
use crate::version::Version;

/// The identity of a package (`C:`): of a v2 package, the SHA-1 of its compressed control member, written
/// `Q1` and base64; of a v3 package, the SHA-256 of its database, written `Q2`, or the first 20 bytes of it, written
/// `Q1` as well: so the installed database has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Checksum {
    /// `Q1`
    Sha1([u8; 20]),
    /// `Q2`
    Sha256([u8; 32]),
}

/// One package described. Field letters are those of the v2 index (apk-tools `doc/apk-package.5`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `C:`
    pub checksum: Checksum,
    /// `P:`
    pub name: Box<str>,
    /// `V:`
    pub version: Version,
    /// `A:`, empty where absent.
    pub arch: Box<str>,
    /// `S:` bytes of the package file.
    pub size: u64,
    /// `I:` bytes when installed.
    pub installed_size: u64,
    /// `T:`
    pub description: Box<str>,
    /// `U:`
    pub url: Box<str>,
    /// `L:`
    pub license: Box<str>,
    /// `o:` the source package.
    pub origin: Box<str>,
    /// `m:`
    pub maintainer: Box<str>,
    /// `t:` seconds since 1970.
    pub build_time: u64,
    /// `c:` commit of the build recipe.
    pub commit: Box<str>,
    /// `k:` preference among providers of one name.
    pub provider_priority: u32,
    /// `q:` whose file wins a conflict.
    pub replaces_priority: u32,
    /// `D:`
    pub depends: Vec<Dependency>,
    /// `p:`
    pub provides: Vec<Dependency>,
    /// `r:`
    pub replaces: Vec<Dependency>,
    /// `i:`
    pub install_if: Vec<Dependency>,
    /// A field that has to be known and is not: the package cannot be installed.
    pub unknown_field: Option<char>,
}

impl Record {
    /// Its name and what else it provides, with or without a version.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.name).chain(self.provides.iter().map(|p| &*p.name))
    }

    /// Whether it is what a dependency asks for.
    pub fn offers(&self, wanted: &Dependency) -> bool {
        let provided = |p: &Dependency| {
            p.name == wanted.name && wanted.satisfied_by(p.constraint.as_ref().map(|c| &c.1))
        };
        (self.name == wanted.name && wanted.satisfied_by(Some(&self.version)))
            || self.provides.iter().any(provided)
    }
}
