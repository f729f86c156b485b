//! `hoopy.lock`: TOML, sorted by name, one table a package, so that a git diff of it can be read.

use std::io;
use std::path::{Path, PathBuf};

use hoopy_base::arch::Arch;
use hoopy_base::atomic::edit_file;
use hoopy_base::digest::ContentId;
use hoopy_base::input::read_up_to;
use serde::{Deserialize, Serialize};

/// The version of the file format.
const FORMAT: u32 = 1;

/// Larger than any lock: 100,000 packages of 400 bytes.
const MAX_SIZE: u64 = 40 << 20;

const HEAD: &str = "\
# Written by `hoopy lock` and `hoopy update`: the exact packages of this system. Commit it; do not edit it.

";

/// The exact packages of a system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Lock {
    /// The version of the file format.
    pub format: u32,
    /// The architecture.
    pub arch: Arch,
    /// The Alpine branch.
    pub branch: String,
    /// Seconds since 1970: no time in an image is later. It is when the newest package was built.
    pub epoch: u64,
    /// What `packages` asked for when the lock was made, sorted.
    pub world: Vec<String>,
    /// The repositories resolved from.
    #[serde(rename = "repository", default)]
    pub repositories: Vec<LockedRepository>,
    /// The packages, sorted by role and name.
    #[serde(rename = "package", default)]
    pub packages: Vec<LockedPackage>,
    /// The images of declared containers that are named by a tag, sorted.
    #[serde(rename = "image", default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<LockedImage>,
}

/// The image of a container, as its registry had it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedImage {
    /// Registry, name and tag: `docker.io/library/caddy:2`.
    pub name: String,
    /// SHA-256 of its manifest: what podman calls its digest.
    pub sha256: ContentId,
}

/// A repository as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedRepository {
    /// Its name in `hoopy.toml`: `main`, `community`, an address.
    pub name: String,
    /// Its tag in `hoopy.toml`, where only packages with that tag come from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// What its index says of itself: Alpine's is its branch and commit.
    pub description: String,
    /// SHA-256 of its `APKINDEX.tar.gz` or `Packages.adb`.
    pub index: ContentId,
    /// When the newest package of the index was built, in seconds since 1970: an index with an older one is older. Locks
    /// of earlier versions of hoopy do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<u64>,
}

/// A package as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The repository it comes from.
    pub repository: String,
    /// Bytes of the file.
    pub size: u64,
    /// The checksum in the index: `Q1` and base64 of the SHA-1 of its control member; of a v3 index, `Q2` and base64
    /// of a SHA-256.
    pub checksum: String,
    /// SHA-256 of the file.
    pub sha256: ContentId,
    /// What it is for, where it is not part of the root.
    #[serde(default, skip_serializing_if = "Role::is_root")]
    pub role: Role,
}

impl LockedPackage {
    /// The file's name in its repository.
    pub fn file_name(&self) -> String {
        format!("{}-{}.apk", self.name, self.version)
    }
}

/// What a package is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It is installed in the image.
    #[default]
    Root,
    /// It brings the EFI stub, and is not installed.
    Stub,
    /// It brings systemd-boot, for the layout `ab`, and is not installed.
    Loader,
}

impl Role {
    fn is_root(&self) -> bool {
        *self == Self::Root
    }
}

/// A lock that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// It could not be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The lock.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no lock.
    #[error("{}: {message}", .path.display())]
    Parse {
        /// The lock.
        path: PathBuf,
        /// What was expected and what was found.
        message: String,
    },
    /// It is a lock of another version of hoopy.
    #[error("{}: format {found}, and this hoopy reads format {FORMAT}", .path.display())]
    Format {
        /// The lock.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
}

impl Lock {
    /// An empty lock.
    pub fn new(arch: Arch, branch: &str, world: Vec<String>) -> Self {
        let branch = branch.to_owned();
        Self {
            format: FORMAT,
            arch,
            branch,
            epoch: 0,
            world,
            repositories: Vec::new(),
            packages: Vec::new(),
            images: Vec::new(),
        }
    }

    /// Reads the lock at `path`; `None` where there is none.
    ///
    /// # Errors
    /// [`LockError`] when it cannot be read or is no lock.
    pub fn read(path: &Path) -> Result<Option<Self>, LockError> {
        Self::read_text(path)?.map(|text| Self::parse(path, &text)).transpose()
    }

    /// Reads the text of the lock at `path`; `None` where there is none.
    ///
    /// # Errors
    /// [`LockError`] when it cannot be read, or is too long for a lock.
    pub fn read_text(path: &Path) -> Result<Option<String>, LockError> {
        let io = |source| LockError::Io { path: path.to_owned(), source };
        let bytes = match read_up_to(path, MAX_SIZE) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(io)?,
        };
        let text = String::from_utf8(bytes).map_err(|_| io(io::ErrorKind::InvalidData.into()))?;
        Ok(Some(text))
    }

    /// Reads the text of a lock; `path` is for messages.
    ///
    /// # Errors
    /// [`LockError`] when it is no lock.
    pub fn parse(path: &Path, text: &str) -> Result<Self, LockError> {
        let lock: Self = toml::from_str(text).map_err(|e| LockError::Parse {
            path: path.to_owned(),
            message: e.to_string().trim_end().to_owned(),
        })?;
        if lock.format != FORMAT {
            return Err(LockError::Format { path: path.to_owned(), found: lock.format });
        }
        if let Some(bad) = lock.packages.iter().find(|p| !plain(&p.name) || !plain(&p.version)) {
            let message =
                format!("{:?} {:?}: a name or version that no file can have", bad.name, bad.version);
            return Err(LockError::Parse { path: path.to_owned(), message });
        }
        Ok(lock)
    }

    /// The text of the lock.
    pub fn text(&self) -> String {
        let mut sorted = self.clone();
        sorted.images.sort_by(|a, b| a.name.cmp(&b.name));
        sorted.packages.sort_by(|a, b| (a.role, &a.name).cmp(&(b.role, &b.name)));
        let body = toml::to_string(&sorted).expect("a lock has nothing that TOML cannot say");
        format!("{HEAD}{body}")
    }

    /// Writes the lock to `path`, whole or not at all; untouched where it is the same already.
    ///
    /// # Errors
    /// [`LockError::Io`].
    pub fn write(&self, path: &Path) -> Result<(), LockError> {
        let text = self.text();
        if read_up_to(path, MAX_SIZE).is_ok_and(|old| old == text.as_bytes()) {
            return Ok(());
        }
        edit_file(path, text.as_bytes()).map_err(|source| LockError::Io { path: path.to_owned(), source })
    }

    /// The packages with this role, sorted by name.
    pub fn with_role(&self, role: Role) -> impl Iterator<Item = &LockedPackage> {
        self.packages.iter().filter(move |p| p.role == role)
    }
}

/// File names are made of it, so it holds nothing that leaves a directory.
fn plain(text: &str) -> bool {
    !text.is_empty() && text.len() < 200 && !text.starts_with('.') && !text.contains(['/', '\0', '\n'])
}
