//! Texts that begin with a byte order mark, as some editors of Windows write it: to the kernel a script does not begin with
//! `#!`, and to a table's reader the first line has another first word.

use super::finding::{Finding, Severity};
use super::view::View;

/// U+FEFF in UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Texts with the mark.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    let own = view.own.iter().filter(|own| own.is_file() && own.text.starts_with(MARK)).map(|own| {
        let script = own.text.get(MARK.len()..).is_some_and(|rest| rest.starts_with(b"#!"));
        let severity = if script || own.path.is_within(b"etc") { Severity::Error } else { Severity::Warning };
        own.finding(severity, Some(1), message(script), fix(&own.shown()))
    });
    let beside = view.texts.iter().filter(|file| file.text.starts_with(MARK)).map(|file| Finding {
        // What hoopy itself reads, it reads without the mark.
        severity: if file.name == "setup.sh" { Severity::Error } else { Severity::Warning },
        file: file.name.into(),
        line: Some(1),
        message: message(file.name == "setup.sh").to_owned(),
        fix: fix(file.name),
    });
    own.chain(beside).collect()
}

fn message(script: bool) -> &'static str {
    match script {
        true => "begins with a byte order mark, and the kernel sees no #!",
        false => "begins with a byte order mark, which few programs expect",
    }
}

fn fix(file: &str) -> String {
    format!("sed -i '1s/^\\xef\\xbb\\xbf//' {file}")
}
