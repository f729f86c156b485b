//! A backup as an age file: written without a name, read back from the disk, and then given its name.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek as _, Write};
use std::path::Path;

use hoopy_base::atomic::{Pending, Readers, directory_of};
use hoopy_base::digest::{HashingWriter, of_reader};
use hoopy_secrets::stream::encrypting;
use hoopy_secrets::{Prompt, Recipients};
use rustix::fs::{Advice, fadvise};

use super::error::BackupError;

/// Writes what `fill` writes to the file `path`, encrypted to `recipients`. Returns what `fill` returned, and the
/// size of the file. If anything fails, a file that was there before stays.
///
/// # Errors
/// That of `fill`, or [`BackupError`].
pub fn seal<T, E: From<BackupError>>(
    path: &Path,
    recipients: &Recipients,
    prompt: &impl Prompt,
    fill: impl FnOnce(&mut dyn Write) -> Result<T, E>,
) -> Result<(T, u64), E> {
    let failed = |what| BackupError::io(what, path);
    let mut pending = Pending::new_in(directory_of(path)).map_err(failed("write"))?;
    let out = HashingWriter::new(BufWriter::new(pending.file()));
    let mut sealed = encrypting(recipients, prompt, out).map_err(BackupError::from)?;
    let given = fill(&mut sealed)?;
    let (out, written, size) = sealed.finish().map_err(failed("write"))?.finish();
    let file: &mut File = out.into_inner().map_err(|error| failed("write")(error.into_error()))?;
    file.sync_all().map_err(failed("write"))?;
    // Read back from the disk, not from the page cache.
    let _ = fadvise(&*file, 0, None, Advice::DontNeed);
    file.rewind().map_err(failed("read"))?;
    let (read, _) = of_reader(&mut BufReader::new(file)).map_err(failed("read"))?;
    if read != written {
        let differs =
            format!("expected the SHA-256 {written}, found {read}: the disk gives back something else");
        return Err(failed("read back")(io::Error::new(io::ErrorKind::InvalidData, differs)).into());
    }
    pending.keep(path, Readers::Owner).map_err(failed("write"))?;
    Ok((given, size))
}
