//! `/etc/fstab`, as fstab(5) describes it.

use hoopy_base::octal::unescape;

/// How a line names its device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spec {
    /// `UUID=`.
    Uuid(String),
    /// `LABEL=`.
    Label(String),
    /// Anything else: a device name, `PARTUUID=`, a network share, `none`.
    Other(String),
}

impl std::fmt::Display for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Uuid(uuid) => write!(f, "UUID={uuid}"),
            Self::Label(label) => write!(f, "LABEL={label}"),
            Self::Other(other) => f.write_str(other),
        }
    }
}

/// A line that mounts something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Counted from 1.
    pub line: usize,
    /// The device.
    pub spec: Spec,
    /// Where it goes; `none` for swap.
    pub mount_point: String,
    /// The filesystem, or `swap`, or `auto`.
    pub filesystem: String,
    /// Mount options.
    pub options: Vec<String>,
}

impl Mount {
    /// Whether it mounts a disk, not a share or one of the kernel's filesystems.
    pub fn is_disk(&self) -> bool {
        match &self.spec {
            Spec::Uuid(_) | Spec::Label(_) => true,
            Spec::Other(device) => device.starts_with("/dev/") || device.starts_with("PART"),
        }
    }
}

/// The mounts of an `fstab`, in its order. Lines with fewer than three fields, which `mount` skips with a
/// complaint, are left out, as are comments.
pub fn parse(text: &[u8]) -> Vec<Mount> {
    let text = String::from_utf8_lossy(text);
    text.lines().enumerate().filter_map(|(n, line)| parse_line(n + 1, line)).collect()
}

fn parse_line(line: usize, text: &str) -> Option<Mount> {
    let text = text.trim();
    if text.starts_with('#') {
        return None;
    }
    let mut fields = text.split_whitespace().map(unescape);
    let spec = fields.next()?;
    let (mount_point, filesystem) = (fields.next()?, fields.next()?);
    let options = fields.next().unwrap_or_else(|| "defaults".to_owned());
    let options = options.split(',').map(str::to_owned).collect();
    Some(Mount { line, spec: parse_spec(&spec), mount_point, filesystem, options })
}

fn parse_spec(text: &str) -> Spec {
    match text.split_once('=') {
        Some(("UUID", value)) => Spec::Uuid(unquote(value)),
        Some(("LABEL", value)) => Spec::Label(unquote(value)),
        _ => Spec::Other(text.to_owned()),
    }
}

fn unquote(value: &str) -> String {
    let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    inner.unwrap_or(value).to_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]
    use super::*;

    #[test]
    fn reads_uuids_labels_and_the_rest() {
        let mounts = parse(
            b"# persistent storage\n\
              UUID=1b0c2f0e-1111-4222-8333-444455556666 /data ext4 rw,noatime 0 2\r\n\
              \n\
              LABEL=\"big\\040disk\"\t/mnt/a\\040b\tbtrfs\n\
              /dev/cdrom /media/cdrom iso9660 noauto,ro 0 0\n\
              UUID=ABCD-1234 /boot vfat\n   # indented\nbroken line\n",
        );
        assert_eq!(mounts.len(), 4);
        assert_eq!(mounts[0].spec, Spec::Uuid("1b0c2f0e-1111-4222-8333-444455556666".to_owned()));
        assert_eq!(mounts[0].options, ["rw", "noatime"]);
        assert_eq!((mounts[1].spec.clone(), mounts[1].line), (Spec::Label("big disk".to_owned()), 4));
        assert_eq!((mounts[1].mount_point.as_str(), mounts[1].options.len()), ("/mnt/a b", 1));
        assert_eq!(mounts[2].spec, Spec::Other("/dev/cdrom".to_owned()));
        assert_eq!(mounts[3].filesystem, "vfat");
    }

    #[test]
    fn leaves_what_is_no_escape_alone() {
        assert_eq!(unescape(r"a\b\09\777\134c\04"), r"a\b\09\777\c\04");
    }
}
