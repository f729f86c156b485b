//! What a script finds around it: its root, `/proc` without what acts on the machine or tells of it, `/sys` (read-only), a
//! `/dev` with the usual few devices, and what it was given at `/mnt`. Nothing else of the host.
//!
//! All of it is mounted, so none of it shows in what is captured. Targets are looked at before, and links are
//! refused: they would be followed on the host.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, unmount};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

use super::{Result, sys};
use crate::Script;
use crate::wire::Doing as _;

const QUIET: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// The devices of the host that show inside. None of them keeps anything or reaches hardware.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
];

/// Where scripts lie: in the `/dev` that is ours.
const SCRIPTS: &str = "dev/.hoopy";

/// What of `/proc` and `/sys` acts on the machine: it can be read, as container engines have it.
const READ_ONLY: [&str; 5] = ["proc/sys", "proc/sysrq-trigger", "proc/irq", "proc/bus", "proc/fs"];

/// What tells of the machine, its keys and its memory: it shows empty.
const EMPTY: [&str; 14] = [
    "proc/kcore",
    "proc/keys",
    "proc/key-users",
    "proc/kmsg",
    "proc/latency_stats",
    "proc/timer_list",
    "proc/timer_stats",
    "proc/sched_debug",
    "proc/interrupts",
    "proc/acpi",
    "proc/asound",
    "proc/scsi",
    "sys/firmware",
    "sys/devices/virtual/powercap",
];

/// Mounts all of it below `root`, and `lent` on `/mnt`. Gives the path inside by which the script is to be started.
pub(super) fn furnish(script: &Script, root: &Path, lent: Option<&Path>) -> Result<PathBuf> {
    let proc = target(root, "proc")?;
    or_without(mount("proc", &proc, "proc", QUIET, None)).doing("mount /proc")?;
    let sys = target(root, "sys")?;
    or_without(mount("sysfs", &sys, "sysfs", QUIET | MountFlags::RDONLY, None)).doing("mount /sys")?;
    furnish_dev(&target(root, "dev")?)?;
    close_kernel_files(root)?;
    let program = place(script, root)?;
    match lent {
        None => Ok(program),
        Some(lent) => {
            let mnt = target(root, "mnt")?;
            mount_bind_recursive(lent, &mnt).doing(format_args!("bind {}", lent.display()))?;
            read_only(&mnt, true)?;
            hide(&script.hidden, &mnt)?;
            cover(script, root, &mnt, program)
        }
    }
}

/// In a user namespace the kernel mounts these only where the host's own are in full view, which a container's are
/// not. Scripts that want them then find an empty directory, as they do in apk's own chroot.
fn or_without(mounted: rustix::io::Result<()>) -> rustix::io::Result<()> {
    if mounted == Err(rustix::io::Errno::PERM) { Ok(()) } else { mounted }
}

/// The directory `name` of the image, if it is one.
fn target(root: &Path, name: &str) -> Result<PathBuf> {
    let path = root.join(name);
    match fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_dir() => Ok(path),
        Ok(_) => Err(io::Error::other("in the image it is not a directory")),
        Err(e) => Err(e),
    }
    .doing(format_args!("mount on /{name}"))
}

fn furnish_dev(dev: &Path) -> Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("dev", dev, "tmpfs", flags, c"mode=0755,size=64m,nr_inodes=16k").doing("mount /dev")?;
    for name in DEVICES {
        let (host, inside) = (Path::new("/dev").join(name), dev.join(name));
        File::create(&inside).doing(format_args!("make /dev/{name}"))?;
        mount_bind(&host, &inside).doing(format_args!("bind {}", host.display()))?;
        // Reading and writing is the driver's business; mode, owner and times are the host's
        read_only(&inside, false)?;
    }
    for (to, name) in LINKS {
        symlink(to, dev.join(name)).doing(format_args!("make /dev/{name}"))?;
    }
    for name in ["pts", "shm"] {
        fs::create_dir(dev.join(name)).doing(format_args!("make /dev/{name}"))?;
    }
    rustix::fs::chmod(dev.join("shm"), rustix::fs::Mode::from_raw_mode(0o1777)).doing("make /dev/shm")?;
    let options = c"newinstance,ptmxmode=0666,mode=0620";
    or_without(mount("devpts", dev.join("pts"), "devpts", MountFlags::NOSUID | MountFlags::NOEXEC, options))
        .doing("mount /dev/pts")
}

/// Makes read-only what acts on the machine and hides what tells of it. What this kernel has not is not there.
fn close_kernel_files(root: &Path) -> Result<()> {
    let nothing = root.join("dev/.hoopy/nothing");
    fs::create_dir_all(&nothing).doing("make an empty directory")?;
    let null = root.join("dev/null");
    for name in READ_ONLY {
        let path = root.join(name);
        if fs::symlink_metadata(&path).is_ok() {
            mount_bind(&path, &path).doing(format_args!("bind /{name}"))?;
            read_only(&path, false)?;
        }
    }
    for name in EMPTY {
        let path = root.join(name);
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        let cover = if meta.is_dir() { &nothing } else { &null };
        mount_bind(cover, &path).doing(format_args!("hide /{name}"))?;
        read_only(&path, false)?;
    }
    Ok(())
}

fn read_only(path: &Path, below: bool) -> Result<()> {
    let name = CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from);
    let made = name.and_then(|name| sys::make_read_only(&name, below));
    made.doing(format_args!("make {} read-only", path.display()))
}

/// Puts the script where it can be executed and where nobody captures it.
fn place(script: &Script, root: &Path) -> Result<PathBuf> {
    let inside = Path::new(SCRIPTS).join(script.file_name());
    let path = root.join(&inside);
    let write = || -> io::Result<()> {
        rustix::fs::chmod(root.join(SCRIPTS), rustix::fs::Mode::from_raw_mode(0o755))?;
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(&path)?;
        file.write_all(&script.body)
    };
    write().doing("place the script")?;
    Ok(Path::new("/").join(inside))
}

/// A script that comes from the directory at `/mnt` runs under its name there, since such scripts look for their
/// neighbours with `$0`. The file is covered by the script as it was given, so that one read it once.
fn cover(script: &Script, root: &Path, mnt: &Path, program: PathBuf) -> Result<PathBuf> {
    let there = mnt.join(script.file_name());
    if !fs::symlink_metadata(&there).is_ok_and(|meta| meta.is_file()) {
        return Ok(program);
    }
    let placed = root.join(program.strip_prefix("/").unwrap_or(&program));
    mount_bind(&placed, &there).doing("place the script in /mnt")?;
    Ok(Path::new("/mnt").join(script.file_name()))
}

/// Covers what the script is not to see with an empty directory; names that are no directory are not there.
fn hide(hidden: &[PathBuf], mnt: &Path) -> Result<()> {
    for name in hidden {
        let path = mnt.join(name);
        if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
            mount("tmpfs", &path, "tmpfs", QUIET | MountFlags::RDONLY, None)
                .doing(format_args!("hide /mnt/{}", name.display()))?;
        }
    }
    Ok(())
}

/// Makes `root` the root and lets go of the old one.
pub(super) fn enter(root: &Path) -> Result<()> {
    std::env::set_current_dir(root).doing("enter the image")?;
    rustix::process::pivot_root(".", ".").doing("make the image the root")?;
    unmount(".", UnmountFlags::DETACH).doing("let go of the host's root")?;
    std::env::set_current_dir("/").doing("enter the image")
}

/// Asks the kernel to bring up device 1, the loopback of a new network namespace (rtnetlink(7)).
pub(super) fn bring_loopback_up() -> io::Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const REQUEST_ACK: u16 = 1 | 4;
    const IFF_UP: u32 = 1;
    let mut message = Vec::with_capacity(32);
    message.extend(32_u32.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(REQUEST_ACK.to_ne_bytes());
    // Sequence and port, then family and type: any
    message.extend([0; 12]);
    message.extend(1_i32.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    // No protocol: 0, which is NETLINK_ROUTE
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    sendto(&socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0; 256];
    let (_, len) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    // A header of 16 bytes, then the error: 0 or a negative errno
    match answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes) {
        Some(0) if len >= 20 => Ok(()),
        Some(errno) if errno < 0 => Err(io::Error::from_raw_os_error(-errno)),
        _ => Err(io::Error::other("the kernel's answer makes no sense")),
    }
}
