//! What `hoopy deploy` and `hoopy rollback` say of a machine.

use hoopy_boot::pair::GOOD;
use hoopy_ship::deploy::{BootResult, Step, Steps};

/// The changes on the partition, a line each.
pub fn list(steps: &Steps) -> String {
    let first = steps.first.iter().map(|file| format!("remove    {file}\n"));
    let then = steps.then.iter().map(|step| match step {
        Step::Copy(from, to) => format!("copy      {from} to {to}\n"),
        Step::Move(from, to) => format!("rename    {from} to {to}\n"),
        Step::Write(file, _) => format!("write     {file}\n"),
        Step::Remove(file) => format!("remove    {file}\n"),
        Step::Stage(slot, image) => format!("stage     {image} in {}/\n", slot.directory()),
        Step::NotGood(slot) => format!("remove    {}/{GOOD}\n", slot.directory()),
        Step::Back(slot) => format!("start     {}/ from now on\n", slot.directory()),
    });
    first.chain(then).collect()
}

/// The machine after its reboot.
pub fn came_back(host: &str, came: &BootResult) -> String {
    let how = if came.checked { ", healthy" } else { "" };
    format!("{host} runs {}{how}, after {} s\n", came.image, came.seconds)
}
