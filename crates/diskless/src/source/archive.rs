//! An apkovl: a gzipped tar. It is read into memory within bounds, and never unpacked anywhere.

use std::io::Read;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use hoopy_apk::tar::{self, Reader, TarError};
use hoopy_base::size;
use hoopy_store::layer::EntryPath;

use crate::import::CAPABILITY;
use crate::overlay::{Content, Node, NodeKind, Overlay, Refused};

/// The largest overlay file. Overlays hold configuration; one of a few megabytes is large.
pub const MAX_FILE: u64 = 256 << 20;

/// The most that all files of an overlay may hold.
pub const MAX_CONTENT: u64 = 512 << 20;

/// The most that one file may hold: what is larger is data, not configuration.
pub const MAX_ONE: u64 = 64 << 20;

/// The most paths.
const MAX_ENTRIES: usize = 200_000;

/// An archive that is not read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Not tar, or damaged.
    #[error("not a gzipped tar archive, or damaged: {0}")]
    Tar(#[from] TarError),
    /// More than an overlay holds.
    #[error("too large: it holds more than {}, which no overlay does", size::show(MAX_CONTENT))]
    TooLarge,
    /// More paths than an overlay holds.
    #[error("too many entries: it holds more than {MAX_ENTRIES} paths, which no overlay does")]
    TooMany,
    /// It stops where another entry may come.
    #[error("cut short: expected an empty block at the end of the archive, found none")]
    CutShort,
    /// Nothing in it.
    #[error("it is empty: expected files below etc/")]
    Empty,
}

/// Reads the gzipped archive `from`.
///
/// # Errors
/// [`ArchiveError`].
pub fn read(from: impl Read) -> Result<Overlay, ArchiveError> {
    // A few kilobytes of gzip can hold terabytes, and a file that is passed over is inflated all the same.
    let mut reader = Reader::new(MultiGzDecoder::new(from).take(2 * MAX_CONTENT));
    let mut overlay = Overlay::default();
    let (mut total, mut count) = (0_u64, 0);
    while let Some(entry) = reader.next()? {
        count += 1;
        if count > MAX_ENTRIES {
            return Err(ArchiveError::TooMany);
        }
        if matches!(entry.path.as_slice(), b"" | b"." | b"./" | b"/") {
            continue;
        }
        let refuse = |overlay: &mut Overlay, reason: String| {
            overlay.refused.push(Refused { path: String::from_utf8_lossy(&entry.path).into_owned(), reason });
        };
        let path = match EntryPath::new(&entry.path) {
            Ok(path) => path,
            Err(bad) => {
                refuse(&mut overlay, bad.reason.to_owned());
                continue;
            }
        };
        let kind = match &entry.kind {
            tar::Kind::File(size) if *size > MAX_ONE => {
                let limit = size::show(MAX_ONE);
                refuse(&mut overlay, format!("{}: more than {limit} in one file", size::show(*size)));
                continue;
            }
            tar::Kind::File(size) => {
                total += size;
                if total > MAX_CONTENT {
                    return Err(ArchiveError::TooLarge);
                }
                let mut bytes = Vec::new();
                reader.read_to_end(&mut bytes).map_err(TarError::Io)?;
                NodeKind::File(Content::Bytes(bytes.into()))
            }
            tar::Kind::Hardlink(first) => match linked(&overlay, first) {
                Some(content) => NodeKind::File(Content::Bytes(content)),
                None => {
                    refuse(&mut overlay, "a hard link to a file that the archive does not hold".to_owned());
                    continue;
                }
            },
            tar::Kind::Symlink(target) => NodeKind::Symlink(target.clone()),
            tar::Kind::Dir => NodeKind::Dir,
            tar::Kind::Char(..) => NodeKind::Special("a character device"),
            tar::Kind::Block(..) => NodeKind::Special("a block device"),
            tar::Kind::Fifo => NodeKind::Special("a named pipe"),
            tar::Kind::Sparse(_) => {
                let reason =
                    "a file that GNU tar packed without its holes: pack it again without --sparse (-S)";
                refuse(&mut overlay, reason.to_owned());
                continue;
            }
        };
        if let Some(value) = entry.xattrs.get(CAPABILITY) {
            overlay.capabilities.insert(path.clone(), value.clone());
        }
        overlay.nodes.insert(path, Node { kind, mode: entry.mode, uid: entry.uid, gid: entry.gid });
    }
    if overlay.nodes.is_empty() && overlay.refused.is_empty() {
        return Err(ArchiveError::Empty);
    }
    if !reader.has_ended() {
        return Err(ArchiveError::CutShort);
    }
    overlay.drop_paths_below_links();
    Ok(overlay)
}

fn linked(overlay: &Overlay, first: &[u8]) -> Option<Arc<[u8]>> {
    match &overlay.nodes.get(&EntryPath::new(first).ok()?)?.kind {
        NodeKind::File(Content::Bytes(bytes)) => Some(bytes.clone()),
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use hoopy_apk::tar::Writer;
    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    proptest! {
        #[test]
        fn no_input_crashes_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..3000), zipped in any::<bool>()) {
            let _ = read(if zipped { gzip(&bytes) } else { bytes }.as_slice());
        }
    }

    #[test]
    fn a_file_that_is_too_large_is_named_and_what_comes_behind_it_is_read() {
        let mut writer = Writer::new(GzEncoder::new(Vec::new(), Compression::fast()));
        writer.entry(&tar::Entry::file(b"var/film", MAX_ONE + 1)).unwrap();
        std::io::copy(&mut std::io::repeat(0).take(MAX_ONE + 1), &mut writer).unwrap();
        writer.entry(&tar::Entry::file(b"etc/motd", 2)).unwrap();
        writer.write_all(b"x\n").unwrap();
        let bytes = writer.finish(true).unwrap().finish().unwrap();
        let overlay = read(bytes.as_slice()).unwrap();
        assert_eq!(overlay.text("etc/motd").unwrap(), "x\n");
        assert!(matches!(overlay.refused.as_slice(), [Refused { path, .. }] if path == "var/film"));
    }

    #[test]
    fn a_sparse_file_is_named_in_every_format_of_gnu_tar_and_the_others_are_read() {
        for format in [
            &["--format=gnu"][..],
            &["--format=posix"],
            &["--format=posix", "--sparse-version=0.0"],
            &["--format=posix", "--sparse-version=0.1"],
        ] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir(dir.path().join("etc")).unwrap();
            let file = std::fs::File::create(dir.path().join("etc/holes")).unwrap();
            for hole in 1..60 {
                std::os::unix::fs::FileExt::write_at(&file, b"data", hole << 16).unwrap();
            }
            drop(file);
            std::fs::write(dir.path().join("etc/motd"), "x\n").unwrap();
            let mut tar = std::process::Command::new("tar");
            tar.args(format).args(["-S", "-c", "etc/holes", "etc/motd"]).current_dir(&dir);
            let out = tar.output().unwrap();
            assert!(out.status.success(), "{format:?}");
            let overlay = read(gzip(&out.stdout).as_slice()).unwrap();
            assert_eq!(overlay.text("etc/motd").unwrap(), "x\n", "{format:?}");
            assert!(
                matches!(overlay.refused.as_slice(), [Refused { path, .. }] if path == "etc/holes"),
                "{format:?}"
            );
        }
    }

    #[test]
    fn an_archive_that_stops_between_two_entries_is_not_whole() {
        let archive = |end: bool| {
            let mut writer = Writer::new(GzEncoder::new(Vec::new(), Compression::fast()));
            for path in ["etc/one", "etc/two"] {
                writer.entry(&tar::Entry::file(path.as_bytes(), 1024)).unwrap();
                writer.write_all(&[0; 1024]).unwrap();
            }
            writer.finish(end).unwrap().finish().unwrap()
        };
        assert_eq!(read(archive(true).as_slice()).unwrap().nodes.len(), 2);
        assert!(matches!(read(archive(false).as_slice()), Err(ArchiveError::CutShort)));
    }

    #[test]
    fn an_archive_that_never_ends_does() {
        let mut zipped = GzEncoder::new(Vec::new(), Compression::fast());
        zipped.write_all(&head_bytes()).unwrap();
        std::io::copy(&mut std::io::repeat(0).take(3 << 30), &mut zipped).unwrap();
        assert!(read(zipped.finish().unwrap().as_slice()).is_err());
    }

    /// A header with a size of eight gigabytes less one.
    fn head_bytes() -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        writer.entry(&tar::Entry::file(b"etc/x", 0)).unwrap();
        let mut block = writer.finish(false).unwrap();
        block[124..136].copy_from_slice(b"77777777777\0");
        block[148..156].fill(b' ');
        let sum: u32 = block[..512].iter().map(|&b| u32::from(b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }
}
