//! What a PC's BIOS starts: the code of the first sector ([`hoopy_disk::mbr`]), and syslinux.
//!
//! syslinux' own file has a map of the sectors that it lies in, and its boot sector has the first of them, so the program
//! `syslinux` installs both: the one of this computer, which writes into the disk's file with mtools and needs no root.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::process::{Command, Stdio};

use hoopy_base::programs::Programs;
use hoopy_disk::gpt::Partition;
use hoopy_disk::mbr;
use hoopy_disk::mkfs::TIME;

use super::DiskError;

/// Installs it in the FAT partition `partition` of the disk `out`.
pub(super) fn install(out: &File, partition: &Partition, programs: &Programs) -> Result<(), DiskError> {
    let program = programs.find("syslinux").ok_or(DiskError::NoSyslinux)?;
    // The file may have no name yet.
    let file = format!("/proc/{}/fd/{}", std::process::id(), out.as_raw_fd());
    let offset = partition.start.to_string();
    let mut command = Command::new(program);
    command.args(["--offset", &offset, "--install", &file]).env("SOURCE_DATE_EPOCH", TIME).env("TZ", "UTC");
    let ran =
        command.stdin(Stdio::null()).output().map_err(|error| DiskError::Syslinux(error.to_string()))?;
    if !ran.status.success() {
        return Err(DiskError::Syslinux(String::from_utf8_lossy(&ran.stderr).trim().replace('\n', "; ")));
    }
    mbr::make_bootable(out).map_err(DiskError::Write)
}
