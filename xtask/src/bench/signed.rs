//! `cargo xtask bench signed`: what signing an image for the firmware and its policy for the TPM adds to a build. It fails where that
//! is more than two passes of SHA-256 from the first changed byte on and 30 ms, or a tenth of a cold build.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use hoopy_testkit::Home;
use sha2::{Digest as _, Sha256};

use super::measure::{Figure, timed};
use super::{edit, newest_image};
use crate::{chores, hoopyd};

/// Rounds of cold builds and of those with one changed file, of which the medians count.
const COLD: usize = 5;
const ONE_FILE: usize = 15;

/// What signing may take beside the passes: two signatures, their keys out of age files, and the start of what does it.
const ALLOWED: Duration = Duration::from_millis(30);

/// What a cold build may take, signed, in hundredths of the unsigned one.
const COLD_PERCENT: u32 = 110;

/// Runs it and prints what it took.
pub fn run() -> anyhow::Result<()> {
    chores::run("cargo", &["build", "--quiet", "--release", "--package", "hoopy"])?;
    hoopyd::run(std::env::consts::ARCH)?;
    let program = chores::target().join("release/hoopy");
    let bench = Bench { home: Home::new(&program.to_string_lossy()) };
    bench.system();
    let (cold, one_file) = (bench.cold()?, bench.one_file()?);
    let passes = bench.passes()?;
    cold.show("cold");
    one_file.show("one file changed");
    println!("bench: two passes of SHA-256 from the first changed byte on   {:>7.3} s", passes.as_secs_f64());
    if cold.signed > cold.unsigned * COLD_PERCENT / 100 {
        bail!("a signed cold build took more than {COLD_PERCENT} % of the unsigned one");
    }
    if one_file.signed > one_file.unsigned + passes + ALLOWED {
        bail!("signing one changed file took more than the two passes and {} ms", ALLOWED.as_millis());
    }
    Ok(())
}

struct Bench {
    home: Home,
}

/// Medians.
struct Pair {
    unsigned: Duration,
    signed: Duration,
}

impl Pair {
    fn of(mut unsigned: Vec<Duration>, mut signed: Vec<Duration>) -> Self {
        let [unsigned, signed] = [&mut unsigned, &mut signed].map(|times| {
            times.sort();
            times.get(times.len() / 2).copied().unwrap_or_default()
        });
        Self { unsigned, signed }
    }

    fn show(&self, name: &str) {
        let [unsigned, signed] = [self.unsigned, self.signed].map(|time| time.as_secs_f64());
        println!(
            "bench: {name:<18} unsigned {unsigned:>7.3} s, signed {signed:>7.3} s: {:.2}x",
            signed / unsigned
        );
    }
}

impl Bench {
    /// The example `hello` with keys; with those, every build is signed unless it is told not to.
    fn system(&self) {
        let _ = self.home.example("hello");
        self.home.ok(&["-C", "hello", "secret", "init", "--open", "owner"]);
        self.home.ok(&["-C", "hello", "keys", "new"]);
    }

    fn build(&self, store: &str, signed: bool) -> anyhow::Result<Duration> {
        let more: &[&str] = if signed { &[] } else { &["--unsigned"] };
        let args = [&["build", "hello", "--quiet", "--store", store], more].concat();
        Ok(timed(Figure::Cold, &mut self.home.command(&args))?.wall)
    }

    /// Each in a store of its own, which has the packages.
    fn cold(&self) -> anyhow::Result<Pair> {
        let (mut unsigned, mut signed) = (Vec::new(), Vec::new());
        for round in 0..COLD {
            for (times, is_signed) in [(&mut unsigned, false), (&mut signed, true)] {
                let store = format!("cold-{round}-{is_signed}");
                self.home.ok(&["lock", "hello", "--quiet", "--store", &store]);
                times.push(self.build(&store, is_signed)?);
            }
        }
        Ok(Pair::of(unsigned, signed))
    }

    /// Each kind has a store of its own: each image is made of the one before it.
    fn one_file(&self) -> anyhow::Result<Pair> {
        let (mut unsigned, mut signed) = (Vec::new(), Vec::new());
        for _ in 0..=ONE_FILE {
            edit(&self.home.path("hello/root/etc/motd"))?;
            for (times, is_signed) in [(&mut unsigned, false), (&mut signed, true)] {
                times.push(self.build(&format!("edited-{is_signed}"), is_signed)?);
            }
        }
        // The first ones filled the stores.
        Ok(Pair::of(unsigned.split_off(1), signed.split_off(1)))
    }

    fn passes(&self) -> anyhow::Result<Duration> {
        let build = || -> anyhow::Result<PathBuf> {
            edit(&self.home.path("hello/root/etc/motd"))?;
            self.build("edited-true", true)?;
            newest_image(&self.home.path("hello"))
        };
        let (before, after) = (build()?, build()?);
        let mut image = Vec::new();
        File::open(&after)?.read_to_end(&mut image)?;
        // The one over all of it begins in the headers, which have sizes and a time; that over the initramfs begins in that.
        let starts = [first_change(&before, &after, 0)?, first_change(&before, &after, HEAD)?];
        let rests = starts.map(|start| image.get(start..).unwrap_or_default());
        let begun = Instant::now();
        for rest in rests {
            std::hint::black_box(Sha256::digest(rest));
        }
        let [all, initramfs] = rests.map(|rest| rest.len() >> 10);
        println!(
            "bench: {all} of {} KiB are behind the first changed byte, {initramfs} behind that of the initramfs",
            image.len() >> 10
        );
        Ok(begun.elapsed())
    }
}

/// Where two files begin to differ behind their first bytes, so many.
fn first_change(one: &Path, other: &Path, head: usize) -> anyhow::Result<usize> {
    let size = |path: &Path| path.metadata().with_context(|| format!("read {}", path.display()));
    let common = size(one)?.len().min(size(other)?.len());
    let [one, other] =
        [File::open(one)?, File::open(other)?].map(|file| BufReader::with_capacity(1 << 20, file));
    let differs = one.bytes().zip(other.bytes()).skip(head).position(|(one, other)| match (one, other) {
        (Ok(one), Ok(other)) => one != other,
        _ => true,
    });
    Ok(differs.map_or(usize::try_from(common)?, |at| at + head))
}

/// More than headers, stub, os-release and command line take.
const HEAD: usize = 1 << 20;
