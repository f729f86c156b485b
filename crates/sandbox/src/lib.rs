//! Runs scripts over a stack of layers and says what they changed.
//!
//! ```text
//! hoopy ──pipe──▶ session helper          user namespace over ids without rights, root's too; unpacks layers
//!                   └─▶ run helper        mount, PID, IPC, UTS and network namespaces; overlay; limits; captures
//!                         └─▶ init        PID 1 in there: /proc, /dev, pivot_root
//!                               └─▶ the script     few capabilities, filtered system calls, Landlock
//! ```
//!
//! The session helper is the running program started again from a file that scripts cannot change, since namespaces want a
//! process with one thread ([`helper_main`]); those below it are its copies (fork(2)), which begin at once. Each dies with the one
//! above it, and mounts exist only in the helpers' own namespaces: a `kill -9` at any moment leaves no process and no mount,
//! at most a directory that the next session removes.
//!
//! `docs/security-model.md` says what a script can and cannot do; `tests/escape/` tries it.

mod arguments;
mod bind_directory;
pub mod binfmt;
mod control_group;
mod descriptors;
pub mod error;
mod explain;
mod helper;
mod identity;
mod leftovers;
mod limits;
mod lowers;
mod names;
pub mod restriction;
mod sandbox;
mod sealed_program;
mod session;
mod wire;

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;

use hoopy_store::layer::Entry;

pub use error::{Ended, SandboxError};
pub use explain::failing_line;
pub use limits::{Limit, Limits};
pub use lowers::Lowers;
pub use names::Names;
pub use restriction::Restriction;
pub use sandbox::{Sandbox, SandboxConfig};
pub use session::{Fill, Session};

/// Most that is kept of what a script writes, from its end.
pub const MAX_OUTPUT: usize = 1 << 20;

/// The `main` of a helper. A program that uses [`Sandbox`] calls it before anything else, and above all before it
/// starts a thread, when its first argument is `__sandbox`, and ends with what it returns.
///
/// It is the one function of the library that reads arguments and standard streams: the process is its own.
pub fn helper_main() -> ExitCode {
    helper::main()
}

/// Reads `bytes` as both ends of the sandbox's pipes read theirs, for a fuzzer.
///
/// # Panics
/// Where what is understood is not what would be sent.
#[doc(hidden)]
pub fn read_messages(bytes: &[u8]) {
    wire::read_through(bytes);
}

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
    /// Paths of `bind` that show empty: what hoopy makes there, and secrets.
    pub hidden: Vec<PathBuf>,
    /// Whether it gets the host's network and resolver. Without it there is a loopback device and nothing else.
    pub network: bool,
}

impl Script {
    /// The name of the file that it runs under.
    pub fn file_name(&self) -> String {
        let name = self.name.replace(['/', '\0'], "_");
        if matches!(name.as_str(), "" | "." | "..") { "script".into() } else { name }
    }
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
