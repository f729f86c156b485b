//! `cargo xtask bench`: hoopy beside the shell pipeline that it replaces, and beside a lower
//! bound, in one run. Rounds take turns, so that a machine that is busy for a while is so for all of them.

mod boot;
mod chart;
mod import;
mod measure;
mod ordinary_user;
mod report;
pub mod scale;
mod signed;
mod solve;
mod state;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::{chores, mirror, setup};
use measure::{Figure, Run, timed};

/// Rounds, of which the median counts.
const ROUNDS: usize = 5;

/// The pipeline, as a script that a person can read and run.
const PIPELINE: &str = include_str!("pipeline.sh");

/// What can be timed by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// Whole builds.
    Build,
    /// The choice of packages, beside `apk add --simulate`.
    Solve,
    /// Systems of up to 1,000 packages and 2 GB: whether time grows with them and no faster, and memory not at all.
    Scale,
    /// Backups beside `tar | zstd -3 | age`, and what fifty secrets cost.
    State,
    /// A boot from power on to login, beside the same Alpine installed on a disk.
    Boot,
    /// Builds that are signed beside those that are not: it fails where signing adds more than it may.
    Signed,
    /// The import of an overlay over sixty packages that are in the store: it fails where that takes over 3 s.
    Import,
}

/// Runs the benchmarks, or the one that is asked for. What is measured and its chart are put into `docs/bench/` where
/// they are to be `published`.
pub fn run(
    what: Option<What>,
    packages: usize,
    published: bool,
    idle: Duration,
    inside: Option<&Path>,
) -> anyhow::Result<()> {
    if let Some(dir) = inside {
        return ordinary_user::inside(dir);
    }
    let wanted = |one| what.is_none_or(|what| what == one);
    if wanted(What::Build) {
        builds()?;
    }
    if wanted(What::Solve) {
        solve::run(&mirror::run()?)?;
    }
    if wanted(What::Scale) {
        scale::run(&mirror::run()?, packages)?;
    }
    if wanted(What::State) {
        state::run(&mirror::run()?)?;
    }
    if wanted(What::Boot) {
        boot::run(idle)?;
    }
    if wanted(What::Signed) {
        signed::run()?;
    }
    if wanted(What::Import) {
        import::run(&mirror::run()?)?;
    }
    if published { publish() } else { Ok(()) }
}

/// What the README shows.
fn publish() -> anyhow::Result<()> {
    let (from, to) = (chores::target().join("bench"), chores::root().join("docs/bench"));
    fs::create_dir_all(&to)?;
    for file in ["results.json", "build.svg", "scale.json", "state.json", "boot.json", "boot.svg"] {
        if from.join(file).exists() {
            fs::copy(from.join(file), to.join(file)).with_context(|| format!("publish {file}"))?;
        }
    }
    Ok(())
}

/// Prints the table and writes `target/bench/results.json` and `build.svg`.
fn builds() -> anyhow::Result<()> {
    setup::run()?;
    let mirror = mirror::run()?;
    chores::run("cargo", &["build", "--quiet", "--release", "--package", "hoopy"])?;
    let bench = Bench::prepare(&mirror)?;
    let mut figures = Vec::new();
    for round in 1..=ROUNDS {
        println!("bench: round {round} of {ROUNDS}");
        bench.round(round, &mut figures)?;
    }
    let as_user = if ordinary_user::can_be_tried() { ordinary_user::measure(&bench)? } else { Vec::new() };
    bench.clean()?;
    report::show(&figures, &as_user, &chores::target().join("bench/results.json"))
}

/// Copies hello without what was built of it.
fn copy_hello(to: &Path) -> anyhow::Result<()> {
    let hello = chores::root().join("examples/hello");
    chores::command(Command::new("cp").arg("-r").arg(hello).arg(to))?;
    let _ = fs::remove_dir_all(to.join("images"));
    let _ = fs::remove_file(to.join("hoopy.lock"));
    Ok(())
}

/// Makes a system a git repository, as its owner has it: in ours, everything below `target` is ignored.
fn commit(system: &Path) -> anyhow::Result<()> {
    let name = ["-c", "user.name=bench", "-c", "user.email=bench@localhost"];
    let commit = [&name[..], &["commit", "--quiet", "--message", "hello"]].concat();
    for arguments in [&["init", "--quiet"][..], &["add", "."], &commit] {
        chores::command(Command::new("git").arg("-C").arg(system).args(arguments))?;
    }
    Ok(())
}

/// Where everything of a benchmark is.
struct Bench {
    hoopy: PathBuf,
    mirror: PathBuf,
    system: PathBuf,
    dir: PathBuf,
    stub: PathBuf,
}

impl Bench {
    fn prepare(mirror: &Path) -> anyhow::Result<Self> {
        let dir = chores::target().join("bench");
        let _ = fs::remove_dir_all(dir.join("work"));
        fs::create_dir_all(dir.join("work"))?;
        let system = dir.join("work/hello");
        copy_hello(&system)?;
        commit(&system)?;
        let stub = PathBuf::from("/usr/lib/systemd/boot/efi/linuxx64.efi.stub");
        if std::env::consts::ARCH != "x86_64" {
            bail!("the benchmark's pipeline is written for x86_64");
        }
        let hoopy = chores::target().join("release/hoopy");
        Ok(Self { hoopy, mirror: mirror.to_owned(), system, dir, stub })
    }

    /// Each in directories of its own, which stay until the end: ext4 is slow to make files where many were
    /// removed moments ago.
    fn round(&self, round: usize, figures: &mut Vec<Run>) -> anyhow::Result<()> {
        let work = self.dir.join(format!("work/pipeline-{round}"));
        figures.push(self.pipeline(&work)?);
        let image = self.builds(round, figures)?;
        figures.extend(self.limits(&work, &image)?);
        Ok(())
    }

    /// hoopy's part of a round; the image of which one file had changed.
    fn builds(&self, round: usize, figures: &mut Vec<Run>) -> anyhow::Result<PathBuf> {
        let store = self.dir.join(format!("work/store-{round}"));
        // Locking downloads every package, and that is all that it leaves in the store for a build.
        chores::command(&mut self.hoopy("lock", &store))?;
        figures.push(self.build(Figure::Cold, &store)?);
        figures.push(self.build(Figure::NoChange, &store)?);
        edit(&self.system.join("root/etc/motd"))?;
        let changed = self.build(Figure::OneFile, &store)?;
        let image = newest_image(&self.system)?;
        figures.push(changed);
        edit(&self.system.join("setup.sh"))?;
        figures.push(self.build(Figure::Script, &store)?);
        Ok(image)
    }

    fn clean(&self) -> anyhow::Result<()> {
        let work = self.dir.join("work");
        fs::remove_dir_all(&work).with_context(|| format!("remove {}", work.display()))
    }

    fn pipeline(&self, work: &Path) -> anyhow::Result<Run> {
        fs::create_dir_all(work)?;
        let mut command = Command::new("sh");
        command.args(["-c", PIPELINE]);
        command.env("APK_ROOT", self.mirror.join("apk-root/x86_64")).env("ARCH", "x86_64");
        command
            .env("REPOSITORY", self.mirror.join("alpine/v3.23/main"))
            .env("KEYS", self.mirror.join("keys"));
        command.env("SYSTEM", &self.system).env("STUB", &self.stub).env("WORK", work);
        let run = timed(Figure::Pipeline, &mut command)?;
        Ok(run.with_size(&work.join("image.efi")))
    }

    /// What no builder can go below: writing the image, and compressing its contents.
    fn limits(&self, work: &Path, image: &Path) -> anyhow::Result<[Run; 2]> {
        let copy = self.dir.join("work/copy");
        let copied = timed(Figure::Copy, Command::new("cp").arg("--reflink=never").arg(image).arg(&copy))?;
        let archive = self.dir.join("work/archive");
        let list = "find . -path ./boot -prune -o -print | cpio -o -H newc --quiet >\"$ARCHIVE\"";
        let mut command = Command::new("sh");
        command.args(["-c", list]).env("ARCHIVE", &archive).current_dir(work.join("root"));
        chores::command(&mut command)?;
        let packed = self.dir.join("work/archive.zst");
        let zstd = timed(
            Figure::Compress,
            Command::new("zstd").args(["-q", "-f", "-T0", "-5"]).arg(&archive).arg("-o").arg(&packed),
        )?;
        Ok([copied.with_size(&copy), zstd.with_size(&packed)])
    }

    fn build(&self, figure: Figure, store: &Path) -> anyhow::Result<Run> {
        let run = timed(figure, &mut self.hoopy("build", store))?;
        Ok(run.with_size(&newest_image(&self.system)?))
    }

    fn hoopy(&self, verb: &str, store: &Path) -> Command {
        let mut command = Command::new(&self.hoopy);
        command.arg(verb).arg(&self.system).arg("--quiet").arg("--store").arg(store);
        command.arg("--mirror").arg(self.mirror.join("alpine")).arg("--keys").arg(self.mirror.join("keys"));
        command
    }
}

/// The image of a system that was built last, by its name.
fn newest_image(system: &Path) -> anyhow::Result<PathBuf> {
    let images = fs::read_dir(system.join("images"))?.filter_map(|e| Some(e.ok()?.path()));
    images.max().context("no image was built")
}

/// Adds a line to a file that was never there before.
fn edit(path: &Path) -> anyhow::Result<()> {
    let mut text = fs::read_to_string(path).unwrap_or_default();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos();
    text += &format!("# {now}\n");
    fs::write(path, text).map_err(Into::into)
}
