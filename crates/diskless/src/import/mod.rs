//! From an overlay to a system directory.
//!
//! ```text
//! etc/apk ─world─▶ packages, hoopy.toml, keys/ ─build::road::root─▶ what packages make
//!                                                                        │
//! all else ────────────────────── compare ◀──────────────────────────────┘
//!                                    └──▶ root/, setup.sh, [modes], Report
//! ```

mod accounts;
mod compare;
mod draft;
mod error;
mod installed;
mod lbu;
mod notes;
mod options;
mod rules;
mod runlevels;
pub mod secrets;
mod settings;
mod target;
mod world;
mod write;

use std::path::{Path, PathBuf};

use hoopy_base::report::{Event, Observer};
use hoopy_build::context::Context;
use hoopy_build::road::{self, BuildError};
use hoopy_build::stack::Stack;
use hoopy_store::layer::EntryPath;

use accounts::Accounts;
use compare::Comparison;
use draft::{Part, SystemDraft};
use installed::Database;
use notes::notes;
use secrets::{Policy, Secret};
use settings::Settings;
use target::{arch, fitting_target, keys, packages_of, settings_of};
use write::Staging;

pub use error::ImportError;
pub use options::{MakeRunner, Options};
pub use write::WriteError;

use crate::overlay::{Overlay, Scope};
use crate::report::{SecretFile, TransferReport};
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
    let staging = Staging::begin(&options.dir)?;
    let mut report = TransferReport::of(format!("Imported {source} into {}", options.dir.display()));
    let mut draft = SystemDraft::default();
    let mut settings = settings_of(source, overlay, &options, &mut report)?;
    let mut packages = packages_of(overlay, &options, &mut report)?;
    staging.file("hoopy.toml", 0o644, settings.text().as_bytes())?;
    staging.file("packages", 0o644, settings::packages(&packages).as_bytes())?;
    keys(overlay, arch(overlay, &options)?, &staging, &mut report)?;
    let target = fitting_target(&staging, &options, &mut settings, &mut packages, &mut report, context)?;
    let mut runner = runner(&target).map_err(ImportError::Runner)?;
    // That there is no lock yet is no news here, and neither is where the directory is for now.
    let quiet = WithoutNotes(context.observer);
    let made = road::root(&target, &mut *runner, Context { observer: &quiet, ..context })?;
    drop(runner);
    let lbu = lbu::read(overlay, &mut report)?;
    take(overlay, &made, &mut options.secrets, &staging, &mut draft, &mut report, context)?;
    settings.modes = draft.modes();
    if matches!(options.secrets, Policy::Keep(_)) && report.secrets.iter().any(|secret| secret.kept.is_some())
    {
        let owners = draft.secrets.iter().filter(|(_, (_, owner))| owner != "root:root");
        settings.secrets = Some(owners.map(|(path, (_, owner))| (path.clone(), owner.clone())).collect());
        report.look(
            "secrets are encrypted in git, and `open = \"build\"` puts them into the image as they are, as they lay on \
             the medium: see `hoopy secret` for other ways"
                .to_owned(),
        );
    }
    settings.ignored = lbu.excluded.iter().map(|path| format!("/{path}")).collect();
    notes(overlay, &draft, &mut report)?;
    write_down(&staging, source, &settings, &draft, &report)?;
    staging.publish()?;
    Ok(report)
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
    passwords(overlay, policy, staging, draft, report)?;
    for line in runlevels::script(overlay, made, report) {
        draft.line(Part::Services, line);
    }
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
        report,
    }
    .run()?;
    Ok(())
}

/// Hashes of passwords. They are no files that packages do not know: the lines of one.
fn passwords(
    overlay: &Overlay,
    policy: &mut Policy<'_>,
    staging: &Staging,
    draft: &mut SystemDraft,
    report: &mut TransferReport,
) -> Result<(), ImportError> {
    let shadow = overlay.text("etc/shadow")?;
    let found = accounts::passwords(&shadow, &overlay.text("etc/passwd")?);
    for name in &found.empty {
        report.look(format!(
            "{name} had no password: in the image it is locked; set one in setup.sh, or use ssh keys"
        ));
    }
    if found.hashes.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = found.hashes.keys().map(String::as_str).collect();
    let what = format!("the hashes of passwords of {}", names.join(", "));
    let kept = match policy {
        Policy::Refuse => None,
        Policy::Plain => {
            draft.passwords = found.hashes.iter().map(|(name, hash)| format!("{name}:{hash}")).collect();
            draft.line(Part::Passwords, "[ ! -f passwords ] || chpasswd -e <passwords");
            Some("passwords, which git ignores".to_owned())
        }
        Policy::Keep(keeper) => {
            let secret = Secret { path: "etc/shadow", what: &what, mode: 0o640, content: shadow.as_bytes() };
            let kept = keeper.keep(staging.path(), &secret)?;
            draft.secrets.insert("etc/shadow".to_owned(), (0o640, "root:shadow".to_owned()));
            Some(kept)
        }
    };
    report.secrets.push(SecretFile { path: "etc/shadow".to_owned(), what, kept });
    Ok(())
}

/// Writes what is known last.
fn write_down(
    staging: &Staging,
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
    staging.file(".gitignore", 0o644, ignored.as_bytes())?;
    Ok(staging.file("IMPORT.md", 0o644, report.to_string().as_bytes())?)
}

/// A path as a pattern of gitignore(5) that means this path alone.
fn git_pattern(path: &str) -> String {
    let mut pattern = String::new();
    for c in path.chars() {
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
