//! The state of a machine that is kept beside its disks: the firmware's variables, and a TPM.
//!
//! The TPM is swtpm's, one process for each run of QEMU. QEMU tells it when the machine is reset; its state (keys, seeds,
//! counters) is in a directory, so a secret that was sealed opens at the next boot.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use hoopy_base::arch::Arch;

use super::error::VmError;
use super::escape::escaped;
use super::process::{Guard, Guarded};
use super::tools::Places;

/// How long swtpm may take to be there.
const START: Duration = Duration::from_secs(10);

/// How often to check for it.
const TICK: Duration = Duration::from_millis(10);

/// The socket, in the machine's directory.
const SOCKET: &str = "tpm";

/// What is kept of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Platform {
    /// The directory with the firmware's variables, which are made where they are absent: firmware in setup mode. Without
    /// it, variables go with the machine.
    pub variables: Option<PathBuf>,
    /// The directory with the state of a TPM 2.0. Without it, the machine has none.
    pub tpm: Option<PathBuf>,
}

/// Starts a TPM with its state in `state` for the machine in `dir`. It ends when QEMU has, or with the value.
pub(super) fn start(state: &Path, dir: &Path, places: &Places, temp: &Path) -> Result<Guarded, VmError> {
    let program = places.programs.find("swtpm").ok_or(VmError::NoSwtpm)?;
    fs::create_dir_all(state).map_err(VmError::io("make a directory", state))?;
    let socket = dir.join(SOCKET);
    match fs::remove_file(&socket) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(VmError::io("remove", &socket)(e)),
        _ => {}
    }
    let [state, at] = [state, &socket].map(|path| path.to_str().ok_or(VmError::PathNotUtf8(path.to_owned())));
    let guard = Guard::new(temp, None)?;
    let mut command = guard.command(&program);
    command.args(["socket", "--tpm2", "--terminate", "--tpmstate", &format!("dir={}", state?)]);
    command.args(["--ctrl", &format!("type=unixio,path={}", at?)]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut swtpm = guard.spawn(command)?;
    let since = Instant::now();
    while !socket.exists() {
        let ended = swtpm.child().try_wait().ok().flatten();
        if ended.is_some() || since.elapsed() > START {
            let source = std::io::Error::other("it made no socket");
            return Err(VmError::Start { program, source });
        }
        thread::sleep(TICK);
    }
    Ok(swtpm)
}

/// What QEMU's command line says of it.
pub(super) fn args(arch: Arch, dir: &Path) -> Result<Vec<String>, VmError> {
    let socket = dir.join(SOCKET);
    let path = socket.to_str().ok_or_else(|| VmError::PathNotUtf8(socket.clone()))?;
    let device = match arch {
        Arch::X86_64 => "tpm-tis,tpmdev=tpm",
        Arch::Aarch64 | Arch::Armv7 | Arch::Armhf => "tpm-tis-device,tpmdev=tpm",
    };
    let chardev = format!("socket,id=tpm,path={}", escaped(path));
    let args = ["-chardev", &chardev, "-tpmdev", "emulator,id=tpm,chardev=tpm", "-device", device];
    Ok(args.map(str::to_owned).to_vec())
}
