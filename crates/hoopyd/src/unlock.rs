//! `hoopyd unlock`: gives the programs of `/etc/hoopy/unlock.d` the keys of their volumes, on standard input.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use hoopy_boot::secrets::{Map, Open, SecretFile, State, VOLUME_KEYS};
use hoopy_secrets::cipher::{MAX_PLAINTEXT, decrypt};
use hoopy_secrets::{Identities, MachineIdentity, Plaintext};

use crate::error::AgentError;
use crate::{identity, map, outcome, place, process, program, secrets};

/// Where the programs are, below the root.
const PROGRAMS: &str = "etc/hoopy/unlock.d";

/// How long a program may take: a key that is stretched costs seconds, a large pool some more.
const PATIENCE: Duration = Duration::from_secs(180);

/// Unlocks every volume with the machine's own identity, as the service does at boot. A machine that waits for its
/// owner has nothing to do.
///
/// # Errors
/// [`AgentError`].
pub fn all(root: &Path) -> Result<(), AgentError> {
    let map = map::read(root)?;
    if map.open == Open::Tpm {
        return_to_machine_mounts(root)?;
        return with_kept_keys(root, &map);
    }
    match secrets::at_hand(root, &map)? {
        Some(identities) => {
            return_to_machine_mounts(root)?;
            volumes(root, &map, &identities)
        }
        None => Ok(()),
    }
}

/// What programs mount is to stay, and to be seen by the machine.
fn return_to_machine_mounts(root: &Path) -> Result<(), AgentError> {
    if root != Path::new("/") {
        return Ok(());
    }
    process::return_to_machine_mounts().map_err(AgentError::io("enter", process::MACHINE_MOUNTS))
}

/// Opens all secrets and volumes with the identity that comes on standard input.
///
/// # Errors
/// [`AgentError`].
pub fn with_identity(root: &Path, input: impl Read) -> Result<(), AgentError> {
    let map = map::read(root)?;
    with_identities(root, &map, &identity::from_input(input)?)
}

/// Opens all secrets and volumes with these identities.
///
/// # Errors
/// [`AgentError`].
pub fn with_identities(root: &Path, map: &Map, identities: &[MachineIdentity]) -> Result<(), AgentError> {
    let result = secrets::timed(|| secrets::open(root, map, identities));
    outcome::write(root, &result)?;
    if result.state != State::Open {
        return Err(AgentError::NotOpen(result.failures));
    }
    start_service(root, "hoopy-secrets");
    let unlocked = volumes(root, map, identities);
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
    with_plaintext(root, name, &key)
}

/// Unlocks one volume with this key.
///
/// # Errors
/// [`AgentError::Volumes`].
pub fn with_plaintext(root: &Path, name: &str, key: &Plaintext) -> Result<(), AgentError> {
    one(root, name, key).map_err(|reason| AgentError::Volumes(vec![reason]))?;
    start_service(root, "hoopy-state");
    Ok(())
}

fn volumes(root: &Path, map: &Map, identities: &[MachineIdentity]) -> Result<(), AgentError> {
    let with = Identities::of_machine(identities);
    each(map, |name| one(root, name, &key(root, name, &with)?)).map_err(AgentError::Volumes)
}

/// Does `work` for every volume, also where it fails for one: gives all failures.
fn each(map: &Map, work: impl Fn(&str) -> Result<(), String>) -> Result<(), Vec<String>> {
    let failures: Vec<String> = map.volumes.iter().filter_map(|name| work(name).err()).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}

/// The key of a volume, decrypted.
fn key(root: &Path, name: &str, with: &Identities) -> Result<Plaintext, String> {
    let sealed = map::ciphertext(root, &format!("unlock/{name}")).map_err(|error| error.to_string())?;
    decrypt(&sealed, with).map_err(|error| format!("{name}: {error}"))
}

/// Decrypts the keys of volumes, which wait in memory for the service that needs them: when that runs, the TPM gives the
/// identity no more.
///
/// # Errors
/// Why some are not there.
pub fn keep_keys(root: &Path, map: &Map, identities: &[MachineIdentity]) -> Result<(), Vec<String>> {
    let with = Identities::of_machine(identities);
    each(map, |name| {
        let path = format!("{VOLUME_KEYS}/{name}");
        let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let file = SecretFile { secret: String::new(), path, mode: 0o600, user: own.0, group: own.1 };
        let key = key(root, name, &with)?;
        place::put(root, &file, &key).map_err(|error| format!("{name}: {error}"))
    })
}

/// Unlocks every volume with the key that waits for it, and removes all of these keys.
fn with_kept_keys(root: &Path, map: &Map) -> Result<(), AgentError> {
    let dir = root.join(VOLUME_KEYS);
    let unlocked = each(map, |name| {
        let key = hoopy_base::input::open(&dir.join(name))
            .and_then(|file| Plaintext::read(file, MAX_PLAINTEXT))
            .map_err(|_| format!("{name}: its key is not there: hoopy unlock HOST {name}"));
        match key {
            Ok(key) => one(root, name, &key),
            // Unlocked by the owner already
            Err(_) if is_open(root, name) => Ok(()),
            Err(reason) => Err(reason),
        }
    });
    match std::fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(AgentError::io("remove", dir)(error))
        }
        _ => unlocked.map_err(AgentError::Volumes),
    }
}

/// Whether the volume's program says that it is open.
fn is_open(root: &Path, name: &str) -> bool {
    run(&root.join(PROGRAMS).join(name), &["--status"], None).is_ok()
}

/// Unlocks one volume, unless its program says that it is open already.
fn one(root: &Path, name: &str, key: &Plaintext) -> Result<(), String> {
    let program = root.join(PROGRAMS).join(name);
    if !program.is_file() {
        return Err(format!("{name}: expected the program /{PROGRAMS}/{name}, found none"));
    }
    if is_open(root, name) {
        return Ok(());
    }
    run(&program, &[], Some(key)).map_err(|reason| format!("{name}: {reason}"))
}

/// Runs a program of the owner's and says how it failed. What it leaves running stays: a volume's daemon may serve it.
pub(crate) fn run(program: &Path, arguments: &[&str], key: Option<&Plaintext>) -> Result<(), String> {
    let input = key.map_or(&[][..], Plaintext::as_bytes);
    let call = program::Call { arguments, environment: &[], input, limit: PATIENCE, leave: true };
    match program::run(program, &call) {
        Ok(ended) if ended.success => Ok(()),
        Ok(ended) => Err(ended.said),
        Err(error) => Err(error.to_string()),
    }
}

/// Services that wait for this one are started with it now, where it was marked inactive at boot.
fn start_service(root: &Path, name: &str) {
    if root != Path::new("/") {
        return;
    }
    let mut service = Command::new("rc-service");
    service.args(["--quiet", name, "start"]).env("IN_BACKGROUND", "yes");
    let _ = service.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}
