//! One file per command; each calls one function of a library.

mod add;
mod build;
mod check;
mod deploy;
mod diff;
mod disk;
mod drift;
mod edit;
mod flash;
mod gc;
mod host;
mod image;
mod info;
mod init;
mod inspect;
mod lock;
mod logs;
mod man;
mod packages;
mod pull;
mod remove;
mod reproduce;
mod rollback;
mod run;
mod search;
mod status;
mod steps;
mod store;
mod test;
mod timings;
mod tree;
mod vendor;
mod watch;
mod why;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use hoopy_base::arch::Arch;
use hoopy_base::programs::Programs;
use hoopy_base::report::Observer;
use hoopy_build::config::{Overrides, System};
use hoopy_build::query::{self, QueryError, Shelf};
use hoopy_build::road::BuildError;
use hoopy_build::runner::choose::{Chosen, Where};
use hoopy_build::runner::virtual_machine::MachineConfig;
use hoopy_lock::Lock;
use hoopy_sandbox::{Sandbox, SandboxConfig};
use hoopy_ship::deploy::SshConfig;
use hoopy_store::Store;

use crate::args::{Args, Command, Global, Scripts};
use crate::error::{CommandError, Context as _, Exit, Result};
use crate::output;

/// Runs the command.
pub fn run(args: Args) -> Result<Exit> {
    let global = args.global;
    if let Some(dir) = &global.directory {
        std::env::set_current_dir(dir)
            .map_err(|e| CommandError::system(format!("cannot change to {} (-C): {e}", dir.display())))?;
    }
    match args.command {
        Command::Init(own) => init::run(&global, &own),
        Command::Check(own) => check::run(&global, &own),
        Command::Build(own) => build::run(&global, &own),
        Command::Run(own) => run::run(&global, &own),
        Command::Deploy(own) => deploy::run(&global, &own),
        Command::Status(own) => status::run(&global, &own),
        Command::Rollback(own) => rollback::run(&global, &own),
        Command::Logs(own) => logs::run(&global, &own),
        Command::Test(own) => test::run(&global, &own),
        Command::Disk(own) => disk::run(&global, &own),
        Command::Flash(own) => flash::run(&global, &own),
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
        Command::Diff(own) => diff::run(&global, &own),
        Command::Drift(own) => drift::run(&global, &own),
        Command::Pull(own) => pull::run(&global, &own),
        Command::Gc(own) => gc::run(&global, &own),
        Command::Store { command } => store::run(&global, &command),
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
    let over =
        Overrides { arch: global.arch, mirror: global.mirror.clone(), keys: global.keys.clone(), ..more };
    Ok(System::load(dir, &over)?)
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
    if lowers.is_dir() { Sandbox::new(SandboxConfig { helper, lowers }).ok() } else { None }
}

/// The packages of all repositories, and the lock where there is one.
struct Catalogue {
    shelves: Vec<Shelf>,
    lock: Option<Lock>,
}

fn catalogue(system: &System, store: &Store, observer: &dyn Observer) -> Result<Catalogue> {
    let (arch, path) = hoopy_build::locking::place(system)?;
    let arch = arch.ok_or(QueryError::NoArch)?;
    let lock = Lock::read(&path)?;
    let shelves = query::shelves(system, arch, lock.as_ref(), store, observer)?;
    Ok(Catalogue { shelves, lock })
}

/// The architecture to build for, and the lock.
fn place(system: &System) -> Result<(Arch, PathBuf)> {
    let (arch, lock) = hoopy_build::locking::place(system)?;
    Ok((arch.ok_or(BuildError::NoArch)?, lock))
}

/// `$XDG_CACHE_HOME/hoopy`, or `~/.cache/hoopy` (XDG Base Directory Specification).
fn cache() -> Option<PathBuf> {
    base("XDG_CACHE_HOME", ".cache")
}

/// `$XDG_STATE_HOME/hoopy`, or `~/.local/state/hoopy`.
fn state() -> Option<PathBuf> {
    base("XDG_STATE_HOME", ".local/state")
}

/// Where scripts run.
fn runner<'a>(
    system: &System,
    scripts: Scripts,
    store: &Store,
    temp: PathBuf,
    observer: &'a dyn Observer,
) -> Result<Chosen<'a>> {
    let (arch, _) = place(system)?;
    let helper = std::env::current_exe().context("cannot find hoopy's own program file")?;
    let place = match scripts {
        Scripts::Auto => Where::Auto,
        Scripts::Native => Where::Native,
        Scripts::Vm => Where::VirtualMachine,
    };
    let sandbox = SandboxConfig { helper, lowers: store.lowers() };
    let machine = MachineConfig { arch, network: system.network, places: places(), temp };
    Ok(Chosen::new(place, sandbox, machine, observer)?)
}

/// Where temporary directories are made.
fn temp() -> PathBuf {
    PathBuf::from(std::env::var_os("TMPDIR").unwrap_or_else(|| "/tmp".into()))
}

/// Where programs and firmware are: PATH, and what HOOPY_QEMU and HOOPY_FIRMWARE say.
fn places() -> hoopy_vm::Places {
    let path = std::env::var_os("PATH").unwrap_or_default();
    hoopy_vm::Places {
        qemu: std::env::var_os("HOOPY_QEMU").map(PathBuf::from),
        firmware: std::env::var_os("HOOPY_FIRMWARE").map(PathBuf::from),
        programs: Programs { path: std::env::split_paths(&path).collect() },
    }
}

/// How many processors a virtual machine has.
fn cpus(given: Option<u32>, arch: Arch) -> u32 {
    given.unwrap_or_else(|| hoopy_vm::usual_cpus(arch, &places(), &temp()))
}

/// How ssh is called: the one on PATH. Without a terminal it cannot ask for a password.
fn ssh() -> SshConfig {
    let batch = !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal();
    SshConfig { program: "ssh".into(), batch, temp: temp(), patience: None }
}

fn base(variable: &str, default: &str) -> Option<PathBuf> {
    let set = std::env::var_os(variable).map(PathBuf::from).filter(|p| p.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(default));
    set.or_else(home).map(|dir| dir.join("hoopy"))
}
