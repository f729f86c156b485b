//! What a machine is asked for hoopy's own checks, and reading what it says: files of the kernel and of OpenRC.

use std::time::Duration;

use hoopy_base::shell::quoted;

/// How far the machine is, a line: the runlevel, whether it is being started, the time since the kernel started. Asked
/// many times a boot: no program is started for it.
pub(super) const PROGRESS: &str = "r= s= u=; read -r r </run/openrc/softlevel; [ ! -e /run/openrc/rc.starting ] || \
     s=starting; [ -x /sbin/openrc ] || r=none; read -r u x </proc/uptime; echo \"$r|$s|$u\"";

/// When the shell at the port was started: just before init (proc(5), field 22, in hundredths of a second).
pub(super) const STARTED: &str = "cat /proc/$$/stat; cat /proc/uptime; cat /proc/cmdline";

/// Every service of the runlevels up to the default one: `LEVEL NAME STATE`.
pub(super) fn services(runlevel: &str) -> String {
    let levels = format!("sysinit boot {}", quoted(runlevel));
    format!(
        "for l in {levels}; do for s in /etc/runlevels/$l/*; do n=${{s##*/}} f=stopped; \
         [ -x /etc/init.d/$n ] || continue; \
         [ ! -e /run/openrc/inactive/hoopy-secrets ] || for w in /run/openrc/scheduled/*/$n; do \
         [ ! -L $w ] || f=inactive; done; \
         for k in started inactive starting failed; do [ ! -e /run/openrc/$k/$n ] || f=$k; done; \
         echo $l $n $f; done; done"
    )
}

/// The services whose process is gone, a line each.
pub(super) const CRASHED: &str = "rc-status --nocolor --crashed 2>&1";

/// What is mounted, swap, memory.
pub(super) const FSTAB: &str = "[ ! -e /etc/fstab ] || cat /etc/fstab";
/// As the kernel sees it.
pub(super) const MOUNTS: &str = "cat /proc/mounts";
/// As the kernel sees it.
pub(super) const SWAPS: &str = "cat /proc/swaps";
/// As the kernel sees it.
pub(super) const MEMORY: &str = "cat /proc/meminfo";
/// Seconds since 1970.
/// What the agent says of secrets, where there is one.
pub(super) const SECRETS: &str =
    "[ ! -x /usr/libexec/hoopy/hoopyd ] || /usr/libexec/hoopy/hoopyd status 2>&1";

pub(super) const CLOCK: &str = "date +%s";

/// How far a machine is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// OpenRC's runlevel; empty before there is one, `none` where there is no OpenRC.
    pub(super) runlevel: String,
    /// Whether it is being started.
    pub(super) starting: bool,
    /// Since the kernel started, once /proc is there.
    pub(super) uptime: Option<Duration>,
}

impl Progress {
    /// Reads the line of [`PROGRESS`].
    pub(super) fn read(output: &str) -> Self {
        let line = output.lines().last().unwrap_or_default();
        let mut fields = line.rsplit('|').map(str::trim);
        let uptime = fields.next().and_then(time);
        let starting = fields.next() == Some("starting");
        let runlevel = fields.next().unwrap_or_default().to_owned();
        Self { runlevel, starting, uptime }
    }

    /// Whether there is no more to wait for.
    pub(super) fn is(&self, runlevel: &str) -> bool {
        let there = self.runlevel == runlevel || self.runlevel == "none";
        there && !self.starting && self.uptime.is_some()
    }
}

/// Start of the shell at the port, and time now, since the kernel started; the runlevel that was asked for.
pub(super) fn started(output: &str) -> Option<(Duration, Duration, String)> {
    let mut lines = output.lines();
    // The name of the program, in parentheses, may hold anything
    let stat = lines.next()?.rsplit_once(") ")?.1;
    let ticks: u64 = stat.split(' ').nth(19)?.parse().ok()?;
    let now = time(lines.next()?.split(' ').next()?)?;
    let words = lines.next().unwrap_or_default().split(' ');
    let asked = words.filter_map(|word| word.strip_prefix("softlevel=")).next_back();
    let ticks = Duration::from_millis(ticks.checked_mul(10)?);
    Some((ticks, now, asked.unwrap_or("default").to_owned()))
}

/// Seconds with a fraction; no more than a machine under test can be up.
fn time(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    (0.0..1e6).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

/// A line of `/proc/meminfo`, in bytes.
pub(super) fn memory(output: &str, name: &str) -> Option<u64> {
    let line = output.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_how_far_a_machine_is() {
        let early = Progress::read("sh: can't open /run/openrc/softlevel\n||\n");
        assert_eq!(early, Progress::default());
        assert!(!early.is("default"));
        let boot = Progress::read("boot|starting|3.20\n");
        assert!(boot.starting && !boot.is("boot"));
        assert!(Progress::read("default||12.5\n").is("default"));
        assert!(Progress::read("none||1.5").is("default"));
        assert!(!Progress::read("default||\n").is("default"));
        assert_eq!(Progress::read("|||||x|default||1e300").uptime, None);
    }

    #[test]
    fn knows_when_init_was_started() {
        let stat = "57 (sh) ) S 1 0 0 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 412 1720320 1\n12.50 20.00\na softlevel=x b\n";
        let at = |millis| Duration::from_millis(millis);
        assert_eq!(started(stat), Some((at(4120), at(12500), "x".to_owned())));
        assert_eq!(started("57 (sh) S 1\n"), None);
        assert_eq!(started(""), None);
    }

    #[test]
    fn reads_memory_in_bytes() {
        let text = "MemTotal:         490132 kB\nMemAvailable:     300 kB\nHugePages_Total:       0\n";
        assert_eq!(memory(text, "MemAvailable"), Some(300 * 1024));
        assert_eq!((memory(text, "HugePages_Total"), memory(text, "Mem")), (None, None));
    }
}
