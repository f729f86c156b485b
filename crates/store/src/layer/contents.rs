//! Contents of files on their way to a data file: digested and written on a thread of their own, so that whoever
//! inflates them need not wait. A large package takes half the time so, and a build waits for its largest.

use std::fs::File;
use std::io::{self, Read, Write as _};

use hoopy_base::digest::ContentId;
use hoopy_base::jobs::{Giver, Taker, handover};
use sha2::{Digest as _, Sha256};

/// Bytes that are handed over at a time: far more than handing over costs.
const BATCH: usize = 256 << 10;

/// Room in a batch at first: most packages are small.
const FIRST: usize = 16 << 10;

/// Bytes, and which of their positions end a file.
#[derive(Default)]
struct Batch {
    /// Of which the first are filled: whoever fills them is given all the room there is, since it inflates the faster
    /// the more it may at once.
    bytes: Vec<u8>,
    filled: usize,
    ends: Vec<usize>,
}

/// Takes files' contents, one after the other.
pub struct Sink {
    batch: Batch,
    to: Giver<Batch>,
}

impl Sink {
    /// Adds a file: all that `content` gives.
    ///
    /// # Errors
    /// What `content` fails with; `BrokenPipe` after a write failed, whose own error [`write_beside`] gives.
    pub fn add(&mut self, content: &mut dyn Read) -> io::Result<()> {
        loop {
            if self.batch.filled == BATCH {
                self.hand_over()?;
            }
            let Batch { bytes, filled, .. } = &mut self.batch;
            if bytes.len() == *filled {
                bytes.resize((2 * *filled).clamp(FIRST, BATCH), 0);
            }
            let room = self.batch.bytes.get_mut(self.batch.filled..).unwrap_or_default();
            match content.read(room) {
                Ok(0) => break,
                Ok(n) => self.batch.filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.batch.ends.push(self.batch.filled);
        Ok(())
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let full = std::mem::replace(&mut self.batch, self.to.piece());
        if self.to.give(full) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }
}

/// Calls `read` with a sink whose files go to `out`, end to end. Gives what `read` gives, and the digest of each
/// file or what kept one from being written.
pub fn write_beside<T>(out: &mut File, read: impl FnOnce(&mut Sink) -> T) -> (T, io::Result<Vec<ContentId>>) {
    std::thread::scope(|scope| {
        let (to, from) = handover();
        let writer = scope.spawn(move || write(out, from));
        let mut sink = Sink { batch: Batch::default(), to };
        let result = read(&mut sink);
        let handed = sink.hand_over();
        drop(sink);
        let written = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (result, written.and_then(|digests| handed.map(|()| digests)))
    })
}

fn write(out: &mut File, mut from: Taker<Batch>) -> io::Result<Vec<ContentId>> {
    let mut digests = Vec::new();
    let mut hash = Sha256::new();
    while let Some(batch) = from.next_piece() {
        let bytes = batch.bytes.get(..batch.filled).unwrap_or_default();
        let mut start = 0;
        for end in batch.ends.drain(..) {
            hash.update(&bytes[start..end]);
            digests.push(ContentId::from_bytes(hash.finalize_reset().into()));
            start = end;
        }
        hash.update(&bytes[start..]);
        out.write_all(bytes)?;
        batch.filled = 0;
    }
    Ok(digests)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn digests_files_of_any_size_and_lays_them_end_to_end() {
        let sizes = [0, 1, BATCH - 1, 1, BATCH, 0, 3 * BATCH + 7, 5];
        let files: Vec<Vec<u8>> = sizes.iter().zip(0..).map(|(&size, n)| vec![n; size]).collect();
        let mut out = tempfile::tempfile().unwrap();
        let (result, digests) =
            write_beside(&mut out, |sink| files.iter().try_for_each(|f| sink.add(&mut f.as_slice())));
        result.unwrap();
        assert_eq!(digests.unwrap(), files.iter().map(|f| ContentId::of(f)).collect::<Vec<_>>());
        let mut bytes = Vec::new();
        io::Seek::rewind(&mut out).unwrap();
        out.read_to_end(&mut bytes).unwrap();
        assert!(bytes == files.concat());
    }

    #[test]
    fn a_full_disk_ends_the_reading() {
        let mut out = File::options().write(true).open("/dev/full").unwrap();
        let (read, written) = write_beside(&mut out, |sink| sink.add(&mut io::repeat(1).take(1 << 30)));
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
