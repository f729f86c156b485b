//! What a machine with the layout `ab` needs of its own: two services that decide whether a boot was good. Nothing
//! is added to a machine with the layout `single`.
//!
//! The scripts are beside this file, as they come out; `docs/boot.md` tells what they do.

use hoopy_store::Store;
use hoopy_store::layer::builder::Builder;
use hoopy_store::layer::stored::Layer;
use hoopy_store::layer::{EntryPath, Kind};

use super::{Stack, StackError};

/// Each file, its mode and its text.
const FILES: [(&str, u32, &str); 6] = [
    ("etc/init.d/hoopy-health", 0o755, include_str!("hoopy-health.initd")),
    ("etc/init.d/hoopy-watchdog", 0o755, include_str!("hoopy-watchdog.initd")),
    ("usr/libexec/hoopy/boot.sh", 0o644, hoopy_boot::shell::MACHINE),
    ("usr/libexec/hoopy/common.sh", 0o644, include_str!("common.sh")),
    ("usr/libexec/hoopy/health", 0o755, include_str!("health.sh")),
    ("usr/libexec/hoopy/watchdog", 0o755, include_str!("watchdog.sh")),
];

/// The runlevels of the services: the watchdog where the first services start, the check where the last ones do.
const RUNLEVELS: [(&str, &str); 2] = [("sysinit", "hoopy-watchdog"), ("default", "hoopy-health")];

/// Where a system puts checks of its own.
pub const CHECKS: &str = "etc/hoopy/health.d";

/// What runs the services.
const OPENRC: &str = "sbin/openrc-run";

/// The layer with the services.
///
/// # Errors
/// [`StackError::NoOpenrc`] where nothing could run them.
pub fn layer(stack: &Stack, epoch: u64, store: &Store) -> Result<Layer, StackError> {
    if stack.tree.follow(&EntryPath::new(OPENRC)?).is_none() {
        return Err(StackError::NoOpenrc);
    }
    let mut builder = Builder::new(store, epoch);
    for (path, mode, text) in FILES {
        builder.add_bytes(&EntryPath::new(path)?, mode, text.as_bytes())?;
    }
    for (level, service) in RUNLEVELS {
        let link = EntryPath::new(format!("etc/runlevels/{level}/{service}"))?;
        builder.add(&link, Kind::Symlink(format!("/etc/init.d/{service}").into_bytes()), 0o777);
    }
    builder.add(&EntryPath::new(CHECKS)?, Kind::Dir { opaque: false }, 0o755);
    Ok(builder.finish(store)?)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::stack::Origin;

    #[test]
    fn the_services_go_where_openrc_is_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut stack = Stack::default();
        assert!(matches!(layer(&stack, 0, &store), Err(StackError::NoOpenrc)));
        let mut below = Builder::new(&store, 0);
        below.add_bytes(&EntryPath::new(OPENRC).unwrap(), 0o755, b"x").unwrap();
        stack.push(below.finish(&store).unwrap(), Origin::Files);
        let layer = layer(&stack, 0, &store).unwrap();
        let paths: Vec<String> = layer.entries.iter().map(|e| e.path.to_string()).collect();
        for path in ["etc/runlevels/default/hoopy-health", "usr/libexec/hoopy/health", CHECKS] {
            assert!(paths.iter().any(|p| p == path), "{path}: {paths:?}");
        }
    }

    #[test]
    fn every_script_is_one() {
        for (path, _, text) in FILES {
            let checked = Command::new("sh").args(["-n", "-c", text]).output().unwrap();
            assert!(checked.status.success(), "{path}: {}", String::from_utf8_lossy(&checked.stderr));
        }
    }
}
