//! The boot loader of a machine whose `db` changes.
//!
//! One that would not start any more is replaced by the systemd-boot of hoopy.lock, signed anew. The machine's own bytes are never
//! signed, whoever has signed them before: after a leak that is the whole point of replacing the key. Nor are they needed: which
//! version of systemd-boot the machine has does not matter to its images.

use std::io::Cursor;

use hoopy_boot::layout::started;
use hoopy_build::config::Overrides;
use hoopy_ship::deploy::Machine;
use hoopy_ship::deploy::firmware::SignedProgram;
use hoopy_trust::authenticode::Scan;
use hoopy_trust::firmware::{Mode, SecureBoot, SignatureLists};
use hoopy_trust::program::{self, ProgramError};

use super::super::{HERE, loader, signing, target};
use super::new_keys::NewKeys;
use crate::args::Global;
use crate::error::{CommandError, Result};

/// A signed boot loader, and which files on the machine's partition it replaces.
pub struct NewLoader {
    pub paths: Vec<String>,
    pub bytes: Vec<u8>,
    scan: Scan,
}

impl NewLoader {
    /// In place of the boot loaders that would not start any more; nothing where there is none.
    pub fn instead_of(
        lost: &[&SignedProgram],
        global: &Global,
        machine: &Machine,
        found: &SecureBoot,
        new: &NewKeys,
    ) -> Result<Option<Self>> {
        if lost.is_empty() {
            return Ok(None);
        }
        let target = target(HERE.as_ref(), global, Overrides::default())?;
        let host = &machine.host;
        if machine.known_arch() != Some(target.arch) {
            return Err(CommandError::failed(format!(
                "the boot loader of {host} would not start any more, and one for {} cannot replace it: the machine is {}; nothing was \
                 changed",
                target.arch, machine.arch
            ))
            .hint(format!("say so with --arch {}", machine.arch)));
        }
        let (at, named) = (started(target.arch), format!("/systemd-boot{}.efi", target.arch.efi_suffix()));
        let is_systemd_boot =
            |path: &str| path.eq_ignore_ascii_case(&at) || path.to_ascii_lowercase().ends_with(&named);
        if let Some(other) = lost.iter().find(|program| !is_systemd_boot(&program.path)) {
            return Err(CommandError::failed(format!(
                "{} of {host} would not be started any more: it is signed by {}, and hoopy signs nothing that a machine gives it; \
                 nothing was changed",
                other.path,
                other.signers().join("; ")
            ))
            .hint("put a copy there that you trust, signed with `hoopy sign FILE`; or remove it"));
        }
        let unsigned = loader::locked(global, &target)?.ok_or_else(|| {
            CommandError::system(format!(
                "{at} of {host} would not be started any more: expected systemd-boot in hoopy.lock to replace it, which is there with \
                 `layout = \"ab\"`; found \"{}\"; nothing was changed",
                target.system.layout
            ))
            .hint("set `layout = \"ab\"` in hoopy.toml, and run `hoopy update`; or write the disk anew with `hoopy flash`")
        })?;
        let bytes = program::signed("systemd-boot".as_ref(), &unsigned, &signing::certified(&new.signers)?)?;
        let unreadable = |source| ProgramError::Layout { path: "systemd-boot".into(), source };
        let scan = Scan::of(&mut Cursor::new(&bytes)).map_err(unreadable)?;
        let loader = Self { paths: lost.iter().map(|program| program.path.clone()).collect(), bytes, scan };
        accepted(&loader.scan, &new.db, &found.dbx)
            .map_err(|why| {
                CommandError::failed(format!(
                    "the firmware of {host} would refuse the systemd-boot of hoopy.lock: {why}; nothing was changed"
                ))
                .hint("take a newer one with `hoopy update`")
            })?;
        Ok(Some(loader))
    }

    /// Whether firmware with these lists starts it.
    pub fn starts_under(&self, db: &SignatureLists, dbx: &SignatureLists) -> bool {
        accepted(&self.scan, db, dbx).is_ok()
    }
}

fn accepted(scan: &Scan, db: &SignatureLists, dbx: &SignatureLists) -> std::result::Result<(), String> {
    let (db, dbx) = (db.clone(), dbx.clone());
    let lists = SecureBoot {
        mode: Mode::Enforcing,
        pk: SignatureLists::default(),
        kek: SignatureLists::default(),
        db,
        dbx,
    };
    lists.accepts(scan).map(drop).map_err(|why| why.to_string())
}
