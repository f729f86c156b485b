//! `hoopy update --branch`: a system moves to another branch of Alpine, `hoopy.toml` and lock together. And what `hoopy
//! check` says of the branch a system is on.

use std::fs;
use std::path::{Path, PathBuf};

use hoopy_base::atomic::edit_file;
use hoopy_build::check::{Finding, Severity};
use hoopy_build::config::branch::{BranchRequest, Support};
use hoopy_build::config::{Overrides, edit};
use hoopy_build::locking;
use hoopy_build::target::Target;

use super::image;
use super::relocked::Relocked;
use crate::args::{Global, Update};
use crate::error::{Context as _, Exit, Result};
use crate::output::note;
use crate::progress::Progress;

/// What is written anew, and by what.
struct Edit {
    file: PathBuf,
    old: String,
    new: String,
}

pub fn update(global: &Global, own: &Update, request: &BranchRequest) -> Result<Exit> {
    let system = super::system(super::HERE.as_ref(), global, Overrides::default())?;
    let resources = super::Resources::open(global)?;
    let progress = Progress::new(global.quiet || own.json);
    let context = resources.context(&progress);
    let target = Target::to_lock(system, global.arch)?;
    let branch = locking::requested(&target, request, context)?;
    let edit = edit(&target.system.path("hoopy.toml"), &branch)?;
    let stay = of_a_branch_of_their_own(&target, &branch);
    let target = target.on_branch(&branch);
    let relocked = Relocked::moved(target, context)?;
    progress.done();
    if !own.dry_run {
        write(edit.as_ref(), &relocked)?;
    }
    relocked.show(own.json)?;
    stay.into_iter().chain(support(&branch)?).for_each(note);
    Ok(Exit::Success)
}

/// What becomes of `hoopy.toml`; none where it names no branch: the lock does.
fn edit(file: &Path, branch: &str) -> Result<Option<Edit>> {
    let old = match fs::read_to_string(file) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.context(format!("cannot read {}", file.display()))?,
    };
    let new = edit::with_branch(file, &old, branch)?;
    Ok(new.map(|new| Edit { file: file.to_owned(), old, new }))
}

/// Writes both, or leaves both as they were. A kill between the two leaves a lock that does not fit `hoopy.toml`, which the
/// next build says and `hoopy update` puts right.
fn write(edit: Option<&Edit>, relocked: &Relocked) -> Result<()> {
    let put = |edit: &Edit, text: &str| {
        edit_file(&edit.file, text.as_bytes()).context(format!("cannot write {}", edit.file.display()))
    };
    edit.map_or(Ok(()), |edit| put(edit, &edit.new))?;
    relocked.write().inspect_err(|_| {
        if let Some(Err(error)) = edit.map(|edit| put(edit, &edit.old)) {
            note(format!("warning: {error}: it has the new branch, and the lock the old one"));
        }
    })
}

/// What stays where it is: repositories that name a branch themselves, and locks of other architectures.
fn of_a_branch_of_their_own(target: &Target, branch: &str) -> Vec<String> {
    let system = &target.system;
    let old = target.lock.content.as_ref().map_or(&system.branch, |lock| &lock.branch);
    let named = format!("/{}/", hoopy_build::config::release_dir(old));
    let own = system.repositories.iter().filter(|r| format!("/{}/", r.name).contains(&named));
    let mut said: Vec<String> = own
        .map(|r| {
            format!("warning: the repository {:?} in hoopy.toml stays on {old}: change it there", r.name)
        })
        .collect();
    let others = hoopy_build::target::other_locks(target);
    said.extend(others.into_iter().filter(|(_, lock)| lock.branch != branch).map(|(name, lock)| {
        format!(
            "warning: {name} is still of {}: hoopy update --arch {} --branch {branch}",
            lock.branch, lock.arch
        )
    }));
    said
}

fn support(branch: &str) -> Result<Option<String>> {
    Ok(Support::of(branch, today()?).warning(branch).map(|said| format!("warning: {said}")))
}

/// What is wrong with the branch that the system is on.
pub fn check(target: &Target) -> Result<Option<Finding>> {
    let branch = &target.system.branch;
    // Without a lock, the branch is one that nobody chose yet.
    if target.lock.content.is_none() {
        return Ok(None);
    }
    let written = edit(&target.system.path("hoopy.toml"), branch).is_ok_and(|edit| edit.is_some());
    let file = if written { "hoopy.toml".to_owned() } else { target.lock.name() };
    Ok(Support::of(branch, today()?).warning(branch).map(|message| Finding {
        severity: Severity::Warning,
        file: file.into(),
        line: None,
        message,
        fix: "move to a newer one with `hoopy update --branch latest-stable`".to_owned(),
    }))
}

fn today() -> Result<jiff::civil::Date> {
    Ok(image::now()?.to_zoned(jiff::tz::TimeZone::UTC).date())
}
