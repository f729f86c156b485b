//! Whose secrets are: root's, or as `[secrets.owners]` says, by the names that the image's own `passwd` and `group` have.

use std::collections::{BTreeMap, BTreeSet};

use hoopy_store::Store;
use hoopy_store::layer::{EntryPath, Owner};
use hoopy_store::tree::settle::Accounts;

use super::super::{Stack, StackError};
use super::SecretLayerError;

/// No account has this number (`(uid_t) -1`): what a name without a number gives.
const NOBODY_HAS: u32 = u32::MAX;

/// Who owns which secret.
pub(super) struct Owners<'a> {
    by_path: BTreeMap<&'a EntryPath, (u32, u32)>,
    used: BTreeSet<EntryPath>,
}

impl<'a> Owners<'a> {
    /// Looks the names up.
    pub(super) fn new(
        written: &'a BTreeMap<EntryPath, String>,
        stack: &Stack,
        store: &Store,
    ) -> Result<Self, StackError> {
        let mut by_path = BTreeMap::new();
        if !written.is_empty() {
            let read = |path: &str| -> Result<Vec<u8>, StackError> {
                Ok(stack.read(&EntryPath::new(path)?, store)?.unwrap_or_default())
            };
            let accounts = Accounts::parse(&read("etc/passwd")?, &read("etc/group")?);
            for (path, owner) in written {
                by_path.insert(path, numbers(path, owner, &accounts)?);
            }
        }
        Ok(Self { by_path, used: BTreeSet::new() })
    }

    /// User and group of the secret at `path`.
    pub(super) fn of(&mut self, path: &EntryPath) -> (u32, u32) {
        self.used.insert(path.clone());
        self.by_path.get(path).copied().unwrap_or((0, 0))
    }

    /// An owner of something that is no secret is a mistake.
    pub(super) fn end(self) -> Result<(), StackError> {
        match self.by_path.keys().find(|path| !self.used.contains(**path)) {
            None => Ok(()),
            Some(path) => {
                let message = format!("there is no secrets/{path}.age");
                Err(SecretLayerError::Owner { path: (*path).clone(), message }.into())
            }
        }
    }
}

fn numbers(path: &EntryPath, owner: &str, accounts: &Accounts) -> Result<(u32, u32), SecretLayerError> {
    let (user, group) = owner.split_once(':').unwrap_or((owner, owner));
    let named = |name: &str| Owner { id: NOBODY_HAS, name: Some(name.to_owned()) };
    let found = |kind: &str, name: &str, id: u32| {
        let message =
            format!("the image has no {kind} {name:?}: add it in setup.sh, or a package that brings it");
        if id == NOBODY_HAS { Err(SecretLayerError::Owner { path: path.clone(), message }) } else { Ok(id) }
    };
    let uid = found("user", user, accounts.uid(&named(user)))?;
    let gid = found("group", group, accounts.gid(&named(group)))?;
    Ok((uid, gid))
}
