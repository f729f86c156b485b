//! `hoopy keys`.

mod epoch;
mod loader;
mod machine;
mod report;
mod rotate;
mod status;

use std::fs;
use std::path::Path;

use hoopy_base::atomic::{Readers, replace_file};
use hoopy_build::config::{Overrides, System};
use hoopy_secrets::Secrets;
use hoopy_trust::CertifiedSigner;
use hoopy_trust::certificate::Certificate;
use hoopy_trust::enrolment::{Enrolment, EnrolmentError, Others};
use hoopy_trust::firmware::{Update, UpdateError, Variable, microsoft};
use hoopy_trust::key::PrivateKey;
use hoopy_trust::keys::{KeyName, PUBLIC, PublicKeys, list_file, lists};
use jiff::Timestamp;

use super::signing;
use crate::args::{Global, KeysCommand};
use crate::error::{CommandError, Context as _, Exit, Result};
use crate::output::note;

pub fn run(global: &Global, command: &KeysCommand) -> Result<Exit> {
    let system = super::system(super::HERE.as_ref(), global, Overrides::default())?;
    match command {
        KeysCommand::New { no_microsoft } => new(global, &system, others(*no_microsoft))?,
        KeysCommand::Enroll { host: Some(host), .. } => machine::enroll(global, &system, host)?,
        KeysCommand::Enroll { host: None, no_microsoft } => enroll(global, &system, others(*no_microsoft))?,
        KeysCommand::Rotate { abandon: true, .. } => rotate::abandon(global, &system)?,
        KeysCommand::Rotate { finish: false, .. } => rotate::begin(global, &system)?,
        KeysCommand::Rotate { finish: true, .. } => rotate::finish(global, &system)?,
        KeysCommand::Epoch { raise: false } => epoch::show(&system)?,
        KeysCommand::Epoch { raise: true } => epoch::raise(&system)?,
        KeysCommand::Status { host: Some(host), json } => report::run(global, &system, host, *json)?,
        KeysCommand::Status { host: None, json } => status::run(&system, *json)?,
        KeysCommand::Export { dir } => export(global, &system, dir)?,
    }
    Ok(Exit::Success)
}

/// Makes the keys that are missing, and the lists of them.
fn new(global: &Global, system: &System, others: Others) -> Result<()> {
    let keys = PublicKeys::read(&system.dir)?;
    let missing: Vec<KeyName> = KeyName::ALL.into_iter().filter(|name| keys.key(*name).is_none()).collect();
    if missing.is_empty() {
        note(format!("{} has all keys: nothing to do", system.path(PUBLIC).display()));
        return Ok(());
    }
    let (secrets, time) = (secrets(system)?, super::image::now()?);
    for name in missing {
        refuse_half(system, &secrets, name)?;
        make(global, system, &secrets, name, &format!("{} {name}", system.name), time)?;
    }
    enroll(global, system, others)
}

/// Who else is trusted.
const fn others(no_microsoft: bool) -> Others {
    if no_microsoft { Others::None } else { Others::Microsoft }
}

/// Who else is trusted by the list for `db` that is there.
fn others_of(system: &System) -> Result<Others> {
    let list = lists(&system.dir)?.into_iter().find(|(variable, _)| *variable == Variable::Db);
    let Some((variable, bytes)) = list else { return Ok(Others::Microsoft) };
    let found = Update::content(&bytes).context(list_file(variable))?;
    let has = |wanted: &Certificate| found.certificates().any(|certificate| certificate == wanted);
    Ok(if microsoft::of(variable)?.iter().any(has) { Others::Microsoft } else { Others::None })
}

/// Where private keys go.
fn secrets(system: &System) -> Result<Secrets> {
    Secrets::read(&system.dir)?.ok_or_else(|| {
        CommandError::system("private keys need a place: expected secrets/, found none")
            .hint("set it up with `hoopy secret init`")
    })
}

/// A private half without its public one: somebody has removed that.
fn refuse_half(system: &System, secrets: &Secrets, name: KeyName) -> Result<()> {
    let private = signing::secret_path(name)?.file(&secrets.dir);
    if !private.exists() {
        return Ok(());
    }
    let path = system.path(&name.public_file());
    let found = format!("{} is there, and {} is not", private.display(), path.display());
    Err(CommandError::system(format!("half of the key {name}: {found}"))
        .hint("restore the public half with git, or remove the private one with `hoopy secret rm`"))
}

/// Makes one key, whose certificate is for `subject`. The private half is kept first: a public one without it would be of no use.
fn make(
    global: &Global,
    system: &System,
    secrets: &Secrets,
    name: KeyName,
    subject: &str,
    time: Timestamp,
) -> Result<()> {
    let private = signing::secret_path(name)?.file(&secrets.dir);
    let path = system.path(&name.public_file());
    let key = PrivateKey::generate()?;
    let public = match name {
        KeyName::Pcr => key.public().to_pem()?,
        KeyName::Pk | KeyName::Kek | KeyName::Db | KeyName::NextDb => {
            Certificate::self_signed(subject, time, &key)?.to_pem()?
        }
    };
    let directory = system.path(PUBLIC);
    fs::create_dir_all(&directory).context(format!("cannot create {}", directory.display()))?;
    signing::keep_private_key(secrets, name, &key)?;
    replace_file(&path, public.as_bytes(), Readers::Umask)
        .context(format!("cannot write {}", path.display()))?;
    if !global.quiet {
        note(format!("wrote {} and {}", path.display(), private.display()));
    }
    Ok(())
}

/// Signs the lists.
fn enroll(global: &Global, system: &System, others: Others) -> Result<()> {
    let lists = signed_lists(system, &PublicKeys::read(&system.dir)?, others)?;
    write_lists(global, system, lists)
}

/// The lists of these keys, in the order in which they are enrolled.
fn signed_lists(system: &System, keys: &PublicKeys, others: Others) -> Result<Vec<(Variable, Vec<u8>)>> {
    let of = |name: KeyName| keys.certificate(name).ok_or_else(|| signing::no_certificate(system, name));
    let (pk, kek, _) = (of(KeyName::Pk)?, of(KeyName::Kek)?, of(KeyName::Db)?);
    let db: Vec<Certificate> = keys.program_signers().map(|(_, certificate)| certificate.clone()).collect();
    let signers = [(KeyName::Pk, pk), (KeyName::Kek, kek)];
    let [by_pk, by_kek] = signers.map(|(name, certificate)| signing::signer(system, name, certificate.key()));
    let (by_pk, by_kek) = (by_pk?, by_kek?);
    let enrolment = Enrolment {
        pk: CertifiedSigner::new(pk, by_pk.as_ref())?,
        kek: CertifiedSigner::new(kek, by_kek.as_ref())?,
        db: &db,
        others,
        time: super::image::now()?,
    };
    enrolment.files().map_err(|error| match error {
        EnrolmentError::Update { variable, source: UpdateError::Signer(error) } => {
            let by = if variable == Variable::Db { KeyName::Kek } else { KeyName::Pk };
            signing::cannot_sign(system, by, error)
        }
        EnrolmentError::Update { .. } | EnrolmentError::Microsoft(_) => error.into(),
    })
}

/// Writes all of them, since lists with the same time belong together. What db's list has says whether all are there: it is last.
fn write_lists(global: &Global, system: &System, lists: Vec<(Variable, Vec<u8>)>) -> Result<()> {
    for (variable, list) in lists.into_iter().rev() {
        let path = system.path(&list_file(variable));
        replace_file(&path, &list, Readers::Umask).context(format!("cannot write {}", path.display()))?;
        if !global.quiet {
            note(format!("wrote {}", path.display()));
        }
    }
    Ok(())
}

/// Certificates and lists, for firmware that takes them from a menu.
fn export(global: &Global, system: &System, dir: &Path) -> Result<()> {
    let keys = PublicKeys::read(&system.dir)?;
    fs::create_dir_all(dir).context(format!("cannot create {}", dir.display()))?;
    let mut files = Vec::new();
    // While a key is rotated, firmware has to know both.
    for name in KeyName::ALL.into_iter().chain([KeyName::NextDb]) {
        files.extend(
            keys.certificate(name).map(|certificate| (format!("{name}.der"), certificate.der().to_vec())),
        );
    }
    for (variable, bytes) in lists(&system.dir)? {
        let content = Update::content(&bytes).context(list_file(variable))?;
        files.push((format!("{}.esl", variable.name()), content.to_bytes()));
        files.push((format!("{}.auth", variable.name()), bytes));
    }
    if files.is_empty() {
        return Err(signing::no_certificate(system, KeyName::Db));
    }
    for (name, bytes) in files {
        let path = dir.join(name);
        replace_file(&path, &bytes, Readers::Umask).context(format!("cannot write {}", path.display()))?;
        if !global.quiet {
            note(format!("wrote {}", path.display()));
        }
    }
    Ok(())
}
