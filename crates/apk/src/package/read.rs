//! Opening a package: signatures and control files at once, the data as a stream.

use std::io::{BufRead, Read};

use super::data::Data;
use super::{PackageError, PackageInfo, ScriptKind};
use crate::gzip::{Digested, Digests, Member};
use crate::record::Checksum;
use crate::signature::{self, KeyRing, Signature, SignatureError};
use crate::tar;

/// Scripts and `.PKGINFO` together; the largest real one is under 200 KiB.
pub const MAX_CONTROL: u64 = 16 << 20;

/// A package, with its control files read and its data still to come.
#[derive(Debug)]
pub struct Opened<R: BufRead> {
    /// What it says of itself.
    pub info: PackageInfo,
    /// Its scripts.
    pub scripts: Vec<(ScriptKind, Vec<u8>)>,
    /// Its identity: the SHA-1 of its compressed control member.
    pub checksum: Checksum,
    /// Its files.
    pub data: Data<R>,
    signatures: Vec<Signature>,
    control: Digested,
}

impl<R: BufRead> Opened<R> {
    /// Checks that a key of `keys` signed the package: for one that no index vouches for.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify_signature(&self, keys: &KeyRing) -> Result<(), SignatureError> {
        keys.verify(&self.signatures, &self.control, ()).map(|_| ())
    }
}

/// Opens the package that `reader` gives.
///
/// # Errors
/// [`PackageError`] when the control files are not what they should be.
pub fn open<R: BufRead>(reader: R) -> Result<Opened<R>, PackageError> {
    let mut archive = tar::Reader::new(Member::new(reader, Digests::all()));
    let mut first = archive.next()?;
    let mut signatures = Vec::new();
    if let Some(entry) = first.take_if(|e| signature::is_signature(&e.path)) {
        signatures = signature::read(entry, &mut archive)?;
        let (rest, _) = archive.into_inner().finish()?;
        archive = tar::Reader::new(Member::new(rest, Digests::all()));
        first = archive.next()?;
    }
    let control = Control::read(first, &mut archive)?;
    let (rest, digested) = archive.into_inner().finish()?;
    let checksum = Checksum::Sha1(digested.sha1);
    let mut info =
        PackageInfo::parse(&control.info.ok_or_else(|| PackageError::Info("there is none".to_owned()))?)?;
    info.record.checksum = checksum;
    let data = Data::new(rest, info.datahash);
    Ok(Opened { info, scripts: control.scripts, checksum, data, signatures, control: digested })
}

/// Checks the whole chain from `checksum` to the last byte of the data.
///
/// # Errors
/// [`PackageError`].
pub fn verify(reader: impl BufRead, checksum: &Checksum) -> Result<(), PackageError> {
    let mut opened = open(reader)?;
    let found = match checksum {
        Checksum::Sha1(_) => opened.checksum,
        Checksum::Sha256(_) => Checksum::Sha256(opened.control.sha256),
    };
    if found != *checksum {
        return Err(PackageError::Checksum { expected: *checksum, found });
    }
    while let Some(mut file) = opened.data.next_file()? {
        file.skip()?;
    }
    opened.data.finish()
}

/// The control member's files.
#[derive(Default)]
struct Control {
    info: Option<String>,
    scripts: Vec<(ScriptKind, Vec<u8>)>,
}

impl Control {
    fn read<R: Read>(first: Option<tar::Entry>, archive: &mut tar::Reader<R>) -> Result<Self, PackageError> {
        let mut control = Self::default();
        let mut left = MAX_CONTROL;
        let mut next = first;
        while let Some(entry) = next {
            if let tar::Kind::File(size) = entry.kind {
                left = left.checked_sub(size).ok_or(PackageError::ControlTooLarge)?;
                let mut bytes = Vec::new();
                archive.read_to_end(&mut bytes)?;
                control.take(&String::from_utf8_lossy(&entry.path), bytes)?;
            }
            next = archive.next()?;
        }
        Ok(control)
    }

    fn take(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), PackageError> {
        if name == ".PKGINFO" {
            let text =
                String::from_utf8(bytes).map_err(|_| PackageError::Info("not UTF-8 text".to_owned()))?;
            self.info = Some(text);
        } else if let Some(kind) = name.strip_prefix('.').and_then(ScriptKind::from_name) {
            self.scripts.push((kind, bytes));
        }
        Ok(())
    }
}
