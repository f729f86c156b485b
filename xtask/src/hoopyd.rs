//! `cargo xtask hoopyd`: the agent as a static program, for a machine whose C library is another one (Alpine's).
//!
//! It goes to `target/hoopyd/hoopyd-ARCH`, where a hoopy that was built here finds it. Releases have it beside the program.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::chores;

/// Where the agents are.
pub fn dir() -> PathBuf {
    chores::target().join("hoopyd")
}

/// Builds the agent for `arch`.
pub fn run(arch: &str) -> anyhow::Result<()> {
    if !matches!(arch, "x86_64" | "aarch64") {
        bail!("no agent for {arch:?}: expected x86_64 or aarch64");
    }
    let target = target(arch)?;
    // A directory of its own: other flags would make everything else be built anew.
    let built = chores::target().join("hoopyd-build");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--package", "hoopyd", "--profile", "agent", "--target", &target]);
    // Without `--target`, these flags would break procedural macros. musl is static by itself.
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static").env("CARGO_TARGET_DIR", &built);
    chores::command(cargo.current_dir(chores::root()))?;
    let (from, to) = (built.join(&target).join("agent/hoopyd"), dir().join(format!("hoopyd-{arch}")));
    std::fs::create_dir_all(dir()).with_context(|| format!("make {}", dir().display()))?;
    // A build that reads it meanwhile sees the old one or the new one.
    let new = to.with_extension("new");
    std::fs::copy(&from, &new).with_context(|| format!("copy {}", from.display()))?;
    std::fs::rename(&new, &to).with_context(|| format!("write {}", to.display()))?;
    let size = std::fs::metadata(&to)?.len();
    println!("hoopyd: {} ({} KB, {target})", to.display(), size / 1024);
    Ok(())
}

/// The first of the targets for `arch` whose standard library is installed.
pub fn target(arch: &str) -> anyhow::Result<String> {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).current_dir(chores::root()).output()?;
    let sysroot = String::from_utf8_lossy(&sysroot.stdout).trim().to_owned();
    let installed =
        |target: &String| Path::new(&sysroot).join("lib/rustlib").join(target).join("lib").is_dir();
    let targets = ["musl", "gnu"].map(|library| format!("{arch}-unknown-linux-{library}"));
    targets.into_iter().find(installed).with_context(|| {
        format!("no standard library for {arch}: rustup target add {arch}-unknown-linux-musl")
    })
}
