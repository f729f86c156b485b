//! Where packages come from.

use hoopy_base::arch::Arch;

use super::branch::{FALLBACK_BRANCH, LATEST_STABLE, release_dir};

/// Alpine's own mirror network.
pub const DEFAULT_MIRROR: &str = "https://dl-cdn.alpinelinux.org/alpine";

/// A repository to resolve from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// What the lock calls it: `main`, `community`, or as written.
    pub name: String,
    /// The tag of packages that may come from it; none means every package.
    pub tag: Option<String>,
    /// An address or a directory, with `ARCH/APKINDEX.tar.gz` below it; or that of an index.
    pub location: String,
}

/// What the name of an index ends in that a repository names itself, as OpenWrt's feeds do: their packages lie beside it.
pub(super) const INDEX: &str = ".adb";

impl Repository {
    /// `main` of the newest release and of the fallback, on this mirror or Alpine's: what a system uses that says nothing
    /// of branches and repositories, and what it uses where the mirror does not have that.
    pub fn default_main(mirror: Option<&str>) -> [Self; 2] {
        let mirror = mirror.unwrap_or(DEFAULT_MIRROR).trim_end_matches('/');
        [LATEST_STABLE, FALLBACK_BRANCH].map(|branch| Self::of_branch("main", without_scheme(mirror), branch))
    }

    /// One of the repositories that every branch has.
    pub fn of_branch(name: &str, mirror: &str, branch: &str) -> Self {
        let location = format!("{mirror}/{}/{name}", release_dir(branch));
        Self { name: name.to_owned(), tag: None, location }
    }

    /// Whether its name alone says nothing of the branch: it is that of the system.
    pub(super) fn follows_branch(&self) -> bool {
        self.own_index().is_none() && !self.name.contains('/')
    }

    /// Where its index is, if it says: it is in a directory for each architecture otherwise.
    pub fn own_index(&self) -> Option<&str> {
        Some(&*self.location).filter(|location| location.ends_with(INDEX))
    }

    /// Where its package file `file` is.
    pub fn package_place(&self, arch: Arch, file: &str) -> String {
        match self.own_index() {
            Some(index) => index.rsplit_once('/').map_or(file.to_owned(), |(dir, _)| format!("{dir}/{file}")),
            None => format!("{}/{arch}/{file}", self.location),
        }
    }
}

/// The words that apk knows before an address (apk-repositories(5)). What kind of index there is, is seen there.
pub(super) const KINDS: [&str; 3] = ["ndx ", "v2 ", "v3 "];

/// A path without `file:`; another address as it is.
pub(super) fn without_scheme(place: &str) -> &str {
    place.strip_prefix("file://").or_else(|| place.strip_prefix("file:")).unwrap_or(place)
}
