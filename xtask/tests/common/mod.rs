//! What tests of packages share: a program to pack, and a release made of it.

#![allow(dead_code, reason = "each test has its own use for it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use hoopy_testkit::skip;

/// The hoopy that was built beside these tests, without its symbols, which are most of it.
pub fn program() -> Option<PathBuf> {
    let own = std::env::current_exe().unwrap();
    let built = own.ancestors().nth(2).unwrap().join("hoopy");
    if !built.exists() {
        skip(format_args!("{} is not built: cargo build -p hoopy", built.display()));
        return None;
    }
    let stripped = own.with_extension("hoopy");
    ok(Command::new("strip").arg("-o").arg(&stripped).arg(built));
    Some(stripped)
}

/// What `cargo xtask dist` makes of it, in a directory.
pub fn dist(program: &Path, output: &Path, more: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["dist", "--program"]).arg(program).arg("--output").arg(output).args(more);
    ok(command.env("SOURCE_DATE_EPOCH", "1790000000"));
}

/// The files of a release, made once.
pub fn release() -> Option<&'static Path> {
    static MADE: OnceLock<Option<tempfile::TempDir>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        dist(&program()?, &dir.path().join("dist"), &[]);
        Some(dir)
    });
    made.as_ref().map(|dir| &*Box::leak(dir.path().join("dist").into_boxed_path()))
}

pub fn ok(command: &mut Command) -> Output {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(out.status.success(), "{command:?}: {}\n{}{}", out.status, said(&out.stdout), said(&out.stderr));
    out
}

/// What it prints.
pub fn said(command: &mut Command) -> String {
    String::from_utf8(ok(command).stdout).unwrap()
}
