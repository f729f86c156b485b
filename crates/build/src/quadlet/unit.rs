//! The lines of a unit file (systemd.syntax(7)): sections, assignments, comments, and lines that go on in the next one.

use super::{MAX_FILE, UnitError};

/// `Key=value` in a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The line that it begins on, from 1.
    pub line: usize,
    /// The section that it is in.
    pub section: String,
    /// The key.
    pub key: String,
    /// The value, without blanks around it.
    pub value: String,
}

const FORMAT: &str =
    "write it as podman-systemd.unit(5) has it: [Container], and below it lines as Image=...";

/// The assignments of a file, in its order, and all lines that are none.
pub fn parse(text: &[u8]) -> (Vec<Assignment>, Vec<UnitError>) {
    if text.len() > MAX_FILE {
        return (Vec::new(), vec![UnitError::too_long(text.len() as u64)]);
    }
    let Ok(text) = std::str::from_utf8(text) else {
        return (
            Vec::new(),
            vec![UnitError::new(None, "expected UTF-8, found other bytes".to_owned(), FORMAT)],
        );
    };
    let (mut found, mut errors, mut section) = (Vec::new(), Vec::new(), String::new());
    for (line, text) in joined(text) {
        match parse_line(line, &text, &mut section) {
            Ok(assignment) => found.extend(assignment),
            Err(error) => errors.push(error),
        }
    }
    (found, errors)
}

fn parse_line(line: usize, text: &str, section: &mut String) -> Result<Option<Assignment>, UnitError> {
    if text.is_empty() {
        return Ok(None);
    }
    if let Some(bad) = text.chars().find(|c| c.is_control() && *c != '\t') {
        let found = format!("expected text, found the control character {bad:?}");
        return Err(UnitError::at(line, found, "remove it"));
    }
    if let Some(name) = text.strip_prefix('[') {
        let Some(name) = name.strip_suffix(']').filter(|name| !name.is_empty()) else {
            return Err(UnitError::at(line, format!("expected [Section], found {text:?}"), FORMAT));
        };
        name.clone_into(section);
        return Ok(None);
    }
    let Some((key, value)) = text.split_once('=') else {
        return Err(UnitError::at(line, format!("expected Key=value, found {text:?}"), FORMAT));
    };
    if section.is_empty() {
        let found = format!("expected a section before {:?}, such as [Container]", key.trim());
        return Err(UnitError::at(line, found, FORMAT));
    }
    let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
    Ok(Some(Assignment { line, section: section.clone(), key, value }))
}

/// The lines without comments, those that end in a backslash joined with the next; with the number of the first. Comments
/// between joined lines are passed over.
fn joined(text: &str) -> Vec<(usize, String)> {
    let (mut found, mut open): (Vec<(usize, String)>, bool) = (Vec::new(), false);
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim();
        if text.starts_with(['#', ';']) {
            continue;
        }
        let (part, goes_on) = match text.strip_suffix('\\') {
            Some(part) => (part.trim_end(), true),
            None => (text, false),
        };
        match found.last_mut().filter(|_| open) {
            Some((_, whole)) => {
                whole.push(' ');
                whole.push_str(part);
            }
            None => found.push((line, part.to_owned())),
        }
        open = goes_on;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<(usize, String)>, Vec<String>) {
        let (found, errors) = parse(text.as_bytes());
        let shown = |a: Assignment| (a.line, format!("[{}] {}={}", a.section, a.key, a.value));
        (found.into_iter().map(shown).collect(), errors.into_iter().map(|e| e.message).collect())
    }

    #[test]
    fn lines_are_joined_and_comments_passed_over() {
        let (found, errors) =
            read("# x\n[Container]\nExec = a \\\n# in between\n  b\\\n c\n; y\nImage=i\n\n");
        let expected = [(3, "[Container] Exec=a b c".to_owned()), (8, "[Container] Image=i".to_owned())];
        assert_eq!((found.as_slice(), errors.len()), (expected.as_slice(), 0));
    }

    #[test]
    fn what_is_no_line_of_a_unit_is_named() {
        for (text, found) in [
            ("Image=x\n", "expected a section before \"Image\""),
            ("[Container\n", "expected [Section]"),
            ("[]\n", "expected [Section]"),
            ("[Container]\nImage\n", "expected Key=value"),
            ("[Container]\nExec=a\u{7}b\n", "control character"),
        ] {
            let (_, errors) = read(text);
            assert!(errors.iter().any(|error| error.contains(found)), "{text:?}: {errors:?}");
        }
        assert_eq!(parse(b"\xff").1.len(), 1);
        assert_eq!(parse(&vec![b'#'; MAX_FILE + 1]).1.len(), 1);
    }
}
