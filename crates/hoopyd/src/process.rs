//! What this process does to itself: it leaves no secrets behind, and returns to the mounts of the machine.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The mounts of the machine: those of its first program (mount_namespaces(7)).
pub const MACHINE_MOUNTS: &str = "/proc/1/ns/mnt";

/// Leaves the mount namespace that the service made for the identity (`unshare -m`). What is mounted in that is gone with this
/// process, and programs that unlock a volume mount it.
///
/// # Errors
/// The error of the system, which refuses this to a process with several threads.
pub fn return_to_machine_mounts() -> io::Result<()> {
    let mounts = File::open(MACHINE_MOUNTS)?;
    Ok(move_into_link_name_space(mounts.as_fd(), Some(LinkNameSpaceType::Mount))?)
}

/// No core dump, no debugger but root's own, and no page of it in swap. Each is done where the system allows it.
pub fn keep_to_itself() {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // Only what is used: a whole stack of every thread would be held in memory otherwise.
    let _ = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT);
}
