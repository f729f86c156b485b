//! The package for Alpine Linux, in apk's format 2, which apk 3 reads too. It is not signed: every
//! machine would need the project's key first, and the checksums serve as well.

use hoopy_apk::package::PackageInfo;
use hoopy_apk::package::write::{DataWriter, NewPackage, write as write_package};
use hoopy_apk::tar::{Entry, Kind};
use hoopy_apk::{Record, Version};

use super::Release;
use super::files::directories;

/// `hoopy-VERSION-r0.ARCH.apk`: with the architecture, since files for both lie in one directory.
pub fn file_name(release: &Release) -> String {
    format!("hoopy-{}-r0.{}.apk", release.version, release.arch)
}

/// The whole file.
pub fn write(release: &Release) -> anyhow::Result<Vec<u8>> {
    let placed: Vec<String> = release.files.iter().map(|file| format!("usr/{}", file.path)).collect();
    let mut data = DataWriter::new()?;
    for path in directories(placed.iter().map(String::as_str)) {
        let kind = Kind::Dir;
        data.add(Entry { kind, mode: 0o755, mtime: release.epoch, ..Entry::file(path.as_bytes(), 0) }, &[])?;
    }
    for (path, file) in placed.iter().zip(&release.files) {
        let entry = Entry { mode: file.mode, mtime: release.epoch, ..Entry::file(path.as_bytes(), 0) };
        data.add(entry, &file.content)?;
    }
    let info = PackageInfo { record: record(release), triggers: Vec::new(), datahash: None };
    let draft = NewPackage { info, scripts: Vec::new(), mtime: release.epoch };
    let mut out = Vec::new();
    write_package(&draft, data, None, &mut out)?;
    Ok(out)
}

fn record(release: &Release) -> Record {
    let mut record = Record::empty();
    record.name = "hoopy".into();
    record.version = Version::new(&format!("{}-r0", release.version));
    record.arch = release.arch.as_str().into();
    record.origin = "hoopy".into();
    record.license = "Apache-2.0 OR MIT".into();
    record.description = "Alpine Linux machines in one bootable file".into();
    record.build_time = release.epoch;
    record
}
