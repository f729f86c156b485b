//! Which lines of an `fstab` are on the disk: the one of the EFI system partition, and those that outlive a boot.

use hoopy_disk::esp_line;
use hoopy_disk::fstab::{Mount, Spec};
use hoopy_disk::mkfs::{self, Maker};

use super::error::DiskError;

/// The partitions that an `fstab` wants.
#[derive(Debug, Clone, Default)]
pub struct Lasting {
    /// The line that mounts the EFI system partition.
    pub esp: Option<Mount>,
    /// Lines that get a partition each, in the order of the `fstab`.
    pub mounts: Vec<Mount>,
}

/// Chooses among the lines of an `fstab`: the mount points `wanted`, or the only line that could be meant where none
/// are given (`None`). `esp` is where `hoopy.toml` says that the EFI system partition is mounted.
///
/// # Errors
/// [`DiskError::Which`] where several lines could be meant, [`DiskError::NoSuchMount`], [`DiskError::EspSpec`].
pub fn choose(fstab: &[Mount], wanted: Option<&[String]>, esp: Option<&str>) -> Result<Lasting, DiskError> {
    // The root is in memory, though an installed machine's fstab mounts a disk there.
    let named = |m: &&Mount| matches!(m.spec, Spec::Uuid(_) | Spec::Label(_)) && m.mount_point != "/";
    let own = esp_line::of(fstab, esp, wanted.unwrap_or_default());
    own.map_or(Ok(()), check)?;
    // Lines that mount the same filesystem are one partition.
    let mut lines: Vec<&Mount> = Vec::new();
    for line in fstab.iter().filter(named).filter(|m| own.is_none_or(|own| own.spec != m.spec)) {
        if lines.iter().all(|other| other.spec != line.spec) {
            lines.push(line);
        }
    }
    let chosen = match wanted {
        Some(wanted) => wanted.iter().map(|w| find(&lines, w)).collect::<Result<Vec<_>, _>>()?,
        None => match implied(&lines).as_slice() {
            [] => Vec::new(),
            [only] => vec![*only],
            [first, ..] => {
                let possible = implied(&lines);
                let mounts = possible.iter().map(|m| format!("{} ({})", m.mount_point, m.spec)).collect();
                return Err(DiskError::Which { mounts, first: first.mount_point.clone() });
            }
        },
    };
    if let Some(mount) = chosen.iter().find(|m| Maker::of(&m.filesystem).is_none()) {
        return Err(DiskError::no_maker(mount));
    }
    let mounts = lines.into_iter().filter(|line| chosen.contains(line)).cloned().collect();
    Ok(Lasting { esp: own.cloned(), mounts })
}

/// The lines that could be meant: swap is, where there is nothing else.
fn implied<'m>(lines: &[&'m Mount]) -> Vec<&'m Mount> {
    let lasting: Vec<&Mount> = lines.iter().copied().filter(|m| m.filesystem != "swap").collect();
    if lasting.is_empty() { lines.to_vec() } else { lasting }
}

fn find<'m>(lines: &[&'m Mount], wanted: &str) -> Result<&'m Mount, DiskError> {
    let found = lines.iter().find(|m| m.mount_point == wanted).copied();
    let there = || lines.iter().map(|m| m.mount_point.clone()).collect();
    found.ok_or_else(|| DiskError::NoSuchMount { wanted: wanted.to_owned(), there: there() })
}

fn check(esp: &Mount) -> Result<(), DiskError> {
    let bad = |reason| DiskError::EspSpec { line: esp.line, spec: esp.spec.to_string(), reason };
    match &esp.spec {
        Spec::Uuid(uuid) if mkfs::fat_id(uuid).is_none() => Err(bad("it must look like 1234-ABCD")),
        Spec::Label(label) if label.is_empty() || label.len() > 11 || label.bytes().any(lower) => {
            Err(bad("at most 11 of A-Z, 0-9, `_` and `-` are allowed"))
        }
        _ => Ok(()),
    }
}

/// What FAT labels do not hold.
fn lower(byte: u8) -> bool {
    !(byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-')
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use hoopy_disk::fstab::parse;

    use super::*;

    const FSTAB: &str = "UUID=12AB-34CD /boot vfat ro\nLABEL=data /data ext4\nLABEL=data /home ext4 bind\n\
                         LABEL=pool /srv btrfs\ntmpfs /tmp tmpfs\n";

    fn chosen(fstab: &str, wanted: Option<&[&str]>) -> Result<Lasting, DiskError> {
        let wanted: Option<Vec<String>> = wanted.map(|w| w.iter().map(|&w| w.to_owned()).collect());
        choose(&parse(fstab.as_bytes()), wanted.as_deref(), None)
    }

    fn points(lasting: &Lasting) -> Vec<&str> {
        lasting.mounts.iter().map(|m| m.mount_point.as_str()).collect()
    }

    #[test]
    fn the_only_line_that_could_be_meant_is() {
        let lasting = chosen("LABEL=data /data ext4\n/dev/sda1 /mnt ext4\n", None).unwrap();
        assert_eq!(points(&lasting), ["/data"]);
        assert!(points(&chosen("tmpfs /tmp tmpfs\n", None).unwrap()).is_empty());
    }

    #[test]
    fn a_filesystem_that_is_the_efi_system_partition_gets_no_other() {
        let stick = "UUID=B61B-19E7 /media/usb vfat noatime,rw,fmask=177 0 0\n";
        let lasting = chosen(stick, None).unwrap();
        assert_eq!(
            (points(&lasting), lasting.esp.as_ref().unwrap().mount_point.as_str()),
            (vec![], "/media/usb")
        );
        let apart = chosen(stick, Some(&["/media/usb"])).unwrap();
        assert!(apart.esp.is_none() && points(&apart) == ["/media/usb"]);
        let bare = chosen(stick, Some(&[])).unwrap();
        assert!(bare.esp.is_some() && bare.mounts.is_empty());
    }

    #[test]
    fn where_several_could_be_meant_it_must_be_said() {
        let error = chosen(FSTAB, None).unwrap_err().to_string();
        assert!(error.contains("/data (LABEL=data), /srv (LABEL=pool)"), "{error}");
        let lasting = chosen(FSTAB, Some(&["/srv"])).unwrap();
        assert_eq!((points(&lasting), lasting.esp.as_ref().unwrap().line), (vec!["/srv"], 1));
        assert!(points(&chosen(FSTAB, Some(&[])).unwrap()).is_empty());
        let error = chosen(FSTAB, Some(&["/tmp"])).unwrap_err().to_string();
        assert!(error.ends_with("LABEL=; there are /data, /srv"), "{error}");
    }

    #[test]
    fn what_cannot_be_made_is_named_with_its_line() {
        let error = chosen("\nLABEL=z /z zfs\n", None).unwrap_err().to_string();
        assert!(error.starts_with("root/etc/fstab:2: /z is zfs"), "{error}");
        let error = chosen("LABEL=boot /boot vfat\n", None).unwrap_err().to_string();
        assert!(error.starts_with("root/etc/fstab:1: LABEL=boot"), "{error}");
    }
}
