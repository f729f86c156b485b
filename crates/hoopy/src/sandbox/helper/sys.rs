//! The two system calls whose safety the compiler can't see.
#![expect(unsafe_code, reason = "each block says why it is sound")]

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use rustix::thread::UnshareFlags;

use crate::sandbox::wire::{Doing as _, Failure};

/// Leaves the namespaces named by `flags` for new ones.
pub(super) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: the only flag that endangers other code is FILES, which parts the descriptor tables of threads;
    // it is taken out, and a helper has one thread.
    unsafe { rustix::thread::unshare_unsafe(flags.difference(UnshareFlags::FILES)) }.map_err(Into::into)
}

/// Marks every descriptor above standard error to be closed in programs that are started from here, so that
/// nothing which hoopy itself was started with reaches a script.
pub(super) fn keep_descriptors_from_children() -> Result<(), Failure> {
    let open: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")
        .doing("list open files in /proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for number in open.into_iter().filter(|fd| *fd > 2) {
        // SAFETY: nothing else runs in this process; the number is either open (and stays so during the call)
        // or it was the listing's own, which is closed by now and gives EBADF.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        let _ = rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC);
    }
    Ok(())
}
