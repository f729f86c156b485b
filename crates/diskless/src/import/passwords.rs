//! Hashes of passwords. They are no files that packages do not know: the lines of one.
//!
//! An account without a password is locked, whatever becomes of secrets: on the machine it was open to whoever stood at
//! its console, and an image may run anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use super::accounts::is_name;
use super::draft::{Part, SystemDraft};
use super::error::ImportError;
use super::secrets::{Policy, Secret};
use crate::overlay::Overlay;
use crate::report::{SecretFile, TransferReport};

/// Where hashes of passwords are.
pub const SHADOW: &str = "etc/shadow";

/// The fields of a line of shadow(5).
const FIELDS: usize = 9;

/// What passwd(5) and shadow(5) say of passwords.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Passwords {
    /// Hashes by account.
    hashes: BTreeMap<String, String>,
    /// Who needs no password.
    empty: BTreeSet<String>,
}

/// Takes the hashes of the accounts that the image has: `is_known` tells which.
///
/// # Errors
/// What reading the source or keeping a secret fails with.
pub fn take(
    overlay: &Overlay,
    is_known: &dyn Fn(&str) -> bool,
    policy: &mut Policy<'_>,
    dir: &Path,
    draft: &mut SystemDraft,
    report: &mut TransferReport,
) -> Result<(), ImportError> {
    let shadow = overlay.text(SHADOW)?;
    let mut found = read(&shadow, &overlay.text("etc/passwd")?);
    found.empty.retain(|name| is_known(name));
    for name in &found.empty {
        report.look(format!(
            "{name} had no password: in the image it is locked; set one in setup.sh, or use ssh keys"
        ));
    }
    let unknown: Vec<String> = found.hashes.keys().filter(|name| !is_known(name)).cloned().collect();
    found.hashes.retain(|name, _| is_known(name));
    if !unknown.is_empty() {
        let what = format!("the passwords of {}", unknown.join(", "));
        report.left(what, "etc/shadow has them, and no account has the name", "");
    }
    if found.hashes.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = found.hashes.keys().map(String::as_str).collect();
    let what = format!("the hashes of passwords of {}", names.join(", "));
    let kept = match policy {
        Policy::Refuse => None,
        Policy::Plain => {
            draft.passwords = found.hashes.iter().map(|(name, hash)| format!("{name}:{hash}")).collect();
            draft.line(Part::Passwords, "[ ! -f passwords ] || chpasswd -e <passwords");
            Some("passwords, which git ignores".to_owned())
        }
        Policy::Keep(keeper) => {
            let text = found.shadow(&shadow, is_known);
            let secret = Secret { path: SHADOW, what: &what, mode: 0o640, content: text.as_bytes() };
            let kept = keeper.keep(dir, &secret)?;
            draft.secrets.insert(SHADOW.to_owned(), (0o640, "root:shadow".to_owned()));
            Some(kept)
        }
    };
    report.secrets.push(SecretFile { path: SHADOW.to_owned(), what, kept });
    Ok(())
}

/// Reads both. A password field of passwd(5) that is not `x` counts in place of that of shadow(5), as it does for libc; of
/// two lines with one name, the first counts.
fn read(shadow: &str, passwd: &str) -> Passwords {
    let mut fields: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, field) in lines(shadow) {
        fields.entry(name).or_insert(field);
    }
    let mut seen = BTreeSet::new();
    for (name, field) in lines(passwd) {
        if seen.insert(name) && field != "x" {
            fields.insert(name, field);
        }
    }
    let mut found = Passwords::default();
    for (name, field) in fields {
        if field.is_empty() {
            found.empty.insert(name.to_owned());
        } else if is_hash(field) {
            found.hashes.insert(name.to_owned(), field.to_owned());
        }
    }
    found
}

/// Names and password fields.
fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, field) = (fields.next()?, fields.next()?);
        is_name(name).then_some((name, field))
    })
}

/// Whether it is more than a lock.
fn is_hash(field: &str) -> bool {
    !field.is_empty() && field != "x" && !field.starts_with(['!', '*'])
}

impl Passwords {
    /// `text` of shadow(5) with these hashes: whoever has none is locked, and what is no account is left out.
    fn shadow(&self, text: &str, is_known: &dyn Fn(&str) -> bool) -> String {
        let mut seen = BTreeSet::new();
        let mut shadow = String::new();
        for line in text.lines() {
            let mut fields: Vec<&str> = line.split(':').collect();
            let &[name, field, ..] = fields.as_slice() else { continue };
            if !is_name(name) || !is_known(name) || !seen.insert(name) {
                continue;
            }
            let own = self.hashes.get(name).map(String::as_str);
            let locked = if is_hash(field) || field.is_empty() || field == "x" { "!" } else { field };
            if let Some(place) = fields.get_mut(1) {
                *place = own.unwrap_or(locked);
            }
            fields.resize(FIELDS, "");
            let _ = writeln!(shadow, "{}", fields.join(":"));
        }
        for (name, hash) in self.hashes.iter().filter(|(name, _)| !seen.contains(name.as_str())) {
            let _ = writeln!(shadow, "{name}:{hash}:::::::");
        }
        shadow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked_accounts_have_no_password_and_others_a_hash() {
        let found = read("root:$6$a$b:1::::::\nme:!:1::::::\nx::1::::::\n", "root:x:0:0::/:\n");
        assert_eq!(found.hashes.into_iter().collect::<Vec<_>>(), [("root".to_owned(), "$6$a$b".to_owned())]);
        assert_eq!(found.empty.into_iter().collect::<Vec<_>>(), ["x"]);
    }

    #[test]
    fn passwd_counts_before_shadow_and_the_first_line_before_another() {
        let found = read(
            "a::1::::::\na:$6$a$b:1::::::\nb:!:1::::::\nc:$6$c$d:::::::\n",
            "b:$6$x$y:1:1::/:\nc::2:2::/:\n",
        );
        assert_eq!(found.hashes.into_iter().collect::<Vec<_>>(), [("b".to_owned(), "$6$x$y".to_owned())]);
        assert_eq!(found.empty.into_iter().collect::<Vec<_>>(), ["a", "c"]);
    }

    #[test]
    fn the_whole_file_opens_no_account_that_has_no_password() {
        let shadow = "root::20000:0:::::\nme:$6$a$b:1:0:99999:7:::\nme::1::::::\ngone:$6$c$d:1::::::\nftp:!::0:::::\nshort:\n";
        let passwd = "root:x:0:0::/:\nme:x:1:1::/:\nold:$6$e$f:2:2::/:\nopen::3:3::/:\n";
        let mut found = read(shadow, passwd);
        found.hashes.retain(|name, _| name != "gone");
        let text = found.shadow(shadow, &|name| name != "gone");
        let expected = "root:!:20000:0:::::\nme:$6$a$b:1:0:99999:7:::\nftp:!::0:::::\nshort:!:::::::\nold:$6$e$f:::::::\n";
        assert_eq!(text, expected);
    }
}
