//! docs/reference.md is what the program itself says of its commands.

use std::fs;
use std::process::Command;

use hoopy_testkit::repository;

fn said(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hoopy"));
    let out = command.args(args).env_clear().env("COLUMNS", "100").output().unwrap();
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// The commands that `--help` lists.
fn commands(help: &str) -> Vec<String> {
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    // What is further in goes on with a description.
    let lines = list.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    let names = lines.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// What a command says of itself and of its own commands. The options that all have are at the top alone.
fn section(command: &[&str]) -> String {
    let help = said(&[command, &["--help"]].concat());
    let (before, global) = help.split_once("Global options:\n").unwrap();
    let after = global.split_once("\n\n").map_or("", |(_, after)| after);
    let title = format!("\n{} hoopy {}\n", "#".repeat(command.len() + 1), command.join(" "));
    let mut text = format!("{title}\n```\n{}```\n", format!("{before}{after}").replace("\n\n\n", "\n\n"));
    if help.contains("\nCommands:\n") {
        for name in commands(&help) {
            text += &section(&[command, &[&*name]].concat());
        }
    }
    text
}

#[test]
fn the_reference_is_what_help_says() {
    let help = said(&["--help"]);
    let mut text = format!(
        "# Commands\n\nWhat `hoopy --help` and `hoopy COMMAND --help` say; the global options, which every command \
         has, are here once. A test compares; `HOOPY_BLESS=1` writes it anew.\n\n```\n{help}```\n"
    );
    for name in commands(&help) {
        text += &section(&[&name]);
    }
    let file = repository().join("docs/reference.md");
    if std::env::var_os("HOOPY_BLESS").is_some() {
        fs::write(&file, &text).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == text, "{} is not what --help says: run this test with HOOPY_BLESS=1", file.display());
}

#[test]
fn every_command_has_an_example_or_needs_none() {
    let plain = ["schema", "man"];
    for name in commands(&said(&["--help"])) {
        let help = said(&[&name, "--help"]);
        assert!(plain.contains(&name.as_str()) || help.contains("Example: hoopy"), "{name}: no example");
    }
}

#[test]
fn completions_and_the_man_page_know_every_command() {
    let (completions, man) = (said(&["completions", "bash"]), said(&["man"]));
    for name in commands(&said(&["--help"])) {
        assert!(completions.contains(&name), "{name} is not in the completions");
        assert!(man.contains(&name), "{name} is not in the man page");
    }
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let root = repository();
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|e| e.unwrap().path());
    let top = fs::read_dir(&root).unwrap().map(|e| e.unwrap().path());
    for file in docs.chain(top).filter(|p| p.extension().is_some_and(|e| e == "md")) {
        let text = fs::read_to_string(&file).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap();
            let outside = target.contains("://") || path.is_empty();
            assert!(outside || file.parent().unwrap().join(path).exists(), "{}: {target}", file.display());
        }
    }
}
