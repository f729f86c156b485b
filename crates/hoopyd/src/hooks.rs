//! The programs of `/etc/hoopy/backup.d`: called with `before` a backup is read and `after`, so that a database can write
//! down what it has in memory, or a snapshot be made and removed.

use std::path::{Path, PathBuf};

use crate::error::AgentError;
use crate::unlock::run;

/// Where they are, below the root.
const PROGRAMS: &str = "etc/hoopy/backup.d";

/// Does `work` between the two calls. If a program fails with `before`, the work is not done. Each program that was called
/// with `before` is called with `after`, whatever failed.
///
/// # Errors
/// That of the work, else of the first program that failed.
pub fn around<T>(root: &Path, work: impl FnOnce() -> Result<T, AgentError>) -> Result<T, AgentError> {
    let programs = programs(root);
    let mut called: Vec<&PathBuf> = Vec::new();
    let mut failed = None;
    for program in &programs {
        called.push(program);
        if let Err(reason) = run(program, &["before"], None) {
            failed = Some(hook(program, "before", reason));
            break;
        }
    }
    let done = match failed {
        Some(error) => Err(error),
        None => work(),
    };
    let after = called.iter().rev().filter_map(|program| {
        run(program, &["after"], None).err().map(|reason| hook(program, "after", reason))
    });
    let after: Vec<AgentError> = after.collect();
    match (done, after.into_iter().next()) {
        (Ok(_), Some(error)) => Err(error),
        (done, _) => done,
    }
}

fn hook(program: &Path, when: &'static str, reason: String) -> AgentError {
    AgentError::Hook { program: program.to_owned(), when, reason }
}

/// The executable files, sorted by name. Others are left out on purpose: that switches a program off.
fn programs(root: &Path) -> Vec<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let entries = std::fs::read_dir(root.join(PROGRAMS)).into_iter().flatten().flatten();
    let is_program = |path: &PathBuf| {
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_program).collect();
    found.sort();
    found
}
