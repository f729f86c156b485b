//! `cargo xtask test`: what CI runs.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::bail;

use crate::{chores, mirror, setup};

/// Format, lints, and all tests, boot tests included.
pub fn run() -> anyhow::Result<()> {
    setup::run()?;
    let mirror = mirror::run()?;
    chores::run("cargo", &["fmt", "--check"])?;
    chores::run("cargo", &["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    chores::run("cargo", &["test", "--quiet", "--workspace", "--no-run"])?;
    // The whole workspace here too: with another choice of packages cargo would make the program anew, under the feet
    // of those that use it.
    let deploys = Beside::start(cargo(&mirror, &["--workspace", "--test", "ship", "--", "--ignored"]))?;
    chores::command(&mut cargo(&mirror, &["--workspace"]))?;
    println!("test: the deploys to a machine, which ran beside the others");
    deploys.end()
}

fn cargo(mirror: &Path, which: &[&str]) -> Command {
    let apk = mirror.join("apk-root").join(std::env::consts::ARCH);
    let mut command = Command::new("cargo");
    // One failure does not hide the next.
    command.args(["test", "--quiet", "--no-fail-fast"]).args(which).current_dir(chores::root());
    command.env("HOOPY_APK_ROOT", &apk).env("HOOPY_TEST_APK_ROOT", &apk);
    command
}

/// A long test of one machine, which keeps one processor busy, and its output.
struct Beside {
    child: Child,
    said: File,
}

impl Beside {
    fn start(mut command: Command) -> anyhow::Result<Self> {
        let said = tempfile::tempfile()?;
        command
            .args(["--nocapture"])
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said.try_clone()?);
        Ok(Self { child: command.spawn()?, said })
    }

    fn end(mut self) -> anyhow::Result<()> {
        let status = self.child.wait()?;
        let mut text = String::new();
        self.said.rewind()?;
        self.said.read_to_string(&mut text)?;
        print!("{text}");
        if status.success() { Ok(()) } else { bail!("the deploys to a machine: {status}") }
    }
}

impl Drop for Beside {
    /// The others failed: nobody waits for it any more. cargo does not take the test with it.
    fn drop(&mut self) {
        let _ = Command::new("pkill").args(["-KILL", "-P", &self.child.id().to_string()]).status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
