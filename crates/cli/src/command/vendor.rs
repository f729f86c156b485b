//! `hoopy vendor`.

use std::process::ExitCode;

use hoopy_build::config::Overrides;
use hoopy_build::vendor as mirror;

use crate::args::{Global, System};
use crate::ui::Teller;

pub fn run(global: &Global, own: &System) -> anyhow::Result<ExitCode> {
    let target = super::target(&own.dir, global, Overrides::default())?;
    let resources = super::Resources::open(global)?;
    let written = mirror::vendor(&target, resources.context(&Teller::new(global.quiet)))?;
    println!("{}: {} packages", written.dir.display(), written.packages);
    println!("build from it with: hoopy build {} --mirror {}", own.dir.display(), written.dir.display());
    Ok(ExitCode::SUCCESS)
}
