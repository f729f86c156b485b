//! What an overlay lacks since nobody opened it: the report says which files, and whether anybody can log in without them.

use std::collections::BTreeMap;

use hoopy_build::config::System;
use hoopy_secrets::Secrets;
use hoopy_store::layer::EntryPath;

use super::Item;
use crate::login::{self, is_list_of_keys};
use crate::report::TransferReport;

/// The accounts with the hashes of their passwords.
const SHADOW: &str = "etc/shadow";

/// The directory's file with the hashes that its owner keeps out of git.
const PASSWORDS: &str = "passwords";

/// Tells of them.
pub(super) fn tell(system: &System, items: &BTreeMap<EntryPath, Item>, report: &mut TransferReport) {
    // Whatever is wrong with them, the root was built before this.
    let secrets = Secrets::read(&system.dir).ok().flatten();
    for path in secrets.iter().flat_map(|secrets| &secrets.paths).filter_map(|path| path.on_machine()) {
        if !has(items, path) {
            report.left(
                format!("/{path}"),
                "a secret: it is encrypted in secrets/, and an overlay is not",
                "put it on the machine, and run `lbu commit` there",
            );
        }
    }
    if system.path(PASSWORDS).exists() && !has_password(items) {
        report.left(
            PASSWORDS.to_owned(),
            "hashes of passwords, which are kept out of git",
            "set passwords on the machine, and run `lbu commit` there",
        );
    }
    if !has_password(items) && !has_key(items) {
        report.look(
            "no login: no account has a password in the overlay, and there is no authorized_keys. Put a public key of ssh into \
             root/root/.ssh/authorized_keys and export again, or set a password at the machine's console before it starts with this overlay"
                .to_owned(),
        );
    }
}

fn has(items: &BTreeMap<EntryPath, Item>, path: &str) -> bool {
    items.keys().any(|item| item.as_bytes() == path.as_bytes())
}

fn has_password(items: &BTreeMap<EntryPath, Item>) -> bool {
    let shadow = items.iter().find(|(path, _)| path.as_bytes() == SHADOW.as_bytes());
    let is_hash = |line: &str| line.split(':').nth(1).is_some_and(|hash| hash.starts_with('$'));
    shadow.is_some_and(|(_, item)| String::from_utf8_lossy(&item.bytes).lines().any(is_hash))
}

fn has_key(items: &BTreeMap<EntryPath, Item>) -> bool {
    items.iter().any(|(path, item)| is_list_of_keys(&path.to_string()) && login::has_key(&item.bytes))
}
