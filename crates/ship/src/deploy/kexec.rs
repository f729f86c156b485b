//! Starting the new image without the firmware: its kernel is loaded by the one that runs, and started at the end of
//! a clean shutdown.
//!
//! ```text
//! check ──▶ (the image is put in its place, as ever) ──▶ start: sections ──▶ kexec --load ──▶ reboot
//! before anything is changed                             read from the partition      kexec -e is its last service
//! ```
//!
//! Nothing is different on the partition from what `--reboot` leaves there, so what falls back and when is decided
//! as ever, by firmware and systemd-boot, as soon as the machine goes through them; docs/deploy.md tells what that
//! means for the count of tries.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use hoopy_base::digest::of_reader;
use hoopy_base::terminal::harmless_line;
use hoopy_uki::{Section, read_headers};

use super::error::DeployError;
use super::images::NewImage;
use super::machine::Machine;
use super::remote::{self, nothing, script};
use super::ssh::{Call, Ssh};

const ABLE: &str = include_str!("remote/kexec-able.sh");
const KEXEC: &str = include_str!("remote/kexec.sh");

/// What the machine says has no more bytes.
const MAX_SAID: u64 = 64 << 10;

/// How often the loaded sections are in memory at once: as a file, in kexec(8), and in the kernel.
const COPIES: u64 = 3;

/// What is left for all else.
const SPARE: u64 = 32 << 20;

/// What of an image is loaded, by the name that the machine gives it.
const LOADED: [(Section, &str); 4] = [
    (Section::Linux, "linux"),
    (Section::Ucode, "ucode"),
    (Section::Initrd, "initrd"),
    (Section::Cmdline, "cmdline"),
];

/// Whether `ssh`'s machine can start `image` so; nothing is changed there.
///
/// # Errors
/// [`DeployError::NoKexec`], which says what is missing.
pub fn able(ssh: &Ssh, image: &NewImage) -> Result<(), DeployError> {
    let need = (COPIES * image.size + SPARE) / 1024;
    let script = script(&[("GIVEN", ""), ("ESP", ""), ("NEED", &need.to_string())], ABLE);
    verdict(ssh, &ssh.ask(&script, MAX_SAID)?)
}

/// Loads `image`, which is the `file` of the machine's partition, and shuts down into it. The machine goes down a
/// moment after this returns.
///
/// # Errors
/// [`DeployError::NotLoaded`] where it is refused; the machine runs on, and a reboot starts the image.
pub fn start(ssh: &Ssh, machine: &Machine, image: &NewImage, file: &str) -> Result<(), DeployError> {
    let parts = parts(image)?;
    let variables = [("GIVEN", ""), ("ESP", &machine.esp), ("FILE", file), ("PARTS", &parts)];
    // It reads the image, digests and loads it before it says a word.
    let patience = ssh.limits().medium(COPIES * image.size);
    let call = Call { script: &script(&variables, KEXEC), limit: MAX_SAID, patience, until: None };
    verdict(ssh, &ssh.run(&call, &mut nothing)?)
}

/// A line for each section that is loaded, with the digest that it has here.
fn parts(image: &NewImage) -> Result<String, DeployError> {
    let io = |source| DeployError::Image { path: image.path.clone(), source };
    let mut file = File::open(&image.path).map_err(io)?;
    let (headers, ..) = read_headers(&mut file)
        .map_err(|e| DeployError::NotAnImage { path: image.path.clone(), reason: e.to_string() })?;
    let mut lines = Vec::new();
    for (section, name) in LOADED {
        let Some(range) = headers.section(section).map(|s| s.data_range()) else { continue };
        file.seek(SeekFrom::Start(range.start)).map_err(io)?;
        let (sha256, size) = of_reader(&mut (&mut file).take(range.end - range.start)).map_err(io)?;
        lines.push(format!("{name}\t{}\t{size}\t{sha256}", range.start));
    }
    Ok(lines.join("\n"))
}

fn verdict(ssh: &Ssh, said: &[u8]) -> Result<(), DeployError> {
    let (host, said) = (ssh.host(), String::from_utf8_lossy(said));
    remote::verdict(host, &said, || DeployError::Answer {
        host: host.to_owned(),
        found: harmless_line(&said),
    })
}
