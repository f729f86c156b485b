//! Private keys that every user of the machine can read. Git keeps no mode but the execute bit, so a key that is
//! committed comes out readable wherever it is cloned; `[modes]` is where its mode is written down.

use super::finding::{Finding, Severity};
use super::own::{From, Own};
use super::view::{View, lines};

/// Permission bits of everybody but the owner: sshd and dropbear take no key that has any.
const OTHERS: u32 = 0o077;

/// Private keys that others may read.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    let readable = |own: &&Own| own.is_file() && own.mode & OTHERS != 0;
    view.own.iter().filter(readable).filter_map(|own| finding(view, own)).collect()
}

fn finding(view: &View<'_>, own: &Own) -> Option<Finding> {
    let line = key_line(own)?;
    let path = own.path.to_string();
    let chmod = |l: &str| l.contains("chmod") && l.contains(&format!("/{path}"));
    if view.pending_setup().is_some_and(|setup| setup.lines().any(chmod)) {
        return None;
    }
    let message = format!("a private key that others can read (mode {:04o})", own.mode);
    let fix = match own.from {
        From::Root => format!("write `{path:?} = \"0600\"` under [modes] in hoopy.toml"),
        From::Programs | From::Setup => format!("chmod 600 /{path} in setup.sh"),
    };
    Some(own.finding(Severity::Error, line, &message, fix))
}

/// Whether it is a private key.
pub fn is_key(own: &Own) -> bool {
    own.is_file() && key_line(own).is_some()
}

/// The line where a key begins, of those that have lines; `None` where there is no key.
fn key_line(own: &Own) -> Option<Option<usize>> {
    let name = own.path.name();
    if own.path.is_within(b"etc/dropbear") && name.ends_with(b"_host_key") {
        return Some(None);
    }
    if own.text.contains(&0) {
        return None;
    }
    let wireguard = own.path.is_within(b"etc/wireguard");
    let begins = |line: &str| {
        // RFC 7468, and what OpenSSH and older OpenSSL write: RSA, EC, OPENSSH, ENCRYPTED before the words.
        let pem = line.starts_with("-----BEGIN ") && line.ends_with("PRIVATE KEY-----");
        pem || line.starts_with("AGE-SECRET-KEY-1")
            || (wireguard && line.split('=').next().is_some_and(|key| key.trim() == "PrivateKey"))
    };
    lines(&own.text).find(|(_, line)| begins(line)).map(|(n, _)| Some(n))
}
