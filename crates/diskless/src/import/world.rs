//! `etc/apk`: what was to be installed, from where, and who was trusted. It becomes `packages`, the repositories of
//! `hoopy.toml`, and `keys/`.

use std::collections::BTreeSet;

use hoopy_apk::version::Op;
use hoopy_apk::{Dependency, Record};

use crate::report::TransferReport;

/// A line of `packages`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageLine {
    /// The package or constraint.
    pub text: String,
    /// Written above it.
    pub comment: Option<String>,
}

/// The lines of `packages` for the text of `etc/apk/world`.
pub fn packages(world: &str, report: &mut TransferReport) -> Vec<PackageLine> {
    let mut lines: Vec<PackageLine> = Vec::new();
    for word in world.split_whitespace() {
        match package(word) {
            Ok((text, note)) => {
                if let Some(note) = note {
                    report.look(format!("{word} of etc/apk/world: {note}"));
                }
                if !lines.iter().any(|line| line.text == text) {
                    lines.push(PackageLine { text, comment: None });
                }
            }
            Err(reason) => report.left(format!("{word} of etc/apk/world"), &reason, ""),
        }
    }
    // The diskless init adds it to whatever the overlay says.
    if !lines.iter().any(|line| line.text == "alpine-base") {
        let comment = Some("The diskless init installed it without being asked".to_owned());
        lines.insert(0, PackageLine { text: "alpine-base".to_owned(), comment });
    }
    lines
}

/// One word of the world as a line of `packages`, and what is to be said of it; why it cannot be one.
fn package(word: &str) -> Result<(String, Option<String>), String> {
    let dependency: Dependency = word.parse().map_err(|e| format!("no package name or constraint: {e}"))?;
    if dependency.name.starts_with('.') {
        return Err("a virtual package made by `apk add --virtual`: no repository has it".to_owned());
    }
    if matches!(dependency.constraint, Some((Op::Checksum, _))) {
        let note =
            "it was installed from a file, by its checksum; now it comes from the repositories".to_owned();
        return Ok((dependency.name.to_string(), Some(note)));
    }
    Ok((word.to_owned(), None))
}

/// Takes out of `lines` what no repository has, so that all else can be installed; `records` is what they have.
/// `tags` are those of its repositories.
pub fn fit(lines: &mut Vec<PackageLine>, records: &[&Record], tags: &[&str], report: &mut TransferReport) {
    let names: BTreeSet<&str> = records.iter().flat_map(|record| record.names()).collect();
    lines.retain_mut(|line| {
        let Ok(dependency) = line.text.parse::<Dependency>() else { return false };
        if dependency.conflict {
            return true;
        }
        if let Some(tag) = dependency.tag.as_deref().filter(|tag| !tags.contains(tag)) {
            let why = format!("no repository has the tag @{tag}");
            report.left(
                format!("package {}", line.text),
                &why,
                "add the repository, or ask for it without the tag",
            );
            return false;
        }
        if !names.contains(&*dependency.name) {
            let action = "add the repository that has it to hoopy.toml, and then the package to `packages`";
            report.left(format!("package {}", line.text), "no repository of hoopy.toml has it", action);
            return false;
        }
        let version = Dependency { tag: None, ..dependency.clone() };
        let offered = records.iter().any(|record| record.offers(&version));
        if !offered && dependency.constraint.is_some() {
            let pinned = std::mem::replace(&mut line.text, unpinned(&dependency));
            report.look(format!(
                "package {pinned}: the repositories have other versions only, so `packages` asks for {}",
                line.text
            ));
        }
        true
    });
    // Without its pin, a line may be what another one says.
    let mut seen = BTreeSet::new();
    lines.retain(|line| seen.insert(line.text.clone()));
}

fn unpinned(dependency: &Dependency) -> String {
    let tag = dependency.tag.as_ref().map(|tag| format!("@{tag}")).unwrap_or_default();
    format!("{}{tag}", dependency.name)
}

/// Where packages come from, as `hoopy.toml` has it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repositories {
    /// The branch of most of them: `3.23`.
    pub branch: Option<String>,
    /// Their mirror, where it is not Alpine's own.
    pub mirror: Option<String>,
    /// `main`, `edge/testing`, `@tag https://...`.
    pub repositories: Vec<String>,
}

/// Alpine's own mirror, without its scheme.
const OWN_MIRROR: &str = "dl-cdn.alpinelinux.org/alpine";

/// One line of etc/apk/repositories, understood.
struct Line<'a> {
    tag: Option<&'a str>,
    address: &'a str,
    /// Mirror, branch and part of one of Alpine's own.
    official: Option<(&'a str, &'a str, &'a str)>,
}

/// The repositories of the text of `etc/apk/repositories`; `release` is the machine's, where it is known, and `moved`
/// the branch to move to.
pub fn repositories(
    text: &str,
    moved: Option<&str>,
    release: Option<&str>,
    report: &mut TransferReport,
) -> Repositories {
    let mut lines = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match read(line) {
            Ok(line) => lines.push(line),
            Err(reason) => report.left(format!("repository {line}"), reason, ""),
        }
    }
    let untagged = lines.iter().filter(|line| line.tag.is_none()).find_map(|line| line.official);
    let first = untagged.or_else(|| lines.iter().find_map(|line| line.official));
    let named = first.filter(|_| untagged.is_some()).map(|(_, branch, _)| branch);
    let branch = match moved {
        Some(moved) => Some(moved.trim_start_matches('v').to_owned()),
        None => branch(named, release, report),
    };
    let mirror = first.map(|(mirror, ..)| mirror);
    // With http or https: packages are signed.
    let place = |address: &'_ str| address.split_once("://").map(|(_, place)| place.to_owned());
    let is_mirror = |other: &str| mirror.is_some_and(|mirror| place(mirror) == place(other));
    let written = |line: &Line<'_>| {
        let place = match line.official {
            Some((m, b, part)) if is_mirror(m) && Some(b) == named => part.to_owned(),
            Some((m, b, part)) if is_mirror(m) && b != "latest-stable" => format!("{b}/{part}"),
            _ => line.address.to_owned(),
        };
        line.tag.map_or(place.clone(), |tag| format!("@{tag} {place}"))
    };
    let mut repositories: Vec<String> = lines.iter().map(written).collect();
    if untagged.is_none() {
        // Nothing but what lay on the medium.
        repositories.splice(0..0, ["main".to_owned(), "community".to_owned()]);
    }
    let mut seen = BTreeSet::new();
    repositories.retain(|repository| seen.insert(repository.clone()));
    let own = |mirror: &&str| mirror.split_once("://").is_some_and(|(_, rest)| rest == OWN_MIRROR);
    Repositories { branch, mirror: mirror.filter(|m| !own(m)).map(str::to_owned), repositories }
}

fn branch(named: Option<&str>, release: Option<&str>, report: &mut TransferReport) -> Option<String> {
    let of_release = release.and_then(|release| {
        let mut parts = release.split('.');
        Some(format!("{}.{}", parts.next()?, parts.next()?))
    });
    let found = match named {
        Some("edge") => Some("edge".to_owned()),
        Some("latest-stable") | None => of_release,
        Some(branch) => Some(branch.trim_start_matches('v').to_owned()),
    };
    if found.is_none() {
        report.look(
            "the Alpine branch: neither etc/apk/repositories nor the medium names one, so hoopy.toml has none and \
             hoopy's default counts: set `branch` where the machine ran another"
                .to_owned(),
        );
    }
    found
}

fn read(line: &str) -> Result<Line<'_>, &'static str> {
    let (tag, address) = match line.strip_prefix('@').and_then(|rest| rest.split_once(char::is_whitespace)) {
        Some((tag, address)) => (Some(tag), address.trim()),
        None => (None, line),
    };
    let address = address.trim_end_matches('/');
    if address.contains(char::is_whitespace) {
        return Err("it names components, which hoopy does not read: write each with its whole address");
    }
    if !address.starts_with("http://") && !address.starts_with("https://") {
        if address.contains("://") {
            return Err("expected http: or https:, found another kind of address");
        }
        return Err("a directory of the machine; its packages come from the mirror now");
    }
    Ok(Line { tag, address, official: official(address) })
}

/// Mirror, branch and part of an address of Alpine's own packages.
fn official(address: &str) -> Option<(&str, &str, &str)> {
    let (rest, part) = address.rsplit_once('/')?;
    let (mirror, branch) = rest.rsplit_once('/')?;
    let is_branch = matches!(branch, "edge" | "latest-stable")
        || branch.strip_prefix('v').is_some_and(|b| b.starts_with(|c: char| c.is_ascii_digit()));
    (is_branch && matches!(part, "main" | "community" | "testing")).then_some((mirror, branch, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpines_own_repositories_become_short_and_others_stay_addresses() {
        let mut report = TransferReport::default();
        let text = "#/media/usb/apks\n/media/usb/apks\nhttp://dl-cdn.alpinelinux.org/alpine/v3.22/main\n\
                    https://dl-cdn.alpinelinux.org/alpine/v3.22/community\n\
                    @edge http://dl-cdn.alpinelinux.org/alpine/edge/testing\n@me https://apk.example.org/x\n";
        let found = repositories(text, None, None, &mut report);
        assert_eq!(found.branch.as_deref(), Some("3.22"));
        assert_eq!(found.mirror, None);
        let expected = ["main", "community", "@edge edge/testing", "@me https://apk.example.org/x"];
        assert_eq!(found.repositories, expected);
        assert!(report.to_string().contains("/media/usb/apks"), "{report}");
    }

    #[test]
    fn a_medium_without_addresses_takes_its_branch_from_the_release() {
        let mut report = TransferReport::default();
        let found = repositories("/media/mmcblk0p1/apks\n", None, Some("3.21.4"), &mut report);
        assert_eq!(found.branch.as_deref(), Some("3.21"));
        assert_eq!(found.repositories, ["main", "community"]);
    }

    #[test]
    fn pins_and_tags_stay_and_what_was_made_by_hand_is_named() {
        let mut report = TransferReport::default();
        let world =
            "nginx=1.28.0-r3\ntailscale@edge\n!dhcpcd\n.build-deps\nmine><Q1aGVsbG8gd29ybGQgaGVsbG8gd28=\n";
        let lines = packages(world, &mut report);
        let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["alpine-base", "nginx=1.28.0-r3", "tailscale@edge", "!dhcpcd", "mine"]);
        let said = report.to_string();
        assert!(said.contains(".build-deps") && said.contains("installed from a file"), "{said}");
    }
}
