//! `hoopy keys`.

mod epoch;
mod loader;
mod machine;
mod new_keys;
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

/// The longest part of a file's name that comes from a certificate.
const MAX_FILE_NAME: usize = 64;

pub fn run(global: &Global, command: &KeysCommand) -> Result<Exit> {
    let system = super::system(super::HERE.as_ref(), global, Overrides::default())?;
    match command {
        KeysCommand::New { no_microsoft } => new(global, &system, *no_microsoft)?,
        KeysCommand::Enroll { host: Some(host), .. } => machine::enroll(global, &system, host)?,
        KeysCommand::Enroll { host: None, microsoft, no_microsoft } => {
            enroll(global, &system, others(&system, *microsoft, *no_microsoft)?)?;
        }
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

/// Makes the keys that are missing, and the lists, where one of these keys is not in its list: a key of PCR policies is in none, and
/// PK and KEK may be elsewhere.
fn new(global: &Global, system: &System, no_microsoft: bool) -> Result<()> {
    let keys = PublicKeys::read(&system.dir)?;
    let missing: Vec<KeyName> = KeyName::ALL.into_iter().filter(|name| keys.key(*name).is_none()).collect();
    let with_others = no_microsoft && !matches!(others_of(system)?, Others::None);
    if missing.is_empty() && are_listed(system, &keys)? && !with_others {
        note(format!("{} has all keys: nothing to do", system.path(PUBLIC).display()));
        return Ok(());
    }
    let others = others(system, false, no_microsoft)?;
    if !missing.is_empty() {
        let (secrets, time) = (secrets(system)?, super::image::now()?);
        for name in &missing {
            refuse_half(system, &secrets, *name)?;
        }
        for name in missing {
            let key = make(&subject(system, &name.to_string()), name, time)?;
            keep(global, system, &secrets, &key)?;
        }
    }
    let keys = PublicKeys::read(&system.dir)?;
    if are_listed(system, &keys)? && !with_others { Ok(()) } else { enroll(global, system, others) }
}

/// Whether each key that has a list is in it.
fn are_listed(system: &System, keys: &PublicKeys) -> Result<bool> {
    for name in [KeyName::Pk, KeyName::Kek, KeyName::Db] {
        let Some((certificate, variable)) = keys.certificate(name).zip(name.variable()) else {
            return Ok(false);
        };
        if !is_listed(system, variable, certificate)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the list of `trust/` for this variable has the certificate.
fn is_listed(system: &System, variable: Variable, certificate: &Certificate) -> Result<bool> {
    let list = lists(&system.dir)?.into_iter().find(|(of, _)| *of == variable);
    let Some((_, bytes)) = list else { return Ok(false) };
    let found = Update::content(&bytes).context(list_file(variable))?;
    Ok(found.certificates().any(|known| known == certificate))
}

/// Whom a certificate is for: the system's name, cut so that all fits into the 64 characters that there are, and more.
fn subject(system: &System, more: &str) -> String {
    let name: String = system.name.chars().take(40).collect();
    format!("{name} {more}")
}

/// Who else is trusted: as asked for, or as before.
fn others(system: &System, microsoft: bool, no_microsoft: bool) -> Result<Others> {
    match (microsoft, no_microsoft) {
        (true, _) => Ok(Others::Microsoft),
        (_, true) => Ok(Others::None),
        (false, false) => others_of(system),
    }
}

/// Who else is trusted by the lists that are there; where none is, Microsoft: a machine may need it to show anything.
fn others_of(system: &System) -> Result<Others> {
    let mut others = Others::Microsoft;
    for (variable, bytes) in lists(&system.dir)? {
        let theirs = microsoft::of(variable)?;
        // PK has one key alone.
        if theirs.is_empty() {
            continue;
        }
        let found = Update::content(&bytes).context(list_file(variable))?;
        let has = |wanted: &Certificate| found.certificates().any(|certificate| certificate == wanted);
        if theirs.iter().any(has) {
            return Ok(Others::Microsoft);
        }
        others = Others::None;
    }
    Ok(others)
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

/// A key that is nowhere but in memory yet.
struct NewKey {
    name: KeyName,
    key: PrivateKey,
    /// Absent for one that has none.
    certificate: Option<Certificate>,
}

/// Makes one key, whose certificate is for `subject`.
fn make(subject: &str, name: KeyName, time: Timestamp) -> Result<NewKey> {
    let key = PrivateKey::generate()?;
    let certificate = match name {
        KeyName::Pcr => None,
        KeyName::Pk | KeyName::Kek | KeyName::Db | KeyName::NextDb => {
            Some(Certificate::self_signed(subject, time, &key)?)
        }
    };
    Ok(NewKey { name, key, certificate })
}

/// Writes it. The private half is kept first: a public one without it would be of no use.
fn keep(global: &Global, system: &System, secrets: &Secrets, new: &NewKey) -> Result<()> {
    let private = signing::secret_path(new.name)?.file(&secrets.dir);
    let path = system.path(&new.name.public_file());
    let public = match &new.certificate {
        Some(certificate) => certificate.to_pem()?,
        None => new.key.public().to_pem()?,
    };
    let directory = system.path(PUBLIC);
    fs::create_dir_all(&directory).context(format!("cannot create {}", directory.display()))?;
    signing::keep_private_key(secrets, new.name, &new.key)?;
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
        // Some menus take certificates alone, one at a time.
        let theirs = microsoft::of(variable)?;
        let own = |certificate: &&Certificate| theirs.contains(certificate);
        files.extend(content.certificates().filter(own).map(|certificate| {
            (format!("{}-{}.der", variable.name(), file_name(certificate)), certificate.der().to_vec())
        }));
        files.push((format!("{}.esl", variable.name()), content.to_bytes()));
        files.push((format!("{}.auth", variable.name()), bytes));
    }
    if files.is_empty() {
        return Err(signing::no_certificate(system, KeyName::Db));
    }
    remove_stale(global, dir, &files)?;
    for (name, bytes) in files {
        let path = dir.join(name);
        replace_file(&path, &bytes, Readers::Umask).context(format!("cannot write {}", path.display()))?;
        if !global.quiet {
            note(format!("wrote {}", path.display()));
        }
    }
    Ok(())
}

/// What a certificate is called as a file: `Microsoft-Windows-Production-PCA-2011`.
fn file_name(certificate: &Certificate) -> String {
    let subject = certificate.subject();
    let name = subject.rsplit_once("CN=").map_or(subject.as_str(), |(_, name)| name);
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    name.chars().take(MAX_FILE_NAME).map(plain).collect()
}

/// Removes what an earlier export wrote and is not trusted any more: whoever takes in all files of a directory would trust it again.
fn remove_stale(global: &Global, dir: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    let mut own = vec![format!("{}.der", KeyName::NextDb)];
    for variable in Variable::ALL {
        let theirs = microsoft::of(variable)?;
        own.extend(theirs.iter().map(|theirs| format!("{}-{}.der", variable.name(), file_name(theirs))));
    }
    for name in own.iter().filter(|name| !files.iter().any(|(written, _)| written == *name)) {
        let path = dir.join(name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            removed => {
                removed.context(format!("cannot remove {}", path.display()))?;
                if !global.quiet {
                    note(format!("removed {}, which is not to be trusted any more", path.display()));
                }
            }
        }
    }
    Ok(())
}
