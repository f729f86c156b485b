//! `hoopy vendor`.

use std::path::Path;

use hoopy_build::config::Overrides;
use hoopy_build::vendor as mirror;
use serde::Serialize;

use crate::args::{Global, Vendor};
use crate::error::{Exit, Result};
use crate::output::{print, print_json};
use crate::progress::Progress;

/// What `--json` prints.
#[derive(Serialize)]
struct Written<'a> {
    directory: &'a Path,
    packages: usize,
}

pub fn run(global: &Global, own: &Vendor) -> Result<Exit> {
    let target = super::target(&own.system.dir, global, Overrides::default())?;
    let resources = super::Resources::open(global)?;
    let written = mirror::vendor(&target, resources.context(&Progress::new(global.quiet || own.json)))?;
    if own.json {
        print_json(&Written { directory: &written.dir, packages: written.packages })?;
        return Ok(Exit::Success);
    }
    let (system, mirror) = (own.system.dir.display(), written.dir.display());
    print(format!("{mirror}: {} packages\n", written.packages))?;
    print(format!("next: hoopy build {system} --mirror {mirror}\n"))?;
    Ok(Exit::Success)
}
