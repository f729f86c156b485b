//! Mistakes in a system directory that builds all the same: one lint a file.
//!
//! Every lint looks at the same `View`: the files that the user answers for, and, as far as it is known, the
//! image around them. Three ways lead to one:
//!
//! | how | what is known |
//! |---|---|
//! | [`system`] | the directory alone |
//! | [`unbuilt`] | the directory, and the files of the locked packages that are in the store |
//! | [`image`] | the tree that was built: scripts have run |
//!
//! A lint that needs more than is known says nothing: no finding is a guess.

mod accounts;
mod bom;
mod checkout;
mod command_line;
mod containers;
mod crlf;
mod devices;
pub mod executable;
mod finding;
mod fstab;
mod getty;
mod kernel;
mod keys;
pub(crate) mod litter;
mod own;
mod page;
mod passwords;
mod programs;
mod runlevel;
pub mod secrets;
mod shebang;
pub mod shells;
mod state;
mod strict;
mod tryboot;
mod unbuilt;
mod unrun_tests;
mod view;

use std::io;
use std::path::{Path, PathBuf};

use hoopy_base::report::Event;
use hoopy_store::Store;
use hoopy_store::layer::package::ImportError;
use hoopy_store::layer::stored::ReadLayerError;
use hoopy_store::tree::settle::LostPath;
use serde::Serialize;
use view::{Git, Image, View};

use crate::context::Context;
use crate::ignored::MissingFile;
use crate::stack::{Stack, StackError};
use crate::target::Target;
use crate::working_tree::{IgnoredQuestion, Question, WorkingTree};

pub use finding::{Finding, Severity};

/// A check that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A file of the system directory could not be read.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A locked package is damaged.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// A layer could not be read.
    #[error(transparent)]
    Layer(#[from] ReadLayerError),
    /// A path that the layers below make impossible.
    #[error(transparent)]
    Lost(#[from] LostPath),
}

/// What [`unbuilt`] finds.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CheckReport {
    /// What is wrong, by file and line.
    pub findings: Vec<Finding>,
    /// What could not be checked and why, where something could not.
    pub unchecked: Option<String>,
}

impl CheckReport {
    /// Whether anything keeps the machine from doing what the directory says.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|f| f.severity == Severity::Error)
    }
}

/// What the directory alone shows.
///
/// # Errors
/// [`CheckError`] when a file cannot be read.
pub fn system(target: &Target) -> Result<Vec<Finding>, CheckError> {
    let dir = &target.system.dir;
    let (tree, ignored) = ask(dir);
    directory(target, &tree.answer(), ignored)
}

/// What git is asked about the system directory `dir`, while other work goes on.
fn ask(dir: &Path) -> (Question, IgnoredQuestion) {
    (WorkingTree::ask(dir), IgnoredQuestion::ask(dir))
}

fn directory(
    target: &Target,
    tree: &WorkingTree,
    ignored: IgnoredQuestion,
) -> Result<Vec<Finding>, CheckError> {
    let system = &target.system;
    let own = own::in_directory(system)?;
    let (texts, git) = (own::text_files(system)?, Git::of(system, tree, ignored));
    all(&View { system, arch: target.arch, own, texts, image: None, git })
}

/// What the directory and the locked packages show, without building.
///
/// # Errors
/// [`CheckError`].
pub fn unbuilt(target: &Target, context: Context<'_>) -> Result<CheckReport, CheckError> {
    let store = context.store;
    let (system, arch) = (&target.system, target.arch);
    let (stack, unchecked) = match unbuilt::stack(target, context)? {
        unbuilt::KnownFiles::Packages(stack) => (stack, None),
        unbuilt::KnownFiles::Nothing(why) => {
            let unchecked = Some(format!("{why}: services and interpreters were not looked for"));
            return Ok(CheckReport { findings: self::system(target)?, unchecked });
        }
    };
    let (tree, ignored) = ask(&system.dir);
    let image = Image::new(&stack, store, false)?;
    let own = own::in_directory(system)?;
    let texts = own::text_files(system)?;
    let tree = tree.answer();
    let git = Git::of(system, &tree, ignored);
    let findings = all(&View { system, arch, own, texts, image: Some(image), git })?;
    Ok(CheckReport { findings, unchecked })
}

/// What the image's tree shows, `setup.sh` and all.
///
/// # Errors
/// [`CheckError`].
pub fn image(target: &Target, stack: &Stack, store: &Store) -> Result<Vec<Finding>, CheckError> {
    let dir = &target.system.dir;
    let (tree, ignored) = ask(dir);
    built(target, stack, (&tree.answer(), ignored), store)
}

fn built(
    target: &Target,
    stack: &Stack,
    (tree, ignored): (&WorkingTree, IgnoredQuestion),
    store: &Store,
) -> Result<Vec<Finding>, CheckError> {
    let (system, arch) = (&target.system, target.arch);
    let image = Image::new(stack, store, true)?;
    let own = own::in_stack(stack, store)?;
    let (texts, git) = (own::text_files(system)?, Git::of(system, tree, ignored));
    all(&View { system, arch, own, texts, image: Some(image), git })
}

/// Warns of what a build finds. Where there is no stack the build failed, and what the directory alone shows may say
/// more of why than its error, which is not said twice. Nothing here fails a build.
pub fn warn(
    target: &Target,
    stack: Result<&Stack, &StackError>,
    (tree, ignored): (&WorkingTree, IgnoredQuestion),
    context: Context<'_>,
) {
    let findings = match stack {
        Ok(stack) => built(target, stack, (tree, ignored), context.store),
        Err(_) => directory(target, tree, ignored),
    };
    let said = stack.err().map(ToString::to_string).unwrap_or_default();
    let is_new = |finding: &&Finding| !said.contains(&finding.message);
    let warn = |text: &str| context.observer.event(Event::Warning(text));
    match findings {
        Ok(findings) => findings.iter().filter(is_new).for_each(|f| warn(&f.to_string())),
        Err(e) => warn(&format!("not checked: {e}")),
    }
}

fn missing(file: &MissingFile) -> Finding {
    Finding {
        severity: Severity::Error,
        file: file.named_by.clone(),
        line: Some(file.line),
        message: format!(
            "{} is missing, and clones do not have it, since git ignores it",
            file.path.display()
        ),
        fix: "bring it from where it is kept, or name it in `optional` in hoopy.toml".to_owned(),
    }
}

fn all(view: &View<'_>) -> Result<Vec<Finding>, CheckError> {
    let mut findings = Vec::new();
    findings.extend(executable::check(view));
    findings.extend(runlevel::check(view));
    findings.extend(getty::check(view)?);
    findings.extend(devices::check(view)?);
    findings.extend(fstab::check(view));
    findings.extend(keys::check(view));
    findings.extend(passwords::check(view)?);
    findings.extend(secrets::check(view));
    findings.extend(containers::check(view));
    findings.extend(page::check(view));
    findings.extend(state::check(view));
    findings.extend(command_line::check(view));
    findings.extend(crlf::check(view));
    findings.extend(shebang::check(view));
    findings.extend(shells::check(view));
    findings.extend(litter::check(view));
    findings.extend(accounts::check(view)?);
    findings.extend(bom::check(view));
    findings.extend(checkout::check(view));
    findings.extend(programs::check(view)?);
    findings.extend(kernel::check(view));
    findings.extend(strict::check(view));
    findings.extend(tryboot::check(view));
    findings.extend(unrun_tests::check(view));
    findings.extend(view.git.missing.iter().map(missing));
    findings.sort_by(|a, b| a.place().cmp(&b.place()));
    Ok(findings)
}
