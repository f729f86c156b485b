//! Reading the command line, and what to type instead of one that does not fit.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::Path;

use clap::Parser as _;
use clap::error::ErrorKind;
use hoopy_base::shell::word;

use super::Args;
use crate::error::{Exit, Result};
use crate::output;

/// Commands whose arguments are not a system directory: that is what `-C` is for.
const OTHER_SUBJECTS: [&str; 14] = [
    "add", "deploy", "diff", "drift", "flash", "info", "logs", "pull", "remove", "rollback", "search",
    "status", "update", "why",
];

/// Options of other names, and what they are called here.
const RENAMED: [(&str, &str); 2] = [("--anyway", "--force"), ("--system", "-C DIR, before the command")];

/// The parsed command line; or the exit code, where help was printed or an error.
pub fn parse(line: &[OsString]) -> std::result::Result<Args, Exit> {
    Args::try_parse_from(line).map_err(|error| {
        let text = error.render();
        if error.use_stderr() {
            let colours = std::io::stderr().is_terminal() && output::may_colour();
            let text = if colours { text.ansi().to_string() } else { text.to_string() };
            output::prompt_painted(&text);
            if error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
                correction(line).iter().for_each(|hint| output::note(format!("hint: {hint}")));
            }
            return Exit::Usage;
        }
        let text = if output::wants_colours() { text.ansi().to_string() } else { text.to_string() };
        printed(output::print_painted(&text))
    })
}

fn printed(result: Result<()>) -> Exit {
    result.map_or_else(|e| output::report(&e), |()| Exit::Success)
}

/// What was probably meant, where a system directory was given to a command that takes something else, or an option
/// has another name.
pub fn correction(line: &[OsString]) -> Option<String> {
    let words: Vec<&str> = line.iter().skip(1).filter_map(|word| word.to_str()).collect();
    let renamed = |(old, new): &(&str, &str)| {
        let is_it =
            |word: &&str| word.strip_prefix(old).is_some_and(|rest| rest.is_empty() || rest.starts_with('='));
        words.iter().any(is_it).then(|| format!("instead of {old}, write {new}"))
    };
    RENAMED.iter().find_map(renamed).or_else(|| directory(&words)).or_else(|| names_of_tests(&words))
}

/// `hoopy update nas` is `hoopy -C nas update`.
fn directory(words: &[&str]) -> Option<String> {
    let at = words.iter().position(|word| OTHER_SUBJECTS.contains(word))?;
    let elsewhere = |word: &&str| word.starts_with("-C") || word.starts_with("--directory");
    if words.iter().any(elsewhere) || is_system(".") {
        return None;
    }
    let dir = at + 1 + words.get(at + 1..)?.iter().position(|word| is_system(word))?;
    let rest = words.iter().enumerate().filter(|(place, _)| *place != dir).map(|(_, text)| word(text));
    let command = rest.collect::<Vec<_>>().join(" ");
    Some(format!("name the system directory with -C: hoopy -C {} {command}", word(words.get(dir)?)))
}

/// `hoopy test nas web` is `hoopy test nas --only web`.
fn names_of_tests(words: &[&str]) -> Option<String> {
    let rest = words.strip_prefix(&["test"])?;
    let mut names = rest.iter().take_while(|word| !word.starts_with('-')).filter(|word| !is_system(word));
    let name = names.next().filter(|name| !Path::new(name).is_dir())?;
    Some(format!("choose tests by name with --only: hoopy test [DIR] --only {}", word(name)))
}

fn is_system(dir: &str) -> bool {
    Path::new(dir).join("packages").is_file()
}
