//! Where a system directory comes from: the state of the git repository that it is in.

use std::path::{Path, PathBuf};
use std::process::Child;

use hoopy_boot::release::Release;

use crate::git;

/// A question to git, being answered while other work goes on: it takes longer than looking up a whole build.
#[derive(Debug)]
pub struct Provenance(Option<(PathBuf, std::io::Result<Child>)>);

impl Provenance {
    /// Asks about the system directory `dir`. What hoopy itself writes there is no change.
    pub fn ask(dir: &Path) -> Self {
        let Some(top) = git::top(dir) else { return Self(None) };
        let args = [
            "status",
            "--porcelain=v2",
            "--branch",
            "--no-ahead-behind",
            // Whatever the user's own settings hide: an image has all of `root/`, and the commit has not.
            "--untracked-files=normal",
            "--ignored=matching",
            "--ignore-submodules=none",
            "-z",
            "--",
            ".",
            ":!images",
            ":!hoopy*.lock",
        ];
        let child = git::command(dir, &top, &args).spawn();
        // Paths are told from the top.
        let inside = dir.canonicalize().ok().and_then(|dir| dir.strip_prefix(&top).map(Path::to_owned).ok());
        Self(Some((inside.unwrap_or_default().join("root"), child)))
    }

    /// What git says, or nothing where there is no repository; and why it says nothing where there is one. The image's
    /// name comes later.
    pub fn answer(self) -> (Release, Option<String>) {
        let Some((root, child)) = self.0 else { return (Release::default(), None) };
        match git::output(child) {
            Ok(said) => (read(&String::from_utf8_lossy(&said), &root), None),
            Err(why) => (Release::default(), Some(why)),
        }
    }
}

/// What precedes the commit (git-status(1), "Porcelain Format Version 2"), and what stands there before the first.
const COMMIT: &str = "# branch.oid ";
const UNBORN: &str = "(initial)";

/// What precedes a path that git ignores.
const IGNORED: &str = "! ";

fn read(said: &str, root: &Path) -> Release {
    let mut lines = said.split('\0').filter(|line| !line.is_empty());
    let commit = lines.clone().find_map(|line| line.strip_prefix(COMMIT)).filter(|id| *id != UNBORN);
    let is_change = |line: &str| match line.strip_prefix(IGNORED) {
        // What is ignored is in the image all the same where it is in `root/`, and in no commit.
        Some(path) => Path::new(path).starts_with(root) || root.starts_with(path),
        None => !line.starts_with('#'),
    };
    Release { image: String::new(), dirty: lines.any(is_change), commit: commit.map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dirty(lines: &[&str]) -> bool {
        read(
            &["# branch.oid abc", "# branch.head main"]
                .iter()
                .chain(lines)
                .map(|l| format!("{l}\0"))
                .collect::<String>(),
            Path::new("nas/root"),
        )
        .dirty
    }

    #[test]
    fn what_the_image_has_and_the_commit_has_not_is_a_change() {
        assert!(!dirty(&[]));
        assert!(dirty(&["1 .M N... 100644 100644 100644 a b nas/packages"]));
        assert!(dirty(&["? nas/notes"]));
        assert!(dirty(&["! nas/root/etc/key"]) && dirty(&["! nas/root/"]) && dirty(&["! nas/"]));
        assert!(!dirty(&["! nas/target/"]) && !dirty(&["! nas/rootless"]));
    }
}
