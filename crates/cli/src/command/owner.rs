//! The owner at this computer: where the identities are, how hoopy asks for a passphrase, and where the agent is.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;

use hoopy_base::input;
use hoopy_base::terminal::harmless_line;
use hoopy_boot::secrets::Open;
use hoopy_build::config::System;
use hoopy_build::road::OwnerKeys;
use hoopy_build::stack::secrets::keeps_identity;
use hoopy_secrets::directory::{NAME, RECOVERY};
use hoopy_secrets::owner::{MAX_FILE, recipients_of};
use hoopy_secrets::{Identities, MachineIdentity, NoPrompt, Prompt, Recipient, SecretString, Secrets};
use hoopy_ship::disk::{DiskIdentity, Lasting};
use hoopy_vm::Handover;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM};
use signal_hook::flag::register_conditional_default;
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level::emulate_default_handler;

use crate::error::{CommandError, Context as _, Result};
use crate::output::note;

/// Private keys of ssh that age can use.
const SSH: [&str; 2] = ["id_ed25519", "id_rsa"];

/// The longest answer that is read from a terminal.
const MAX_ANSWER: usize = 4096;

/// No core dump holds what this process decrypts.
pub fn keep_to_itself() {
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// `$XDG_CONFIG_HOME/age`, or `~/.config/age`.
pub fn age_dir() -> Option<PathBuf> {
    super::base("XDG_CONFIG_HOME", ".config").map(|dir| dir.join("age"))
}

/// The files in which the owner may have identities.
fn files() -> Vec<PathBuf> {
    let dir = age_dir().and_then(|dir| fs::read_dir(dir).ok());
    let mut found: Vec<PathBuf> = dir.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.sort();
    let home = super::home();
    found.extend(home.into_iter().flat_map(|home| SSH.map(|name| home.join(".ssh").join(name))));
    found.retain(|path| path.is_file());
    found
}

/// The identities of the files that were named, or those that the owner usually has. `secrets` is the system's directory
/// `secrets/`, which may have one that a passphrase protects.
pub fn identities(given: &[PathBuf], secrets: &Path) -> Result<Identities> {
    let mut all = Identities::default();
    for file in given {
        let bytes = input::read_up_to(file, MAX_FILE).context(format!("cannot read {}", file.display()))?;
        let added = all.add_file(&bytes, &file.display().to_string(), &Terminal);
        added.map_err(|error| CommandError::failed(format!("{}: {error}", file.display())))?;
    }
    if given.is_empty() {
        for file in files().into_iter().chain([secrets.join(RECOVERY)]) {
            // A file that is no identity, or whose plugin is missing, is skipped: the user did not name it.
            if let Ok(bytes) = input::read_up_to(&file, MAX_FILE) {
                let _ = all.add_file(&bytes, &file.display().to_string(), &Terminal);
            }
        }
    }
    if all.is_empty() {
        return Err(CommandError::failed("no identity to decrypt with: none in ~/.config/age or ~/.ssh")
            .hint("name one with --identity FILE: an age identity, or a private ssh key"));
    }
    Ok(all)
}

/// Those of the owner's usual identities that need no passphrase.
pub fn silent_identities() -> Identities {
    let mut all = Identities::default();
    for file in named().into_iter().chain(files()) {
        if let Ok(bytes) = input::read_up_to(&file, MAX_FILE) {
            let _ = all.add_file(&bytes, &file.display().to_string(), &NoPrompt);
        }
    }
    all
}

/// The identities for a build of `system`, which asks for them when it needs them.
pub fn keys(system: &System) -> OwnerKeys {
    let secrets = system.path(NAME);
    OwnerKeys(Arc::new(move || usual_identities(&secrets).map_err(|error| error.to_string())))
}

/// Those that `HOOPY_IDENTITY` names, or else those that the owner usually has.
pub fn usual_identities(secrets: &Path) -> Result<Identities> {
    identities(&named(), secrets)
}

thread_local! {
    /// Identities that have opened something, with whose secrets.
    static KEPT: RefCell<Option<(PathBuf, Identities)>> = const { RefCell::new(None) };
}

/// Opens something with the usual identities. Those that do are kept, so that a passphrase is typed once for all keys that sign.
pub fn with_usual_identities<T>(secrets: &Path, open: impl FnOnce(&Identities) -> Result<T>) -> Result<T> {
    let kept = KEPT.with_borrow_mut(Option::take).filter(|(of, _)| of == secrets);
    let identities = match kept {
        Some((_, identities)) => identities,
        None => usual_identities(secrets)?,
    };
    let opened = open(&identities)?;
    KEPT.set(Some((secrets.to_owned(), identities)));
    Ok(opened)
}

/// The files that `HOOPY_IDENTITY` names.
fn named() -> Vec<PathBuf> {
    std::env::var_os("HOOPY_IDENTITY").map(|set| std::env::split_paths(&set).collect()).unwrap_or_default()
}

/// The public halves of the identities that the owner usually has.
pub fn recipients() -> Vec<Recipient> {
    let of = |file: &PathBuf| {
        let bytes = input::read_up_to(file, MAX_FILE).unwrap_or_default();
        let public = fs::read_to_string(file.with_extension("pub")).unwrap_or_default();
        let of_ssh = public.trim().parse().ok().filter(|_| bytes.windows(11).any(|at| at == b"PRIVATE KEY"));
        recipients_of(&bytes).into_iter().chain(of_ssh).collect::<Vec<_>>()
    };
    files().iter().flat_map(of).collect()
}

/// Where the agent for machines is: what `HOOPY_AGENTS` names, beside this program as releases have it, or where
/// `cargo xtask hoopyd` puts it.
pub fn agents() -> Vec<PathBuf> {
    let named = std::env::var_os("HOOPY_AGENTS");
    let mut dirs: Vec<PathBuf> = named.iter().flat_map(std::env::split_paths).collect();
    let own = std::env::current_exe().ok().and_then(|file| file.canonicalize().ok());
    if let Some(dir) = own.as_deref().and_then(Path::parent) {
        dirs.push(dir.to_owned());
        let above = dir.parent().unwrap_or(dir);
        dirs.extend(["lib/hoopy", "libexec/hoopy", "hoopyd"].map(|below| above.join(below)));
    }
    dirs
}

/// The identity for a virtual machine of this system; nothing where it needs none.
pub fn handover(system: &System) -> Result<Option<Handover>> {
    match system.secrets.open {
        None | Some(Open::Build) => return Ok(None),
        Some(Open::Disk | Open::Tpm | Open::Owner) => {}
    }
    let Some(secrets) = Secrets::read(&system.dir)? else { return Ok(None) };
    let identity = secrets.machine_identity(&usual_identities(&secrets.dir)?)?;
    Ok(Some(Handover::new(MachineIdentity::file(&[identity]).as_bytes())?))
}

/// The identity for a new disk, where one of its partitions keeps it.
pub fn on_disk(system: &System, fstab: &[u8], lasting: &Lasting) -> Result<Option<DiskIdentity>> {
    match system.secrets.open {
        Some(Open::Disk | Open::Tpm) => {}
        None | Some(Open::Owner | Open::Build) => return Ok(None),
    }
    let Some(secrets) = Secrets::read(&system.dir)? else { return Ok(None) };
    let device = keeps_identity(&hoopy_disk::fstab::parse(fstab), system.secrets.on.as_deref());
    let device = device.map_err(|reason| CommandError::system(format!("[secrets]: {reason}")))?;
    let mount_point = device.mount_point;
    if !lasting.mounts.iter().any(|mount| mount.mount_point == mount_point) {
        note(format!(
            "warning: this disk has no {mount_point}, which keeps the machine's identity: put it there with `hoopy secret enroll HOST`"
        ));
        return Ok(None);
    }
    if !hoopy_disk::populate::is_possible(&device.filesystem) {
        let kind = device.filesystem;
        note(format!(
            "warning: hoopy cannot put the machine's identity into a new {kind} filesystem: put it there with `hoopy secret enroll HOST`"
        ));
        return Ok(None);
    }
    let identity = secrets.machine_identity(&usual_identities(&secrets.dir)?)?;
    Ok(Some(DiskIdentity { mount_point, file: MachineIdentity::file(&[identity]) }))
}

/// A new passphrase, typed twice.
pub fn new_passphrase() -> Result<SecretString> {
    use hoopy_secrets::ExposeSecret as _;
    let ask = |text: &str| Terminal.request_passphrase(text);
    let none = || CommandError::failed("cannot ask for a passphrase: no terminal");
    let first = ask("New recovery passphrase").ok_or_else(none)?;
    if first.expose_secret().is_empty() {
        return Err(CommandError::failed("an empty passphrase protects nothing: nothing was written"));
    }
    let second = ask("Repeat the passphrase").ok_or_else(none)?;
    if first.expose_secret() != second.expose_secret() {
        return Err(CommandError::failed("the two passphrases differ: nothing was written"));
    }
    Ok(first)
}

/// Asks on the terminal itself, also where standard input is a pipe.
#[derive(Clone, Copy)]
pub struct Terminal;

impl Prompt for Terminal {
    fn display_message(&self, message: &str) {
        note(message);
    }

    fn confirm(&self, message: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        let choice = no.map_or_else(|| format!("[{yes}]"), |no| format!("[{yes}/{no}]"));
        let answer = ask(&format!("{message} {choice} "), true)?;
        Some(answer.is_empty() || answer.eq_ignore_ascii_case(yes) || answer.eq_ignore_ascii_case("y"))
    }

    fn request_public_string(&self, description: &str) -> Option<String> {
        ask(&format!("{description}: "), true)
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        ask(&format!("{description}: "), false).map(SecretString::from)
    }
}

/// Isolation marks, which the crate age puts around names in its questions (Unicode, UAX #9).
const MARKS: [char; 2] = ['\u{2068}', '\u{2069}'];

/// Asks on the terminal itself: standard error may be a file.
fn say(mut terminal: &File, question: &str) -> io::Result<()> {
    terminal.write_all(harmless_line(&question.replace(MARKS, "")).as_bytes())
}

/// One line from the terminal; nothing where there is none.
fn ask(question: &str, shown: bool) -> Option<String> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").ok()?;
    // Silent before it asks: a quick answer would be shown, and then forgotten.
    let silent = if shown { None } else { Some(Silent::new(&terminal).ok()?) };
    say(&terminal, question).ok()?;
    let mut line = String::with_capacity(MAX_ANSWER);
    let read = BufReader::with_capacity(MAX_ANSWER, io::Read::take(&terminal, MAX_ANSWER as u64))
        .read_line(&mut line);
    if silent.is_some() {
        drop(silent);
        let _ = (&terminal).write_all(b"\n");
    }
    read.ok().filter(|&bytes| bytes > 0)?;
    let typed = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(typed);
    Some(line)
}

/// What ends the program while it waits for an answer.
const ENDINGS: [i32; 3] = [SIGINT, SIGQUIT, SIGTERM];

/// Whether these signals do what they do by default. Once a signal was waited for, the crate signal-hook lets nothing happen
/// where nobody waits for it any more.
static BY_DEFAULT: LazyLock<Arc<AtomicBool>> = LazyLock::new(|| {
    let by_default = Arc::new(AtomicBool::new(true));
    for signal in ENDINGS {
        let _ = register_conditional_default(signal, Arc::clone(&by_default));
    }
    by_default
});

/// Leaves signals to the caller, whatever was asked before.
pub fn leave_signals() {
    BY_DEFAULT.store(false, Ordering::SeqCst);
}

/// A terminal that does not show what is typed, until this is dropped or a signal ends the program.
pub struct Silent {
    settings: Arc<Settings>,
    /// Whether signals did what they do by default.
    by_default: bool,
    signals: Handle,
    waiting: Option<JoinHandle<()>>,
}

/// The terminal, and how it was.
struct Settings {
    terminal: File,
    before: Termios,
}

impl Settings {
    fn put_back(&self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

impl Silent {
    pub fn new(terminal: &File) -> io::Result<Self> {
        let settings = Arc::new(Settings { before: tcgetattr(terminal)?, terminal: terminal.try_clone()? });
        let is_default = &*BY_DEFAULT;
        let mut signals = Signals::new(ENDINGS)?;
        let by_default = is_default.swap(false, Ordering::SeqCst);
        let handle = signals.handle();
        let ended = Arc::clone(&settings);
        let waiting = std::thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                ended.put_back();
                let _ = (&ended.terminal).write_all(b"\n");
                // As if it had not been waited for: the shell sees which signal it was.
                let _ = emulate_default_handler(signal);
            }
        });
        let silent = Self { settings, by_default, signals: handle, waiting: Some(waiting) };
        let mut modes = silent.settings.before.clone();
        modes.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal, OptionalActions::Flush, &modes)?;
        Ok(silent)
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.settings.put_back();
        BY_DEFAULT.store(self.by_default, Ordering::SeqCst);
        self.signals.close();
        let _ = self.waiting.take().map(JoinHandle::join);
    }
}
