//! The archive in its zstd frame: one frame with a checksum, and nothing after it.

use std::io::{BufReader, Cursor, Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::thread;

use hoopy_boot::state::stored_name;
use zstd::stream::raw::CParameter;

use super::error::BackupError;
use super::manifest::{Manifest, Source};
use super::read::{self, Contents};
use super::tree::Archive;
use super::unpack as files;

/// As `zstd -3`: as fast as a disk of the machine.
const LEVEL: i32 = 3;

/// Compressing threads, beside the one that reads and encrypts: a machine that serves others has more to do.
const MAX_WORKERS: usize = 4;

/// Bytes that each of them takes at a time, which it keeps in memory: as many as the window has.
const JOB: u32 = 2 << 20;

/// What a frame begins with (RFC 8878, 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The largest window that is taken: the decoder's memory. Level 3 asks for 2 MiB.
const WINDOW_LOG: u32 = 23;

/// Writes the backup of `sources` to `out`. Where it fails, `out` has no whole archive.
///
/// # Errors
/// [`BackupError`].
pub fn write<W: Write>(out: W, manifest: &Manifest, sources: &[Source]) -> Result<W, BackupError> {
    let mut encoder = zstd::Encoder::new(out, LEVEL).map_err(BackupError::Write)?;
    encoder.include_checksum(true).map_err(BackupError::Write)?;
    let workers = thread::available_parallelism().map_or(1, NonZero::get).min(MAX_WORKERS);
    if workers > 1 {
        let workers = u32::try_from(workers).unwrap_or(1);
        encoder.multithread(workers).map_err(BackupError::Write)?;
        encoder.set_parameter(CParameter::JobSize(JOB)).map_err(BackupError::Write)?;
    }
    let mut archive = Archive::new(encoder, manifest)?;
    for source in sources {
        archive.tree(source)?;
    }
    let mut out = archive.finish()?.finish().map_err(BackupError::Write)?;
    out.flush().map_err(BackupError::Write)?;
    Ok(out)
}

/// Reads a backup to its very end, and writes nothing.
///
/// # Errors
/// [`BackupError`] where it is not a whole backup.
pub fn check(input: impl Read) -> Result<Contents, BackupError> {
    framed(input, |archive| read::backup(archive, &mut |_, _, _| Ok(())))
}

/// Unpacks a backup: each of its directories becomes one of `dir`, called as [`stored_name`] says. `dir` must be there, and
/// they must not.
///
/// # Errors
/// [`BackupError`]; whatever was written until then is there.
pub fn unpack(input: impl Read, manifest: &Manifest, dir: &Path) -> Result<Contents, BackupError> {
    let to: Vec<_> = manifest.directories.iter().map(|path| dir.join(stored_name(path))).collect();
    let contents = framed(input, |archive| files::entries(archive, &to))?;
    if contents.manifest != *manifest {
        let found = "another manifest".to_owned();
        return Err(BackupError::NotABackup { expected: "the same backup as before", found });
    }
    Ok(contents)
}

/// Gives what is in the frame to `read`, and sees that the frame ends and nothing follows.
fn framed(
    input: impl Read,
    read: impl FnOnce(&mut dyn Read) -> Result<Contents, BackupError>,
) -> Result<Contents, BackupError> {
    let mut input = input;
    let mut start = Vec::with_capacity(MAGIC.len());
    (&mut input).take(MAGIC.len() as u64).read_to_end(&mut start).map_err(|e| BackupError::damaged(&e))?;
    if !MAGIC.starts_with(&start) || start.is_empty() {
        let found = if start.is_empty() { "nothing" } else { "something else" }.to_owned();
        return Err(BackupError::NotABackup { expected: "an archive in a zstd frame", found });
    }
    let mut decoder = zstd::Decoder::new(Cursor::new(start).chain(input))
        .map_err(|e| BackupError::damaged(&e))?
        .single_frame();
    decoder.window_log_max(WINDOW_LOG).map_err(|e| BackupError::damaged(&e))?;
    let mut archive = BufReader::new(decoder);
    let contents = read(&mut archive)?;
    let mut rest = [0; 4096];
    loop {
        let count = archive.read(&mut rest).map_err(|e| BackupError::damaged(&e))?;
        match rest.get(..count).unwrap_or_default() {
            [] => break,
            part if part.iter().any(|&byte| byte != 0) => {
                return Err(BackupError::Damaged("something follows the end of the archive".to_owned()));
            }
            _ => {}
        }
    }
    // The stream around the frame, such as age, has an end of its own: only that shows that nothing was cut off.
    let mut input = archive.into_inner().finish();
    match input.read(&mut rest).map_err(|e| BackupError::damaged(&e))? {
        0 => Ok(contents),
        _ => Err(BackupError::Damaged("something follows the end of the backup".to_owned())),
    }
}
