//! Writing what was described: literal bytes, and segments copied out of the store by the system, which shares
//! the blocks where the filesystem can.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use hoopy_uki::{Extent, Plan};

use super::initramfs::Content;
use super::{ImageError, Initramfs};
use crate::store::{Pending, Store};

/// Writes the unified kernel image `plan`, whose one external section is the initramfs, to `path`.
///
/// # Errors
/// [`ImageError::Io`]; nothing is left at `path` then that was not there before.
pub fn uki_to(path: &Path, plan: &mut Plan, initramfs: &Initramfs, store: &Store) -> Result<u64, ImageError> {
    let io = |source| ImageError::Io { path: path.to_owned(), source };
    let sum = initramfs.checksum();
    let total = plan.checksum(|_| sum);
    plan.set_checksum(total);
    let mut pending = Pending::new_in(path.parent().unwrap_or(Path::new("."))).map_err(io)?;
    for extent in plan.extents() {
        match extent {
            Extent::Literal(bytes) => pending.file().write_all(bytes).map_err(io)?,
            Extent::External { .. } => lay(pending.file(), initramfs, store).map_err(io)?,
        }
    }
    let size = pending.file().stream_position().map_err(io)?;
    pending.keep(path).map_err(io)?;
    Ok(size)
}

/// Writes the initramfs on its own to `path`.
///
/// # Errors
/// [`ImageError::Io`].
pub fn initramfs_to(path: &Path, initramfs: &Initramfs, store: &Store) -> Result<u64, ImageError> {
    let io = |source| ImageError::Io { path: path.to_owned(), source };
    let mut pending = Pending::new_in(path.parent().unwrap_or(Path::new("."))).map_err(io)?;
    lay(pending.file(), initramfs, store).map_err(io)?;
    pending.keep(path).map_err(io)?;
    Ok(initramfs.size())
}

fn lay(out: &mut File, initramfs: &Initramfs, store: &Store) -> io::Result<()> {
    for piece in &initramfs.pieces {
        match &piece.content {
            Content::Bytes(bytes, _) => out.write_all(bytes)?,
            Content::Segment(segment) => {
                let mut from = File::open(store.segment_path(segment.key))?;
                let copied = io::copy(&mut from, out)?;
                if copied != segment.size {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        format!(
                            "segment {} of the store has {copied} bytes, and had {}",
                            segment.key, segment.size
                        ),
                    ));
                }
            }
        }
    }
    // copy_file_range moves the file's own position; be sure of it all the same.
    out.seek(SeekFrom::End(0))?;
    Ok(())
}
