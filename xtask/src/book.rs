//! `cargo xtask book`: the documentation as a book (mdBook), in `target/book`. Its chapters are in `docs/SUMMARY.md`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::chores;
use crate::tools::{self, tool};

/// Writes the book; an error where a file of `docs/` is no chapter of it.
pub fn run() -> anyhow::Result<()> {
    tools::install()?;
    complete()?;
    let to = chores::target().join("book");
    let mut build = tool("mdbook");
    build.env("RUST_LOG", "warn").arg("build").arg("--dest-dir").arg(&to);
    chores::command(&mut build)?;
    println!("book: {}", to.join("index.html").display());
    Ok(())
}

/// mdBook leaves out what SUMMARY.md does not name, and says nothing.
fn complete() -> anyhow::Result<()> {
    let docs = chores::root().join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).context("read docs/SUMMARY.md")?;
    let is_chapter = |name: &str| name == "SUMMARY.md" || summary.contains(&format!("]({name})"));
    let entries = fs::read_dir(&docs).context("read docs")?.flatten().map(|entry| entry.file_name());
    let names = entries.filter_map(|name| name.into_string().ok());
    let pages = names.filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "md"));
    let missing: Vec<String> = pages.filter(|name| !is_chapter(name)).collect();
    if missing.is_empty() { Ok(()) } else { bail!("docs/SUMMARY.md does not name {}", missing.join(", ")) }
}
