//! examples/nas with ZFS in place of LUKS and btrfs: the same road, and the tests of the example, in machines with real ZFS.
//!
//! Not with a TPM: that needs Secure Boot, under which the kernel of the stand-in, Debian's, loads no module that Debian has not
//! signed. `cargo xtask prove` alone runs them: the modules have to be compiled first (`cargo xtask mirror --zfs`).

use std::process::Command;

use hoopy_testkit::{Home, Mirror, mirror_with_zfs, skip};

use crate::choice::Choice;
use crate::nas::{Nas, is_set_up_unlocked_and_made_again};

/// The example for whose owner ZFS was chosen, as the README says; nothing where that cannot be tested.
fn example() -> Option<(Home, Mirror)> {
    if !Choice::from_environment().full {
        println!("examples/nas with ZFS is left to `cargo xtask prove`");
        return None;
    }
    let Some(mirror) = mirror_with_zfs() else {
        skip("no mirror has ZFS: run `cargo xtask mirror --zfs`");
        return None;
    };
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let dir = home.example("nas");
    let chosen = Command::new("sh").arg("zfs/choose").current_dir(dir).status().unwrap();
    assert!(chosen.success(), "{chosen}");
    Some((home, mirror))
}

/// State on ZFS is read from a snapshot, which is gone afterwards.
const BACKUP: &str = "set -e
zfs create -o mountpoint=legacy array/state
mount.zfs array/state /mnt
cp -a /persist/. /mnt/
umount /mnt
mount.zfs array/state /persist
rm -f /srv/backups/*
/etc/periodic/daily/backup
ls /srv/backups
umount -l /persist
# BusyBox's mount does not tell ZFS where it is, and then no snapshot can be read: that is said, and nothing is lost.
mount -i -t zfs array/state /persist
! /etc/periodic/daily/backup
umount -l /persist
zpool history -i array | grep -c 'snapshot array/state@hoopy-backup'
zfs list -t snapshot -H -o name";

fn a_backup_is_of_a_snapshot(nas: &Nas) {
    let said = nas.asks(BACKUP);
    assert!(said.contains(".tar.zst.age"), "no backup: {said}");
    assert!(said.contains("array/share@") && !said.contains("array/state@"), "{said}");
    nas.say("a backup of state on ZFS was read from a snapshot");
}

#[test]
#[ignore = "boots a machine with ZFS: `cargo xtask prove` runs it"]
fn the_nas_with_zfs_is_set_up_unlocked_and_made_again_when_its_boot_card_is_lost() {
    if let Some((home, mirror)) = example() {
        is_set_up_unlocked_and_made_again(Nas::of(home, Some(mirror)), a_backup_is_of_a_snapshot);
    }
}

#[test]
#[ignore = "boots machines with ZFS: `cargo xtask prove` runs it"]
fn the_tests_of_the_nas_pass_with_zfs() {
    let Some((home, mirror)) = example() else { return };
    let mut command = home.command(&["test", "nas", "--logs", "logs"]);
    command.env("HOOPY_MIRROR", &mirror.alpine).env("HOOPY_KEYS", &mirror.keys);
    let out = command.output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    println!("{said}");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    // A pool that is degraded and mended, among others
    let passed = |name: &str| said.lines().any(|line| line.starts_with("ok ") && line.contains(name));
    assert!(passed("25-import") && passed("array"), "{said}");
}
