//! Archives: the one that is unpacked anywhere, and those inside other formats.

use std::io::Write as _;

use hoopy_apk::tar::{Entry, Kind, Writer};

use super::Release;
use super::files::{File, directories, packed};

/// `hoopy-VERSION-ARCH-linux/` with `bin`, `lib` and `share`, to be unpacked anywhere or over `/usr/local`.
pub fn write(release: &Release) -> anyhow::Result<Vec<u8>> {
    packed(&archive(&release.files, &format!("{}/", release.stem()), release.epoch)?)
}

/// These files below `prefix`, which ends in a slash, with every directory above them. A path that ends in a slash is a
/// directory with a mode of its own.
pub fn archive(files: &[File], prefix: &str, epoch: u64) -> anyhow::Result<Vec<u8>> {
    let placed: Vec<(String, &File)> = files.iter().map(|f| (format!("{prefix}{}", f.path), f)).collect();
    let mut out = Writer::new(Vec::new());
    for path in directories(placed.iter().map(|(path, _)| path.as_str())) {
        // dpkg(1) has all of its paths begin with a dot, and the dot alone too.
        let own = placed.iter().find(|(name, _)| name.strip_suffix('/') == Some(path.as_str()));
        let mode = own.map_or(0o755, |(_, file)| file.mode);
        out.entry(&Entry { kind: Kind::Dir, mode, mtime: epoch, ..Entry::file(path.as_bytes(), 0) })?;
    }
    for (path, file) in placed.into_iter().filter(|(path, _)| !path.ends_with('/')) {
        let entry = Entry::file(path.as_bytes(), file.content.len() as u64);
        out.entry(&Entry { mode: file.mode, mtime: epoch, ..entry })?;
        out.write_all(&file.content)?;
    }
    Ok(out.finish(true)?)
}
