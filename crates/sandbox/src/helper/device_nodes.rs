//! Device nodes that a script makes. No user namespace may have any, so PID 1 makes an empty file in the node's place
//! with a note of what it stands for, which [`super::capture`] reads. The kernel asks it to by the filter of system calls
//! (seccomp_unotify(2)).
//!
//! Whatever the script does meanwhile with the memory that is read here, what is made is such a file, below its own root:
//! that is PID 1's too, and nothing else is mounted there.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use hoopy_store::layer::Kind;
use hoopy_store::layer::path::MAX_PATH;
use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Uid, XattrFlags, fchmod, fchown, fsetxattr, openat,
    openat2, unlinkat,
};
use rustix::io::Errno;

use super::sys::{self, Call};
use super::syscall_filter::MKNOD;

/// The attribute that says which device a file stands for: `c 1 3`.
pub(super) const NOTE: &str = "user.hoopy.device";

/// CAP_MKNOD (include/uapi/linux/capability.h).
const MAY_MAKE_NODES: u64 = 1 << 27;

/// Answers the call that waits at `listener`.
pub(super) fn answer(listener: &OwnedFd) -> io::Result<()> {
    let call = sys::next_call(listener)?;
    let errno = make(&call).err().map(|e| e.raw_os_error().unwrap_or(libc::EPERM));
    // Where it was killed meanwhile there is nobody to answer
    sys::answer_call(listener, &call, errno)
}

/// What a file with this note stands for.
pub(super) fn noted(note: &[u8]) -> Option<Kind> {
    let mut words = std::str::from_utf8(note).ok()?.split(' ');
    let kind = words.next()?;
    let (major, minor) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    match (kind, words.next()) {
        ("c", None) => Some(Kind::Char { major, minor }),
        ("b", None) => Some(Kind::Block { major, minor }),
        _ => None,
    }
}

fn make(call: &Call) -> io::Result<()> {
    let [first, second, third, fourth, ..] = call.arguments;
    let (directory, path, mode, device) = match MKNOD.iter().find(|(number, _)| *number == call.number) {
        Some((_, 1)) => (AT_WORKING_DIRECTORY, first, second, third),
        Some(_) => (first, second, third, fourth),
        None => return Err(Errno::NOSYS.into()),
    };
    let process = Process::of(call.pid)?;
    if process.user != 0 || process.capabilities & MAY_MAKE_NODES == 0 {
        return Err(Errno::PERM.into());
    }
    let path = process.path(path)?;
    let note = note(mode, device)?;
    let (parent, name) = process.place(directory, &path)?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = openat(&parent, name, flags, Mode::from_raw_mode(0o600))?;
    let adorned = fsetxattr(&made, NOTE, note.as_bytes(), XattrFlags::empty())
        .and_then(|()| fchown(&made, Some(Uid::from_raw(process.user)), Some(Gid::from_raw(process.group))))
        .and_then(|()| fchmod(&made, Mode::from_raw_mode(low(mode) & 0o7777 & !process.mask)));
    adorned.map_err(|_| {
        let _ = unlinkat(&parent, name, AtFlags::empty());
        Errno::PERM.into()
    })
}

/// AT_FDCWD as an argument.
const AT_WORKING_DIRECTORY: u64 = libc::AT_FDCWD.cast_unsigned() as u64;

/// The half of an argument that the kernel looks at where it is an int.
fn low(argument: u64) -> u32 {
    u32::try_from(argument & u64::from(u32::MAX)).unwrap_or(0)
}

fn note(mode: u64, device: u64) -> io::Result<String> {
    let kind = match low(mode) & libc::S_IFMT {
        libc::S_IFCHR => 'c',
        libc::S_IFBLK => 'b',
        _ => return Err(Errno::INVAL.into()),
    };
    let (major, minor) = (rustix::fs::major(low(device).into()), rustix::fs::minor(low(device).into()));
    // overlayfs's own sign for a deletion
    if (major, minor) == (0, 0) { Err(Errno::PERM.into()) } else { Ok(format!("{kind} {major} {minor}")) }
}

/// What a process that makes a node is.
struct Process {
    pid: u32,
    user: u32,
    group: u32,
    mask: u32,
    capabilities: u64,
}

impl Process {
    fn of(pid: u32) -> io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        // The fourth is the one that files are made with
        let id = |name: &str| field(name)?.split_whitespace().nth(3)?.parse().ok();
        let number = |name: &str, radix| u64::from_str_radix(field(name)?, radix).ok();
        let parts = (id("Uid:"), id("Gid:"), number("Umask:", 8), number("CapEff:", 16));
        let (Some(user), Some(group), Some(mask), Some(capabilities)) = parts else {
            return Err(Errno::PERM.into());
        };
        Ok(Self { pid, user, group, mask: low(mask), capabilities })
    }

    /// The path that is at `address` in its memory.
    fn path(&self, address: u64) -> io::Result<Vec<u8>> {
        let memory = File::open(format!("/proc/{}/mem", self.pid))?;
        let mut bytes = vec![0; MAX_PATH + 1];
        let len = memory.read_at(&mut bytes, address)?;
        let end = bytes.get(..len).and_then(|bytes| bytes.iter().position(|&b| b == 0));
        bytes.truncate(end.ok_or(Errno::NAMETOOLONG)?);
        if bytes.is_empty() { Err(Errno::NOENT.into()) } else { Ok(bytes) }
    }

    /// The directory that `path` leads to, seen from the process, and the name in it.
    fn place<'a>(&self, directory: u64, path: &'a [u8]) -> io::Result<(OwnedFd, &'a [u8])> {
        let of_process = |name: &str| Path::new("/proc").join(self.pid.to_string()).join(name);
        let absolute = path.starts_with(b"/");
        let directory = low(directory).cast_signed();
        let from = match directory {
            _ if absolute => of_process("root"),
            libc::AT_FDCWD => of_process("cwd"),
            number => of_process(&format!("fd/{number}")),
        };
        let end = path.iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1);
        let (above, name) = path.split_at(end);
        if matches!(name, b"" | b"." | b"..") {
            return Err(Errno::EXIST.into());
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let from = openat(CWD, from, flags, Mode::empty())?;
        let within = if absolute { ResolveFlags::IN_ROOT } else { ResolveFlags::empty() };
        let above = if above.is_empty() { b"." } else { above };
        let parent =
            openat2(from.as_fd(), above, flags, Mode::empty(), within | ResolveFlags::NO_MAGICLINKS)?;
        Ok((parent, name))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_note_says_which_device_a_file_stands_for() {
        let null = rustix::fs::makedev(1, 3);
        let written = note(u64::from(libc::S_IFCHR | 0o666), null).unwrap();
        assert_eq!(noted(written.as_bytes()), Some(Kind::Char { major: 1, minor: 3 }));
        let disk = rustix::fs::makedev(259, 70_000);
        let written = note(u64::from(libc::S_IFBLK), disk).unwrap();
        assert_eq!(noted(written.as_bytes()), Some(Kind::Block { major: 259, minor: 70_000 }));
        for other in ["", "c", "c 1", "c 1 3 5", "d 1 3", "c -1 3", "c 1 x"] {
            assert_eq!(noted(other.as_bytes()), None, "{other}");
        }
        assert!(note(u64::from(libc::S_IFCHR), 0).is_err());
    }
}
