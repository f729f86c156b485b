#![expect(clippy::unwrap_used, reason = "tests")]
use std::process::{Command, Stdio};
use std::time::Instant;

use hoopy_base::arch::Arch;

use super::*;
use crate::Places;

/// How the real QEMU says that a machine with this firmware ended.
fn end_by(instruction: u32) -> Option<Ended> {
    let dir = tempfile::tempdir().unwrap();
    // `movz w1,#0x80,lsl 16; subs w1,w1,#1; b.ne .-4`: a moment, since what ends before QEMU has said hello is
    // not told. Then `INSTRUCTION; movk w0,#0x8400,lsl 16; hvc #0; b .`
    let wait = [0x52a0_1001, 0x7100_0421, 0x54ff_ffe1];
    let code = [&wait[..], &[instruction, 0x72b0_8000, 0xd400_0002, 0x1400_0000]].concat();
    let mut firmware: Vec<u8> = code.into_iter().flat_map(u32::to_le_bytes).collect();
    firmware.resize(64 << 10, 0);
    fs::write(dir.path().join("firmware"), firmware).unwrap();
    let qmp = Qmp::listen(dir.path(), Duration::ZERO).unwrap();
    let qemu = Places::default().qemu(Arch::Aarch64).expect("QEMU: `cargo xtask setup` installs it");
    let mut command = Command::new(qemu);
    command.args(["-M", "virt", "-accel", "tcg", "-cpu", "cortex-a72", "-nodefaults", "-display", "none"]);
    command.args(["-no-reboot", "-m", "64", "-bios"]).arg(dir.path().join("firmware"));
    command.args(qmp.args().unwrap());
    assert!(command.stdin(Stdio::null()).status().unwrap().success());
    qmp.ended()
}

#[test]
fn a_reset_is_told_from_an_end() {
    // PSCI's SYSTEM_RESET and SYSTEM_OFF: `movz w0,#9`, `movz w0,#8`.
    assert_eq!(end_by(0x5280_0120), Some(Ended::Reset));
    assert_eq!(end_by(0x5280_0100), Some(Ended::Off));
}

#[test]
fn a_machine_that_did_not_start_was_neither_reset_nor_switched_off() {
    let dir = tempfile::tempdir().unwrap();
    let qmp = Qmp::listen(dir.path(), Duration::ZERO).unwrap();
    assert_eq!((qmp.ended(), qmp.state().status()), (None, None));
}

/// QEMU's end of the connection, as far as it is needed: says `lines`, and answers questions with `status`.
fn say(qmp: &Qmp, lines: &str, status: &str) -> UnixStream {
    let mut qemu = UnixStream::connect(&qmp.path).unwrap();
    let answer = format!("{{\"return\": {{\"status\": \"{status}\", \"running\": false}}}}\n");
    qemu.write_all(format!("{{\"QMP\": {{}}}}\n{{\"return\": {{}}}}\n{lines}{answer}").as_bytes()).unwrap();
    qemu
}

fn paused(qmp: &Qmp) -> Option<Paused> {
    let started = Instant::now();
    while qmp.state().status().is_none() && started.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(5));
    }
    qmp.state().paused()
}

#[test]
fn a_machine_that_cannot_go_on_is_paused_and_one_that_was_told_to_wait_is_not() {
    let dir = tempfile::tempdir().unwrap();
    for status in ["internal-error", "running", "paused"] {
        let qmp = Qmp::listen(dir.path(), Duration::ZERO).unwrap();
        let _qemu = say(&qmp, "{\"event\": \"STOP\"}\n", status);
        assert_eq!(paused(&qmp).is_some(), status == "internal-error", "{status}");
        assert_eq!(qmp.state().status().unwrap(), status);
    }
    let qmp = Qmp::listen(dir.path(), Duration::ZERO).unwrap();
    let full = "{\"event\": \"BLOCK_IO_ERROR\", \"data\": {\"device\": \"boot\", \"reason\": \"No space left on device\"}}\n";
    let _qemu = say(&qmp, full, "io-error");
    assert_eq!(paused(&qmp).unwrap().disk_error.unwrap(), "No space left on device");
}
