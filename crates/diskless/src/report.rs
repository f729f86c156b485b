//! The report of an import or export: what was taken, what was left out, and what to look at.
//!
//! git keeps it: addresses are in it without their logins.

use std::collections::BTreeSet;
use std::fmt;

use hoopy_base::address::without_logins;
use hoopy_base::terminal::harmless_line;
use serde::Serialize;

/// What came of an import.
#[derive(Debug, Clone, Default, Serialize)]
pub struct TransferReport {
    /// What was done, in one line.
    pub headline: String,
    /// What was taken: a subject, and how much of it.
    pub taken: Vec<Taken>,
    /// What is not: nothing twice.
    pub left: Vec<LeftOut>,
    #[serde(skip)]
    known: BTreeSet<LeftOut>,
    /// Secrets, and where they are.
    pub secrets: Vec<SecretFile>,
    /// What a person has to look at.
    pub look: Vec<String>,
}

/// Something that is in the directory.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Taken {
    /// What it is: `packages`, `root/`.
    pub what: String,
    /// How much, or which.
    pub detail: String,
}

/// Something that is not in the directory.
#[derive(Debug, Clone, Serialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// What it is: mostly a path.
    pub what: String,
    /// Why it was left out.
    pub why: String,
    /// What to do about it; empty where nothing is.
    pub action: String,
}

/// A secret.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct SecretFile {
    /// Its path on the machine.
    pub path: String,
    /// What it is.
    pub what: String,
    /// Where it is now; nothing where it was not taken.
    pub kept: Option<String>,
}

impl TransferReport {
    /// One with this first line.
    pub fn of(headline: String) -> Self {
        Self { headline: without_logins(&headline), ..Self::default() }
    }

    /// Says what was taken.
    pub fn took(&mut self, what: &str, detail: impl Into<String>) {
        self.taken.push(Taken { what: what.to_owned(), detail: without_logins(&detail.into()) });
    }

    /// Says what was left out.
    pub fn left(&mut self, what: impl Into<String>, why: &str, action: &str) {
        let left = LeftOut {
            what: without_logins(&what.into()),
            why: without_logins(why),
            action: action.to_owned(),
        };
        if self.known.insert(left.clone()) {
            self.left.push(left);
        }
    }

    /// Says what to look at.
    pub fn look(&mut self, text: impl Into<String>) {
        self.look.push(without_logins(&text.into()));
    }

    /// Says what `other` does, too.
    pub fn append(&mut self, other: Self) {
        self.taken.extend(other.taken);
        other.left.iter().for_each(|left| self.left(left.what.clone(), &left.why, &left.action));
        self.secrets.extend(other.secrets);
        self.look.extend(other.look);
    }

    /// The secrets that were not taken.
    pub fn refused_secrets(&self) -> impl Iterator<Item = &SecretFile> {
        self.secrets.iter().filter(|secret| secret.kept.is_none())
    }
}

/// Stands above secrets that were not taken.
const SECRETS_REFUSED: &str =
    "Secrets, not taken (--recipient KEY encrypts them; --plain-secrets puts them where git ignores them)";

impl fmt::Display for TransferReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", harmless_line(&self.headline))?;
        for Taken { what, detail } in &self.taken {
            writeln!(f, "  {}", harmless_line(&format!("{what}: {detail}")))?;
        }
        section(f, SECRETS_REFUSED, self.refused_secrets(), |secret| {
            format!("{}: {}", secret.path, secret.what)
        })?;
        let kept = self.secrets.iter().filter(|secret| secret.kept.is_some());
        section(f, "Secrets, taken", kept, |secret| {
            format!("{}: {}, now {}", secret.path, secret.what, secret.kept.as_deref().unwrap_or_default())
        })?;
        section(f, "Left out", self.left.iter(), |left| {
            let action = if left.action.is_empty() { String::new() } else { format!("; {}", left.action) };
            format!("{}: {}{action}", left.what, left.why)
        })?;
        section(f, "Look at", self.look.iter(), String::clone)
    }
}

fn section<T>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    items: impl Iterator<Item = T>,
    one: impl Fn(T) -> String,
) -> fmt::Result {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return Ok(());
    }
    writeln!(f, "\n{title}:")?;
    for item in items {
        // A path or the target of a link may hold a line end, and would write a line of its own.
        writeln!(f, "  - {}", harmless_line(&one(item)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_line_end_writes_no_line_of_its_own() {
        let mut report = TransferReport::of("Imported x into y".to_owned());
        report.took("lbu exclude", "a\n  packages: none");
        report.left("etc/x\n  - etc/y: it is fine", "it lies below a link", "");
        report.look("etc/link leads to \u{1b}[2J\n\nSecrets, taken:\n  - all");
        report.look("etc/fstab mounts //me:geheim@nas/x, https://me:geheim@host/x?key=geheim");
        let text = report.to_string();
        assert!(!text.contains("geheim"), "{text}");
        assert_eq!(text.lines().filter(|line| !line.is_empty()).count(), 7, "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
