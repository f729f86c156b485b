//! `hoopy build`.

use hoopy_base::size;
use hoopy_build::built::Built;
use hoopy_build::timeline::Recording;

use super::{image, reproduce, watch};
use crate::args::{Build, Global};
use crate::error::{Exit, Result};
use crate::output::{print, print_json};
use crate::progress::Progress;

pub fn run(global: &Global, own: &Build, recording: Option<&Recording>) -> Result<Exit> {
    if own.watch {
        return watch::run(global, own, recording);
    }
    let progress = Progress::new(global.quiet || own.json);
    let finished = image::build(global, own, &progress, recording)?;
    if own.check {
        return reproduce::run(global, own, &finished, &progress);
    }
    match (own.json, global.quiet) {
        (true, _) => print_json(&finished.built)?,
        (false, true) => print(format!("{}\n", finished.built.path.display()))?,
        (false, false) => print(table(&finished.built))?,
    }
    Ok(Exit::Success)
}

/// The summary of a build.
fn table(built: &Built) -> String {
    if built.unchanged {
        return format!("{} is up to date ({})\n", built.path.display(), size::show(built.facts.size));
    }
    let mut out = format!("image     {}\n", built.path.display());
    out += &match built.facts.initramfs {
        0 => format!("size      {}\n", size::show(built.facts.size)),
        initramfs => {
            format!("size      {} (initramfs {})\n", size::show(built.facts.size), size::show(initramfs))
        }
    };
    out += &format!("packages  {}\n", built.facts.packages);
    built.facts.signed_by.iter().for_each(|signer| out += &format!("signed    by {signer}\n"));
    let steps: Vec<String> =
        built.timings.0.iter().map(|(step, took)| format!("{step} {:.2} s", took.as_secs_f64())).collect();
    out += &format!("time      {}\n", steps.join(", "));
    if built.facts.modules > 0 {
        let more = size::show(built.facts.modules);
        out += &format!(
            "memory    {more} more on the machine, since kernel modules are unpacked for a smaller image\n"
        );
    }
    let layers: Vec<String> =
        built.facts.layers.iter().map(|l| format!("{} {}", l.name, size::show(l.size))).collect();
    out += &format!("largest   {}\n", layers.join(", "));
    out
}
