//! A machine that runs diskless Alpine Linux: images are put onto its medium, beside what is there.
//!
//! ```text
//! image ──▶ EFI/Linux/NAME+3.efi        Alpine's loader knows nothing of it
//! Alpine's loader ──copy──▶ EFI/BOOT/ALPINE.EFI ──▶ loader/entries/alpine-diskless.conf
//! systemd-boot ──rename──▶ EFI/BOOT/BOOTX64.EFI         from here on, the image is on trial
//! ```
//!
//! Each line is whole and on the disk before the next is begun. Until the last rename the firmware starts Alpine's own
//! loader; after it, systemd-boot, which has both. Nothing else of the medium is written.

use hoopy_base::digest::ContentId;
use hoopy_base::report::Observer;
use hoopy_boot::diskless::{ENTRY, KEPT_LOADER, LOADER_CONF, entry};
use hoopy_boot::layout::{BOOT_DIR, Layout, started};
use std::io::Write;

use super::assemble::{NewFile, assemble};
use super::diskless_system::{Diskless, Obstacle};
use super::error::DeployError;
use super::machine::Machine;
use super::place::{Step, Steps};
use super::request::Request;
use super::ssh::Ssh;
use super::{remote, signature};

/// Where systemd-boot is put together.
const LOADER_PART: &str = "EFI/BOOT/hoopy-new.part";
/// Where Alpine's loader is copied to.
const KEPT_PART: &str = "EFI/BOOT/hoopy-old.part";

/// What BusyBox calls FAT.
const FAT: &str = "msdos";

/// What a copy may take more than its bytes, directories too.
const SLACK: u64 = 1 << 20;

impl Diskless {
    /// Why no image can be put beside it.
    fn obstacle(&self, machine: &Machine, layout: Layout, loader: &str) -> Option<Obstacle> {
        let there = machine.files.iter().any(|file| file.path.eq_ignore_ascii_case(loader));
        let elsewhere = self.started.as_deref().map(|path| path.replace('\\', "/"));
        let elsewhere = elsewhere.filter(|path| !path.trim_start_matches('/').eq_ignore_ascii_case(loader));
        Some(Obstacle::Other(match (self.firmware.as_str(), self.filesystem.as_deref()) {
            // First, since no layout helps.
            ("bios", _) => return Some(Obstacle::Bios),
            ("32", _) => return Some(Obstacle::Uefi32),
            _ if layout != Layout::Ab => return Some(Obstacle::Layout(layout)),
            (_, None) => format!("{} has no directories apks and boot", machine.esp),
            (_, Some(FAT)) => match elsewhere {
                Some(path) => format!("its firmware starts {path}: expected {loader}"),
                None if !there => format!("its medium has no {loader}, which firmware starts"),
                None if self.configured => {
                    format!("its medium has a {LOADER_CONF} that hoopy did not write")
                }
                None => return None,
            },
            (_, Some(other)) => {
                format!("its medium {} is {other}, and firmware reads FAT alone", machine.esp)
            }
        }))
    }
}

/// That the image may be put beside diskless Alpine Linux, which `machine` runs.
///
/// # Errors
/// [`DeployError::IsDiskless`], [`DeployError::NotBeside`], and where firmware refuses the boot loader.
pub(super) fn check(
    machine: &Machine,
    diskless: &Diskless,
    request: &Request<'_>,
) -> Result<(), DeployError> {
    let host = || machine.host.clone();
    let Some(install) = request.beside else {
        return Err(DeployError::IsDiskless { host: host(), medium: machine.esp.clone() });
    };
    if let Some(reason) = diskless.obstacle(machine, request.layout, &started(request.image.arch)) {
        return Err(DeployError::NotBeside { host: host(), reason });
    }
    signature::accepts(machine, "systemd-boot", &mut std::io::Cursor::new(&install.loader))
}

/// What makes systemd-boot the loader of the medium; nothing where it is, since an earlier deploy did so.
pub(super) fn steps(machine: &Machine, request: &Request<'_>) -> Option<Steps> {
    let (diskless, install) = (machine.diskless.as_ref()?, request.beside?);
    let loader = started(request.image.arch);
    if diskless.has_systemd_boot(&loader) {
        return None;
    }
    let conf = crate::disk::loader_conf(install.menu);
    let then = vec![
        Step::Copy(loader.clone(), KEPT_PART.to_owned()),
        Step::Move(KEPT_PART.to_owned(), KEPT_LOADER.to_owned()),
        Step::Write(ENTRY.to_owned(), entry()),
        Step::Write(LOADER_CONF.to_owned(), conf),
        Step::Move(LOADER_PART.to_owned(), loader.clone()),
    ];
    Some(Steps { part: Some(LOADER_PART.to_owned()), then, becomes: loader, ..Steps::default() })
}

/// Bytes of the medium that the boot loaders take beside the image.
pub(super) fn size(machine: &Machine, request: &Request<'_>) -> u64 {
    let in_boot =
        |path: &str| path.rsplit_once('/').is_some_and(|(dir, _)| dir.eq_ignore_ascii_case(BOOT_DIR));
    let largest = machine.files.iter().filter(|file| in_boot(&file.path)).map(|file| file.size).max();
    let own = request.beside.map_or(0, |install| install.loader.len() as u64);
    largest.unwrap_or(0) + own + SLACK
}

/// Does these steps, with the boot loader that is sent.
///
/// # Errors
/// [`DeployError`]; until the last step the machine starts what it started before.
pub(super) fn install(
    ssh: &Ssh,
    machine: &Machine,
    steps: &Steps,
    loader: &[u8],
    observer: &dyn Observer,
) -> Result<(), DeployError> {
    let size = loader.len() as u64;
    let file = NewFile {
        size,
        sha256: ContentId::of(loader).to_string(),
        plan: format!("send\t{size}"),
        starts: String::new(),
    };
    let mut feed = |out: &mut dyn Write| out.write_all(loader);
    let said = assemble(ssh, machine, steps, &file, size, &mut feed)?;
    observer.event(hoopy_base::report::Event::Bytes(0, 0));
    let host = ssh.host();
    remote::verdict(host, &said, || DeployError::Short(host.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::machine::RemoteFile;
    use super::*;

    const LOADER: &str = "EFI/BOOT/BOOTX64.EFI";

    fn told(lines: &[&str]) -> Diskless {
        let mut diskless = Diskless::default();
        lines.iter().for_each(|line| diskless.take(line));
        diskless
    }

    fn machine() -> Machine {
        let file = RemoteFile { path: "EFI/BOOT/bootx64.efi".to_owned(), size: 1 };
        Machine { esp: "/media/usb".to_owned(), files: vec![file], ..Machine::default() }
    }

    #[test]
    fn a_medium_that_firmware_starts_by_its_own_name_has_no_obstacle() {
        let lines = ["release 3.23.6", "filesystem msdos", "firmware 64", "kernel vmlinuz-lts"];
        let diskless = told(&lines);
        assert_eq!(diskless.obstacle(&machine(), Layout::Ab, LOADER), None);
        assert!(!diskless.has_systemd_boot(LOADER));
        assert!(told(&["systemd-boot bootx64.efi"]).has_systemd_boot(LOADER));
        let same = told(&[&lines[..], &["started \\EFI\\Boot\\bootx64.efi"]].concat());
        assert_eq!(same.obstacle(&machine(), Layout::Ab, LOADER), None);
    }

    #[test]
    fn each_obstacle_is_told() {
        for (lines, layout, expected) in [
            (&["filesystem msdos", "firmware 64"][..], Layout::Single, "found \"single\""),
            (&["filesystem msdos", "firmware bios"], Layout::Ab, "needs UEFI"),
            (&["filesystem msdos", "firmware 32"], Layout::Ab, "32 bits"),
            (&["firmware 64"], Layout::Ab, "/media/usb has no directories"),
            (&["filesystem iso9660", "firmware 64"], Layout::Ab, "is iso9660"),
            (
                &["filesystem msdos", "firmware 64", "started \\EFI\\alpine\\grubx64.efi"],
                Layout::Ab,
                "starts /EFI/alpine/grubx64.efi",
            ),
            (&["filesystem msdos", "firmware 64", "configured x"], Layout::Ab, "hoopy did not write"),
        ] {
            let found = told(lines).obstacle(&machine(), layout, LOADER).map(|found| found.to_string());
            assert!(found.as_ref().is_some_and(|found| found.contains(expected)), "{expected}: {found:?}");
        }
        let bare = Machine { files: Vec::new(), ..machine() };
        let found = told(&["filesystem msdos", "firmware 64"]).obstacle(&bare, Layout::Ab, LOADER);
        assert!(found.is_some_and(|found| found.to_string().contains("has no EFI/BOOT/BOOTX64.EFI")));
    }
}
