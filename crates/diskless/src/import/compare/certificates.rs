//! Certificates: those of the owner, and what update-ca-certificates(8) makes of them.

use std::io;

use hoopy_store::layer::EntryPath;

use super::Comparison;
use crate::import::draft::Part;
use crate::overlay::{Node, NodeKind};

/// What puts certificates into the bundle.
const UPDATE_CERTIFICATES: &str = "usr/sbin/update-ca-certificates";

/// All certificates in one file.
const BUNDLE: &str = "ca-certificates.crt";

impl Comparison<'_, '_> {
    /// Whether update-ca-certificates(8) makes it: the bundle, links to certificates, and links to those by their hashes.
    pub(super) fn is_made_certificate(&self, text: &str, node: &Node) -> bool {
        let Some(name) = text.strip_prefix("etc/ssl/certs/") else { return false };
        let is_there =
            |path: &str| EntryPath::new(path).is_ok_and(|path| self.package_entry(&path).is_some());
        let NodeKind::Symlink(target) = &node.kind else {
            return name == BUNDLE && is_there("etc/ssl/certs");
        };
        let target = String::from_utf8_lossy(target);
        let made = |name: &str| name == BUNDLE || name.starts_with("ca-cert-");
        let of_packages = made(name) || made(&target) || target.contains("/usr/share/ca-certificates/");
        let of_owner = target.contains("/usr/local/share/ca-certificates/");
        of_packages && is_there("etc/ssl/certs") || of_owner && is_there(UPDATE_CERTIFICATES)
    }

    /// Says where the bundle is another one: what was added to it by hand is not in the next.
    pub(super) fn tell_of_bundle(&mut self, path: &EntryPath, node: &Node) -> io::Result<()> {
        let NodeKind::File(content) = &node.kind else { return Ok(()) };
        let bytes = content.read()?;
        let there = self.package_entry(path);
        if !there.is_some_and(|there| self.has_same_content(node, &bytes, there)) {
            self.report.look(format!(
                "{path} is not that of the packages, and is made anew: it may be of another version, have those of \
                 usr/local/share/ca-certificates, or one that was added by hand, which belongs there"
            ));
        }
        Ok(())
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
