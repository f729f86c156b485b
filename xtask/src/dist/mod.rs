//! `cargo xtask dist`: makes the files of a release: static programs, an archive to unpack, packages for Debian and
//! Alpine Linux, and their checksums.
//!
//! ```text
//! cargo build ──▶ hoopy, hoopyd ──▶ manual pages, completions ──▶ files ──▶ .tar.gz, .deb, .apk ──▶ SHA256SUMS
//! ```
//!
//! The same commit gives the same bytes: every time is that of the commit, owners are root, order is that of names, and
//! programs do not hold the paths of whoever built them.

mod apk;
mod container;
mod deb;
mod files;
mod members;
mod program;
mod relock;
mod tarball;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::{chores, hoopyd};
use files::File;

const ARCHES: [&str; 2] = ["x86_64", "aarch64"];

/// Options of `cargo xtask dist`.
#[derive(Args)]
pub struct Options {
    /// Architectures: x86_64, aarch64 [default: both, as far as they can be built here].
    #[arg(long, value_delimiter = ',')]
    arch: Vec<String>,
    /// Where the files go.
    #[arg(long, short, default_value = "target/dist")]
    output: PathBuf,
    /// Pack this program for the architecture of this computer, with the agent that is there, and build nothing.
    #[arg(long, conflicts_with = "arch")]
    program: Option<PathBuf>,
    /// Make the container image, too, of Debian's packages in xtask/container.
    #[arg(long)]
    container: bool,
    /// Choose the packages of the container images anew, with apt, and do nothing else.
    #[arg(long, conflicts_with_all = ["program", "container"])]
    relock_container: bool,
}

/// A release for one architecture, before it is packed.
pub struct Release {
    /// The version in `Cargo.toml`.
    pub version: String,
    /// Alpine's and Rust's name of the architecture.
    pub arch: String,
    /// Seconds since 1970 that every file has: those of the commit.
    pub epoch: u64,
    /// The files, sorted by path.
    pub files: Vec<File>,
}

/// Builds and packs the release.
pub fn run(options: &Options) -> anyhow::Result<()> {
    if options.relock_container {
        let own = [std::env::consts::ARCH.to_owned()];
        let arches = if options.arch.is_empty() { &own[..] } else { &options.arch[..] };
        return arches.iter().try_for_each(|arch| relock::run(arch));
    }
    let output = chores::root().join(&options.output);
    let programs = match &options.program {
        Some(program) => {
            let own = (std::env::consts::ARCH.to_owned(), program.clone());
            Programs { built: vec![own], missing: Vec::new() }
        }
        None => build(&options.arch)?,
    };
    let Programs { built, missing } = programs;
    let Some((_, first)) = built.first() else { bail!("no program could be built: {}", missing.join("; ")) };
    // Manual pages and completions are the same for every architecture; the program of this one can print them.
    let own = built.iter().find(|(arch, _)| arch == std::env::consts::ARCH);
    let words = files::words(own.map_or(first, |(_, program)| program))?;
    let (version, epoch) = (env!("CARGO_PKG_VERSION").to_owned(), epoch()?);
    // It may be any directory of the user's: what lies there and is not of a release stays.
    fs::create_dir_all(&output).with_context(|| format!("make {}", output.display()))?;
    let mut names = Vec::new();
    for (arch, program) in &built {
        let files = files::all(program, &hoopyd::dir().join(format!("hoopyd-{arch}")), arch, &words)?;
        let release = Release { version: version.clone(), arch: arch.clone(), epoch, files };
        let mut made = vec![
            (release.tarball_name(), tarball::write(&release)?),
            (deb::file_name(&release), deb::write(&release)?),
            (apk::file_name(&release), apk::write(&release)?),
        ];
        if options.container {
            made.push((container::file_name(&release), container::write(&release)?));
        }
        for (name, content) in made {
            write(&output, &name, &content)?;
            names.push(name);
        }
    }
    checksums(&output, names)?;
    for what in &missing {
        println!("dist: MISSING: {what}");
    }
    println!("dist: done: {}", output.display());
    Ok(())
}

/// The programs to pack.
struct Programs {
    /// The programs, by architecture.
    built: Vec<(String, PathBuf)>,
    /// Those that cannot be built here, and what to do about it.
    missing: Vec<String>,
}

fn build(asked: &[String]) -> anyhow::Result<Programs> {
    let mut programs = Programs { built: Vec::new(), missing: Vec::new() };
    let all: Vec<String> = ARCHES.map(str::to_owned).into();
    for arch in if asked.is_empty() { &all } else { asked } {
        match program::compiler(arch) {
            Ok(compiler) => {
                programs.built.push((arch.clone(), program::build(arch, &compiler)?));
                hoopyd::run(arch)?;
            }
            // An architecture that was named must be built.
            Err(error) if !asked.is_empty() => return Err(error),
            Err(error) => programs.missing.push(format!("{error:#}")),
        }
    }
    Ok(programs)
}

impl Release {
    /// What the archive is called, and the directory in it.
    fn stem(&self) -> String {
        format!("hoopy-{}-{}-linux", self.version, self.arch)
    }

    fn tarball_name(&self) -> String {
        format!("{}.tar.gz", self.stem())
    }
}

/// The time of the commit, or `SOURCE_DATE_EPOCH` (reproducible-builds.org).
fn epoch() -> anyhow::Result<u64> {
    if let Ok(text) = std::env::var("SOURCE_DATE_EPOCH") {
        return text.parse().with_context(|| format!("SOURCE_DATE_EPOCH is {text:?}: expected seconds"));
    }
    let mut git = std::process::Command::new("git");
    let out =
        git.args(["log", "-1", "--format=%ct"]).current_dir(chores::root()).output().context("start git")?;
    let text = String::from_utf8_lossy(&out.stdout);
    text.trim().parse().context("no time of a commit: expected a clone, or SOURCE_DATE_EPOCH")
}

fn write(output: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let file = output.join(name);
    fs::write(&file, bytes).with_context(|| format!("write {}", file.display()))?;
    println!("dist: {name} ({} KB)", bytes.len() / 1024);
    Ok(())
}

/// What `sha256sum --check` reads.
fn checksums(output: &Path, mut names: Vec<String>) -> anyhow::Result<()> {
    names.sort();
    let line = |name: &String| {
        let digest = Sha256::digest(fs::read(output.join(name))?);
        Ok::<_, anyhow::Error>(format!("{}  {name}\n", HEXLOWER.encode(&digest)))
    };
    let text: String = names.iter().map(line).collect::<anyhow::Result<_>>()?;
    write(output, "SHA256SUMS", text.as_bytes())
}
