//! The real tools are the oracle: `blkid` reads what the real `mkfs` made.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::process::Command;

use hoopy_disk::fstab::parse;
use hoopy_disk::mkfs::MkfsError;

use super::*;

fn blkid(path: &Path) -> Option<String> {
    let blkid = Places::default().programs.find("blkid");
    if blkid.is_none() {
        hoopy_testkit::skip("blkid is not installed: it is in util-linux");
    }
    let output = Command::new(blkid?).args(["-p", "-o", "export"]).arg(path).output().unwrap();
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Makes the disks, or says which tool is missing.
fn made(dir: &Path, fstab: &str) -> Option<Scratch> {
    match make(dir, &parse(fstab.as_bytes()), None, DEFAULT_SIZE, &Places::default()) {
        Ok(scratch) => Some(scratch),
        Err(VmError::Mkfs(e @ MkfsError::NoTool { .. })) => {
            hoopy_testkit::skip(e);
            None
        }
        Err(e) => panic!("{e}"),
    }
}

#[test]
fn disks_have_the_uuid_the_label_and_the_filesystem_that_fstab_names() {
    const UUID: &str = "1b0c2f0e-1111-4222-8333-444455556666";
    let dir = tempfile::tempdir().unwrap();
    for (spec, filesystem, wanted) in [
        (format!("UUID={UUID}"), "ext4", [format!("UUID={UUID}"), "TYPE=ext4".to_owned()]),
        ("LABEL=big\\040disk".to_owned(), "ext2", ["LABEL=big\\ disk".to_owned(), "TYPE=ext2".to_owned()]),
        ("UUID=12AB-34CD".to_owned(), "vfat", ["UUID=12AB-34CD".to_owned(), "TYPE=vfat".to_owned()]),
        ("LABEL=SHARE".to_owned(), "vfat", ["LABEL=SHARE".to_owned(), "TYPE=vfat".to_owned()]),
        (format!("UUID={UUID}"), "swap", [format!("UUID={UUID}"), "TYPE=swap".to_owned()]),
        (format!("UUID={UUID}"), "btrfs", [format!("UUID={UUID}"), "TYPE=btrfs".to_owned()]),
        (format!("UUID={UUID}"), "xfs", [format!("UUID={UUID}"), "TYPE=xfs".to_owned()]),
    ] {
        let Some(scratch) = made(dir.path(), &format!("{spec} /mnt {filesystem}")) else { continue };
        let Some(found) = blkid(&scratch.disks[0].path) else { continue };
        for line in wanted {
            assert!(found.lines().any(|l| l == line), "{spec} {filesystem}: no {line} in {found}");
        }
    }
}

#[test]
fn a_disk_is_made_once_and_shared_by_the_lines_that_name_it() {
    let dir = tempfile::tempdir().unwrap();
    let fstab = "LABEL=data /a ext4\nLABEL=data /b ext4 subdir\n/dev/sdb /c ext4\nLABEL=z /d zfs\n";
    let Some(first) = made(dir.path(), fstab) else { return };
    assert_eq!(first.disks.len(), 1);
    assert!(first.disks[0].made);
    let lines: Vec<usize> = first.skipped.iter().map(|(mount, _)| mount.line).collect();
    assert_eq!(lines, [3, 4]);
    let second = made(dir.path(), fstab).unwrap();
    assert_eq!((second.disks[0].made, &second.disks[0].path), (false, &first.disks[0].path));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_line_that_wants_a_partition_is_told_and_one_without_a_disk_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let fstab = "tmpfs /tmp tmpfs\nPARTUUID=0dd5 /boot vfat\nnas:/share /mnt nfs\n";
    let scratch = made(dir.path(), fstab).unwrap();
    let told: Vec<_> = scratch.skipped.iter().map(|(mount, why)| (mount.line, *why)).collect();
    let why = "it names a partition, and scratch disks have none: UUID= or LABEL= get a disk";
    assert_eq!(told, [(2, why)]);
}

#[test]
fn what_the_machine_boots_from_is_no_disk_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let mounts = parse(b"UUID=12AB-34CD /media/usb vfat\nUUID=12AB-34CD /again vfat\n");
    let scratch = make(dir.path(), &mounts, mounts.first(), 1 << 20, &Places::default()).unwrap();
    assert!(scratch.disks.is_empty() && scratch.skipped.is_empty());
}

#[test]
fn refuses_names_that_a_filesystem_cannot_have() {
    let dir = tempfile::tempdir().unwrap();
    for fstab in [
        "UUID=../../etc /a ext4",
        "UUID=1234-ABCD /a ext4",
        "UUID=1b0c2f0e-1111-4222-8333-444455556666 /a vfat",
        "LABEL=much-too-long-for-this /a ext4",
        "LABEL=-x /a ext4",
        "LABEL= /a ext4",
    ] {
        let error =
            make(dir.path(), &parse(fstab.as_bytes()), None, 1 << 20, &Places::default()).unwrap_err();
        assert!(error.to_string().starts_with("fstab line 1: "), "{error}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn names_of_files_cannot_leave_their_directory() {
    assert_eq!(file_name(&Spec::Label("../a b".to_owned())), "LABEL=%2e%2e%2fa%20b");
}

#[test]
fn a_blank_disk_is_kept_and_grows_and_is_no_skipped_line_of_fstab() {
    let dir = tempfile::tempdir().unwrap();
    let fstab = "/dev/disk/by-id/virtio-a /a btrfs\n/dev/sdb /b btrfs\n";
    let disk = |size| BlankDisk { size, serial: "a".to_owned() };
    let scratch = made(dir.path(), fstab).unwrap().with(blank(dir.path(), &[disk(2 << 20)]).unwrap());
    let lines: Vec<usize> = scratch.skipped.iter().map(|(mount, _)| mount.line).collect();
    assert_eq!((lines, scratch.disks.len(), scratch.disks[0].made), (vec![2], 1, true));
    let path = &scratch.disks[0].path;
    let length = || fs::metadata(path).unwrap().len();
    assert_eq!(length(), 2 << 20);
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(3 << 20).unwrap();
    for (asked, found) in [(1 << 20, 3 << 20), (4 << 20, 4 << 20)] {
        let again = blank(dir.path(), &[disk(asked)]).unwrap();
        assert_eq!((again[0].made, length()), (false, found));
    }
}
