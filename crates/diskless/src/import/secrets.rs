//! Where secrets go: nowhere, unless an option says so.

use std::io;

use hoopy_inspect::drift;

use crate::login::is_list_of_keys;

/// A secret of the source.
#[derive(Debug, Clone, Copy)]
pub struct Secret<'a> {
    /// Its path on the machine.
    pub path: &'a str,
    /// What it is.
    pub what: &'a str,
    /// Permission bits.
    pub mode: u32,
    /// Its content.
    pub content: &'a [u8],
}

/// Takes secrets, to keep them encrypted.
pub trait KeepSecrets {
    /// Keeps one below the system directory `dir`; gives where it is.
    ///
    /// # Errors
    /// What writing fails with; `InvalidInput` where this one cannot be kept, and others can.
    fn keep(&mut self, dir: &std::path::Path, secret: &Secret<'_>) -> io::Result<String>;
}

/// What becomes of secrets.
#[derive(Default)]
pub enum Policy<'a> {
    /// They are named, and not taken.
    #[default]
    Refuse,
    /// They lie in the directory as they are, where git ignores them.
    Plain,
    /// They are given to somebody who encrypts them.
    Keep(&'a mut dyn KeepSecrets),
}

/// What a file is, as far as secrets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// A secret: what it is.
    Secret(&'static str),
    /// Not everybody could read it, and it is taken all the same: who could, and why it is taken.
    Private(&'static str, &'static str),
    /// Anything else.
    Open,
}

/// What a file with this mode is. `of_package` is the mode that a package gives the file at its path.
///
/// A file that only its owner can read was made so by a person or a program that knew why: that counts as much as a name.
pub fn of(path: &str, mode: u32, content: &[u8], of_package: Option<u32>) -> Secrecy {
    if let Some(what) = drift::secret(path.as_bytes(), content) {
        return Secrecy::Secret(what);
    }
    const OWNER: &str = "only its owner";
    const GROUP: &str = "only its owner and its group";
    let is_private = |mode: u32| mode & 0o077 == 0;
    let is_open = mode & 0o004 != 0;
    if is_open || content.is_empty() || is_never_secret(path, content) {
        Secrecy::Open
    } else if !is_private(mode) {
        Secrecy::Private(GROUP, "nothing in it looks secret")
    } else if content.starts_with(b"#!") {
        Secrecy::Private(OWNER, "it is a script")
    } else if of_package.is_some_and(is_private) {
        Secrecy::Private(OWNER, "a package has it with such a mode")
    } else {
        Secrecy::Secret("only its owner can read it")
    }
}

/// Files that programs want or make unreadable for others, although what is in them is no secret.
const NEVER_SECRET: [&str; 9] = [
    "etc/crontabs/",
    "var/spool/cron/",
    "etc/sudoers",
    "etc/doas.conf",
    "etc/doas.d/",
    // The services of both save so.
    "etc/iptables/rules-save",
    "etc/iptables/rules6-save",
    "etc/lvm/backup/",
    "etc/lvm/archive/",
];

fn is_never_secret(path: &str, content: &[u8]) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let of_ssh = is_list_of_keys(path) || name.starts_with("known_hosts") || path.ends_with(".ssh/config");
    let public = ["-----BEGIN CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----"];
    of_ssh
        || name.ends_with(".pub")
        || NEVER_SECRET.iter().any(|start| path.starts_with(start))
        || public.iter().any(|start| content.starts_with(start.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_its_owner_can_read_is_a_secret_unless_programs_want_it_so() {
        for (path, mode, content) in [
            ("etc/luks/home", 0o400, "\0x"),
            ("home/me/.config/app/token", 0o600, "x\n"),
            ("etc/app.conf", 0o100, "x\n"),
        ] {
            assert!(matches!(of(path, mode, content.as_bytes(), None), Secrecy::Secret(_)), "{path}");
        }
        for (path, mode, content) in [
            ("etc/app.conf", 0o644, "x\n"),
            ("etc/sudoers.d/wheel", 0o440, "%wheel ALL=(ALL) ALL\n"),
            ("etc/empty", 0o600, ""),
            ("root/.ssh/authorized_keys", 0o600, "ssh-ed25519 AAAA\n"),
            ("root/.ssh/known_hosts.old", 0o600, "x\n"),
            ("etc/ssh/authorized_keys/me", 0o600, "ssh-ed25519 AAAA\n"),
            ("etc/crontabs/root", 0o600, "0 3 * * * run-parts /etc/periodic/daily\n"),
            ("etc/sudoers.d/wheel", 0o400, "%wheel ALL=(ALL) ALL\n"),
            ("etc/ssl/site.crt", 0o600, "-----BEGIN CERTIFICATE-----\n"),
        ] {
            assert_eq!(of(path, mode, content.as_bytes(), None), Secrecy::Open, "{path}");
        }
        assert!(matches!(of("usr/local/bin/x", 0o700, b"#!/bin/sh\n", None), Secrecy::Private(..)));
        assert!(matches!(of("etc/x", 0o600, b"x\n", Some(0o600)), Secrecy::Private(..)));
        for mode in [0o640, 0o660, 0o750, 0o2640, 0o040] {
            assert!(matches!(of("etc/x", mode, b"x\n", Some(0o640)), Secrecy::Private(..)), "{mode:o}");
        }
        assert!(matches!(of("etc/x", 0o600, b"x\n", Some(0o644)), Secrecy::Secret(_)));
        let crontab = b"MAILTO=me\nPASSWORD=geheim12\n";
        assert!(matches!(of("etc/crontabs/root", 0o600, crontab, None), Secrecy::Secret(_)));
    }
}
