//! The processes that a process has started, and theirs: to end all of them.

use std::fs;
use std::process::Command;

/// `pid` and all processes below it, parents first.
pub fn descendants(pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, parent(pid)?)))
        .collect();
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(&parent) = all.get(next) {
        all.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    all
}

/// The fourth field of `/proc/PID/stat`; the second is a name in parentheses, which may hold anything (proc(5)).
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// The command line of a process that has not ended.
pub fn command_line(pid: u32) -> Option<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let text = String::from_utf8_lossy(&line).replace('\0', " ");
    Some(text.trim_end().to_owned()).filter(|text| !text.is_empty())
}

/// Kills `pid` and all below it; their command lines.
pub fn kill_tree(pid: u32) -> Vec<String> {
    let all = descendants(pid);
    let lines = all.iter().filter_map(|pid| command_line(*pid)).collect();
    let pids = all.iter().map(u32::to_string);
    let _ = Command::new("kill").arg("-KILL").args(pids).status();
    lines
}
