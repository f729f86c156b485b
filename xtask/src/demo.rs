//! `cargo xtask demo`: from a fresh machine to a booted image.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::{chores, mirror, setup};

/// What tells that a mirror of Alpine's answers.
const PROBE: &str = "https://dl-cdn.alpinelinux.org/alpine/latest-stable/main/x86_64/APKINDEX.tar.gz";

/// Builds hoopy, installs what `examples/hello` needs, looks at this computer, builds the example and boots it.
pub fn run() -> anyhow::Result<()> {
    let mut phases = Phases::default();
    let hoopy = phases.time("compile hoopy", release_binary)?;
    phases.time("install programs", setup::for_demo)?;
    let common = phases.time("find a mirror", || mirror_arguments(Extent::Host))?;
    let system = chores::root().join("examples/hello");
    let arch = ["--arch", std::env::consts::ARCH];
    let call = |verb: &str| {
        let mut command = Command::new(&hoopy);
        command.arg(verb).arg(&system).args(arch).args(&common);
        command
    };
    phases.time("hoopy doctor", || {
        // It says itself what is missing, and how to install it
        let status = Command::new(&hoopy).arg("doctor").args(arch).args(&common).status()?;
        anyhow::ensure!(status.success(), "this computer cannot build examples/hello yet: see above");
        Ok(())
    })?;
    // The mirror may be another one than the last time.
    phases.time("hoopy lock", || chores::command(&mut call("lock")))?;
    phases.time("hoopy build", || chores::command(&mut call("build")))?;
    phases.time("hoopy run", || chores::command(call("run").arg("--until").arg("login:")))?;
    println!("demo: it came up. The image is in {}", system.join("images").display());
    phases.print();
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        println!(
            "demo: once more, with the console for you (Ctrl-A X ends it; log in as root, password hello)"
        );
        chores::command(&mut call("run"))?;
    }
    Ok(())
}

/// How long each part took.
#[derive(Default)]
struct Phases(Vec<(&'static str, Duration)>);

impl Phases {
    fn time<T>(&mut self, name: &'static str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        println!("demo: {name}");
        let begun = Instant::now();
        let done = work();
        self.0.push((name, begun.elapsed()));
        // Where the demo ends, so that it is seen where the time went
        if done.is_err() {
            self.print();
        }
        done
    }

    fn print(&self) {
        for (name, time) in &self.0 {
            println!("demo: {name:<17}{:>7.1} s", time.as_secs_f64());
        }
        let all: Duration = self.0.iter().map(|(_, time)| *time).sum();
        println!("demo: {:<17}{:>7.1} s", "all", all.as_secs_f64());
    }
}

/// For which architectures a stand-in has packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// This computer's.
    Host,
    /// All.
    All,
}

/// The arguments that name a mirror: none where Alpine's answers, else the stand-in, which is made where there is none.
pub fn mirror_arguments(extent: Extent) -> anyhow::Result<Vec<OsString>> {
    let reached = Command::new("curl").args(["-sfIL", "-m", "3", "-o", "/dev/null", PROBE]).status();
    if reached.is_ok_and(|status| status.success()) {
        return Ok(Vec::new());
    }
    println!("no Alpine mirror answers, so a stand-in is used");
    let mirror = match extent {
        Extent::Host => {
            setup::for_stand_in()?;
            mirror::of_host()?
        }
        Extent::All => mirror::run()?,
    };
    Ok(vec!["--mirror".into(), mirror.join("alpine").into(), "--keys".into(), mirror.join("keys").into()])
}

/// Builds hoopy as it is shipped; its path.
pub fn release_binary() -> anyhow::Result<PathBuf> {
    chores::run("cargo", &["build", "--quiet", "--release", "--package", "hoopy"])?;
    Ok(chores::target().join("release/hoopy"))
}
