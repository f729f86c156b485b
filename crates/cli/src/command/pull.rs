//! `hoopy pull`.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use hoopy_build::config::System;
use hoopy_inspect::diff::FileChange;
use hoopy_inspect::drift::{self, DriftError, Outcome, Pulled};
use hoopy_store::layer::path::is_within;

use super::drift::{Comparison, changed};
use crate::args::{Global, Pull};
use crate::error::FAILED;
use crate::ui::{harmless, put, put_json};

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
    let pulled = drift::pull(&system.dir, &wanted, &comparison.listing, own.secrets)?;
    if own.json {
        put_json(&pulled)?;
    } else {
        put(&pulled.iter().map(|one| line(one, &system)).collect::<String>())?;
    }
    let refused = pulled.iter().any(|one| matches!(one.outcome, Outcome::Secret(_)));
    if refused {
        eprintln!(
            "hint: --secrets takes what looks secret too; anybody who can read the repository can read it then"
        );
    }
    Ok(if refused { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

/// Whether a changed path is the one that was named, or in that directory.
fn is_named(path: &str, named: &str) -> bool {
    is_within(path.as_bytes(), named.trim_matches('/').as_bytes())
}

fn ask(change: &FileChange) -> io::Result<bool> {
    eprint!("{} ({:?}) into root/? [y/N] ", harmless(&change.path), change.became);
    io::stderr().flush()?;
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
        Outcome::LeftOut(why) => format!("left out {}: {why}\n", one.path),
    }
}
