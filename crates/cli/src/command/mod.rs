//! One file per command; each calls one function of a library.

mod add;
mod agent;
mod backup;
mod branch;
mod build;
mod check;
mod deploy;
mod diff;
mod disk;
mod doctor;
mod drift;
mod edit;
mod export;
mod flash;
mod gc;
mod host;
mod image;
mod import;
mod info;
mod init;
mod inspect;
mod keys;
mod loader;
mod lock;
mod logs;
mod man;
mod open;
mod owner;
mod packages;
mod pull;
mod relocked;
mod remove;
mod reproduce;
mod restore;
mod rollback;
mod run;
mod search;
mod secret;
mod sign;
mod signing;
mod status;
mod steps;
mod store;
mod test;
mod timings;
mod tree;
mod unlock;
mod vendor;
mod watch;
mod why;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::CommandFactory as _;
use hoopy_base::jobs::Jobs;
use hoopy_base::programs::Programs;
use hoopy_base::report::Observer;
use hoopy_build::config::{Overrides, System};
use hoopy_build::fetch::Client;
use hoopy_build::query::{self, Shelf};
use hoopy_build::runner::choose::{ScriptLocation, ScriptRunner};
use hoopy_build::runner::virtual_machine::MachineConfig;
use hoopy_build::target::Target;
use hoopy_lock::Lock;
use hoopy_sandbox::{Limits, Sandbox, SandboxConfig};
use hoopy_ship::deploy::{Limits as SshLimits, SshConfig};
use hoopy_store::Store;
use hoopy_vm::{Acceleration, Accelerator};

use crate::args::{Accel, Args, Command, Global, Scripts};
use crate::error::{CommandError, Context as _, Exit, Result};
use crate::{log, output};

/// Runs the command.
pub fn run(args: Args) -> Result<Exit> {
    let recording = log::begin(&args)?;
    let global = args.global;
    if let Some(dir) = &global.directory {
        std::env::set_current_dir(dir)
            .map_err(|e| CommandError::system(format!("cannot change to {} (-C): {e}", dir.display())))?;
    }
    match args.command {
        Command::Init(own) => init::run(&global, &own),
        Command::Import(own) => import::run(&global, &own),
        Command::Export(own) => export::run(&global, &own),
        Command::Check(own) => check::run(&global, &own),
        Command::Build(own) => build::run(&global, &own, recording.as_ref()),
        Command::Run(own) => run::run(&global, &own),
        Command::Deploy(own) => deploy::run(&global, &own),
        Command::Status(own) => status::run(&global, &own),
        Command::Open(own) => open::run(&global, &own),
        Command::Rollback(own) => rollback::run(&global, &own),
        Command::Logs(own) => logs::run(&global, &own),
        Command::Test(own) => test::run(&global, &own),
        Command::Disk(own) => disk::run(&global, &own),
        Command::Flash(own) => flash::run(&global, &own),
        Command::Secret { command } => secret::run(&global, &command),
        Command::Unlock(own) => unlock::run(&global, &own),
        Command::Backup(own) => backup::run(&global, &own),
        Command::Restore(own) => restore::run(&global, &own),
        Command::Add(own) => add::run(&global, &own),
        Command::Remove(own) => remove::run(&global, &own),
        Command::Lock(own) => lock::lock(&global, &own),
        Command::Update(own) => lock::update(&global, &own),
        Command::Vendor(own) => vendor::run(&global, &own),
        Command::Why(own) => why::run(&global, &own),
        Command::Tree(own) => tree::run(&global, &own),
        Command::Search(own) => search::run(&global, &own),
        Command::Info(own) => info::run(&global, &own),
        Command::Inspect(own) => inspect::run(&global, &own),
        Command::Keys { command } => keys::run(&global, &command),
        Command::Sign(own) => sign::run(&global, &own),
        Command::Diff(own) => diff::run(&global, &own),
        Command::Drift(own) => drift::run(&global, &own),
        Command::Pull(own) => pull::run(&global, &own),
        Command::Gc(own) => gc::run(&global, &own),
        Command::Store { command } => store::run(&global, &command),
        Command::Doctor(own) => doctor::run(&global, &own),
        Command::Schema => output::print_json(&hoopy_build::config::schema()).map(|()| Exit::Success),
        Command::Completions { shell } => {
            // Written to memory first: clap_complete panics where it cannot write.
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "hoopy", &mut text);
            output::print_bytes(&text).map(|()| Exit::Success)
        }
        Command::Man(own) => man::run(&own),
    }
}

/// The system that commands with another subject are about: the working directory, which `-C` sets.
const HERE: &str = ".";

fn system(dir: &Path, global: &Global, more: Overrides) -> Result<System> {
    let over = Overrides { mirror: global.mirror.clone(), keys: global.keys.clone(), ..more };
    Ok(System::load(dir, &over)?)
}

/// What the command works on. Nothing later decides again which architecture or lock is meant.
fn target(dir: &Path, global: &Global, more: Overrides) -> Result<Target> {
    Ok(Target::resolve(system(dir, global, more)?, global.arch)?)
}

/// What a command works with.
struct Resources {
    store: Arc<Store>,
    client: Client,
    jobs: Jobs,
}

impl Resources {
    fn open(global: &Global) -> Result<Self> {
        Ok(Self { store: Arc::new(store(global)?), client: Client::default(), jobs: jobs(global) })
    }

    /// The same for the library.
    fn context<'a>(&'a self, observer: &'a dyn Observer) -> hoopy_build::context::Context<'a> {
        hoopy_build::context::Context { store: &self.store, client: &self.client, jobs: &self.jobs, observer }
    }
}

/// The cores that may be kept busy.
fn jobs(global: &Global) -> Jobs {
    global.jobs.map_or_else(Jobs::default, |cores| Jobs::new(cores.get()))
}

fn store(global: &Global) -> Result<Store> {
    Store::open(&store_dir(global)?).context("cannot open the store")
}

fn store_dir(global: &Global) -> Result<PathBuf> {
    let none =
        || CommandError::failed("no directory for the store: HOME is not set").hint("name one with --store");
    global.store.clone().or_else(cache).ok_or_else(none)
}

/// The sandbox that owns the unpacked layers of the store at `dir`; none where this computer cannot have one.
fn sandbox(dir: &Path) -> Option<Sandbox> {
    let helper = std::env::current_exe().ok()?;
    let lowers = dir.join("lower");
    let config = SandboxConfig { helper, lowers, limits: Limits::default() };
    if config.lowers.is_dir() { Sandbox::new(config).ok() } else { None }
}

/// The packages of all repositories, and the lock where there is one.
struct Catalogue {
    shelves: Vec<Shelf>,
    lock: Option<Lock>,
}

fn catalogue(target: &Target, context: hoopy_build::context::Context<'_>) -> Result<Catalogue> {
    Ok(Catalogue { shelves: query::shelves(target, context)?, lock: target.lock.content.clone() })
}

/// `$XDG_CACHE_HOME/hoopy`, or `~/.cache/hoopy` (XDG Base Directory Specification).
fn cache() -> Option<PathBuf> {
    base("XDG_CACHE_HOME", ".cache").map(|dir| dir.join("hoopy"))
}

/// `$XDG_STATE_HOME/hoopy`, or `~/.local/state/hoopy`.
fn state() -> Option<PathBuf> {
    base("XDG_STATE_HOME", ".local/state").map(|dir| dir.join("hoopy"))
}

/// Where scripts run.
fn runner(
    global: &Global,
    target: &Target,
    scripts: Scripts,
    store: &Store,
    temp: PathBuf,
) -> Result<ScriptRunner> {
    let helper = std::env::current_exe().context("cannot find hoopy's own program file")?;
    let place = match scripts {
        Scripts::Auto => ScriptLocation::Auto,
        Scripts::Native => ScriptLocation::Native,
        Scripts::Vm => ScriptLocation::VirtualMachine,
    };
    let sandbox = SandboxConfig { helper, lowers: store.lowers(), limits: Limits::default() };
    let (network, acceleration) = (target.system.network, acceleration(global));
    let machine = MachineConfig { arch: target.arch, network, acceleration, places: places(), temp };
    Ok(ScriptRunner::new(place, sandbox, machine)?)
}

/// Where temporary directories are made.
fn temp() -> PathBuf {
    PathBuf::from(std::env::var_os("TMPDIR").unwrap_or_else(|| "/tmp".into()))
}

/// Where programs and firmware are: PATH, and what HOOPY_QEMU and HOOPY_FIRMWARE say. HOOPY_KVM is for tests, on
/// computers without the device or with one that works.
fn places() -> hoopy_vm::Places {
    let path = std::env::var_os("PATH").unwrap_or_default();
    hoopy_vm::Places {
        qemu: std::env::var_os("HOOPY_QEMU").map(PathBuf::from),
        firmware: std::env::var_os("HOOPY_FIRMWARE").map(PathBuf::from),
        kvm: std::env::var_os("HOOPY_KVM").map(PathBuf::from),
        programs: Programs { path: std::env::split_paths(&path).collect() },
    }
}

/// What --accel, or HOOPY_ACCEL, says.
fn acceleration(global: &Global) -> Acceleration {
    match global.accel {
        Accel::Auto => Acceleration::Auto,
        Accel::Kvm => Acceleration::Only(Accelerator::Kvm),
        Accel::Tcg => Acceleration::Only(Accelerator::Tcg),
    }
}

/// How ssh is called: the one on PATH. Without a terminal it cannot ask for a password.
fn ssh() -> SshConfig {
    let batch = !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal();
    SshConfig { program: "ssh".into(), batch, temp: temp(), limits: SshLimits::default() }
}

/// A base directory of the XDG specification: what `variable` says, or else `default` in the home directory.
/// One that is not absolute counts as not set: it would lie in whatever directory hoopy is called in.
fn base(variable: &str, default: &str) -> Option<PathBuf> {
    absolute(variable).or_else(|| home().map(|home| home.join(default)))
}

/// The user's home directory, where `HOME` is absolute.
fn home() -> Option<PathBuf> {
    absolute("HOME")
}

fn absolute(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}
