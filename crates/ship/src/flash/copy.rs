//! Copying ranges to a device, and comparing what it gives back.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::Ordering;

use rustix::fs::{Advice, fadvise};

use super::{Flash, FlashError, Phase};

/// Pieces in which a device is written: large enough for flash memory.
const CHUNK: usize = 4 << 20;

/// How much may be on its way: a progress bar that waits at its end for minutes tells nothing.
const IN_FLIGHT: u64 = 64 << 20;

/// Nothing is read past the end of the disk's file: there are zeros.
pub(super) struct Copy<'a> {
    file: &'a File,
    device: &'a File,
    name: &'a str,
    how: &'a Flash<'a>,
    /// To be written, and to be read back.
    totals: (u64, u64),
    written: Cell<u64>,
    verified: Cell<u64>,
}

impl<'a> Copy<'a> {
    pub fn new(
        file: &'a File,
        device: &'a File,
        name: &'a str,
        how: &'a Flash<'a>,
        totals: (u64, u64),
    ) -> Self {
        Self { file, device, name, how, totals, written: Cell::new(0), verified: Cell::new(0) }
    }

    /// Writes what the disk has in `ranges`.
    pub fn data(&self, ranges: &[Range<u64>]) -> Result<(), FlashError> {
        self.write(ranges, true)
    }

    /// Writes zeros to `ranges`.
    pub fn zero(&self, ranges: &[Range<u64>]) -> Result<(), FlashError> {
        self.write(ranges, false)
    }

    fn write(&self, ranges: &[Range<u64>], data: bool) -> Result<(), FlashError> {
        let mut chunk = vec![0; CHUNK];
        let mut in_flight = 0;
        for (at, length) in pieces(ranges) {
            self.stopped()?;
            let buffer = chunk.get_mut(..length).unwrap_or_default();
            if data {
                fill(self.file, buffer, at).map_err(self.failed("read the disk for", at))?;
            }
            self.device.write_all_at(buffer, at).map_err(self.failed("write", at))?;
            in_flight += length as u64;
            if in_flight >= IN_FLIGHT {
                self.sync(at)?;
                in_flight = 0;
            }
            self.written.set(self.written.get() + length as u64);
            (self.how.progress)(Phase::Writing, self.written.get(), self.totals.0);
        }
        self.sync(0)
    }

    fn sync(&self, at: u64) -> Result<(), FlashError> {
        self.device.sync_data().map_err(self.failed("write", at))
    }

    /// Reads `ranges` back and compares them with the disk, whose holes are zeros. What the kernel keeps of the
    /// device is dropped first, so that it is the device that answers.
    pub fn verify(&self, ranges: &[Range<u64>]) -> Result<(), FlashError> {
        let (mut wanted, mut found) = (vec![0; CHUNK], vec![0; CHUNK]);
        fadvise(self.device, 0, None, Advice::DontNeed).map_err(|e| self.failed("read", 0)(e.into()))?;
        for (at, length) in pieces(ranges) {
            self.stopped()?;
            let (wanted, found) =
                (wanted.get_mut(..length).unwrap_or_default(), found.get_mut(..length).unwrap_or_default());
            fill(self.file, wanted, at).map_err(self.failed("read the disk for", at))?;
            self.device.read_exact_at(found, at).map_err(self.failed("read", at))?;
            if let Some(differs) = wanted.iter().zip(found.iter()).position(|(a, b)| a != b) {
                return Err(FlashError::Differs { name: self.name.to_owned(), at: at + differs as u64 });
            }
            self.verified.set(self.verified.get() + length as u64);
            (self.how.progress)(Phase::Verifying, self.verified.get(), self.totals.1);
        }
        Ok(())
    }

    fn stopped(&self) -> Result<(), FlashError> {
        if self.how.stop.load(Ordering::Relaxed) {
            Err(FlashError::Stopped(self.name.to_owned()))
        } else {
            Ok(())
        }
    }

    fn failed(&self, what: &'static str, at: u64) -> impl FnOnce(io::Error) -> FlashError {
        let name = self.name.to_owned();
        move |source| FlashError::Device { what, name, at, source }
    }
}

fn pieces(ranges: &[Range<u64>]) -> impl Iterator<Item = (u64, usize)> {
    ranges.iter().flat_map(|range| {
        let end = range.end;
        range
            .clone()
            .step_by(CHUNK)
            .map(move |at| (at, usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK)))
    })
}

/// Fills `buffer` from `at` on, with zeros behind the end of `file`.
fn fill(file: &File, buffer: &mut [u8], at: u64) -> io::Result<()> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + done as u64) {
            Ok(0) => {
                rest.fill(0);
                break;
            }
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
