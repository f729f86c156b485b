//! `cargo xtask bench import`: an overlay over about sixty packages becomes a system directory. The packages are in the
//! store, as after the first import or build; their scripts run each time that the store does not know them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::measure::{Figure, Run, timed};
use crate::chores;

/// Rounds, of which the median counts.
const ROUNDS: usize = 7;

/// The packages that it must be about: fewer would say little.
const PACKAGES: usize = 60;

/// What may be needed at most.
const LIMIT: Duration = Duration::from_secs(3);

/// What the machine of the overlay has. All else are dependencies.
const WORLD: [&str; 18] = [
    "alpine-base",
    "bridge",
    "cloud-utils-growpart",
    "cryptsetup-libs",
    "curl",
    "dhcpcd",
    "dhcpcd-openrc",
    "dropbear",
    "e2fsprogs-extra",
    "intel-ucode",
    "kexec-tools",
    "kmod",
    "libncursesw",
    "linux-virt",
    "mkinitfs",
    "ssl_client",
    "sudo",
    "systemd-boot",
];

/// Files of the owner's, as many as a home server has.
const FILES: usize = 150;

/// Runs it and prints what it took.
pub fn run(mirror: &Path) -> anyhow::Result<()> {
    chores::run("cargo", &["build", "--quiet", "--release", "--package", "hoopy"])?;
    let dir = chores::target().join("bench/import");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir)?;
    let bench = Bench { hoopy: chores::target().join("release/hoopy"), mirror: mirror.to_owned(), dir };
    let measured = bench.imports();
    fs::remove_dir_all(&bench.dir)?;
    measured
}

struct Bench {
    hoopy: PathBuf,
    mirror: PathBuf,
    dir: PathBuf,
}

impl Bench {
    fn imports(&self) -> anyhow::Result<()> {
        let overlay = self.overlay()?;
        let first = self.import(&overlay, "first")?;
        let packages = self.packages("first")?;
        if packages < PACKAGES {
            bail!("the overlay is about {packages} packages: expected {PACKAGES} or more");
        }
        println!("bench: import over {packages} packages, the first {:>7.3} s", first.wall.as_secs_f64());
        let mut runs = Vec::new();
        for round in 0..ROUNDS {
            runs.push(self.import(&overlay, &format!("again-{round}"))?);
        }
        runs.sort_by_key(|run| run.wall);
        let median = runs.get(ROUNDS / 2).context("no round")?;
        let (seconds, memory) = (median.wall.as_secs_f64(), median.memory >> 20);
        println!("bench: with the packages in the store   {seconds:>7.3} s, {memory} MiB of memory");
        if median.wall > LIMIT {
            bail!("an import took {seconds:.3} s: expected {} s at most", LIMIT.as_secs());
        }
        Ok(())
    }

    /// Made as `lbu commit` does: with tar and gzip.
    fn overlay(&self) -> anyhow::Result<PathBuf> {
        let root = self.dir.join("root");
        let write = |path: &str, text: &str| -> anyhow::Result<()> {
            let path = root.join(path);
            fs::create_dir_all(path.parent().context("a file has a directory")?)?;
            fs::write(&path, text).with_context(|| format!("write {}", path.display()))
        };
        write("etc/apk/world", &(WORLD.join("\n") + "\n"))?;
        write("etc/apk/repositories", "http://dl-cdn.alpinelinux.org/alpine/v3.23/main\n")?;
        write("etc/hostname", "nas\n")?;
        write("etc/.default_boot_services", "")?;
        for number in 0..FILES {
            let text = format!("setting = {number}\n").repeat(number + 1);
            write(&format!("etc/conf.d/service-{number}"), &text)?;
        }
        let file = self.dir.join("nas.apkovl.tar.gz");
        let mut tar = Command::new("tar");
        chores::command(
            tar.arg("-C").arg(&root).arg("-czf").arg(&file).arg("--owner=0").args(["--group=0", "etc"]),
        )?;
        Ok(file)
    }

    fn import(&self, overlay: &Path, name: &str) -> anyhow::Result<Run> {
        let mut command = self.hoopy("import");
        command.arg(overlay).arg("--output").arg(self.dir.join(name)).args(["--kernel", "virt"]);
        timed(Figure::Cold, &mut command)
    }

    /// How many there are in the end.
    fn packages(&self, name: &str) -> anyhow::Result<usize> {
        let system = self.dir.join(name);
        chores::command(self.hoopy("lock").arg(&system))?;
        let lock = fs::read_to_string(system.join("hoopy.lock")).context("read hoopy.lock")?;
        Ok(lock.lines().filter(|line| *line == "[[package]]").count())
    }

    fn hoopy(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.hoopy);
        command.arg(verb).arg("--quiet").arg("--store").arg(self.dir.join("store"));
        command.arg("--mirror").arg(self.mirror.join("alpine")).arg("--keys").arg(self.mirror.join("keys"));
        command
    }
}
