//! From a diskless Alpine Linux, as `lbu` keeps it in an overlay, to a system directory; and back.
//!
//! ```text
//! apkovl, medium, directory, https:, ssh: ──source──▶ Overlay ──import──▶ system directory + Report
//! system directory ──build::road──▶ Stack ──export──▶ apkovl
//! ```
//!
//! An overlay says what an owner changed, but not against what. So import resolves and fetches the packages first, runs
//! their scripts, and keeps only what differs from the tree that they make ([`import`]). All that comes in may be
//! hostile: it is bounded ([`source`]), never unpacked as it is, and every name is checked before it is written.

pub mod export;
pub mod import;
mod kernel;
mod login;
pub mod overlay;
pub mod report;
pub mod source;
