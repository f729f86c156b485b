//! Measuring one command: wall time, and the most memory that it and its children held.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::bail;

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
    /// Bytes: the sum over its processes of each one's largest resident set.
    pub memory: u64,
    /// Bytes of the file that it wrote.
    pub size: u64,
}

impl Run {
    pub fn with_size(self, file: &Path) -> Self {
        Self { size: fs::metadata(file).map_or(0, |m| m.len()), ..self }
    }
}

/// How often the processes are looked at.
const TICK: Duration = Duration::from_millis(2);

/// Runs `command` to its end, its output kept for the case that it fails.
pub fn timed(figure: Figure, command: &mut Command) -> anyhow::Result<Run> {
    let shown = format!("{command:?}");
    let words = tempfile::tempfile()?;
    command.stdin(Stdio::null()).stdout(words.try_clone()?).stderr(words.try_clone()?);
    let start = Instant::now();
    let mut child = command.spawn()?;
    let watched = child.id();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let watcher = std::thread::spawn(move || {
        let mut peaks = HashMap::new();
        while stopped.recv_timeout(TICK).is_err_and(|e| e == std::sync::mpsc::RecvTimeoutError::Timeout) {
            look(watched, &mut peaks);
        }
        peaks.values().sum()
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

/// Notes the peaks of `pid` and of what it has started (proc(5): `VmHWM`, and `children` of each thread).
fn look(pid: u32, peaks: &mut HashMap<u32, u64>) {
    let proc = format!("/proc/{pid}");
    let status = fs::read_to_string(format!("{proc}/status")).unwrap_or_default();
    let peak = status
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    if let Some(peak) = peak {
        let known = peaks.entry(pid).or_default();
        *known = (*known).max(peak << 10);
    }
    for thread in fs::read_dir(format!("{proc}/task")).into_iter().flatten().flatten() {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        children.split_whitespace().filter_map(|c| c.parse().ok()).for_each(|child| look(child, peaks));
    }
}
