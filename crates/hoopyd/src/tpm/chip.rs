//! The TPM of this machine.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use hoopy_tpm::Tpm;

use crate::error::AgentError;

/// The kernel's device that gives each program room of its own. There is none for a TPM 1.2.
const DEVICE: &str = "/dev/tpmrm0";

/// Drivers that a kernel may have as modules: they are loaded where nothing has done it yet.
const DRIVERS: [&str; 2] = ["tpm_crb", "tpm_tis"];

/// What the kernel gives to one program at a time. It is there for every TPM that it found.
const WITHOUT_MANAGER: &str = "/dev/tpm0";

/// How long the driver may look for its device.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often to look for it.
const PAUSE: Duration = Duration::from_millis(50);

/// Opens it.
///
/// # Errors
/// [`AgentError::NoTpm`].
pub fn open() -> Result<Tpm<File>, AgentError> {
    if !Path::new(DEVICE).exists() {
        let mut modprobe = Command::new("modprobe");
        modprobe.args(["-q", "-a"]).args(DRIVERS);
        let _ = modprobe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
    let begun = Instant::now();
    loop {
        match OpenOptions::new().read(true).write(true).open(DEVICE) {
            Ok(file) => return Ok(Tpm::new(file)),
            // Without the class, no driver was found: there is nothing to wait for.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && Path::new("/sys/class/tpm").is_dir()
                    && begun.elapsed() < PATIENCE =>
            {
                thread::sleep(PAUSE);
            }
            Err(error) => return Err(AgentError::NoTpm(explain(&error))),
        }
    }
}

/// What the owner can do about it.
fn explain(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound && Path::new(WITHOUT_MANAGER).exists() {
        return format!(
            "expected {DEVICE}, found only {WITHOUT_MANAGER}: it is a TPM 1.2, or it did not answer the kernel in time (dmesg \
             says so), and a reboot may help"
        );
    }
    format!(
        "{DEVICE}: {error}: switch it on in the firmware's menu, and use a kernel with a driver for it, as linux-lts"
    )
}
