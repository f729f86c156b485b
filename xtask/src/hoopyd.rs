//! `cargo xtask hoopyd`: the agent as a static program, for a machine whose C library is another one (Alpine's).
//!
//! It goes to `target/hoopyd/hoopyd-ARCH`, where a hoopy that was built here finds it. Releases have it beside the program.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::chores;
use crate::compiler::Compiler;

/// Where the agents are.
pub fn dir() -> PathBuf {
    chores::target().join("hoopyd")
}

/// Builds the agent for `arch`.
pub fn run(arch: &str) -> anyhow::Result<()> {
    if !matches!(arch, "x86_64" | "aarch64") {
        bail!("no agent for {arch:?}: expected x86_64 or aarch64");
    }
    let compiler = Compiler::of(arch)?;
    // A directory of its own: other flags would make everything else be built anew.
    let built = chores::target().join("hoopyd-build");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--package", "hoopyd", "--profile", "agent"]);
    compiler.prepare(&mut cargo);
    // Without `--target`, these flags would break procedural macros. musl is static by itself.
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static").env("CARGO_TARGET_DIR", &built);
    chores::command(cargo.current_dir(chores::root()))?;
    let (from, to) =
        (built.join(&compiler.target).join("agent/hoopyd"), dir().join(format!("hoopyd-{arch}")));
    std::fs::create_dir_all(dir()).with_context(|| format!("make {}", dir().display()))?;
    // A build that reads it meanwhile sees the old one or the new one.
    let new = to.with_extension("new");
    std::fs::copy(&from, &new).with_context(|| format!("copy {}", from.display()))?;
    std::fs::rename(&new, &to).with_context(|| format!("write {}", to.display()))?;
    let size = std::fs::metadata(&to)?.len();
    println!("hoopyd: {} ({} KB, {})", to.display(), size / 1024, compiler.target);
    Ok(())
}
