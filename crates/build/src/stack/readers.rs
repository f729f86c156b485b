//! Who may read an image: its owner alone, where the system's own files hold something that others may not read.
//!
//! Only what the owner of the system brings counts. What packages close (as `/etc/shadow`) everybody can download.

use hoopy_base::atomic::Readers;
use hoopy_store::layer::{Entry, EntryPath, Kind};

use super::{Origin, Stack};

/// What others need to read a file, and to pass through a directory.
const OTHERS_READ: u32 = 0o004;
const OTHERS_PASS: u32 = 0o001;

impl Stack {
    /// Who may read what is made of this stack.
    pub fn readers(&self) -> Readers {
        let own = |origin: &Origin| {
            matches!(origin, Origin::Files | Origin::Programs | Origin::Setup | Origin::Secrets)
        };
        let mut entries =
            self.iter().filter(|(_, origin)| own(origin)).flat_map(|(layer, _)| layer.entries.iter());
        // Those that a later layer masks, too: that one may have been made from it
        if entries.any(|entry| self.is_closed(entry)) { Readers::Owner } else { Readers::Umask }
    }

    /// Whether others may not read it on the machine.
    fn is_closed(&self, entry: &Entry) -> bool {
        let holds_something = matches!(&entry.kind, Kind::File { size, .. } if *size > 0);
        holds_something && (entry.mode & OTHERS_READ == 0 || self.is_below_closed(&entry.path))
    }

    fn is_below_closed(&self, path: &EntryPath) -> bool {
        let bytes = path.as_bytes();
        let cuts = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(cut, _)| cut);
        let above = cuts.filter_map(|cut| EntryPath::new(bytes.get(..cut)?).ok());
        above
            .filter_map(|dir| self.tree.get(&dir))
            .any(|dir| matches!(dir.kind, Kind::Dir { .. }) && dir.mode & OTHERS_PASS == 0)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use hoopy_store::Store;
    use hoopy_store::layer::builder::Builder;

    use super::*;

    fn path(text: &str) -> EntryPath {
        EntryPath::new(text).unwrap()
    }

    fn readers(origin: Origin, mode: u32, content: &[u8], dir: u32) -> Readers {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let mut own = Builder::new(&store, 0);
        own.add(&path("etc"), Kind::Dir { opaque: false }, dir);
        own.add_bytes(&path("etc/key"), mode, content).unwrap();
        let mut stack = Stack::default();
        stack.push(own.finish(&store).unwrap(), origin);
        stack.readers()
    }

    #[test]
    fn an_image_with_a_closed_file_of_the_system_is_for_its_owner() {
        for origin in [Origin::Files, Origin::Programs, Origin::Setup] {
            assert_eq!(readers(origin.clone(), 0o600, b"key", 0o755), Readers::Owner, "{origin:?}");
            assert_eq!(readers(origin.clone(), 0o640, b"key", 0o755), Readers::Owner, "{origin:?}");
            assert_eq!(readers(origin.clone(), 0o644, b"key", 0o700), Readers::Owner, "{origin:?}");
            assert_eq!(readers(origin, 0o644, b"text", 0o755), Readers::Umask);
        }
    }

    #[test]
    fn what_packages_close_and_what_is_empty_is_no_secret() {
        assert_eq!(readers(Origin::Script("x".to_owned()), 0o600, b"x", 0o755), Readers::Umask);
        assert_eq!(readers(Origin::Files, 0o600, b"", 0o755), Readers::Umask);
    }
}
