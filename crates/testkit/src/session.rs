//! What is typed on a machine's console and what must come of it, as a text that reads like the console:
//!
//! ```text
//! arch x86_64 aarch64        the architectures to try it on; x86_64 where there is no such line
//! system examples/hello      a directory of the repository, instead of `system/` beside the session
//! login root secret          boots the machine and logs in; without a password where none is asked for
//! $ echo one; echo two
//! one
//! two
//! said [..](TCG)[..]       a line that `hoopy run` said beside the console
//! off                        powers off: the next `login` boots again, with the same disks
//! ```
//!
//! In what is expected, `[..]` stands for any text in a line and a line `...` for any lines. A command that fails
//! ends with a line `? 1`, its exit status. Lines that start with `#`, and empty ones, say nothing.

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Boots and logs in.
    Login {
        /// Who.
        user: String,
        /// With what, where it is asked for.
        password: Option<String>,
    },
    /// Runs a command.
    Run {
        /// Where it is in the text, counted from 1.
        line: usize,
        /// What is typed.
        command: String,
        /// What comes of it.
        expected: Vec<String>,
    },
    /// What started the machine has said such a line.
    Said(String),
    /// Powers off.
    Off,
}

/// A session.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// The architectures to try it on.
    pub arches: Vec<String>,
    /// The system's directory in the repository, if it is not `system/` beside the session.
    pub system: Option<String>,
    /// What is done.
    pub steps: Vec<Step>,
}

impl Session {
    /// Reads a session.
    ///
    /// # Errors
    /// What is wrong, with its line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut session = Self::default();
        for (n, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let step = match (word, session.steps.last_mut()) {
                ("$", _) => Step::Run { line: n + 1, command: rest.to_owned(), expected: Vec::new() },
                ("off", _) if rest.is_empty() => Step::Off,
                ("said", _) => Step::Said(rest.to_owned()),
                ("login", _) => {
                    let (user, password) = rest.split_once(' ').unwrap_or((rest, ""));
                    let password = Some(password.to_owned()).filter(|p| !p.is_empty());
                    Step::Login { user: user.to_owned(), password }
                }
                (_, Some(Step::Run { expected, .. })) => {
                    expected.push(line.to_owned());
                    continue;
                }
                ("arch", None) => {
                    session.arches = rest.split_whitespace().map(str::to_owned).collect();
                    continue;
                }
                ("system", None) => {
                    session.system = Some(rest.to_owned());
                    continue;
                }
                _ => return Err(format!("line {}: nothing that a session can hold: {line}", n + 1)),
            };
            session.steps.push(step);
        }
        if session.arches.is_empty() {
            session.arches = vec!["x86_64".to_owned()];
        }
        Ok(session)
    }
}

/// Whether these lines are what is expected.
pub fn matches(expected: &[String], found: &[&str]) -> bool {
    match expected.split_first() {
        None => found.is_empty(),
        Some((first, rest)) if first == "..." => (0..=found.len()).any(|n| matches(rest, &found[n..])),
        Some((first, rest)) => {
            found.split_first().is_some_and(|(line, others)| fits(first, line) && matches(rest, others))
        }
    }
}

/// Whether a line is what is expected. Each `[..]` is as short as can be.
pub fn fits(expected: &str, line: &str) -> bool {
    let mut parts = expected.split("[..]");
    let Some(mut rest) = parts.next().and_then(|start| line.strip_prefix(start)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(end) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(end)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn reads_what_is_typed_and_what_is_expected() {
        let text = "# hm\narch aarch64\nlogin root pw\nsaid TCG\n$ echo a\na\n\noff\n";
        let session = Session::parse(text).unwrap();
        assert_eq!(session.arches, ["aarch64"]);
        let run = Step::Run { line: 5, command: "echo a".to_owned(), expected: vec!["a".to_owned()] };
        let login = Step::Login { user: "root".to_owned(), password: Some("pw".to_owned()) };
        assert_eq!(session.steps, [login, Step::Said("TCG".to_owned()), run, Step::Off]);
        assert!(Session::parse("hello\n").unwrap_err().starts_with("line 1: "));
    }

    #[test]
    fn wildcards_stand_for_any_text_and_any_lines() {
        let expect = |expected: &[&str], found: &[&str]| {
            matches(&expected.iter().map(|&l| l.to_owned()).collect::<Vec<_>>(), found)
        };
        assert!(expect(&["...", "b [..]c", "..."], &["a", "b  xc", "d"]));
        assert!(expect(&["...", "b", "..."], &["b"]));
        assert!(expect(&[], &[]) && !expect(&[], &["a"]) && !expect(&["a"], &[]));
        assert!(!expect(&["a[..]b"], &["a b c"]));
        assert!(expect(&["a[..]b[..]"], &["a b c"]));
        assert!(!expect(&["ab"], &["abc"]));
    }
}
