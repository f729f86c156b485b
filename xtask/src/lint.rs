//! `cargo xtask lint`: format, compiler warnings, documentation, spelling, links, workflows, licenses.

use std::process::Command;

use crate::tools::{self, tool};
use crate::{book, chores, links};

/// Runs every linter; the first that finds something ends it.
pub fn run() -> anyhow::Result<()> {
    tools::install()?;
    chores::run("cargo", &["fmt", "--check"])?;
    links::check()?;
    // typos.toml says what is spelled as it is on purpose.
    chores::command(&mut tool("typos"))?;
    workflows()?;
    // deny.toml says which licences and sources are allowed. Advisories need a database from the network: the
    // workflow `advisories` looks at them.
    chores::command(
        tool("cargo-deny").args(["--log-level", "error", "check"]).args(["licenses", "bans", "sources"]),
    )?;
    chores::run("cargo", &["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    documentation()?;
    book::run()
}

/// Known vulnerabilities of dependencies. Their database is fetched, so this is no part of the tests.
pub fn advisories() -> anyhow::Result<()> {
    tools::install()?;
    deny(&["advisories"])
}

fn deny(what: &[&str]) -> anyhow::Result<()> {
    chores::command(tool("cargo-deny").args(["--log-level", "error", "check"]).args(what))
}

/// `.github/`: that it says what it should, and is safe to run.
fn workflows() -> anyhow::Result<()> {
    // Without shellcheck, which some have and others do not: the answer is to be the same everywhere.
    chores::command(tool("actionlint").args(["-shellcheck", "", "-pyflakes", ""]))?;
    chores::command(tool("zizmor").args(["--offline", "--quiet", "--no-progress", ".github", "action.yml"]))
}

/// What `cargo doc` finds: links that lead nowhere, mostly.
fn documentation() -> anyhow::Result<()> {
    let mut doc = Command::new("cargo");
    doc.args(["doc", "--quiet", "--no-deps", "--workspace"]).current_dir(chores::root());
    chores::command(doc.env("RUSTDOCFLAGS", "-D warnings"))
}
