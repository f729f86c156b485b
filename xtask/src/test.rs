//! `cargo xtask test`: what CI runs.

use std::process::Command;

use crate::{chores, mirror, setup};

/// Format, lints, and all tests, boot tests included.
pub fn run() -> anyhow::Result<()> {
    setup::run()?;
    let mirror = mirror::run()?;
    chores::run("cargo", &["fmt", "--check"])?;
    chores::run("cargo", &["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    let mut tests = Command::new("cargo");
    tests.args(["test", "--quiet", "--workspace"]).current_dir(chores::root());
    tests.env("HOOPY_APK_ROOT", mirror.join("apk-root/x86_64"));
    chores::command(&mut tests)
}
