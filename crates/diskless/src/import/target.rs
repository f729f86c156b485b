//! What is built: `hoopy.toml`, `packages` and `keys/`, made to fit what the mirror has.

use hoopy_apk::signature::KeyRing;
use hoopy_base::arch::Arch;
use hoopy_base::count::counted;
use hoopy_build::config::System;
use hoopy_build::context::Context;
use hoopy_build::fetch::{self, FetchError};
use hoopy_build::locking::{self, MakeError};
use hoopy_build::target::Target;

use super::error::ImportError;
use super::in_git;
use super::kernel;
use super::options::Options;
use super::pi;
use super::settings::{self, Settings};
use super::world::{self, PackageLine};
use super::write::Staging;
use crate::overlay::{Hints, NodeKind, Overlay};
use crate::report::TransferReport;
use crate::source::Source;

/// The repository that every machine needs: the base is there.
const MAIN: &str = "main";

/// Consoles, where kernel arguments are given that name none: what hoopy has without any.
const CONSOLES: &str = "console=tty1 console=ttyS0";

/// The same on a Raspberry Pi, whose firmware knows which serial line the first one is.
const CONSOLES_OF_PI: &str = "console=tty1 console=serial0,115200";

/// The architecture of the machine.
pub fn arch(overlay: &Overlay, options: &Options<'_>) -> Result<Arch, ImportError> {
    let named = overlay.text("etc/apk/arch")?;
    match (options.arch, named.trim()) {
        (Some(arch), _) => Ok(arch),
        (None, "") => Arch::host().ok_or_else(|| ImportError::Arch("none".to_owned())),
        (None, named) => named.parse().map_err(|_| ImportError::Arch(named.to_owned())),
    }
}

/// What `hoopy.toml` says, but for what is known last.
pub fn settings_of(
    source: &Source,
    overlay: &Overlay,
    options: &Options<'_>,
    report: &mut TransferReport,
) -> Result<Settings, ImportError> {
    let mut repositories = overlay.text("etc/apk/repositories")?;
    for (path, _) in overlay.below("etc/apk/repositories.d") {
        repositories += &format!("\n{}", overlay.text(&path.to_string())?);
    }
    let repositories = in_git::repositories(&repositories, report);
    let of_root = overlay.text("etc/alpine-release")?.trim().to_owned();
    let release = overlay.hints.release.clone().or_else(|| Some(of_root).filter(|text| !text.is_empty()));
    let own = overlay.text("etc/hostname")?;
    let own = own.lines().next().map(str::trim).filter(|name| !name.is_empty());
    let found = own.or(overlay.hints.host.as_deref());
    let name = settings::name(found);
    if let Some(found) = found.filter(|found| *found != name) {
        report.look(format!("the host name {found:?} cannot name an image: hoopy.toml has name = {name:?}"));
    }
    let consoles = if overlay.hints.pi.is_some() { CONSOLES_OF_PI } else { CONSOLES };
    let cmdline = overlay
        .hints
        .cmdline
        .as_ref()
        .map(|args| in_git::arguments(args, report))
        .filter(|args| !args.is_empty())
        .map(|args| if args.contains("console=") { args } else { format!("{consoles} {args}") });
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

/// The lines of `packages`; the kernel comes once it is known which there are.
pub fn packages_of(overlay: &Overlay, report: &mut TransferReport) -> Result<Vec<PackageLine>, ImportError> {
    let lines = world::packages(&overlay.text("etc/apk/world")?, report);
    report.took("packages", format!("{} of etc/apk/world", counted(lines.len(), "line")));
    Ok(lines)
}

/// The largest file with a public key.
const MAX_KEY: u64 = 16 << 10;

/// Keys that are not Alpine's become `keys/`, with Alpine's beside them.
pub fn keys(
    overlay: &Overlay,
    arch: Arch,
    staging: &Staging,
    report: &mut TransferReport,
) -> Result<(), ImportError> {
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
        if KeyRing::default().add(&name, &pem).is_err() {
            report.left(path.to_string(), "it is not a public key", "");
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
pub fn fitting_target(
    staging: &Staging,
    options: &Options<'_>,
    hints: &Hints,
    settings: &mut Settings,
    packages: &mut Vec<PackageLine>,
    report: &mut TransferReport,
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
    let (mut kept, mut tags, mut unread) = (Vec::new(), Vec::new(), Vec::new());
    for (system, written) in each.iter().zip(&settings.repositories.repositories) {
        match locking::indexes(system, target.arch, &ring, context) {
            Ok(found) => {
                indexes.extend(found);
                tags.extend(system.repositories.iter().filter_map(|repository| repository.tag.as_deref()));
                kept.push(written.clone());
            }
            Err(error) if written == MAIN => return Err(no_repository(written.clone(), error)),
            Err(error) => unread.push((written.clone(), error)),
        }
    }
    if indexes.is_empty()
        && let Some((written, error)) = unread.pop()
    {
        return Err(no_repository(written, error));
    }
    for (written, error) in unread {
        let why = format!("its index cannot be read ({error})");
        report.left(format!("repository {written}"), &why, "add it to hoopy.toml again when it is there");
    }
    settings.repositories.repositories = kept;
    let records: Vec<_> = indexes.iter().flat_map(|index| &index.index.records).collect();
    world::fit(packages, &records, &tags, report);
    kernel::choose(options, hints, packages, &records, report)?;
    pi::choose_layout(target.arch, packages, settings, report);
    staging.file("hoopy.toml", 0o644, settings.text().as_bytes())?;
    staging.file("packages", 0o644, settings::packages(packages).as_bytes())?;
    load()
}

/// That a repository is needed and cannot be read. A mirror that has everything but this branch is no failure of the network.
fn no_repository(repository: String, error: MakeError) -> ImportError {
    match error {
        MakeError::Fetch(FetchError::Missing { .. }) => {
            ImportError::NoMain { repository, source: Box::new(error) }
        }
        error => ImportError::Make(error),
    }
}
