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
mod declared;
mod image;
mod keys;
mod script;
mod unit;
mod values;
mod words;

pub use container::{Container, Dependency, read};
pub use declared::{Declared, declared, tagged, unread};
pub use image::Image;
pub use script::{SHARED, files};

/// Where the files are, in the image.
pub const DIRECTORY: &str = "etc/containers/systemd";

/// How their names end.
pub const EXTENSION: &str = ".container";

/// Longest file that is read: what a person writes is far shorter.
pub const MAX_FILE: usize = 64 << 10;

/// What is said of a link to a directory, and what to do about it.
pub const LINKED: (&str, &str) =
    ("expected files of containers, found a link to a directory", "move the files here, and remove the link");

/// How an image is to be named.
const PIN: &str =
    "write Image=REGISTRY/NAME:TAG, and the lock has its digest, or Image=REGISTRY/NAME@sha256:DIGEST";

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

    /// Of a file with so many bytes.
    pub fn too_long(size: u64) -> Self {
        let found = format!("expected at most {MAX_FILE} bytes, found {size}");
        Self::new(None, found, "write one container into a file")
    }

    fn at(line: usize, message: String, fix: &str) -> Self {
        Self::new(Some(line), message, fix)
    }
}

/// Whether it may be the name of a container: no shell, no path and no option can be made of it.
pub fn is_name(text: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    text.len() <= 64
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && text.bytes().all(rest)
}

/// Whether it may be the name of a service, too. OpenRC passes over a script that ends in `.sh` (`ls_dir` of its librc.c).
pub fn is_service_name(text: &str) -> bool {
    is_name(text) && !text.starts_with("hoopy-") && !text.to_ascii_lowercase().ends_with(".sh")
}

/// Why a file at `path` below [`DIRECTORY`] is not read: what was found, and what to do instead. None for files of containers
/// and for those that are no unit.
pub fn refused_file(path: &str) -> Option<(String, &'static str)> {
    const KINDS: [(&str, &str); 7] = [
        (".volume", "podman makes a volume when a container first names it: write Volume=NAME:/path"),
        (".network", "write the network as root/etc/containers/networks/NAME.json, and Network=NAME"),
        (".pod", "pods are not supported: let containers share a network"),
        (".kube", "Kubernetes files are not supported: write a file for each container"),
        (".image", "name the image in Image="),
        (".build", "images are not built here: save one as an archive, and name its digest in Image="),
        (".conf", "write its lines into the *.container file"),
    ];
    // Podman runs these as that user; a service of OpenRC would run them as root
    if path.strip_prefix(DIRECTORY).is_some_and(|path| path.starts_with("/users/")) {
        let found = format!("expected a container of root's, found one of a user's ({DIRECTORY}/users)");
        return Some((
            found,
            "containers of other users are not supported here: start them by a service of your own",
        ));
    }
    let (end, why) = KINDS.iter().find(|(end, _)| path.ends_with(end))?;
    let what = if *end == ".conf" { "a drop-in" } else { "another kind of unit" };
    Some((format!("expected *{EXTENSION}, found {what}"), why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_podman_would_read_otherwise_are_refused() {
        let at = |path: &str| refused_file(&format!("{DIRECTORY}/{path}")).map(|(found, _)| found);
        for path in ["users/a.container", "users/1000/a.container", "a.container.d/user.conf", "a.volume"] {
            assert!(at(path).is_some(), "{path}");
        }
        for path in ["a.container", "sub/a.container", "README", "users"] {
            assert_eq!(at(path), None, "{path}");
        }
    }

    #[test]
    fn a_service_has_a_name_that_openrc_sees() {
        assert!(is_service_name("web") && is_service_name("web.1"));
        assert!(!is_service_name("web.sh") && !is_service_name("hoopy-x") && !is_service_name("a b"));
    }
}
