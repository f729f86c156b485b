//! `hoopy keys enroll HOST`: the firmware of a machine that runs trusts the keys of `trust/`.
//!
//! The machine must start, and have an image to fall back to. So its boot loader gets the signature that it lacks before the list
//! changes. An image that would be refused is removed where the machine runs another one and has one to fall back to; where not,
//! nothing changes at all.

use hoopy_boot::layout::{LINUX_DIR, Slot, started};
use hoopy_build::config::System;
use hoopy_ship::deploy::firmware::{self, SignedProgram};
use hoopy_ship::deploy::{Machine, Ssh};
use hoopy_trust::certificate::Certificate;
use hoopy_trust::enrolment::db_of_machine;
use hoopy_trust::firmware::{Mode, SecureBoot, SignatureLists, Update, Variable};
use hoopy_trust::image::ProgramSigner;
use hoopy_trust::keys::{KeyName, PublicKeys, list_file, lists};
use hoopy_trust::{CertifiedSigner, program};
use jiff::Timestamp;

use super::super::{host, signing, ssh};
use crate::args::Global;
use crate::error::{CommandError, Context as _, Result};
use crate::output::{note, print};

/// What is to be trusted.
struct NewKeys {
    keys: PublicKeys,
    signers: Vec<ProgramSigner>,
    db: SignatureLists,
}

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
    let machine = Machine::ask(&ssh, host.esp.as_deref())?;
    keep_starting(global, &ssh, &machine, &found, &new)?;
    if new.db == found.db {
        return print(format!("{name} trusts the keys of trust/ already, and no other key of yours\n"));
    }
    let kek = new.keys.kek.as_ref().ok_or_else(|| signing::no_certificate(system, KeyName::Kek))?;
    let by = signing::signer(system, KeyName::Kek, kek.key())?;
    // Not that of SOURCE_DATE_EPOCH: firmware refuses what is not newer than its last update.
    let update =
        Update { variable: Variable::Db, time: Timestamp::now(), append: false, lists: new.db.clone() };
    firmware::write_db(&ssh, &update.signed(CertifiedSigner::new(kek, by.as_ref())?)?, &new.db)?;
    let names = new.signers.iter().map(|(certificate, _)| certificate.subject());
    print(format!(
        "{name} trusts {} from its next boot on\n\
         next: reboot it; where its TPM opens the secrets, it comes up locked: `hoopy secret enroll {name}` then\n",
        names.collect::<Vec<_>>().join(" and ")
    ))
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

/// That what starts now starts with the new list: boot loaders get a signature more.
fn keep_starting(
    global: &Global,
    ssh: &Ssh,
    machine: &Machine,
    found: &SecureBoot,
    new: &NewKeys,
) -> Result<()> {
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
    for loader in loaders {
        sign_loader(ssh, machine, loader, new)?;
        if !global.quiet {
            note(format!("signed {} of {}", loader.path, ssh.host()));
        }
    }
    // An image that the firmware refuses ends the search for one that it takes.
    let paths: Vec<&str> = images.iter().map(|image| image.path.as_str()).collect();
    if !paths.is_empty() {
        firmware::remove(ssh, machine, &paths)?;
        if !global.quiet {
            note(format!(
                "removed from {}, since it would not start any more: {}",
                ssh.host(),
                paths.join(", ")
            ));
        }
    }
    Ok(())
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

/// Adds signatures to a boot loader that the owner has signed before, and to no other: the machine may have been changed.
fn sign_loader(ssh: &Ssh, machine: &Machine, loader: &SignedProgram, new: &NewKeys) -> Result<()> {
    let bytes = firmware::loader(ssh, machine, loader)?;
    let of_host = || format!("{} of {}", loader.path, ssh.host());
    let signatures = program::signatures(loader.path.as_ref(), &bytes).context(of_host())?;
    let keys = &new.keys;
    let own: Vec<&Certificate> =
        [&keys.db, &keys.next_db].into_iter().flatten().chain(&keys.retired_db).collect();
    if !signatures.iter().any(|signature| own.contains(&signature.signer())) {
        return Err(CommandError::failed(format!(
            "{} would not be started any more: expected a signature by your old key, found {}; nothing was changed",
            of_host(),
            loader.signers().join("; ")
        ))
        .hint("write the disk anew with `hoopy flash`, or put a boot loader there that `hoopy sign` signed"));
    }
    let signed = program::signed(loader.path.as_ref(), &bytes, &signing::certified(&new.signers)?)?;
    Ok(firmware::replace(ssh, machine, &loader.path, &signed)?)
}
