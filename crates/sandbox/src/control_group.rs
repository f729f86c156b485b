//! Control groups (cgroups(7)): what bounds the memory and processes of a session with all that runs in it, where this
//! user may make one. Elsewhere the limits of each process count (setrlimit(2)).
//!
//! A group is removed when its session ends. Where hoopy is killed, or ended by a signal, that is left to a process of its
//! own, which waits for the end of hoopy by a pipe: no handler of signals can be relied on, and no other helper has the
//! right.
//!
//! A process is moved to its group beside what else is done to start a session: the kernel waits for every core then.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Limits;
use super::arguments::{KEEPER, MARK};

/// The beginning of a group's name, behind which the process id of its owner stands.
const PREFIX: &str = "hoopy-";

/// How often, and after which time each, it is tried to remove a group whose last process is just ending.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(5);

/// The groups of a session: one, or one in each hierarchy of the first version.
#[derive(Debug, Default)]
pub(super) struct ControlGroup {
    dirs: Vec<PathBuf>,
    moving: Option<JoinHandle<()>>,
}

impl ControlGroup {
    /// Makes groups with `limits` and begins to move process `pid` there. There is none where that is not allowed.
    /// `program` is started once, to remove what this process leaves.
    pub(super) fn of(pid: u32, limits: &Limits, program: &Path) -> Self {
        static ENDING: OnceLock<Option<ChildStdin>> = OnceLock::new();
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let parents = parents(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"));
        let dirs: Vec<PathBuf> = parents.iter().filter_map(|parent| make(parent, limits).ok()).collect();
        if dirs.is_empty() {
            return Self::default();
        }
        ENDING.get_or_init(|| start_keeper(program, &parents).ok().flatten());
        let to = dirs.clone();
        let moving =
            move || to.iter().for_each(|dir| drop(fs::write(dir.join("cgroup.procs"), pid.to_string())));
        let moving = std::thread::Builder::new().name("group of scripts".to_owned()).spawn(moving);
        Self { dirs, moving: moving.ok() }
    }

    /// Waits until the process is in its group.
    pub(super) fn settle(&mut self) {
        if let Some(moving) = self.moving.take() {
            let _ = moving.join();
        }
    }

    /// How often the kernel has ended a process here for want of memory.
    pub(super) fn out_of_memory(&self) -> u64 {
        self.count(&["memory.events", "memory.oom_control"], "oom_kill")
    }

    /// How often it was refused to start a process.
    pub(super) fn out_of_processes(&self) -> u64 {
        self.count(&["pids.events"], "max")
    }

    fn count(&self, files: &[&str], key: &str) -> u64 {
        let texts =
            self.dirs.iter().flat_map(|dir| files.iter().map(|file| fs::read_to_string(dir.join(file))));
        let count =
            |text: String| text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<u64>().ok());
        texts.flatten().filter_map(count).sum()
    }
}

impl Drop for ControlGroup {
    /// Comes when the last process has ended, of which the kernel may not know everywhere yet.
    fn drop(&mut self) {
        self.settle();
        for dir in &self.dirs {
            for _ in 0..TRIES {
                match fs::remove_dir(dir) {
                    Err(e) if e.kind() == io::ErrorKind::ResourceBusy => std::thread::sleep(PAUSE),
                    _ => break,
                }
            }
        }
    }
}

/// Starts the helper that removes this process's groups in `parents` when it has ended: when the pipe closes that it gives.
fn start_keeper(program: &Path, parents: &[PathBuf]) -> io::Result<Option<ChildStdin>> {
    let mut command = Command::new(program);
    let parents = parents.iter().filter_map(|parent| parent.to_str());
    command.arg0("hoopy").args([MARK, KEEPER]).arg(std::process::id().to_string()).args(parents);
    // Nothing of it keeps a terminal, a pipe or a mount busy
    command.env_clear().current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command.spawn()?.stdin)
}

/// The `main` of that helper, with the process and the directories in which its groups are.
pub(super) fn remove_after(mut arguments: impl Iterator<Item = String>) -> io::Result<()> {
    // Not in the terminal's group: Ctrl-C is for hoopy
    let _ = rustix::process::setsid();
    let own = format!("{PREFIX}{}-", arguments.next().unwrap_or_default());
    let parents: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    io::copy(&mut io::stdin(), &mut io::sink())?;
    for _ in 0..TRIES {
        if parents.iter().map(|parent| remove_named(parent, |name| name.starts_with(&own))).sum::<usize>()
            == 0
        {
            break;
        }
        std::thread::sleep(PAUSE * 10);
    }
    Ok(())
}

/// The directories in which groups that bound memory or processes can be made.
fn parents(groups: &str, mounts: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let own = |mount: PathBuf| mount.join(path.trim_start_matches('/'));
        if controllers.is_empty() {
            // Of the second version a group has either processes or groups: ours is a sibling, but for the top
            let Some(mount) = mount_of(mounts, "cgroup2", "") else { continue };
            let (top, own) = (path == "/", own(mount));
            found.extend(if top { Some(own) } else { own.parent().map(Path::to_owned) });
        } else if let Some(one) = controllers.split(',').find(|one| matches!(*one, "memory" | "pids")) {
            found.extend(mount_of(mounts, "cgroup", one).map(own));
        }
    }
    found
}

/// Where the hierarchy with this controller is mounted (proc(5), `mountinfo`).
fn mount_of(mounts: &str, kind: &str, controller: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        let is_it = after.next() == Some(kind)
            && (controller.is_empty() || after.nth(1)?.split(',').any(|option| option == controller));
        is_it.then(|| before.split(' ').nth(4).map(PathBuf::from)).flatten()
    })
}

fn make(parent: &Path, limits: &Limits) -> io::Result<PathBuf> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    remove_left(parent);
    let name = format!("{PREFIX}{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let dir = parent.join(name);
    fs::create_dir(&dir)?;
    let memory = limits.memory.to_string();
    let processes = limits.processes.to_string();
    let bounds = [("memory.max", &memory), ("memory.limit_in_bytes", &memory), ("pids.max", &processes)];
    let bounded = bounds.iter().filter(|(file, value)| {
        let path = dir.join(file);
        path.exists() && fs::write(path, value.as_bytes()).is_ok()
    });
    if bounded.count() > 0 {
        // Or it would go on in the swap
        let _ = fs::write(dir.join("memory.swap.max"), "0");
        return Ok(dir);
    }
    let _ = fs::remove_dir(&dir);
    Err(io::ErrorKind::Unsupported.into())
}

/// Removes the groups of those that were killed.
fn remove_left(parent: &Path) {
    remove_named(parent, |name| {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        owner.is_some_and(|owner| !Path::new("/proc").join(owner.to_string()).exists())
    });
}

/// Removes the groups in `parent` that are of these; gives how many stay, since processes are still in them.
fn remove_named(parent: &Path, is_of_these: impl Fn(&str) -> bool) -> usize {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let these = entries.filter(|entry| entry.file_name().to_str().is_some_and(&is_of_these));
    these.filter(|entry| fs::remove_dir(entry.path()).is_err()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "30 24 0:26 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw\n\
                          31 24 0:27 / /sys/fs/cgroup/memory rw shared:10 - cgroup cgroup rw,memory\n\
                          32 24 0:28 / /sys/fs/cgroup/pids rw shared:11 - cgroup cgroup rw,pids\n";

    #[test]
    fn groups_are_made_beside_ones_own_or_below_it() {
        let shown = |groups: &str| parents(groups, MOUNTS);
        let unified = Path::new("/sys/fs/cgroup/unified");
        assert_eq!(shown("0::/user.slice/session-1.scope\n"), [unified.join("user.slice")]);
        assert_eq!(shown("0::/\n"), [unified]);
        let first = shown("8:pids:/\n4:memory:/a/b\n3:cpuset:/\n");
        assert_eq!(first, [Path::new("/sys/fs/cgroup/pids"), Path::new("/sys/fs/cgroup/memory/a/b")]);
        assert!(parents("4:memory:/\n", "").is_empty());
    }
}
