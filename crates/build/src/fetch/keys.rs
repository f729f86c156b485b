//! The keys that indexes must be signed with.

use std::fs;
use std::path::Path;

use hoopy_apk::signature::{KeyRing, SignatureError};
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
const ARMV7: [KeyFile; 2] = [alpine!("524d27bb"), alpine!("616adfeb")];
const ARMHF: [KeyFile; 2] = [alpine!("524d27bb"), alpine!("616a9724")];

/// Alpine's keys for an architecture, as the package `alpine-keys` has them.
fn shipped(arch: Arch) -> &'static [KeyFile] {
    match arch {
        Arch::X86_64 => &X86_64,
        Arch::Aarch64 => &AARCH64,
        Arch::Armv7 => &ARMV7,
        Arch::Armhf => &ARMHF,
    }
}

/// A public key's file: a few hundred bytes of PEM.
const MAX_KEY: u64 = 16 << 10;

/// Trusted keys, and the files they are in by name.
pub type Trusted = (KeyRing, Vec<(String, Vec<u8>)>);

/// The trusted keys: those in the directory `own`, or Alpine's where there is none; with their files. What else lies in
/// the directory is passed over, as apk does.
///
/// # Errors
/// [`FetchError::Key`] when the directory has no key.
pub fn keyring(arch: Arch, own: Option<&Path>) -> Result<Trusted, FetchError> {
    let mut files = match own {
        None => shipped(arch).iter().map(|(name, pem)| ((*name).to_owned(), pem.to_vec())).collect(),
        Some(dir) => read(dir)?,
    };
    let mut ring = KeyRing::default();
    let mut others = Vec::new();
    files.retain(|(name, pem)| match ring.add(name, pem) {
        Ok(()) => true,
        Err(SignatureError::Key { reason, .. }) => {
            others.push((name.clone(), reason));
            false
        }
        Err(_) => false,
    });
    others.iter().for_each(|(name, reason)| ring.pass_over(name, reason));
    if let Some(dir) = own.filter(|_| ring.is_empty()) {
        let found = others.iter().map(|(name, reason)| format!("; {name}: {reason}")).collect::<String>();
        let reason = format!("no public key in this directory{found}");
        return Err(FetchError::Key { path: dir.to_owned(), reason });
    }
    Ok((ring, files))
}

/// The files of a directory that apk would look at: not the hidden ones. One that is far too large is no key.
fn read(dir: &Path) -> Result<Vec<(String, Vec<u8>)>, FetchError> {
    let bad = |path: &Path, reason: String| FetchError::Key { path: path.to_owned(), reason };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(|e| bad(dir, e.to_string()))? {
        let path = entry.map_err(|e| bad(dir, e.to_string()))?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let small = fs::metadata(&path).is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_KEY);
        if name.starts_with('.') || !small {
            continue;
        }
        files.push((name, read_up_to(&path, MAX_KEY).map_err(|e| bad(&path, e.to_string()))?));
    }
    files.sort();
    Ok(files)
}
