//! `cargo xtask bench solve`: an index of 25,000 packages read and a world resolved, beside `apk add --simulate` on
//! the same files. Both check the index's signature, and both must choose the same.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use hoopy_apk::index::{self, Index};
use hoopy_apk::signature::SigningKey;
use hoopy_apk::{Checksum, Dependency, Record};
use sha1::{Digest as _, Sha1};

use crate::chores;

/// Rounds, of which the median counts.
const ROUNDS: usize = 21;

const ARCH: &str = "aarch64";

/// The index of the tests under five names: 25,020 packages, about what `main` and `community` hold together.
const COPIES: [&str; 5] = ["", "-b", "-c", "-d", "-e"];

/// A machine of some size; each name is asked for in one of the copies.
const WORLD: [&str; 20] = [
    "alpine-base",
    "bash",
    "build-base",
    "chrony",
    "clang15",
    "curl",
    "dropbear",
    "e2fsprogs",
    "git",
    "gnupg",
    "linux-lts",
    "nginx",
    "nodejs",
    "openssh",
    "mesa",
    "postgresql15",
    "python3",
    "ruby",
    "samba",
    "vim",
];

/// Runs it and prints the table.
pub fn run(mirror: &Path) -> anyhow::Result<()> {
    chores::run("cargo", &["build", "--quiet", "--release", "--package", "hoopy-apk", "--example", "solve"])?;
    let bench = Bench::prepare(mirror, &chores::target().join("bench/solve"))?;
    let (mut apk, mut ours, mut stored) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let (theirs, chosen, again) = (bench.apk()?, bench.ours()?, bench.stored()?);
        if theirs.install != chosen.install || again.install != chosen.install {
            bail!("apk and hoopy choose differently: compare the output of both in {}", bench.dir.display());
        }
        if round == 0 {
            println!("bench: {} packages, {} chosen", bench.packages, chosen.install.len());
        }
        apk.push(theirs.times);
        ours.push(chosen.times);
        stored.push(again.times);
    }
    show("apk add --simulate", &apk);
    show("hoopy, from the signed index", &ours);
    show("hoopy, from what the store keeps of it (digested once after each start of the machine)", &stored);
    Ok(())
}

/// One run of a program.
struct Answer {
    install: Vec<String>,
    times: Vec<(String, Duration)>,
}

/// Where everything of it is.
struct Bench {
    mirror: PathBuf,
    dir: PathBuf,
    world: Vec<String>,
    packages: usize,
}

impl Bench {
    fn prepare(mirror: &Path, dir: &Path) -> anyhow::Result<Self> {
        let _ = fs::remove_dir_all(dir);
        let root = dir.join("root");
        fs::create_dir_all(root.join("etc/apk/keys"))?;
        fs::create_dir_all(dir.join(ARCH))?;
        let key = SigningKey::generate("bench.rsa.pub", 2048)?;
        for directory in [dir, &root.join("etc/apk/keys")] {
            fs::write(directory.join(key.name()), key.public_pem()?)?;
        }
        let records = records()?;
        let packages = records.len();
        let index = index::write(&Index { description: "bench".to_owned(), records }, &key)?;
        fs::write(dir.join(ARCH).join("APKINDEX.tar.gz"), index)?;
        let name = |(name, copy): (&&str, &&str)| format!("{name}{copy}");
        let world = WORLD.iter().zip(COPIES.iter().cycle()).map(name).collect();
        let bench = Self { mirror: mirror.to_owned(), dir: dir.to_owned(), world, packages };
        chores::command(bench.apk_command().args(["add", "--initdb", "--quiet"]))?;
        Ok(bench)
    }

    fn apk_command(&self) -> Command {
        let alpine = self.mirror.join("apk-root").join(std::env::consts::ARCH);
        let mut command = Command::new(alpine.join(format!("lib/ld-musl-{}.so.1", std::env::consts::ARCH)));
        command.arg("--library-path").arg(format!("{0}/lib:{0}/usr/lib", alpine.display()));
        command.arg(alpine.join("sbin/apk")).arg("--root").arg(self.dir.join("root"));
        command.args(["--arch", ARCH, "--no-cache", "--no-network"]);
        command
    }

    fn apk(&self) -> anyhow::Result<Answer> {
        let mut command = self.apk_command();
        command.args(["add", "--simulate", "--repository"]).arg(&self.dir).args(&self.world);
        let (out, _, total) = output(&mut command)?;
        // `(1/2) Installing musl (1.2.3-r4)`
        let line = |line: &str| {
            let (name, version) = line.split_once(") Installing ")?.1.split_once(" (")?;
            Some(format!("{name}-{}", version.strip_suffix(')')?))
        };
        Ok(Answer {
            install: out.lines().filter_map(line).collect(),
            times: vec![("process".to_owned(), total)],
        })
    }

    fn ours(&self) -> anyhow::Result<Answer> {
        let index = self.dir.join(ARCH).join("APKINDEX.tar.gz");
        self.example(&[index.as_path(), &self.dir.join("bench.rsa.pub")])
    }

    fn stored(&self) -> anyhow::Result<Answer> {
        self.example(&[self.dir.join("stored").as_path(), Path::new("-")])
    }

    fn example(&self, arguments: &[&Path]) -> anyhow::Result<Answer> {
        let mut command = Command::new(chores::target().join("release/examples/solve"));
        if !self.dir.join("stored").exists() {
            command.env("HOOPY_STORED", self.dir.join("stored"));
        }
        let (out, steps, total) = output(command.args(arguments).args(&self.world))?;
        // `outline 12345`, in microseconds
        let step = |line: &str| {
            let (name, time) = line.split_once(' ')?;
            Some((name.to_owned(), Duration::from_micros(time.parse().ok()?)))
        };
        let steps: Vec<(String, Duration)> = steps.lines().filter_map(step).collect();
        let work = ("in all".to_owned(), steps.iter().map(|(_, time)| *time).sum());
        let times = [("process".to_owned(), total), work].into_iter().chain(steps).collect();
        Ok(Answer { install: out.lines().map(str::to_owned).collect(), times })
    }
}

/// What a program printed on either stream, and how long it took from its start to its end.
fn output(command: &mut Command) -> anyhow::Result<(String, String, Duration)> {
    let start = Instant::now();
    let output = command.stdin(Stdio::null()).output()?;
    let time = start.elapsed();
    let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
    if !output.status.success() {
        bail!("{command:?}: {}\n{out}{err}", output.status);
    }
    Ok((out, err, time))
}

fn show(what: &str, runs: &[Vec<(String, Duration)>]) {
    let Some(first) = runs.first() else { return };
    println!("{what}");
    for (at, (step, _)) in first.iter().enumerate() {
        let mut times: Vec<Duration> = runs.iter().filter_map(|run| Some(run.get(at)?.1)).collect();
        times.sort();
        let Some((least, median)) = times.first().zip(times.get(times.len() / 2)) else { continue };
        println!(
            "  {step:<12}{:>8.1} ms median {:>8.1} ms least",
            median.as_secs_f64() * 1e3,
            least.as_secs_f64() * 1e3
        );
    }
}

fn records() -> anyhow::Result<Vec<Record>> {
    let path = chores::root().join("crates/apk/tests/data/index.gz");
    let file = fs::File::open(&path).with_context(|| format!("open {}", path.display()))?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text)?;
    // What the tests have no use for, and every package has.
    let complete = |stanza: &str| format!("C:Q1{}=\n{}\n", "A".repeat(27), stanza.trim());
    let text: Vec<String> = text.split("\n\n").filter(|s| s.contains("P:")).map(complete).collect();
    let one = index::parse(&text.join("\n"))?;
    Ok(COPIES.iter().flat_map(|copy| one.iter().map(|record| renamed(record.clone(), copy))).collect())
}

/// A package of a copy: its names and all that it refers to end in `copy`; what a real one says beside is as long
/// as Alpine's.
fn renamed(mut record: Record, copy: &str) -> Record {
    let rename = |dependencies: &mut Vec<Dependency>| {
        for dependency in dependencies {
            dependency.name = format!("{}{copy}", dependency.name).into();
        }
    };
    record.name = format!("{}{copy}", record.name).into();
    rename(&mut record.depends);
    rename(&mut record.provides);
    rename(&mut record.install_if);
    let digest: [u8; 20] = Sha1::digest(format!("{} {}", record.name, record.version)).into();
    record.checksum = Checksum::Sha1(digest);
    record.commit = data_encoding::HEXLOWER.encode(&digest).into();
    record.arch = ARCH.into();
    record.description = format!("What {} is good for, in a line of words", record.name).into();
    record.url = format!("https://www.example.org/projects/{}/", record.name).into();
    record.license = "GPL-2.0-or-later AND MIT".into();
    record.origin = record.name.clone();
    record.maintainer = "Somebody Who Cares <somebody@example.org>".into();
    record.build_time = 1_670_000_000;
    record.size = 123_456;
    record
}
