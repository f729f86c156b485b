//! Where a system directory comes from: the state of the git repository that it is in.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::config::System;
use crate::stack::Release;

/// Questions to git, being answered while other work goes on: each takes longer than looking up a whole build.
#[derive(Debug)]
pub struct Provenance {
    commit: Option<Child>,
    changes: Option<Child>,
}

impl Provenance {
    /// Asks about the directory of `system`. What hoopy itself writes there is no change.
    pub fn ask(system: &System) -> Self {
        let status = ["status", "--porcelain", "--", ".", ":!images", ":!hoopy*.lock"];
        Self { commit: git(&system.dir, &["rev-parse", "HEAD"]), changes: git(&system.dir, &status) }
    }

    /// What git says; nothing where there is no git or no repository. The image's name comes later.
    pub fn answer(self) -> Release {
        let (commit, changes) = (said(self.commit), said(self.changes));
        Release { image: String::new(), dirty: changes.is_some_and(|c| !c.is_empty()), commit }
    }
}

fn git(dir: &Path, args: &[&str]) -> Option<Child> {
    let mut command = Command::new("git");
    command.arg("-C").arg(dir).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().ok()
}

fn said(child: Option<Child>) -> Option<String> {
    let out = child?.wait_with_output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}
