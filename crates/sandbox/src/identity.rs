//! As whom scripts run: always as root of a user namespace, over ids that have no rights on the host.
//!
//! An ordinary user is 0 there, and 1 to 65535 are its subordinate ids (subuid(5), subgid(5), newuidmap(1)). Root takes
//! 65536 ids that nobody else has, so that what a script reaches by mistake is nothing of root's. In a container that
//! has too few ids for that, root is 0 there as an ordinary user is.

use std::process::{Command, Stdio};
use std::{fs, io};

use hoopy_base::digest::ContentId;
use rustix::process::{getegid, geteuid};
use rustix::thread::{CapabilitySet, capabilities};

use super::SandboxError;

/// The ids that Alpine's packages own files by: all that fit 16 bits.
const IDS: u64 = 1 << 16;

/// The ids that an ordinary user needs beside its own.
const WANTED: u64 = IDS - 1;

/// Where root looks for ids: systemd's list of what is given to whom (docs/UIDS-GIDS.md there) leaves these free.
const FREE: std::ops::Range<u64> = 0x7000_0000..0x7400_0000;

/// How many ids a system has that is not a container.
const ALL: u64 = u32::MAX as u64;

/// A run of ids outside, which follow each other inside: the first, and how many.
type Range = (u64, u64);

/// The ids of a user namespace, from 0 upwards.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    users: Vec<Range>,
    groups: Vec<Range>,
    /// Whether this is root, who needs no program to map ids.
    root: bool,
}

impl Identity {
    /// That of the running process.
    ///
    /// # Errors
    /// [`SandboxError::NoSubordinateIds`].
    pub(super) fn of_this_process() -> Result<Self, SandboxError> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        if geteuid().is_root() && may_map() {
            return Self::of_root(&read);
        }
        let uid = geteuid().as_raw();
        let name = user_name(&read("/etc/passwd"), uid);
        let ranges = |own: u32, file: &'static str| {
            let (mut ranges, found) = ranges(&read(file), &name, uid);
            let user = name.clone();
            if found == WANTED {
                ranges.insert(0, (own.into(), 1));
                return Ok(ranges);
            }
            Err(SandboxError::NoSubordinateIds { user, file, found, wanted: WANTED })
        };
        let users = ranges(uid, "/etc/subuid")?;
        let groups = ranges(getegid().as_raw(), "/etc/subgid")?;
        Ok(Self { users, groups, root: false })
    }

    /// That of root, from what `read` gives for files.
    fn of_root(read: &dyn Fn(&str) -> String) -> Result<Self, SandboxError> {
        let of =
            |files: [&str; 2], ranges: fn(&str) -> Vec<Range>| files.map(|file| ranges(&read(file))).concat();
        let taken =
            [of(["/etc/subuid", "/etc/subgid"], all_ranges), of(["/etc/passwd", "/etc/group"], numbers)]
                .concat();
        let there = ["/proc/self/uid_map", "/proc/self/gid_map"].map(|file| mapped(&read(file)));
        let are_there =
            |start: u64| there.iter().all(|ranges| ranges.iter().any(|range| has_all(*range, start)));
        let free = FREE
            .step_by(1 << 16)
            .find(|start| are_there(*start) && taken.iter().all(|range| is_apart(*range, *start)));
        // Root in a container is not root on the host, so scripts may have its ids
        let contained = there.iter().flatten().all(|(_, count)| *count < ALL);
        let start = free.or_else(|| (contained && are_there(0)).then_some(0)).ok_or_else(|| {
            let found = there[0].iter().map(|(_, count)| *count).sum();
            SandboxError::NoSubordinateIds {
                user: "root".into(),
                file: "/proc/self/uid_map",
                found,
                wanted: IDS,
            }
        })?;
        Ok(Self { users: vec![(start, IDS)], groups: vec![(start, IDS)], root: true })
    }

    /// Whether this is root.
    pub(super) fn is_root(&self) -> bool {
        self.root
    }

    /// The user and group outside that are 0 inside.
    pub(super) fn owner(&self) -> (u32, u32) {
        let first = |ranges: &[Range]| ranges.first().and_then(|(first, _)| u32::try_from(*first).ok());
        (first(&self.users).unwrap_or(0), first(&self.groups).unwrap_or(0))
    }

    /// Which users outside are those inside, from 0 upwards: `1000, 100000 to 165534`.
    pub(super) fn shown(&self) -> String {
        let range = |(first, count): &Range| match count {
            1 => first.to_string(),
            count => format!("{first} to {}", first + count - 1),
        };
        self.users.iter().map(range).collect::<Vec<_>>().join(", ")
    }

    /// A name for this mapping: files made under one can't be used under another.
    pub(super) fn name(&self) -> String {
        let map = format!("{:?} {:?}", self.users, self.groups);
        let mut digest = ContentId::of(map.as_bytes()).to_string();
        digest.truncate(16);
        format!("u{}-{digest}", geteuid().as_raw())
    }

    /// Gives the user namespace of process `pid` its ids.
    ///
    /// # Errors
    /// [`SandboxError::NoMapTool`], [`SandboxError::MapTool`].
    pub(super) fn map(&self, pid: u32) -> Result<(), SandboxError> {
        if !self.root {
            map_with("newuidmap", pid, &self.users)?;
            return map_with("newgidmap", pid, &self.groups);
        }
        for (file, ranges) in [("uid_map", &self.users), ("gid_map", &self.groups)] {
            let path = format!("/proc/{pid}/{file}");
            let line =
                triples(ranges).map(|[inside, outside, count]| format!("{inside} {outside} {count}\n"));
            let mapped = fs::write(&path, line.collect::<String>());
            mapped.map_err(|source| SandboxError::Setup { what: format!("write {path}"), source })?;
        }
        Ok(())
    }
}

/// Whether the ids from `start` on are all in a range.
fn has_all((first, count): Range, start: u64) -> bool {
    first <= start && start + IDS <= first.saturating_add(count)
}

/// Whether none of them is.
fn is_apart((first, count): Range, start: u64) -> bool {
    first.saturating_add(count) <= start || start + IDS <= first
}

/// Whether this process may choose the ids of a user namespace.
fn may_map() -> bool {
    let needed = CapabilitySet::SETUID | CapabilitySet::SETGID | CapabilitySet::CHOWN;
    capabilities(None).is_ok_and(|sets| sets.effective.contains(needed))
}

/// For each range its first id inside and outside, and how many there are.
fn triples(ranges: &[Range]) -> impl Iterator<Item = [u64; 3]> {
    let mut inside = 0;
    ranges.iter().map(move |&(outside, count)| {
        inside += count;
        [inside - count, outside, count]
    })
}

fn map_with(tool: &'static str, pid: u32, ranges: &[Range]) -> Result<(), SandboxError> {
    let mut command = Command::new(tool);
    command.arg(pid.to_string()).args(triples(ranges).flatten().map(|n| n.to_string()));
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

/// The lines of a `subuid` or `subgid`: whose, the first id, and how many.
fn lines(file: &str) -> impl Iterator<Item = (&str, u64, u64)> {
    file.lines().filter_map(|line| {
        let mut parts = line.trim().split(':');
        Some((parts.next()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    })
}

/// The first [`WANTED`] ids of a user in a `subuid` or `subgid`, and how many were found.
fn ranges(file: &str, name: &str, uid: u32) -> (Vec<Range>, u64) {
    let number = uid.to_string();
    let mut found = 0;
    let mut ranges = Vec::new();
    for (user, start, count) in lines(file) {
        let count = count.min(WANTED - found);
        if (user == name || user == number) && count > 0 {
            ranges.push((start, count));
            found += count;
        }
    }
    (ranges, found)
}

/// Everybody's ids in a `subuid` or `subgid`.
fn all_ranges(file: &str) -> Vec<Range> {
    lines(file).map(|(_, start, count)| (start, count)).collect()
}

/// The ids of a `passwd` or `group`.
fn numbers(file: &str) -> Vec<Range> {
    let number = |line: &str| line.split(':').nth(2)?.parse().ok();
    file.lines().filter_map(number).map(|id| (id, 1)).collect()
}

/// The ids that a `uid_map` has (user_namespaces(7)), as they are called inside.
fn mapped(file: &str) -> Vec<Range> {
    let range = |line: &str| {
        let mut parts = line.split_whitespace();
        Some((parts.next()?.parse().ok()?, parts.nth(1)?.parse().ok()?))
    };
    file.lines().filter_map(range).collect()
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

    fn of_root(files: &[(&str, &str)]) -> Option<u32> {
        let read =
            |path: &str| files.iter().find(|f| f.0 == path).map_or_else(String::new, |f| f.1.to_owned());
        let identity = Identity::of_root(&read).ok()?;
        assert_eq!(identity.users, identity.groups);
        Some(identity.owner().0)
    }

    fn with_map<'a>(map: &'a str, file: (&'a str, &'a str)) -> Option<u32> {
        of_root(&[("/proc/self/uid_map", map), ("/proc/self/gid_map", map), file])
    }

    #[test]
    fn root_takes_ids_that_belong_to_no_user() {
        let with = |file: (&'static str, &'static str)| with_map("         0          0 4294967295\n", file);
        assert_eq!(with(("", "")), Some(0x7000_0000));
        assert_eq!(with(("/etc/subuid", "ann:1879000000:100000\n")), Some(0x7001_0000));
        assert_eq!(with(("/etc/subgid", "ann:0:1879048193\n")), Some(0x7001_0000));
        assert_eq!(with(("/etc/passwd", "ann:x:1879048200:1:::\n")), Some(0x7001_0000));
        // Never its own
        assert_eq!(with(("/etc/subuid", "ann:0:4294967295\n")), None);
    }

    #[test]
    fn root_of_a_container_takes_the_ids_that_it_has() {
        assert_eq!(with_map("         0     100000      65536\n", ("", "")), Some(0));
        assert_eq!(with_map("         0       1000          1\n", ("", "")), None);
        assert_eq!(with_map("", ("", "")), None);
    }

    #[test]
    fn a_mapping_is_shown_by_what_it_is_outside() {
        let users = vec![(1000, 1), (100_000, WANTED)];
        let identity = Identity { groups: users.clone(), users, root: false };
        assert_eq!(identity.shown(), "1000, 100000 to 165534");
    }

    #[test]
    fn ids_follow_each_other_inside() {
        let found: Vec<_> = triples(&[(1000, 1), (100_000, 1000), (200_000, 64535)]).collect();
        assert_eq!(found, [[0, 1000, 1], [1, 100_000, 1000], [1001, 200_000, 64535]]);
    }
}
