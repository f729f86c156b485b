//! Packages that no configured repository has, and other repositories of the mirror do.
//!
//! Asked only when a world has been refused, and so as to cost little: first the repositories of the same branch
//! that are not configured, and only for what they have not either the other architecture, edge and the branch
//! before, all at once. An index is up to 2.5 MB. One that cannot be had in time is passed over in silence: the world
//! has been explained already, and this is an addition.

use std::time::Duration;

use hoopy_apk::{Dependency, Record};
use hoopy_base::arch::Arch;
use hoopy_base::jobs;
use hoopy_base::report::{Event, Observer};

use super::indexes;
use crate::config::{System, branch, release_dir};
use crate::fetch::{self, Client};

/// How long a repository may take: longer than an index takes on a slow line, shorter than a user's patience.
const PATIENCE: Duration = Duration::from_secs(5);

/// More than this are not looked for: whoever lacks so much has named another mirror or another system's packages. Half a
/// hundred are missing where a repository is not configured.
const MAX_WANTED: usize = 100;

/// Repositories asked at a time.
const AT_A_TIME: usize = 7;

/// What a line of hoopy.toml to be copied begins with.
pub(super) const ADVICE: &str = "    repositories = ";

/// How the line before it ends.
pub(super) const LEADS_TO_ADVICE: [&str; 2] = [": write in hoopy.toml", ", and in hoopy.toml"];

/// A place that has what is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Suggestion {
    /// What is missing.
    pub wanted: Dependency,
    /// What is there, as `name-version`.
    package: String,
    place: Place,
}

/// A repository that is not configured.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    kind: Kind,
    branch: String,
    repository: &'static str,
    arch: Arch,
    /// The branch and architecture it is compared with.
    own: (String, Arch),
}

/// How a repository stands to those that are configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Another one of the same branch.
    SameBranch,
    /// For the other architecture.
    OtherArch,
    /// Of the branch in the making.
    Edge,
    /// Of the branch before.
    PreviousBranch,
}

impl Suggestion {
    /// Whether it was there once, and another may have taken its place.
    pub fn is_gone(&self) -> bool {
        self.place.kind == Kind::PreviousBranch
    }

    /// Lines for a terminal, with what to write to have it; `asked_for`: a line of `packages` names it itself.
    pub fn lines(&self, system: &System, asked_for: bool) -> Vec<String> {
        let Self { package, wanted, place } = self;
        let Place { kind, branch, repository, arch, own: (own_branch, own_arch) } = place;
        match kind {
            Kind::SameBranch => vec![
                format!("  {repository} has {package}: write in hoopy.toml"),
                with(system, (*repository).to_owned()),
            ],
            Kind::OtherArch => {
                vec![format!("  there is {package} for {arch} ({repository}), but none for {own_arch}")]
            }
            Kind::Edge if asked_for => vec![
                format!("  edge has {package}: write {}@edge, and in hoopy.toml", wanted.name),
                with(system, format!("@edge edge/{repository}")),
            ],
            Kind::Edge => vec![format!("  edge has {package} ({repository})")],
            Kind::PreviousBranch => {
                vec![format!("  {branch} had {package} ({repository}): {own_branch} dropped or renamed it")]
            }
        }
    }
}

/// The key `repositories` with one more, to be copied.
fn with(system: &System, more: String) -> String {
    let written = system.repositories.iter().map(|r| match &r.tag {
        None => r.name.clone(),
        Some(tag) => format!("@{tag} {}", r.name),
    });
    let all: Vec<String> = written.chain([more]).map(|r| format!("{r:?}")).collect();
    format!("{ADVICE}[{}]", all.join(", "))
}

/// Looks for what is `wanted`; the nearest places first.
pub(super) fn look<'w>(
    system: &System,
    arch: Arch,
    wanted: impl Iterator<Item = &'w Dependency>,
    observer: &dyn Observer,
) -> Vec<Suggestion> {
    let mut wanted: Vec<&Dependency> = wanted.collect();
    if wanted.is_empty() || wanted.len() > MAX_WANTED {
        return Vec::new();
    }
    if fetch::is_remote(&system.mirror) {
        observer.event(Event::Note("looking for what is missing in the mirror's other repositories"));
    }
    let (near, far) = places(system, arch);
    let mut found = ask(system, &near, &wanted);
    wanted.retain(|w| !found.iter().any(|n| n.wanted == **w));
    if !wanted.is_empty() {
        found.extend(ask(system, &far, &wanted));
    }
    found
}

/// The repositories to ask first, and those to ask for what these have not.
fn places(system: &System, arch: Arch) -> (Vec<Place>, Vec<Place>) {
    let own = (system.branch.clone(), arch);
    let place = |kind, branch: &str, repository, arch| Place {
        kind,
        branch: branch.to_owned(),
        repository,
        arch,
        own: own.clone(),
    };
    let configured =
        |p: &Place| arch == p.arch && system.repositories.iter().any(|r| r.location == location(system, p));
    let branch = &*system.branch;
    let near = repositories(branch).iter().map(|r| place(Kind::SameBranch, branch, *r, arch));
    let other = match arch {
        Arch::X86_64 | Arch::Armv7 | Arch::Armhf => Arch::Aarch64,
        Arch::Aarch64 => Arch::X86_64,
    };
    let mut far: Vec<Place> =
        repositories(branch).iter().map(|r| place(Kind::OtherArch, branch, *r, other)).collect();
    if branch != "edge" {
        far.extend(repositories("edge").iter().map(|r| place(Kind::Edge, "edge", *r, arch)));
    }
    if let Some(before) = branch::previous(branch) {
        far.extend(repositories(&before).iter().map(|r| place(Kind::PreviousBranch, &before, *r, arch)));
    }
    far.retain(|p| !configured(p));
    (near.filter(|p| !configured(p)).collect(), far)
}

/// Alpine's repositories of a branch.
fn repositories(branch: &str) -> &'static [&'static str] {
    if branch == "edge" { &["main", "community", "testing"] } else { &["main", "community"] }
}

fn location(system: &System, place: &Place) -> String {
    format!("{}/{}/{}", system.mirror, release_dir(&place.branch), place.repository)
}

/// What these places have of what is wanted: of each kind the first.
fn ask(system: &System, places: &[Place], wanted: &[&Dependency]) -> Vec<Suggestion> {
    let client = Client::impatient(PATIENCE);
    let records = jobs::map_on(AT_A_TIME, places, |place| {
        Ok::<_, std::convert::Infallible>(read(system, place, &client).unwrap_or_default())
    });
    let Ok(records) = records;
    let mut found: Vec<Suggestion> = Vec::new();
    for (place, records) in places.iter().zip(&records) {
        for wanted in wanted {
            let known = found.iter().any(|n| n.place.kind == place.kind && n.wanted == **wanted);
            let record = records.iter().filter(|r| r.offers(wanted)).max_by(|a, b| a.version.cmp(&b.version));
            if let Some(record) = record.filter(|_| !known) {
                let package = format!("{}-{}", record.name, record.version);
                found.push(Suggestion { wanted: (*wanted).clone(), package, place: place.clone() });
            }
        }
    }
    found
}

/// The verified index of a place, if it can be had.
fn read(system: &System, place: &Place, client: &Client) -> Option<Vec<Record>> {
    let (keys, _) = fetch::keyring(place.arch, system.keys.as_deref()).ok()?;
    let (_, bytes) = indexes::fetch(&location(system, place), place.arch, client).ok()?;
    Some(hoopy_apk::index::read(&bytes, &keys).ok()?.records)
}
