//! Which files of `root/` git tracks, and so which modes they have in an image.
//!
//! Git keeps the execute bit and nothing else of a mode; the rest is made by the umask of whoever cloned. One commit must
//! not give two images, so what git tracks is 0644 or 0755, and so are the directories that it makes. What it does not
//! track was made on this machine, and keeps its mode.

use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Child;

use hoopy_store::layer::EntryPath;

use crate::git;

/// What a file that git tracks has in an image, and a directory or program.
const FILE: u32 = 0o644;
const PROGRAM: u32 = 0o755;

/// Write for group and others comes of a umask too.
const LOCAL: u32 = 0o7755;

/// What git tracks of the `root/` of a system directory.
#[derive(Debug, Clone, Default)]
pub struct WorkingTree {
    /// By the path in the image: whether git has it as executable.
    files: HashMap<EntryPath, bool>,
    /// Those that are symbolic links in git.
    links: HashSet<EntryPath>,
    /// The directories above those.
    dirs: HashSet<EntryPath>,
    /// Whether git goes by its own word for what is executable: the files are on a filesystem that cannot say.
    own_word: bool,
}

/// A question to git, being answered while other work goes on.
#[derive(Debug)]
pub struct Question(Option<(PathBuf, PathBuf, std::io::Result<Child>)>);

impl Question {
    /// What git answers. Where it does not, nothing is tracked.
    pub fn answer(self) -> WorkingTree {
        let Some((dir, top, child)) = self.0 else { return WorkingTree::default() };
        let Ok(listed) = git::output(child) else { return WorkingTree::default() };
        let mut tree = WorkingTree::parse(&listed);
        tree.own_word = tree.differs(&dir) && !trusts_modes(&dir, &top);
        tree
    }
}

/// Whether git looks at the modes of files.
fn trusts_modes(dir: &Path, top: &Path) -> bool {
    let asked = git::command(dir, top, &["config", "--type=bool", "core.fileMode"]).spawn();
    git::output(asked).is_ok_and(|said| !said.starts_with(b"false"))
}

/// The question which files of `root/` git ignores, being answered while other work goes on.
#[derive(Debug)]
pub struct IgnoredQuestion(Option<std::io::Result<Child>>);

impl IgnoredQuestion {
    /// Asks about the system directory `dir`.
    pub fn ask(dir: &Path) -> Self {
        let args = ["ls-files", "--others", "--ignored", "--exclude-standard", "-z", "--", "root"];
        Self(git::top(dir).map(|top| git::command(dir, &top, &args).spawn()))
    }

    /// The files, from the system directory; none where git does not say.
    pub fn answer(self) -> Vec<PathBuf> {
        use std::os::unix::ffi::OsStringExt as _;
        let listed = self.0.and_then(|child| git::output(child).ok()).unwrap_or_default();
        let paths = listed.split(|&byte| byte == 0).filter(|path| !path.is_empty());
        paths.map(|path| PathBuf::from(std::ffi::OsString::from_vec(path.to_vec()))).collect()
    }
}

impl WorkingTree {
    /// Asks about the system directory `dir`.
    pub fn ask(dir: &Path) -> Question {
        let Some(top) = git::top(dir) else { return Question(None) };
        let child = git::command(dir, &top, &["ls-files", "--stage", "-z", "--", "root"]).spawn();
        Question(Some((dir.to_owned(), top, child)))
    }

    /// Reads `MODE DIGEST STAGE<tab>PATH<nul>` (git-ls-files(1)).
    fn parse(listed: &[u8]) -> Self {
        let mut tree = Self::default();
        for entry in listed.split(|&byte| byte == 0) {
            let Some(tab) = entry.iter().position(|&byte| byte == b'\t') else { continue };
            let (head, path) = entry.split_at(tab);
            let Some(path) = path.strip_prefix(b"\troot/").and_then(|path| EntryPath::new(path).ok()) else {
                continue;
            };
            let mut above = path.parent();
            while let Some(dir) = above {
                above = dir.parent();
                if !tree.dirs.insert(dir) {
                    break;
                }
            }
            if head.starts_with(b"120000") {
                tree.links.insert(path.clone());
            }
            tree.files.insert(path, head.starts_with(b"100755"));
        }
        tree
    }

    /// Whether a file in `dir` is executable and git has it otherwise.
    fn differs(&self, dir: &Path) -> bool {
        use std::os::unix::fs::PermissionsExt as _;
        self.files.iter().any(|(path, executable)| {
            let meta = std::fs::symlink_metadata(dir.join("root").join(path.as_path()));
            meta.is_ok_and(|meta| meta.is_file() && (meta.permissions().mode() & 0o100 != 0) != *executable)
        })
    }

    /// Whether git tracks the file at `path`.
    pub fn tracks(&self, path: &EntryPath) -> bool {
        self.files.contains_key(path)
    }

    /// Whether git has a symbolic link at `path`.
    pub fn is_link(&self, path: &EntryPath) -> bool {
        self.links.contains(path)
    }

    /// The mode in the image of what is at `path` in `root/` with the mode `local`.
    pub fn mode(&self, path: &EntryPath, local: u32) -> u32 {
        if self.dirs.contains(path) {
            return PROGRAM;
        }
        match self.files.get(path) {
            None => local & LOCAL,
            Some(executable) => {
                let executable = if self.own_word { *executable } else { local & 0o100 != 0 };
                if executable { PROGRAM } else { FILE }
            }
        }
    }

    /// What all that a build reads of git comes down to: which files it tracks, not what is in them.
    pub fn digest_into(&self, hasher: &mut hoopy_base::digest::Hasher) {
        let mut files: Vec<(&EntryPath, &bool)> = self.files.iter().collect();
        files.sort();
        for (path, executable) in files {
            hasher.field(path.as_path().as_os_str().as_bytes()).field(&[u8::from(*executable)]);
        }
        hasher.field(&[u8::from(self.own_word)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_tracks_has_one_of_two_modes_and_the_rest_keeps_its_own() {
        let listed =
            b"100644 aa 0\troot/etc/motd\x00100755 bb 0\troot/usr/bin/run\x00100644 cc 0\tpackages\x00";
        let tree = WorkingTree::parse(listed);
        let mode =
            |path: &str, local| EntryPath::new(path).map(|path| tree.mode(&path, local)).unwrap_or_default();
        assert_eq!((mode("etc/motd", 0o600), mode("etc/motd", 0o664)), (0o644, 0o644));
        assert_eq!(mode("usr/bin/run", 0o700), 0o755);
        assert_eq!((mode("etc", 0o700), mode("usr/bin", 0o2775)), (0o755, 0o755));
        // A host key that git ignores, in a directory that it does not make.
        assert_eq!((mode("etc/ssh/key", 0o600), mode("etc/ssh", 0o700)), (0o600, 0o700));
        assert_eq!(mode("etc/other", 0o666), 0o644);
    }
}
