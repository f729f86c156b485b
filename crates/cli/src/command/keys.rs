//! `hoopy keys`.

use std::fs;
use std::path::Path;

use hoopy_base::atomic::{Readers, replace_file};
use hoopy_build::config::{Overrides, System};
use hoopy_secrets::Secrets;
use hoopy_trust::CertifiedSigner;
use hoopy_trust::certificate::Certificate;
use hoopy_trust::enrolment::{Enrolment, Others};
use hoopy_trust::firmware::{Update, microsoft};
use hoopy_trust::key::PrivateKey;
use hoopy_trust::keys::{KeyName, PUBLIC, PublicKeys, list_file, lists};
use jiff::Timestamp;
use serde::Serialize;

use super::signing;
use crate::args::{Global, KeysCommand};
use crate::error::{CommandError, Context as _, Exit, Result};
use crate::output::{note, print, print_json};

pub fn run(global: &Global, command: &KeysCommand) -> Result<Exit> {
    let system = super::system(super::HERE.as_ref(), global, Overrides::default())?;
    match command {
        KeysCommand::New { no_microsoft } => new(global, &system, *no_microsoft)?,
        KeysCommand::Enroll { no_microsoft } => enroll(global, &system, *no_microsoft)?,
        KeysCommand::Status { json } => status(&system, *json)?,
        KeysCommand::Export { dir } => export(global, &system, dir)?,
    }
    Ok(Exit::Success)
}

/// Makes the keys that are missing, and the lists of them.
fn new(global: &Global, system: &System, no_microsoft: bool) -> Result<()> {
    let keys = PublicKeys::read(&system.dir)?;
    let missing: Vec<KeyName> = KeyName::ALL.into_iter().filter(|name| keys.key(*name).is_none()).collect();
    if missing.is_empty() {
        note(format!("{} has all keys: nothing to do", system.path(PUBLIC).display()));
        return Ok(());
    }
    let secrets = Secrets::read(&system.dir)?.ok_or_else(|| {
        CommandError::system("private keys need a place: expected secrets/, found none")
            .hint("set it up with `hoopy secret init`")
    })?;
    let time = super::image::now()?;
    for name in missing {
        make(global, system, &secrets, name, time)?;
    }
    enroll(global, system, no_microsoft)
}

/// Makes one key. The private half is kept first: a public one without it would be of no use.
fn make(global: &Global, system: &System, secrets: &Secrets, name: KeyName, time: Timestamp) -> Result<()> {
    let private = signing::secret_path(name)?.file(&secrets.dir);
    let path = system.path(&name.public_file());
    if private.exists() {
        let found = format!("{} is there, and {} is not", private.display(), path.display());
        return Err(CommandError::system(format!("half of the key {name}: {found}"))
            .hint("restore the public half with git, or remove the private one with `hoopy secret rm`"));
    }
    let key = PrivateKey::generate()?;
    let public = match name {
        KeyName::Pcr => key.public().to_pem()?,
        KeyName::Pk | KeyName::Kek | KeyName::Db => {
            Certificate::self_signed(&format!("{} {name}", system.name), time, &key)?.to_pem()?
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
fn enroll(global: &Global, system: &System, no_microsoft: bool) -> Result<()> {
    let keys = PublicKeys::read(&system.dir)?;
    let of = |name: KeyName| keys.certificate(name).ok_or_else(|| signing::no_certificate(system, name));
    let (pk, kek, db) = (of(KeyName::Pk)?, of(KeyName::Kek)?, of(KeyName::Db)?);
    let signers = [(KeyName::Pk, pk), (KeyName::Kek, kek)];
    let [by_pk, by_kek] = signers.map(|(name, certificate)| signing::signer(system, name, certificate.key()));
    let (by_pk, by_kek) = (by_pk?, by_kek?);
    let enrolment = Enrolment {
        pk: CertifiedSigner::new(pk, by_pk.as_ref())?,
        kek: CertifiedSigner::new(kek, by_kek.as_ref())?,
        db: std::slice::from_ref(db),
        others: if no_microsoft { Others::None } else { Others::Microsoft },
        time: super::image::now()?,
    };
    // Sign all lists before the first is written, since lists with the same time belong together.
    for (variable, list) in enrolment.files()? {
        let path = system.path(&list_file(variable));
        replace_file(&path, &list, Readers::Umask).context(format!("cannot write {}", path.display()))?;
        if !global.quiet {
            note(format!("wrote {}", path.display()));
        }
    }
    Ok(())
}

/// A key of the system.
#[derive(Serialize)]
struct KeyStatus {
    name: &'static str,
    /// Whom the certificate is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// The SHA-256 of the certificate, or of the public key where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// The last day of the certificate, at which firmware does not look.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends: Option<String>,
    /// Where the private half is: `command`, or the age file; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    private: Option<String>,
    /// What the signed list for its variable holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<ListStatus>,
}

/// A signed list.
#[derive(Serialize)]
struct ListStatus {
    /// Whether the key is in it.
    has_key: bool,
    /// Whether all of Microsoft's certificates for that variable are.
    has_microsoft: bool,
    /// How many entries it has.
    entries: usize,
}

fn status(system: &System, json: bool) -> Result<()> {
    let keys = PublicKeys::read(&system.dir)?;
    let lists = lists(&system.dir)?;
    let mut all = Vec::new();
    for name in KeyName::ALL {
        let certificate = keys.certificate(name);
        let list = lists.iter().find(|(variable, _)| Some(*variable) == name.variable());
        let list = list.map(|(variable, bytes)| {
            let found = Update::content(bytes).context(list_file(*variable))?;
            let has = |wanted: &Certificate| found.certificates().any(|certificate| certificate == wanted);
            let microsoft = microsoft::of(*variable)?;
            Ok::<_, CommandError>(ListStatus {
                has_key: certificate.is_some_and(has),
                has_microsoft: !microsoft.is_empty() && microsoft.iter().all(has),
                entries: found.entries.len(),
            })
        });
        let key = keys.key(name).map(|key| key.fingerprint());
        all.push(KeyStatus {
            name: name.as_str(),
            subject: certificate.map(Certificate::subject),
            sha256: certificate.map(Certificate::fingerprint).or(key),
            ends: certificate.and_then(Certificate::ends).map(|end| end.strftime("%Y-%m-%d").to_string()),
            private: private(system, name),
            list: list.transpose()?,
        });
    }
    if json { print_json(&all) } else { print(all.iter().map(line).collect::<String>()) }
}

fn private(system: &System, name: KeyName) -> Option<String> {
    let file = name.private_file();
    if system.sign_command.is_empty() {
        system.path(&file).exists().then_some(file)
    } else {
        Some("command".to_owned())
    }
}

fn line(key: &KeyStatus) -> String {
    let Some(sha256) = &key.sha256 else { return format!("{:4} none\n", key.name) };
    let mut out = format!("{:4} {}", key.name, key.subject.as_deref().unwrap_or("public key"));
    key.ends.iter().for_each(|end| out += &format!(", until {end}"));
    out += &format!("\n     sha256 {sha256}\n");
    match key.private.as_deref() {
        Some("command") => out += "     signed with the command in hoopy.toml\n",
        Some(file) => out += &format!("     private half in {file}\n"),
        None => out += "     NO private half: nothing can be signed\n",
    }
    if let Some(list) = &key.list {
        let this = if list.has_key { "with this key" } else { "WITHOUT this key: run `hoopy keys enroll`" };
        let microsoft = if list.has_microsoft { ", and with Microsoft's" } else { "" };
        out += &format!("     to enroll: {} in trust/{}.auth, {this}{microsoft}\n", list.entries, key.name);
    }
    out
}

/// Certificates and lists, for firmware that takes them from a menu.
fn export(global: &Global, system: &System, dir: &Path) -> Result<()> {
    let keys = PublicKeys::read(&system.dir)?;
    fs::create_dir_all(dir).context(format!("cannot create {}", dir.display()))?;
    let mut files = Vec::new();
    for name in KeyName::ALL {
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
