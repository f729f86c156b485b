//! `hoopy keys epoch`: shuts older images out of machines' secrets.

use std::fs;

use hoopy_base::atomic::{Readers, replace_file};
use hoopy_boot::secrets::Open;
use hoopy_build::config::System;
use hoopy_trust::epoch::{FILE, LAST};
use hoopy_trust::keys::PUBLIC;

use crate::error::{CommandError, Context as _, Result};
use crate::output::{note, print};

/// Prints the epoch of the next image.
pub fn show(system: &System) -> Result<()> {
    print(format!("epoch {}\n", system.epoch))
}

/// Raises it by one.
pub fn raise(system: &System) -> Result<()> {
    let epoch = system.epoch + 1;
    if epoch > LAST {
        return Err(CommandError::system(format!("epoch {epoch}: expected one of at most {LAST}")));
    }
    let (dir, path) = (system.path(PUBLIC), system.path(FILE));
    fs::create_dir_all(&dir).context(format!("cannot create {}", dir.display()))?;
    replace_file(&path, format!("{epoch}\n").as_bytes(), Readers::Umask)
        .context(format!("cannot write {}", path.display()))?;
    if system.secrets.open != Some(Open::Tpm) {
        note("only machines with `open = \"tpm\"` in [secrets] look at the epoch");
    }
    print(format!(
        "images are of epoch {epoch} from now on\n\
         commit trust/ now\n\
         next, for each machine:\n  \
         1. hoopy deploy HOST --reboot      when it has booted well, its secrets open for no image of an earlier epoch\n  \
         2. hoopy deploy HOST --reboot      again, with something new, for an image to fall back to\n"
    ))
}
