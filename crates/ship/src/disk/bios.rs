//! What a PC's BIOS starts: the code of the first sector ([`hoopy_disk::mbr`]), and syslinux.
//!
//! syslinux' own file has a map of the sectors that it lies in, and its boot sector has the first of them, so the program
//! `syslinux` installs both: the one of this computer, which writes into the disk's file with mtools and needs no root.

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::process::{Command, Stdio};

use hoopy_base::programs::Programs;
use hoopy_boot::extlinux::loader;
use hoopy_disk::esp;
use hoopy_disk::gpt::Partition;
use hoopy_disk::mbr;
use hoopy_disk::mkfs::TIME;

use super::DiskError;

/// Where a boot sector of FAT says who made it (Microsoft's FAT specification, BS_OEMName).
const NAME: Range<usize> = 3..11;

/// Its files have less than 200 KiB.
const MAX_LOADER: u64 = 4 << 20;

/// Installs it in the FAT partition `partition` of the disk `out`.
pub(super) fn install(out: &File, partition: &Partition, programs: &Programs) -> Result<(), DiskError> {
    let program = programs.find("syslinux").ok_or(DiskError::NoSyslinux)?;
    // The file may have no name yet.
    let file = format!("/proc/{}/fd/{}", std::process::id(), out.as_raw_fd());
    let offset = partition.start.to_string();
    let mut command = Command::new(&program);
    command.args(["--offset", &offset, "--install", &file]).env("SOURCE_DATE_EPOCH", TIME).env("TZ", "UTC");
    let ran =
        command.stdin(Stdio::null()).output().map_err(|error| DiskError::Syslinux(error.to_string()))?;
    if !ran.status.success() {
        return Err(DiskError::Syslinux(String::from_utf8_lossy(&ran.stderr).trim().replace('\n', "; ")));
    }
    // Of a program that only says so, nothing would start.
    check(out, partition).map_err(|reason| DiskError::NotSyslinux { program, reason })?;
    mbr::make_bootable(out).map_err(DiskError::Write)
}

/// That the partition has what syslinux installs: its boot sector, `ldlinux.c32`, and `ldlinux.sys` with the two blocks at
/// its end in which a deploy asks for one start.
fn check(out: &File, partition: &Partition) -> Result<(), String> {
    let mut sector = [0; 512];
    out.read_exact_at(&mut sector, partition.start).map_err(|error| error.to_string())?;
    let name = sector.get(NAME).unwrap_or_default();
    if name != b"SYSLINUX" {
        let found = String::from_utf8_lossy(name.trim_ascii()).into_owned();
        return Err(format!("expected a boot sector of SYSLINUX, found one of {found:?}"));
    }
    let read = |name: &str| {
        let file = esp::read_at(out, partition.start, partition.size, name, MAX_LOADER);
        file.map_err(|error| error.to_string())?
            .ok_or_else(|| format!("expected {name} on the disk, found none"))
    };
    if read("ldlinux.c32")?.is_empty() {
        return Err("ldlinux.c32 is empty".to_owned());
    }
    match loader::has_blocks(&read("ldlinux.sys")?) {
        true => Ok(()),
        false => Err("ldlinux.sys does not end with the two blocks of syslinux 4 or later".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use hoopy_disk::esp::Volume;
    use hoopy_disk::gpt::EFI_SYSTEM;

    use super::*;

    /// A disk with an empty FAT partition, and that.
    fn disk(dir: &std::path::Path) -> (File, Partition) {
        let (start, size) = (1 << 20, 32 << 20);
        let out = File::options().read(true).write(true).create_new(true).open(dir.join("disk")).unwrap();
        out.set_len(start + size).unwrap();
        esp::write_at(&out, start, size, &Volume::default(), &mut []).unwrap();
        let id = hoopy_disk::mkfs::derived("esp", "test");
        (out, Partition { kind: EFI_SYSTEM, id, name: "boot".to_owned(), start, size })
    }

    #[test]
    fn a_program_that_only_says_that_it_installed_syslinux_is_not_believed() {
        let dir = tempfile::tempdir().unwrap();
        let (out, partition) = disk(dir.path());
        let program = dir.path().join("syslinux");
        fs::write(&program, "#!/bin/sh\nexit 0\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let programs = Programs { path: vec![dir.path().to_owned()] };
        let error = install(&out, &partition, &programs).unwrap_err().to_string();
        assert!(error.contains("did not install syslinux: expected a boot sector of SYSLINUX"), "{error}");
        let mut sector = [0; 512];
        out.read_exact_at(&mut sector, 0).unwrap();
        assert_eq!(sector, [0; 512], "the disk was made to start it");
    }

    #[test]
    fn the_real_one_leaves_all_that_is_looked_for() {
        let dir = tempfile::tempdir().unwrap();
        let (out, partition) = disk(dir.path());
        match install(&out, &partition, &Programs::default()) {
            Err(DiskError::NoSyslinux) => return hoopy_testkit::skip("syslinux is not installed"),
            other => other.unwrap(),
        }
        let ldlinux = esp::read_at(&out, partition.start, partition.size, "ldlinux.sys", MAX_LOADER).unwrap();
        let ldlinux = ldlinux.unwrap();
        assert!(loader::has_blocks(&ldlinux));
        assert!(!loader::has_blocks(&ldlinux[..ldlinux.len() - 512]));
    }
}
