//! Volumes: whether each is open is asked of its program.

use std::path::Path;
use std::time::Duration;

use hoopy_boot::status::Volume;

use crate::{map, program};

/// Where the programs are, below the root.
pub const PROGRAMS: &str = "etc/hoopy/unlock.d";

/// Where the keys of volumes are for passkeys, below the root: a directory for each volume.
pub const PASSKEYS: &str = "etc/hoopy/passkeys";

/// How long a program may think about it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The volumes that the image has keys for.
pub fn look(root: &Path) -> Vec<Volume> {
    let mut volumes = map::read(root).map(|map| map.volumes).unwrap_or_default();
    // Those with programs of their own count from the first passkey on.
    let passkeys = super::names(root, PASSKEYS);
    volumes.extend(passkeys.into_iter().filter(|name| root.join(PROGRAMS).join(name).is_file()));
    volumes.sort();
    volumes.dedup();
    let ask = |name: String| {
        let call = program::Call {
            arguments: &["--status"],
            environment: &[],
            input: &[],
            limit: PATIENCE,
            leave: false,
        };
        let ended = program::run(&root.join(PROGRAMS).join(&name), &call);
        let open = match ended {
            Ok(ended) if ended.success => Some(true),
            Ok(ended) if ended.in_time => Some(false),
            _ => None,
        };
        Volume { name, open }
    };
    volumes.into_iter().map(ask).collect()
}
