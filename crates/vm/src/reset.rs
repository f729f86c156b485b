//! Resets of a machine that is emulated: QEMU ends instead, and is started again.
//!
//! Emulated, a reset in place may look like a hang: QEMU (7.2, TCG) keeps what it translated of the system before, and
//! each byte that the firmware writes while it unpacks itself over that memory is looked up among it
//! (`page_collection_lock`, accel/tcg/translate-all.c). Where that memory held much that ran, firmware that needs a
//! second otherwise was still at it after 90. A new process has nothing to look up.
//!
//! QEMU says on its machine protocol why it ends. Source: QEMU `docs/interop/qmp-spec.rst`, `qapi/run-state.json`
//! (the event `SHUTDOWN`).

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use serde::Deserialize;

use super::args::escaped;
use super::error::VmError;

/// Before this nothing is told.
const HELLO: &[u8] = b"{\"execute\":\"qmp_capabilities\"}\n";

/// Listens to why a machine ends.
#[derive(Debug)]
pub(super) struct Resets {
    path: PathBuf,
    heard: JoinHandle<bool>,
}

impl Resets {
    /// Listens at `path`, where nobody listens any more.
    ///
    /// # Errors
    /// [`VmError::Io`], [`VmError::Start`].
    pub fn listen(path: PathBuf) -> Result<Self, VmError> {
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path).map_err(VmError::io("listen at", &path))?;
        let thread = std::thread::Builder::new().name("resets".to_owned());
        let heard = thread.spawn(move || hear(&listener).unwrap_or(false));
        Ok(Self { path, heard: heard.map_err(VmError::start("a thread that listens to QEMU"))? })
    }

    /// What QEMU is to be told.
    ///
    /// # Errors
    /// [`VmError::PathNotUtf8`].
    pub fn args(path: &Path) -> Result<[String; 3], VmError> {
        let socket = path.to_str().ok_or_else(|| VmError::PathNotUtf8(path.to_owned()))?;
        Ok(["-no-reboot".to_owned(), "-qmp".to_owned(), format!("unix:{}", escaped(socket))])
    }

    /// Whether it was for a reset that QEMU, which has ended, did.
    pub fn was_reset(self) -> bool {
        // A QEMU that did not come so far never called.
        drop(UnixStream::connect(&self.path));
        self.heard.join().unwrap_or(false)
    }
}

#[derive(Deserialize)]
struct Said {
    event: Option<String>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    reason: Option<String>,
}

fn hear(listener: &UnixListener) -> io::Result<bool> {
    let (mut stream, _) = listener.accept()?;
    stream.write_all(HELLO)?;
    for line in BufReader::new(stream).lines() {
        if is_reset(&line?) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_reset(line: &str) -> bool {
    let Ok(said) = serde_json::from_str::<Said>(line) else { return false };
    let reason = said.data.and_then(|data| data.reason);
    said.event.as_deref() == Some("SHUTDOWN") && reason.as_deref() == Some("guest-reset")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::process::{Command, Stdio};

    use hoopy_base::arch::Arch;

    use super::*;
    use crate::Places;

    /// Whether the real QEMU says that a machine with this firmware was reset.
    fn is_reset_by(instruction: u32) -> bool {
        let dir = tempfile::tempdir().unwrap();
        // `movz w1,#0x80,lsl 16; subs w1,w1,#1; b.ne .-4`: a moment, since what ends before QEMU has said hello is
        // not told. Then `INSTRUCTION; movk w0,#0x8400,lsl 16; hvc #0; b .`
        let wait = [0x52a0_1001, 0x7100_0421, 0x54ff_ffe1];
        let code = [&wait[..], &[instruction, 0x72b0_8000, 0xd400_0002, 0x1400_0000]].concat();
        let mut firmware: Vec<u8> = code.into_iter().flat_map(u32::to_le_bytes).collect();
        firmware.resize(64 << 10, 0);
        fs::write(dir.path().join("firmware"), firmware).unwrap();
        let resets = Resets::listen(dir.path().join("events")).unwrap();
        let qemu = Places::default().qemu(Arch::Aarch64).expect("QEMU: `cargo xtask setup` installs it");
        let mut command = Command::new(qemu);
        command.args([
            "-M",
            "virt",
            "-accel",
            "tcg",
            "-cpu",
            "cortex-a72",
            "-nodefaults",
            "-display",
            "none",
        ]);
        command.args(["-m", "64", "-bios"]).arg(dir.path().join("firmware"));
        command.args(Resets::args(&dir.path().join("events")).unwrap());
        assert!(command.stdin(Stdio::null()).status().unwrap().success());
        resets.was_reset()
    }

    #[test]
    fn a_reset_is_told_from_an_end() {
        // PSCI's SYSTEM_RESET and SYSTEM_OFF: `movz w0,#9`, `movz w0,#8`.
        assert!(is_reset_by(0x5280_0120));
        assert!(!is_reset_by(0x5280_0100));
    }

    #[test]
    fn a_machine_that_did_not_start_was_not_reset() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!Resets::listen(dir.path().join("events")).unwrap().was_reset());
    }
}
