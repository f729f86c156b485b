//! Where a system directory comes from: the state of the git repository that it is in.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use hoopy_boot::release::Release;

/// A question to git, being answered while other work goes on: it takes longer than looking up a whole build.
#[derive(Debug)]
pub struct Provenance(Option<Child>);

impl Provenance {
    /// Asks about the system directory `dir`. What hoopy itself writes there is no change.
    pub fn ask(dir: &Path) -> Self {
        let inside = dir.canonicalize().is_ok_and(|dir| dir.ancestors().any(|d| d.join(".git").exists()));
        if !inside {
            return Self(None);
        }
        let mut command = Command::new("git");
        // Looking must not take the lock that the user's own git may want.
        command.args(["--no-optional-locks", "-C"]).arg(dir);
        command.args(["status", "--porcelain=v2", "--branch", "--no-ahead-behind"]);
        command.args(["--", ".", ":!images", ":!hoopy*.lock"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        Self(command.spawn().ok())
    }

    /// What git says; nothing where there is no git or no repository. The image's name comes later.
    pub fn answer(self) -> Release {
        let text = self.0.and_then(said).unwrap_or_default();
        let commit = text.lines().find_map(|line| line.strip_prefix(COMMIT)).filter(|id| *id != UNBORN);
        let dirty = text.lines().any(|line| !line.starts_with('#'));
        Release { image: String::new(), dirty, commit: commit.map(str::to_owned) }
    }
}

/// What precedes the commit (git-status(1), "Porcelain Format Version 2"), and what stands there before the first.
const COMMIT: &str = "# branch.oid ";
const UNBORN: &str = "(initial)";

fn said(child: Child) -> Option<String> {
    let out = child.wait_with_output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
}
