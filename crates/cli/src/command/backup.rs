//! `hoopy backup`, and what it shares with everything that reads a backup.

use std::fs::File;
use std::io::{self, BufReader, PipeReader, Read, Seek as _, Write};
use std::path::{Path, PathBuf};
use std::thread::{Scope, ScopedJoinHandle};

use hoopy_backup::{BackupError, Contents, check, seal};
use hoopy_base::size;
use hoopy_boot::secrets::AGENT;
use hoopy_secrets::directory::NAME;
use hoopy_secrets::stream::decrypting;
use hoopy_secrets::{Identities, Recipients};
use hoopy_ship::deploy::Ssh;
use serde::Serialize;

use super::owner::Terminal;
use super::{host, owner, secret};
use crate::args::{Backup, Global};
use crate::error::{CommandError, Context as _, Exit, Result};
use crate::output::{print, print_json};

/// Programs of `backup.d` may run before the first byte arrives: wait as long as writing this much to a slow stick takes.
const SILENCE: u64 = 100 << 20;

/// A backup as `--json` prints it.
#[derive(Debug, Serialize)]
struct Shown {
    file: String,
    size: u64,
    machine: String,
    image: String,
    directories: Vec<String>,
    entries: u64,
    bytes: u64,
    decrypted: bool,
}

pub fn run(global: &Global, own: &Backup) -> Result<Exit> {
    owner::keep_to_itself();
    let (file, contents, decrypted) = match (&own.verify, &own.output) {
        (Some(file), _) => {
            (file, verified(file, &owner::identities(&own.keys.identity, &secrets_dir())?)?, true)
        }
        (None, Some(file)) => {
            let contents = make(global, own, file)?;
            let identities = if own.keys.identity.is_empty() {
                owner::silent_identities()
            } else {
                owner::identities(&own.keys.identity, &secrets_dir())?
            };
            let decrypted = !identities.is_empty() && could_be_decrypted(file, &identities)?;
            (file, contents, decrypted)
        }
        (None, None) => return Err(CommandError::usage("expected -o FILE, where the backup goes")),
    };
    show(global, own, file, contents, decrypted)?;
    Ok(Exit::Success)
}

fn show(global: &Global, own: &Backup, file: &Path, contents: Contents, decrypted: bool) -> Result<()> {
    let size = file.metadata().context(format!("cannot read {}", file.display()))?.len();
    let Contents { manifest, entries, bytes } = contents;
    let file = file.display().to_string();
    if own.json {
        let (machine, image, directories) = (manifest.name, manifest.image, manifest.directories);
        return print_json(&Shown { file, size, machine, image, directories, entries, bytes, decrypted });
    }
    if global.quiet {
        return print(format!("{file}\n"));
    }
    let list = manifest.directories.iter().map(|path| format!(" /{path}")).collect::<String>();
    let checked = match decrypted {
        true => "read back, decrypted and checked to its end".to_owned(),
        false => format!("read back; not decrypted: hoopy backup --verify {file} asks for your key"),
    };
    print(format!(
        "backup     {file} ({})\nmachine    {}, image {}\nholds     {list}: {entries} files, {}\nchecked    {checked}\n",
        size::show(size),
        manifest.name,
        manifest.image,
        size::show(bytes),
    ))
}

/// `secrets/` of the system in the working directory, which may have an identity that a passphrase protects.
pub fn secrets_dir() -> PathBuf {
    Path::new(super::HERE).join(NAME)
}

/// Saves the state of the machine in `file`, encrypted and checked.
fn make(global: &Global, own: &Backup, file: &Path) -> Result<Contents> {
    let recipients: Recipients = secret::open()?.recipients;
    let host = host::find(own.host.as_deref(), None, global)?;
    let ssh = Ssh::connect(&host.name, &super::ssh())?;
    let script = format!(
        "[ -x {AGENT} ] || {{ echo 'no hoopyd: its image was built without `state`' >&2; exit 1; }}\nexec {AGENT} backup --plain\n"
    );
    let patience = ssh.limits().medium(SILENCE);
    let (contents, _) = seal(file, &recipients, &Terminal, |out| -> Result<Contents> {
        std::thread::scope(|scope| {
            let (checker, mut copy) = checker(scope).context("cannot make a pipe")?;
            let streamed = ssh.stream(&script, patience, &mut |part| {
                out.write_all(part)?;
                // If the check ended early, its own error says why.
                let _ = copy.write_all(part);
                Ok(())
            });
            drop(copy);
            let checked = checker.join();
            streamed?;
            Ok(checked.map_err(|_| CommandError::failed("the check of the backup ended early"))??)
        })
    })?;
    Ok(contents)
}

/// The result of a check in a thread.
type Checked = std::result::Result<Contents, BackupError>;

/// Checks in a thread what is written to the other end.
fn checker<'scope>(
    scope: &'scope Scope<'scope, '_>,
) -> io::Result<(ScopedJoinHandle<'scope, Checked>, io::PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    let work = |reader: PipeReader| {
        let mut reader = BufReader::new(reader);
        let checked = check(&mut reader);
        // The writer must not block or fail because the check found something.
        let _ = io::copy(&mut reader, &mut io::sink());
        checked
    };
    Ok((scope.spawn(move || work(reader)), writer))
}

fn could_be_decrypted(file: &Path, with: &Identities) -> Result<bool> {
    let input = open(file)?;
    match decrypting(BufReader::new(&input), with) {
        Ok(plain) => check(plain).map(|_| true).map_err(Into::into),
        Err(
            hoopy_secrets::cipher::DecryptError::NoMatch
            | hoopy_secrets::cipher::DecryptError::Identity { .. },
        ) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn open(file: &Path) -> Result<File> {
    File::open(file).context(format!("cannot open {}", file.display()))
}

/// Decrypts and checks all of a backup.
pub fn verified(file: &Path, with: &Identities) -> Result<Contents> {
    let input = open(file)?;
    Ok(check(decrypting(BufReader::new(&input), with)?)?)
}

/// Decrypts a backup into an unnamed file in `dir`, after all of it was checked.
pub fn in_the_clear(file: &Path, with: &Identities, dir: &Path) -> Result<(File, Contents)> {
    let contents = verified(file, with)?;
    let mut plain = tempfile::tempfile_in(dir).context(format!("cannot make a file in {}", dir.display()))?;
    copy(file, with, &mut plain)?;
    plain.rewind().context("cannot read the backup")?;
    Ok((plain, contents))
}

/// Writes the decrypted archive of a backup to `out`.
pub fn copy(file: &Path, with: &Identities, out: &mut dyn Write) -> Result<()> {
    let input = open(file)?;
    let mut plain: Box<dyn Read + '_> = decrypting(BufReader::new(&input), with)?;
    io::copy(&mut plain, out).context("cannot copy the backup")?;
    Ok(())
}
