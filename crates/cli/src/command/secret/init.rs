//! `hoopy secret init`.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use hoopy_base::atomic::{Readers, replace_file};
use hoopy_build::config::Overrides;
use hoopy_secrets::cipher::encrypt_with_passphrase;
use hoopy_secrets::directory::{MACHINE, MACHINE_PUB, NAME, RECOVERY, SecretsError};
use hoopy_secrets::owner::generate;
use hoopy_secrets::{Recipient, Secrets};

use crate::args::{Global, Open, SecretInit};
use crate::command::owner::{self, Terminal};
use crate::error::{CommandError, Context as _, Result};
use crate::output::note;

pub fn run(global: &Global, own: &SecretInit) -> Result<()> {
    let here = Path::new(crate::command::HERE);
    let system = crate::command::system(here, global, Overrides::default())?;
    // Before anybody types a passphrase for nothing.
    let dir = here.join(NAME);
    if [MACHINE, MACHINE_PUB].iter().any(|name| dir.join(name).exists()) {
        return Err(SecretsError::AlreadyInitialised(dir).into());
    }
    let mut lines = recipients(global, own)?;
    let recovery = if own.recovery { Some(recovery(&mut lines)?) } else { None };
    let secrets = Secrets::initialise(here, &lines, &Terminal)?;
    if let Some(sealed) = recovery {
        let file = secrets.dir.join(RECOVERY);
        replace_file(&file, &sealed, Readers::Umask).context(format!("cannot write {}", file.display()))?;
    }
    if system.secrets.open.is_none() {
        configure(&system.path("hoopy.toml"), own.open)?;
    }
    if !global.quiet {
        note(format!("wrote {}: commit it", secrets.dir.display()));
        for recipient in secrets.recipients.iter() {
            note(format!("owner    {}", recipient.as_str()));
        }
        note(format!("machine  {}", secrets.machine.as_str()));
    }
    Ok(())
}

/// The lines of `recipients`: those that were given, those of the owner's keys, or that of a new key.
fn recipients(global: &Global, own: &SecretInit) -> Result<String> {
    let given: std::result::Result<Vec<Recipient>, _> =
        own.recipient.iter().map(|text| text.parse()).collect();
    let mut found = given.map_err(|error| CommandError::usage(format!("--recipient: {error}")))?;
    if found.is_empty() {
        found = owner::recipients();
    }
    if found.is_empty() {
        found = vec![new_key(global)?];
    }
    Ok("# Whom the secrets of this machine are encrypted for; after a change: hoopy secret rekey\n"
        .to_owned()
        + &found.iter().map(|recipient| format!("{}\n", recipient.as_str())).collect::<String>())
}

/// A key for an owner who has none.
fn new_key(global: &Global) -> Result<Recipient> {
    let dir =
        owner::age_dir().ok_or_else(|| CommandError::failed("no directory for a key: HOME is not set"))?;
    let (file, recipient) = generate();
    let path = dir.join("hoopy.txt");
    let write = || {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let mut created = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        created.write_all(file.as_bytes())?;
        created.sync_all()
    };
    write().context(format!("cannot write {}", path.display()))?;
    if !global.quiet {
        note(format!(
            "wrote a new key to {}: keep a copy somewhere else than on this computer",
            path.display()
        ));
    }
    Ok(recipient)
}

/// A key behind a passphrase, whose public half is added to the recipients.
fn recovery(lines: &mut String) -> Result<Vec<u8>> {
    let passphrase = owner::new_passphrase()?;
    let (file, recipient) = generate();
    *lines += &format!("# secrets/{RECOVERY}, behind the recovery passphrase\n{}\n", recipient.as_str());
    encrypt_with_passphrase(&file, passphrase).map_err(|error| CommandError::failed(error.to_string()))
}

/// A table at the end of `hoopy.toml` is in nobody's way.
fn configure(file: &Path, open: Open) -> Result<()> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).context(format!("cannot read {}", file.display())),
    };
    let open = match open {
        Open::Disk => "disk",
        Open::Tpm => "tpm",
        Open::Owner => "owner",
        Open::Build => "build",
    };
    if text.lines().any(|line| line.trim() == "[secrets]") {
        note(format!("set `open = \"{open}\"` under [secrets] in {}", file.display()));
        return Ok(());
    }
    let gap = if text.is_empty() || text.ends_with('\n') { "\n" } else { "\n\n" };
    let text = format!("{text}{gap}[secrets]\nopen = \"{open}\"\n");
    hoopy_base::atomic::edit_file(file, text.trim_start_matches('\n').as_bytes())
        .context(format!("cannot write {}", file.display()))
}
