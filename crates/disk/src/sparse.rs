//! Which parts of a sparse file hold something.

use std::fs::File;
use std::io;
use std::ops::Range;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

/// The ranges of `file` that are no holes, in order. Where the filesystem knows no holes, that is all of it.
///
/// # Errors
/// What the system says.
pub fn data(file: &File) -> io::Result<Vec<Range<u64>>> {
    let size = file.metadata()?.len();
    let mut out = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match seek(file, SeekFrom::Data(at)) {
            // Nothing but a hole from there on
            Err(Errno::NXIO) => break,
            other => other?,
        };
        let end = seek(file, SeekFrom::Hole(start))?.min(size);
        if end <= start {
            break;
        }
        out.push(start..end);
        at = end;
    }
    Ok(out)
}

/// What of `whole` is in none of `parts`, which are in order and do not overlap.
pub fn without(whole: Range<u64>, parts: &[Range<u64>]) -> Vec<Range<u64>> {
    let mut out = Vec::new();
    let mut at = whole.start;
    for part in parts.iter().filter(|p| p.end > whole.start && p.start < whole.end) {
        if part.start > at {
            out.push(at..part.start);
        }
        at = at.max(part.end);
    }
    if at < whole.end {
        out.push(at..whole.end);
    }
    out
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn holes_are_left_out() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(10 << 20).unwrap();
        assert_eq!(data(&file).unwrap(), []);
        file.write_all_at(&[1; 4096], 1 << 20).unwrap();
        file.write_all_at(&[0; 4096], 5 << 20).unwrap();
        let found = data(&file).unwrap();
        let whole = [1 << 20, 5 << 20].map(|at: u64| at..at + 4096);
        assert_eq!(found, whole);
        let holes = without(0..10 << 20, &found);
        assert_eq!(holes, [0..1 << 20, whole[0].end..5 << 20, whole[1].end..10 << 20]);
        assert_eq!(without(5 << 20..(5 << 20) + 10, &found), []);
    }
}
