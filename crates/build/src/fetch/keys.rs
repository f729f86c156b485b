//! The keys that indexes must be signed with.

use std::fs;
use std::path::Path;

use hoopy_apk::signature::KeyRing;
use hoopy_base::arch::Arch;
use hoopy_base::input::read_up_to;

use super::FetchError;

macro_rules! alpine {
    ($id:literal) => {
        (
            concat!("alpine-devel@lists.alpinelinux.org-", $id, ".rsa.pub"),
            include_bytes!(concat!("../../keys/alpine-devel@lists.alpinelinux.org-", $id, ".rsa.pub"))
                .as_slice(),
        )
    };
}

/// A key's file: name and PEM.
type KeyFile = (&'static str, &'static [u8]);

const X86_64: [KeyFile; 3] = [alpine!("4a6a0840"), alpine!("5261cecb"), alpine!("6165ee59")];
const AARCH64: [KeyFile; 2] = [alpine!("58199dcc"), alpine!("616ae350")];

/// Alpine's keys for an architecture, as the package `alpine-keys` has them.
fn shipped(arch: Arch) -> &'static [KeyFile] {
    match arch {
        Arch::X86_64 => &X86_64,
        Arch::Aarch64 => &AARCH64,
    }
}

/// A public key's file: a few hundred bytes of PEM.
const MAX_KEY: u64 = 16 << 10;

/// Trusted keys, and the files they are in by name.
pub type Trusted = (KeyRing, Vec<(String, Vec<u8>)>);

/// The trusted keys: those in the directory `own`, or Alpine's where there is none; with their files.
///
/// # Errors
/// [`FetchError::Key`] when the directory has no key or one that does not parse.
pub fn keyring(arch: Arch, own: Option<&Path>) -> Result<Trusted, FetchError> {
    let files = match own {
        None => shipped(arch).iter().map(|(name, pem)| ((*name).to_owned(), pem.to_vec())).collect(),
        Some(dir) => read(dir)?,
    };
    let mut ring = KeyRing::default();
    for (name, pem) in &files {
        ring.add(name, pem).map_err(|e| FetchError::Key {
            path: own.unwrap_or(Path::new("Alpine's keys")).join(name),
            reason: e.to_string(),
        })?;
    }
    Ok((ring, files))
}

fn read(dir: &Path) -> Result<Vec<(String, Vec<u8>)>, FetchError> {
    let bad = |path: &Path, reason: String| FetchError::Key { path: path.to_owned(), reason };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| bad(dir, e.to_string()))? {
        let path = entry.map_err(|e| bad(dir, e.to_string()))?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if !name.ends_with(".rsa.pub") {
            continue;
        }
        files.push((name, read_up_to(&path, MAX_KEY).map_err(|e| bad(&path, e.to_string()))?));
    }
    if files.is_empty() {
        return Err(bad(dir, "no key (a file NAME.rsa.pub) in this directory".to_owned()));
    }
    files.sort();
    Ok(files)
}
