//! From the machine into `root/`: what is kept there is there after the next reboot too.
//!
//! git keeps of a file's mode only whether it can be executed; another mode goes into `[modes]` of `hoopy.toml`, with
//! its comments and order kept. Owners in `root/` are root: another owner is told of, and lost.
//!
//! The machine may be hostile, and the owner looks at what came only afterwards. So nothing is taken that acts by being
//! there ([`names`](super::names)), and secrets, links that lead out of `root/` and setuid programs only where they are
//! allowed ([`Allowed`]).

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use hoopy_base::atomic::edit_file;
use hoopy_base::beneath::Beneath;
use hoopy_base::input::{Kind, read_text};
use hoopy_store::layer::EntryPath;
use hoopy_store::tree::links;
use rustix::fs::{Mode, OFlags};
use serde::Serialize;
use toml_edit::{DocumentMut, Item, Table, value};

use super::names::reserved;
use super::{DriftError, Listing, secret};
use crate::diff::{Became, Entry, FileChange};
use crate::image::root::FileType;

/// A path, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pulled {
    /// The path on the machine.
    pub path: String,
    /// What became of it.
    pub outcome: PullOutcome,
}

/// What became of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullOutcome {
    /// It is in `root/`.
    Written,
    /// It is in `root/`, and is root's there, whoever owns it on the machine.
    WrittenAsRoot,
    /// It looks secret, for this reason.
    Secret(&'static str),
    /// It is a link to this place, which on this computer is outside `root/`.
    OutsideLink(String),
    /// It has the setuid or setgid bit: this mode.
    Setuid(u32),
    /// `root/` cannot hold it, for this reason.
    LeftOut(&'static str),
}

/// What is taken although it may do harm.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allowed {
    /// What looks secret.
    pub secrets: bool,
    /// Links that lead out of `root/` on this computer.
    pub outside_links: bool,
    /// Setuid and setgid bits.
    pub setuid: bool,
}

/// Writes what changed on the machine into `dir/root/`. Contents must have been fetched.
///
/// # Errors
/// [`DriftError`] when a file cannot be written; those before it are.
pub fn pull(
    dir: &Path,
    changes: &[&FileChange],
    listing: &Listing,
    allowed: Allowed,
) -> Result<Vec<Pulled>, DriftError> {
    let root = dir.join("root");
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| DriftError::Write { path, source }
    };
    std::fs::create_dir_all(&root).map_err(failed(&root))?;
    let beneath = Beneath::open(&root, 0o755).map_err(failed(&root))?;
    let mut all = Vec::new();
    let mut modes = Vec::new();
    for change in changes {
        let one = One { change, file: listing.files.get(change.path.as_bytes()), allowed };
        let outcome = match one.refusal() {
            Some(refusal) => refusal,
            None => {
                let place = root.join(&change.path);
                one.write(&beneath).map_err(failed(&place))?;
                for (path, mode) in one.modes(listing) {
                    // Of a directory above: the file itself would have been refused.
                    let refused = mode & SETUID != 0 && !allowed.setuid;
                    if refused {
                        refuse(&path, mode, &mut all);
                    }
                    modes.push((path, if refused { mode & !SETUID } else { mode }));
                }
                one.outcome()
            }
        };
        all.push(Pulled { path: change.path.clone(), outcome });
    }
    set_modes(&dir.join("hoopy.toml"), &modes)?;
    Ok(all)
}

/// Tells once that the directory `path` loses a bit of its mode, in the place of what was said of it as a directory.
fn refuse(path: &str, mode: u32, all: &mut Vec<Pulled>) {
    let outcome = PullOutcome::Setuid(mode);
    match all.iter_mut().find(|pulled| pulled.path == path) {
        Some(pulled) => pulled.outcome = outcome,
        None => all.push(Pulled { path: path.to_owned(), outcome }),
    }
}

/// A path that is to be pulled.
struct One<'a> {
    change: &'a FileChange,
    file: Option<&'a (Entry, Vec<u8>)>,
    allowed: Allowed,
}

impl One<'_> {
    /// Why it is not pulled, if it is not.
    fn refusal(&self) -> Option<PullOutcome> {
        let (entry, content) = match self.file {
            Some(file) if self.change.became != Became::Removed => file,
            // A change has its path as text: what is no UTF-8 is not found by it.
            None if self.change.became != Became::Removed
                && self.change.path.contains(char::REPLACEMENT_CHARACTER) =>
            {
                return Some(PullOutcome::LeftOut("its name is not UTF-8: copy it under another name"));
            }
            _ => {
                return Some(PullOutcome::LeftOut(
                    "it is gone on the machine: remove it in setup.sh, or from root/",
                ));
            }
        };
        if EntryPath::new(self.change.path.as_bytes()).is_err() {
            return Some(PullOutcome::LeftOut("no image can hold a path like this"));
        }
        if let Some(reason) = reserved(self.change.path.as_bytes()) {
            return Some(PullOutcome::LeftOut(reason));
        }
        if let Some(target) = entry.text.as_deref().filter(|_| entry.kind == FileType::Symlink)
            && !self.allowed.outside_links
            && leads_out(&self.change.path, target)
        {
            return Some(PullOutcome::OutsideLink(target.to_owned()));
        }
        if entry.kind == FileType::File && entry.mode & SETUID != 0 && !self.allowed.setuid {
            return Some(PullOutcome::Setuid(entry.mode));
        }
        match entry.kind {
            FileType::File if content.len() as u64 != entry.size => {
                Some(PullOutcome::LeftOut("its content was not fetched: it is too large"))
            }
            FileType::File | FileType::Symlink => {
                let why = secret(self.change.path.as_bytes(), content).filter(|_| !self.allowed.secrets);
                why.map(PullOutcome::Secret)
            }
            FileType::Dir => {
                Some(PullOutcome::LeftOut("a directory comes with the files in it; git keeps no empty one"))
            }
            _ => Some(PullOutcome::LeftOut("neither file nor symbolic link")),
        }
    }

    fn outcome(&self) -> PullOutcome {
        let owner = self.file.and_then(|(entry, _)| entry.owner);
        if owner.is_none_or(|owner| owner == (0, 0)) {
            PullOutcome::Written
        } else {
            PullOutcome::WrittenAsRoot
        }
    }

    /// Whole or not at all, in the place of what is there.
    fn write(&self, beneath: &Beneath) -> io::Result<()> {
        let Some((entry, content)) = self.file else { return Ok(()) };
        let (dir, name) = beneath.place(self.change.path.as_bytes())?;
        let fresh = [b".hoopy-pull-", name].concat();
        let fresh = fresh.get(..fresh.len().min(hoopy_store::layer::path::MAX_NAME)).unwrap_or_default();
        // What an earlier run left when it was killed.
        let _ = rustix::fs::unlinkat(&dir, fresh, rustix::fs::AtFlags::empty());
        match &entry.text {
            Some(target) => rustix::fs::symlinkat(target.as_bytes(), &dir, fresh)?,
            None => {
                let flags =
                    OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let mut file = File::from(rustix::fs::openat(&dir, fresh, flags, Mode::RUSR | Mode::WUSR)?);
                file.write_all(content)?;
                rustix::fs::fchmod(&file, Mode::from_raw_mode(kept(entry.mode)))?;
            }
        }
        rustix::fs::renameat(&dir, fresh, &dir, name)?;
        Ok(())
    }

    /// Modes that git does not keep: the file's, and those of directories that are new on the machine with it.
    fn modes(&self, listing: &Listing) -> Vec<(String, u32)> {
        let mut modes = Vec::new();
        let path = &self.change.path;
        if let Some((entry, _)) =
            self.file.filter(|(entry, _)| entry.kind == FileType::File && entry.mode != kept(entry.mode))
        {
            modes.push((path.clone(), entry.mode));
        }
        for (cut, _) in path.match_indices('/') {
            let above = path.get(..cut).unwrap_or_default();
            let dir = listing.files.get(above.as_bytes()).map(|(entry, _)| entry.mode);
            modes.extend(dir.filter(|mode| *mode != 0o755).map(|mode| (above.to_owned(), mode)));
        }
        modes
    }
}

/// setuid and setgid.
const SETUID: u32 = 0o6000;

/// Whether a link at `path` leads out of `root/` on this computer: whoever edits what it names would edit a file of
/// their own. What `rc-update` makes is known to be harmless, and the most common change of all.
fn leads_out(path: &str, target: &str) -> bool {
    if let Some(service) = target.strip_prefix("/etc/init.d/") {
        let level = path.strip_prefix("etc/runlevels/").and_then(|rest| rest.split_once('/'));
        return level.is_none_or(|(_, name)| name != service || service.contains('/'));
    }
    // What is no path of an image cannot be said to stay inside it.
    EntryPath::new(path.as_bytes()).map_or(true, |path| links::climbs_out(&path, target.as_bytes()))
}

/// The mode that a clone of the repository will have.
const fn kept(mode: u32) -> u32 {
    if mode & 0o100 == 0 { 0o644 } else { 0o755 }
}

/// Sets these modes in `hoopy.toml`, which is made where there is none.
fn set_modes(path: &Path, modes: &[(String, u32)]) -> Result<(), DriftError> {
    if modes.is_empty() {
        return Ok(());
    }
    let failed = |source| DriftError::Write { path: path.to_owned(), source };
    let text = match read_text(path, Kind::Text) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
        other => other.map_err(failed)?,
    };
    let bad = |message: String| DriftError::Toml { path: path.to_owned(), message };
    let mut document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| bad(e.to_string()))?;
    let table = document.entry("modes").or_insert_with(|| Item::Table(Table::new()));
    let table = table.as_table_like_mut().ok_or_else(|| bad("`modes` is not a table".to_owned()))?;
    for (file, mode) in modes {
        // As the user wrote it, with or without a slash.
        let is_it = |key: &str| key.trim_matches('/') == file;
        let key = table
            .iter()
            .map(|(key, _)| key.to_owned())
            .find(|key| is_it(key))
            .unwrap_or_else(|| file.clone());
        let text = format!("{mode:04o}");
        match table.get_mut(&key).and_then(Item::as_value_mut) {
            // The comment behind it stays.
            Some(old) => {
                let decor = old.decor().clone();
                *old = text.into();
                *old.decor_mut() = decor;
            }
            None => drop(table.insert(&key, value(text))),
        }
    }
    edit_file(path, document.to_string().as_bytes()).map_err(failed)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn links_that_leave_root_are_known() {
        for (path, target, out) in [
            ("etc/motd", "/home/me/.bashrc", true),
            ("etc/motd", "../../x", true),
            ("etc/motd", "a/../../../x", true),
            ("motd", "..", true),
            // `up` of the first leads to root/ itself, from where the second goes on.
            ("etc/a/b/up", "../../..", false),
            ("etc/a/b/esc", "up/../../victim", true),
            ("etc/a/b/esc", "up/../victim", true),
            ("etc/motd", "../srv/x", false),
            ("etc/a/b", "../../srv", false),
            ("etc/runlevels/default/sshd", "/etc/init.d/sshd", false),
            ("etc/runlevels/default/sshd", "/etc/init.d/../../home/me/x", true),
            ("etc/motd", "/etc/init.d/motd", true),
        ] {
            assert_eq!(leads_out(path, target), out, "{path} -> {target}");
        }
    }

    fn change(path: &str) -> FileChange {
        FileChange {
            path: path.to_owned(),
            became: Became::Added,
            what: Vec::new(),
            old_size: None,
            new_size: None,
            package: None,
            patch: None,
        }
    }

    fn node(kind: FileType, mode: u32) -> (Entry, Vec<u8>) {
        let entry = Entry { kind, mode, owner: Some((0, 0)), size: 0, text: None, digest: None, place: None };
        (entry, Vec::new())
    }

    #[test]
    fn a_directory_that_loses_its_setgid_bit_is_told_of_and_a_name_that_is_no_text_too() {
        let mut listing = Listing::default();
        listing.files.insert(b"srv/sg".to_vec(), node(FileType::Dir, 0o2775));
        listing.files.insert(b"srv/sg/x".to_vec(), node(FileType::File, 0o644));
        listing.files.insert(b"srv/\xff".to_vec(), node(FileType::File, 0o644));
        let changes = ["srv/sg", "srv/sg/x", "srv/\u{fffd}", "srv/gone"].map(change);
        let dir = tempfile::tempdir().unwrap();
        let pulled = pull(dir.path(), &changes.each_ref(), &listing, Allowed::default()).unwrap();
        let outcomes: Vec<_> = pulled.iter().map(|one| (one.path.as_str(), &one.outcome)).collect();
        let not_text = PullOutcome::LeftOut("its name is not UTF-8: copy it under another name");
        let gone = PullOutcome::LeftOut("it is gone on the machine: remove it in setup.sh, or from root/");
        let expected = [
            ("srv/sg", &PullOutcome::Setuid(0o2775)),
            ("srv/sg/x", &PullOutcome::Written),
            ("srv/\u{fffd}", &not_text),
            ("srv/gone", &gone),
        ];
        assert_eq!(outcomes, expected);
        let toml = std::fs::read_to_string(dir.path().join("hoopy.toml")).unwrap();
        assert!(toml.contains("\"srv/sg\" = \"0775\"") || toml.contains("\"/srv/sg\" = \"0775\""), "{toml}");
    }
}
