//! The first program of the machine: it makes the root an ordinary mount, and becomes `/sbin/init`.
//!
//! The kernel unpacks the initramfs into the mount that it began with, and pivot_root(2) fails there with `EINVAL`.
//! `init.sh` beside this file tells how that is mended; `docs/boot.md` tells users.

use hoopy_store::Store;
use hoopy_store::layer::builder::Builder;
use hoopy_store::layer::stored::Layer;
use hoopy_store::layer::{EntryPath, Kind};

use super::{Stack, StackError};

/// The program, as the kernel is told of it.
pub const INIT: &str = "/usr/libexec/hoopy/init";

/// Where the root is mounted for a moment.
const MOUNT_POINT: &str = "usr/libexec/hoopy/root";

/// What the script calls. Where one is missing, the kernel starts the image's own init, as if there were no script.
const PROGRAMS: [&str; 2] = ["mount", "chroot"];
/// Where it looks for them: the path that the kernel gives to its first program (init/main.c, `envp_init`) is none,
/// and this is BusyBox' own.
const PATH: [&str; 4] = ["sbin", "usr/sbin", "bin", "usr/bin"];

/// The layer with the program.
///
/// # Errors
/// [`StackError`].
pub fn layer(stack: &Stack, epoch: u64, store: &Store) -> Result<Layer, StackError> {
    let mut builder = Builder::new(store, epoch);
    let init = EntryPath::new(INIT.trim_start_matches('/'))?;
    if can_run(stack)? {
        builder.add_bytes(&init, 0o755, include_bytes!("init.sh"))?;
        builder.add(&EntryPath::new(MOUNT_POINT)?, Kind::Dir { opaque: false }, 0o755);
    } else {
        builder.add(&init, Kind::Symlink(b"/sbin/init".to_vec()), 0o777);
    }
    Ok(builder.finish(store)?)
}

fn can_run(stack: &Stack) -> Result<bool, StackError> {
    let has = |path: String| Ok::<_, StackError>(stack.tree.follow(&EntryPath::new(path)?).is_some());
    let mut all = has("bin/sh".to_owned())?;
    for program in PROGRAMS {
        let mut found = false;
        for dir in PATH {
            found |= has(format!("{dir}/{program}"))?;
        }
        all &= found;
    }
    Ok(all)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::stack::Origin;

    fn init_of(programs: &[&str]) -> Kind {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut below = Builder::new(&store, 0);
        for program in programs {
            below.add_bytes(&EntryPath::new(*program).unwrap(), 0o755, b"x").unwrap();
        }
        let mut stack = Stack::default();
        stack.push(below.finish(&store).unwrap(), Origin::Files);
        let layer = layer(&stack, 0, &store).unwrap();
        layer.entries.iter().find(|entry| entry.path.to_string() == INIT[1..]).unwrap().kind.clone()
    }

    #[test]
    fn a_root_with_a_shell_mount_and_chroot_gets_the_script() {
        assert!(matches!(init_of(&["bin/sh", "bin/mount", "usr/sbin/chroot"]), Kind::File { .. }));
    }

    #[test]
    fn a_root_that_could_not_run_the_script_starts_its_own_init() {
        for programs in [&["bin/sh", "bin/mount"][..], &["bin/mount", "usr/sbin/chroot"], &["sbin/init"]] {
            assert!(matches!(init_of(programs), Kind::Symlink(to) if to == b"/sbin/init"), "{programs:?}");
        }
    }

    #[test]
    fn the_script_is_one() {
        let checked = Command::new("sh").args(["-n", "-c", include_str!("init.sh")]).output().unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
}
