//! One file a command; each calls one thing of the library.

mod build;
mod check;
mod deploy;
mod diff;
mod disk;
mod drift;
mod flash;
mod gc;
mod info;
mod init;
mod inspect;
mod lock;
mod pull;
mod remote;
mod reproduce;
mod rollback;
mod run;
mod search;
mod status;
mod store;
mod test;
mod tree;
mod vendor;
mod watch;
mod why;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
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
use crate::log;

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let recording = log::begin(&args)?;
    let global = args.global;
    match args.command {
        Command::Init(own) => init::run(&global, &own),
        Command::Check(own) => check::run(&global, &own),
        Command::Build(own) => build::run(&global, &own, recording.as_ref()),
        Command::Run(own) => run::run(&global, &own),
        Command::Deploy(own) => deploy::run(&global, &own),
        Command::Status(own) => status::run(&global, &own),
        Command::Rollback(own) => rollback::run(&global, &own),
        Command::Test(own) => test::run(&global, &own),
        Command::Disk(own) => disk::run(&global, &own),
        Command::Flash(own) => flash::run(&global, &own),
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
        Command::Schema => {
            println!("{}", serde_json::to_string_pretty(&hoopy_build::config::schema())?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Args::command(), "hoopy", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Man => {
            clap_mangen::Man::new(Args::command()).render(&mut std::io::stdout())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn system(dir: &Path, global: &Global, more: Overrides) -> anyhow::Result<System> {
    let over = Overrides { mirror: global.mirror.clone(), keys: global.keys.clone(), ..more };
    Ok(System::load(dir, &over)?)
}

/// What the command works on. Nothing later decides again which architecture or lock is meant.
fn target(dir: &Path, global: &Global, more: Overrides) -> anyhow::Result<Target> {
    Ok(Target::resolve(system(dir, global, more)?, global.arch)?)
}

/// What a command works with.
struct Resources {
    store: Arc<Store>,
    client: Client,
    jobs: Jobs,
}

impl Resources {
    fn open(global: &Global) -> anyhow::Result<Self> {
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

fn store(global: &Global) -> anyhow::Result<Store> {
    let dir = store_dir(global)?;
    Store::open(&dir).context("the store could not be opened; --store takes another directory")
}

fn store_dir(global: &Global) -> anyhow::Result<PathBuf> {
    global.store.clone().or_else(cache).context("no place for the store: set HOME or use --store")
}

/// The sandbox that unpacked layers in the store at `dir` are of; none on a machine that cannot have one.
fn sandbox(dir: &Path) -> Option<Sandbox> {
    let helper = std::env::current_exe().ok()?;
    let lowers = dir.join("lower");
    let config = SandboxConfig { helper, lowers, limits: Limits::default() };
    if config.lowers.is_dir() { Sandbox::new(config).ok() } else { None }
}

/// What the repositories have, and the lock where there is one.
struct Shop {
    shelves: Vec<Shelf>,
    lock: Option<Lock>,
}

fn shop(target: &Target, context: hoopy_build::context::Context<'_>) -> anyhow::Result<Shop> {
    Ok(Shop { shelves: query::shelves(target, context)?, lock: target.lock.content.clone() })
}

/// The image that was given, or the newest that was built.
fn image(target: &Target, given: Option<&Path>) -> anyhow::Result<PathBuf> {
    let images = target.system.path("images");
    let newest = || hoopy_build::image::latest(&images, &target.image_name);
    given.map(Path::to_owned).or_else(newest).with_context(|| {
        format!("{}: no image of {} there: run `hoopy build` first", images.display(), target.system.name)
    })
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
fn runner(
    global: &Global,
    target: &Target,
    wanted: Scripts,
    store: &Store,
    temp: PathBuf,
) -> anyhow::Result<ScriptRunner> {
    let helper = std::env::current_exe().context("find hoopy's own program file")?;
    let wanted = match wanted {
        Scripts::Auto => ScriptLocation::Auto,
        Scripts::Native => ScriptLocation::Native,
        Scripts::Vm => ScriptLocation::VirtualMachine,
    };
    let sandbox = SandboxConfig { helper, lowers: store.lowers(), limits: Limits::default() };
    let (network, acceleration) = (target.system.network, acceleration(global));
    let machine = MachineConfig { arch: target.arch, network, acceleration, places: places(), temp };
    Ok(ScriptRunner::new(wanted, sandbox, machine)?)
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

/// How ssh is called: the one on PATH. Without a terminal nobody can be asked.
fn ssh() -> SshConfig {
    let batch = !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal();
    SshConfig { program: "ssh".into(), batch, temp: temp(), limits: SshLimits::default() }
}

fn base(variable: &str, default: &str) -> Option<PathBuf> {
    let set = std::env::var_os(variable).map(PathBuf::from).filter(|p| p.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(default));
    set.or_else(home).map(|dir| dir.join("hoopy"))
}
