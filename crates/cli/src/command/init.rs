//! `hoopy init`.

use hoopy_base::arch::Arch;
use hoopy_build::target::TargetError;

use crate::args::{Global, Init};
use crate::error::{Exit, Result};
use crate::output::{note, print};

pub fn run(global: &Global, own: &Init) -> Result<Exit> {
    let arch = global.arch.or_else(Arch::host).ok_or(TargetError::NoArch)?;
    for file in hoopy_build::init::init(&own.dir, arch)? {
        print(format!("{}\n", file.display()))?;
    }
    if !global.quiet {
        note(format!("next: hoopy build {0} && hoopy run {0}", own.dir.display()));
    }
    Ok(Exit::Success)
}
