//! `hoopy import`.

use std::io::{self, BufRead as _, Read as _, Write as _};
use std::path::Path;

use hoopy_base::input::{Kind, read_text};
use hoopy_base::shell;
use hoopy_base::size;
use hoopy_build::config::Overrides;
use hoopy_build::stack::Runner;
use hoopy_build::target::Target;
use hoopy_diskless::import::secrets::{KeepSecrets, Policy, Secret};
use hoopy_diskless::import::{self, Options, Unfinished};
use hoopy_diskless::source::{self, Access, Source};
use hoopy_secrets::cipher::MAX_PLAINTEXT;
use hoopy_secrets::path::BadPath;
use hoopy_secrets::{Plaintext, Recipient, SecretPath, Secrets};
use hoopy_ship::deploy::Ssh;
use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::Resources;
use super::host::answer;
use super::owner::Terminal;
use crate::args::{Global, Import};
use crate::error::{CommandError, Context as _, Exit, Result};
use crate::output::{note, print, print_json};
use crate::progress::Progress;

/// The longest passphrase that a terminal's line holds.
const MAX_PASSPHRASE: u64 = 4096;

pub fn run(global: &Global, own: &Import) -> Result<Exit> {
    let progress = Progress::new(global.quiet || own.json);
    let resources = Resources::open(global)?;
    let source = Source::parse(&own.source);
    let mut asked = false;
    let overlay = source::read(
        &source,
        &mut Access {
            client: &resources.client,
            passphrase: &mut |place: &str| {
                let again = std::mem::replace(&mut asked, true);
                passphrase(place, own.passphrase_file.as_deref(), again)
            },
            remote: &mut |script: &str, limit: u64| ask(&source, script, limit),
        },
    )?;
    let mut keeper = keeper(own)?;
    let options = Options {
        dir: own.output.clone().unwrap_or_else(|| import::default_dir(&overlay)),
        kernel: own.kernel.clone(),
        branch: own.branch.clone(),
        arch: global.arch,
        over: Overrides { mirror: global.mirror.clone(), keys: global.keys.clone(), ..Overrides::default() },
        secrets: match &mut keeper {
            Some(keeper) => Policy::Keep(keeper),
            None if own.plain_secrets => Policy::Plain,
            None => Policy::Refuse,
        },
        unfinished: removed_by_signals()?,
    };
    let dir = options.dir.clone();
    let mut runner = |target: &Target| {
        let runner = super::runner(global, target, own.scripts, &resources.store, super::temp());
        runner.map(|runner| Box::new(runner) as Box<dyn Runner>).map_err(|e| e.error)
    };
    let report = import::import(&source, &overlay, options, &mut runner, resources.context(&progress))?;
    progress.done();
    if own.json {
        print_json(&report)?;
    } else {
        print(report.to_string())?;
        if !global.quiet {
            // A name that begins with a dash would be an option.
            let dir = if dir.as_os_str().as_encoded_bytes().starts_with(b"-") {
                Path::new(".").join(dir)
            } else {
                dir
            };
            let word = shell::word(&dir.to_string_lossy());
            note(format!("next: hoopy check {word} && hoopy build {word}"));
        }
    }
    Ok(Exit::Success)
}

/// What removes the directory that is not finished where a signal ends the program.
fn removed_by_signals() -> Result<Unfinished> {
    let unfinished = Unfinished::default();
    super::owner::leave_signals();
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGQUIT]).context("cannot handle signals")?;
    let removed = unfinished.clone();
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            removed.remove();
            // As if it had not been waited for: the shell sees which signal it was.
            let _ = emulate_default_handler(signal);
        }
    });
    Ok(unfinished)
}

/// Encrypts secrets for the owner's keys and the machine's.
struct AgeFiles {
    /// The lines of `secrets/recipients`.
    recipients: String,
    secrets: Option<Secrets>,
}

/// Who encrypts secrets, where the command line says for whom.
fn keeper(own: &Import) -> Result<Option<AgeFiles>> {
    let keys: std::result::Result<Vec<Recipient>, _> =
        own.recipient.iter().map(|text| text.parse()).collect();
    let keys = keys.map_err(|error| CommandError::usage(format!("--recipient: {error}")))?;
    let recipients: String = keys.iter().map(|key| format!("{}\n", key.as_str())).collect();
    Ok((!keys.is_empty()).then_some(AgeFiles { recipients, secrets: None }))
}

impl KeepSecrets for AgeFiles {
    fn keep(&mut self, dir: &Path, secret: &Secret<'_>) -> io::Result<String> {
        let path = secret_path(secret).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        let secrets = match self.secrets.take() {
            Some(secrets) => secrets,
            None => Secrets::initialise(dir, &self.recipients, &Terminal).map_err(io::Error::other)?,
        };
        let kept = secrets.set(&path, &Plaintext::new(secret.content.to_vec()), &Terminal);
        self.secrets = Some(secrets);
        kept.map_err(io::Error::other)?;
        Ok(format!("secrets/{}.age", path.as_str()))
    }
}

/// Where a secret is kept; why it cannot be one.
fn secret_path(secret: &Secret<'_>) -> std::result::Result<SecretPath, String> {
    let (size, limit) = (secret.content.len(), MAX_PLAINTEXT);
    if size > limit {
        let (size, limit) = (size::show(size as u64), size::show(limit as u64));
        return Err(format!("expected at most {limit}, found {size}"));
    }
    secret.path.parse().map_err(|bad: BadPath| bad.to_string())
}

/// What the machine of `source` says to a script.
fn ask(source: &Source, script: &str, limit: u64) -> io::Result<Vec<u8>> {
    let Source::Machine(host) = source else { return Err(io::ErrorKind::InvalidInput.into()) };
    let ssh = Ssh::connect(host, &super::ssh()).map_err(io::Error::other)?;
    answer(&ssh, None, script, limit)
}

/// The passphrase: the first line of a file, or what is typed at the terminal, where it is not shown.
fn passphrase(place: &str, file: Option<&Path>, again: bool) -> io::Result<Vec<u8>> {
    if let Some(file) = file {
        let text = read_text(file, Kind::Text)?;
        return Ok(text.lines().next().unwrap_or_default().as_bytes().to_vec());
    }
    let terminal = std::fs::File::options().read(true).write(true).open("/dev/tty")?;
    let silent = super::owner::Silent::new(&terminal)?;
    let place = hoopy_base::terminal::harmless_line(place);
    let wrong = if again { "wrong passphrase; an empty line ends this\n" } else { "" };
    (&terminal).write_all(format!("{wrong}passphrase of {place}: ").as_bytes())?;
    let mut line = Vec::new();
    let read = io::BufReader::new((&terminal).take(MAX_PASSPHRASE)).read_until(b'\n', &mut line);
    drop(silent);
    (&terminal).write_all(b"\n")?;
    read?;
    let line = line.strip_suffix(b"\n").map(<[u8]>::to_vec).unwrap_or(line);
    if line.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "an empty line ended the question"));
    }
    Ok(line)
}
