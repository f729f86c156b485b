//! `cargo xtask oracle`: what apk would choose, and how it orders versions, asked more often than the tests do.

use std::path::PathBuf;
use std::process::Command;

use crate::{chores, mirror};

/// How much to ask.
#[derive(clap::Args)]
pub struct Amount {
    /// Worlds: nine in ten of small adversarial repositories, the others of a whole real index.
    #[arg(long, default_value_t = 10_000)]
    worlds: u64,
    /// Pairs of versions.
    #[arg(long, default_value_t = 100_000)]
    versions: u64,
    /// The first seed; the same one asks the same.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// An APKINDEX.tar.gz of Alpine's [default: the one that the tests ship with, of Alpine 3.17's main].
    #[arg(long)]
    index: Option<PathBuf>,
}

/// One world in so many is of the real index: apk takes ten times as long for it.
const REAL_EVERY: u64 = 10;

/// Runs the tests that ask apk, with more to ask. A difference is written to `crates/apk/tests/solve-cases/`.
pub fn run(amount: &Amount) -> anyhow::Result<()> {
    let mirror = mirror::run()?;
    let real = amount.worlds / REAL_EVERY;
    let mut tests = Command::new("cargo");
    tests.args(["test", "--release", "--package", "hoopy-apk", "--test", "oracle", "--test", "version"]);
    tests.args(["--", "--nocapture", "--test-threads", "1"]).current_dir(chores::root());
    tests.env("HOOPY_APK_ROOT", mirror.join("apk-root").join(std::env::consts::ARCH));
    for (name, value) in [
        ("HOOPY_APK_SEED", amount.seed),
        ("HOOPY_APK_WORLDS", amount.worlds - real),
        ("HOOPY_APK_REAL_WORLDS", real),
        ("HOOPY_APK_VERSIONS", amount.versions),
        ("PROPTEST_CASES", amount.versions),
    ] {
        tests.env(name, value.to_string());
    }
    if let Some(index) = &amount.index {
        tests.env("HOOPY_APK_INDEX", index.canonicalize()?);
    }
    chores::command(&mut tests)
}
