//! The boot loader that hoopy installs.

use hoopy_build::target::Target;

use super::Resources;
use crate::args::Global;
use crate::error::{CommandError, Result};
use crate::progress::Progress;

/// The systemd-boot of hoopy.lock, not signed; nothing where the lock has none, since the layout needs none.
pub fn locked(global: &Global, target: &Target) -> Result<Option<Vec<u8>>> {
    let lock = target.lock.content.as_ref().ok_or_else(|| {
        CommandError::system("there is no hoopy.lock, which names the boot loader").hint("run `hoopy lock`")
    })?;
    let (resources, progress) = (Resources::open(global)?, Progress::new(global.quiet));
    Ok(hoopy_build::road::loader(&target.system, lock, resources.context(&progress))?)
}
