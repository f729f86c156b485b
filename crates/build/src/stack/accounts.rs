//! The users and groups of the stack, read only when a layer names one.

use hoopy_store::Store;
use hoopy_store::layer::{Entry, EntryPath};
use hoopy_store::tree::settle::Accounts;

use super::{Stack, StackError};

/// The accounts that `entries` need: none where every owner is a number.
pub fn of(stack: &Stack, entries: &[Entry], store: &Store) -> Result<Accounts, StackError> {
    if entries.iter().all(|e| e.user.name.is_none() && e.group.name.is_none()) {
        return Ok(Accounts::default());
    }
    let read = |path: &str| -> Result<Vec<u8>, StackError> {
        Ok(stack.read(&EntryPath::new(path)?, store)?.unwrap_or_default())
    };
    Ok(Accounts::parse(&read("etc/passwd")?, &read("etc/group")?))
}
