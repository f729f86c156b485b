//! The system calls whose safety the compiler can't see.
#![expect(unsafe_code, reason = "each block says why it is sound")]

use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, set_parent_process_death_signal};
use rustix::thread::UnshareFlags;

use crate::wire::{Doing as _, Failure};

/// The exit status of a program that panicked.
const PANICKED: i32 = 101;

/// Leaves the namespaces named by `flags` for new ones.
pub(super) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: the only flag that endangers other code is FILES, which parts the descriptor tables of threads;
    // it is taken out, and a helper has one thread.
    unsafe { rustix::thread::unshare_unsafe(flags.difference(UnshareFlags::FILES)) }.map_err(Into::into)
}

/// Marks every descriptor above standard error to be closed in programs that are started from here, so that
/// nothing which hoopy itself was started with reaches a script.
pub(super) fn keep_descriptors_from_children() -> Result<(), Failure> {
    for number in above_standard_error()? {
        // SAFETY: nothing else runs in this process; the number is either open (and stays so during the call)
        // or it was the listing's own, which is closed by now and gives EBADF.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        let _ = rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC);
    }
    Ok(())
}

/// Begins a process that is a copy of this one, which takes a tenth of the time of starting the program again. It
/// ends with what `child` returns, or when this process does, however that comes.
pub(super) fn fork(child: impl FnOnce() -> i32) -> io::Result<Pid> {
    let parent = pidfd_open(getpid(), PidfdFlags::empty())?;
    // SAFETY: a helper has one thread, so no lock in the copy is held by a thread that is not there.
    match unsafe { libc::fork() } {
        0 => {
            let live = || {
                let tied = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
                // Had the parent died before that line, its end would be there to see
                let mut end = [PollFd::new(&parent, PollFlags::IN)];
                let alone = poll(&mut end, Some(&Timespec::default()));
                if tied && alone == Ok(0) { child() } else { PANICKED }
            };
            // Never back to what the stack above holds: that is the parent's
            std::process::exit(catch_unwind(AssertUnwindSafe(live)).unwrap_or(PANICKED))
        }
        pid => Pid::from_raw(pid).filter(|_| pid > 0).ok_or_else(io::Error::last_os_error),
    }
}

/// Closes every descriptor above standard error, so that what runs beside this process can reach none of them
/// through `/proc`. Only for what [`fork`] began, and for one that uses nothing from before.
pub(super) fn close_what_the_parent_opened() -> Result<(), Failure> {
    for number in above_standard_error()? {
        // SAFETY: the owners of these are on the stack of the parent, to which this process never returns, or
        // nowhere: the listing's own is closed by now, which gives EBADF.
        unsafe { libc::close(number) };
    }
    Ok(())
}

fn above_standard_error() -> Result<Vec<RawFd>, Failure> {
    let open = std::fs::read_dir("/proc/self/fd").doing("list open files in /proc/self/fd")?;
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(numbers.filter(|fd| *fd > 2).collect())
}
