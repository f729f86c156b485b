//! Values on QEMU's command line.

/// A value in QEMU's `key=value,` lists: a comma is doubled.
pub(super) fn escaped(value: &str) -> String {
    value.replace(',', ",,")
}
