//! `hoopy pull`.

use std::io::{self, BufRead as _, IsTerminal as _};

use hoopy_build::config::System;
use hoopy_inspect::diff::FileChange;
use hoopy_inspect::drift::{self, AddedPackages, Allowed, DATABASES, DriftError, PullOutcome, Pulled, WORLD};
use hoopy_store::layer::path::is_within;

use super::drift::{Comparison, changed};
use crate::args::{Global, Host, Pull};
use crate::error::{CommandError, Context as _, Exit, Result};
use crate::output::{note, print, print_json, prompt};

pub fn run(global: &Global, own: &Pull) -> Result<Exit> {
    let (host, paths) = split(own);
    if own.all && !paths.is_empty() {
        return Err(CommandError::usage("--all and paths exclude each other"));
    }
    let asks = paths.is_empty() && !own.all;
    if asks && !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(CommandError::usage("no files named, and no terminal to ask about each")
            .hint("name files, or pull everything that changed with --all"));
    }
    let mut comparison = Comparison::new(global, &host, own.image.as_deref(), own.json)?;
    let Some(system) = comparison.system.take() else {
        return Err(CommandError::system("there is no system in this directory to pull into")
            .hint("name its directory with -C"));
    };
    let found = comparison.drift(false)?;
    let added = added_packages(&mut comparison, &found.files, &system)?;
    let (packaged, files): (Vec<&FileChange>, Vec<&FileChange>) =
        found.files.iter().partition(|change| change.path == WORLD || added.has(&change.path));
    let mut chosen = Vec::new();
    for change in files {
        if own.all || paths.iter().any(|path| is_named(&change.path, path)) || asks && ask(change)? {
            chosen.push(change);
        }
    }
    let untouched = |path: &&String| !found.files.iter().any(|change| is_named(&change.path, path));
    if let Some(path) = paths.iter().find(untouched) {
        let (host, path) = (comparison.host, path.clone());
        return Err(match drift::mounted_at(&comparison.listing, &path) {
            Some(at) => DriftError::Mounted { host, path, at }.into(),
            None => DriftError::NotChanged { host, path }.into(),
        });
    }
    let contents: Vec<_> =
        changed(&found).into_iter().filter(|path| chosen.iter().any(|c| c.path.as_bytes() == path)).collect();
    comparison.fetch(&contents)?;
    let allowed = Allowed { secrets: own.secrets, outside_links: own.outside_links, setuid: own.setuid };
    let mut pulled = drift::pull(&system.dir, &chosen, &comparison.listing, allowed)?;
    let named = |change: &&FileChange| own.all || paths.iter().any(|path| is_named(&change.path, path));
    let left = |change: &FileChange| Pulled {
        path: change.path.clone(),
        outcome: PullOutcome::LeftOut(OF_A_PACKAGE),
    };
    pulled.extend(packaged.into_iter().filter(named).map(left));
    if own.json {
        print_json(&pulled)?;
    } else {
        print(pulled.iter().map(|one| line(one, &system)).collect::<String>())?;
    }
    let mut hints: Vec<&str> = pulled.iter().filter_map(|one| hint(&one.outcome)).collect();
    hints.sort_unstable();
    hints.dedup();
    hints.iter().for_each(|hint| note(format!("hint: {hint}")));
    if !added.lines.is_empty() && !own.json {
        note(format!(
            "hint: packages were added on the machine; keep them with `hoopy add {}`",
            added.lines.join(" ")
        ));
    }
    Ok(if hints.is_empty() { Exit::Success } else { Exit::Failed })
}

/// Why files of packages are left out.
const OF_A_PACKAGE: &str = "it came with a package that was added on the machine";

/// What `apk add` brought to the machine since it booted; nothing where its world is as it was.
fn added_packages(
    comparison: &mut Comparison,
    files: &[FileChange],
    system: &System,
) -> Result<AddedPackages> {
    if files.iter().all(|change| change.path != WORLD) {
        return Ok(AddedPackages::default());
    }
    let there = |path: &&str| comparison.listing.files.contains_key(path.as_bytes());
    let paths: Vec<Vec<u8>> = [WORLD]
        .iter()
        .chain(&DATABASES)
        .filter(|path| there(path))
        .map(|path| path.as_bytes().to_vec())
        .collect();
    comparison.fetch(&paths)?;
    let content = |path: &str| {
        comparison.listing.files.get(path.as_bytes()).map(|(_, content)| content.clone()).unwrap_or_default()
    };
    let database =
        DATABASES.iter().map(|path| content(path)).find(|text| !text.is_empty()).unwrap_or_default();
    let own = system.world.texts();
    Ok(AddedPackages::of(&content(WORLD), &database, &own, comparison.expected.packages.as_ref()))
}

/// How to pull what was refused.
fn hint(outcome: &PullOutcome) -> Option<&'static str> {
    match outcome {
        PullOutcome::Secret(_) => Some(
            "pull files that look secret with --secrets; everyone who can read the repository can read them then",
        ),
        PullOutcome::OutsideLink(_) => Some(
            "pull such links with --outside-links; a program that writes to one here changes the file of this computer",
        ),
        PullOutcome::Setuid(_) => Some("pull such files and bits with --setuid; look at what they are first"),
        PullOutcome::Written | PullOutcome::WrittenAsRoot | PullOutcome::LeftOut(_) => None,
    }
}

/// The machine and the paths: the first argument is the machine unless it has a slash, which no host name has.
fn split(own: &Pull) -> (Host, Vec<String>) {
    let Host { host, esp } = &own.host;
    let is_path = |text: &String| text.contains('/') && !text.starts_with("ssh://");
    let (host, first) = match host {
        Some(text) if is_path(text) => (None, Some(text.clone())),
        other => (other.clone(), None),
    };
    let paths = first.into_iter().chain(own.paths.iter().cloned()).collect();
    (Host { host, esp: esp.clone() }, paths)
}

/// Whether a changed path is the one that was named, or in that directory.
fn is_named(path: &str, named: &str) -> bool {
    is_within(path.as_bytes(), named.trim_matches('/').as_bytes())
}

fn ask(change: &FileChange) -> Result<bool> {
    prompt(format!("{} ({:?}): pull into root/? [y/N] ", change.path, change.became));
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn line(one: &Pulled, system: &System) -> String {
    let to = system.path("root").join(&one.path);
    match &one.outcome {
        PullOutcome::Written => format!("pulled   {}\n", to.display()),
        PullOutcome::WrittenAsRoot => {
            format!("pulled   {} (owned by root: change that in setup.sh)\n", to.display())
        }
        PullOutcome::Secret(what) => format!("refused  {}: it looks like {what}\n", one.path),
        PullOutcome::OutsideLink(target) => {
            format!("refused  {}: a link to {target}, which is outside root/ on this computer\n", one.path)
        }
        PullOutcome::Setuid(mode) => {
            format!("refused  {}: its mode {mode:04o} has the setuid or setgid bit\n", one.path)
        }
        PullOutcome::LeftOut(why) => format!("left out {}: {why}\n", one.path),
    }
}
