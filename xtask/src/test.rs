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
    let apk = mirror.join("apk-root").join(std::env::consts::ARCH);
    tests.env("HOOPY_APK_ROOT", &apk).env("HOOPY_TEST_APK_ROOT", &apk);
    chores::command(&mut tests)
}
