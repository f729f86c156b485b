//! Which line of an `fstab` mounts the EFI system partition itself.
//!
//! A machine that keeps what lasts beside its image has one FAT filesystem, and its `fstab` names that by its UUID. Made as
//! a second partition, it would be the one that the machine mounts, and the image that a copy to it updates would never be
//! started.

use super::esp::Volume;
use super::fstab::{Mount, Spec};
use super::mkfs::fat_id;

/// Where an EFI system partition is mounted by custom.
const CUSTOMARY: [&str; 4] = ["/boot", "/boot/efi", "/efi", "/esp"];

/// The line of `fstab` that mounts the EFI system partition: FAT, at `given` (`deploy.esp` of `hoopy.toml`) or where it is by
/// custom; else the only FAT filesystem that is named by a UUID, unless it is mounted at one of `apart`, or not at boot.
pub fn of<'m>(fstab: &'m [Mount], given: Option<&str>, apart: &[String]) -> Option<&'m Mount> {
    let fat = || fstab.iter().filter(|mount| mount.filesystem == "vfat" && is_named(mount));
    let is_given = |mount: &&Mount| given == Some(&*mount.mount_point);
    let is_customary = |mount: &&Mount| CUSTOMARY.contains(&mount.mount_point.as_str());
    if let Some(placed) = fat().find(is_given).or_else(|| fat().find(is_customary)) {
        return Some(placed);
    }
    let is_uuid = |mount: &&Mount| matches!(&mount.spec, Spec::Uuid(uuid) if fat_id(uuid).is_some());
    let is_meant = |mount: &&Mount| {
        !apart.contains(&mount.mount_point) && !mount.options.iter().any(|option| option == "noauto")
    };
    // With a mount point of the user's own for it, another filesystem is another.
    let mut possible = fat().filter(is_uuid).filter(is_meant).filter(|_| given.is_none());
    let first = possible.next()?;
    possible.all(|other| other.spec == first.spec).then_some(first)
}

/// Whether a disk of hoopy's could be meant: the root is in memory, though an installed machine's `fstab` mounts a disk there.
fn is_named(mount: &Mount) -> bool {
    matches!(mount.spec, Spec::Uuid(_) | Spec::Label(_)) && mount.mount_point != "/"
}

/// `plain` under the name that `line` mounts it by.
pub fn volume(line: &Mount, plain: Volume) -> Volume {
    match &line.spec {
        Spec::Uuid(uuid) => Volume { id: fat_id(uuid).unwrap_or(plain.id), ..plain },
        Spec::Label(label) => Volume { label: label.clone(), ..plain },
        Spec::Other(_) => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fstab::parse;

    fn line(fstab: &str, given: Option<&str>, apart: &[&str]) -> Option<String> {
        let apart: Vec<String> = apart.iter().map(|&at| at.to_owned()).collect();
        of(&parse(fstab.as_bytes()), given, &apart).map(|mount| mount.mount_point.clone())
    }

    #[test]
    fn the_only_fat_filesystem_by_uuid_is_the_partition_itself() {
        let own = "UUID=12AB-34CD /media/usb vfat noatime,rw 0 0\nLABEL=tank /tank ext4\n";
        assert_eq!(line(own, None, &[]).as_deref(), Some("/media/usb"));
        let twice = "UUID=12AB-34CD /media/usb vfat\nUUID=12AB-34CD /again vfat\n";
        assert_eq!(line(twice, None, &[]).as_deref(), Some("/media/usb"));
    }

    #[test]
    fn a_customary_place_and_what_hoopy_toml_says_come_first() {
        let two = "LABEL=ESP /boot vfat\nUUID=12AB-34CD /share vfat\n";
        assert_eq!(line(two, None, &[]).as_deref(), Some("/boot"));
        assert_eq!(line(two, Some("/share"), &[]).as_deref(), Some("/share"));
        assert_eq!(line("UUID=12AB-34CD /share vfat\n", Some("/media/usb"), &[]), None);
    }

    #[test]
    fn where_another_filesystem_may_be_meant_it_stays_one() {
        let share = "UUID=12AB-34CD /share vfat\n";
        assert_eq!(line(share, None, &["/share"]), None);
        for other in [
            "LABEL=SHARE /share vfat\n",
            "UUID=12AB-34CD /share vfat noauto\n",
            "UUID=12AB-34CD /share ext4\n",
            "UUID=12AB-34CD /share vfat\nUUID=22AB-34CD /other vfat\n",
            "PARTUUID=12AB-34CD /boot vfat\n",
            "UUID=12AB-34CD / vfat\n",
        ] {
            assert_eq!(line(other, None, &[]), None, "{other}");
        }
    }

    #[test]
    fn the_partition_has_the_name_that_the_line_has() {
        let named = |line: &str| {
            parse(line.as_bytes()).first().map(|mount| volume(mount, Volume::default())).unwrap_or_default()
        };
        assert_eq!(named("UUID=B61B-19E7 /media/usb vfat").id, 0xb61b_19e7);
        assert_eq!(named("LABEL=BOOT /boot vfat").label, "BOOT");
    }
}
