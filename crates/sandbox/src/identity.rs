//! Who runs scripts: root as it is, or an ordinary user as root of a user namespace, in which 0 is the user and
//! 1 to 65535 are the user's subordinate ids (subuid(5), subgid(5), newuidmap(1)).

use std::io;
use std::process::{Command, Stdio};

use hoopy_base::digest::ContentId;
use rustix::process::{getegid, geteuid};
use rustix::thread::{CapabilitySet, capabilities};

use super::SandboxError;

/// The ids that Alpine's packages own files by: all that fit 16 bits, less root.
const WANTED: u64 = 65535;

/// A run of ids outside, which follow each other inside.
type Range = (u64, u64);

/// As what scripts run.
#[derive(Debug, Clone)]
pub(super) enum Identity {
    /// Root, with the right to mount: ids are the same inside and outside.
    Root,
    /// An ordinary user, with these ranges of ids.
    Mapped { users: Vec<Range>, groups: Vec<Range> },
}

impl Identity {
    /// That of the running process.
    ///
    /// # Errors
    /// [`SandboxError::NoSubordinateIds`].
    pub(super) fn of_this_process() -> Result<Self, SandboxError> {
        let mounts = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN));
        if geteuid().is_root() && mounts {
            return Ok(Self::Root);
        }
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let uid = geteuid().as_raw();
        let name = user_name(&read("/etc/passwd"), uid);
        let ranges = |file: &'static str| {
            let (ranges, found) = ranges(&read(file), &name, uid);
            let user = name.clone();
            if found == WANTED {
                return Ok(ranges);
            }
            Err(SandboxError::NoSubordinateIds { user, file, found, wanted: WANTED })
        };
        Ok(Self::Mapped { users: ranges("/etc/subuid")?, groups: ranges("/etc/subgid")? })
    }

    /// A name for this mapping: files made under one can't be used under another.
    pub(super) fn name(&self) -> String {
        let Self::Mapped { users, groups } = self else { return "root".into() };
        let map = format!("{users:?} {groups:?} {} {}", geteuid().as_raw(), getegid().as_raw());
        let mut digest = ContentId::of(map.as_bytes()).to_string();
        digest.truncate(16);
        format!("u{}-{digest}", geteuid().as_raw())
    }

    /// Gives the user namespace of process `pid` its ids.
    ///
    /// # Errors
    /// [`SandboxError::NoMapTool`], [`SandboxError::MapTool`].
    pub(super) fn map(&self, pid: u32) -> Result<(), SandboxError> {
        let Self::Mapped { users, groups } = self else { return Ok(()) };
        map_with("newuidmap", pid, geteuid().as_raw(), users)?;
        map_with("newgidmap", pid, getegid().as_raw(), groups)
    }
}

fn map_with(tool: &'static str, pid: u32, own: u32, ranges: &[Range]) -> Result<(), SandboxError> {
    let mut command = Command::new(tool);
    command.args([pid, 0, own, 1].map(|n| n.to_string()));
    let mut inside = 1;
    for (start, count) in ranges {
        command.args([inside, *start, *count].map(|n| n.to_string()));
        inside += count;
    }
    match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(SandboxError::MapTool { tool, message })
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(SandboxError::NoMapTool { tool }),
        Err(e) => Err(SandboxError::MapTool { tool, message: e.to_string() }),
    }
}

/// The name of user `uid` in a `passwd`, or the number.
fn user_name(passwd: &str, uid: u32) -> String {
    let number = uid.to_string();
    let line = passwd.lines().find(|line| line.split(':').nth(2) == Some(&number));
    line.and_then(|line| line.split(':').next()).map_or(number.clone(), str::to_owned)
}

/// The first [`WANTED`] ids of a user in a `subuid` or `subgid`, and how many were found.
fn ranges(file: &str, name: &str, uid: u32) -> (Vec<Range>, u64) {
    let number = uid.to_string();
    let mut found = 0;
    let mut ranges = Vec::new();
    for line in file.lines() {
        let mut parts = line.trim().split(':');
        let user = parts.next();
        let (Some(Ok(start)), Some(Ok(count))) =
            (parts.next().map(str::parse::<u64>), parts.next().map(str::parse::<u64>))
        else {
            continue;
        };
        let count = count.min(WANTED - found);
        if (user == Some(name) || user == Some(&number)) && count > 0 {
            ranges.push((start, count));
            found += count;
        }
    }
    (ranges, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_users_ranges_by_name_and_by_number() {
        let file = "root:1:5\n# x\nann:100000:1000\nbob:0:1\n1000:200000:65536\n";
        assert_eq!(ranges(file, "ann", 1000), (vec![(100_000, 1000), (200_000, 64535)], WANTED));
        assert_eq!(ranges(file, "ann", 1001), (vec![(100_000, 1000)], 1000));
        assert_eq!(ranges("", "ann", 1000), (vec![], 0));
    }

    #[test]
    fn names_a_user_as_passwd_does_or_by_number() {
        let passwd = "root:x:0:0:::\nann:x:1000:1000:::\n";
        assert_eq!(user_name(passwd, 1000), "ann");
        assert_eq!(user_name(passwd, 7), "7");
    }
}
