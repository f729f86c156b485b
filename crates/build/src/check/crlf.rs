//! Lines that end as Windows ends them: the carriage return becomes part of the interpreter's name, of a service,
//! of a mount point.

use super::finding::{Finding, Severity};
use super::own::Own;
use super::view::View;

/// Tables without which a machine does not come up as it should.
const VITAL: [&str; 6] =
    ["etc/inittab", "etc/fstab", "etc/passwd", "etc/group", "etc/shadow", "etc/network/interfaces"];

/// Files with carriage returns.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    let own = view.own.iter().filter_map(of_own);
    let beside = view.texts.iter().filter_map(|file| {
        let line = first(&file.text)?;
        let script = file.name != "packages";
        let severity = if script { Severity::Error } else { Severity::Warning };
        let (message, fix) = (message(script), fix(file.name));
        Some(Finding { severity, file: file.name.into(), line: Some(line), message, fix })
    });
    own.chain(beside).collect()
}

fn of_own(own: &Own) -> Option<Finding> {
    let script = own.text.starts_with(b"#!");
    if !own.is_file() || !(script || own.path.is_within(b"etc")) {
        return None;
    }
    let line = first(&own.text)?;
    let vital = script || VITAL.iter().any(|path| own.path.as_bytes() == path.as_bytes());
    let severity = if vital { Severity::Error } else { Severity::Warning };
    Some(own.finding(severity, Some(line), &message(script), fix(&own.shown())))
}

fn message(script: bool) -> String {
    let harm =
        if script { "the interpreter takes it for part of the line" } else { "few programs expect it" };
    format!("the line ends with a carriage return (CRLF), and {harm}")
}

fn fix(file: &str) -> String {
    format!("sed -i 's/\\r$//' {file}")
}

/// The first line that ends so, in a text.
fn first(text: &[u8]) -> Option<usize> {
    if text.contains(&0) {
        return None;
    }
    let at = text.windows(2).position(|pair| pair == b"\r\n")?;
    Some(text[..at].iter().filter(|&&b| b == b'\n').count() + 1)
}
