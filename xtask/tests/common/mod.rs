//! What tests of packages share: a program to pack, and a release made of it.

#![allow(dead_code, reason = "each test has its own use for it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use hoopy_testkit::skip;

/// hoopy's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// This computer's architecture.
pub const ARCH: &str = std::env::consts::ARCH;

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

/// The files of a release: those in `HOOPY_TEST_RELEASE`, else packed once of the program beside these tests.
pub fn release() -> Option<&'static Path> {
    if let Some(given) = std::env::var_os("HOOPY_TEST_RELEASE") {
        return Some(Box::leak(PathBuf::from(given).into_boxed_path()));
    }
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

/// The package for Debian.
pub fn deb(dist: &Path) -> PathBuf {
    let arch = if ARCH == "aarch64" { "arm64" } else { "amd64" };
    dist.join(format!("hoopy_{VERSION}_{arch}.deb"))
}

/// `command` gives the installed program with arguments: it says that it can build, and builds the copy `hello` of
/// examples/hello.
pub fn builds_hello(hello: &Path, command: &dyn Fn(&[&str]) -> Command) {
    assert_eq!(said(&mut command(&["--version"])), format!("hoopy {VERSION}\n"));
    // Its status is 3 where anything is missing, as QEMU may be
    let doctor = command(&["doctor"]).output().unwrap();
    let doctor =
        format!("{}{}", String::from_utf8_lossy(&doctor.stdout), String::from_utf8_lossy(&doctor.stderr));
    assert!(
        doctor.contains(&format!("`hoopy build` works for {ARCH}: scripts run in the sandbox")),
        "{doctor}"
    );
    ok(&mut command(&["build", "hello"]));
    let files = std::fs::read_dir(hello.join("images")).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(files.filter(|path| path.extension().is_some_and(|e| e == "efi")).count(), 1);
}
