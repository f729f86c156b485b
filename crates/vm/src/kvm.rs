//! What is known of KVM on this computer, as long as the process runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Whether KVM works, by QEMU program.
static KNOWN: Mutex<BTreeMap<PathBuf, Result<(), String>>> = Mutex::new(BTreeMap::new());

fn all() -> MutexGuard<'static, BTreeMap<PathBuf, Result<(), String>>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes that a machine of this QEMU stopped under KVM: `--accel auto` means TCG from now on.
pub(super) fn remember_failure(qemu: &Path, why: &str) {
    all().insert(qemu.to_owned(), Err(why.to_owned()));
}

/// Whether KVM works with this QEMU; `probe` finds out, once.
///
/// # Errors
/// Why it does not.
pub(super) fn known(qemu: &Path, probe: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    all().entry(qemu.to_owned()).or_insert_with(probe).clone()
}
