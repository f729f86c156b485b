//! `hoopy keys rotate`: another key takes the place of db's, and no machine stops starting meanwhile.
//!
//! ```text
//! begin    secrets/trust/db.next.key.age, trust/db.next.crt ─▶ lists with both      both sign
//! finish   trust/db.crt ─▶ db.old.crt; db.next.* ─▶ db.* ─▶ lists with one          the new one signs
//! ```
//!
//! Which files are there says how far it is. Each step can be run again, and goes on where it was interrupted.

use std::fs;
use std::path::Path;

use hoopy_base::atomic::{Readers, directory_of, replace_file, sync_dir};
use hoopy_build::config::System;
use hoopy_trust::certificate::Certificate;
use hoopy_trust::firmware::{Update, Variable};
use hoopy_trust::keys::{KeyName, PublicKeys, RETIRED, list_file, lists};

use super::super::signing;
use crate::args::Global;
use crate::error::{CommandError, Context as _, Result};
use crate::output::print;

/// Makes the next key, unless it is there, and the lists with both.
pub fn begin(global: &Global, system: &System) -> Result<()> {
    let keys = PublicKeys::read(&system.dir)?;
    let old = keys.db.as_ref().ok_or_else(|| signing::no_certificate(system, KeyName::Db))?;
    if keys.next_db.is_none() {
        make(global, system)?;
    } else if system.sign_command.is_empty() && !system.path(&KeyName::NextDb.private_file()).exists() {
        return Err(CommandError::system(format!(
            "the rotation is being finished: expected {}, found none",
            KeyName::NextDb.private_file()
        ))
        .hint("go on with `hoopy keys rotate --finish`"));
    }
    let keys = PublicKeys::read(&system.dir)?;
    let new = keys.next_db.as_ref().ok_or_else(|| signing::no_certificate(system, KeyName::NextDb))?;
    if !is_listed(system, new)? || !is_listed(system, old)? {
        super::enroll(global, system, super::others_of(system)?)?;
    }
    let (old, new) = (old.subject(), new.subject());
    let sealed = "     where its TPM opens the secrets: `hoopy secret enroll HOST` after that reboot\n";
    print(format!(
        "{old} is being replaced: from now on {new} signs, too\n\
         next, for each machine:\n  \
         1. hoopy deploy HOST --reboot      an image that both have signed; do it twice, for one to fall back to\n  \
         2. hoopy keys enroll HOST          its firmware trusts both after the next reboot\n{sealed}\
         then: hoopy keys rotate --finish\n"
    ))
}

/// The next key. A private half without a public one was left by a run that was interrupted: nothing is signed with it.
fn make(global: &Global, system: &System) -> Result<()> {
    if !system.sign_command.is_empty() {
        let file = KeyName::NextDb.public_file();
        return Err(CommandError::system(format!("no next key: expected its certificate, found no {file}")).hint(
            "make a key called db.next where the command in hoopy.toml finds it, and put its certificate there as PEM",
        ));
    }
    let (secrets, time) = (super::secrets(system)?, super::super::image::now()?);
    // Both certificates are seen side by side for a while.
    let subject = format!("{} db {}", system.name, time.strftime("%Y-%m-%d"));
    super::make(global, system, &secrets, KeyName::NextDb, &subject, time)
}

/// Puts the next key in the place of the old one, and signs the lists without that.
pub fn finish(global: &Global, system: &System) -> Result<()> {
    let keys = PublicKeys::read(&system.dir)?;
    let unlisted = match (&keys.next_db, &keys.retired_db) {
        // Interrupted before the lists were signed.
        (None, Some(retired)) => is_listed(system, retired)?,
        _ => false,
    };
    if keys.next_db.is_none() && !unlisted {
        let file = KeyName::NextDb.public_file();
        return Err(CommandError::system(format!("no rotation to finish: expected {file}, found none"))
            .hint("begin one with `hoopy keys rotate`"));
    }
    if keys.next_db.is_some() {
        let old = keys.db.as_ref().ok_or_else(|| signing::no_certificate(system, KeyName::Db))?;
        let path = system.path(RETIRED);
        replace_file(&path, old.to_pem()?.as_bytes(), Readers::Umask)
            .context(format!("cannot write {}", path.display()))?;
        if system.sign_command.is_empty() {
            replace(
                &system.path(&KeyName::NextDb.private_file()),
                &system.path(&KeyName::Db.private_file()),
            )?;
        }
        replace(&system.path(&KeyName::NextDb.public_file()), &system.path(&KeyName::Db.public_file()))?;
    }
    super::enroll(global, system, super::others_of(system)?)?;
    let keys = PublicKeys::read(&system.dir)?;
    let subject = |certificate: &Option<Certificate>| certificate.as_ref().map(Certificate::subject);
    let (new, old) = (subject(&keys.db).unwrap_or_default(), subject(&keys.retired_db).unwrap_or_default());
    let token = if system.sign_command.is_empty() {
        ""
    } else {
        "the command in hoopy.toml must sign for `db` with the new key now\n"
    };
    print(format!(
        "{new} signs from now on, and {old} no more\n{token}\
         next, for each machine:\n  \
         1. hoopy deploy HOST --reboot      an image that the new key alone has signed\n  \
         2. hoopy keys enroll HOST          its firmware refuses the old key after the next reboot\n     \
         where its TPM opens the secrets: `hoopy secret enroll HOST` after that reboot\n"
    ))
}

/// Gives a file the name of another, whose content git still has. One that is gone already has been moved.
fn replace(from: &Path, to: &Path) -> Result<()> {
    match fs::rename(from, to) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && to.exists() => return Ok(()),
        other => other.context(format!("cannot rename {} to {}", from.display(), to.display()))?,
    }
    sync_dir(directory_of(to)).context(format!("cannot write {}", directory_of(to).display()))
}

/// Whether the list for `db` has this certificate.
fn is_listed(system: &System, certificate: &Certificate) -> Result<bool> {
    let list = lists(&system.dir)?.into_iter().find(|(variable, _)| *variable == Variable::Db);
    let Some((variable, bytes)) = list else { return Ok(false) };
    let found = Update::content(&bytes).context(list_file(variable))?;
    Ok(found.certificates().any(|known| known == certificate))
}
