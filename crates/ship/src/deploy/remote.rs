//! The scripts that go to the machine (`remote/`), and the words in which each ends: `done`, or `error KIND WORDS`.

use std::io::{self, Write};

use hoopy_base::shell::quoted;
use hoopy_base::terminal::harmless_line;
use hoopy_boot::pair::SHELL;
use hoopy_boot::shell::MACHINE;

use super::error::DeployError;

const LIB: &str = include_str!("remote/lib.sh");

/// How a machine goes down: before the script that wants it, and as it is, since a text in it begins with `#`.
const SHUTDOWN: &str = include_str!("remote/shutdown.sh");

/// The script `main` with what all have in common before it, and these variables.
pub fn script(variables: &[(&str, &str)], main: &str) -> String {
    let set: String = variables.iter().map(|(name, value)| format!("{name}={}\n", quoted(value))).collect();
    format!("{set}{}{}{main}", without_comments(MACHINE), without_comments(LIB))
}

/// The same for a partition with two directories: with boot's half of that before it.
pub fn pair_script(variables: &[(&str, &str)], main: &str) -> String {
    script(variables, &format!("{}{main}", without_comments(SHELL)))
}

/// A script at whose end the machine goes down.
pub fn then_down(main: &str) -> String {
    format!("{SHUTDOWN}{main}")
}

/// Without comments: each script of a deploy is sent anew. Neither library has a line in a text that begins with `#`, nor
/// have the longest scripts, whose comments are not sent either.
pub fn without_comments(library: &str) -> String {
    let is_code = |line: &&str| !line.trim_start().is_empty() && !line.trim_start().starts_with('#');
    library.lines().filter(is_code).map(|line| format!("{}\n", line.trim_start_matches('\t'))).collect()
}

/// No input but the script.
pub fn nothing(_: &mut dyn Write) -> io::Result<()> {
    Ok(())
}

/// What is wrong on `host`, where this line says so.
pub fn refusal(host: &str, line: &str) -> Option<DeployError> {
    line.strip_prefix("error ").map(|rest| refused(host, rest))
}

/// What is wrong on `host`, by what follows `error`.
pub fn refused(host: &str, rest: &str) -> DeployError {
    let (kind, words) = rest.trim_end().split_once(' ').unwrap_or((rest.trim_end(), ""));
    DeployError::of(host, kind, &harmless_line(words))
}

/// Whether a script came to its end. What said neither was `cut` off.
///
/// # Errors
/// [`refusal`], or `cut`.
pub fn verdict(host: &str, said: &str, cut: impl FnOnce() -> DeployError) -> Result<(), DeployError> {
    for line in said.lines() {
        if line == "done" {
            return Ok(());
        }
        if let Some(refusal) = refusal(host, line) {
            return Err(refusal);
        }
    }
    Err(cut())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_first_of_the_last_words_counts() {
        let said = |said: &str| verdict("nas", said, || DeployError::Short("nas".to_owned()));
        said("Welcome!\ndone\nerror user joe\n").unwrap();
        assert!(matches!(said("error busy \ndone\n"), Err(DeployError::Busy(_))));
        assert!(matches!(said("error busy\r\n"), Err(DeployError::Busy(_))));
        assert!(matches!(said("Welcome!\n"), Err(DeployError::Short(_))));
    }

    #[test]
    fn another_machine_s_words_do_nothing_to_a_terminal() {
        let said = refusal("nas", "error user \u{1b}[2Jjoe").unwrap().to_string();
        assert!(said.contains("joe") && !said.contains('\u{1b}'), "{said}");
    }
}
