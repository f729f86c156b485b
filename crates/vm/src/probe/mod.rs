//! Whether KVM can run firmware: tested with a small guest that does what firmware does.
//!
//! A guest of a few real-mode instructions says too little. There are computers (virtual ones that pass half of KVM
//! on) on which it gets through, and OVMF stops at its first floating point instruction: QEMU prints `KVM internal
//! error. Suberror: 1` and pauses. So this guest lies in flash as firmware does, on the machine that will really be
//! used, and goes the same way: protected and long mode, page tables, floating point and SSE, several pages of code,
//! reads from flash, code copied to memory, a device. `x86_64.s` and `aarch64.s` have it line by line.
//!
//! It needs 50 ms where KVM works. OVMF itself would need two seconds and would have to be installed, which machines
//! for scripts do without. What it misses, [`super::qmp`] sees when the real machine stops.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use hoopy_base::arch::Arch;

use super::accelerator::{self, Accelerator};
use super::error::VmError;
use super::escape::escaped;
use super::qemu::{Qemu, Start};

/// A guest under KVM needs some 50 ms. One that needs longer than this hangs: long, because the first QEMU of a busy
/// computer comes off a cold disk. KVM that is half there does not wait for it: QEMU pauses, which is seen at once.
const LIMIT: Duration = Duration::from_secs(20);

/// A guest that ends well has ended by then on most computers.
const SILENT: Duration = Duration::from_millis(500);

/// How often a guest is started that neither ends nor pauses: its QEMU may hang although it did end ([`Start::silent`]).
const TRIES: u32 = 2;

/// How often to check whether it has ended.
const TICK: Duration = Duration::from_millis(5);

/// The flash: sixteen pages.
const FLASH_SIZE: usize = 64 << 10;

/// isa-debug-exit makes the exit status 85 of the 42 that the guest writes (QEMU's hw/misc/debugexit.c).
const X86_64_STATUS: i32 = 85;

/// Runs the guest under this accelerator, with files in `temp`.
///
/// # Errors
/// What went wrong, in words: what QEMU said where it said anything.
pub fn run(arch: Arch, qemu: &Path, temp: &Path, accelerator: Accelerator) -> Result<(), String> {
    for _ in 0..TRIES {
        if ends_well(arch, qemu, temp, accelerator)? {
            return Ok(());
        }
    }
    Err(format!("a small guest did not end within {} s, {TRIES} times", LIMIT.as_secs()))
}

/// Whether the guest has ended within the limit.
fn ends_well(arch: Arch, qemu: &Path, temp: &Path, accelerator: Accelerator) -> Result<bool, String> {
    let mut guest = start(arch, qemu, temp, accelerator).map_err(|e| e.to_string())?;
    let expected = if arch == Arch::X86_64 { X86_64_STATUS } else { 0 };
    let started = Instant::now();
    while started.elapsed() < LIMIT {
        if let Some(status) = guest.exit_status() {
            return if status.code() == Some(expected) { Ok(true) } else { Err(why(guest)) };
        }
        if guest.state().paused().is_some() {
            return Err(why(guest));
        }
        std::thread::sleep(TICK);
    }
    Ok(false)
}

/// Why a guest has ended, or does not go on.
fn why(mut guest: Qemu) -> String {
    guest.end().map_or_else(|| "QEMU paused the machine".to_owned(), |end| guest.describe(&end))
}

fn start(arch: Arch, qemu: &Path, temp: &Path, accelerator: Accelerator) -> Result<Qemu, VmError> {
    let dir = tempfile::Builder::new().prefix("hoopy-probe-").tempdir_in(temp);
    let dir = dir.map_err(VmError::io("make a directory in", temp))?;
    let flash = dir.path().join("flash");
    let written = std::fs::File::create(&flash).and_then(|mut file| file.write_all(&guest(arch)));
    written.map_err(VmError::io("write", &flash))?;
    let path = flash.to_str().ok_or_else(|| VmError::PathNotUtf8(flash.clone()))?;
    let start =
        Start { program: qemu, temp, dir: dir.path(), accelerator, may_fall_back: false, silent: SILENT };
    let started = Qemu::start(&start, |command| {
        command.args(accelerator::machine_args(arch, accelerator));
        command.args(["-nodefaults", "-display", "none", "-no-reboot", "-m", "64"]);
        if arch == Arch::X86_64 {
            let drive = format!("if=pflash,unit=0,format=raw,readonly=on,file={}", escaped(path));
            command.args(["-drive", &drive, "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
        } else {
            // A flash chip of its own would have to be filled: 64 MiB
            command.args(["-bios", path]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
    });
    started.map(|qemu| qemu.keeping(dir))
}

/// The flash with the guest in it.
fn guest(arch: Arch) -> Vec<u8> {
    let parts = match arch {
        Arch::X86_64 => X86_64,
        Arch::Aarch64 | Arch::Armv7 | Arch::Armhf => AARCH64,
    };
    let mut flash = vec![0; FLASH_SIZE];
    for (at, code) in parts {
        let code = HEXLOWER.decode(code.as_bytes()).unwrap_or_default();
        flash.splice(*at..*at + code.len(), code);
    }
    flash
}

/// `x86_64.s`, assembled: where, and what.
const X86_64: &[(usize, &str)] = &[
    (
        0x0000,
        "fafc2e660f011640000f20c06683c8010f22c066ea0010ffff08008db40000900000000000000000ffff0000\
         009bcf00ffff00000093cf00ffff0000009baf001f002000ffff7f03801f",
    ),
    (
        0x1000,
        "66b810008ed88ec08ed0bc000009000f20c025f3ffff9f83c8220f22c00f20e00d200600000f22e09bdbe3d9\
         2d4600ffff0fae154800ffffe8c30f0000b8000001000f22d8b9800000c00f320d000100000f300f20c00d00\
         0000800f22c0ea0030ffff18",
    ),
    (
        0x2000,
        "bf0000010031c0b900180000f3abc7050000010003100100bf00100100b803200100b904000000890783c708\
         0500100000e2f4bf00200100b883000000b900080000890783c7080500002000e2f4c3",
    ),
    (
        0x3000,
        "b8100000008ed88ec08ed0bc0000090031c00fa2b80000008066baf80cef66bafc0ced3d8680c029754ab800\
         50ffffffd089c3be0050ffffbf00002000b914000000f3a4b800002000ffd039c37525be0070fffff30f6f06\
         f30f7f042500000900660ffec0660f7ec03d080604027504b02ae6f4f4ebfd",
    ),
    (0x5000, "be0000ffffb90040000031d2ad01c2e2fb89d0c3"),
    (0x7000, "04030201080706050c0b0a09100f0e0d"),
    (0xfff0, "e90d"),
];

/// `aarch64.s`, assembled.
const AARCH64: &[(usize, &str)] = &[
    (0x0001, "06a0d2401018d5df3f03d50000a8d21f404291fb030094fa0b0094f9170014"),
    (
        0x1000,
        "0100a8d221404091a2e080d2220000f922e080d20200a8f2220400f9e29f88d202a218d522a386d20210a0f2\
         4200c0f2422018d5012018d59f3f03d51f8708d59f3f03d5df3f03d5021038d5a30082d2420003aa021018d5\
         df3f03d5c0035fd6",
    ),
    (
        0x3000,
        "f3031eaaff070094f403002a01008ad20200a8d242004891e30302aa04048052254440b8654400b884100071\
         a1ffff54227b0bd59f3b03d51f7508d59f3b03d5df3f03d540003fd61f00146b4101005401008ed22000c03d\
         0084a04e0000261e01c180528140a0721f00016b4100005460025fd67f2003d5ffffff17",
    ),
    (0x5000, "010080d20200885200008052234440b80000030b42040071a1ffff54c0035fd6"),
    (0x6001, "0180520080b072020000d41af4ff17"),
    (0x7000, "04030201080706050c0b0a09100f0e0d"),
];

#[cfg(test)]
mod tests;
