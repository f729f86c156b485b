//! Causes as text: in one line (`packages asks for a; a-1.0-r0 needs b>=2; there is only b-1.0-r0`), or one step a line
//! with the place in `packages`.

use std::fmt::{self, Display, Formatter};

use super::{Ask, Asker, Cause, Problem, Unsatisfiable};
use crate::dependency::Dependency;

/// A longer list is cut: nobody reads it.
const MAX_LISTED: usize = 5;

impl Display for Asker {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::World => f.write_str("packages"),
            Self::Package(name, version) => write!(f, "{name}-{version}"),
        }
    }
}

impl Ask {
    /// What is asked for, after who asks.
    fn demand(&self) -> String {
        let verb = match (&self.by, self.dependency.conflict) {
            _ if self.triggers => "brings",
            (Asker::World, false) => "asks for",
            (Asker::Package(..), false) => "needs",
            (Asker::World, true) => "excludes",
            (Asker::Package(..), true) => "conflicts with",
        };
        let dependency = self.dependency.to_string();
        format!("{verb} {}", dependency.trim_start_matches('!'))
    }
}

impl Display for Ask {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.by, self.demand())
    }
}

impl Problem {
    /// What is in the way, without who put it there.
    fn bare(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadVersion => f.write_str("not a version: expected one like 1.2.3_rc1-r0"),
            Self::NoSuchName { similar, command_of } => {
                f.write_str("no repository has it")?;
                match (command_of.as_slice(), similar.as_slice()) {
                    ([], []) => Ok(()),
                    ([], [first, ..]) if first.starts_with("so:") => {
                        write!(f, " (there is {})", list(similar, "and"))
                    }
                    ([], similar) => write!(f, " (did you mean {}?)", list(similar, "or")),
                    (packages, _) => write!(f, ", but {} has a command of that name", list(packages, "or")),
                }
            }
            Self::NoSuchVersion { available } => write!(f, "there is only {}", list(available, "and")),
            Self::ChooseOne { providers } => match providers.as_slice() {
                [only] => write!(f, "name the package that provides it: {only}"),
                providers => write!(f, "name the package to provide it: {}", list(providers, "or")),
            },
            Self::Excluded { package, .. } => write!(f, "{package} is excluded"),
            Self::SameName { name, package, other, .. } => {
                write!(f, "{package} and {other} cannot both provide {name}")
            }
            Self::OnlyTagged { package, tags } => {
                write!(f, "{package} is only in a tagged repository, pin it with @{}", list(tags, "or @"))
            }
            Self::NoSuchTag { tags } => match tags.as_slice() {
                [] => f.write_str("no repository has a tag"),
                tags => write!(f, "no repository has that tag, there is only {}", list(tags, "and")),
            },
            Self::WrongArchitecture { package, arch } => write!(f, "{package} is built for {arch}"),
            Self::UnknownField { package, field } => {
                write!(f, "{package} has the field `{field}:` in its index, which this hoopy does not know")
            }
            Self::MisplacedTag { package, dependency } => {
                write!(f, "{package} pins {dependency}, which only `packages` may do")
            }
            Self::ProvidedTwice { name, package } => write!(f, "{package} provides {name} more than once"),
            Self::NotFound { package } => write!(f, "{package} does not fit with the rest"),
        }
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.bare(f)?;
        match self.by() {
            [] => Ok(()),
            by => write!(f, ": {}", Chain(by)),
        }
    }
}

/// A problem without who put it there.
struct Bare<'p>(&'p Problem);

impl Display for Bare<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.bare(f)
    }
}

impl Cause {
    /// The cause with one step a line; `place` says where in `packages` a demand of the world stands.
    ///
    /// ```text
    /// packages:1 asks for a
    ///   a-1.0-r0 needs b>=2
    ///   b-2.0-r0 is excluded:
    ///     packages:2 excludes b
    /// ```
    pub fn lines(&self, place: &dyn Fn(&Dependency) -> String) -> Vec<String> {
        let mut lines = Vec::new();
        push_chain(&mut lines, &self.chain, "", place);
        let by = self.problem.by();
        let colon = if by.is_empty() { "" } else { ":" };
        lines.push(match &self.problem {
            // The chain ends with what must not be there, and `by` is what brings it.
            Problem::Excluded { package, .. } if self.ends_with_conflict() => {
                format!("  but {package} is there{colon}")
            }
            problem => format!("  {}{colon}", Bare(problem)),
        });
        push_chain(&mut lines, by, "    ", place);
        lines
    }
}

impl Cause {
    fn ends_with_conflict(&self) -> bool {
        self.chain.last().is_some_and(|ask| ask.dependency.conflict)
    }
}

fn push_chain(lines: &mut Vec<String>, chain: &[Ask], margin: &str, place: &dyn Fn(&Dependency) -> String) {
    for (n, ask) in chain.iter().enumerate() {
        let who = match &ask.by {
            Asker::World => place(&ask.dependency),
            package @ Asker::Package(..) => package.to_string(),
        };
        let step = if n == 0 { "" } else { "  " };
        let how = if ask.triggers { " by its install_if" } else { "" };
        lines.push(format!("{margin}{step}{who} {}{how}", ask.demand()));
    }
}

struct Chain<'c>(&'c [Ask]);

impl Display for Chain<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, ask) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { "; " };
            write!(f, "{separator}{ask}")?;
        }
        Ok(())
    }
}

impl Display for Cause {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", Chain(&self.chain), self.problem)
    }
}

impl Display for Unsatisfiable {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, cause) in self.causes.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{cause}")?;
        }
        Ok(())
    }
}

/// `a, b and c`.
fn list(items: &[Box<str>], last: &str) -> String {
    let (shown, cut) = match items.get(..MAX_LISTED) {
        Some(shown) if items.len() > MAX_LISTED => (shown, items.len() - MAX_LISTED),
        _ => (items, 0),
    };
    let glue = if last.ends_with('@') { format!(" {last}") } else { format!(" {last} ") };
    match (shown, cut) {
        (shown, 1..) => format!("{}{glue}{cut} more", shown.join(", ")),
        ([], 0) => String::new(),
        ([one], 0) => one.to_string(),
        ([init @ .., end], 0) => format!("{}{glue}{end}", init.join(", ")),
    }
}
