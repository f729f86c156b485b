//! Files that a checkout left unlike what was committed: pointers where Git LFS keeps the file, links as texts, and what
//! git ignores.

use std::path::Path;

use super::finding::{Finding, Severity};
use super::litter::is_litter;
use super::own::{From, Own};
use super::view::View;

/// How a pointer begins (the specification of Git LFS).
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";

/// What is not what it should be.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    let own = view.own.iter().filter(|own| own.from != From::Setup && own.is_file());
    let mut findings: Vec<Finding> = own.filter_map(|own| unlike(view, own)).collect();
    findings.extend(view.git.ignored.iter().filter(|path| !is_named(view, path)).map(|path| Finding {
        severity: Severity::Warning,
        file: path.clone(),
        line: None,
        message: "git ignores it, and so no other clone has it in its image".to_owned(),
        fix: format!("git add -f {0}, or name it in .gitignore without a wildcard", path.display()),
    }));
    findings
}

fn unlike(view: &View<'_>, own: &Own) -> Option<Finding> {
    if own.text.starts_with(LFS) {
        let message = "a pointer of Git LFS, and not the file that it stands for";
        return Some(own.finding(Severity::Error, None, message, "git lfs pull".to_owned()));
    }
    if own.from == From::Root && view.git.tree.is_link(&own.path) {
        let message = "a link in git, and here a file with the link's target in it";
        let fix = "git config core.symlinks true, then check the file out again where links can be made";
        return Some(own.finding(Severity::Error, None, message, fix.to_owned()));
    }
    None
}

/// Whether a file that git ignores is meant: one that `.gitignore` names, or a directory above it. Litter is told of as
/// such.
fn is_named(view: &View<'_>, path: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    let litter = path.iter().any(|name| is_litter(name.as_bytes()) || name == ".git");
    litter || view.git.named.iter().any(|named| path.starts_with(named))
}
