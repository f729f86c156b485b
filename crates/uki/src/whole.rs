//! Whether an image is still what was written: its checksum finds a torn or rotten file, not a forged one.

use std::io::{self, Read, Seek};

use crate::checksum::Checksum;
use crate::replace::{ReplaceError, read_headers};

/// Bytes read at a time; even, so that no word is cut in two.
const CHUNK: usize = 256 << 10;

/// Whether the checksum in the headers of the image `file` is that of its bytes. It is not where none was set, and
/// what is no PE file is not whole.
///
/// # Errors
/// What reading fails with.
pub fn is_whole(file: &mut (impl Read + Seek)) -> io::Result<bool> {
    let (headers, mut head, _) = match read_headers(file) {
        Err(ReplaceError::Io(source)) => return Err(source),
        Err(_) => return Ok(false),
        Ok(read) => read,
    };
    let Some(field) = head.get_mut(headers.checksum_offset()..).and_then(|rest| rest.first_chunk_mut::<4>())
    else {
        return Ok(false);
    };
    *field = [0; 4];
    let mut sum = Checksum::of(&head);
    let mut chunk = vec![0; CHUNK];
    loop {
        let mut filled = 0;
        while let Some(room) = chunk.get_mut(filled..).filter(|room| !room.is_empty()) {
            match file.read(room) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        if filled == 0 {
            return Ok(headers.checksum != 0 && sum.value() == headers.checksum);
        }
        sum.update(chunk.get(..filled).unwrap_or_default());
    }
}
