//! The gallery of errors: each file of `errors/` is a command that fails, and what it says. docs/errors.md shows them
//! all; both are written with `HOOPY_BLESS=1`, and compared without.
//!
//! A file begins with a title. Sections follow: files by their path in an empty home, `command`, a line for the shell,
//! and `output`, which is written. A file that begins with `#!` is executable. There is a system in `nas/`, of which a
//! case can replace each file. A new case is a new file.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use hoopy_testkit::{Home, repository};

/// What stands before a section's name.
const MARK: &str = "=== ";

const HEAD: &str = "# Errors

What hoopy says when something is wrong, by example. Each error names what failed and why; a hint says what to type. The
exit codes are those of `hoopy --help`. Written from the tests in
`crates/cli/tests/cli/errors/` with `HOOPY_BLESS=1`; a test compares.
";

struct Case {
    file: PathBuf,
    title: String,
    sections: Vec<(String, String)>,
}

impl Case {
    fn read(file: PathBuf) -> Self {
        let text = fs::read_to_string(&file).unwrap();
        let mark = format!("\n{MARK}");
        let mut parts = text.split(&mark).map(str::to_owned);
        let title = parts.next().unwrap().trim().to_owned();
        let sections = parts.map(|part| {
            let (name, body) = part.split_once('\n').unwrap_or((&part, ""));
            (name.to_owned(), body.to_owned())
        });
        let sections = sections.collect();
        Self { file, title, sections }
    }

    fn section(&self, name: &str) -> Option<&str> {
        self.sections.iter().find(|(n, _)| n == name).map(|(_, body)| body.trim_end())
    }

    fn command(&self) -> &str {
        self.section("command").unwrap_or_else(|| panic!("{}: no command", self.file.display()))
    }

    /// What the command prints, and its exit code.
    fn run(&self) -> (i32, String) {
        let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
        home.small("nas");
        fs::write(home.path("nas/hoopy.toml"), "name = \"nas\"\narch = \"x86_64\"\n").unwrap();
        fs::create_dir(home.path("bin")).unwrap();
        symlink(env!("CARGO_BIN_EXE_hoopy"), home.path("bin/hoopy")).unwrap();
        for (name, body) in self.sections.iter().filter(|(name, _)| name != "command" && name != "output") {
            let path = home.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, body).unwrap();
            let mode = if body.starts_with("#!") { 0o755 } else { 0o644 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let mut shell =
            home.command_of(Path::new("/bin/sh"), &["-c", &format!("exec 2>&1; {}", self.command())]);
        let path = format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", home.path("bin").display());
        let out = shell.env("PATH", path).env("COLUMNS", "100").output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap().replace(home.path("").to_str().unwrap(), "HOME/");
        // Said of every first lock, with the place of the stand-in
        let found = format!("latest-stable of {} is Alpine 3.23\n", hoopy_testkit::mirror().alpine.display());
        let text = text.replace(&found, "");
        let code = out.status.code().unwrap();
        assert!(code != 0 && code != 101, "{}: exit code {code}\n{text}", self.file.display());
        (code, format!("{}\n", text.trim_end()))
    }

    fn write(&self, output: &str) {
        let before = self.sections.iter().filter(|(name, _)| name != "output");
        let sections: String =
            before.map(|(name, body)| format!("\n{MARK}{name}\n{}\n", body.trim_end())).collect();
        fs::write(&self.file, format!("{}\n{sections}\n{MARK}output\n{output}", self.title)).unwrap();
    }
}

#[test]
fn every_error_of_the_gallery_is_as_it_was() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/errors");
    let mut files: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let bless = std::env::var_os("HOOPY_BLESS").is_some();
    let (mut groups, mut changed) = (BTreeMap::<i32, String>::new(), Vec::new());
    for case in files.into_iter().map(Case::read) {
        let (code, output) = case.run();
        let group = groups.entry(code).or_default();
        *group += &format!("\n### {}\n\n```\n$ {}\n{output}```\n", case.title, case.command());
        let output = format!("{output}[exit code {code}]\n");
        if bless {
            case.write(&output);
        } else if case.section("output") != Some(output.trim_end()) {
            changed.push(format!("{}:\n{output}", case.file.display()));
        }
    }
    let groups =
        groups.iter().map(|(code, cases)| format!("\n## Exit code {code}: {}\n{cases}", meaning(*code)));
    let gallery = HEAD.to_owned() + &groups.collect::<String>();
    assert!(changed.is_empty(), "run with HOOPY_BLESS=1 and read the difference\n\n{}", changed.join("\n"));
    let file = repository().join("docs/errors.md");
    if bless {
        fs::write(&file, &gallery).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == gallery, "{}: run this test with HOOPY_BLESS=1", file.display());
}

/// What the table of `hoopy --help` says of an exit code.
fn meaning(code: i32) -> String {
    let help = Home::new(env!("CARGO_BIN_EXE_hoopy")).ok(&["--help"]);
    let table = help.split("Exit codes:\n").nth(1).unwrap();
    let row = table.lines().find_map(|line| line.trim().strip_prefix(&format!("{code}  ")));
    row.unwrap_or_else(|| panic!("no exit code {code} in the table")).to_owned()
}

/// The text of an attribute `#[error(...)]`, and what follows it up to the next one.
fn attributes(text: &str) -> Vec<(&str, &str)> {
    let parts = text.split("#[error(").skip(1);
    parts.filter_map(|part| part.split_once(")]\n")).collect()
}

/// A message is printed alone, and not with its chain of causes: it has to contain them.
#[test]
fn the_messages_of_libraries_contain_their_causes() {
    let mut found = 0;
    let mut missing = Vec::new();
    let mut dirs = vec![repository().join("crates")];
    while let Some(dir) = dirs.pop() {
        for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            for (message, variant) in attributes(&fs::read_to_string(&path).unwrap()) {
                // Up to the next variant's documentation.
                let variant = variant.split("\n    }\n").next().unwrap();
                let variant = if variant.lines().next().unwrap_or("").ends_with('{') {
                    variant
                } else {
                    variant.lines().next().unwrap_or("")
                };
                let named = variant.contains(" source:");
                let positional = variant.contains("#[from]") || variant.contains("#[source]");
                if !named && !positional {
                    continue;
                }
                found += 1;
                let has = message.starts_with("transparent")
                    || named && message.contains("source")
                    || positional && message.contains("{0}");
                if !has {
                    missing.push(format!("{}: {message}", path.display()));
                }
            }
        }
    }
    assert!(found > 50, "{found}");
    assert!(missing.is_empty(), "messages without their cause: {missing:#?}");
}
