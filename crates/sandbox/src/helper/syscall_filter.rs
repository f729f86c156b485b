//! Which system calls a script may make.
//!
//! What lets a process reach beyond its namespaces, or has been a way into the kernel time and again, fails with EPERM, as
//! in container engines; what came later than this list fails with ENOSYS, and so does what programs know how to do
//! without ([`ABSENT`]). Calls by the door for another architecture (32 bits on a 64-bit kernel) end the program: numbers
//! mean something else there. Programs of a foreign architecture make this machine's calls, by way of qemu-user.

use std::collections::BTreeMap;
use std::io;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

/// Calls that a script needs none of.
const REFUSED: &[c_long] = &[
    // Other keys, other processes' memory and files
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    // Files by another way than their names
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_lookup_dcookie,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    // Namespaces and mounts
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    // Ways into the kernel
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_perf_event_open,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    KEXEC_FILE_LOAD,
    // The machine as a whole
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    libc::SYS_nfsservctl,
];

#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[c_long] =
    &[libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt, libc::SYS_uselib, libc::SYS_sysfs];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[c_long] = &[];

/// Everywhere the same, and newer than libc's list (include/uapi/asm-generic/unistd.h).
const OPEN_TREE_ATTR: c_long = 467;
const KEXEC_FILE_LOAD: c_long = if cfg!(target_arch = "x86_64") { 320 } else { 294 };

/// The last call that this list was made with (Linux 6.18): what is later is not there.
const NEWEST: c_long = 470;

/// A call whose arguments no filter can see, and for which every libc has another.
const ABSENT: c_long = libc::SYS_clone3;

/// The flags of clone(2) that make namespaces.
const NAMESPACES: [libc::c_int; 8] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWTIME,
];

/// The kinds of sockets that there are: local ones, both internets, and netlink, by which addresses are asked for.
const FAMILIES: [libc::c_int; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// What types into a terminal for whoever sits at it.
const TYPING: [u64; 2] = [0x5412, 0x541c];

/// Instructions and answers of the filter's machine (include/uapi/linux/bpf_common.h, seccomp.h).
const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_MORE: u16 = 0x25;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;
const NOT_THERE: u32 = 0x0005_0000 | libc::ENOSYS as u32;
const ASK: u32 = 0x7fc0_0000;

/// Whether there is a filter for this machine.
pub(crate) fn exists() -> bool {
    TargetArch::try_from(std::env::consts::ARCH).is_ok()
}

/// The filter.
pub(super) fn program() -> io::Result<BpfProgram> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().chain(REFUSED_HERE).map(|call| (*call, Vec::new())).collect();
    let set = |flag: libc::c_int| rule(&[condition(0, Op::MaskedEq(flags(flag)), flags(flag))?]);
    rules.insert(libc::SYS_clone, NAMESPACES.into_iter().map(set).collect::<io::Result<_>>()?);
    for call in [libc::SYS_socket, libc::SYS_socketpair] {
        let other = FAMILIES.into_iter().map(|family| condition(0, Op::Ne, flags(family)));
        rules.insert(call, vec![rule(&other.collect::<io::Result<Vec<_>>>()?)?]);
    }
    let typing = TYPING.into_iter().map(|request| rule(&[condition(1, Op::Eq, request)?]));
    rules.insert(libc::SYS_ioctl, typing.collect::<io::Result<_>>()?);
    // Limits of another process, PID 1's above all: every libc names its own by 0
    rules.insert(libc::SYS_prlimit64, vec![rule(&[condition(0, Op::Ne, 0)?])?]);
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).map_err(io::Error::other)?;
    let listed = BpfProgram::try_from(filter).map_err(io::Error::other)?;
    // It begins with a look at the architecture, of three instructions
    let (arch, rest) = listed.split_at_checked(3).ok_or(io::ErrorKind::InvalidData)?;
    Ok([arch, &gate(), rest].concat())
}

/// Before the list: what is not there, and what PID 1 does for the script ([`super::device_nodes`]).
fn gate() -> Vec<sock_filter> {
    /// Where the number of the call, and the lower half of its n-th argument are (seccomp_data).
    const fn argument(n: u32) -> u32 {
        16 + 8 * n
    }
    let number = step(LOAD, 0, 0, 0);
    let mut steps = vec![
        number.clone(),
        step(JUMP_IF_MORE, 0, 1, NEWEST as u32),
        step(RETURN, 0, 0, NOT_THERE),
        step(JUMP_IF_EQUAL, 0, 1, ABSENT as u32),
        step(RETURN, 0, 0, NOT_THERE),
    ];
    for (call, mode) in MKNOD {
        steps.extend([
            number.clone(),
            step(JUMP_IF_EQUAL, 0, 5, *call as u32),
            step(LOAD, 0, 0, argument(*mode)),
            step(AND, 0, 0, libc::S_IFMT),
            step(JUMP_IF_EQUAL, 1, 0, libc::S_IFCHR),
            step(JUMP_IF_EQUAL, 0, 1, libc::S_IFBLK),
            step(RETURN, 0, 0, ASK),
        ]);
    }
    steps.push(number);
    steps
}

/// The calls that make device nodes, and which of their arguments is the mode.
#[cfg(target_arch = "x86_64")]
pub(super) const MKNOD: &[(c_long, u32)] = &[(libc::SYS_mknod, 1), (libc::SYS_mknodat, 2)];
#[cfg(not(target_arch = "x86_64"))]
pub(super) const MKNOD: &[(c_long, u32)] = &[(libc::SYS_mknodat, 2)];

fn step(code: u16, yes: u8, no: u8, k: u32) -> sock_filter {
    sock_filter { code, jt: yes, jf: no, k }
}

fn flags(value: libc::c_int) -> u64 {
    u64::from(value.cast_unsigned())
}

fn condition(argument: u8, op: Op, value: u64) -> io::Result<SeccompCondition> {
    SeccompCondition::new(argument, Len::Dword, op, value).map_err(io::Error::other)
}

fn rule(conditions: &[SeccompCondition]) -> io::Result<SeccompRule> {
    SeccompRule::new(conditions.to_vec()).map_err(io::Error::other)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_list_begins_where_the_gate_expects_it() {
        let program = program().unwrap();
        // The architecture: loaded, compared, and the end of the program where it is another
        assert_eq!((program[0].code, program[0].k), (LOAD, 4));
        assert_eq!((program[1].code, program[1].jt, program[1].jf), (JUMP_IF_EQUAL, 1, 0));
        assert_eq!((program[2].code, program[2].k), (RETURN, 0x8000_0000));
        // The number is loaded again for the list, which does that itself
        let list = &program[3 + gate().len()..];
        assert_eq!((list[0].code, list[0].k), (LOAD, 0));
        assert!(program.len() < 1000, "{} instructions", program.len());
    }

    #[test]
    fn every_call_is_named_once_and_is_known() {
        let mut all: Vec<c_long> = REFUSED.iter().chain(REFUSED_HERE).copied().collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), REFUSED.len() + REFUSED_HERE.len());
        assert!(all.iter().all(|call| *call <= NEWEST));
    }
}
