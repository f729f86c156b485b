//! Running programs, and where things are.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};

/// The root of the repository.
pub fn root() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.parent().map_or(own.clone(), PathBuf::from)
}

/// The directory for all that is built.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// Runs `program`, its output on the terminal; an error unless it succeeds.
pub fn run(program: &str, args: &[&str]) -> anyhow::Result<()> {
    command(Command::new(program).args(args).current_dir(root()))
}

/// The same of a prepared command.
pub fn command(command: &mut Command) -> anyhow::Result<()> {
    let shown = format!("{command:?}");
    let status = command.status().with_context(|| format!("start {shown}"))?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}

/// Whether root runs this.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
