//! `cargo xtask bench boot`: hello as a hoopy image beside the very same Alpine, installed on a disk as `setup-disk` leaves
//! it. The same packages, services, QEMU, memory and processors; rounds take turns.
//!
//! ```text
//! power on ── firmware ── loader ── kernel and initramfs ── init ── login:
//!          BdsDxe: starting   uptime 0          OpenRC's banner
//! ```
//!
//! Where the kernel begins is found backwards, from its own clock at the login: a quiet console says nothing of it.

mod installed;
mod machine;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use super::{chart, commit, copy_hello};
use crate::{chores, mirror, setup};
use machine::Boot;

/// Rounds, of which the median counts.
const ROUNDS: usize = 3;

/// What is said of a machine once it is up: a service of the default runlevel, which starts after all others.
const MARK: &str = include_str!("mark.initd");

/// Boots both in turns, prints the table, and writes `target/bench/boot.json` and `boot.svg`.
pub fn run(idle: Duration) -> anyhow::Result<()> {
    anyhow::ensure!(std::env::consts::ARCH == "x86_64", "the installed system is made for x86_64");
    anyhow::ensure!(chores::is_root(), "the installed system's files have owners: run this as root");
    setup::run()?;
    let mirror = mirror::run()?;
    chores::run("cargo", &["build", "--quiet", "--release", "--package", "hoopy"])?;
    let dir = chores::target().join("bench/boot");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir)?;
    let measured = Hello { dir: dir.clone(), mirror }.measure(idle);
    fs::remove_dir_all(&dir)?;
    show(&measured?)
}

/// Both systems, measured.
struct Measured {
    hoopy: Vec<Boot>,
    installed: Vec<Boot>,
    /// Bytes of the files that the image keeps in memory.
    tree: u64,
    /// How long a machine was watched at rest, and the bytes that it wrote to its disk.
    idle: (Duration, u64),
}

struct Hello {
    dir: PathBuf,
    mirror: PathBuf,
}

impl Hello {
    fn measure(&self, idle: Duration) -> anyhow::Result<Measured> {
        let system = self.system()?;
        let images = system.join("images");
        self.hoopy(&["build"], &system)?;
        let disk = self.dir.join("hoopy.img");
        self.hoopy(&["disk", "--output", installed::text(&disk)?], &system)?;
        self.hoopy(&["build", "--output", "kernel+initramfs"], &system)?;
        self.hoopy(&["build", "--output", "tar"], &system)?;
        let kernel = find(&images, "vmlinuz")?;
        let tree = self.dir.join("tree");
        installed::unpack(&find(&images, ".tar")?, &tree)?;
        let bytes = installed::size(&tree)?;
        let installed = installed::disk(&self.dir, &tree, &kernel)?;
        let accelerator = machine::accelerator(&self.program())?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 1..=ROUNDS {
            println!("bench: round {round} of {ROUNDS}");
            theirs.push(
                machine::boot(&installed, &self.dir, accelerator, None).context("the installed system")?.0,
            );
            // The last of them is left alone for a while.
            let rest = (round == ROUNDS).then_some(idle);
            ours.push(machine::boot(&disk, &self.dir, accelerator, rest).context("hoopy's image")?);
        }
        let written = ours.last().map_or(0, |(_, written)| *written);
        let hoopy = ours.into_iter().map(|(boot, _)| boot).collect();
        Ok(Measured { hoopy, installed: theirs, tree: bytes, idle: (idle, written) })
    }

    /// hello, with a service that says how the machine is.
    fn system(&self) -> anyhow::Result<PathBuf> {
        let system = self.dir.join("hello");
        copy_hello(&system)?;
        let file = system.join("hoopy.toml");
        let text = fs::read_to_string(&file)?;
        fs::write(file, format!("cmdline = \"console=tty1 console=ttyS0 no_timer_check\"\n{text}"))?;
        let services = system.join("root/etc/init.d");
        fs::create_dir_all(&services)?;
        let service = services.join("mark");
        fs::write(&service, MARK)?;
        fs::set_permissions(&service, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        let setup = system.join("setup.sh");
        let text = fs::read_to_string(&setup)?;
        fs::write(setup, format!("{text}\nrc-update -q add mark default\n"))?;
        commit(&system)?;
        Ok(system)
    }

    fn program(&self) -> PathBuf {
        chores::target().join("release/hoopy")
    }

    fn hoopy(&self, arguments: &[&str], system: &Path) -> anyhow::Result<()> {
        let mut command = Command::new(self.program());
        command.args(arguments).arg(system).arg("--quiet");
        command.arg("--mirror").arg(self.mirror.join("alpine")).arg("--keys").arg(self.mirror.join("keys"));
        command.arg("--store").arg(self.dir.join("store"));
        chores::command(&mut command)
    }
}

/// The file in `dir` whose name has this in it.
fn find(dir: &Path, part: &str) -> anyhow::Result<PathBuf> {
    let entries = fs::read_dir(dir)?.flatten().map(|entry| entry.path());
    let mut named = entries.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.contains(part) && !path.is_symlink()
    });
    named.next().with_context(|| format!("no file called *{part}* in {}", dir.display()))
}

/// A row of the table, and what of a boot it shows.
type Row = (&'static str, fn(&Boot) -> f64);

fn show(measured: &Measured) -> anyhow::Result<()> {
    let rows: [Row; 5] = [
        ("firmware", |boot| boot.firmware),
        ("loader", |boot| boot.loader),
        ("kernel and initramfs", |boot| boot.kernel),
        ("init", |boot| boot.init),
        ("power on to login", Boot::all),
    ];
    println!("{:<22}{:>12}{:>12}", "", "hoopy", "installed");
    let mut json = serde_json::Map::new();
    let mut total = [0.0; 2];
    for (name, get) in rows {
        let seconds = [&measured.hoopy, &measured.installed].map(|boots| median(boots, get));
        println!("{name:<22}{:>10.2} s{:>10.2} s", seconds[0], seconds[1]);
        json.insert(name.to_owned(), serde_json::json!({ "hoopy": seconds[0], "installed": seconds[1] }));
        total = seconds;
    }
    let bytes: [Row; 2] =
        [("memory in use", |boot| boot.memory as f64), ("read from the disk", |boot| boot.read as f64)];
    for (name, get) in bytes {
        let both = [&measured.hoopy, &measured.installed].map(|boots| median(boots, get));
        println!("{name:<22}{:>9.1} MB{:>9.1} MB", both[0] / 1e6, both[1] / 1e6);
        json.insert(name.to_owned(), serde_json::json!({ "hoopy": both[0], "installed": both[1] }));
    }
    let (idle, written) = measured.idle;
    println!("{:<22}{:>9.1} MB", "files in memory", measured.tree as f64 / 1e6);
    println!("written at rest, {} s {written:>6} bytes", idle.as_secs());
    json.insert("tree_bytes".to_owned(), measured.tree.into());
    json.insert(
        "idle".to_owned(),
        serde_json::json!({ "seconds": idle.as_secs(), "bytes_written": written }),
    );
    let dir = chores::target().join("bench");
    fs::write(dir.join("boot.json"), serde_json::to_vec_pretty(&json)?)?;
    let bars = [("installed", total[1]), ("hoopy", total[0])];
    fs::write(dir.join("boot.svg"), chart::draw("hello from power on to login, in seconds", &bars))?;
    println!("bench: {0}/boot.json, {0}/boot.svg", dir.display());
    Ok(())
}

fn median(boots: &[Boot], get: fn(&Boot) -> f64) -> f64 {
    let mut all: Vec<f64> = boots.iter().map(get).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
}
