//! Measuring one command: wall time, and the most memory that it and its children held.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::chores;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    Pipeline,
    Cold,
    Script,
    OneFile,
    NoChange,
    Copy,
    Compress,
}

/// One command, measured.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    pub figure: Figure,
    pub wall: Duration,
    /// Bytes: the most that it and its children held at one time.
    pub memory: u64,
    /// Bytes of the file that it wrote.
    pub size: u64,
}

impl Run {
    pub fn with_size(self, file: &Path) -> Self {
        Self { size: fs::metadata(file).map_or(0, |m| m.len()), ..self }
    }
}

/// How often the processes are looked at: seldom enough that looking takes nothing from them.
const TICK: Duration = Duration::from_millis(10);

/// Runs `command` to its end, its output kept for the case that it fails. What the command before it wrote reaches
/// the disk first: a sync of one file waits for all that lies before it in the filesystem's journal.
pub fn timed(figure: Figure, command: &mut Command) -> anyhow::Result<Run> {
    let shown = format!("{command:?}");
    let words = tempfile::tempfile()?;
    command.stdin(Stdio::null()).stdout(words.try_clone()?).stderr(words.try_clone()?);
    chores::run("sync", &[])?;
    let start = Instant::now();
    let mut child = command.spawn()?;
    let watched = child.id();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let watcher = std::thread::spawn(move || {
        let mut peak = 0;
        while stopped.recv_timeout(TICK).is_err_and(|e| e == std::sync::mpsc::RecvTimeoutError::Timeout) {
            peak = peak.max(resident(watched));
        }
        peak
    });
    let status = child.wait()?;
    let wall = start.elapsed();
    drop(stop);
    let memory = watcher.join().unwrap_or_default();
    if !status.success() {
        bail!("{shown}: {status}\n{}", said(words)?);
    }
    Ok(Run { figure, wall, memory, size: 0 })
}

fn said(mut words: fs::File) -> anyhow::Result<String> {
    use std::io::{Read as _, Seek as _};
    let mut text = String::new();
    words.rewind()?;
    words.read_to_string(&mut text)?;
    Ok(text)
}

/// What `pid` and all that it has started hold (proc(5): `RssAnon`, and `children` of each thread). Pages of files
/// are not counted: the system shares them, and takes them back when it needs them.
fn resident(pid: u32) -> u64 {
    let proc = format!("/proc/{pid}");
    let status = fs::read_to_string(format!("{proc}/status")).unwrap_or_default();
    let own = status
        .lines()
        .find_map(|l| l.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let threads = fs::read_dir(format!("{proc}/task")).into_iter().flatten().flatten();
    let children =
        threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    let below =
        children.flat_map(|c| c.split_whitespace().filter_map(|c| c.parse().ok()).collect::<Vec<u32>>());
    own.unwrap_or(0) * 1024 + below.map(resident).sum::<u64>()
}
