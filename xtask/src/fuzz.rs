//! `cargo xtask fuzz`: feeds random bytes to everything that parses bytes from outside. The targets are `fuzz/fuzz_targets/`,
//! what they begin with is `fuzz/seeds/`; what is found along the way stays in `fuzz/corpus/`, out of git.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::chores;

/// What a target may use: far more than any needs, far less than a machine has.
const MEMORY_MB: u32 = 512;

/// How long one input may take, in seconds.
const TIMEOUT: u32 = 10;

/// Runs `target`, or every one in turn, for `seconds` each.
pub fn run(target: Option<&str>, seconds: u32) -> anyhow::Result<()> {
    install()?;
    let all = targets()?;
    let chosen = match target {
        None => all,
        Some(one) if all.iter().any(|t| t == one) => vec![one.to_owned()],
        Some(other) => bail!("no fuzz target is called {other:?}: expected one of {}", all.join(", ")),
    };
    for target in &chosen {
        println!("fuzz: {target}, {seconds} s");
        one(target, seconds)?;
    }
    Ok(())
}

fn one(target: &str, seconds: u32) -> anyhow::Result<()> {
    let corpus = chores::root().join("fuzz/corpus").join(target);
    fs::create_dir_all(&corpus).with_context(|| format!("make {}", corpus.display()))?;
    // Without a sanitizer: there is no unsafe code of our own to watch, and it is several times faster.
    let mut fuzz = cargo_fuzz();
    fuzz.args(["run", "--sanitizer", "none", target]).arg(corpus);
    fuzz.arg(chores::root().join("fuzz/seeds").join(target)).arg("--");
    fuzz.arg(format!("-max_total_time={seconds}"));
    fuzz.arg(format!("-rss_limit_mb={MEMORY_MB}"));
    fuzz.arg(format!("-timeout={TIMEOUT}"));
    chores::command(fuzz.arg("-print_final_stats=1"))
}

/// `cargo fuzz`, in the repository. It needs flags of the compiler that only a nightly one takes without being told to.
fn cargo_fuzz() -> Command {
    let mut command = Command::new("cargo");
    command.arg("fuzz").current_dir(chores::root()).env("RUSTC_BOOTSTRAP", "1");
    command
}

/// The names of the targets: those of their files.
fn targets() -> anyhow::Result<Vec<String>> {
    let dir = chores::root().join("fuzz/fuzz_targets");
    let files = fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))?;
    let name = |file: fs::DirEntry| Some(file.path().file_stem()?.to_str()?.to_owned());
    let mut names: Vec<String> = files.flatten().filter_map(name).collect();
    names.sort();
    Ok(names)
}

fn install() -> anyhow::Result<()> {
    let there = cargo_fuzz().arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if there.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    chores::run("cargo", &["install", "--locked", "cargo-fuzz"])
}
