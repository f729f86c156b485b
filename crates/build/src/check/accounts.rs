//! A `passwd` or `group` of the user's own in place of the packages': the accounts that those made are gone, and with them
//! the services that run as them.

use super::CheckError;
use super::finding::{Finding, Severity};
use super::view::{View, lines};

/// The files with accounts.
const FILES: [(&str, &str); 2] = [("etc/passwd", "users"), ("etc/group", "groups")];

/// Accounts of packages that the user's own files do not have.
pub fn check(view: &View<'_>) -> Result<Vec<Finding>, CheckError> {
    let mut findings = Vec::new();
    for (file, what) in FILES {
        let Some(own) = view.own(file).filter(|own| own.is_file()) else { continue };
        let Some(before) = view.replaced(file)? else { continue };
        let has = names(&own.text);
        let dropped: Vec<String> = names(&before).into_iter().filter(|name| !has.contains(name)).collect();
        if dropped.is_empty() {
            continue;
        }
        let message = format!("drops {what} that packages made: {}", dropped.join(", "));
        let fix = format!("add their lines, or leave {} out and make yours in setup.sh", own.shown());
        findings.push(own.finding(Severity::Error, None, &message, fix));
    }
    Ok(findings)
}

fn names(text: &[u8]) -> Vec<String> {
    let name = |line: String| line.split_once(':').map(|(name, _)| name.to_owned());
    let names = lines(text).filter_map(|(_, line)| name(line));
    names.filter(|name| !name.is_empty() && !name.starts_with('#')).collect()
}
