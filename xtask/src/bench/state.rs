//! `cargo xtask bench state`: a backup beside `tar | zstd -3 | age`, its memory with holes of 10 GB, and what fifty secrets add
//! to a rebuild and to a boot.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::measure::{Figure, timed};
use super::{commit, copy_hello};
use crate::chores;

/// Rounds, of which the median counts.
const ROUNDS: usize = 5;

/// Files of the state that is saved, and bytes of each: half of them compress.
const FILES: usize = 2000;
const SIZE: usize = 100_000;

/// A hole: its bytes are read as zeros.
const SPARSE: u64 = 10 << 30;

/// Secrets of a machine with many.
const SECRETS: usize = 50;

/// What was measured, by name, as it goes into `state.json`.
type Measured = Vec<(&'static str, serde_json::Value)>;

/// Runs it, prints the table, and writes `target/bench/state.json`.
pub fn run(mirror: &Path) -> anyhow::Result<()> {
    let dir = chores::target().join("bench/state");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir)?;
    // One command: with another choice of packages cargo would build much of it again.
    let packages = ["--package", "hoopy", "--package", "hoopy-backup", "--package", "hoopyd"];
    let programs = ["--bin", "hoopy", "--example", "save", "--example", "open"];
    chores::run("cargo", &[&["build", "--quiet", "--release"][..], &packages, &programs].concat())?;
    let bench = Bench { dir, mirror: mirror.to_owned(), recipient: recipient()? };
    let load = load();
    let measured = bench.all();
    // Whatever went wrong: files of this size are not left.
    fs::remove_dir_all(&bench.dir)?;
    let mut all = serde_json::Map::new();
    // Figures of a computer with other work are worth less.
    all.insert("load_average_before".to_owned(), load.into());
    all.extend(measured?.into_iter().map(|(name, value)| (name.to_owned(), value)));
    let file = chores::target().join("bench/state.json");
    fs::write(&file, serde_json::to_vec_pretty(&all)?)?;
    println!("bench: {}", file.display());
    Ok(())
}

/// How many processes wanted a core in the last minute, before anything was measured.
fn load() -> f64 {
    let said = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    said.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or_default()
}

struct Bench {
    dir: PathBuf,
    mirror: PathBuf,
    recipient: String,
}

/// A key that nobody has: nothing is decrypted.
fn recipient() -> anyhow::Result<String> {
    let made = Command::new("age-keygen").stderr(Stdio::null()).output().context("age-keygen")?;
    let text = String::from_utf8(made.stdout)?;
    let line = text.lines().find_map(|line| line.strip_prefix("# public key: "));
    Ok(line.context("age-keygen printed no public key")?.to_owned())
}

fn example(name: &str) -> PathBuf {
    chores::target().join("release/examples").join(name)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

impl Bench {
    fn all(&self) -> anyhow::Result<Measured> {
        Ok([self.backups()?, self.sparse()?, self.secrets()?].concat())
    }

    fn backups(&self) -> anyhow::Result<Measured> {
        let data = self.dir.join("data");
        fs::create_dir(&data)?;
        for number in 0..FILES {
            let seed = u64::try_from(number)?.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            fs::write(data.join(number.to_string()), content(seed, number % 2 == 0))?;
        }
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            theirs.push(self.pipeline(&data)?);
            let begun = Instant::now();
            let out = File::create(self.dir.join("ours.age"))?;
            chores::command(Command::new(example("save")).arg(&data).arg(&self.recipient).stdout(out))?;
            ours.push(begun.elapsed());
        }
        let bytes = FILES * SIZE;
        let mut measured = vec![("state_bytes", bytes.into())];
        for (key, name, times, file) in [
            ("pipeline", "tar | zstd -3 | age", theirs, "theirs.age"),
            ("backup", "hoopy's backup", ours, "ours.age"),
        ] {
            let (size, seconds) = (fs::metadata(self.dir.join(file))?.len(), median(times).as_secs_f64());
            println!("bench: {name:<24} {} MiB in {seconds:>7.3} s, {} MiB", bytes >> 20, size >> 20);
            measured.push((key, serde_json::json!({ "seconds": seconds, "file_bytes": size })));
        }
        Ok(measured)
    }

    fn pipeline(&self, data: &Path) -> anyhow::Result<Duration> {
        let line = "tar -C \"$1\" -cf - . | zstd -q -3 | age -r \"$2\" >\"$3\"";
        let begun = Instant::now();
        let mut command = Command::new("sh");
        command.args(["-c", line, "sh"]).arg(data).arg(&self.recipient).arg(self.dir.join("theirs.age"));
        chores::command(&mut command)?;
        Ok(begun.elapsed())
    }

    fn sparse(&self) -> anyhow::Result<Measured> {
        let mut measured = Measured::new();
        for (key, name, size) in
            [("hole_of_100_mib", "100 MiB", 100 << 20), ("hole_of_10_gib", "10 GiB", SPARSE)]
        {
            let data = self.dir.join(format!("sparse-{size}"));
            fs::create_dir(&data)?;
            File::create(data.join("hole"))?.set_len(size)?;
            let run = timed(Figure::Cold, Command::new(example("save")).arg(&data).arg(&self.recipient))?;
            let (seconds, memory) = (run.wall.as_secs_f64(), run.memory >> 10);
            println!("bench: a file of {name} with no data     {seconds:>7.3} s, {memory} KiB of memory");
            measured.push((key, serde_json::json!({ "seconds": seconds, "peak_memory_bytes": run.memory })));
        }
        Ok(measured)
    }

    fn secrets(&self) -> anyhow::Result<Measured> {
        let mut opened = Vec::new();
        for round in 0..ROUNDS {
            // In memory, as a machine's root is: a disk would be asked to have each of them.
            let root = PathBuf::from(format!("/dev/shm/hoopy-bench-{}-{round}", std::process::id()));
            let said = Command::new(example("open")).arg(SECRETS.to_string()).arg(&root).output();
            fs::remove_dir_all(&root)?;
            let said = said?;
            let micros = String::from_utf8(said.stdout)?.trim().parse().context("open")?;
            opened.push(Duration::from_micros(micros));
        }
        let opened = median(opened).as_secs_f64();
        println!("bench: {SECRETS} secrets opened at boot   {:>7.3} ms", opened * 1000.0);
        let [without, with] = [0, SECRETS].map(|count| self.rebuilds(count));
        let (without, with) = (without?, with?);
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        println!(
            "bench: rebuild with 1 and with {SECRETS}     {:>7.1} ms, {:>7.1} ms",
            ms(without),
            ms(with)
        );
        Ok(vec![
            ("secrets", SECRETS.into()),
            ("secrets_opened_seconds", opened.into()),
            ("rebuild_with_one_secret_seconds", without.as_secs_f64().into()),
            ("rebuild_with_secrets_seconds", with.as_secs_f64().into()),
        ])
    }

    /// One file of `root/` changes, and the secrets do not.
    fn rebuilds(&self, secrets: usize) -> anyhow::Result<Duration> {
        let system = self.dir.join(format!("system-{secrets}"));
        copy_hello(&system)?;
        commit(&system)?;
        let hoopy = |args: &[&str]| {
            let mut command = Command::new(chores::target().join("release/hoopy"));
            command.args(args).args(["--quiet", "--store"]).arg(self.dir.join("store"));
            command
                .arg("--mirror")
                .arg(self.mirror.join("alpine"))
                .arg("--keys")
                .arg(self.mirror.join("keys"));
            command
                .env("HOME", &self.dir)
                .env("HOOPY_AGENTS", chores::target().join("hoopyd"))
                .current_dir(&system);
            command
        };
        // Both have secrets/, and so the agent: what is compared is fifty against one.
        chores::command(&mut hoopy(&["secret", "init", "--open", "owner", "--recipient", &self.recipient]))?;
        for number in 0..secrets.max(1) {
            let token = File::open(system.join("hoopy.toml"))?;
            chores::command(hoopy(&["secret", "set", &format!("/etc/app/{number}")]).stdin(token))?;
        }
        chores::command(&mut hoopy(&["build"]))?;
        let mut times = Vec::new();
        for round in 0..ROUNDS {
            fs::write(system.join("root/etc/motd"), format!("{round}\n"))?;
            times.push(timed(Figure::OneFile, &mut hoopy(&["build"]))?.wall);
        }
        Ok(median(times))
    }
}

/// Bytes of a file: text that repeats, or bytes that do not compress.
fn content(mut seed: u64, repeats: bool) -> Vec<u8> {
    let next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        if repeats { b'a' + (seed % 4) as u8 } else { seed.to_le_bytes()[0] }
    };
    std::iter::repeat_with(next).take(SIZE).collect()
}
