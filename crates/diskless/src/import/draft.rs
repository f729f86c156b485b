//! A system directory in the making: what goes into `root/`, `setup.sh` and `[modes]`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use hoopy_base::shell::quoted;
use hoopy_store::layer::EntryPath;

use crate::overlay::Content;

/// A file of `root/`.
#[derive(Debug, Clone)]
pub struct RootFile {
    /// What is in it.
    pub content: Content,
    /// Permission bits.
    pub mode: u32,
    /// Whether git must not have it.
    pub ignored: bool,
    /// Whether the mode is said although git keeps it: over a package's file that fewer may read, it would not count.
    pub said: bool,
}

/// The parts of `setup.sh`, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Users and groups.
    Accounts,
    /// Hashes of passwords.
    Passwords,
    /// Directories without content, which git does not keep.
    Directories,
    /// Links that lead out of `root/` where the directory lies.
    Links,
    /// What the owner of the machine removed.
    Removed,
    /// The bundle of certificates, with the owner's.
    Certificates,
    /// Owners other than root.
    Owners,
    /// Modes of packages' files, and those that a change of the owner takes away.
    Modes,
    /// Runlevels.
    Services,
}

impl Part {
    fn heading(self) -> &'static str {
        match self {
            Self::Accounts => "Users and groups, with the numbers that they had",
            Self::Passwords => "Hashes of passwords: lines of NAME:HASH in a file that git ignores",
            Self::Directories => "Directories: git keeps none without files",
            Self::Links => "Links that would lead out of root/ on another computer",
            Self::Removed => "Files of packages that the machine did not have any more",
            Self::Certificates => "Certificates that the machine trusted besides",
            Self::Owners => "Owners: all of root/ is root's",
            Self::Modes => "Modes of packages' files, and setuid and setgid bits, which chown takes away",
            Self::Services => "Services of each runlevel",
        }
    }
}

/// What a directory will hold.
#[derive(Debug, Default)]
pub struct SystemDraft {
    /// Files of `root/`.
    pub files: BTreeMap<EntryPath, RootFile>,
    /// Links of `root/`.
    pub links: BTreeMap<EntryPath, Vec<u8>>,
    /// Links that `setup.sh` makes.
    pub links_of_setup: BTreeSet<EntryPath>,
    /// Directories of `root/` whose mode is not 0755.
    pub directories: BTreeMap<EntryPath, u32>,
    /// Lines of `setup.sh`.
    pub setup: BTreeMap<Part, Vec<String>>,
    /// `NAME:HASH` lines, where they may lie beside `setup.sh`.
    pub passwords: Vec<String>,
    /// Secrets that somebody encrypts, with mode and owner: theirs are root's, 0600, where nothing else is said.
    pub secrets: BTreeMap<String, (u32, String)>,
    /// Owners other than root: paths by `user:group`.
    pub owners: BTreeMap<String, BTreeSet<String>>,
    /// Modes that `setup.sh` gives, once owners are as they should be.
    pub modes_of_setup: BTreeMap<String, u32>,
}

impl SystemDraft {
    /// Adds a line of `setup.sh`.
    pub fn line(&mut self, part: Part, line: impl Into<String>) {
        self.setup.entry(part).or_default().push(line.into());
    }

    /// Whether `root/` has anything below `dir`.
    pub fn has_below(&self, dir: &EntryPath) -> bool {
        let first_file = self.files.range(dir..).find(|(path, _)| *path != dir).map(|(path, _)| path);
        let first_link = self.links.range(dir..).find(|(path, _)| *path != dir).map(|(path, _)| path);
        [first_file, first_link].into_iter().flatten().any(|path| path.is_within(dir.as_bytes()))
    }

    /// The modes that git does not keep, by path: what `[modes]` has. Git keeps none of a file that it ignores, which
    /// lies here for this user alone, whatever its mode in the image.
    pub fn modes(&self) -> BTreeMap<String, u32> {
        let kept = |mode: u32| mode == 0o644 || mode == 0o755;
        let files = self
            .files
            .iter()
            .filter(|(_, file)| file.said || file.ignored || !kept(file.mode))
            .map(|(path, file)| (path, file.mode));
        let dirs = self.directories.iter().map(|(path, mode)| (path, *mode));
        let secrets = self.secrets.iter().filter(|(_, (mode, _))| *mode != 0o600);
        let secrets = secrets.map(|(path, (mode, _))| (path.clone(), *mode));
        files.chain(dirs).map(|(path, mode)| (path.to_string(), mode)).chain(secrets).collect()
    }

    /// The text of `setup.sh`; nothing where it has nothing to do.
    pub fn script(&self, source: &str) -> Option<String> {
        let mut setup = self.setup.clone();
        for (owner, paths) in &self.owners {
            let words: Vec<String> = paths.iter().map(|path| quoted(path)).collect();
            for words in words.chunks(8) {
                setup.entry(Part::Owners).or_default().push(format!("chown -h {owner} {}", words.join(" ")));
            }
        }
        for (path, mode) in &self.modes_of_setup {
            setup.entry(Part::Modes).or_default().push(format!("chmod {mode:04o} {}", quoted(path)));
        }
        if setup.is_empty() {
            return None;
        }
        // A path may hold anything but a newline.
        let mut text = format!(
            "#!/bin/sh\n# Made by `hoopy import` from {}.\n# Runs inside the image, as root, after packages and root/.\nset -eu\n",
            source.replace(char::is_control, "?")
        );
        for (part, lines) in &setup {
            let _ = writeln!(text, "\n# {}", part.heading());
            lines.iter().for_each(|line| text = std::mem::take(&mut text) + line + "\n");
        }
        Some(text)
    }
}
