//! `hoopy pull`.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::process::ExitCode;

use hoopy_build::config::System;
use hoopy_inspect::diff::FileChange;
use hoopy_inspect::drift::{self, Allowed, DriftError, Outcome, Pulled};
use hoopy_store::layer::path::is_within;

use super::drift::{Comparison, changed};
use crate::args::{Global, Pull};
use crate::error::FAILED;
use crate::ui::{ask_for, put, put_json, tell};

pub fn run(global: &Global, own: &Pull) -> anyhow::Result<ExitCode> {
    let asks = own.paths.is_empty() && !own.all;
    if asks && !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        anyhow::bail!("which files? Name them, or say --all");
    }
    let mut comparison = Comparison::look(global, &own.machine, own.json)?;
    let Some(system) = comparison.system.take() else {
        anyhow::bail!("into which system? Name its directory with --system, or run this in it")
    };
    let found = comparison.drift(false)?;
    let mut wanted = Vec::new();
    for change in &found.files {
        if own.all || own.paths.iter().any(|path| is_named(&change.path, path)) || asks && ask(change)? {
            wanted.push(change);
        }
    }
    let untouched = |path: &&String| !found.files.iter().any(|change| is_named(&change.path, path));
    if let Some(path) = own.paths.iter().find(untouched) {
        return Err(DriftError::NotChanged { host: comparison.host, path: path.clone() }.into());
    }
    let contents: Vec<_> =
        changed(&found).into_iter().filter(|path| wanted.iter().any(|c| c.path.as_bytes() == path)).collect();
    comparison.fetch(&contents)?;
    let allowed = Allowed { secrets: own.secrets, outside_links: own.outside_links, setuid: own.setuid };
    let pulled = drift::pull(&system.dir, &wanted, &comparison.listing, allowed)?;
    if own.json {
        put_json(&pulled)?;
    } else {
        put(&pulled.iter().map(|one| line(one, &system)).collect::<String>())?;
    }
    let mut hints: Vec<&str> = pulled.iter().filter_map(|one| hint(&one.outcome)).collect();
    hints.sort_unstable();
    hints.dedup();
    hints.iter().for_each(|hint| tell(&format!("hint: {hint}")));
    Ok(if hints.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// How to take what was refused.
fn hint(outcome: &Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Secret(_) => Some(
            "--secrets takes what looks secret too; anybody who can read the repository can read it then",
        ),
        Outcome::OutsideLink(_) => Some(
            "--outside-links takes such links too; a program that writes to one here changes the file of this computer",
        ),
        Outcome::Setuid(_) => Some("--setuid takes such files and bits too; look at what they are first"),
        Outcome::Written | Outcome::WrittenAsRoot | Outcome::LeftOut(_) => None,
    }
}

/// Whether a changed path is the one that was named, or in that directory.
fn is_named(path: &str, named: &str) -> bool {
    is_within(path.as_bytes(), named.trim_matches('/').as_bytes())
}

fn ask(change: &FileChange) -> io::Result<bool> {
    ask_for(&format!("{} ({:?}) into root/? [y/N] ", change.path, change.became))?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn line(one: &Pulled, system: &System) -> String {
    let to = system.path("root").join(&one.path);
    match &one.outcome {
        Outcome::Written => format!("pulled   {}\n", to.display()),
        Outcome::WrittenAsRoot => format!("pulled   {} (root's: setup.sh can chown it)\n", to.display()),
        Outcome::Secret(what) => format!("refused  {}: it looks like {what}\n", one.path),
        Outcome::OutsideLink(target) => {
            format!("refused  {}: a link to {target}, which is outside root/ on this computer\n", one.path)
        }
        Outcome::Setuid(mode) => {
            format!("refused  {}: its mode {mode:04o} has the setuid or setgid bit\n", one.path)
        }
        Outcome::LeftOut(why) => format!("left out {}: {why}\n", one.path),
    }
}
