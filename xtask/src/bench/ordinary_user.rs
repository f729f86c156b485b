//! The builds of the benchmark once more as an ordinary user, whose scripts run in ids of `/etc/subuid`.
//!
//! Root starts this program again as `nobody`, in a mount namespace of its own where `/etc/subuid` gives `nobody` a range,
//! and where everything that it needs is below one directory: a home of root's would be closed to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::measure::{Figure, Run};
use super::{Bench, ROUNDS};
use crate::chores;

/// Where the benchmark's directory is in that namespace; every computer has it.
const PLACE: &str = "/mnt";

/// uid and gid of `nobody`, who is in every `/etc/passwd`.
const NOBODY: &str = "65534";

/// What a shell does in that namespace, given the benchmark's directory and the mirror: it becomes `nobody` and starts
/// this program again.
fn enter() -> String {
    format!(
        "mount --bind \"$0/ids\" /etc/subuid && mount --bind \"$0/ids\" /etc/subgid && \
         mount --bind \"$0\" {PLACE} && mount --bind \"$1\" {PLACE}/mirror && cd {PLACE} && \
         exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups env HOME={PLACE}/home \
         XDG_CACHE_HOME={PLACE}/home/cache XDG_STATE_HOME={PLACE}/home/state {PLACE}/xtask bench --inside {PLACE}"
    )
}

/// What can be measured without the pipeline, which needs root.
const FIGURES: [Figure; 4] = [Figure::Cold, Figure::NoChange, Figure::OneFile, Figure::Script];

/// Builds as `nobody`; what each took.
///
/// # Errors
/// What keeps another user from building here.
pub fn measure(bench: &Bench) -> anyhow::Result<Vec<Run>> {
    let dir = bench.dir.join("work/user");
    for inner in ["mirror", "home", "work"] {
        fs::create_dir_all(dir.join(inner))?;
    }
    fs::copy(std::env::current_exe()?, dir.join("xtask"))?;
    fs::copy(&bench.hoopy, dir.join("hoopy"))?;
    fs::write(dir.join("ids"), "nobody:200000:65536\n")?;
    chores::command(Command::new("cp").arg("-r").arg(&bench.system).arg(dir.join("work/hello")))?;
    for gone in ["images", "hoopy.lock"] {
        let gone = dir.join("work/hello").join(gone);
        let _ = fs::remove_dir_all(&gone).or_else(|_| fs::remove_file(&gone));
    }
    chores::command(Command::new("chown").args(["-R", &format!("{NOBODY}:{NOBODY}")]).arg(&dir))?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &enter()]).arg(&dir).arg(&bench.mirror);
    chores::command(&mut command).context("cannot build as an ordinary user")?;
    read(&dir.join("runs"))
}

/// What the program that was started by [`measure`] does in `dir`.
///
/// # Errors
/// A build that fails.
pub fn inside(dir: &Path) -> anyhow::Result<()> {
    let bench = Bench {
        hoopy: dir.join("hoopy"),
        mirror: dir.join("mirror"),
        system: dir.join("work/hello"),
        dir: dir.to_owned(),
        stub: PathBuf::new(),
    };
    let mut runs = Vec::new();
    for round in 1..=ROUNDS {
        println!("bench: round {round} of {ROUNDS}, as an ordinary user");
        bench.builds(round, &mut runs)?;
    }
    let line = |run: &Run| {
        let figure = FIGURES.iter().position(|figure| *figure == run.figure);
        let figure =
            figure.with_context(|| format!("{:?} is not measured as an ordinary user", run.figure))?;
        Ok(format!("{figure} {} {} {}\n", run.wall.as_nanos(), run.memory, run.size))
    };
    let lines = runs.iter().map(line).collect::<anyhow::Result<String>>()?;
    fs::write(dir.join("runs"), lines).map_err(Into::into)
}

fn read(file: &Path) -> anyhow::Result<Vec<Run>> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    text.lines()
        .map(|line| {
            let numbers: Vec<u64> = line.split(' ').filter_map(|number| number.parse().ok()).collect();
            let [figure, wall, memory, size] = numbers[..] else { bail!("{}: {line:?}", file.display()) };
            let figure = FIGURES.get(figure as usize).copied().context("an unknown figure")?;
            Ok(Run { figure, wall: Duration::from_nanos(wall), memory, size })
        })
        .collect()
}

/// Whether this program can be started as another user.
pub fn can_be_tried() -> bool {
    Path::new(PLACE).is_dir() && chores::is_root()
}
