//! What the image says of itself: its os-release.

use hoopy_boot::os_release::{EPOCH, MACHINE, SORT_KEY, VERSION};

/// What an image is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The machine.
    pub name: String,
    /// `YYYYMMDDNN`.
    pub version: String,
}

impl Identity {
    /// `NAME-VERSION`: the file's name without its ending, and what is in `/etc/hoopy-release`.
    pub fn image(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

/// The `.osrel` section: os-release(5). systemd-boot lists an image by its name and version fields. What the
/// root's own `/etc/os-release` says of the distribution is kept.
pub fn os_release(root: Option<&[u8]>, branch: &str, epoch: u32, identity: &Identity) -> Vec<u8> {
    let root = String::from_utf8_lossy(root.unwrap_or_default()).into_owned();
    let field = |key: &str| {
        let value = root.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='))?;
        Some(value.trim_matches('"').to_owned())
    };
    let mut fields = vec![
        ("ID", field("ID").unwrap_or_else(|| "alpine".to_owned())),
        ("NAME", field("NAME").unwrap_or_else(|| "Alpine Linux".to_owned())),
        ("VERSION_ID", field("VERSION_ID").unwrap_or_else(|| branch.to_owned())),
        ("PRETTY_NAME", format!("{} (Alpine Linux)", identity.image())),
        ("IMAGE_ID", SORT_KEY.to_owned()),
        (VERSION, identity.version.clone()),
        (MACHINE, identity.name.clone()),
    ];
    // Images of systems without epochs stay as they are.
    if epoch != 0 {
        fields.push((EPOCH, epoch.to_string()));
    }
    fields.iter().map(|(key, value)| format!("{key}=\"{value}\"\n")).collect::<String>().into_bytes()
}
