//! From an overlay to a system directory.
//!
//! ```text
//! etc/apk ─world─▶ packages, hoopy.toml, keys/ ─build::road::root─▶ what packages make
//!                                                                        │
//! all else ────────────────────── compare ◀──────────────────────────────┘
//!                                    └──▶ root/, setup.sh, [modes], Report
//! ```

mod accounts;
mod capabilities;
mod compare;
mod draft;
mod error;
mod in_git;
mod installed;
mod kernel;
mod lbu;
mod notes;
mod options;
mod passwords;
mod pi;
mod rules;
mod runlevels;
pub mod secrets;
mod settings;
mod shells;
mod target;
mod unfinished;
mod unreadable;
mod world;
mod write;

use std::path::{Path, PathBuf};

use hoopy_base::report::{Event, Observer};
use hoopy_build::context::Context;
use hoopy_build::road::{self, BuildError};
use hoopy_build::stack::Stack;
use hoopy_build::target::Target;
use hoopy_store::layer::EntryPath;

use accounts::Accounts;
use compare::Comparison;
use draft::{Part, SystemDraft};
use installed::Database;
use notes::notes;
use secrets::Policy;
use settings::Settings;
use target::{arch, fitting_target, keys, packages_of, settings_of};
use world::PackageLine;
use write::Staging;

pub(crate) use capabilities::NAME as CAPABILITY;
pub use error::ImportError;
pub use options::{MakeRunner, Options};
pub use unfinished::Unfinished;
pub use write::WriteError;

use crate::overlay::{Hints, Overlay, Scope};
use crate::report::TransferReport;
use crate::source::Source;

/// Makes a system directory of `overlay`, which came from `source`.
///
/// # Errors
/// [`ImportError`]; the directory is not there then.
pub fn import(
    source: &Source,
    overlay: &Overlay,
    mut options: Options<'_>,
    runner: &mut MakeRunner<'_>,
    context: Context<'_>,
) -> Result<TransferReport, ImportError> {
    let mut import = PartialImport::of(source, overlay, &options)?;
    let (staging, dir) = (import.staging.path().to_owned(), options.dir.clone());
    let compared = import.compare_with_packages(source, overlay, &mut options, runner, context);
    compared.map_err(|error| ImportError::Unfinished { error: Box::new(error), staging, dir })?;
    import.staging.publish()?;
    Ok(import.report)
}

/// Does what [`import`] does, but as if no package had any file, and without giving the directory its name: all that is
/// read of `overlay`, for a fuzzer.
///
/// # Errors
/// [`ImportError`].
pub fn import_over_nothing(
    source: &Source,
    overlay: &Overlay,
    mut options: Options<'_>,
    context: Context<'_>,
) -> Result<TransferReport, ImportError> {
    let mut import = PartialImport::of(source, overlay, &options)?;
    import.compare(source, overlay, &Stack::default(), &mut options.secrets, context)?;
    Ok(import.report)
}

/// An import whose directory has no name yet.
struct PartialImport {
    staging: Staging,
    settings: Settings,
    packages: Vec<PackageLine>,
    report: TransferReport,
}

impl PartialImport {
    /// What is known without packages.
    fn of(source: &Source, overlay: &Overlay, options: &Options<'_>) -> Result<Self, ImportError> {
        let staging = Staging::begin(&options.dir, &options.unfinished)?;
        let mut report = TransferReport::of(format!("Imported {source} into {}", options.dir.display()));
        unreadable::report(overlay, &mut report)?;
        let settings = settings_of(source, overlay, options, &mut report)?;
        let packages = packages_of(overlay, &mut report)?;
        staging.file("hoopy.toml", 0o644, settings.text().as_bytes())?;
        staging.file("packages", 0o644, settings::packages(&packages).as_bytes())?;
        keys(overlay, arch(overlay, options)?, &staging, &mut report)?;
        Ok(Self { staging, settings, packages, report })
    }

    fn fitting_target(
        &mut self,
        hints: &Hints,
        options: &Options<'_>,
        context: Context<'_>,
    ) -> Result<Target, ImportError> {
        let Self { staging, settings, packages, report } = self;
        fitting_target(staging, options, hints, settings, packages, report, context)
    }

    /// Makes what the packages make, and compares `overlay` with that.
    fn compare_with_packages(
        &mut self,
        source: &Source,
        overlay: &Overlay,
        options: &mut Options<'_>,
        runner: &mut MakeRunner<'_>,
        context: Context<'_>,
    ) -> Result<(), ImportError> {
        let target = self.fitting_target(&overlay.hints, options, context)?;
        let mut runner = runner(&target).map_err(ImportError::Runner)?;
        // That there is no lock yet is no news here, and neither is where the directory is for now.
        let quiet = WithoutNotes(context.observer);
        let made = road::root(&target, &mut *runner, Context { observer: &quiet, ..context })?;
        drop(runner);
        kernel::check(options, &made, &mut self.report)?;
        self.compare(source, overlay, &made, &mut options.secrets, context)
    }

    /// Writes down what of `overlay` differs from `made`, which the packages make.
    fn compare(
        &mut self,
        source: &Source,
        overlay: &Overlay,
        made: &Stack,
        policy: &mut Policy<'_>,
        context: Context<'_>,
    ) -> Result<(), ImportError> {
        let Self { staging, settings, report, .. } = self;
        let mut draft = SystemDraft::default();
        let lbu = lbu::read(overlay, report)?;
        take(overlay, made, policy, staging, &mut draft, report, context)?;
        pi::take(&overlay.hints, settings, made, &mut draft, report);
        settings.modes = draft.modes();
        let kept = report.secrets.iter().any(|secret| secret.kept.is_some());
        if matches!(policy, Policy::Keep(_)) && kept {
            let owners = draft.secrets.iter().filter(|(_, (_, owner))| owner != "root:root");
            settings.secrets = Some(owners.map(|(path, (_, owner))| (path.clone(), owner.clone())).collect());
            report.look(
                "secrets are encrypted in git, and `open = \"build\"` puts them into the image as they are, as they lay on \
                 the medium: see `hoopy secret` for other ways"
                    .to_owned(),
            );
        }
        settings.ignored = lbu.excluded.iter().map(|path| format!("/{path}")).collect();
        notes(overlay, &draft, report)?;
        write_down(staging, source, settings, &draft, report)
    }
}

/// Passes on everything but notes.
struct WithoutNotes<'a>(&'a dyn Observer);

impl Observer for WithoutNotes<'_> {
    fn event(&self, event: Event<'_>) {
        if !matches!(event, Event::Note(_)) {
            self.0.event(event);
        }
    }
}

/// The files, accounts and services that are the owner's.
fn take(
    overlay: &Overlay,
    made: &Stack,
    policy: &mut Policy<'_>,
    staging: &Staging,
    draft: &mut SystemDraft,
    report: &mut TransferReport,
    context: Context<'_>,
) -> Result<(), ImportError> {
    let text = |path: &str| -> Result<String, ImportError> {
        let path = EntryPath::new(path).map_err(BuildError::from)?;
        let bytes = made.read(&path, context.store)?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let package_accounts =
        Accounts::parse(&text("etc/passwd")?, &text("etc/group")?, &mut TransferReport::default());
    let own = Accounts::parse(&overlay.text("etc/passwd")?, &overlay.text("etc/group")?, report);
    let whole = overlay.scope == Scope::Root;
    for line in accounts::script(&own, &package_accounts, whole, report) {
        draft.line(Part::Accounts, line);
    }
    // A root that has accounts has all of them.
    let of_packages = !whole || own.is_empty();
    let known = |name: &str| own.has_user(name) || of_packages && package_accounts.has_user(name);
    passwords::take(overlay, &known, policy, staging.path(), draft, report)?;
    let mut of_files = TransferReport::default();
    let accounts = if own.is_empty() { &package_accounts } else { &own };
    Comparison {
        overlay,
        packages: made,
        accounts,
        package_accounts: &package_accounts,
        database: Database::of(overlay),
        policy,
        dir: staging.path(),
        draft,
        report: &mut of_files,
    }
    .run()?;
    // Of those, which files were taken counts.
    for line in runlevels::script(overlay, made, draft, report) {
        draft.line(Part::Services, line);
    }
    report.append(of_files);
    shells::report(&own, made, draft, report);
    Ok(())
}

/// Writes what is known last.
fn write_down(
    staging: &mut Staging,
    source: &Source,
    settings: &Settings,
    draft: &SystemDraft,
    report: &TransferReport,
) -> Result<(), ImportError> {
    staging.root(draft)?;
    staging.file("hoopy.toml", 0o644, settings.text().as_bytes())?;
    if let Some(script) = draft.script(&source.to_string()) {
        staging.file("setup.sh", 0o755, script.as_bytes())?;
    }
    let mut ignored = "images/\n".to_owned();
    if !draft.passwords.is_empty() {
        staging.file("passwords", 0o600, (draft.passwords.join("\n") + "\n").as_bytes())?;
        ignored += "/passwords\n";
    }
    for path in draft.files.iter().filter(|(_, file)| file.ignored).map(|(path, _)| path) {
        ignored += &format!("/root/{}\n", git_pattern(&path.to_string()));
    }
    staging.ignored = ignored;
    Ok(staging.file("IMPORT.md", 0o644, report.to_string().as_bytes())?)
}

/// A path as a pattern of gitignore(5) that means this path: where it has a line end or another control character, with
/// any character in its place.
fn git_pattern(path: &str) -> String {
    let mut pattern = String::new();
    for c in path.chars() {
        if c.is_control() {
            pattern.push('?');
            continue;
        }
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '!' | '#' | ' ') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}

/// Where an import would write: for messages.
pub fn default_dir(overlay: &Overlay) -> PathBuf {
    let name = overlay.text("etc/hostname").ok();
    let name = name.as_deref().and_then(|text| text.lines().next()).filter(|name| !name.trim().is_empty());
    Path::new(&settings::name(name.or(overlay.hints.host.as_deref()))).to_owned()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use hoopy_base::arch::Arch;
    use hoopy_base::jobs::Jobs;
    use hoopy_base::report::Silent;
    use hoopy_build::config::Overrides;
    use hoopy_build::fetch::Client;
    use hoopy_store::Store;

    use super::*;
    use crate::overlay::{Content, Node, NodeKind};

    #[test]
    fn an_import_over_nothing_reads_what_an_import_does_and_leaves_no_directory() {
        let dir = tempfile::tempdir().unwrap();
        let mut overlay = Overlay::default();
        for (path, text) in [
            ("etc/apk/world", "nginx=1.28.0-r3\n.made-by-hand\n"),
            ("etc/passwd", "anna:x:1000:1000:Anna:/home/anna:/bin/ash\nno account\n"),
            ("etc/motd", "hello\n"),
        ] {
            let kind = NodeKind::File(Content::Bytes(text.as_bytes().into()));
            overlay.nodes.insert(EntryPath::new(path).unwrap(), Node { kind, mode: 0o644, uid: 0, gid: 0 });
        }
        let store = Arc::new(Store::open(&dir.path().join("store")).unwrap());
        let (client, jobs) = (Client::default(), Jobs::new(1));
        let context = Context { store: &store, client: &client, jobs: &jobs, observer: &Silent };
        let to = dir.path().join("system");
        let options = Options {
            dir: to.clone(),
            kernel: None,
            branch: None,
            arch: Some(Arch::X86_64),
            over: Overrides::default(),
            secrets: Policy::Plain,
            unfinished: Unfinished::default(),
        };
        let source = Source::Path("nas.apkovl.tar.gz".into());
        let report = import_over_nothing(&source, &overlay, options, context).unwrap().to_string();
        for said in [".made-by-hand", "no account", "1 added in setup.sh", "1 file and 0 links"] {
            assert!(report.contains(said), "{said}: {report}");
        }
        assert!(!to.exists());
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["store"]);
    }
}
