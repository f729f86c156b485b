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
mod installed;
mod lbu;
mod rules;
mod runlevels;
pub mod secrets;
mod settings;
mod world;
mod write;

use std::io;
use std::path::{Path, PathBuf};

use hoopy_apk::Record;
use hoopy_apk::signature::KeyRing;
use hoopy_base::arch::Arch;
use hoopy_base::report::{Event, Observer};
use hoopy_build::config::{ConfigError, Overrides, System};
use hoopy_build::context::Context;
use hoopy_build::fetch::{self, FetchError};
use hoopy_build::locking::{self, MakeError};
use hoopy_build::road::{self, BuildError};
use hoopy_build::stack::{Runner, Stack};
use hoopy_build::target::{Target, TargetError};
use hoopy_store::layer::EntryPath;
use hoopy_store::layer::stored::ReadLayerError;

use accounts::Accounts;
use compare::Comparison;
use draft::{Draft, Part};
use installed::Database;
use secrets::{Policy, Secret};
use settings::Settings;
use world::PackageLine;
use write::Staging;

pub use write::WriteError;

use crate::overlay::{NodeKind, Overlay, Scope};
use crate::report::{Report, SecretFile};
use crate::source::Source;
use hoopy_base::size;

/// The kernel where nothing says which: that of Alpine's standard medium.
const DEFAULT_KERNEL: &str = "lts";

/// Consoles, where kernel arguments are given that name none: what hoopy has without any.
const CONSOLES: &str = "console=tty1 console=ttyS0";

/// Makes what runs scripts for a target.
pub type MakeRunner<'a> =
    dyn FnMut(&Target) -> Result<Box<dyn Runner>, Box<dyn std::error::Error + Send + Sync>> + 'a;

/// What an import is told.
pub struct Options<'p> {
    /// The system directory to make.
    pub dir: PathBuf,
    /// The flavor of the kernel, `lts`: over what the source says.
    pub kernel: Option<String>,
    /// The Alpine branch to move to: over what the source says.
    pub branch: Option<String>,
    /// The architecture, where the source does not say.
    pub arch: Option<Arch>,
    /// Mirror and keys of the command line.
    pub over: Overrides,
    /// What becomes of secrets.
    pub secrets: Policy<'p>,
}

/// An import that failed; nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The directory could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A file of the source could not be read.
    #[error("a file of the source could not be read: {0}")]
    Read(#[from] io::Error),
    /// The machine is one that hoopy does not build for.
    #[error("etc/apk/arch: expected x86_64 or aarch64, found {0}")]
    Arch(String),
    /// What was written is no system directory: a fault of the import.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A mirror did not answer, or a key cannot be read.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The mirror does not have the branch.
    #[error("{repository}: the mirror does not have it: {source}")]
    NoMain {
        /// Which repository.
        repository: String,
        /// Why.
        source: Box<MakeError>,
    },
    /// The packages could not be chosen.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// What the packages make could not be made.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A file of the packages could not be read.
    #[error(transparent)]
    Layer(#[from] ReadLayerError),
    /// Nothing runs the packages' scripts.
    #[error("{0}")]
    Runner(Box<dyn std::error::Error + Send + Sync>),
}

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
) -> Result<Report, ImportError> {
    let staging = Staging::begin(&options.dir)?;
    let mut report = Report::of(format!("Imported {source} into {}", options.dir.display()));
    let mut draft = Draft::default();
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
    draft: &mut Draft,
    report: &mut Report,
    context: Context<'_>,
) -> Result<(), ImportError> {
    let text = |path: &str| -> Result<String, ImportError> {
        let path = EntryPath::new(path).map_err(BuildError::from)?;
        let bytes = made.read(&path, context.store)?.unwrap_or_default();
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let package_accounts = Accounts::parse(&text("etc/passwd")?, &text("etc/group")?, &mut Report::default());
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

fn arch(overlay: &Overlay, options: &Options<'_>) -> Result<Arch, ImportError> {
    let named = overlay.text("etc/apk/arch")?;
    match (options.arch, named.trim()) {
        (Some(arch), _) => Ok(arch),
        (None, "") => Arch::host().ok_or_else(|| ImportError::Arch("none".to_owned())),
        (None, named) => named.parse().map_err(|_| ImportError::Arch(named.to_owned())),
    }
}

fn settings_of(
    source: &Source,
    overlay: &Overlay,
    options: &Options<'_>,
    report: &mut Report,
) -> Result<Settings, ImportError> {
    let mut repositories = overlay.text("etc/apk/repositories")?;
    for (path, _) in overlay.below("etc/apk/repositories.d") {
        repositories += &format!("\n{}", overlay.text(&path.to_string())?);
    }
    let of_root = overlay.text("etc/alpine-release")?.trim().to_owned();
    let release = overlay.hints.release.clone().or_else(|| Some(of_root).filter(|text| !text.is_empty()));
    let own = overlay.text("etc/hostname")?;
    let own = own.lines().next().map(str::trim).filter(|name| !name.is_empty());
    let name = settings::name(own.or(overlay.hints.host.as_deref()));
    let cmdline = overlay
        .hints
        .cmdline
        .as_ref()
        .map(|args| if args.contains("console=") { args.clone() } else { format!("{CONSOLES} {args}") });
    if let Some(cmdline) = &cmdline {
        report.took("kernel arguments", cmdline.clone());
    }
    let host = match source {
        Source::Machine(host) => Some(host.clone()),
        _ => None,
    };
    Ok(Settings {
        name,
        arch: arch(overlay, options)?.to_string(),
        repositories: world::repositories(
            &repositories,
            options.branch.as_deref(),
            release.as_deref(),
            report,
        ),
        cmdline,
        host,
        ..Settings::default()
    })
}

/// The lines of `packages`, with a kernel, which an overlay cannot name: the boot medium has it.
fn packages_of(
    overlay: &Overlay,
    options: &Options<'_>,
    report: &mut Report,
) -> Result<Vec<PackageLine>, ImportError> {
    let mut lines = world::packages(&overlay.text("etc/apk/world")?, report);
    report.took("packages", format!("{} lines of etc/apk/world", lines.len()));
    if options.kernel.is_none() && lines.iter().any(is_kernel) {
        return Ok(lines);
    }
    let known = options.kernel.as_ref().or(overlay.hints.kernel.as_ref());
    let flavor = known.map_or(DEFAULT_KERNEL, String::as_str);
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let flavor = if !flavor.is_empty() && flavor.chars().all(fits) { flavor } else { DEFAULT_KERNEL };
    if known.is_none() {
        report.look(format!(
            "the kernel: an overlay cannot name it, since it came from the boot medium; `packages` has \
             linux-{flavor}: give --kernel virt for a virtual machine, and add linux-firmware packages that the \
             hardware needs"
        ));
    }
    let other = lines.iter().filter(|line| is_kernel(line) && line.text != format!("linux-{flavor}"));
    let other: Vec<&str> = other.map(|line| line.text.as_str()).collect();
    if !other.is_empty() {
        report.left(format!("package {}", other.join(", ")), &format!("the kernel is linux-{flavor}"), "");
    }
    lines.retain(|line| !is_kernel(line));
    let comment = Some("The kernel, which came from the boot medium".to_owned());
    lines.push(PackageLine { text: format!("linux-{flavor}"), comment });
    Ok(lines)
}

/// The largest file with a public key.
const MAX_KEY: u64 = 16 << 10;

/// Keys that are not Alpine's become `keys/`, with Alpine's beside them.
fn keys(overlay: &Overlay, arch: Arch, staging: &Staging, report: &mut Report) -> Result<(), ImportError> {
    let (_, shipped) = fetch::keyring(arch, None)?;
    let mut own = Vec::new();
    for (path, node) in overlay.below("etc/apk/keys") {
        let NodeKind::File(content) = &node.kind else { continue };
        let name = String::from_utf8_lossy(path.name()).into_owned();
        // alpine-keys brings those of other releases and architectures.
        if name.starts_with("alpine-devel@") || content.size() > MAX_KEY {
            continue;
        }
        let pem = content.read()?;
        if !name.ends_with(".rsa.pub") || KeyRing::default().add(&name, &pem).is_err() {
            report.left(path.to_string(), "it is no public RSA key", "");
        } else if shipped.iter().all(|(_, bytes)| bytes.as_slice() != &*pem) {
            own.push((name, pem.to_vec()));
        }
    }
    if own.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = own.iter().map(|(name, _)| name.as_str()).collect();
    report.took("keys/", format!("{}, beside Alpine's own", names.join(", ")));
    report
        .look(format!("packages signed with {} are trusted, as they were on the machine", names.join(", ")));
    for (name, pem) in shipped.into_iter().chain(own) {
        staging.file(&format!("keys/{name}"), 0o644, &pem)?;
    }
    Ok(())
}

/// The target, with `packages` and repositories made to fit what the mirror has.
fn fitting_target(
    staging: &Staging,
    options: &Options<'_>,
    settings: &mut Settings,
    packages: &mut Vec<PackageLine>,
    report: &mut Report,
    context: Context<'_>,
) -> Result<Target, ImportError> {
    let load = || -> Result<Target, ImportError> {
        let system = System::load(staging.path(), &options.over)?;
        Ok(Target::to_lock(system, None)?)
    };
    let target = load()?;
    let (ring, _) = fetch::keyring(target.arch, target.system.keys.as_deref())?;
    let each = target
        .system
        .repositories
        .iter()
        .map(|one| System { repositories: vec![one.clone()], ..target.system.clone() });
    let each: Vec<System> = each.collect();
    let mut indexes = Vec::new();
    let mut kept = Vec::new();
    for (system, written) in each.iter().zip(&settings.repositories.repositories) {
        match locking::indexes(system, target.arch, &ring, context) {
            Ok(found) => {
                indexes.extend(found);
                kept.push(written.clone());
            }
            Err(source) if indexes.is_empty() => {
                return Err(ImportError::NoMain { repository: written.clone(), source: Box::new(source) });
            }
            Err(error) => {
                let why = format!("its index cannot be read ({error})");
                report.left(
                    format!("repository {written}"),
                    &why,
                    "add it to hoopy.toml again when it is there",
                );
            }
        }
    }
    settings.repositories.repositories = kept;
    let records: Vec<_> = indexes.iter().flat_map(|index| &index.index.records).collect();
    let tags: Vec<&str> =
        each.iter().flat_map(|system| &system.repositories).filter_map(|r| r.tag.as_deref()).collect();
    world::fit(packages, &records, &tags, report);
    kernel_that_is_there(options, packages, &records, report);
    staging.file("hoopy.toml", 0o644, settings.text().as_bytes())?;
    staging.file("packages", 0o644, settings::packages(packages).as_bytes())?;
    load()
}

/// Kernels that are taken where the one that was meant is not there, the best first.
const KERNELS: [&str; 4] = ["linux-lts", "linux-virt", "linux-stable", "linux-edge"];

/// Sees to it that there is a kernel, where nobody asked for a certain one.
fn kernel_that_is_there(
    options: &Options<'_>,
    packages: &mut Vec<PackageLine>,
    records: &[&Record],
    report: &mut Report,
) {
    if options.kernel.is_some() || packages.iter().any(is_kernel) {
        return;
    }
    let there = |name: &&&str| records.iter().any(|record| *record.name == ***name);
    let Some(kernel) = KERNELS.iter().find(there) else { return };
    report.look(format!(
        "the kernel: `packages` has {kernel}, which the mirror has: give --kernel for another"
    ));
    let comment = Some("The kernel, which came from the boot medium".to_owned());
    packages.push(PackageLine { text: (*kernel).to_owned(), comment });
}

/// Whether a line of `packages` is a kernel.
fn is_kernel(line: &PackageLine) -> bool {
    let name = line.text.split(['=', '<', '>', '~', '@']).next().unwrap_or_default();
    let flavor = name.strip_prefix("linux-").unwrap_or_default();
    !flavor.is_empty() && !flavor.contains('-') && !["firmware", "headers", "pam"].contains(&flavor)
}

/// Hashes of passwords. They are no files that packages do not know: the lines of one.
fn passwords(
    overlay: &Overlay,
    policy: &mut Policy<'_>,
    staging: &Staging,
    draft: &mut Draft,
    report: &mut Report,
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

/// What a person should know that no single file says.
fn notes(overlay: &Overlay, draft: &Draft, report: &mut Report) -> Result<(), ImportError> {
    for refused in &overlay.refused {
        report.left(refused.path.clone(), &refused.reason, "");
    }
    for data in &overlay.data {
        let why = format!("{} of data", size::show(data.size));
        let action = "keep it on a filesystem of /etc/fstab, and copy it there";
        report.left(data.path.clone(), &why, action);
    }
    if !overlay.hints.backups.is_empty() {
        let names = overlay.hints.backups.join(", ");
        report.left(
            names,
            "older overlays of this machine",
            "import one into another directory to look into it",
        );
    }
    if overlay.hints.unauthenticated {
        report.look(
            "it came over http, which anybody on the way can change: look at root/ and setup.sh".to_owned(),
        );
    }
    // That of a package mounts what it always did.
    let own = draft.files.keys().any(|path| path.as_bytes() == b"etc/fstab");
    let fstab = if own { overlay.text("etc/fstab")? } else { String::new() };
    for line in fstab.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let mut fields = line.split_whitespace();
        let (Some(device), Some(place)) = (fields.next(), fields.next()) else { continue };
        if place == "/" {
            report.look(format!("etc/fstab has {device} at /: the root is the image now: remove the line"));
        } else if place.starts_with("/media/") {
            report.look(format!(
                "etc/fstab mounts {device} at {place}: where that is the boot medium of the diskless system, remove \
                 the line"
            ));
        }
    }
    if report.refused_secrets().next().is_some() {
        report.look("what needs a secret that was not taken does not work in the image".to_owned());
    }
    if report
        .refused_secrets()
        .any(|secret| secret.path.contains("host_key") || secret.path.contains("ssh_host_"))
    {
        report.look(
            "the host keys of ssh are not there: the machine makes new ones at each boot, and ssh will warn of each"
                .to_owned(),
        );
    }
    Ok(())
}

/// Writes what is known last.
fn write_down(
    staging: &Staging,
    source: &Source,
    settings: &Settings,
    draft: &Draft,
    report: &Report,
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
