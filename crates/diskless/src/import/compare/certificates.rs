//! Certificates: those of the owner, and what update-ca-certificates(8) makes of them.

use hoopy_store::layer::EntryPath;

use super::Comparison;
use crate::import::draft::Part;
use crate::overlay::{Node, NodeKind};

/// What puts certificates into the bundle.
const UPDATE_CERTIFICATES: &str = "usr/sbin/update-ca-certificates";

impl Comparison<'_, '_> {
    /// Whether update-ca-certificates(8) makes it: the bundle, links to certificates, and links to those by their hashes.
    pub(super) fn is_made_certificate(&self, text: &str, node: &Node) -> bool {
        let Some(name) = text.strip_prefix("etc/ssl/certs/") else { return false };
        let is_there =
            |path: &str| EntryPath::new(path).is_ok_and(|path| self.package_entry(&path).is_some());
        let made = |name: &str| name == "ca-certificates.crt" || name.starts_with("ca-cert-");
        let target = match &node.kind {
            NodeKind::Symlink(target) => String::from_utf8_lossy(target).into_owned(),
            _ => String::new(),
        };
        let of_packages = made(name) || made(&target) || target.contains("/usr/share/ca-certificates/");
        let of_owner = target.contains("/usr/local/share/ca-certificates/");
        of_packages && is_there("etc/ssl/certs") || of_owner && is_there(UPDATE_CERTIFICATES)
    }

    /// Certificates that the machine's owner trusts get into the bundle, as they do where packages are installed over them.
    pub(super) fn certificates(&mut self) {
        let own =
            EntryPath::new("usr/local/share/ca-certificates").is_ok_and(|dir| self.draft.has_below(&dir));
        let program = EntryPath::new(UPDATE_CERTIFICATES).ok();
        if own && program.is_some_and(|path| self.package_entry(&path).is_some()) {
            self.draft.line(Part::Certificates, "update-ca-certificates");
        }
    }
}
