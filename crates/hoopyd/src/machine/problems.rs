//! What needs doing: the one place that judges. Each problem has a name that stays the same as long as it lasts, which
//! alerts go by.

use hoopy_base::size::show;
use hoopy_boot::status::{Filesystem, Problem, Severity, Status, volume_state};

/// Filesystems as full as this will be full one day, and soon.
const FULL: f64 = 90.0;
const VERY_FULL: f64 = 97.0;

/// With so much of it still free, a large filesystem is not full whatever its percentage.
const ROOM: u64 = 50 << 30;

/// Less memory than this, in percent, and programs are about to be killed.
const SCARCE: f64 = 4.0;

/// A thermometer this many degrees below the limit of the hardware is too warm.
const WARM: f64 = 5.0;

/// Without a limit of its own, hardware is too hot from here.
const HOT: f64 = 90.0;

/// Nothing was built before this: a clock that says so is not set.
const YEAR_2024: u64 = 1_704_067_200;

const DAY: u64 = 86_400;

/// Everything that needs doing, the most urgent first.
pub fn of(status: &Status, update_days: u32) -> Vec<Problem> {
    let mut all = Vec::new();
    health(status, &mut all);
    secrets(status, &mut all);
    pools(status, &mut all);
    filesystems(status, &mut all);
    hardware(status, &mut all);
    services(status, &mut all);
    age(status, update_days, &mut all);
    all.sort_by_key(|problem| problem.severity);
    all
}

/// Adds what was found elsewhere.
pub fn add(status: &mut Status, more: Vec<Problem>) {
    status.problems.extend(more);
    status.problems.sort_by_key(|problem| problem.severity);
    status.summary = summary(&status.problems);
}

/// One sentence: whether something needs doing, and what.
pub fn summary(problems: &[Problem]) -> String {
    match problems {
        [] => "All is well: nothing needs doing.".to_owned(),
        [one] => format!("{}: {}.", one.what, one.remedy),
        [first, rest @ ..] => {
            let more = if rest.len() == 1 {
                "1 more thing".to_owned()
            } else {
                format!("{} more things", rest.len())
            };
            format!("{}: {}. {more} below.", first.what, first.remedy)
        }
    }
}

fn problem(id: String, severity: Severity, what: String, remedy: &str) -> Problem {
    Problem { id, severity, what, remedy: remedy.to_owned() }
}

use Severity::{Critical, Warning};

fn health(status: &Status, all: &mut Vec<Problem>) {
    let Some(health) = status.health.as_ref().filter(|health| health.state == "failed") else { return };
    let what = format!("The health check of this boot failed: {}", health.reason);
    all.push(problem(
        "health".to_owned(),
        Critical,
        what,
        "look at its log, then mend it or run hoopy rollback",
    ));
}

fn secrets(status: &Status, all: &mut Vec<Problem>) {
    if let Some(secrets) = &status.secrets {
        match &*secrets.state {
            "locked" => {
                let (what, remedy) = match secrets.failures.first() {
                    None => ("This machine waits for its owner".to_owned(), "run hoopy unlock"),
                    // The reason of a TPM says what to do about it.
                    Some(reason) => (
                        format!("This machine is locked ({reason})"),
                        "run hoopy unlock to open it until then",
                    ),
                };
                all.push(problem("secrets".to_owned(), Critical, what, remedy));
            }
            "failed" => {
                let first = secrets.failures.first().map_or("no reason given", String::as_str);
                let what = format!("Not every secret could be opened ({first})");
                all.push(problem(
                    "secrets".to_owned(),
                    Critical,
                    what,
                    "run /usr/libexec/hoopy/hoopyd status on the machine for all",
                ));
            }
            "open" => all.extend(secrets.failures.first().map(|reason| {
                let what = format!("The TPM still opens the secrets for older images ({reason})");
                problem("epoch".to_owned(), Warning, what, "run hoopy secret enroll to shut them out now")
            })),
            _ => {}
        }
    }
    for volume in status.volumes.iter().filter(|volume| volume.open != Some(true)) {
        let what = format!("Volume {} is {}", volume.name, volume_state(volume.open));
        let remedy = if volume.open.is_some() {
            "run hoopy unlock"
        } else {
            "run its program of unlock.d with --status"
        };
        all.push(problem(format!("volume {}", volume.name), Critical, what, remedy));
    }
}

fn pools(status: &Status, all: &mut Vec<Problem>) {
    for pool in status.pools.iter().filter(|pool| !pool.healthy) {
        let what = format!("Pool {} ({}) is {}", pool.name, pool.kind, pool.state);
        let remedy = match &*pool.kind {
            "zfs" => "run zpool status -x and replace what is faulty",
            "md" => "run mdadm --detail and replace what is faulty",
            _ => "run btrfs device stats and replace what is faulty",
        };
        all.push(problem(format!("pool {}", pool.name), Critical, what, remedy));
    }
}

fn filesystems(status: &Status, all: &mut Vec<Problem>) {
    for file in &status.filesystems {
        let in_memory = ["tmpfs", "rootfs", "ramfs"].contains(&&*file.kind);
        let remedy = match &*file.mount {
            "/" if in_memory => "find what fills it (it is in memory) with hoopy drift",
            _ => "make room on it",
        };
        let used = file.used_percent();
        let full = used >= FULL && file.free < ROOM && is_writable(file);
        let files_used = used_files(file);
        let (severity, what) = if full {
            let severity = if used >= VERY_FULL { Critical } else { Warning };
            (severity, format!("{} is {used:.0}% full ({} free)", file.mount, show(file.free)))
        } else if files_used >= VERY_FULL && is_writable(file) {
            (Critical, format!("{} has room for {} more files", file.mount, file.files_free))
        } else {
            continue;
        };
        all.push(problem(format!("filesystem {}", file.mount), severity, what, remedy));
    }
}

/// Images of software are full by nature, and nobody can do anything about it.
fn is_writable(file: &Filesystem) -> bool {
    !file.read_only && !["squashfs", "erofs", "iso9660", "cramfs"].contains(&&*file.kind)
}

#[expect(clippy::cast_precision_loss, reason = "a percentage is not exact to more than a few digits")]
fn used_files(file: &Filesystem) -> f64 {
    match file.files {
        0 => 0.0,
        all => all.saturating_sub(file.files_free) as f64 * 100.0 / all as f64,
    }
}

fn hardware(status: &Status, all: &mut Vec<Problem>) {
    let free = 100.0 - status.memory.used_percent();
    if status.memory.total > 0 && free < SCARCE {
        let what = format!("Only {} of memory are left", show(status.memory.available));
        all.push(problem("memory".to_owned(), Critical, what, "find what takes it with top"));
    }
    for sensor in &status.temperatures {
        let limit = sensor.limit.map_or(HOT, |limit| limit - WARM);
        if sensor.celsius >= limit {
            let what = format!("{} is at {:.0} °C", sensor.name, sensor.celsius);
            all.push(problem(
                format!("temperature {}", sensor.name),
                Critical,
                what,
                "look after fans, dust and load",
            ));
        }
    }
}

fn services(status: &Status, all: &mut Vec<Problem>) {
    let Some(services) = &status.services else { return };
    for (names, what) in [(&services.failed, "did not start"), (&services.crashed, "has crashed")] {
        for name in names {
            let what = format!("Service {name} {what}");
            let remedy = format!("look into hoopy logs, then rc-service {name} restart");
            all.push(problem(format!("service {name}"), Critical, what, &remedy));
        }
    }
}

fn age(status: &Status, update_days: u32, all: &mut Vec<Problem>) {
    let built = status.image.built;
    if status.time < YEAR_2024 {
        let what = "The clock is not set".to_owned();
        all.push(problem("clock".to_owned(), Warning, what, "add chrony, or look why it has no time"));
        return;
    }
    let days = status.time.saturating_sub(built) / DAY;
    if update_days > 0 && built > 0 && days >= u64::from(update_days) {
        let what = format!("The newest package is {days} days old");
        all.push(problem("update".to_owned(), Warning, what, "run hoopy update, build and deploy"));
    }
}

#[cfg(test)]
mod tests {
    use hoopy_boot::status::{Health, Memory, Pool, Services, Volume};

    use super::*;

    fn well() -> Status {
        let memory = Memory { total: 1 << 30, available: 1 << 29, ..Memory::default() };
        Status { time: YEAR_2024 + 400 * DAY, memory, ..Status::default() }
    }

    fn ids(status: &Status) -> Vec<String> {
        of(status, 60).into_iter().map(|problem| problem.id).collect()
    }

    fn filesystem(used: u64, size: u64) -> Filesystem {
        Filesystem {
            mount: "/srv".to_owned(),
            device: "/dev/sda1".to_owned(),
            kind: "ext4".to_owned(),
            size,
            free: size - used,
            files: 100,
            files_free: 50,
            read_only: false,
        }
    }

    #[test]
    fn a_machine_that_is_well_says_that_nothing_needs_doing() {
        assert_eq!(ids(&well()), Vec::<String>::new());
        assert_eq!(summary(&[]), "All is well: nothing needs doing.");
    }

    #[test]
    fn the_sentence_is_the_most_urgent_problem_and_what_to_do() {
        let pool = Pool { name: "tank".into(), kind: "zfs".into(), state: "DEGRADED".into(), healthy: false };
        let image = hoopy_boot::status::Image { built: YEAR_2024, ..Default::default() };
        let status = Status { image, pools: vec![pool], ..well() };
        let problems = of(&status, 60);
        assert_eq!(
            summary(&problems),
            "Pool tank (zfs) is DEGRADED: run zpool status -x and replace what is faulty. 1 more thing below."
        );
        assert_eq!(problems.last().map(|p| &*p.id), Some("update"));
    }

    #[test]
    fn a_machine_that_its_tpm_left_locked_says_why_and_one_that_waits_says_for_whom() {
        let locked = |failures: &[&str]| {
            let failures = failures.iter().map(|&reason| reason.to_owned()).collect();
            let secrets = Some(hoopy_boot::status::Secrets { state: "locked".to_owned(), failures });
            summary(&of(&Status { secrets, ..well() }, 60))
        };
        assert_eq!(locked(&[]), "This machine waits for its owner: run hoopy unlock.");
        assert_eq!(
            locked(&["Secure Boot is off: switch it on"]),
            "This machine is locked (Secure Boot is off: switch it on): run hoopy unlock to open it until then."
        );
    }

    #[test]
    fn a_machine_that_could_not_shut_older_images_out_says_so() {
        let failures = vec!["images of earlier epochs are not shut out: no room".to_owned()];
        let secrets = Some(hoopy_boot::status::Secrets { state: "open".to_owned(), failures });
        let problems = of(&Status { secrets, ..well() }, 60);
        assert_eq!(problems.iter().map(|problem| &*problem.id).collect::<Vec<_>>(), ["epoch"]);
        assert!(summary(&problems).contains("(images of earlier epochs are not shut out: no room)"));
    }

    #[test]
    fn a_filesystem_is_full_by_percent_unless_much_room_is_left() {
        let gib = 1 << 30;
        let full = |used, size| ids(&Status { filesystems: vec![filesystem(used, size)], ..well() });
        assert_eq!(full(89 * gib, 100 * gib), Vec::<String>::new());
        assert_eq!(full(91 * gib, 100 * gib), ["filesystem /srv"]);
        assert_eq!(full(9_100 * gib, 10_000 * gib), Vec::<String>::new());
        let mut squashed = filesystem(gib, gib);
        squashed.kind = "squashfs".to_owned();
        assert_eq!(ids(&Status { filesystems: vec![squashed], ..well() }), Vec::<String>::new());
    }

    #[test]
    fn what_fails_at_boot_is_urgent() {
        let health =
            Health { state: "failed".into(), reason: "service x crashed".into(), ..Health::default() };
        let services = Services { crashed: vec!["x".into()], ..Services::default() };
        let volumes = vec![Volume { name: "home".into(), open: Some(false) }];
        let status = Status { health: Some(health), services: Some(services), volumes, ..well() };
        assert_eq!(ids(&status), ["health", "volume home", "service x"]);
        assert!(of(&status, 60).iter().all(|p| p.severity == Critical));
    }

    #[test]
    fn a_machine_without_a_clock_does_not_call_its_image_old() {
        let image = hoopy_boot::status::Image { built: YEAR_2024, ..Default::default() };
        assert_eq!(ids(&Status { time: 100, image, ..well() }), ["clock"]);
    }
}
