//! The system calls whose safety the compiler can't see.
#![expect(unsafe_code, reason = "each block says why it is sound")]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, set_parent_process_death_signal};
use rustix::thread::UnshareFlags;
use seccompiler::{BpfProgram, sock_filter};

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

/// Leaves the session keyring of whoever started hoopy for an empty one (session-keyring(7)).
pub(super) fn leave_session_keyring() -> io::Result<()> {
    /// KEYCTL_JOIN_SESSION_KEYRING (include/uapi/linux/keyctl.h).
    const JOIN: libc::c_int = 1;
    // SAFETY: no memory is passed; no name asks for a keyring that nobody else has.
    match unsafe { libc::syscall(libc::SYS_keyctl, JOIN, std::ptr::null::<libc::c_char>()) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// mount_attr (include/uapi/linux/mount.h), of which nothing is ever cleared.
#[repr(C)]
#[derive(Default)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    namespace: u64,
}

const READ_ONLY: u64 = 1;
const NO_SUID: u64 = 2;
const NO_DEVICES: u64 = 4;
const MAPPED: u64 = 0x10_0000;

/// Makes the mount at `path` read-only, and setuid programs on it ordinary ones. `below` says whether all that is mounted
/// below it is meant too, which then has no devices either.
pub(super) fn make_read_only(path: &CStr, below: bool) -> io::Result<()> {
    let set = READ_ONLY | NO_SUID | if below { NO_DEVICES } else { 0 };
    let flags = if below { libc::AT_RECURSIVE } else { 0 };
    set_attributes(rustix::fs::CWD, path, flags, &MountAttributes { set, ..MountAttributes::default() })
}

/// Makes a mount that is in no tree yet read-only.
pub(crate) fn make_detached_read_only(mount: &OwnedFd) -> io::Result<()> {
    let attributes = MountAttributes { set: READ_ONLY | NO_SUID, ..MountAttributes::default() };
    set_attributes(mount.as_fd(), c"", libc::AT_EMPTY_PATH, &attributes)
}

/// Makes a mount that is in no tree yet, and all below it, read-only, with the owners of the user namespace `namespace`:
/// what is 0's on the disk is that of 0 in there (mount_setattr(2)).
pub(crate) fn map_owners(mount: &OwnedFd, namespace: BorrowedFd<'_>) -> io::Result<()> {
    let namespace = u64::try_from(namespace.as_raw_fd()).map_err(io::Error::other)?;
    let set = READ_ONLY | NO_SUID | NO_DEVICES | MAPPED;
    let attributes = MountAttributes { set, namespace, ..MountAttributes::default() };
    set_attributes(mount.as_fd(), c"", libc::AT_EMPTY_PATH | libc::AT_RECURSIVE, &attributes)
}

fn set_attributes(
    at: BorrowedFd<'_>,
    path: &CStr,
    flags: libc::c_int,
    attributes: &MountAttributes,
) -> io::Result<()> {
    // SAFETY: the path ends with a NUL, the attributes are as the kernel lays them out and of the size that is said;
    // both are only read, and live until the call returns.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            at.as_raw_fd(),
            path.as_ptr(),
            flags,
            std::ptr::from_ref(attributes),
            size_of::<MountAttributes>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has every system call of this process, and of all that it starts, pass `filter`. Gives the descriptor on which those
/// calls are received that the filter leaves to another process (seccomp_unotify(2)). The kernel allows one such filter
/// per process: where a container's engine has set one already, the result is `None`, and those calls fail with ENOSYS.
pub(super) fn filter_system_calls(filter: &BpfProgram) -> io::Result<Option<OwnedFd>> {
    match install(filter, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER) {
        Err(e) if e.raw_os_error() == Some(libc::EBUSY) => install(filter, 0).map(|_| None),
        // SAFETY: the kernel has just made it, and it has no other owner.
        installed => installed.map(|fd| Some(unsafe { OwnedFd::from_raw_fd(fd) })),
    }
}

fn install(filter: &BpfProgram, flags: libc::c_ulong) -> io::Result<RawFd> {
    let len = u16::try_from(filter.len()).map_err(io::Error::other)?;
    // seccompiler's instruction is the kernel's
    let program = libc::sock_fprog { len, filter: filter.as_ptr().cast::<libc::sock_filter>().cast_mut() };
    const { assert!(size_of::<sock_filter>() == size_of::<libc::sock_filter>()) };
    // SAFETY: the program is as long as it says, is only read, and lives until the call returns.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, std::ptr::from_ref(&program))
    };
    RawFd::try_from(result).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)
}

/// A system call that waits for an answer.
pub(super) struct Call {
    id: u64,
    /// Who makes it, as it is called where this is read.
    pub(super) pid: u32,
    pub(super) number: libc::c_long,
    pub(super) arguments: [u64; 6],
}

/// The next call that waits at `listener`, which [`filter_system_calls`] gave.
pub(super) fn next_call(listener: &OwnedFd) -> io::Result<Call> {
    // SAFETY: all of it is numbers, for which zero is one.
    let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one such structure, which lives until the call returns.
    let result = unsafe { libc::ioctl(listener.as_raw_fd(), RECEIVE, std::ptr::from_mut(&mut call)) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Call { id: call.id, pid: call.pid, number: call.data.nr.into(), arguments: call.data.args })
}

/// Has `call` end with 0, or as the kernel's `errno` says.
pub(super) fn answer_call(listener: &OwnedFd, call: &Call, errno: Option<i32>) -> io::Result<()> {
    let answer =
        libc::seccomp_notif_resp { id: call.id, val: 0, error: errno.map_or(0, |errno| -errno), flags: 0 };
    // SAFETY: the kernel reads one such structure, which lives until the call returns.
    match unsafe { libc::ioctl(listener.as_raw_fd(), SEND, std::ptr::from_ref(&answer)) } {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// SECCOMP_IOCTL_NOTIF_RECV and SECCOMP_IOCTL_NOTIF_SEND (include/uapi/linux/seccomp.h): both read and write.
const RECEIVE: libc::Ioctl = 0xc050_2100;
const SEND: libc::Ioctl = 0xc018_2101;
const _: () =
    assert!(size_of::<libc::seccomp_notif>() == 0x50 && size_of::<libc::seccomp_notif_resp>() == 0x18);

fn above_standard_error() -> Result<Vec<RawFd>, Failure> {
    let open = std::fs::read_dir("/proc/self/fd").doing("list open files in /proc/self/fd")?;
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(numbers.filter(|fd| *fd > 2).collect())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// SECCOMP_RET_ALLOW as a whole program.
    fn allow_everything() -> BpfProgram {
        vec![sock_filter { code: 0x06, jt: 0, jf: 0, k: 0x7fff_0000 }]
    }

    #[test]
    fn a_filter_is_set_without_a_listener_where_there_is_one_already() {
        // Filters count for one thread, and end with it
        let thread = std::thread::spawn(|| {
            rustix::thread::set_no_new_privs(true).unwrap();
            // Its listener stays open, as a container engine's would
            let _first = filter_system_calls(&allow_everything()).unwrap();
            filter_system_calls(&allow_everything()).unwrap()
        });
        assert!(thread.join().unwrap().is_none());
    }
}
