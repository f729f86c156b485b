//! Lines of `/etc/fstab` that came from an installed machine, and devices by the name that the kernel gave them in the order
//! in which it found them.

use super::finding::{Finding, Severity};
use super::view::{View, lines};

/// Drivers whose devices are numbered as they turn up.
const NUMBERED: [&str; 8] =
    ["/dev/sd", "/dev/hd", "/dev/vd", "/dev/xvd", "/dev/nvme", "/dev/mmcblk", "/dev/md", "/dev/dm-"];

/// Lines that name a device in a way that another disk changes.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    let Some(own) = view.own("etc/fstab").filter(|own| own.is_file()) else { return Vec::new() };
    let finding = |(line, text): (usize, String)| {
        if let Some((severity, message, fix)) = installed(&text) {
            return Some(own.finding(severity, Some(line), message, fix.to_owned()));
        }
        let device = text.split_whitespace().next()?.to_owned();
        if !NUMBERED.iter().any(|driver| device.starts_with(driver)) {
            return None;
        }
        let message = format!("{device} is whichever disk the kernel finds first: the next boot may differ");
        let fix = format!("name it by UUID= or LABEL=, as `blkid {device}` on the machine prints them");
        Some(own.finding(Severity::Warning, Some(line), &message, fix))
    };
    lines(&own.text).filter_map(finding).collect()
}

/// What makes sense on a machine whose root is a disk, and not on this one.
fn installed(line: &str) -> Option<(Severity, &'static str, &'static str)> {
    let mut fields = line.split_whitespace();
    let device = fields.next().filter(|device| !device.starts_with('#'))?;
    let (place, kind) = (fields.next()?, fields.next()?);
    if place == "/" {
        let message =
            "the root is in memory, and no disk is mounted there: `hoopy disk` would make a partition for it";
        return Some((Severity::Error, message, "remove the line"));
    }
    let by_uuid = device.starts_with("UUID=") || device.starts_with("PARTUUID=");
    (kind == "swap" && by_uuid).then_some((
        Severity::Warning,
        "swap by its UUID, as an installer writes it: `hoopy disk` makes such a partition only where it is asked for",
        "remove the line, or name the partition by LABEL=",
    ))
}
