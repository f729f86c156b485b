//! Containers that a system declares: `*.container` files in Podman's Quadlet format, below `root/etc/containers/systemd/`.
//!
//! ```text
//! file ──unit──▶ assignments ──container──▶ Container ──script──▶ files of a service of OpenRC
//!                              keys, words
//! ```
//!
//! The format is systemd's (systemd.syntax(7)) with the keys of podman-systemd.unit(5). There is no systemd: a key that
//! needs it, or what only a registry could tell, is refused by name, with the reason. Nothing is passed over in silence.

mod container;
mod image;
mod keys;
mod script;
mod unit;
mod values;
mod words;

pub use container::{Container, Dependency, read};
pub use image::Image;
pub use script::{SHARED, files};

/// Where the files are, in the image.
pub const DIRECTORY: &str = "etc/containers/systemd";

/// How their names end.
pub const EXTENSION: &str = ".container";

/// Longest file that is read: what a person writes is far shorter.
pub const MAX_FILE: usize = 64 << 10;

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitError {
    /// The line, from 1; none where the whole file is meant.
    pub line: Option<usize>,
    /// What was expected and what was found.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

impl UnitError {
    fn new(line: Option<usize>, message: String, fix: &str) -> Self {
        Self { line, message, fix: fix.to_owned() }
    }

    fn at(line: usize, message: String, fix: &str) -> Self {
        Self::new(Some(line), message, fix)
    }
}

/// Whether it may be the name of a container, and of a service: no shell, no path and no option can be made of it.
pub fn is_name(text: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    text.len() <= 64
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && text.bytes().all(rest)
}

/// Why a file of that directory is not read, by how its name ends.
pub fn refused_file(name: &str) -> Option<&'static str> {
    const KINDS: [(&str, &str); 6] = [
        (".volume", "podman makes a volume when a container first names it: write Volume=NAME:/path"),
        (".network", "write the network as root/etc/containers/networks/NAME.json, and Network=NAME"),
        (".pod", "pods are not supported: let containers share a network"),
        (".kube", "Kubernetes files are not supported: write a file for each container"),
        (".image", "images are named by their digest in Image="),
        (".build", "images are not built here: save one as an archive, and name its digest in Image="),
    ];
    KINDS.iter().find(|(end, _)| name.ends_with(end)).map(|(_, why)| *why)
}
