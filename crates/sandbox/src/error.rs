//! What can go wrong in the sandbox, and what the user can do about it.

use std::borrow::Cow;
use std::path::PathBuf;
use std::{fmt, io};

use hoopy_base::digest::LayerId;

use super::limits::Limit;
use super::restriction::Restriction;

/// How a script that failed came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

impl Ended {
    pub(super) fn to_numbers(self) -> (i32, i32) {
        match self {
            Self::Exit(status) => (0, status),
            Self::Signal(signal) => (1, signal),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(status) => write!(f, "exit status {status}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// Why a sandbox could not be made, or a script in it not run to a good end.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The script ran and failed.
    #[error("{name} failed with {ended}{}\n{}", at_line(*.line), ending(.output))]
    ScriptFailed {
        /// The script's name.
        name: String,
        /// How it ended.
        ended: Ended,
        /// The line it failed in, where its shell said so.
        line: Option<u32>,
        /// What it wrote: the last MiB of standard output and error.
        output: Vec<u8>,
    },
    /// The script reached a limit and was ended, or failed for that.
    #[error("{name} reached {limit} and was ended{}", after_newline(.output))]
    LimitReached {
        /// The script's name.
        name: String,
        /// Which limit.
        limit: Limit,
        /// What it wrote: the last MiB of standard output and error.
        output: Vec<u8>,
    },
    /// A step around the script failed: what it runs in could not be made, or what it changed not be captured.
    #[error("{name}: cannot {what}: {source}{}", after_newline(.output))]
    AroundScript {
        /// The script's name.
        name: String,
        /// The step.
        what: String,
        /// Why it failed.
        source: io::Error,
        /// What the script wrote until then.
        output: Vec<u8>,
    },
    /// The script's `#!` line names a program that is not there.
    #[error("{name}: its first line names {interpreter:?}, which is not in the image (or its loader is not)")]
    NoInterpreter {
        /// The script's name.
        name: String,
        /// What stands behind `#!`.
        interpreter: String,
    },
    /// The script does not start with `#!`.
    #[error("{name}: the first line must name its interpreter, as in `#!/bin/sh`")]
    NoShebang {
        /// The script's name.
        name: String,
    },
    /// The interpreter is there and the kernel does not run it.
    #[error(
        "{name}: this kernel can't run {interpreter:?}: {source} (a foreign architecture needs qemu-user \
         registered with binfmt_misc, flag F: Debian's package qemu-user-static does that)"
    )]
    CannotExecute {
        /// The script's name.
        name: String,
        /// What stands behind `#!`.
        interpreter: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The user has no range of subordinate ids, or one that is too small.
    #[error(
        "user {user} has {found} subordinate ids in {file} and scripts need {wanted}: run \
         `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}` \
         (another range where that one is taken), or build as root"
    )]
    NoSubordinateIds {
        /// The user's name, or number where it has no name.
        user: String,
        /// `/etc/subuid` or `/etc/subgid`.
        file: &'static str,
        /// How many ids the user has there.
        found: u64,
        /// How many are needed.
        wanted: u64,
    },
    /// `newuidmap` or `newgidmap` is not installed.
    #[error(
        "{tool} is not installed: it is in the package uidmap (Debian, Ubuntu) or shadow-subids (Alpine)"
    )]
    NoMapTool {
        /// The missing program.
        tool: &'static str,
    },
    /// `newuidmap` or `newgidmap` refused.
    #[error("{tool} failed: {message}")]
    MapTool {
        /// Which program.
        tool: &'static str,
        /// What it said.
        message: String,
    },
    /// This system does not let this user make user namespaces.
    #[error(transparent)]
    Restricted(#[from] Restriction),
    /// More layers than overlayfs stacks.
    #[error(
        "{count} layers, of which too many hide something that lies below them, are more than overlayfs can stack: \
         run the scripts in a virtual machine (`--scripts vm`)"
    )]
    TooManyLayers {
        /// How many there are.
        count: usize,
    },
    /// A layer could not be read to be unpacked.
    #[error("cannot read layer {id}: {source}")]
    Read {
        /// Which layer.
        id: LayerId,
        /// What went wrong.
        source: io::Error,
    },
    /// The virtual machine for scripts could not be had, or failed.
    #[error("the virtual machine for scripts: {0}")]
    Machine(Box<dyn std::error::Error + Send + Sync>),
    /// A layer that was not unpacked before a script that runs over it.
    #[error("layer {0} was not unpacked")]
    MissingLayer(LayerId),
    /// A layer could not be unpacked.
    #[error("cannot unpack layer {id}: {message}")]
    Unpack {
        /// Which layer.
        id: LayerId,
        /// What went wrong, and with which path.
        message: String,
        /// What the system calls it.
        kind: io::ErrorKind,
    },
    /// The kernel refused a step of making the sandbox.
    #[error("cannot {what}: {source}")]
    Setup {
        /// The step.
        what: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A helper process ended when it should not have.
    #[error("the sandbox's helper {helper:?} ended unexpectedly{}", after_colon(.message))]
    HelperDied {
        /// The program that was started.
        helper: PathBuf,
        /// What it wrote to standard error.
        message: String,
    },
    /// Reading or writing on this side failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

/// What is said of an owner that the sandbox has no id for, and what that is known by.
pub(super) const OUTSIDE: &str = "is outside of the subordinate ids";

impl SandboxError {
    /// Whether a file was to get an owner that the sandbox has no id for: what the kernel calls an invalid argument.
    pub fn refused_owner(&self) -> bool {
        match self {
            Self::ScriptFailed { output, .. } => {
                let output = String::from_utf8_lossy(output);
                let changes_owners = |line: &str| ["chown", "chgrp"].iter().any(|word| line.contains(word));
                output.lines().any(|line| line.contains("Invalid argument") && changes_owners(line))
            }
            Self::Unpack { message, .. } => message.contains(OUTSIDE),
            _ => false,
        }
    }

    /// Whether a disk or a quota was full, or the memory that stands for a disk.
    pub fn is_full(&self) -> bool {
        let kind = match self {
            Self::Unpack { kind, .. } => *kind,
            Self::Setup { source, .. } | Self::Io { source, .. } => source.kind(),
            _ => return false,
        };
        matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// The layer that could not be read or unpacked.
    pub fn layer(&self) -> Option<LayerId> {
        match self {
            Self::Read { id, .. } | Self::Unpack { id, .. } => Some(*id),
            _ => None,
        }
    }

    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

fn at_line(line: Option<u32>) -> String {
    line.map(|n| format!(" at line {n}")).unwrap_or_default()
}

/// What a person reads of an output: its last lines, and of a long one its beginning.
fn ending(output: &[u8]) -> String {
    const LINES: usize = 40;
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let cut = lines.len().saturating_sub(LINES);
    let shown: Vec<_> = lines.iter().skip(cut).map(|line| beginning(line)).collect();
    match cut {
        0 => shown.join("\n"),
        cut => format!("({cut} lines before these)\n{}", shown.join("\n")),
    }
}

/// A line as far as it is shown: progress bars and binary files have some of a MiB.
fn beginning(line: &str) -> Cow<'_, str> {
    const CHARACTERS: usize = 1000;
    let Some((end, _)) = line.char_indices().nth(CHARACTERS) else { return line.into() };
    let (shown, rest) = line.split_at(end);
    format!("{shown} ({} characters more)", rest.chars().count()).into()
}

fn after_newline(output: &[u8]) -> String {
    let shown = ending(output);
    if shown.is_empty() { shown } else { format!("\n{shown}") }
}

fn after_colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_output_is_shown_from_its_end() {
        let output: String = (1..=100).map(|n| format!("line {n}\n")).collect();
        let shown = ending(output.as_bytes());
        assert!(
            shown.starts_with("(60 lines before these)\nline 61\n") && shown.ends_with("line 100"),
            "{shown}"
        );
        assert_eq!(ending(b"one\ntwo\n"), "one\ntwo");
    }

    #[test]
    fn a_long_line_is_shown_from_its_beginning() {
        let line = "\u{e9}".repeat(1000);
        assert_eq!(ending(format!("{line}\n").as_bytes()), line);
        let shown = ending(format!("before\n{line}{}\nbehind", "A".repeat(1 << 20)).as_bytes());
        assert_eq!(shown, format!("before\n{line} (1048576 characters more)\nbehind"));
    }
}
