//! Backups of one instant: a snapshot of btrfs, which a test mounts, and of ZFS, by a stand-in of its program.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use hoopy_boot::state::{Directory, MAP, Map, VERSION};
use hoopyd::backup;

struct Machine(tempfile::TempDir);

impl Machine {
    fn new(mounts: &str) -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        let map = Map {
            version: VERSION,
            name: "nas".to_owned(),
            on: "/persist".to_owned(),
            directories: vec![Directory { path: "var/lib/app".to_owned(), optional: false }],
            backup: None,
        };
        machine.write(MAP, &serde_json::to_string(&map).unwrap());
        machine.write("proc/mounts", mounts);
        fs::create_dir_all(machine.path("persist")).unwrap();
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), text).unwrap();
    }

    fn script(&self, path: &str, text: &str) {
        self.write(path, &format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What a backup has of the one file.
    fn saved(&self) -> String {
        let mut archive = Vec::new();
        backup::to_owner(self.0.path(), &mut archive).unwrap();
        let to = tempfile::tempdir().unwrap();
        let manifest = hoopy_backup::check(&*archive).unwrap().manifest;
        hoopy_backup::unpack(&*archive, &manifest, to.path()).unwrap();
        fs::read_to_string(to.path().join("var-lib-app/data")).unwrap()
    }
}

const DATA: &str = "persist/hoopy/state/var-lib-app/data";

#[test]
fn a_zfs_dataset_is_read_from_a_snapshot_that_is_removed_afterwards() {
    let machine = Machine::new("tank/other /persist ext4 rw 0 0\ntank/state /persist zfs rw 0 0\n");
    machine.write(DATA, "of now");
    let (persist, log) = (machine.path("persist"), machine.path("log"));
    let at = persist.join(".zfs/snapshot/hoopy-backup");
    // What a snapshot is of a dataset: its files under another path.
    machine.script(
        "usr/sbin/zfs",
        &format!(
            "echo \"$@\" >>{log}\ncase $1 in\nsnapshot) mkdir -p {at} && cp -r {persist}/hoopy {at}/ ;;\n\
             destroy) rm -r {at} ;;\nesac",
            log = log.display(),
            at = at.display(),
            persist = persist.display()
        ),
    );
    machine.script(
        "etc/hoopy/backup.d/app",
        &format!(
            "echo $1 >>{}; [ $1 = before ] || echo 'of later' >{}",
            log.display(),
            machine.path(DATA).display()
        ),
    );
    assert_eq!(machine.saved(), "of now", "what is written after the snapshot is not in the backup");
    let expected = "before\nsnapshot tank/state@hoopy-backup\nafter\ndestroy tank/state@hoopy-backup\n";
    assert_eq!(fs::read_to_string(&log).unwrap(), expected);
    // One that a power cut left.
    fs::create_dir_all(&at).unwrap();
    fs::remove_file(&log).unwrap();
    machine.saved();
    assert!(
        fs::read_to_string(&log).unwrap().starts_with("before\ndestroy tank/state@hoopy-backup\nsnapshot")
    );
}

#[test]
fn a_snapshot_that_fails_is_named_and_no_backup_is_made() {
    let machine = Machine::new("tank/state /persist zfs rw 0 0\n");
    machine.write(DATA, "of now");
    machine.script("sbin/zfs", "echo 'out of space' >&2; exit 1");
    let error = backup::to_owner(machine.0.path(), Vec::new()).unwrap_err().to_string();
    assert_eq!(error, "zfs snapshot tank/state@hoopy-backup: exit status: 1: out of space");
}

/// A dataset that BusyBox's mount mounted: all directories seemed to be absent, and a backup of nothing was made.
#[test]
fn a_snapshot_that_cannot_be_read_is_no_backup_and_is_removed() {
    let machine = Machine::new("tank/state /persist zfs rw 0 0\n");
    machine.write(DATA, "of now");
    let log = machine.path("log");
    machine.script("sbin/zfs", &format!("echo \"$1\" >>{}", log.display()));
    let error = backup::to_owner(machine.0.path(), Vec::new()).unwrap_err().to_string();
    assert!(error.contains(".zfs/snapshot/hoopy-backup/hoopy: No such file"), "{error}");
    assert!(error.contains("has to be mounted by `zfs mount`"), "{error}");
    assert_eq!(fs::read_to_string(&log).unwrap(), "snapshot\ndestroy\n");
}

#[test]
fn a_filesystem_without_snapshots_or_their_program_is_read_as_it_is() {
    for mounts in ["/dev/vda2 /persist ext4 rw 0 0\n", "tank/state /persist zfs rw 0 0\n", ""] {
        let machine = Machine::new(mounts);
        machine.write(DATA, "of now");
        assert_eq!(machine.saved(), "of now");
    }
}

/// A btrfs in a file, mounted while this lives.
struct Mounted(PathBuf);

impl Mounted {
    fn new(machine: &Machine, at: &Path) -> Self {
        let image = machine.path("btrfs.img");
        fs::File::create(&image).unwrap().set_len(256 << 20).unwrap();
        let run = |command: &mut Command| assert!(command.status().unwrap().success(), "{command:?}");
        run(Command::new("/usr/sbin/mkfs.btrfs").arg("-q").arg(&image));
        run(Command::new("mount").args(["-o", "loop"]).args([&image, at]));
        Self(at.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
#[ignore = "mounts a btrfs, which needs root: `cargo xtask prove` runs it where it can"]
fn a_btrfs_is_read_from_a_snapshot_that_is_removed_afterwards() {
    let machine = Machine::new("/dev/loop0 /persist btrfs rw 0 0\n");
    let _mounted = Mounted::new(&machine, &machine.path("persist"));
    machine.write(DATA, "of now");
    fs::create_dir_all(machine.path("sbin")).unwrap();
    let program =
        ["/usr/bin/btrfs", "/sbin/btrfs"].into_iter().find(|path| Path::new(path).exists()).unwrap();
    symlink(program, machine.path("sbin/btrfs")).unwrap();
    let later = format!("[ $1 = before ] || echo 'of later' >{}", machine.path(DATA).display());
    machine.script("etc/hoopy/backup.d/app", &later);
    assert_eq!(machine.saved(), "of now", "what is written after the snapshot is not in the backup");
    assert!(!machine.path("persist/hoopy/snapshot").exists(), "the snapshot is removed");
    // One that a power cut left.
    let left = Command::new(program)
        .args(["subvolume", "snapshot", "-r"])
        .args([machine.path("persist"), machine.path("persist/hoopy/snapshot")])
        .output();
    assert!(left.unwrap().status.success());
    assert_eq!(machine.saved(), "of later\n");
    assert!(!machine.path("persist/hoopy/snapshot").exists(), "the snapshot is removed");
}

#[test]
#[ignore = "mounts a btrfs, which needs root: `cargo xtask prove` runs it where it can"]
fn a_btrfs_subvolume_within_the_state_is_named_and_no_backup_is_made_without_it() {
    let machine = Machine::new("/dev/loop0 /persist btrfs rw 0 0\n");
    let _mounted = Mounted::new(&machine, &machine.path("persist"));
    machine.write(DATA, "of now");
    let program =
        ["/usr/bin/btrfs", "/sbin/btrfs"].into_iter().find(|path| Path::new(path).exists()).unwrap();
    let inner = machine.path("persist/hoopy/state/var-lib-app/inner");
    assert!(Command::new(program).args(["subvolume", "create"]).arg(&inner).status().unwrap().success());
    let refused = || backup::to_owner(machine.0.path(), Vec::new()).unwrap_err().to_string();
    let expected = "/var/lib/app/inner is a btrfs subvolume, which a snapshot of the state leaves out";
    let said = refused();
    assert!(said.contains(expected), "without snapshots: {said}");
    fs::create_dir_all(machine.path("sbin")).unwrap();
    symlink(program, machine.path("sbin/btrfs")).unwrap();
    let said = refused();
    assert!(said.contains(expected), "in a snapshot: {said}");
    assert!(!machine.path("persist/hoopy/snapshot").exists(), "the snapshot is removed");
}

#[test]
#[ignore = "mounts a tmpfs, which needs root: `cargo xtask prove` runs it where it can"]
fn a_filesystem_mounted_within_the_state_is_not_read() {
    let machine = Machine::new("");
    machine.write(DATA, "of now");
    let at = machine.path("persist/hoopy/state/var-lib-app/inner");
    fs::create_dir_all(&at).unwrap();
    assert!(Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&at).status().unwrap().success());
    let _mounted = Mounted(at.clone());
    fs::write(at.join("other"), "elsewhere").unwrap();
    let mut archive = Vec::new();
    backup::to_owner(machine.0.path(), &mut archive).unwrap();
    assert_eq!(hoopy_backup::check(&*archive).unwrap().files, 1, "the file that is not on it");
}

#[test]
fn what_is_mounted_within_the_state_is_named_as_left_out_wherever_it_is_seen() {
    let machine = Machine::new(
        "/dev/vda2 /persist ext4 rw 0 0\n/dev/vda2 /var/lib/app ext4 rw 0 0\n\
         /dev/vdb /var/lib/app/my\\040films xfs rw 0 0\n/dev/vdc /persist/hoopy/state/var-lib-app/inner xfs rw 0 0\n\
         /dev/vdd /var/lib/application xfs rw 0 0\n",
    );
    machine.write(DATA, "of now");
    let mut archive = Vec::new();
    backup::to_owner(machine.0.path(), &mut archive).unwrap();
    let left_out = hoopy_backup::check(&*archive).unwrap().manifest.left_out;
    assert_eq!(left_out, ["var/lib/app/inner", "var/lib/app/my films"]);
}
