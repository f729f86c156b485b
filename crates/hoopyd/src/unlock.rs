//! `hoopyd unlock`: gives the programs of `/etc/hoopy/unlock.d` the keys of their volumes, on standard input.

use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use hoopy_boot::secrets::{Map, State};
use hoopy_secrets::cipher::{MAX_PLAINTEXT, decrypt};
use hoopy_secrets::{Identities, MachineIdentity, Plaintext};

use crate::error::AgentError;
use crate::{identity, map, outcome, secrets};

/// Where the programs are, below the root.
const PROGRAMS: &str = "etc/hoopy/unlock.d";

/// The `PATH` of these programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long a program may take: a key that is stretched costs seconds, a large pool some more.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often to check whether it has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// Unlocks every volume with the machine's own identity, as the service does at boot. A machine that waits for its
/// owner has nothing to do.
///
/// # Errors
/// [`AgentError`].
pub fn all(root: &Path) -> Result<(), AgentError> {
    let map = map::read(root)?;
    match secrets::at_hand(root, &map)? {
        Some(identities) => volumes(root, &map, &identities),
        None => Ok(()),
    }
}

/// Opens all secrets and volumes with the identity that comes on standard input.
///
/// # Errors
/// [`AgentError`].
pub fn with_identity(root: &Path, input: impl Read) -> Result<(), AgentError> {
    let map = map::read(root)?;
    let identities = identity::from_input(input)?;
    let result = secrets::timed(|| secrets::open(root, &map, &identities));
    outcome::write(root, &result)?;
    if result.state != State::Open {
        return Err(AgentError::NotOpen(result.failures));
    }
    start_service(root, "hoopy-secrets");
    let unlocked = volumes(root, &map, &identities);
    start_service(root, "hoopy-state");
    unlocked
}

/// Unlocks one volume with the key that comes on standard input.
///
/// # Errors
/// [`AgentError`].
pub fn with_key(root: &Path, name: &str, input: impl Read) -> Result<(), AgentError> {
    let map = map::read(root)?;
    if !map.volumes.iter().any(|volume| volume == name) {
        return Err(AgentError::NoVolume(name.to_owned()));
    }
    let key = Plaintext::read(input, MAX_PLAINTEXT);
    let key = key.map_err(|error| AgentError::Volumes(vec![format!("{name}: {error}")]))?;
    one(root, name, &key).map_err(|reason| AgentError::Volumes(vec![reason]))?;
    start_service(root, "hoopy-state");
    Ok(())
}

fn volumes(root: &Path, map: &Map, identities: &[MachineIdentity]) -> Result<(), AgentError> {
    let with = Identities::of_machine(identities);
    let unlock = |name: &String| {
        let sealed = map::ciphertext(root, &format!("unlock/{name}")).map_err(|error| error.to_string())?;
        let key = decrypt(&sealed, &with).map_err(|error| format!("{name}: {error}"))?;
        one(root, name, &key)
    };
    let failures: Vec<String> = map.volumes.iter().filter_map(|name| unlock(name).err()).collect();
    if failures.is_empty() { Ok(()) } else { Err(AgentError::Volumes(failures)) }
}

/// Unlocks one volume, unless its program says that it is open already.
fn one(root: &Path, name: &str, key: &Plaintext) -> Result<(), String> {
    let program = root.join(PROGRAMS).join(name);
    if !program.is_file() {
        return Err(format!("{name}: expected the program /{PROGRAMS}/{name}, found none"));
    }
    if run(&program, &["--status"], None).is_ok() {
        return Ok(());
    }
    run(&program, &[], Some(key)).map_err(|reason| format!("{name}: {reason}"))
}

/// Runs a program of the owner's, with nothing of this one's environment, and waits for it within bounds.
pub(crate) fn run(program: &PathBuf, args: &[&str], key: Option<&Plaintext>) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(args).env_clear().env("PATH", PATH).stdout(Stdio::null()).stderr(Stdio::piped());
    command.stdin(if key.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let (input, mut said) = (child.stdin.take(), child.stderr.take());
    // A program that does not read its key, or says much, must not make this one wait.
    let key = key.cloned();
    let writer = thread::spawn(move || match (input, key) {
        (Some(mut input), Some(key)) => input.write_all(key.as_bytes()),
        _ => Ok(()),
    });
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        let _ = said.as_mut().map(|said| said.take(MAX_SAID).read_to_end(&mut text));
        let _ = said.as_mut().map(|said| io::copy(said, &mut io::sink()));
        String::from_utf8_lossy(&text).trim().to_owned()
    });
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if begun.elapsed() < PATIENCE => thread::sleep(PAUSE),
            None => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("it did not end within {} s", PATIENCE.as_secs()));
            }
        }
    };
    // It may have closed its standard input early: what counts is how it ended.
    let _ = writer.join();
    if status.success() {
        return Ok(());
    }
    // What it leaves running may hold standard error open.
    let end = Instant::now();
    while !reader.is_finished() && end.elapsed() < LAST_WORDS {
        thread::sleep(PAUSE);
    }
    let said = if reader.is_finished() { reader.join().unwrap_or_default() } else { String::new() };
    Err(if said.is_empty() { status.to_string() } else { format!("{status}: {said}") })
}

/// How long to wait for the rest of a program's error output after it ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The most of a program's error output that is passed on.
const MAX_SAID: u64 = 4096;

/// Services that wait for this one are started with it now, where it was marked inactive at boot.
fn start_service(root: &Path, name: &str) {
    if root != Path::new("/") {
        return;
    }
    let mut service = Command::new("rc-service");
    service.args(["--quiet", name, "start"]).env("IN_BACKGROUND", "yes");
    let _ = service.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}
