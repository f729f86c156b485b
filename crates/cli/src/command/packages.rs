//! Editing the file `packages`: its comments, order and layout stay.

use std::path::Path;

use hoopy_build::config::world::{PackageLine, World};

use crate::error::Result;

/// The text with `words` added, one a line: each takes the place of the word for the same package, or comes last.
pub fn added(file: &Path, text: &str, words: &[String]) -> Result<String> {
    let mut text = text.to_owned();
    for new in World::parse(file, &words.join("\n"))?.0 {
        let old = World::parse(file, &text)?.0.into_iter().find(|old| is_same(old, &new));
        text = match old {
            Some(old) => lines(&text, |number, line| {
                if number == old.line { replace(line, &old.text, &new.text) } else { line.to_owned() }
            }),
            None if text.is_empty() || text.ends_with('\n') => format!("{text}{}\n", new.text),
            None => format!("{text}\n{}\n", new.text),
        };
    }
    Ok(text)
}

/// The text without the words for the packages of these names; and the names that it does not have.
pub fn removed(file: &Path, text: &str, names: &[String]) -> Result<(String, Vec<String>)> {
    let mut text = text.to_owned();
    let mut missing = Vec::new();
    for gone in World::parse(file, &names.join("\n"))?.0 {
        let there: Vec<PackageLine> =
            World::parse(file, &text)?.0.into_iter().filter(|old| is_same(old, &gone)).collect();
        if there.is_empty() {
            missing.push(gone.text.clone());
        }
        for old in there {
            text =
                lines(
                    &text,
                    |number, line| {
                        if number == old.line { replace(line, &old.text, "") } else { line.to_owned() }
                    },
                );
        }
    }
    Ok((text, missing))
}

fn is_same(a: &PackageLine, b: &PackageLine) -> bool {
    a.dependency.name == b.dependency.name && a.dependency.conflict == b.dependency.conflict
}

/// Each line, made anew by its number from 1; one that is made empty goes.
fn lines(text: &str, make: impl Fn(usize, &str) -> String) -> String {
    let mut out = String::new();
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let (content, end) = line.strip_suffix('\n').map_or((line, ""), |content| (content, "\n"));
        let made = make(number, content);
        if content.is_empty() || !made.is_empty() {
            out += &(made + end);
        }
    }
    out
}

/// The line with one word replaced; nothing, where no word is left and its comment was about the one that went.
fn replace(line: &str, old: &str, new: &str) -> String {
    let code = line.find('#').unwrap_or(line.len());
    let (words, comment) = line.split_at(code);
    let mut out = String::new();
    let mut done = false;
    for piece in words.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        if word != old || done {
            out += piece;
            continue;
        }
        done = true;
        if !new.is_empty() {
            out += &(new.to_owned() + &piece[word.len()..]);
        }
    }
    if out.trim().is_empty() { String::new() } else { (out + comment).trim_end().to_owned() }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const TEXT: &str = "# base\nalpine-base\n\nlinux-virt   # the kernel\ncurl>8 jq  # tools\n# end\n";

    fn add(words: &[&str]) -> String {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        added(Path::new("packages"), TEXT, &words).unwrap()
    }

    fn remove(names: &[&str]) -> (String, Vec<String>) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        removed(Path::new("packages"), TEXT, &names).unwrap()
    }

    #[test]
    fn a_new_package_comes_last() {
        assert_eq!(add(&["dropbear", "musl>1"]), format!("{TEXT}dropbear\nmusl>1\n"));
        assert_eq!(added(Path::new("packages"), "a", &["b".to_owned()]).unwrap(), "a\nb\n");
    }

    #[test]
    fn a_new_constraint_takes_the_place_of_the_old_one() {
        assert_eq!(add(&["curl<9"]), TEXT.replace("curl>8 jq", "curl<9 jq"));
        assert_eq!(add(&["linux-virt@edge"]), TEXT.replace("linux-virt   #", "linux-virt@edge   #"));
        assert_eq!(add(&["jq"]), TEXT);
    }

    #[test]
    fn a_package_goes_with_its_comment_and_other_words_stay() {
        assert_eq!(remove(&["linux-virt"]).0, TEXT.replace("linux-virt   # the kernel\n", ""));
        assert_eq!(remove(&["curl"]).0, TEXT.replace("curl>8 jq", "jq"));
        assert_eq!(remove(&["curl", "jq"]).0, TEXT.replace("curl>8 jq  # tools\n", ""));
        assert_eq!(remove(&["vim"]), (TEXT.to_owned(), vec!["vim".to_owned()]));
    }

    #[test]
    fn what_is_no_package_is_refused() {
        assert!(added(Path::new("packages"), TEXT, &["=1".to_owned()]).is_err());
    }
}
