//! Runs scripts over a stack of layers and says what they changed.
//!
//! ```text
//! hoopy ──pipe──▶ session helper          user namespace with subordinate ids, unless root; unpacks layers
//!                   └─▶ run helper        mount, PID, IPC, UTS and network namespaces; overlay; captures
//!                         └─▶ init        PID 1 in there: /proc, /dev, pivot_root; drops capabilities
//!                               └─▶ the script
//! ```
//!
//! The helpers are the running program started again, since namespaces want a process with
//! one thread. Each step dies with the one above it, and mounts exist only in the helpers' own namespaces: a
//! `kill -9` at any moment leaves no process and no mount, at most a directory that the next session removes.

pub mod error;
pub mod restriction;

use std::fs::File;
use std::path::PathBuf;

pub use error::{Ended, SandboxError};
pub use restriction::Restriction;

use crate::layer::Entry;

/// A script to run in the sandbox.
#[derive(Debug, Clone)]
pub struct Script {
    /// What it is called in messages, and the file name it runs under: `busybox-1.37.0-r30.post-install`.
    pub name: String,
    /// The script itself. It runs by its `#!` line.
    pub body: Vec<u8>,
    /// Arguments after its name.
    pub args: Vec<Vec<u8>>,
    /// The whole environment: nothing is inherited.
    pub env: Vec<(String, String)>,
    /// Working directory inside.
    pub cwd: PathBuf,
    /// A directory of the host that shows read-only at `/mnt`.
    pub bind: Option<PathBuf>,
    /// Whether it gets the host's network and resolver. Without it there is a loopback device and nothing else.
    pub network: bool,
}

/// What a script changed, and what it said.
#[derive(Debug)]
pub struct Captured {
    /// The changed paths, in the order of their paths, directories before what they hold.
    pub entries: Vec<Entry>,
    /// The contents of the regular files among `entries`, end to end in their order, at its beginning.
    pub contents: File,
    /// Standard output and error in one, the last MiB.
    pub output: Vec<u8>,
}
