//! `cargo xtask demo`: from a fresh machine to a booted image.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::Command;

use crate::{chores, mirror, setup};

/// What tells that a mirror of Alpine's answers.
const PROBE: &str = "https://dl-cdn.alpinelinux.org/alpine/v3.23/main/x86_64/APKINDEX.tar.gz";

/// Installs what is needed, builds `examples/hello` and boots it.
pub fn run() -> anyhow::Result<()> {
    setup::run()?;
    let common = mirror_arguments()?;
    let hoopy = release_binary()?;
    let system = chores::root().join("examples/hello");
    let call = |verb: &str| {
        let mut command = Command::new(&hoopy);
        command.arg(verb).arg(&system).args(&common);
        command
    };
    // The mirror may be another one than the last time.
    chores::command(&mut call("lock"))?;
    chores::command(&mut call("build"))?;
    chores::command(call("run").arg("--until").arg("login:"))?;
    println!("demo: it came up. The image is in {}", system.join("images").display());
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        println!(
            "demo: once more, with the console for you (Ctrl-A X ends it; log in as root, password hello)"
        );
        chores::command(&mut call("run"))?;
    }
    Ok(())
}

/// The arguments that name a mirror: none where Alpine's answers, else the stand-in, which is made where there is none.
pub fn mirror_arguments() -> anyhow::Result<Vec<OsString>> {
    let reached = Command::new("curl").args(["-sfIL", "-m", "3", "-o", "/dev/null", PROBE]).status();
    if reached.is_ok_and(|status| status.success()) {
        return Ok(Vec::new());
    }
    println!("no Alpine mirror answers, so a stand-in is used");
    let mirror = mirror::run()?;
    Ok(vec!["--mirror".into(), mirror.join("alpine").into(), "--keys".into(), mirror.join("keys").into()])
}

/// Builds hoopy as it is shipped; its path.
pub fn release_binary() -> anyhow::Result<PathBuf> {
    chores::run("cargo", &["build", "--quiet", "--release", "--package", "hoopy"])?;
    Ok(chores::target().join("release/hoopy"))
}
