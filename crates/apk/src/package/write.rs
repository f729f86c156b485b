//! Writing a package: data member first, since the control member has its digest, then the control member,
//! since the signature is over it; laid out the other way round.

use std::fs::File;
use std::io::{self, Read, Seek as _, Write};

use flate2::write::GzEncoder;
use sha1::{Digest as _, Sha1};

use super::member::{control_member, gzip};
use super::{PackageError, PackageInfo, ScriptKind};
use crate::gzip::Digests;
use crate::record::{Checksum, Record};
use crate::signature::SigningKey;
use crate::tar;

/// A package to write.
#[derive(Debug)]
pub struct NewPackage {
    /// What it says of itself; sizes, checksum and datahash are found as it is written.
    pub info: PackageInfo,
    /// Its scripts.
    pub scripts: Vec<(ScriptKind, Vec<u8>)>,
    /// Seconds since 1970, of the control files.
    pub mtime: u64,
}

/// The data member being written: files in order, directories before what they hold.
#[derive(Debug)]
pub struct DataWriter {
    archive: tar::Writer<GzEncoder<File>>,
    installed: u64,
}

impl DataWriter {
    /// An empty one; what is written goes to a temporary file.
    ///
    /// # Errors
    /// What the system says.
    pub fn new() -> io::Result<Self> {
        Ok(Self { archive: tar::Writer::new(gzip(tempfile::tempfile()?)), installed: 0 })
    }

    /// Adds a file whose content is at hand. Its SHA-1 is filled in, as is that of a link's target.
    ///
    /// # Errors
    /// What the temporary file fails with.
    pub fn add(&mut self, mut entry: tar::Entry, content: &[u8]) -> io::Result<()> {
        match &mut entry.kind {
            tar::Kind::File(size) => {
                *size = content.len() as u64;
                entry.sha1 = Some(Sha1::digest(content).into());
                self.installed += *size;
            }
            tar::Kind::Symlink(target) => entry.sha1 = Some(Sha1::digest(target).into()),
            _ => {}
        }
        self.archive.entry(&entry)?;
        if matches!(entry.kind, tar::Kind::File(_)) {
            self.archive.write_all(content)?;
        }
        Ok(())
    }

    fn finish(self) -> io::Result<(File, u64)> {
        let mut file = self.archive.finish(true)?.finish()?;
        file.rewind()?;
        Ok((file, self.installed))
    }
}

/// Writes the package to `out`, signed where a key is given; gives what an index says of it.
///
/// # Errors
/// [`PackageError`] when it cannot be written or signed.
pub fn write(
    draft: &NewPackage,
    data: DataWriter,
    key: Option<&SigningKey>,
    out: &mut dyn Write,
) -> Result<Record, PackageError> {
    let (mut data, installed) = data.finish()?;
    let mut digests = Digests::sha256();
    copy_through(&mut data, |bytes| {
        digests.update(bytes);
        Ok(())
    })?;
    data.rewind()?;

    let mut info = draft.info.clone();
    info.datahash = Some(digests.finish().sha256);
    // apk does not even open a package that takes no room.
    info.record.installed_size = installed.max(1);
    let control = control(&info, draft)?;
    let mut digests = Digests::all();
    digests.update(&control);
    let digested = digests.finish();
    let signature = key.map(|k| k.member(&digested)).transpose()?.unwrap_or_default();

    out.write_all(&signature)?;
    out.write_all(&control)?;
    let data_size = io::copy(&mut data, out)?;
    let mut record = info.record;
    record.checksum = Checksum::Sha1(digested.sha1);
    record.size = (signature.len() + control.len()) as u64 + data_size;
    Ok(record)
}

fn control(info: &PackageInfo, draft: &NewPackage) -> io::Result<Vec<u8>> {
    let text = info.text();
    let file = |name: &str, mode, bytes: &[u8]| tar::Entry {
        mode,
        mtime: draft.mtime,
        ..tar::Entry::file(name.as_bytes(), bytes.len() as u64)
    };
    let mut entries = vec![(file(".PKGINFO", 0o644, text.as_bytes()), text.as_bytes())];
    for (kind, body) in &draft.scripts {
        entries.push((file(&format!(".{kind}"), 0o755, body), body));
    }
    control_member(&entries)
}

fn copy_through(from: &mut dyn Read, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            n => take(&buffer[..n])?,
        }
    }
}
