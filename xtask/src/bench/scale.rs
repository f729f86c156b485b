//! `cargo xtask bench scale`: whether time grows with the system and no faster, and memory not at all: systems of
//! 250, 500 and 1,000 packages of 2 MiB each. It takes 10 GB of disk; `--packages 100` tries the same with a tenth.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use hoopy_apk::Record;
use hoopy_apk::signature::SigningKey;
use hoopy_apk::tar::Kind;
use hoopy_testkit::maker::{Maker, record};
use hoopy_testkit::package::extended_mirror_with;

use super::measure::{Figure, Run, timed};
use super::report;
use crate::chores;

/// Packages of the largest system, where nothing else is asked for.
pub const MOST: usize = 1000;

/// The systems: the largest has so many times the packages of these.
const PARTS: [usize; 3] = [4, 2, 1];

/// How often a build is measured that finds nothing to do: it is over in milliseconds, and other things go on.
const ROUNDS: usize = 5;

/// Files of each package.
const FILES: usize = 16;

/// Bytes of each file.
const SIZE: usize = 128 << 10;

/// Prints the table and writes `target/bench/scale.json`. The largest system has `most` packages.
pub fn run(mirror: &Path, most: usize) -> anyhow::Result<()> {
    chores::run("cargo", &["build", "--quiet", "--release", "--package", "hoopy"])?;
    let dir = chores::target().join("bench/scale");
    let _ = fs::remove_dir_all(&dir);
    println!("bench: writing {most} packages of {} MiB", (FILES * SIZE) >> 20);
    extended_mirror_with(&dir.join("mirror"), std::env::consts::ARCH, |dir, key| packages(most, dir, key));
    let mut rows = Vec::new();
    let measured = PARTS.into_iter().map(|part| most / part).try_for_each(|count| {
        println!("bench: a system of {count} packages");
        rows.push((count, system(count, &dir, mirror)?));
        anyhow::Ok(())
    });
    // Whatever went wrong: gigabytes are not left.
    fs::remove_dir_all(&dir)?;
    measured?;
    report::scale(&rows, &chores::target().join("bench/scale.json"))
}

/// Builds a system of so many packages in the ways that are measured.
fn system(count: usize, dir: &Path, mirror: &Path) -> anyhow::Result<Vec<Run>> {
    let (system, store) = (dir.join("system"), dir.join("store"));
    fs::create_dir_all(system.join("root/etc"))?;
    fs::write(system.join("hoopy.toml"), "name = \"scale\"\nmemory = \"16G\"\n")?;
    let names: String = (0..count).map(|n| name(n) + "\n").collect();
    fs::write(system.join("packages"), format!("alpine-base\nlinux-virt\n{names}"))?;
    let hoopy = |verb: &str| {
        let mut command = Command::new(chores::target().join("release/hoopy"));
        command.arg(verb).arg(&system).arg("--quiet").arg("--store").arg(&store);
        command.arg("--mirror").arg(dir.join("mirror")).arg("--keys").arg(mirror.join("keys"));
        command
    };
    chores::command(&mut hoopy("lock"))?;
    let mut runs = vec![timed(Figure::Cold, &mut hoopy("build"))?];
    for _ in 0..ROUNDS {
        runs.push(timed(Figure::NoChange, &mut hoopy("build"))?);
    }
    fs::write(system.join("root/etc/motd"), "changed\n")?;
    runs.push(timed(Figure::OneFile, &mut hoopy("build"))?);
    let image = fs::read_dir(system.join("images"))?.flatten().map(|e| e.path()).max();
    let image = image.context("no image was built")?;
    runs.push(timed(
        Figure::Copy,
        Command::new("cp").arg("--reflink=never").arg(&image).arg(dir.join("copy")),
    )?);
    let runs = runs.into_iter().map(|run| run.with_size(&image)).collect();
    fs::remove_dir_all(&system)?;
    fs::remove_dir_all(&store)?;
    Ok(runs)
}

fn name(number: usize) -> String {
    format!("scale-{number:04}")
}

/// Makes packages on every core; gives their records.
fn packages(count: usize, dir: &Path, key: &SigningKey) -> Vec<Record> {
    let (next, made) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    let record = package(number, dir, key);
                    made.lock().expect("no thread panicked").push(record);
                }
            });
        }
    });
    made.into_inner().expect("no thread panicked")
}

fn package(number: usize, dir: &Path, key: &SigningKey) -> Record {
    let name = name(number);
    let mut made = Maker::new(record(&name, "1.0-r0", std::env::consts::ARCH));
    for file in 0..FILES {
        let text = text((number * FILES + file) as u64);
        let path = format!("usr/share/{name}/{file:02}");
        made.add(&path, Kind::File(text.len() as u64), 0o644, &text);
    }
    made.write(dir, key)
}

/// [`SIZE`] bytes that compress about as well as programs do: words of no meaning, in no order.
fn text(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut text = Vec::with_capacity(SIZE + 8);
    while text.len() < SIZE {
        // Marsaglia's xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let word = (state >> 32) % 4096;
        text.extend_from_slice(&(word * word).to_le_bytes()[..4]);
    }
    text.truncate(SIZE);
    text
}
