//! Links in Markdown: one that is relative must lead to a file, and its fragment to a heading in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::chores;

/// Checks the links of every Markdown file in the repository.
pub fn check() -> anyhow::Result<()> {
    let mut broken = Vec::new();
    for file in files()? {
        let path = chores::root().join(&file);
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        for (line, target) in targets(&text) {
            if let Some(why) = wrong(&path, &target) {
                broken.push(format!("{}:{line}: {target}: {why}", file.display()));
            }
        }
    }
    if broken.is_empty() { Ok(()) } else { bail!("broken links:\n{}", broken.join("\n")) }
}

/// The Markdown files of the repository: those in git, and new ones that git does not ignore.
fn files() -> anyhow::Result<Vec<PathBuf>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard", "*.md"]).current_dir(chores::root());
    let out = git.output().context("start git")?;
    let names = String::from_utf8(out.stdout).context("a file name that is not UTF-8")?;
    let files = names.lines().map(PathBuf::from);
    Ok(files.filter(|file| chores::root().join(file).exists()).collect())
}

/// What the links of a text lead to, with their lines: `[text](target)` and `[name]: target`, outside of code.
fn targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Between backticks is code: every other part.
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        let inline = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        let definition = prose.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, to)| to);
        found.extend(inline.chain(definition).map(|target| (number + 1, target.trim().to_owned())));
    }
    found
}

/// What is wrong with a link in `file`; nothing where it leads somewhere, or out of the repository.
fn wrong(file: &Path, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
    let to = if path.is_empty() { file.to_owned() } else { file.parent()?.join(path) };
    if !to.exists() {
        return Some(format!("expected a file or directory {}, found none", to.display()));
    }
    if fragment.is_empty() || to.extension().is_none_or(|extension| extension != "md") {
        return None;
    }
    let text = fs::read_to_string(&to).ok()?;
    let anchors: Vec<String> = headings(&text).map(anchor).collect();
    let missing = !anchors.iter().any(|anchor| anchor == fragment);
    missing.then(|| format!("expected one of the headings {}", anchors.join(", ")))
}

fn headings(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim())
}

/// The fragment of a heading, as the hosts of git repositories and mdBook make it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_of_code() {
        let text = "See [a](b.md) and `[no](c)` and ![d](e.svg).\n```\n[no](f)\n```\n[g]: h.md#i\n";
        let found: Vec<_> =
            targets(text).into_iter().map(|(line, target)| format!("{line} {target}")).collect();
        assert_eq!(found, ["1 b.md", "1 e.svg", "5 h.md#i"]);
    }

    #[test]
    fn a_link_leads_to_a_file_and_a_heading_in_it() {
        let readme = chores::root().join("README.md");
        assert_eq!(wrong(&readme, "https://example.org/nowhere"), None);
        assert_eq!(wrong(&readme, "docs/boot.md"), None);
        assert_eq!(wrong(&readme, "#hoopy"), None);
        assert!(wrong(&readme, "docs/no-such-file.md").is_some());
        assert!(wrong(&readme, "#no-such-heading").is_some());
    }

    #[test]
    fn an_anchor_is_made_of_the_letters_of_a_heading() {
        assert_eq!(anchor("What `gc` keeps, and why"), "what-gc-keeps-and-why");
    }
}
