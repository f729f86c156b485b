//! `hoopy init`.

use std::process::ExitCode;

use hoopy_base::arch::Arch;
use hoopy_build::target::TargetError;

use crate::args::{Global, Init};

pub fn run(global: &Global, own: &Init) -> anyhow::Result<ExitCode> {
    let arch = global.arch.or_else(Arch::host).ok_or(TargetError::NoArch)?;
    for file in hoopy_build::init::init(&own.dir, arch)? {
        println!("{}", file.display());
    }
    if !global.quiet {
        eprintln!("next: hoopy build {0} && hoopy run {0}", own.dir.display());
    }
    Ok(ExitCode::SUCCESS)
}
