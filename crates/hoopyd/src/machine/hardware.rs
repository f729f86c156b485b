//! Memory, load, thermometers and the network (proc(5); Documentation/hwmon/sysfs-interface, ABI/testing/sysfs-class-net).

use std::path::Path;

use hoopy_boot::status::{Interface, Memory, Temperature};

use super::{line, names, text};

/// Degrees that no thermometer in a computer means: what is broken says so, or more.
const PLAUSIBLE: std::ops::Range<f64> = -60.0..150.0;

/// Seconds since the kernel was started.
pub fn uptime(root: &Path) -> u64 {
    let text = text(root, "proc/uptime");
    text.split(['.', ' ']).next().and_then(|seconds| seconds.parse().ok()).unwrap_or(0)
}

/// Memory, as `/proc/meminfo` has it.
pub fn memory(root: &Path) -> Memory {
    let text = text(root, "proc/meminfo");
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        kib.unwrap_or(0).saturating_mul(1024)
    };
    Memory {
        total: of("MemTotal"),
        available: of("MemAvailable"),
        files: of("Shmem"),
        swap_total: of("SwapTotal"),
        swap_free: of("SwapFree"),
    }
}

/// The load of one, five and fifteen minutes.
pub fn load(root: &Path) -> [f64; 3] {
    let text = text(root, "proc/loadavg");
    let mut numbers =
        text.split_whitespace().map(|word| word.parse().ok().filter(|n: &f64| n.is_finite()).unwrap_or(0.0));
    [(); 3].map(|()| numbers.next().unwrap_or(0.0))
}

/// How many cores are in use.
pub fn cores(root: &Path) -> u32 {
    let count = text(root, "proc/stat")
        .lines()
        .filter(|line| {
            line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
        .count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// What thermometers say: those of `hwmon`, or the zones of boards that have none.
pub fn temperatures(root: &Path) -> Vec<Temperature> {
    let mut all = Vec::new();
    for chip in names(root, "sys/class/hwmon") {
        let dir = format!("sys/class/hwmon/{chip}");
        let name = line(root, &format!("{dir}/name"));
        for file in names(root, &dir) {
            let Some(sensor) = file.strip_suffix("_input").filter(|s| s.starts_with("temp")) else {
                continue;
            };
            let Some(celsius) = degrees(root, &format!("{dir}/{file}")) else { continue };
            let label = line(root, &format!("{dir}/{sensor}_label"));
            let label = if label.is_empty() { sensor.to_owned() } else { label };
            let limit = degrees(root, &format!("{dir}/{sensor}_crit"))
                .or_else(|| degrees(root, &format!("{dir}/{sensor}_max")))
                .filter(|limit| *limit > 0.0);
            all.push(Temperature { name: format!("{name} {label}"), celsius, limit });
        }
    }
    if !all.is_empty() {
        return all;
    }
    for zone in names(root, "sys/class/thermal").iter().filter(|name| name.starts_with("thermal_zone")) {
        let dir = format!("sys/class/thermal/{zone}");
        if let Some(celsius) = degrees(root, &format!("{dir}/temp")) {
            all.push(Temperature { name: line(root, &format!("{dir}/type")), celsius, limit: None });
        }
    }
    all
}

/// A file with thousandths of a degree.
fn degrees(root: &Path, path: &str) -> Option<f64> {
    let celsius = line(root, path).parse::<f64>().ok()? / 1000.0;
    PLAUSIBLE.contains(&celsius).then_some(celsius)
}

/// The network, without the loopback.
pub fn interfaces(root: &Path) -> Vec<Interface> {
    let interface = |line: &str| {
        let (name, counters) = line.split_once(':')?;
        let name = name.trim().to_owned();
        let counters: Vec<u64> = counters.split_whitespace().map(|n| n.parse().unwrap_or(0)).collect();
        let at = |index: usize| counters.get(index).copied().unwrap_or(0);
        let state = super::line(root, &format!("sys/class/net/{name}/operstate"));
        // Tunnels know no state of their own.
        let up = state == "up" || state == "unknown";
        (name != "lo").then(|| Interface {
            name,
            up,
            received: at(0),
            sent: at(8),
            errors: at(2).saturating_add(at(10)),
        })
    };
    text(root, "proc/net/dev").lines().skip(2).filter_map(interface).collect()
}
