//! Where an overlay comes from: a file, a boot medium, a directory, an address, a running machine.

mod archive;
pub mod beneath;
mod crypt;
mod medium;
pub mod pi;
mod remote;
mod walk;

use std::io;
use std::path::{Path, PathBuf};

use hoopy_base::address::without_logins;
use hoopy_base::atomic::directory_of;
use hoopy_base::input::read_up_to;
use hoopy_build::fetch::{Client, FetchError};

pub use archive::ArchiveError;
pub use crypt::CryptError;
pub use remote::{RemoteError, RunRemote};
pub use walk::WalkError;

use crate::overlay::{Hints, Overlay, Scope};

/// What is imported, as the user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file or directory of this computer.
    Path(PathBuf),
    /// An overlay at an address, as the kernel argument `apkovl=` has it.
    Address(String),
    /// A running machine, as ssh(1) knows it.
    Machine(String),
}

impl Source {
    /// `ssh:HOST`, `https://...`, or a path.
    pub fn parse(text: &str) -> Self {
        if let Some(host) = text.strip_prefix("ssh:") {
            Self::Machine(host.to_owned())
        } else if text.starts_with("https://") || text.starts_with("http://") {
            Self::Address(text.to_owned())
        } else {
            Self::Path(text.into())
        }
    }
}

/// As everybody may read it: it is written into files that git keeps.
impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Address(address) => without_logins(address).fmt(f),
            Self::Machine(host) => write!(f, "ssh:{host}"),
        }
    }
}

/// Asks for the passphrase of an overlay.
pub type AskPassphrase<'a> = dyn FnMut(&str) -> io::Result<Vec<u8>> + 'a;

/// How often a passphrase is asked for, as the diskless init does.
const TRIES: usize = 3;

/// A source that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file or directory could not be read.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A directory with several overlays.
    #[error("{}: several overlays: {}", .dir.display(), names(.overlays))]
    Several {
        /// The directory.
        dir: PathBuf,
        /// The overlays.
        overlays: Vec<PathBuf>,
    },
    /// A directory that is neither a medium nor a root.
    #[error("{}: expected a file NAME.apkovl.tar.gz or a directory etc/ in it, found neither", .0.display())]
    Nothing(PathBuf),
    /// An archive that is none.
    #[error("{place}: {source}")]
    Archive {
        /// The file or address.
        place: String,
        /// What is wrong with it.
        source: ArchiveError,
    },
    /// An overlay that could not be decrypted.
    #[error("{place}: {source}")]
    Crypt {
        /// The file or address.
        place: String,
        /// Why.
        source: CryptError,
    },
    /// No passphrase.
    #[error("{place}: it is encrypted, and no passphrase was given: {source}")]
    NoPassphrase {
        /// The file or address.
        place: String,
        /// Why.
        source: io::Error,
    },
    /// A root that could not be read.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// An address that did not answer.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A machine that did not answer.
    #[error("{host}: {source}")]
    Remote {
        /// The machine.
        host: String,
        /// Why.
        source: RemoteError,
    },
}

fn names(paths: &[PathBuf]) -> String {
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    paths.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// What reading a source may need.
pub struct Access<'a> {
    /// For addresses.
    pub client: &'a Client,
    /// For encrypted overlays.
    pub passphrase: &'a mut AskPassphrase<'a>,
    /// For running machines.
    pub remote: &'a mut RunRemote<'a>,
}

/// Reads the overlay of `source`.
///
/// # Errors
/// [`SourceError`].
pub fn read(source: &Source, access: &mut Access<'_>) -> Result<Overlay, SourceError> {
    let mut overlay = read_as_it_is(source, access)?;
    overlay.forget_foreign_owners();
    Ok(overlay)
}

fn read_as_it_is(source: &Source, access: &mut Access<'_>) -> Result<Overlay, SourceError> {
    match source {
        Source::Path(path) if path.is_dir() => directory(path, access),
        Source::Path(path) => file(path, access),
        Source::Address(address) => {
            let bytes = access.client.read(address, archive::MAX_FILE)?;
            // What comes behind `?` is no part of the name.
            let name = PathBuf::from(address.split('?').next().unwrap_or_default());
            let mut overlay = unpack(&bytes, &name, &source.to_string(), access.passphrase)?;
            overlay.hints.host = medium::host(&name);
            overlay.hints.unauthenticated = address.starts_with("http://");
            Ok(overlay)
        }
        Source::Machine(host) => {
            remote::read(access.remote).map_err(|source| SourceError::Remote { host: host.clone(), source })
        }
    }
}

/// Where a root has what its firmware starts.
const BOOT: &str = "boot";

fn directory(dir: &Path, access: &mut Access<'_>) -> Result<Overlay, SourceError> {
    let io = |source| SourceError::Io { path: dir.to_owned(), source };
    if dir.join("etc").is_dir() {
        let whole = ["bin", "sbin", "lib", "usr"].iter().any(|name| dir.join(name).join("apk").exists())
            || dir.join("bin/busybox").symlink_metadata().is_ok();
        let scope = if whole { Scope::Root } else { Scope::Changes };
        let mut overlay = walk::read(dir, scope)?;
        overlay.hints.pi = pi::read(dir, Path::new(BOOT));
        if let Some(files) = &overlay.hints.pi {
            let is_told = |path: &str| files.from.iter().any(|name| path == format!("{BOOT}/{name}"));
            overlay.refused.retain(|refused| !is_told(&refused.path));
        }
        return Ok(overlay);
    }
    let overlays = medium::overlays(dir).map_err(io)?;
    match overlays.as_slice() {
        [] => Err(SourceError::Nothing(dir.to_owned())),
        [overlay] => file(overlay, access),
        _ => Err(SourceError::Several { dir: dir.to_owned(), overlays }),
    }
}

fn file(path: &Path, access: &mut Access<'_>) -> Result<Overlay, SourceError> {
    let io = |source| SourceError::Io { path: path.to_owned(), source };
    let bytes = read_up_to(path, archive::MAX_FILE).map_err(io)?;
    let mut overlay = unpack(&bytes, path, &path.display().to_string(), access.passphrase)?;
    let dir = directory_of(path);
    overlay.hints = Hints { host: medium::host(path), ..medium::hints(dir, path) };
    Ok(overlay)
}

/// The overlay in `bytes`, the content of a file called `name` that lies at `place`. The passphrase of one that is
/// encrypted is asked for.
///
/// # Errors
/// [`SourceError`].
pub fn unpack(
    bytes: &[u8],
    name: &Path,
    place: &str,
    passphrase: &mut AskPassphrase<'_>,
) -> Result<Overlay, SourceError> {
    let archive = |bytes: &[u8]| {
        archive::read(bytes).map_err(|source| SourceError::Archive { place: place.to_owned(), source })
    };
    if !bytes.starts_with(crypt::MAGIC) {
        return archive(bytes);
    }
    let failed = |source| SourceError::Crypt { place: place.to_owned(), source };
    let cipher = medium::cipher(name).unwrap_or_else(|| crypt::DEFAULT_CIPHER.to_owned());
    crypt::check(&cipher).map_err(failed)?;
    let mut result = Err(CryptError::Passphrase);
    for _ in 0..TRIES {
        let given = passphrase(place)
            .map_err(|source| SourceError::NoPassphrase { place: place.to_owned(), source })?;
        result = crypt::decrypt(bytes, &cipher, &given);
        if !matches!(result, Err(CryptError::Passphrase)) {
            break;
        }
    }
    archive(&result.map_err(failed)?)
}
