//! Shells of accounts: who has one that is not there cannot log in, by whatever way.

use hoopy_build::check::shells::is_for_logins;
use hoopy_build::stack::Stack;
use hoopy_store::layer::EntryPath;

use super::accounts::Accounts;
use super::draft::SystemDraft;
use crate::report::TransferReport;

/// What passwd(5) means where it names none.
const DEFAULT: &str = "/bin/sh";

/// Says which accounts of the machine have a shell that the image lacks.
pub fn report(own: &Accounts, made: &Stack, draft: &SystemDraft, report: &mut TransferReport) {
    for (name, shell) in own.shells() {
        let shell = if shell.is_empty() { DEFAULT } else { shell };
        if !is_for_logins(shell) {
            continue;
        }
        let there = EntryPath::new(shell).is_ok_and(|path| {
            made.tree.follow(&path).is_some()
                || draft.files.contains_key(&path)
                || draft.links.contains_key(&path)
                || draft.links_of_setup.contains(&path)
        });
        if !there {
            report.look(format!(
                "no login for {name}: its shell {shell} is not in the image, neither at the console nor over ssh: add the \
                 package that has it to `packages`, or give it another shell in setup.sh"
            ));
        }
    }
}
