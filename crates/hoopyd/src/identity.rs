//! The machine's identity, on the filesystem that keeps it.
//!
//! That is mounted here, read-only and in this process's own mount namespace (the service starts it with `unshare -m`):
//! no other process sees it, and it is gone with this one. It is unmounted all the same.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use hoopy_boot::secrets::{Device, IDENTITY, IDENTITY_SERIAL};
use hoopy_secrets::machine::MAX_FILE;
use hoopy_secrets::{MachineIdentity, Plaintext};

use crate::error::AgentError;

/// Where it is mounted.
const MOUNT_POINT: &str = "/run/hoopy/identity";

/// How long a disk may take to turn up: a stick takes its time.
const PATIENCE: Duration = Duration::from_secs(15);

/// How often to look for it.
const PAUSE: Duration = Duration::from_millis(250);

/// Permission bits of everybody but the owner.
const OTHERS: u32 = 0o077;

/// The filesystem with the identity, mounted until this is dropped.
#[derive(Debug)]
pub struct Mounted(PathBuf);

impl Mounted {
    /// Mounts it.
    ///
    /// # Errors
    /// [`AgentError::Identity`].
    pub fn new(device: &Device, writable: bool) -> Result<Self, AgentError> {
        let point = PathBuf::from(MOUNT_POINT);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&point);
        made.map_err(AgentError::io("make", &point))?;
        let begun = Instant::now();
        loop {
            // Where the machine itself has it mounted for writing, the kernel gives no other kind of access.
            let mounted = mount(device, &point, writable).or_else(|reason| {
                if writable { Err(reason) } else { mount(device, &point, true).map_err(|_| reason) }
            });
            match mounted {
                Ok(()) => return Ok(Self(point)),
                Err(_) if begun.elapsed() < PATIENCE => thread::sleep(PAUSE),
                Err(reason) => {
                    let Device { spec, filesystem, .. } = device;
                    return Err(AgentError::Identity(format!("mount {spec} ({filesystem}): {reason}")));
                }
            }
        }
    }
}

/// Its root.
impl AsRef<Path> for Mounted {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

/// The system's own `mount` knows `UUID=` and `LABEL=`, and which module a filesystem needs.
fn mount(device: &Device, point: &Path, writable: bool) -> Result<(), String> {
    let access = if writable { "rw" } else { "ro" };
    let options = [access, "nosuid", "nodev", "noexec"].into_iter();
    let options: Vec<&str> = options.chain(device.options.iter().map(String::as_str)).collect();
    let mut command = Command::new("mount");
    command.args(["-t", &device.filesystem, "-o", &options.join(","), &device.spec]).arg(point);
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("mount: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

/// The identities on the filesystem at `mounted`, the one in use first.
///
/// # Errors
/// [`AgentError::Identity`], also where others than root could read it.
pub fn on(mounted: &Path) -> Result<Vec<MachineIdentity>, AgentError> {
    let file = regular(mounted)?;
    let meta = file.metadata().map_err(fault)?;
    if meta.mode() & OTHERS != 0 || meta.uid() != rustix::process::geteuid().as_raw() {
        let found = format!("{:04o} of user {}", meta.mode() & 0o7777, meta.uid());
        return Err(fault(format_args!("expected mode 0600 of root, found {found}: others could read it")));
    }
    parse(file)
}

/// Whether there are identities, whoever may read them.
pub fn are_on(mounted: &Path) -> bool {
    regular(mounted).and_then(parse).is_ok()
}

fn fault(reason: impl std::fmt::Display) -> AgentError {
    AgentError::Identity(format!("{IDENTITY} on its filesystem: {reason}"))
}

fn parse(file: File) -> Result<Vec<MachineIdentity>, AgentError> {
    let text = Plaintext::read(file, limit()).map_err(fault)?;
    MachineIdentity::parse(&text).map_err(fault)
}

fn regular(mounted: &Path) -> Result<File, AgentError> {
    let path = mounted.join(IDENTITY);
    let file = open(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            fault("expected a file, found none: hoopy secret enroll HOST puts it there")
        }
        _ => fault(error),
    })?;
    let meta = file.metadata().map_err(fault)?;
    if meta.is_file() { Ok(file) } else { Err(fault("expected a regular file, found something else")) }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    OpenOptions::new().read(true).custom_flags(i32::try_from(flags.bits()).unwrap_or_default()).open(path)
}

/// The identities on the disk that a virtual machine gets to be tried out with, if this is one.
pub fn handed_over() -> Option<Vec<MachineIdentity>> {
    for disk in fs::read_dir("/sys/block").ok()?.flatten() {
        let serial = fs::read_to_string(disk.path().join("serial")).unwrap_or_default();
        if serial.trim() == IDENTITY_SERIAL {
            let file = File::open(Path::new("/dev").join(disk.file_name())).ok()?;
            return from_input(file).ok();
        }
    }
    None
}

/// The identities that come on standard input.
///
/// # Errors
/// [`AgentError::Identity`].
pub fn from_input(input: impl io::Read) -> Result<Vec<MachineIdentity>, AgentError> {
    let text = Plaintext::read(input, limit()).map_err(|error| AgentError::Identity(error.to_string()))?;
    MachineIdentity::parse(&text).map_err(|error| AgentError::Identity(error.to_string()))
}

fn limit() -> usize {
    usize::try_from(MAX_FILE).unwrap_or(usize::MAX)
}

/// Writes the identities to the filesystem at `mounted`, in place of what was there.
///
/// # Errors
/// [`AgentError`].
pub fn keep(mounted: &Path, identities: &[MachineIdentity]) -> Result<(), AgentError> {
    let path = mounted.join(IDENTITY);
    let dir = directory(mounted)?;
    let write = || {
        let mut pending = hoopy_base::atomic::Pending::new_in(&dir)?;
        io::Write::write_all(pending.file(), MachineIdentity::file(identities).as_bytes())?;
        pending.keep(&path, hoopy_base::atomic::Readers::Owner)
    };
    write().map_err(AgentError::io("write", &path))
}

/// The directory of the identity on the filesystem at `mounted`, which is made where it is missing.
///
/// # Errors
/// [`AgentError`].
pub fn directory(mounted: &Path) -> Result<PathBuf, AgentError> {
    let path = mounted.join(IDENTITY);
    let dir = path.parent().unwrap_or(mounted);
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(AgentError::io("make", dir)(error)),
        _ if fs::symlink_metadata(dir).is_ok_and(|meta| meta.is_dir()) => Ok(dir.to_owned()),
        _ => Err(AgentError::io("make", dir)(io::Error::from(io::ErrorKind::NotADirectory))),
    }
}
