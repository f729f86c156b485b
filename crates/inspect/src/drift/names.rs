//! Names that a machine must not bring into `root/`: to git, or to hoopy itself, they are more than a file.
//!
//! `root/` lies in the owner's git repository. A directory `.git` in it is a repository of its own, whose
//! configuration names programs that `git status` runs (`core.fsmonitor`); `.gitattributes` and `.gitmodules` do the
//! like, and `.gitignore` hides what was pulled from `git diff`. git refuses such names, and the spellings that some
//! filesystem takes for the same name, when it writes files of its own (gitattributes(5); `verify_path` and
//! `is_ntfs_dotgit` in git's sources): so does this. Other tools run commands out of such files too, once somebody stands
//! in the directory or opens it.

/// What git itself reads from a working tree, in lower case.
const OF_GIT: [&str; 5] = [".git", ".gitmodules", ".gitattributes", ".gitignore", ".mailmap"];

/// What other tools read, and may run: Mercurial (`hooks` and aliases in `.hg/hgrc`), Jujutsu (its `config.toml`), direnv,
/// and editors (tasks and interpreters of a workspace). In lower case.
const OF_TOOLS: [&str; 5] = [".hg", ".jj", ".envrc", ".vscode", ".idea"];

/// The short names that NTFS and FAT give to them (`NAME~N`): the first six letters, or two and a checksum of four.
const SHORT: [&str; 4] = ["git", "gitmod", "gitatt", "gitign"];

/// Code points that HFS+ leaves out when it compares names (git's `next_hfs_char`).
const IGNORED_BY_HFS: [char; 16] = [
    '\u{200c}', '\u{200d}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}',
    '\u{202e}', '\u{206a}', '\u{206b}', '\u{206c}', '\u{206d}', '\u{206e}', '\u{206f}', '\u{feff}',
];

/// Why the path is not taken; nothing where it may be.
pub fn reserved(path: &[u8]) -> Option<&'static str> {
    // On NTFS a backslash divides names too.
    let mut names = path.split(|&byte| byte == b'/' || byte == b'\\');
    let first = names.next().unwrap_or_default();
    let of_system =
        matches!(first.to_ascii_lowercase().as_slice(), b"packages" | b"setup.sh") && first == path;
    let of_hoopy = |name: &[u8]| {
        let name = name.to_ascii_lowercase();
        name == b"hoopy.toml"
            || name.starts_with(b"hoopy") && name.ends_with(b".lock")
            || name.starts_with(b".hoopy-")
    };
    let mut all = std::iter::once(first).chain(names);
    if all.clone().any(is_git) {
        return Some("git would take this name for its own, and may run what is in it");
    }
    if all.clone().any(is_of_tool) {
        return Some(
            "Mercurial, Jujutsu, direnv or an editor would take this name for its own, and may run what is in it",
        );
    }
    // With `objects` and `refs` beside it, git takes the directory for a bare repository.
    if path.rsplit(|&byte| byte == b'/').next().is_some_and(|name| name.eq_ignore_ascii_case(b"HEAD")) {
        return Some("git takes a directory with a file HEAD for a repository, and may run what it says");
    }
    (of_system || all.any(of_hoopy)).then_some("hoopy would take this name for a file of a system directory")
}

/// Whether git, on any filesystem, takes the name for one of [`OF_GIT`].
fn is_git(name: &[u8]) -> bool {
    let stem = stem(name);
    OF_GIT.contains(&stem.as_str()) || is_short(&stem)
}

/// The same for [`OF_TOOLS`], whose short names are those without the dot.
fn is_of_tool(name: &[u8]) -> bool {
    let stem = stem(name);
    let short = stem.split_once('~').filter(|(_, number)| number.starts_with(|c: char| c.is_ascii_digit()));
    let is_short = |tool: &str| short.is_some_and(|(start, _)| tool.strip_prefix('.') == Some(start));
    OF_TOOLS.iter().any(|tool| *tool == stem || is_short(tool))
}

/// The name as filesystems compare it that are less exact than Linux.
fn stem(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let plain: String =
        text.chars().filter(|c| !IGNORED_BY_HFS.contains(c)).flat_map(char::to_lowercase).collect();
    // NTFS: `.git::$INDEX_ALLOCATION` is `.git`, and so is `.git . `.
    plain.split(':').next().unwrap_or_default().trim_end_matches([' ', '.']).to_owned()
}

fn is_short(stem: &str) -> bool {
    let Some((start, number)) = stem.split_once('~') else { return false };
    let is_number = number.starts_with(|c: char| c.is_ascii_digit());
    let is_sum = |start: &str| {
        start.len() == 6 && start.starts_with("gi") && start.bytes().skip(2).all(|b| b.is_ascii_hexdigit())
    };
    is_number && (SHORT.contains(&start) || is_sum(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_git_reads_are_not_taken_however_they_are_written() {
        for path in [
            ".git/config",
            "etc/.GIT/config",
            "srv/.Git",
            ".gitignore",
            "etc/.gitattributes",
            ".gitmodules",
            ".git /x",
            ".git.../x",
            ".git::$INDEX_ALLOCATION/config",
            ".gitignore:stream",
            "GIT~1/config",
            "gitmod~1",
            "GI7EBA~1",
            "gi7d29~1",
            ".g\u{200c}it/config",
            "\u{feff}.gitignore",
            "etc\\.git\\config",
            "srv/repo/HEAD",
            "hoopy.toml",
            "srv/x/hoopy-aarch64.lock",
            "packages",
            "setup.sh",
            "etc/.hoopy-pull-motd",
        ] {
            assert!(reserved(path.as_bytes()).is_some(), "{path}");
        }
    }

    #[test]
    fn names_that_other_tools_run_commands_from_are_not_taken() {
        for path in [
            ".hg/hgrc",
            "srv/.HG/hgrc",
            ".jj/repo",
            "etc/.envrc",
            ".envrc.",
            "a/.vscode/tasks.json",
            ".Idea/x",
            "VSCODE~1/x",
        ] {
            assert!(reserved(path.as_bytes()).is_some(), "{path}");
        }
    }

    #[test]
    fn other_names_are() {
        for path in [
            "etc/motd",
            "etc/gitconfig",
            "etc/git.d/x",
            "home/me/.gitconfig",
            "usr/share/git-core/x",
            "etc/apk/packages",
            "opt/setup.sh/x",
            "etc/hoopy/health.d/x",
            "etc/x~1",
            "etc/gift~1",
            "etc/idea",
            "home/me/.hgrc",
            "etc/direnv/envrc",
            "usr/bin/HEADER",
        ] {
            assert_eq!(reserved(path.as_bytes()), None, "{path}");
        }
    }
}
