//! Opening a package: what it says of itself at once, its files as a stream.

use std::io::{BufRead, Read};

use super::data::{Data, Proof};
use super::{PackageError, PackageInfo, ScriptKind};
use crate::adb;
use crate::adb::container::{self, Schema};
use crate::gzip::{Digests, Member};
use crate::record::Checksum;
use crate::signature::{self, KeyRing};
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
    /// Its identity, as the installed database has it: 20 bytes.
    pub checksum: Checksum,
    /// Its files.
    pub data: Data<R>,
}

/// Why a package may be trusted, when it is opened.
#[derive(Clone, Copy)]
enum Trust<'a> {
    /// The whole file has been proved before.
    Proved,
    /// A key signed it.
    Keys(&'a KeyRing),
    /// An index names it.
    Checksum(&'a Checksum),
}

impl Trust<'_> {
    fn proof(self) -> Proof {
        match self {
            Self::Proved => Proof::Given,
            Self::Keys(_) | Self::Checksum(_) => Proof::Wanted,
        }
    }
}

/// Opens the package that `reader` gives, which must have been proved before: by the digest of its file. What that
/// vouches for is not digested once more, but for the control files, by which a package is known.
///
/// # Errors
/// [`PackageError`] when the control files are not what they should be.
pub fn open<R: BufRead>(reader: R) -> Result<Opened<R>, PackageError> {
    open_with(reader, Trust::Proved)
}

/// Opens a package that no index vouches for, if a key of `keys` signed it: that is decided before anything of it
/// is parsed but the archive around the control files of v2.
///
/// # Errors
/// [`PackageError`].
pub fn open_signed<R: BufRead>(reader: R, keys: &KeyRing) -> Result<Opened<R>, PackageError> {
    open_with(reader, Trust::Keys(keys))
}

/// Checks the whole chain from `checksum` to the last byte of the data.
///
/// # Errors
/// [`PackageError`].
pub fn verify(reader: impl BufRead, checksum: &Checksum) -> Result<(), PackageError> {
    let mut opened = open_with(reader, Trust::Checksum(checksum))?;
    while let Some(mut file) = opened.data.next_file()? {
        file.skip()?;
    }
    opened.data.finish()
}

fn open_with<R: BufRead>(mut reader: R, trust: Trust<'_>) -> Result<Opened<R>, PackageError> {
    // One byte tells them apart: a buffer may hold no more than that.
    if reader.fill_buf()?.first() == adb::MAGIC.first() { v3(reader, trust) } else { v2(reader, trust) }
}

fn v2<R: BufRead>(reader: R, trust: Trust<'_>) -> Result<Opened<R>, PackageError> {
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
    match trust {
        Trust::Proved => {}
        Trust::Keys(keys) => keys.verify(&signatures, &digested, ())?.into_inner(),
        Trust::Checksum(expected @ Checksum::Sha1(_)) => same(expected, checksum)?,
        Trust::Checksum(expected) => same(expected, Checksum::Sha256(digested.sha256))?,
    }
    let mut info =
        PackageInfo::parse(&control.info.ok_or_else(|| PackageError::Info("missing".to_owned()))?)?;
    info.record.checksum = checksum;
    let data = Data::v2(rest, info.datahash, trust.proof());
    Ok(Opened { info, scripts: control.scripts, checksum, data })
}

fn v3<R: BufRead>(reader: R, trust: Trust<'_>) -> Result<Opened<R>, PackageError> {
    let (adb, seal, blocks) = container::open(reader, Schema::Package)?;
    let checksum = Checksum::Sha1(adb::package::cut(&seal.sha256));
    match trust {
        Trust::Proved => {}
        Trust::Keys(keys) => keys.verify_seal(&seal, ())?.into_inner(),
        Trust::Checksum(expected @ Checksum::Sha1(_)) => same(expected, checksum)?,
        Trust::Checksum(expected) => same(expected, Checksum::Sha256(seal.sha256))?,
    }
    let described = adb::package::read(&adb)?;
    let mut info = described.info;
    info.record.checksum = checksum;
    let data = Data::v3(blocks, described.files, trust.proof());
    Ok(Opened { info, scripts: described.scripts, checksum, data })
}

fn same(expected: &Checksum, found: Checksum) -> Result<(), PackageError> {
    if *expected == found { Ok(()) } else { Err(PackageError::Checksum { expected: *expected, found }) }
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
            self.info = Some(String::from_utf8_lossy(&bytes).into_owned());
        } else if let Some(kind) = name.strip_prefix('.').and_then(ScriptKind::from_name) {
            self.scripts.push((kind, bytes));
        }
        Ok(())
    }
}
