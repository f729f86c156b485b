//! Signing a program in a file, and reading who signed one.

use std::fs::File;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

use hoopy_base::atomic::Readers;
use hoopy_base::destination::OutputFile;

use crate::CertifiedSigner;
use crate::authenticode::{LayoutError, Refusal, Scan, SignError, Signature, attach, verify};
use crate::certificate::Certificate;
use crate::kind::{ProgramKind, kind};

/// Why a program in a file is not signed, or not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// A file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no program that can be signed.
    #[error("{}: {source}", .path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: LayoutError,
    },
    /// There is no signature.
    #[error("sign {}: {source}", .path.display())]
    Sign {
        /// The file.
        path: PathBuf,
        /// Why.
        source: SignError,
    },
    /// It is not signed as it has to be.
    #[error("{}: expected a signature under {expected}, found {found}", .path.display())]
    NotSigned {
        /// The file.
        path: PathBuf,
        /// Whom the certificate is for.
        expected: String,
        /// What there is.
        found: String,
    },
}

/// Signs the program in the file `from`, and writes it to `to`, which may be the same. Signatures of others are kept.
///
/// # Errors
/// [`ProgramError`]; `to` is as it was then.
pub fn sign(from: &Path, to: &Path, by: &[CertifiedSigner<'_>]) -> Result<(), ProgramError> {
    let io_of = |path: &Path| {
        let path = path.to_owned();
        move |source| ProgramError::Io { path, source }
    };
    let (mut file, scan) = scan(from)?;
    let attachment =
        attach(&scan, by).map_err(|source| ProgramError::Sign { path: from.to_owned(), source })?;
    let mut output = OutputFile::new(to).map_err(io_of(to))?;
    attachment.write(&mut file, output.file()).map_err(io_of(to))?;
    // Who may not read the one without a signature may not read the one with it
    let readers = Readers::of_file(from).map_err(io_of(from))?;
    output.finish(readers).map_err(io_of(to))
}

/// The same of a program in memory, which is called `name`.
///
/// # Errors
/// [`ProgramError`].
pub fn signed(name: &Path, program: &[u8], by: &[CertifiedSigner<'_>]) -> Result<Vec<u8>, ProgramError> {
    let path = || name.to_owned();
    let mut program = Cursor::new(program);
    let scan = Scan::of(&mut program).map_err(|source| ProgramError::Layout { path: path(), source })?;
    let attachment = attach(&scan, by).map_err(|source| ProgramError::Sign { path: path(), source })?;
    let mut signed = Vec::new();
    let written = attachment.write(&mut program, &mut signed);
    written.map(|()| signed).map_err(|source| ProgramError::Io { path: path(), source })
}

/// That the program in this file has a signature that counts under `trusted`.
///
/// # Errors
/// [`ProgramError`]: what it has instead.
pub fn expect_signature(path: &Path, trusted: &Certificate) -> Result<(), ProgramError> {
    let (_, scan) = scan(path)?;
    let all = verify(&scan);
    if all.iter().flatten().any(|signature| signature.is_trusted_by(trusted)) {
        return Ok(());
    }
    let tell = |found: &Result<_, Refusal>| match found {
        Ok(signature) => who(signature),
        Err(refusal) => refusal.to_string(),
    };
    let found: Vec<String> = all.iter().map(tell).collect();
    let found = if found.is_empty() { "none".to_owned() } else { found.join("; ") };
    Err(ProgramError::NotSigned { path: path.to_owned(), expected: trusted.subject(), found })
}

/// What the program in this file lets happen when it runs.
///
/// # Errors
/// [`ProgramError::Layout`], [`ProgramError::Io`].
pub fn kind_of(path: &Path) -> Result<ProgramKind, ProgramError> {
    let mut file = File::open(path).map_err(|source| ProgramError::Io { path: path.to_owned(), source })?;
    kind(&mut file).map_err(|source| ProgramError::Layout { path: path.to_owned(), source: source.into() })
}

fn who(signature: &Signature) -> String {
    format!("one by {}", signature.signer().subject())
}

fn scan(path: &Path) -> Result<(File, Scan), ProgramError> {
    let mut file = File::open(path).map_err(|source| ProgramError::Io { path: path.to_owned(), source })?;
    let scan = Scan::of(&mut file);
    scan.map(|scan| (file, scan)).map_err(|source| ProgramError::Layout { path: path.to_owned(), source })
}
