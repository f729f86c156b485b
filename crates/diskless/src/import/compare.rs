//! What of an overlay is the owner's: what differs from the tree that the packages and their scripts make.

mod certificates;
mod whole;

use std::io;
use std::path::Path;
use std::sync::Arc;

use hoopy_base::count::counted;
use hoopy_base::digest::ContentId;
use hoopy_base::shell::quoted;
use hoopy_build::stack::{Origin, Stack};
use hoopy_inspect::drift;
use hoopy_store::layer::{Entry, EntryPath, Kind};
use hoopy_store::tree::links;

use super::accounts::Accounts;
use super::draft::{Part, RootFile, SystemDraft};
use super::installed::Database;
use super::rules::{self, Rule};
use super::secrets::{self, Policy, Secrecy, Secret};
use crate::overlay::{Node, NodeKind, Overlay, SET_ID, Scope};
use crate::report::{SecretFile, TransferReport};

/// The greatest number that scripts of a build can give a file to: they run as a user with so many numbers.
const MAX_OWNER: u32 = 65_535;

/// Where firmware is.
const FIRMWARE: [&[u8]; 2] = [b"lib/firmware", b"usr/lib/firmware"];

/// Compares an overlay with what packages make.
pub struct Comparison<'a, 'p> {
    /// What is imported.
    pub overlay: &'a Overlay,
    /// What the packages make.
    pub packages: &'a Stack,
    /// The machine's accounts.
    pub accounts: &'a Accounts,
    /// Those that packages make.
    pub package_accounts: &'a Accounts,
    /// What apk noted on the machine.
    pub database: Option<Database>,
    /// What becomes of secrets.
    pub policy: &'a mut Policy<'p>,
    /// The system directory as it is being made.
    pub dir: &'a Path,
    /// Where to.
    pub draft: &'a mut SystemDraft,
    /// What is said.
    pub report: &'a mut TransferReport,
}

impl Comparison<'_, '_> {
    /// Takes what is the owner's into the draft.
    ///
    /// # Errors
    /// What reading a file of the source fails with.
    pub fn run(mut self) -> io::Result<()> {
        let overlay = self.overlay;
        let mut same = 0;
        for (path, node) in &overlay.nodes {
            if matches!(node.kind, NodeKind::Dir) {
                continue;
            }
            let Some(text) = self.path(path) else { continue };
            if !self.one(path, &text, node)? {
                same += 1;
            }
        }
        for (path, node) in &overlay.nodes {
            let text = path.to_string();
            let taken = rules::rule(&text).0 == Rule::Take && drift::reserved(path.as_bytes()).is_none();
            if matches!(node.kind, NodeKind::Dir) && taken && text.as_bytes() == path.as_bytes() {
                self.directory(path, &text, node);
            }
        }
        if overlay.scope == Scope::Root {
            self.removed();
        }
        self.links();
        self.owners_of_packages();
        self.certificates();
        self.capabilities();
        let (files, links) = (self.draft.files.len(), self.draft.links.len());
        self.report.took("root/", format!("{} and {}", counted(files, "file"), counted(links, "link")));
        let of_setup = self.draft.links_of_setup.len();
        if of_setup > 0 {
            self.report.took("setup.sh", format!("makes {}", counted(of_setup, "link")));
        }
        if same > 0 {
            let (same, have) = (
                counted(same, "file"),
                if same == 1 {
                    "which is as the package has it"
                } else {
                    "which are as the packages have them"
                },
            );
            self.report.took("not taken", format!("{same}, {have}"));
        }
        Ok(())
    }

    /// The path as text, where its rule is to take it.
    fn path(&mut self, path: &EntryPath) -> Option<String> {
        let Ok(text) = std::str::from_utf8(path.as_bytes()) else {
            self.report.left(path.to_string(), "its name is not UTF-8", "rename it on the machine");
            return None;
        };
        match rules::rule(text) {
            (Rule::Take, _) => {}
            (Rule::Quiet, _) => return None,
            (Rule::Left(why, action), of) => {
                self.report.left(of, why, action);
                return None;
            }
        }
        if self.packages.tree.through_links(path).is_none() {
            self.report.left(text, "its directory is a link of a package that leads nowhere", "");
            return None;
        }
        Some(text.to_owned())
    }

    /// What the packages have at `path`.
    fn package_entry(&self, path: &EntryPath) -> Option<&Entry> {
        self.packages.tree.get(&self.packages.tree.through_links(path)?)
    }

    /// Takes a file or link where it differs; whether it does.
    fn one(&mut self, path: &EntryPath, text: &str, node: &Node) -> io::Result<bool> {
        if let NodeKind::Special(what) = node.kind {
            self.report.left(
                text,
                &format!("{what}, which root/ cannot hold"),
                "make it in setup.sh if it is needed",
            );
            return Ok(true);
        }
        if self.is_made_certificate(text, node) {
            self.tell_of_bundle(path, node)?;
            return Ok(true);
        }
        if self.is_of_a_package(path, node) {
            return Ok(false);
        }
        if FIRMWARE.iter().any(|dir| path.is_within(dir))
            && self.overlay.scope == Scope::Root
            && self.database.is_none()
        {
            let why = "without apk's database it is not known which firmware packages brought";
            self.report.left(
                "lib/firmware",
                why,
                "add linux-firmware packages, and yours to root/lib/firmware/",
            );
            return Ok(true);
        }
        let there = self.package_entry(path).cloned();
        let bytes = match &node.kind {
            NodeKind::File(content) => content.read()?,
            _ => Arc::default(),
        };
        if let Some(there) = &there
            && self.has_same_content(node, &bytes, there)
        {
            return Ok(self.access(text, node, there));
        }
        if let Some(reason) = drift::reserved(path.as_bytes()) {
            self.report.left(reserved_part(text, reason), reason, "");
            return Ok(true);
        }
        match &node.kind {
            NodeKind::Symlink(target) => self.link(path, text, target, there.as_ref()),
            NodeKind::File(_) => self.file(path, text, node, &bytes, there.as_ref())?,
            NodeKind::Dir | NodeKind::Special(_) => {}
        }
        Ok(true)
    }

    /// Of a whole root: what its own packages brought, in whatever version, and what scripts make again.
    fn is_of_a_package(&self, path: &EntryPath, node: &Node) -> bool {
        if self.overlay.scope == Scope::Changes && self.database.is_none() {
            return false;
        }
        if self.database.as_ref().is_some_and(|database| database.is_untouched(path, &node.kind)) {
            return true;
        }
        let by_script = || {
            let resolved = self.packages.tree.through_links(path);
            let at = resolved.and_then(|path| self.packages.tree.at(&path));
            at.is_some_and(|at| matches!(self.packages.origins.get(at.layer), Some(Origin::Script(_))))
        };
        if FIRMWARE.iter().any(|dir| path.is_within(dir))
            && self.database.as_ref().is_some_and(|d| d.has_merged(path))
        {
            return true;
        }
        !path.is_within(b"etc") && by_script()
    }

    /// Whether `node`, which holds `bytes` where it is a file, holds what the packages have there.
    fn has_same_content(&self, node: &Node, bytes: &[u8], there: &Entry) -> bool {
        match (&node.kind, self.content_of(there)) {
            (NodeKind::File(_), Some((size, id))) => bytes.len() as u64 == size && ContentId::of(bytes) == id,
            (NodeKind::Symlink(target), _) => matches!(&there.kind, Kind::Symlink(own) if own == target),
            _ => false,
        }
    }

    /// Size and digest of a file of the packages.
    fn content_of(&self, entry: &Entry) -> Option<(u64, ContentId)> {
        match &entry.kind {
            Kind::File { size, content } => Some((*size, *content)),
            Kind::Hardlink(first) => {
                let at = self.packages.tree.at(&entry.path)?;
                let layer = self.packages.tree.layers().get(at.layer)?;
                let first = layer.entry(first)?;
                if let Kind::File { size, content } = first.kind { Some((size, content)) } else { None }
            }
            _ => None,
        }
    }

    /// Owner and mode of something whose content is the packages' own; whether they differ.
    fn access(&mut self, text: &str, node: &Node, there: &Entry) -> bool {
        let mut differs = false;
        if !matches!(node.kind, NodeKind::Symlink(_)) && node.mode != there.mode {
            differs = true;
            self.draft.modes_of_setup.insert(format!("/{text}"), node.mode);
        }
        let (ours, theirs) = (self.accounts, self.package_accounts);
        let owner = ours.owner(node.uid, node.gid);
        if owner != theirs.owner(there.user.id, there.group.id) {
            differs = true;
            self.own(node, text);
        }
        differs
    }

    fn own(&mut self, node: &Node, text: &str) {
        let (uid, gid) = (node.uid, node.gid);
        if uid > MAX_OWNER || gid > MAX_OWNER {
            let why =
                format!("it belongs to {uid}:{gid}, and an image is made with numbers up to {MAX_OWNER}");
            self.report.left(format!("the owner of {text}"), &why, "it is root's in the image");
            return;
        }
        let owner = self.accounts.owner(uid, gid);
        self.draft.owners.entry(owner).or_default().insert(format!("/{text}"));
        if matches!(node.kind, NodeKind::File(_)) && node.mode & SET_ID != 0 {
            self.draft.modes_of_setup.insert(format!("/{text}"), node.mode);
        }
    }

    fn file(
        &mut self,
        path: &EntryPath,
        text: &str,
        node: &Node,
        bytes: &[u8],
        there: Option<&Entry>,
    ) -> io::Result<()> {
        let NodeKind::File(content) = &node.kind else { return Ok(()) };
        if there.is_some_and(Entry::is_dir) {
            self.report.left(text, "a file where the packages have a directory", "");
            return Ok(());
        }
        let mut ignored = false;
        match secrets::of(text, node.mode, bytes, there.map(|there| there.mode)) {
            Secrecy::Secret(what) => {
                ignored = self.secret(&Secret { path: text, what, mode: node.mode, content: bytes }, node)?;
                if !ignored {
                    return Ok(());
                }
            }
            Secrecy::Private(readers, why) => self.report.look(format!(
                "{text}: {readers} could read it. root/ has it, since {why}: if there is a secret in it, move it \
                 with `hoopy secret import`"
            )),
            Secrecy::Open => {}
        }
        if node.mode & SET_ID != 0 {
            let again = if (node.uid, node.gid) == (0, 0) { "" } else { ", and setup.sh after its owner" };
            self.report.look(format!(
                "{text} has the setuid or setgid bit ({:04o}): [modes] sets it{again}",
                node.mode
            ));
        }
        if let Some(there) = there.filter(|_| !path.is_within(b"etc")) {
            let package = self.origin(there);
            self.report.look(format!("{text} differs from that of {package}: root/ has the machine's"));
        }
        if rules::is_state(text) {
            self.report.look(format!(
                "{text} changes while the machine runs: root/ has it as it was, and each boot starts from that"
            ));
        }
        let said = there.is_some_and(|there| there.mode != node.mode);
        let file = RootFile { content: content.clone(), mode: node.mode, ignored, said };
        self.draft.files.insert(path.clone(), file);
        if there.is_some_and(|there| (there.user.id, there.group.id) != (0, 0)) {
            // Over a package's file, root/ leaves the owner that was there.
            self.own(node, text);
        } else {
            self.owner_of(text, node);
        }
        Ok(())
    }

    /// Takes a secret or not; whether it lies in `root/`, where git ignores it.
    fn secret(&mut self, secret: &Secret<'_>, node: &Node) -> io::Result<bool> {
        let (path, what) = (secret.path.to_owned(), secret.what.to_owned());
        let mut ignored = false;
        let kept = match self.policy {
            Policy::Refuse => None,
            Policy::Plain => {
                ignored = true;
                Some(format!("root/{path}, which git ignores"))
            }
            Policy::Keep(keeper) => match keeper.keep(self.dir, secret) {
                Ok(kept) => Some(kept),
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    self.report.look(format!("{path} cannot be encrypted as a secret: {error}"));
                    None
                }
                Err(error) => return Err(error),
            },
        };
        if kept.is_some() && !ignored {
            let owner = self.accounts.owner(node.uid, node.gid);
            self.draft.secrets.insert(path.clone(), (node.mode, owner));
        }
        self.report.secrets.push(SecretFile { path, what, kept });
        Ok(ignored)
    }

    fn owner_of(&mut self, text: &str, node: &Node) {
        if (node.uid, node.gid) != (0, 0) {
            self.own(node, text);
        }
    }

    fn origin(&self, entry: &Entry) -> String {
        let at = self.packages.tree.at(&entry.path);
        let origin = at.and_then(|at| self.packages.origins.get(at.layer));
        origin.map_or_else(|| "a package".to_owned(), Origin::label)
    }

    fn link(&mut self, path: &EntryPath, text: &str, target: &[u8], there: Option<&Entry>) {
        let Ok(shown) = std::str::from_utf8(target) else {
            self.report.left(text, "a link whose target is not UTF-8", "");
            return;
        };
        if !target.is_empty() && !links::climbs_out(path, target) && there.is_none_or(|entry| !entry.is_dir())
        {
            self.draft.links.insert(path.clone(), target.to_vec());
            return;
        }
        if there.is_some_and(Entry::is_dir) {
            self.report.look(format!(
                "{text} is a link to {shown}, and a directory in the packages: setup.sh makes it"
            ));
            self.draft.line(Part::Links, format!("rm -rf {}", absolute(text)));
        } else if let Some(parent) = path.parent().filter(|dir| self.package_entry(dir).is_none()) {
            self.draft.line(Part::Links, format!("mkdir -p {}", absolute(&parent.to_string())));
        }
        self.draft.line(Part::Links, format!("ln -sfn {} {}", quoted(shown), absolute(text)));
        self.draft.links_of_setup.insert(path.clone());
    }

    fn directory(&mut self, path: &EntryPath, text: &str, node: &Node) {
        match self.package_entry(path).cloned() {
            // Reached over a link of a package's, or a directory of one's.
            Some(there) if there.is_dir() => drop(self.access(text, node, &there)),
            Some(there) if matches!(there.kind, Kind::Symlink(_)) => {}
            Some(_) => self.report.left(text, "a directory where the packages have a file", ""),
            None if self.is_of_removed_package(path) => {}
            None if self.draft.has_below(path) => {
                if node.mode != 0o755 {
                    self.draft.directories.insert(path.clone(), node.mode);
                }
                self.owner_of(text, node);
            }
            None => {
                let line = format!("install -d -m {:04o} {}", node.mode, absolute(text));
                self.draft.line(Part::Directories, line);
                self.owner_of(text, node);
            }
        }
    }

    /// Whether the machine's packages had files in it, which those of the lock do not: it goes with them.
    fn is_of_removed_package(&self, path: &EntryPath) -> bool {
        !self.draft.has_below(path) && self.database.as_ref().is_some_and(|database| database.has_below(path))
    }
}

/// The part of a path for which it is reserved: a repository of git has thousands of files, for one and the same reason.
fn reserved_part<'a>(path: &'a str, reason: &str) -> &'a str {
    let ends = path.match_indices('/').map(|(at, _)| at);
    let mut parts = ends.filter_map(|end| path.get(..end));
    parts.find(|part| drift::reserved(part.as_bytes()) == Some(reason)).unwrap_or(path)
}

/// A path as a word of a script.
fn absolute(path: &str) -> String {
    quoted(&format!("/{path}"))
}
