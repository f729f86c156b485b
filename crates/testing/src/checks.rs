//! hoopy's own checks: what every system should do, found in what the machine says of itself.
//!
//! Each is a function of texts, and so tried without a machine.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hoopy_disk::fstab::{self, Mount};

use super::facts;
use super::report::Verdict;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) output: String,
    pub(super) advice: Option<&'static str>,
}

/// The clock of a machine is that of its host, which may be busy.
const MAX_CLOCK_ERROR: Duration = Duration::from_secs(300);

/// A machine with less memory left than one part in so many is one log file away from the end.
const LEFT: u64 = 20;

/// Filesystems that come over the network (mount(8), fstab(5)); the test's machine has nobody who serves them.
const SHARES: [&str; 8] = ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "fuse.sshfs"];

/// All is well.
fn passed(output: String) -> Finding {
    Finding { verdict: Verdict::Passed, output, advice: None }
}

fn failed(why: String, output: String, advice: &'static str) -> Finding {
    Finding { verdict: Verdict::Failed(why), output, advice: Some(advice) }
}

fn skipped(why: &str) -> Finding {
    Finding { verdict: Verdict::Skipped(why.to_owned()), output: String::new(), advice: None }
}

/// What checks of services say where there is no OpenRC.
pub(super) fn no_openrc() -> Finding {
    skipped("the image has no OpenRC")
}

/// Whether the runlevel was reached.
pub(super) fn runlevel(wanted: &str, last: &facts::Progress, within: Duration) -> Finding {
    if last.runlevel == "none" {
        return no_openrc();
    }
    if last.is(wanted) {
        return passed(String::new());
    }
    let state = match (last.runlevel.as_str(), last.starting) {
        ("", _) => "OpenRC was not started".to_owned(),
        (level, true) => format!("the runlevel {level} was still being started"),
        (level, false) => format!("the runlevel was {level}"),
    };
    failed(
        format!("{state} after {} s", within.as_secs()),
        String::new(),
        "look at the console's log for the service that does not come to its end, and at /etc/inittab",
    )
}

/// Whether every service of the runlevels is up. `listed` is what [`facts::services`] gave.
pub(super) fn services(listed: &str) -> Finding {
    let lines: Vec<Vec<&str>> = listed.lines().map(|line| line.split(' ').collect()).collect();
    let services = lines.iter().filter_map(|fields| match fields.as_slice() {
        [level, name, state] => Some((*level, *name, *state)),
        _ => None,
    });
    let (up, down): (Vec<_>, Vec<_>) =
        services.partition(|(_, _, state)| matches!(*state, "started" | "inactive"));
    if down.is_empty() {
        return passed(format!("{} services\n", up.len()));
    }
    let names: Vec<&str> = down.iter().map(|(_, name, _)| *name).collect();
    let lines = down.iter().map(|(level, name, state)| format!("{name} (runlevel {level}): {state}\n"));
    failed(
        format!("not up: {}", names.join(", ")),
        lines.collect(),
        "what the service said is in the console's log; `rc-service NAME start` in a test shows it alone",
    )
}

/// Whether no service is gone without having been stopped. `listed` is what [`facts::CRASHED`] gave.
pub(super) fn crashed(listed: &str) -> Finding {
    let names: Vec<&str> = listed.lines().map(str::trim).filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return passed(String::new());
    }
    failed(
        format!("crashed: {}", names.join(", ")),
        listed.to_owned(),
        "the service was started and its process is gone: what it said last is in the console's log or its own",
    )
}

/// Whether all that the fstab mounts at boot is mounted. `unavailable` are devices that the machine has no disk for.
pub(super) fn mounts(table: &str, mounted: &str, swaps: &str, unavailable: &[String]) -> Finding {
    let mounted = fstab::parse(mounted.as_bytes());
    let is_mounted = |mount: &Mount| mounted.iter().any(|m| m.mount_point == mount.mount_point);
    // The first line is a heading
    let swap = swaps.lines().count() > 1;
    let (mut output, mut missing) = (String::new(), Vec::new());
    for mount in fstab::parse(table.as_bytes()) {
        let option = |wanted: &str| mount.options.iter().any(|option| option == wanted);
        let share = option("_netdev") || SHARES.contains(&mount.filesystem.as_str());
        let there = if mount.filesystem == "swap" { swap } else { is_mounted(&mount) };
        let what = format!("{} on {}", mount.spec, mount.mount_point);
        let state = if there {
            "mounted"
        } else if option("noauto") {
            continue;
        } else if share {
            "not mounted, and skipped: there is no server for it here"
        } else if unavailable.contains(&mount.spec.to_string()) {
            "not mounted, and passed over: the machine has no disk for it"
        } else if option("nofail") {
            "not mounted, as nofail allows"
        } else {
            missing.push(mount.mount_point.clone());
            "not mounted"
        };
        output += &format!("{what}: {state}\n");
    }
    if missing.is_empty() {
        return passed(output);
    }
    failed(
        format!("not mounted: {}", missing.join(", ")),
        output,
        "is `localmount` (for swap: `swap`) in the runlevel boot, and the filesystem's module in /etc/modules?",
    )
}

/// Whether the clock is set. `said` is what [`facts::CLOCK`] gave.
pub(super) fn clock(said: &str, now: SystemTime) -> Finding {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let Some(found) = said.trim().parse().ok().map(Duration::from_secs) else {
        return failed(format!("no time: {said:?}"), String::new(), "is there a `date` in the image?");
    };
    let off = found.abs_diff(now);
    if off <= MAX_CLOCK_ERROR {
        return passed(String::new());
    }
    let side = if found < now { "behind" } else { "ahead" };
    failed(
        format!("the clock is {} s {side}", off.as_secs()),
        String::new(),
        "put `hwclock` into the runlevel boot (`swclock` and an NTP client where there is no clock in the hardware)",
    )
}

/// Whether the root filesystem is in memory. `mounted` is what [`facts::MOUNTS`] gave.
pub(super) fn root(mounted: &str) -> Finding {
    let mounts = fstab::parse(mounted.as_bytes());
    let Some(root) = mounts.iter().rfind(|mount| mount.mount_point == "/") else {
        return failed("nothing is mounted on /".to_owned(), mounted.to_owned(), "is /proc mounted?");
    };
    if matches!(root.filesystem.as_str(), "rootfs" | "tmpfs" | "ramfs") {
        return passed(format!("{}\n", root.filesystem));
    }
    let why = format!("/ is {} on {}", root.filesystem, root.spec);
    failed(
        why,
        String::new(),
        "leave `root=` out of the command line: what is written there outlives a reboot",
    )
}

/// Whether nothing keeps secrets closed. `said` is what [`facts::SECRETS`] gave: nothing where there are none.
pub(super) fn secrets(said: &str) -> Finding {
    let said = said.trim();
    if said.is_empty() {
        return skipped("the image has no secrets that a machine opens");
    }
    let (first, reasons) = said.split_once('\n').unwrap_or((said, ""));
    if reasons.is_empty() && first == "secrets are open" {
        return passed(String::new());
    }
    failed(
        first.to_owned(),
        format!("{reasons}\n"),
        "docs/secrets.md has what to do about each reason; at home the machine would come up as locked as here",
    )
}

/// Whether there is memory left. `said` is what [`facts::MEMORY`] gave.
pub(super) fn memory(said: &str, given: u64) -> Finding {
    let Some(available) = facts::memory(said, "MemAvailable") else {
        return failed("no MemAvailable in /proc/meminfo".to_owned(), said.to_owned(), "is /proc mounted?");
    };
    let used = given.saturating_sub(available);
    let text = format!("{} of {} MiB used", used >> 20, given >> 20);
    if available >= given / LEFT {
        return passed(text + "\n");
    }
    failed(text, String::new(), "give the machine more with `memory` in hoopy.toml, or leave packages out")
}

#[cfg(test)]
#[path = "checks/tests.rs"]
mod tests;
