//! `cargo xtask demo`: from a fresh machine to a booted image.

use std::io::IsTerminal as _;
use std::process::Command;

use crate::{chores, mirror, setup};

/// What tells that a mirror of Alpine's answers.
const PROBE: &str = "https://dl-cdn.alpinelinux.org/alpine/v3.23/main/x86_64/APKINDEX.tar.gz";

/// Installs what is needed, builds `examples/hello` and boots it.
pub fn run() -> anyhow::Result<()> {
    setup::run()?;
    let mut common = Vec::new();
    let reached = Command::new("curl").args(["-sfIL", "-m", "3", "-o", "/dev/null", PROBE]).status();
    if !reached.is_ok_and(|s| s.success()) {
        println!("demo: no Alpine mirror answers, so a stand-in is used");
        let mirror = mirror::run()?;
        common = vec![
            "--mirror".into(),
            mirror.join("alpine").into_os_string(),
            "--keys".into(),
            mirror.join("keys").into(),
        ];
    }
    chores::run("cargo", &["build", "--quiet", "--release", "--package", "hoopy"])?;
    let hoopy = chores::target().join("release/hoopy");
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
