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

use hoopy_base::terminal::harmless_line;
use hoopy_uki::Section;

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
pub fn able(ssh: &Ssh, machine: &Machine, image: &NewImage) -> Result<(), DeployError> {
    if machine.pair.is_some() {
        let reason =
            "a machine with two directories tries a new image through its boot loader, with --reboot"
                .to_owned();
        return Err(DeployError::NoKexec { host: machine.host.clone(), reason });
    }
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
    let parts = image.parts(&LOADED)?;
    let variables = [("GIVEN", ""), ("ESP", &machine.esp), ("FILE", file), ("PARTS", &parts)];
    // It reads the image, digests and loads it before it says a word.
    let patience = ssh.limits().medium(COPIES * image.size);
    let call = Call {
        script: &script(&variables, &remote::then_down(KEXEC)),
        limit: MAX_SAID,
        patience,
        until: None,
    };
    verdict(ssh, &ssh.run(&call, &mut nothing)?)
}

fn verdict(ssh: &Ssh, said: &[u8]) -> Result<(), DeployError> {
    let (host, said) = (ssh.host(), String::from_utf8_lossy(said));
    remote::verdict(host, &said, || DeployError::Answer {
        host: host.to_owned(),
        found: harmless_line(&said),
    })
}
