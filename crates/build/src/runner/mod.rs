//! Who runs scripts: the sandbox of this machine, or a virtual machine where it cannot. Both give the same changes
//! for the same script over the same layers.

pub mod choose;
pub mod native;
mod outside_ids;
mod prefetch;
mod unpack;

pub mod virtual_machine;
