//! How the machine is, read from `/proc`, `/sys` and what hoopy's services left in `/run`.
//!
//! Every reader takes the root to read below, so that tests have machines of their own. What is not there, or does not
//! parse, is left out: a page with a gap is of more use than none.

pub mod changed;
pub mod disks;
pub mod hardware;
pub mod hoopy;
pub mod problems;
pub mod services;
pub mod volumes;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use hoopy_base::input;
use hoopy_boot::drift::Ignored;
use hoopy_boot::monitor::Settings;
use hoopy_boot::status::{self, Changed, Status, Volume};

use crate::map;

/// More than any file of `/proc` or `/sys` that is read here.
const MAX_FILE: u64 = 256 << 10;

/// What takes longer to find out than to read a file, and comes from outside.
#[derive(Debug, Clone, Default)]
pub struct Slow {
    /// Volumes, whose states are asked of programs.
    pub volumes: Vec<Volume>,
    /// What the next reboot erases: a walk over the root.
    pub changed: Option<Changed>,
}

impl Slow {
    /// Finds it out.
    pub fn look(root: &Path, ignored: &Ignored) -> Self {
        Self { volumes: volumes::look(root), changed: changed::look(root, ignored) }
    }
}

/// What changes on every boot, or may: what services write, what `hoopy.toml` names, and opened secrets.
pub fn expected_changes(root: &Path, settings: &Settings) -> Ignored {
    let secrets = map::read(root).map(|map| map.files).unwrap_or_default();
    let secrets = secrets.into_iter().map(|file| file.path);
    Ignored::new(&settings.drift_ignore.iter().cloned().chain(secrets).collect::<Vec<_>>())
}

/// Looks at the machine once.
pub fn look(root: &Path, settings: &Settings, slow: &Slow) -> Status {
    let mut status = Status {
        version: status::VERSION,
        time: now(),
        host: line(root, "proc/sys/kernel/hostname"),
        image: hoopy::image(root, settings),
        health: hoopy::health(root),
        secrets: hoopy::secrets(root),
        volumes: slow.volumes.clone(),
        uptime: hardware::uptime(root),
        memory: hardware::memory(root),
        load: hardware::load(root),
        cores: hardware::cores(root),
        filesystems: disks::filesystems(root),
        pools: disks::pools(root),
        temperatures: hardware::temperatures(root),
        interfaces: hardware::interfaces(root),
        services: services::services(root),
        changed: slow.changed.clone(),
        ..Status::default()
    };
    status.problems = problems::of(&status, settings.update_days);
    status.summary = problems::summary(&status.problems);
    status
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A small file below `root` as text; empty where it cannot be read.
pub fn text(root: &Path, path: &str) -> String {
    let bytes = input::read_up_to(&root.join(path), MAX_FILE).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The same without the line break at its end.
pub fn line(root: &Path, path: &str) -> String {
    text(root, path).trim().to_owned()
}

/// The names in a directory below `root`, sorted.
pub fn names(root: &Path, path: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root.join(path)).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).take(MAX_NAMES).collect();
    names.sort();
    names
}

/// No directory that is read here has more names on a machine that works.
const MAX_NAMES: usize = 1000;
