//! `hoopy keys enroll HOST`: the firmware of a machine that runs trusts the keys of `trust/`.
//!
//! The machine must start, and have an image to fall back to. So a boot loader that would be refused is replaced before the list
//! changes (`loader.rs`). An image that would be refused is removed where the machine runs another one and has one to fall back to;
//! where not, nothing changes at all.
//!
//! ```text
//! ask ─▶ plan, new loader, updates signed by KEK ─▶ db with both, if need be ─▶ loader, images ─▶ db as it is to be
//! ```

use hoopy_boot::layout::{LINUX_DIR, Slot, started};
use hoopy_build::config::System;
use hoopy_ship::deploy::firmware::{self, SignedProgram};
use hoopy_ship::deploy::{Machine, Ssh};
use hoopy_trust::CertifiedSigner;
use hoopy_trust::certificate::Certificate;
use hoopy_trust::enrolment::db_of_machine;
use hoopy_trust::firmware::{
    Entry, EntryKind, Mode, OWNER, SecureBoot, SignatureLists, Update, UpdateError, Variable,
};
use hoopy_trust::keys::{KeyName, PublicKeys, RETIRED, list_file, lists};
use jiff::{SignedDuration, Timestamp};

use super::super::{host, signing, ssh};
use super::loader::NewLoader;
use super::new_keys::NewKeys;
use crate::args::Global;
use crate::error::{CommandError, Context as _, Result};
use crate::output::{note, print};

pub fn enroll(global: &Global, system: &System, name: &str) -> Result<()> {
    let keys = PublicKeys::read(&system.dir)?;
    let own = own_list(system, &keys)?;
    let host = host::find(Some(name), None, global)?;
    let ssh = Ssh::connect(&host.name, &ssh())?;
    let found = firmware::ask(&ssh, false)?.secure_boot;
    accepts_updates(name, &keys, &found)?;
    let db = db_of_machine(&own, &found.db, &keys.retired_db);
    let signers = signing::program_signers(system)?;
    let new = NewKeys { keys, signers, db };
    if new.db == found.db {
        print(format!("{name} trusts the keys of trust/ already, and no other key of yours\n"))?;
        return tell_kept(global, name, &new, &found);
    }
    let machine = Machine::ask(&ssh, host.esp.as_deref())?;
    let changes = Changes::plan(global, &ssh, &machine, &found, &new)?;
    let updates = updates(system, &found, &new, changes.loader.as_ref())?;
    if let Some((update, lists)) = updates.first {
        firmware::write_db(&ssh, &update, &lists)?;
    }
    changes.make(global, &ssh, &machine)?;
    let (update, lists) = updates.last;
    firmware::write_db(&ssh, &update, &lists)?;
    let names = new.signers.iter().map(|(certificate, _)| certificate.subject());
    print(format!(
        "{name} trusts {} from its next boot on\n\
         next: reboot it; where its TPM opens the secrets, it comes up locked: `hoopy secret enroll {name}` then\n",
        names.collect::<Vec<_>>().join(" and ")
    ))?;
    tell_kept(global, name, &new, &found)
}

/// Updates of `db`, signed, each with what it leaves there.
struct Updates {
    /// Before the boot loader is replaced.
    first: Option<(Vec<u8>, SignatureLists)>,
    last: (Vec<u8>, SignatureLists),
}

/// The updates of `db`, signed before anything is changed. The new boot loader has to start also
/// where power fails before the last one: where the firmware does not trust its key yet, the first one adds that and removes nothing.
fn updates(
    system: &System,
    found: &SecureBoot,
    new: &NewKeys,
    loader: Option<&NewLoader>,
) -> Result<Updates> {
    let kek = new.keys.kek.as_ref().ok_or_else(|| signing::no_certificate(system, KeyName::Kek))?;
    let by = signing::signer(system, KeyName::Kek, kek.key())?;
    let by = CertifiedSigner::new(kek, by.as_ref())?;
    let both = loader
        .filter(|loader| !loader.starts_under(&found.db, &found.dbx))
        .map(|_| db_of_machine(&new.db, &found.db, &[]));
    // Not that of SOURCE_DATE_EPOCH: firmware refuses what is not newer than its last update, in seconds.
    let now = Timestamp::now();
    let later = if both.is_some() { now + SignedDuration::from_secs(1) } else { now };
    let signed = |lists: SignatureLists, time: Timestamp| -> Result<_> {
        let update = Update { variable: Variable::Db, time, append: false, lists };
        let signed = update.signed(by).map_err(|error| match error {
            UpdateError::Signer(error) => signing::cannot_sign(system, KeyName::Kek, error),
            other => other.into(),
        });
        Ok((signed?, update.lists))
    };
    let first = both.map(|lists| signed(lists, now)).transpose()?;
    Ok(Updates { first, last: signed(new.db.clone(), later)? })
}

/// Says which certificates stay that hoopy has put there, and that are not known here: another system's, or an old one of this.
fn tell_kept(global: &Global, name: &str, new: &NewKeys, found: &SecureBoot) -> Result<()> {
    let own: Vec<&Certificate> = new.keys.program_signers().map(|(_, certificate)| certificate).collect();
    let is_kept = |entry: &&Entry| entry.owner == OWNER && new.db.entries.contains(entry);
    for entry in found.db.entries.iter().filter(is_kept) {
        let EntryKind::Certificate(certificate) = &entry.kind else { continue };
        if !global.quiet && !own.contains(&certificate.as_ref()) {
            note(format!(
                "{name} goes on trusting {} (sha256 {}), which trust/ does not have: if that is an old key of this system, add the \
                 certificate to {RETIRED}, and run this again",
                certificate.subject(),
                certificate.fingerprint()
            ));
        }
    }
    Ok(())
}

/// The list of `trust/`, which has all keys that sign.
fn own_list(system: &System, keys: &PublicKeys) -> Result<SignatureLists> {
    let list = lists(&system.dir)?.into_iter().find(|(variable, _)| *variable == Variable::Db);
    let own = match list {
        Some((variable, bytes)) => Update::content(&bytes).context(list_file(variable))?,
        None => SignatureLists::default(),
    };
    for (name, signer) in keys.program_signers() {
        if !own.certificates().any(|certificate| certificate == signer) {
            let message = format!("expected {} in {}", name.public_file(), list_file(Variable::Db));
            return Err(CommandError::system(message).hint("sign the lists with `hoopy keys enroll`"));
        }
    }
    Ok(own)
}

/// That the firmware takes what the owner's KEK signs.
fn accepts_updates(name: &str, keys: &PublicKeys, found: &SecureBoot) -> Result<()> {
    if found.mode == Mode::Setup {
        let message = format!("{name} has no keys yet: its firmware is in setup mode");
        return Err(CommandError::failed(message)
            .hint("write its disk with --enroll: `hoopy flash --enroll`, `hoopy disk --enroll`"));
    }
    let kek = keys.kek.as_ref();
    if kek.is_some_and(|kek| found.kek.certificates().any(|known| known == kek)) {
        return Ok(());
    }
    let known: Vec<String> = found.kek.certificates().map(Certificate::subject).collect();
    let message = format!(
        "the firmware of {name} takes no keys of yours: expected trust/KEK.crt in its KEK, found {}",
        if known.is_empty() { "none".to_owned() } else { known.join("; ") }
    );
    Err(CommandError::failed(message)
        .hint("clear its keys in the firmware's menu, and boot a disk that was written with --enroll"))
}

/// What has to be done on the partition, so that what starts now starts with the new list.
struct Changes {
    /// The boot loader that goes over those that would not start any more.
    loader: Option<NewLoader>,
    /// The images that would not.
    removed: Vec<String>,
}

impl Changes {
    /// Looks what would not start any more. Nothing is changed yet, also where this fails.
    fn plan(
        global: &Global,
        ssh: &Ssh,
        machine: &Machine,
        found: &SecureBoot,
        new: &NewKeys,
    ) -> Result<Self> {
        let programs = firmware::programs(ssh, machine)?;
        let is_lost = |program: &&SignedProgram| {
            program.starts_under(&found.db, &found.dbx) && !program.starts_under(&new.db, &found.dbx)
        };
        let (images, loaders): (Vec<_>, Vec<_>) =
            programs.iter().filter(is_lost).partition(|program| program.is_image);
        let is_good = |program: &&SignedProgram| {
            program.is_image && slot_of(program).is_none_or(|slot| slot.left != Some(0))
        };
        let starts = |program: &&SignedProgram| program.starts_under(&new.db, &found.dbx);
        let left = programs.iter().filter(is_good).filter(starts).count();
        let runs = |program: &&&SignedProgram| is_running(machine, program);
        // One to run and one to fall back to, as before.
        let needed = images.iter().find(runs).or_else(|| images.first().filter(|_| left < 2));
        if let Some(image) = needed {
            return Err(CommandError::failed(format!(
                "{} would not start {} any more, which is signed by {}; nothing was changed",
                ssh.host(),
                image.path,
                image.signers().join("; ")
            ))
            .hint("deploy an image that the new key signed, with `hoopy deploy HOST --reboot`, until it has two of them"));
        }
        let loader = NewLoader::instead_of(&loaders, global, machine, found, new)?;
        Ok(Self { loader, removed: images.iter().map(|image| image.path.clone()).collect() })
    }

    fn make(&self, global: &Global, ssh: &Ssh, machine: &Machine) -> Result<()> {
        if let Some(loader) = &self.loader {
            for path in &loader.paths {
                firmware::replace(ssh, machine, path, &loader.bytes)?;
                if !global.quiet {
                    note(format!("{path} of {} is the systemd-boot of hoopy.lock now, signed", ssh.host()));
                }
            }
        }
        // An image that the firmware refuses ends the search for one that it takes.
        let paths: Vec<&str> = self.removed.iter().map(String::as_str).collect();
        if paths.is_empty() {
            return Ok(());
        }
        firmware::remove(ssh, machine, &paths)?;
        if !global.quiet {
            note(format!(
                "removed from {}, since it would not start any more: {}",
                ssh.host(),
                paths.join(", ")
            ));
        }
        Ok(())
    }
}

/// Whether the image in this file runs, by its name; with the layout `single`, the file that the firmware starts is it.
fn is_running(machine: &Machine, program: &SignedProgram) -> bool {
    match slot_of(program) {
        Some(slot) => machine.image.as_deref() == Some(slot.image.as_str()),
        None => machine.known_arch().is_some_and(|arch| program.path == started(arch)),
    }
}

fn slot_of(program: &SignedProgram) -> Option<Slot> {
    Slot::parse(program.path.strip_prefix(LINUX_DIR)?.trim_start_matches('/'))
}
