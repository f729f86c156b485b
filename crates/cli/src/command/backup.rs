//! `hoopy backup`, and what it shares with everything that reads a backup.

use std::fs::File;
use std::io::{self, BufReader, PipeReader, Read, Seek as _, Write};
use std::path::{Path, PathBuf};
use std::thread::{Scope, ScopedJoinHandle};

use hoopy_backup::{BackupError, Contents, check, seal};
use hoopy_base::count::counted;
use hoopy_base::size;
use hoopy_boot::secrets::AGENT;
use hoopy_secrets::cipher::DecryptError;
use hoopy_secrets::directory::NAME;
use hoopy_secrets::stream::decrypting;
use hoopy_secrets::{Identities, Recipients};
use hoopy_ship::deploy::Ssh;
use serde::Serialize;

use super::owner::Terminal;
use super::{host, owner, secret};
use crate::args::{Backup, Global};
use crate::error::backup::{ANOTHER, OURS};
use crate::error::{CommandError, Context as _, Exit, Result};
use crate::output::{note, print, print_json};

/// Programs of `backup.d` may run before the first byte arrives: wait as long as writing this much to a slow stick takes.
const SILENCE: u64 = 100 << 20;

/// What age files begin with, and those that are armored (C2SP age.md).
const AGE: &[u8] = b"age-encryption.org/";
const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";

/// A backup as `--json` prints it.
#[derive(Debug, Serialize)]
struct Shown {
    file: String,
    size: u64,
    machine: String,
    image: String,
    directories: Vec<String>,
    entries: u64,
    files: u64,
    bytes: u64,
    left_out: Vec<String>,
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
    let Contents { manifest, entries, files, bytes } = contents;
    let file = file.display().to_string();
    if own.json {
        let (machine, image, directories) = (manifest.name, manifest.image, manifest.directories);
        let left_out = manifest.left_out;
        let shown =
            Shown { file, size, machine, image, directories, entries, files, bytes, left_out, decrypted };
        return print_json(&shown);
    }
    for path in &manifest.left_out {
        note(format!("warning: /{path} is not in the backup: something else is mounted there"));
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
        "backup     {file} ({})\nmachine    {}, image {}\nholds     {list}: {}, {}\nchecked    {checked}\n",
        size::show(size),
        manifest.name,
        manifest.image,
        counted(files, "file"),
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
    match decrypting(BufReader::new(&open(file)?), with) {
        Ok(plain) => check(plain).map(|_| true).context(file.display()),
        Err(DecryptError::NoMatch | DecryptError::Identity { .. }) => Ok(false),
        Err(error) => Err(not_opened(file, error)),
    }
}

fn open(file: &Path) -> Result<File> {
    File::open(file).context(format!("cannot open {}", file.display()))
}

/// Why a backup cannot be decrypted. What helps with a secret, which git has, does not help with it.
fn not_opened(file: &Path, error: DecryptError) -> CommandError {
    let mut start = Vec::new();
    let _ = File::open(file).and_then(|file| file.take(ARMOR.len() as u64).read_to_end(&mut start));
    match error {
        DecryptError::NoMatch | DecryptError::Identity { .. } => {
            CommandError::from(error).context(file.display())
        }
        DecryptError::Header if start.is_empty() => {
            CommandError::failed(format!("{}: expected a backup, found an empty file", file.display()))
                .hint(ANOTHER)
        }
        DecryptError::Header if start == ARMOR => CommandError::failed(format!(
            "{}: expected a backup as it was made, found an armored age file",
            file.display()
        ))
        .hint("take the armor off: age -d -i KEY FILE | age -e -R secrets/recipients -o NEW"),
        DecryptError::Header if !start.starts_with(AGE.get(..start.len()).unwrap_or(AGE)) => {
            CommandError::failed(format!("{}: expected a backup, found no age file", file.display()))
                .hint(OURS)
        }
        DecryptError::Header | DecryptError::TooLarge | DecryptError::Mac | DecryptError::Payload => {
            let what = match error {
                DecryptError::Header => "its header ends early, or was changed".to_owned(),
                other => other.to_string(),
            };
            let message = format!("{}: the backup is damaged or cut short: {what}", file.display());
            CommandError::failed(message).hint(ANOTHER)
        }
    }
}

/// Decrypts and checks all of a backup.
pub fn verified(file: &Path, with: &Identities) -> Result<Contents> {
    let input = open(file)?;
    let plain = decrypting(BufReader::new(&input), with).map_err(|error| not_opened(file, error))?;
    check(plain).context(file.display())
}

/// Decrypts a backup into an unnamed file in `dir`, after all of it was checked.
pub fn in_the_clear(file: &Path, with: &Identities, dir: &Path) -> Result<(File, Contents)> {
    let contents = verified(file, with)?;
    let mut plain = tempfile::tempfile_in(dir).context(format!("cannot make a file in {}", dir.display()))?;
    copy(file, with, &mut plain)?;
    plain.rewind().context(format!("cannot read {}", file.display()))?;
    Ok((plain, contents))
}

/// Writes the decrypted archive of a backup to `out`.
pub fn copy(file: &Path, with: &Identities, out: &mut dyn Write) -> Result<()> {
    let input = open(file)?;
    let mut plain: Box<dyn Read + '_> =
        decrypting(BufReader::new(&input), with).map_err(|error| not_opened(file, error))?;
    io::copy(&mut plain, out).context(format!("cannot copy {}", file.display()))?;
    Ok(())
}
