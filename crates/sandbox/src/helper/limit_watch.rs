//! Sees to it that a script keeps to its limits, as far as the kernel does not, and tells which one it ran into.

use std::time::Instant;

use hoopy_store::layer::Entry;
use rustix::event::Timespec;

use super::overlay::Overlay;
use crate::error::Ended;
use crate::{Limit, Limits};

/// How often it looks.
pub(super) const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// What ends a program that writes further than its files may be long, by itself and as shells say it.
const TOO_LONG: [Ended; 2] = [Ended::Signal(libc::SIGXFSZ), Ended::Exit(128 + libc::SIGXFSZ)];

/// What programs say where they may have no more processes or memory, or write no further: strerror(3) of EAGAIN, ENOMEM
/// and EFBIG as musl and glibc have it.
const NO_PROCESS: [&str; 2] =
    ["fork: Resource temporarily unavailable", "vfork: Resource temporarily unavailable"];
const NO_MEMORY: [&str; 2] = ["Out of memory", "Cannot allocate memory"];
const NO_LONGER: [&str; 2] = ["File too large", "File size limit exceeded"];

/// A script's use of what is watched.
pub(super) struct LimitWatch<'a> {
    limits: &'a Limits,
    overlay: &'a Overlay,
    begun: Instant,
    /// Bytes of the store's disk that were free before, where the script may write to it.
    free: Option<u64>,
    /// Bytes that it may have of them.
    room: u64,
    reached: Option<Limit>,
}

impl<'a> LimitWatch<'a> {
    pub(super) fn new(limits: &'a Limits, overlay: &'a Overlay) -> Self {
        let free = overlay.free_on_disk();
        // A tenth of what is free stays so
        let room = free.map_or(limits.disk, |free| limits.disk.min(free / 10 * 9));
        Self { limits, overlay, begun: Instant::now(), free, room, reached: None }
    }

    /// The limit that was reached, if one was.
    pub(super) fn reached(&self) -> Option<Limit> {
        self.reached
    }

    /// Looks whether one is.
    pub(super) fn look(&mut self) -> Option<Limit> {
        if self.begun.elapsed() > self.limits.time {
            self.reached = Some(Limit::Time(self.limits.time));
        }
        let used = self.free.zip(self.overlay.free_on_disk()).map(|(before, now)| before.saturating_sub(now));
        if used.is_some_and(|used| used > self.room) {
            self.reached = Some(Limit::Disk(self.room));
        }
        self.reached
    }

    /// The limit that explains why a script ended so, or that what it changed exceeds.
    pub(super) fn explains(&self, ended: Ended, output: &[u8], changed: Option<&[Entry]>) -> Option<Limit> {
        let size = changed.into_iter().flatten().fold(0_u64, |sum, entry| sum.saturating_add(entry.size()));
        if size > self.room {
            return Some(Limit::Disk(self.room));
        }
        if ended == Ended::Exit(0) {
            return None;
        }
        let text = String::from_utf8_lossy(output);
        let says = |what: &[&str]| what.iter().any(|what| text.contains(what));
        if TOO_LONG.contains(&ended) || says(&NO_LONGER) {
            Some(Limit::Disk(self.limits.disk))
        } else if says(&NO_PROCESS) {
            Some(Limit::Processes(self.limits.processes))
        } else if says(&NO_MEMORY) {
            Some(Limit::Memory(self.limits.memory))
        } else {
            None
        }
    }
}
