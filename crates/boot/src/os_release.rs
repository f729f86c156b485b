//! The os-release that an image carries (os-release(5)): what hoopy writes there, and what systemd-boot sorts by.
//!
//! systemd-boot sorts images by a key before it looks at versions, and takes `IMAGE_ID` for that key, else `ID`
//! (`bootspec_pick_name_version_sort_key`). Were the machine's name the key, an image of a machine that was renamed
//! would stand behind all the older ones, or before all newer ones. So `IMAGE_ID` is the same in every image, and the
//! name has a field of its own.

/// `IMAGE_ID` of every image.
pub const SORT_KEY: &str = "hoopy";

/// The field with the machine's name.
pub const MACHINE: &str = "HOOPY_MACHINE";

/// The field with the image's version.
pub const VERSION: &str = "IMAGE_VERSION";

/// The field with the image's epoch; an image without one is of epoch 0.
pub const EPOCH: &str = "HOOPY_EPOCH";

/// What systemd-boot and hoopy read of an os-release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OsRelease {
    /// What systemd-boot sorts by first; an image without one comes last.
    pub sort_key: Option<String>,
    /// What it sorts by then; empty where there is none.
    pub version: String,
    /// Machine and version of an image that hoopy built.
    pub identity: Option<(String, String)>,
    /// The epoch of an image that hoopy built: what a machine sealed for a later one does not open for it.
    pub epoch: u32,
}

impl OsRelease {
    /// Reads the text of an os-release. Nothing of it is to be trusted.
    pub fn parse(text: &str) -> Self {
        let field = |key: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
            Some(value.trim_matches(['"', '\''])).filter(|value| !value.is_empty())
        };
        let first = |keys: &[&str]| keys.iter().find_map(|key| field(key)).map(str::to_owned);
        let machine = first(&[MACHINE, "IMAGE_ID"]);
        Self {
            sort_key: first(&["IMAGE_ID", "ID"]),
            version: first(&[VERSION, "VERSION", "VERSION_ID", "BUILD_ID"]).unwrap_or_default(),
            identity: machine.zip(first(&[VERSION])),
            epoch: field(EPOCH).and_then(|epoch| epoch.parse().ok()).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn images_of_every_machine_have_one_sort_key() {
        let text = "ID=\"alpine\"\nIMAGE_ID=\"hoopy\"\nIMAGE_VERSION=\"2026112101\"\nHOOPY_MACHINE=\"nas\"\n";
        let read = OsRelease::parse(text);
        assert_eq!((read.sort_key, read.version.as_str()), (some(SORT_KEY), "2026112101"));
        assert_eq!(read.identity, Some(("nas".to_owned(), "2026112101".to_owned())));
        assert_eq!(read.epoch, 0);
        assert_eq!(OsRelease::parse("HOOPY_EPOCH=\"3\"\n").epoch, 3);
        assert_eq!(OsRelease::parse("HOOPY_EPOCH=-1\n").epoch, 0);
    }

    #[test]
    fn images_of_others_are_sorted_by_what_they_have() {
        let read = OsRelease::parse("ID=debian\nVERSION_ID='13'\nVERSION=\"13 (trixie)\"\n");
        let sorted =
            OsRelease { sort_key: some("debian"), version: "13 (trixie)".to_owned(), ..OsRelease::default() };
        assert_eq!(read, sorted);
        assert_eq!(OsRelease::parse("NAME=x\n"), OsRelease::default());
    }
}
