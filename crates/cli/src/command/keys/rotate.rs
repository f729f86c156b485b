//! `hoopy keys rotate`: another key takes the place of db's, and every machine starts at each step.
//!
//! ```text
//! begin    secrets/trust/db.next.key.age, trust/db.next.crt ─▶ lists with both      both sign
//! finish   trust/db.crt ─▶ db.old.crt; db.next.* ─▶ db.* ─▶ lists with one          the new one signs
//! abandon  trust/db.next.crt ─▶ db.old.crt; db.next.* are removed ─▶ lists with one the old one signs
//! ```
//!
//! Which files are there says how far it is ([`Stage`]). Each step can be run again, and goes on where it was interrupted. What
//! the second one needs is opened, and the lists are signed, before it changes a file: the old private key cannot be had back.

use std::fs;
use std::path::Path;

use hoopy_base::atomic::{Readers, directory_of, replace_file, sync_dir};
use hoopy_build::config::System;
use hoopy_trust::certificate::Certificate;
use hoopy_trust::firmware::Variable;
use hoopy_trust::keys::{KeyName, PublicKeys, RETIRED, list_file};
use hoopy_trust::signer::{self, SignerError};

use super::super::signing;
use crate::args::Global;
use crate::error::{CommandError, Context as _, Result};
use crate::output::print;

/// How many certificates that do not sign any more are kept: a machine that missed that many rotations is set up anew.
const MAX_RETIRED: usize = 16;

/// What to do where the next private key is lost.
const ABANDON: &str =
    "if git does not have it, end the rotation with `hoopy keys rotate --abandon`, and begin again";

/// How far a rotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// There is none, or the last one is finished.
    Off,
    /// Both keys sign.
    Both,
    /// The second step was interrupted, or the next private key is lost.
    Finishing,
}

/// How far the rotation of the system's key is.
pub fn stage(system: &System, keys: &PublicKeys) -> Result<Stage> {
    let has_private = || !system.sign_command.is_empty() || has(system, KeyName::NextDb);
    Ok(match &keys.next_db {
        Some(_) if has_private() => Stage::Both,
        Some(_) => Stage::Finishing,
        // The lists are what is written last.
        None if retired_but_listed(system, keys)? => Stage::Finishing,
        None => Stage::Off,
    })
}

/// Whether the list for `db` has a certificate that does not sign any more.
fn retired_but_listed(system: &System, keys: &PublicKeys) -> Result<bool> {
    for retired in keys.retired_db.iter().filter(|retired| keys.db.as_ref() != Some(retired)) {
        if super::is_listed(system, Variable::Db, retired)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the private half of a key is there.
fn has(system: &System, name: KeyName) -> bool {
    system.path(&name.private_file()).exists()
}

/// That the next key is another one than the old one.
fn expect_another(keys: &PublicKeys) -> Result<()> {
    if keys.next_db.is_none() || keys.next_db != keys.db {
        return Ok(());
    }
    let (next, old) = (KeyName::NextDb.public_file(), KeyName::Db.public_file());
    Err(CommandError::system(format!("{next}: expected the certificate of another key, found that of {old}"))
        .hint(format!(
            "put the certificate of the next key there; or remove {next}, which ends the rotation"
        )))
}

/// Makes the next key, unless it is there, and the lists with both.
pub fn begin(global: &Global, system: &System) -> Result<()> {
    let keys = PublicKeys::read(&system.dir)?;
    let old = keys.db.as_ref().ok_or_else(|| signing::no_certificate(system, KeyName::Db))?;
    expect_another(&keys)?;
    match stage(system, &keys)? {
        Stage::Off => make(global, system, &keys)?,
        Stage::Both => {
            let new =
                keys.next_db.as_ref().ok_or_else(|| signing::no_certificate(system, KeyName::NextDb))?;
            expect_private(system, new)?;
            if !super::is_listed(system, Variable::Db, new)? || !super::is_listed(system, Variable::Db, old)?
            {
                super::enroll(global, system, super::others_of(system)?)?;
            }
        }
        Stage::Finishing => {
            let (file, list) = (KeyName::NextDb.private_file(), list_file(Variable::Db));
            return Err(if keys.next_db.is_some() {
                CommandError::system(format!("the rotation is being finished: expected {file}, found none"))
                    .hint("go on with `hoopy keys rotate --finish`")
                    .hint(ABANDON)
            } else {
                CommandError::system(format!(
                    "the rotation is being finished: expected {list} without {RETIRED}, found it with that"
                ))
                .hint("go on with `hoopy keys rotate --finish`")
            });
        }
    }
    let keys = PublicKeys::read(&system.dir)?;
    let new = keys.next_db.as_ref().ok_or_else(|| signing::no_certificate(system, KeyName::NextDb))?;
    let (old, new) = names(old, new);
    let sealed = "     where its TPM opens the secrets: `hoopy secret enroll HOST` after that reboot\n";
    print(format!(
        "{old} is being replaced: from now on {new} signs, too\n\
         commit trust/ and secrets/ now: {new} is nowhere else\n\
         next, for each machine:\n  \
         1. hoopy deploy HOST --reboot      an image that both have signed; do it twice, for one to fall back to\n  \
         2. hoopy keys enroll HOST          its firmware trusts both after the next reboot\n{sealed}\
         then: hoopy keys rotate --finish\n"
    ))
}

/// The next key, and the lists with both: signed before any file is written. With the next certificate there, both have to sign, and
/// it would take KEK to undo that. A private half without a public one was left by a run that was interrupted: nothing is signed with it.
fn make(global: &Global, system: &System, keys: &PublicKeys) -> Result<()> {
    if !system.sign_command.is_empty() {
        let file = KeyName::NextDb.public_file();
        return Err(CommandError::system(format!("no next key: expected its certificate, found no {file}")).hint(
            "make a key called db.next where the command in hoopy.toml finds it, and put its certificate there as PEM",
        ));
    }
    let (secrets, time) = (super::secrets(system)?, super::super::image::now()?);
    // Both certificates are seen side by side for a while, and two may be made in a day.
    let subject = super::subject(system, &format!("db {}", time.strftime("%Y-%m-%d %H:%M:%S")));
    let next = super::make(&subject, KeyName::NextDb, time)?;
    let both = PublicKeys { next_db: next.certificate.clone(), ..keys.clone() };
    let lists = super::signed_lists(system, &both, super::others_of(system)?)?;
    super::keep(global, system, &secrets, &next)?;
    super::write_lists(global, system, lists)
}

/// Puts the next key in the place of the old one, and signs the lists without that.
pub fn finish(global: &Global, system: &System) -> Result<()> {
    let keys = PublicKeys::read(&system.dir)?;
    expect_another(&keys)?;
    if stage(system, &keys)? == Stage::Off {
        return Err(nothing_to_finish(&keys));
    }
    // As the keys are to be; where the certificates have been moved already, as they are.
    let mut new = keys.clone();
    if let Some(next) = &keys.next_db {
        let old = keys.db.clone().ok_or_else(|| signing::no_certificate(system, KeyName::Db))?;
        new.retired_db = retired(&old, &keys);
        new.db = Some(next.clone());
        new.next_db = None;
        expect_private(system, next)?;
    }
    let lists = super::signed_lists(system, &new, super::others_of(system)?)?;
    if keys.next_db.is_some() {
        keep_retired(system, &new)?;
        take_over(system)?;
    }
    super::write_lists(global, system, lists)?;
    let db = new.db.as_ref().ok_or_else(|| signing::no_certificate(system, KeyName::Db))?;
    let (old, signs) =
        new.retired_db.first().map_or_else(|| ("the old key".to_owned(), db.subject()), |old| names(old, db));
    let token = if system.sign_command.is_empty() {
        ""
    } else {
        "the command in hoopy.toml must sign for `db` with the new key now\n"
    };
    print(format!(
        "{signs} signs from now on, and {old} no more\n{token}\
         commit trust/ and secrets/ now\n\
         next, for each machine:\n  \
         1. hoopy deploy HOST --reboot      an image that the new key alone has signed\n  \
         2. hoopy keys enroll HOST          its firmware refuses the old key after the next reboot\n     \
         where its TPM opens the secrets: `hoopy secret enroll HOST` after that reboot\n"
    ))
}

/// Why there is nothing to finish.
fn nothing_to_finish(keys: &PublicKeys) -> CommandError {
    if let (Some(db), Some(_)) = (&keys.db, keys.retired_db.first()) {
        return CommandError::system(format!(
            "no rotation to finish: the last one is finished, and {} signs alone",
            db.subject()
        ))
        .hint(
            "what is left is for each machine: `hoopy deploy HOST --reboot`, then `hoopy keys enroll HOST`",
        );
    }
    let file = KeyName::NextDb.public_file();
    CommandError::system(format!("no rotation to finish: expected {file}, found none"))
        .hint("begin one with `hoopy keys rotate`")
}

/// Checks that the next private key works, before anything counts on it.
fn expect_private(system: &System, next: &Certificate) -> Result<()> {
    let refuse = |name: KeyName| move |error| signing::cannot_sign(system, name, error);
    if !system.sign_command.is_empty() {
        let signer = signing::signer(system, KeyName::NextDb, next.key())?;
        signer::sign(signer.as_ref(), b"hoopy keys rotate").map_err(refuse(KeyName::NextDb))?;
        return Ok(());
    }
    if has(system, KeyName::NextDb) {
        let signer = signing::signer(system, KeyName::NextDb, next.key())?;
        return signer.ready().map_err(refuse(KeyName::NextDb));
    }
    // Either it has been moved, and nothing else yet, or it is lost.
    if has(system, KeyName::Db) {
        match signing::signer(system, KeyName::Db, next.key())?.ready() {
            Ok(()) => return Ok(()),
            Err(SignerError::OtherHalf { .. }) => (),
            Err(error) => return Err(refuse(KeyName::Db)(error)),
        }
    }
    let (file, public) = (KeyName::NextDb.private_file(), KeyName::NextDb.public_file());
    Err(CommandError::system(format!("the private key of {public} is lost: expected {file}, found none"))
        .hint(format!("restore it with `git checkout HEAD -- {file}`"))
        .hint(ABANDON))
}

/// Ends a rotation: the old key goes on signing alone, and the next one is out of trust.
pub fn abandon(global: &Global, system: &System) -> Result<()> {
    let keys = PublicKeys::read(&system.dir)?;
    let public = KeyName::NextDb.public_file();
    let Some(next) = &keys.next_db else {
        let none = format!("no rotation to abandon: expected {public}, found none");
        return Err(CommandError::system(none).hint("`hoopy keys status` says which keys sign"));
    };
    expect_another(&keys)?;
    let db = keys.db.as_ref().ok_or_else(|| signing::no_certificate(system, KeyName::Db))?;
    expect_not_moved(system, next)?;
    let mut new = PublicKeys { next_db: None, ..keys.clone() };
    new.retired_db = retired(next, &keys);
    let lists = super::signed_lists(system, &new, super::others_of(system)?)?;
    keep_retired(system, &new)?;
    for file in [public, KeyName::NextDb.private_file()] {
        let path = system.path(&file);
        match fs::remove_file(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            other => {
                other.context(format!("cannot remove {}", path.display()))?;
                sync_dir(directory_of(&path))
                    .context(format!("cannot write {}", directory_of(&path).display()))?;
            }
        }
    }
    super::write_lists(global, system, lists)?;
    let (signs, next) = names(db, next);
    print(format!(
        "the rotation is abandoned: {signs} signs alone, as before, and {next} no more\n\
         commit trust/ and secrets/ now\n\
         next, for each machine that was deployed to meanwhile:\n  \
         1. hoopy deploy HOST --reboot      an image that the old key alone has signed\n  \
         2. hoopy keys enroll HOST          its firmware refuses the abandoned key after the next reboot\n     \
         where its TPM opens the secrets: `hoopy secret enroll HOST` after that reboot\n"
    ))
}

/// That the next private key has not taken the place of the old one, which nothing would bring back.
fn expect_not_moved(system: &System, next: &Certificate) -> Result<()> {
    if !system.sign_command.is_empty() || has(system, KeyName::NextDb) || !has(system, KeyName::Db) {
        return Ok(());
    }
    match signing::signer(system, KeyName::Db, next.key())?.ready() {
        Err(SignerError::OtherHalf { .. }) => Ok(()),
        Err(error) => Err(signing::cannot_sign(system, KeyName::Db, error)),
        Ok(()) => {
            let file = KeyName::Db.private_file();
            Err(CommandError::system(format!("the next key is in {file} already, and the old one is gone"))
                .hint("go on with `hoopy keys rotate --finish`"))
        }
    }
}

/// Two certificates as people tell them apart: by their names, and where those are the same, by their fingerprints.
fn names(one: &Certificate, other: &Certificate) -> (String, String) {
    if one.subject() != other.subject() {
        return (one.subject(), other.subject());
    }
    let name = |certificate: &Certificate| {
        let fingerprint: String = certificate.fingerprint().chars().take(8).collect();
        format!("{} (sha256 {fingerprint}...)", certificate.subject())
    };
    (name(one), name(other))
}

/// Certificates that do not sign any more, with this one first.
fn retired(certificate: &Certificate, keys: &PublicKeys) -> Vec<Certificate> {
    let others = keys.retired_db.iter().filter(|known| *known != certificate);
    std::iter::once(certificate).chain(others).take(MAX_RETIRED).cloned().collect()
}

/// Writes them, each as PEM.
fn keep_retired(system: &System, keys: &PublicKeys) -> Result<()> {
    let pem: Vec<String> =
        keys.retired_db.iter().map(Certificate::to_pem).collect::<std::result::Result<_, _>>()?;
    let path = system.path(RETIRED);
    replace_file(&path, pem.concat().as_bytes(), Readers::Umask)
        .context(format!("cannot write {}", path.display()))
}

/// Gives the files of the next key the names of the old one's, whose certificate is kept already.
fn take_over(system: &System) -> Result<()> {
    let [from, to] = [KeyName::NextDb, KeyName::Db];
    if system.sign_command.is_empty() {
        replace(&system.path(&from.private_file()), &system.path(&to.private_file()))?;
    }
    replace(&system.path(&from.public_file()), &system.path(&to.public_file()))
}

/// Gives a file the name of another, whose content git still has. One that is gone already has been moved.
fn replace(from: &Path, to: &Path) -> Result<()> {
    match fs::rename(from, to) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && to.exists() => return Ok(()),
        other => other.context(format!("cannot rename {} to {}", from.display(), to.display()))?,
    }
    sync_dir(directory_of(to)).context(format!("cannot write {}", directory_of(to).display()))
}
