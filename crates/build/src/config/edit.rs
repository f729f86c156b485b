//! Changes `branch` in `hoopy.toml`, and leaves every other byte of it as its owner wrote it.

use std::path::{Path, PathBuf};

/// `branch` of this `hoopy.toml` is not where hoopy can write it.
#[derive(Debug, thiserror::Error)]
#[error("{}: `branch` cannot be written: expected a line `branch = \"...\"` above the first table", .0.display())]
pub struct EditError(PathBuf);

/// The text of the `hoopy.toml` at `file` with another branch; `None` where it names no branch.
///
/// The line is found by its text, since a TOML writer would not keep comments and order. The result is parsed again, to
/// check that nothing but the branch has changed.
///
/// # Errors
/// [`EditError`] where the branch is written in a way that is not understood.
pub fn with_branch(file: &Path, text: &str, branch: &str) -> Result<Option<String>, EditError> {
    let bad = || EditError(file.to_owned());
    let mut expected: toml::Table = toml::from_str(text).map_err(|_| bad())?;
    let Some(value) = expected.get_mut("branch") else { return Ok(None) };
    *value = branch.into();
    let mut found = false;
    let lines = text.split_inclusive('\n').map(|line| match replaced(line, branch) {
        Some(new) if !found => {
            found = true;
            new
        }
        _ => line.to_owned(),
    });
    let new: String = lines.collect();
    let same = toml::from_str::<toml::Table>(&new).is_ok_and(|read| read == expected);
    if same { Ok(Some(new)) } else { Err(bad()) }
}

/// The line with another branch, if it is the line that sets `branch`.
fn replaced(line: &str, branch: &str) -> Option<String> {
    let (key, rest) = line.split_once('=')?;
    if key.trim().trim_matches('"') != "branch" {
        return None;
    }
    let start = rest.find(|c: char| !c.is_whitespace())?;
    let (space, value) = rest.split_at(start);
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (_, after) = value.get(1..)?.split_once(quote)?;
    Some(format!("{key}={space}{quote}{branch}{quote}{after}"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn edited(text: &str) -> Option<String> {
        with_branch(Path::new("hoopy.toml"), text, "3.24").unwrap()
    }

    #[test]
    fn the_branch_changes_and_comments_order_and_line_ends_stay() {
        let text = "# branch = \"3.20\"\r\nname = 'nas' # it\r\nbranch   =  '3.23'   # the newest\r\n\r\n[run]\r\nports = [22]\r\n";
        assert_eq!(edited(text).unwrap(), text.replace("'3.23'", "'3.24'"));
        assert_eq!(edited("branch = \"3.23\"").unwrap(), "branch = \"3.24\"");
    }

    #[test]
    fn a_file_without_a_branch_stays_as_it_is() {
        assert_eq!(edited("# branch = \"3.20\"\nname = \"nas\"\n"), None);
        assert_eq!(edited(""), None);
    }

    #[test]
    fn a_line_in_a_text_that_looks_like_the_branch_is_not_changed_in_its_place() {
        let text = "cmdline = '''\nbranch = \"x\"\n'''\nbranch = \"3.23\"\n";
        let error = with_branch(Path::new("hoopy.toml"), text, "3.24").unwrap_err();
        assert_eq!(
            error.to_string(),
            "hoopy.toml: `branch` cannot be written: expected a line `branch = \"...\"` above the first table"
        );
    }
}
