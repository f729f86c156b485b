//! Every `hoopy ...` in the documentation is a command line that hoopy understands.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap::error::{ContextKind, ErrorKind};

use super::Args;

/// History names commands as they were; and the gallery of errors has wrong ones, which `tests/cli/errors.rs` runs.
const EXCEPT: [&str; 2] = ["CHANGELOG.md", "docs/errors.md"];

/// A command line, and where it is written.
struct Found {
    place: String,
    line: String,
    /// In a block of code, so that it is whole; within a sentence, `hoopy lock` may stand for `hoopy lock DIR`.
    whole: bool,
}

#[test]
fn every_command_line_of_the_documentation_parses() {
    let root = hoopy_testkit::repository();
    let all: Vec<Found> = pages(&root).iter().flat_map(|page| command_lines(page)).collect();
    assert!(all.len() > 50, "only {} command lines were found", all.len());
    let wrong: Vec<String> = all.iter().filter_map(|found| Some((found, fault(found)?))).map(show).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn show((found, why): (&Found, String)) -> String {
    format!("{}: {}\n    {why}", found.place, found.line)
}

/// The Markdown files at the root, in `docs/` and beside the examples.
fn pages(root: &Path) -> Vec<PathBuf> {
    let examples = fs::read_dir(root.join("examples")).unwrap().map(|e| e.unwrap().path());
    let directories = [root.to_owned(), root.join("docs")].into_iter().chain(examples);
    let files = directories.flat_map(|directory| fs::read_dir(directory).unwrap()).map(|e| e.unwrap().path());
    files
        .filter(|file| {
            file.extension().is_some_and(|e| e == "md") && !EXCEPT.iter().any(|page| file.ends_with(page))
        })
        .collect()
}

fn command_lines(page: &Path) -> Vec<Found> {
    let text = fs::read_to_string(page).unwrap();
    let mut found = Vec::new();
    let mut fenced = false;
    for (number, line) in text.lines().enumerate() {
        let place = format!("{}:{}", page.display(), number + 1);
        let trimmed = line.trim_start();
        if trimmed.starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            let typed = trimmed.trim_start_matches("$ ");
            // Usage lines of help name options as `[OPTIONS]`, and are made by clap itself.
            found.extend(split(typed).filter(|_| !typed.contains("[OPTIONS]")).map(|line| Found {
                place: place.clone(),
                line,
                whole: true,
            }));
        } else {
            let code = line.split('`').skip(1).step_by(2);
            found.extend(code.flat_map(split).map(|line| Found { place: place.clone(), line, whole: false }));
        }
    }
    found
}

/// The calls of hoopy in a line of shell: `hoopy build nas && hoopy run nas   # why`.
fn split(line: &str) -> impl Iterator<Item = String> {
    let code = line.split(" #").next().unwrap_or_default();
    let code = code.split(" < ").next().unwrap_or_default();
    let parts = code.split("&&").flat_map(|part| part.split(['|', ';', '>']));
    parts.map(|part| part.trim().to_owned()).filter(|part| part.starts_with("hoopy "))
}

/// What is wrong with a command line.
fn fault(found: &Found) -> Option<String> {
    // What is left open in running text: `hoopy test ...`, `hoopy build [DIR]`, `hoopy COMMAND --help`.
    let Some(words) = shlex::split(&found.line) else { return Some("a quote without its end".to_owned()) };
    let words = words.iter().filter(|word| *word != "...");
    let words: Vec<&str> = words.map(|word| word.trim_matches(['[', ']'])).collect();
    // `hoopy deploy: ...` is what a command printed.
    if words.get(1).is_some_and(|word| *word == "COMMAND" || word.ends_with(':')) {
        return None;
    }
    let error = Args::command().try_get_matches_from(words).err()?;
    let unfinished = match error.kind() {
        ErrorKind::MissingRequiredArgument | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => true,
        // An option without its value
        ErrorKind::InvalidValue => {
            error.get(ContextKind::InvalidValue).is_none_or(|value| value.to_string().is_empty())
        }
        _ => false,
    };
    let fine = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let first = error.to_string().lines().next().unwrap_or_default().to_owned();
    (!fine && (found.whole || !unfinished)).then_some(first)
}
