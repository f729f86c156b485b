//! Accounts whose login shell is not in the image: they cannot log in, neither at the console nor over ssh.
//!
//! Accounts of packages are passed over, since nobody logs in with them; and so is `/bin/sh`, which every image has, and which
//! an empty field means (passwd(5)).

use super::finding::{Finding, Severity};
use super::view::{View, lines};

/// The table of accounts.
const PASSWD: &str = "etc/passwd";

/// The first of the numbers that people have (adduser of BusyBox).
const FIRST: u32 = 1000;

/// Shells of those who are not to log in.
const NO_SHELLS: [&str; 2] = ["nologin", "false"];

/// Accounts of people in the user's own table, or in that of `setup.sh`, whose shell is not there.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    let (Some(own), Some(image)) = (view.own(PASSWD).filter(|own| own.is_file()), &view.image) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for (number, line) in lines(&own.text) {
        let Some((name, shell)) = login(&line) else { continue };
        let relative = shell.trim_start_matches('/');
        if image.has(relative) || view.own(relative).is_some() || view.setup_may_touch(shell) {
            continue;
        }
        let message = format!("no login for {name}: its shell {shell} is not in the image");
        let fix = "add the package that has it to `packages`, or give the account another shell".to_owned();
        findings.push(own.finding(Severity::Error, Some(number), &message, fix));
    }
    findings
}

/// Whether an account with this shell is meant to log in.
pub fn is_for_logins(shell: &str) -> bool {
    !NO_SHELLS.contains(&shell.rsplit('/').next().unwrap_or_default())
}

/// Name and shell of a line, where it is that of a person or of root with a shell of its own.
fn login(line: &str) -> Option<(&str, &str)> {
    let fields: Vec<&str> = line.split(':').collect();
    let &[name, _, id, .., shell] = fields.as_slice() else { return None };
    let id: u32 = id.parse().ok()?;
    let is_own = shell.starts_with('/') && shell != "/bin/sh" && is_for_logins(shell);
    (fields.len() == 7 && is_own && (id == 0 || id >= FIRST)).then_some((name, shell))
}
