//! Causes as text for a terminal: `packages asks for a; a-1.0-r0 needs b>=2; there is only b-1.0-r0`.

use std::fmt::{self, Display, Formatter};

use super::{Ask, Asker, Cause, Problem, Unsatisfiable};

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

impl Display for Ask {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let verb = match (&self.by, self.dependency.conflict) {
            _ if self.triggers => "brings",
            (Asker::World, false) => "asks for",
            (Asker::Package(..), false) => "needs",
            (Asker::World, true) => "excludes",
            (Asker::Package(..), true) => "conflicts with",
        };
        let dependency = self.dependency.to_string();
        write!(f, "{} {verb} {}", self.by, dependency.trim_start_matches('!'))
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadVersion => f.write_str("that is no version, expected one like 1.2.3_rc1-r0"),
            Self::NoSuchName { similar } => {
                f.write_str("no repository has it")?;
                match similar.as_slice() {
                    [] => Ok(()),
                    similar => write!(f, " (did you mean {}?)", list(similar, "or")),
                }
            }
            Self::NoSuchVersion { available } => write!(f, "there is only {}", list(available, "and")),
            Self::ChooseOne { providers } => match providers.as_slice() {
                [only] => write!(f, "name the package that provides it: {only}"),
                providers => write!(f, "name the package to provide it: {}", list(providers, "or")),
            },
            Self::Excluded { package, by } => {
                write!(f, "{package} is excluded: {}", Chain(by))
            }
            Self::SameName { name, package, other, by } => {
                write!(f, "{package} and {other} cannot both provide {name}")?;
                match by.as_slice() {
                    [] => Ok(()),
                    by => write!(f, ": {}", Chain(by)),
                }
            }
            Self::OnlyTagged { package, tags } => {
                write!(f, "{package} is only in a tagged repository, pin it with @{}", list(tags, "or @"))
            }
            Self::NoSuchTag { tags } => match tags.as_slice() {
                [] => f.write_str("no repository has a tag"),
                tags => write!(f, "no repository has that tag, there is only {}", list(tags, "and")),
            },
            Self::WrongArchitecture { package, arch } => write!(f, "{package} is built for {arch}"),
            Self::NotFound { package } => write!(f, "{package} does not fit with the rest"),
        }
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
