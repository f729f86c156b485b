//! Which filesystem keeps the machine's identity, with `open = "disk"` or `"tpm"`, or its state.

use hoopy_boot::secrets::Device;
use hoopy_disk::fstab::{self, Mount};
use hoopy_store::Store;
use hoopy_store::layer::EntryPath;

use super::super::{Stack, StackError};
use super::SecretLayerError;
use crate::config::System;

/// Filesystems that keep no owner and mode: everybody could read the identity.
const WITHOUT_MODES: [&str; 6] = ["vfat", "msdos", "exfat", "ntfs", "ntfs3", "iso9660"];

/// Options that decide what is mounted, and not how.
const OF_SUBVOLUME: [&str; 2] = ["subvol=", "subvolid="];

/// The filesystem that `[secrets] on` names, or the only one of `fstab` that can keep the identity.
pub(super) fn device(system: &System, stack: &Stack, store: &Store) -> Result<Device, StackError> {
    let text = stack.read(&EntryPath::new("etc/fstab")?, store)?.unwrap_or_default();
    let mounts = fstab::parse(&text);
    choose(&mounts, system.secrets.on.as_deref()).map_err(|e| SecretLayerError::Filesystem(e).into())
}

/// What a filesystem is chosen for.
#[derive(Debug)]
pub struct Purpose {
    /// The table of `hoopy.toml` whose `on` names it.
    pub table: &'static str,
    /// What it keeps.
    pub what: &'static str,
    /// What else can be done where there is none.
    pub or: &'static str,
}

/// The machine's identity.
const IDENTITY: Purpose =
    Purpose { table: "secrets", what: "the machine's identity", or: ", or use open = \"owner\"" };

/// The state that outlives a boot.
pub const STATE: Purpose = Purpose { table: "state", what: "what `state` lists", or: "" };

/// The one for the machine's identity, of an `fstab` at hand.
///
/// # Errors
/// Why there is none, or not one.
pub fn choose(mounts: &[Mount], on: Option<&str>) -> Result<Device, String> {
    choose_for(&IDENTITY, mounts, on)
}

/// The one that `on` names, or the only one that keeps owners and modes.
///
/// # Errors
/// Why there is none, or not one.
pub fn choose_for(purpose: &Purpose, mounts: &[Mount], on: Option<&str>) -> Result<Device, String> {
    let Purpose { table, what, or } = purpose;
    let keeps = |mount: &&Mount| {
        mount.is_disk() && mount.filesystem != "swap" && !WITHOUT_MODES.contains(&mount.filesystem.as_str())
    };
    let found: Vec<&Mount> = match on {
        Some(on) => mounts.iter().filter(|mount| mount.mount_point.trim_end_matches('/') == on).collect(),
        None => mounts.iter().filter(keeps).collect(),
    };
    match (found.as_slice(), on) {
        ([one], _) if keeps(one) => Ok(of(one)),
        ([one], _) => Err(format!(
            "{} is a filesystem of the kind {}: expected one of a disk that keeps owners and modes, as ext4",
            one.mount_point, one.filesystem
        )),
        ([], None) => Err(format!("root/etc/fstab mounts no filesystem that could keep {what}: add one{or}")),
        ([], Some(on)) => Err(format!("`{table}.on` is {on}, and root/etc/fstab mounts nothing there")),
        (several, _) => {
            let points: Vec<&str> = several.iter().map(|mount| mount.mount_point.as_str()).collect();
            Err(format!(
                "root/etc/fstab mounts {}: say which keeps {what} with `on = \"{}\"` under [{table}]",
                points.join(", "),
                points.first().copied().unwrap_or_default()
            ))
        }
    }
}

fn of(mount: &Mount) -> Device {
    let matters = |option: &&String| OF_SUBVOLUME.iter().any(|start| option.starts_with(start));
    Device {
        spec: mount.spec.to_string(),
        filesystem: mount.filesystem.clone(),
        options: mount.options.iter().filter(matters).cloned().collect(),
        mount_point: mount.mount_point.clone(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const FSTAB: &[u8] =
        b"UUID=AAAA-0001 /boot vfat defaults 0 0\nLABEL=persist /persist btrfs noatime,subvol=@p 0 0\n";

    #[test]
    fn the_only_filesystem_that_keeps_modes_is_chosen() {
        let device = choose(&fstab::parse(FSTAB), None).unwrap();
        assert_eq!((device.spec.as_str(), device.filesystem.as_str()), ("LABEL=persist", "btrfs"));
        assert_eq!((device.options, device.mount_point.as_str()), (vec!["subvol=@p".to_owned()], "/persist"));
    }

    #[test]
    fn a_filesystem_without_modes_is_refused_and_several_are_named() {
        let mounts = fstab::parse(FSTAB);
        assert!(choose(&mounts, Some("/boot")).unwrap_err().contains("vfat"));
        assert!(choose(&mounts, Some("/data")).unwrap_err().contains("mounts nothing there"));
        assert!(choose(&mounts[..1], None).unwrap_err().contains("open = \"owner\""));
        let more = [FSTAB, b"LABEL=data /data ext4\n"].concat();
        let both = fstab::parse(&more);
        assert!(choose(&both, None).unwrap_err().contains("on = \"/persist\""));
        assert_eq!(choose(&both, Some("/data")).unwrap().spec, "LABEL=data");
    }
}
