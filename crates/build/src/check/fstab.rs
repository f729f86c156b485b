//! Devices in `/etc/fstab` by the name that the kernel gave them in the order in which it found them.

use super::finding::{Finding, Severity};
use super::view::{View, lines};

/// Drivers whose devices are numbered as they turn up.
const NUMBERED: [&str; 8] =
    ["/dev/sd", "/dev/hd", "/dev/vd", "/dev/xvd", "/dev/nvme", "/dev/mmcblk", "/dev/md", "/dev/dm-"];

/// Lines that name a device in a way that another disk changes.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    let Some(own) = view.own("etc/fstab").filter(|own| own.is_file()) else { return Vec::new() };
    let finding = |(line, text): (usize, String)| {
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
