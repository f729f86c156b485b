//! What a script's process gives up before it becomes the script's program, and never gets back.

use std::os::fd::OwnedFd;
use std::{fs, io};

use landlock::{
    ABI, Access as _, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
    Scope,
};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};
use seccompiler::BpfProgram;

use super::{Result, sys};
use crate::Limits;
use crate::wire::Doing as _;

/// What root inside may do: what install scripts are about (owners, modes, users), and what daemons want when they are
/// tried out. Each counts in the script's user namespace alone; and nothing that mounts, loads or configures.
const KEPT: [CapabilitySet; 13] = [
    CapabilitySet::CHOWN,
    CapabilitySet::DAC_OVERRIDE,
    CapabilitySet::DAC_READ_SEARCH,
    CapabilitySet::FOWNER,
    CapabilitySet::FSETID,
    CapabilitySet::KILL,
    CapabilitySet::SETGID,
    CapabilitySet::SETUID,
    CapabilitySet::SETFCAP,
    CapabilitySet::SETPCAP,
    CapabilitySet::MKNOD,
    CapabilitySet::SYS_CHROOT,
    CapabilitySet::NET_BIND_SERVICE,
];

/// The first that the kernel ends when memory runs out (proc(5), oom_score_adj).
const FIRST_TO_GO: &[u8] = b"1000";

/// Confines this process. Gives the descriptor on which PID 1 receives the calls that it answers. Where the kernel allows no
/// such descriptor, it is a pipe whose other end is closed: PID 1 then receives nothing, and those calls fail.
pub(super) fn this_process(limits: &Limits, filter: &BpfProgram) -> Result<OwnedFd> {
    // Its files in /proc are its own from here on, as they will be when it is the script's program
    let _ = set_dumpable_behavior(DumpableBehavior::Dumpable);
    let _ = fs::write("/proc/self/oom_score_adj", FIRST_TO_GO);
    bound(limits).doing("set limits")?;
    drop_capabilities()?;
    set_no_new_privs(true).doing("give up new privileges")?;
    restrict_reach().map_err(io::Error::other).doing("restrict it with Landlock")?;
    let listener = sys::filter_system_calls(filter).doing("filter system calls")?;
    let closed_pipe = || io::pipe().map(|(reader, _)| reader.into()).doing("make a pipe");
    listener.map_or_else(closed_pipe, Ok)
}

fn bound(limits: &Limits) -> rustix::io::Result<()> {
    let most = |value| Rlimit { current: Some(value), maximum: Some(value) };
    // A crash leaves no core file in what is captured. Not 0: that does not keep the kernel from handing the memory of the
    // crashed process to the host's program where `core_pattern` is a pipe; 1 does (core(5), fs/coredump.c), and for a file
    // it is less than a page, of which nothing is written
    setrlimit(Resource::Core, most(1))?;
    lower(Resource::Nproc, limits.processes.into())?;
    lower(Resource::Data, limits.memory)?;
    lower(Resource::Fsize, limits.disk)
}

/// Sets a limit that may be lower already.
fn lower(resource: Resource, value: u64) -> rustix::io::Result<()> {
    let there = rustix::process::getrlimit(resource).maximum;
    let value = there.map_or(value, |there| there.min(value));
    setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })
}

/// Takes all but [`KEPT`] away for good. The bounding set is what counts: a root's exec takes what it holds.
fn drop_capabilities() -> Result<()> {
    let kept: CapabilitySet = KEPT.into_iter().collect();
    for capability in CapabilitySet::all().difference(kept).iter() {
        match remove_capability_from_bounding_set(capability) {
            // One that this kernel does not know
            Ok(()) | Err(Errno::INVAL) => {}
            Err(e) => return Err(e).doing("give up capabilities"),
        }
    }
    let _ = rustix::thread::clear_ambient_capability_set();
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).doing("give up capabilities")
}

/// Lets it trace and signal only what it starts, and connect to no socket of others that is in no directory
/// (landlock(7)): as far as the kernel can. Files are as they were; to move one from a directory to another is what has
/// to be allowed.
fn restrict_reach() -> std::result::Result<(), landlock::RulesetError> {
    let root = PathFd::new("/").ok();
    let rules =
        Ruleset::default().handle_access(AccessFs::Refer)?.scope(Scope::from_all(ABI::V6))?.create()?;
    let rule = root.map(|root| Ok::<_, landlock::RulesetError>(PathBeneath::new(root, AccessFs::Refer)));
    rules.add_rules(rule)?.restrict_self().map(drop)
}
