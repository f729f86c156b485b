//! How a failure is told: what went wrong, what to do about it, and the exit code.

use std::process::ExitCode;

use hoopy_build::config::ConfigError;
use hoopy_build::locking::{MakeError, Older};
use hoopy_build::query::QueryError;
use hoopy_build::road::BuildError;
use hoopy_build::runner::virtual_machine::MachineError;
use hoopy_build::stack::StackError;
use hoopy_build::target::TargetError;
use hoopy_inspect::diff::DiffError;
use hoopy_lock::LockError;
use hoopy_sandbox::SandboxError;
use hoopy_ship::deploy::DeployError;
use hoopy_store::layer::files::FilesError;
use hoopy_store::layer::package::ImportError;
use hoopy_testing::TrialError;
use hoopy_vm::VmError;

/// The exit code where the system directory is wrong.
pub const WRONG_DIRECTORY: u8 = 3;

/// Prints the error with its hint; gives the exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error}");
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !error.to_string().contains(&cause) {
            eprintln!("  because: {cause}");
        }
    }
    if let Some(hint) = hint(error) {
        eprintln!("hint: {hint}");
    }
    ExitCode::from(code(error))
}

/// The table that `hoopy --help` prints.
fn code(error: &anyhow::Error) -> u8 {
    if error.is::<ConfigError>() || error.is::<LockError>() || of_tests(error) {
        return WRONG_DIRECTORY;
    }
    if let Some(DiffError::Lock(_)) = error.downcast_ref::<DiffError>() {
        return WRONG_DIRECTORY;
    }
    if let Some(error) = error.downcast_ref::<DeployError>() {
        return of_deploy(error);
    }
    if error.is::<Older>() {
        return NOT_FETCHED;
    }
    told(error).map_or(FAILED, |told| told.0)
}

/// Whether it is `tests/` that is wrong.
fn of_tests(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(TrialError::Scripts(_)))
}

fn hint(error: &anyhow::Error) -> Option<&'static str> {
    if error.is::<Older>() {
        return Some(DOWNGRADE);
    }
    match error.downcast_ref::<VmError>() {
        Some(error) => error.hint(),
        None => of_trial(error).or_else(|| told(error)?.1),
    }
}

fn of_trial(error: &anyhow::Error) -> Option<&'static str> {
    if let Some(TrialError::Vm(error)) = error.downcast_ref() { error.hint() } else { None }
}

const DOWNGRADE: &str = "a mirror that gives old indexes withholds repairs: try another one with --mirror; where it is \
                         right, as after a package was taken back, run `hoopy update --allow-downgrade`";

fn told(error: &anyhow::Error) -> Option<(u8, Option<&'static str>)> {
    if let Some(error) = error.downcast_ref::<TargetError>() {
        return Some(of_target(error));
    }
    let of_query = || error.downcast_ref::<QueryError>().map(of_query);
    error.downcast_ref::<BuildError>().map(kind).or_else(of_query)
}

/// The exit code of `hoopy diff --exit-code`, of `drift`, and of `build --check`, where something differs.
pub const DIFFERS: u8 = 8;

/// The exit code where nothing else says more.
pub const FAILED: u8 = 1;
/// The exit code of `hoopy test` where a test fails.
pub const TEST_FAILED: u8 = 6;
const SCRIPT_FAILED: u8 = 4;
const NOT_FETCHED: u8 = 5;
const FELL_BACK: u8 = 9;
const NOT_BACK: u8 = 10;

/// Exit code and hint. No `_` here: whoever adds an error is to think of both.
fn kind(error: &BuildError) -> (u8, Option<&'static str>) {
    match error {
        BuildError::NoLock(_) | BuildError::NoRepository(_) => (WRONG_DIRECTORY, None),
        BuildError::NoStubLocked | BuildError::Lock(_) => (WRONG_DIRECTORY, None),
        BuildError::Mismatch { .. } => {
            (WRONG_DIRECTORY, Some("run `hoopy update` to see and write what changes"))
        }
        BuildError::Inconsistent(_) => (WRONG_DIRECTORY, Some("run `hoopy update` to lock a whole set anew")),
        BuildError::Make(error) => of_lock(error),
        BuildError::Fetch(_) => (NOT_FETCHED, Some(MIRROR)),
        BuildError::Import(ImportError::Modules { .. }) => (
            FAILED,
            Some("without --best, or `compression = \"best\"`, modules stay as the package has them"),
        ),
        BuildError::Import(_) => (FAILED, Some("build again: the package is fetched anew")),
        BuildError::Program(_) => (SCRIPT_FAILED, None),
        BuildError::Stack(StackError::Sandbox(error)) => (SCRIPT_FAILED, of_script(error)),
        BuildError::Stack(StackError::Conflict(_)) => {
            (FAILED, Some("leave one of them out of `packages`: apk would refuse them too"))
        }
        BuildError::Stack(StackError::Store(_) | StackError::Files(FilesError::Store(_))) => (FAILED, STORE),
        BuildError::Stack(_) | BuildError::Image(_) | BuildError::Path(_) => (FAILED, None),
        BuildError::Store(_) => (FAILED, STORE),
    }
}

fn of_target(error: &TargetError) -> (u8, Option<&'static str>) {
    let hint = match error {
        TargetError::WrongArch { .. } => Some(
            "run `hoopy update` to lock its packages anew; --arch builds for another architecture beside it",
        ),
        TargetError::NoArch | TargetError::Lock(_) => None,
    };
    (WRONG_DIRECTORY, hint)
}

/// The messages say themselves what to do: what that is depends on the machine.
fn of_deploy(error: &DeployError) -> u8 {
    match error {
        DeployError::FellBack { .. } | DeployError::Unwell { .. } => FELL_BACK,
        DeployError::NotBack { .. } => NOT_BACK,
        DeployError::Ssh(_)
        | DeployError::Image { .. }
        | DeployError::Manifest { .. }
        | DeployError::NotAnImage { .. }
        | DeployError::Answer { .. }
        | DeployError::Lacks { .. }
        | DeployError::NotRoot { .. }
        | DeployError::NotHoopy { .. }
        | DeployError::OtherSystem { .. }
        | DeployError::OtherArch { .. }
        | DeployError::NoEsp { .. }
        | DeployError::WhichEsp { .. }
        | DeployError::Mount { .. }
        | DeployError::ReadOnly { .. }
        | DeployError::Full { .. }
        | DeployError::Write { .. }
        | DeployError::Busy(_)
        | DeployError::Gone { .. }
        | DeployError::Short(_)
        | DeployError::Digest { .. }
        | DeployError::OtherLayout { .. }
        | DeployError::Booted(_)
        | DeployError::NoKexec { .. }
        | DeployError::NotLoaded { .. }
        | DeployError::SameName { .. }
        | DeployError::Older { .. }
        | DeployError::NothingBefore { .. } => FAILED,
    }
}

fn of_query(error: &QueryError) -> (u8, Option<&'static str>) {
    match error {
        QueryError::Make(error) => of_lock(error),
        QueryError::Keys(_) => (NOT_FETCHED, None),
        QueryError::Gone { .. } => (
            NOT_FETCHED,
            Some(
                "run `hoopy update` to lock what there is now, or say --mirror nas/vendor for what was kept",
            ),
        ),
        QueryError::NotLocked { held: Some(_), .. } => {
            (FAILED, Some("`hoopy info` tells about packages that are not locked"))
        }
        QueryError::NotLocked { .. } | QueryError::NotThere { .. } => {
            (FAILED, Some("`hoopy search` looks for parts of names, and in descriptions"))
        }
    }
}

const STORE: Option<&str> = Some("--store takes another directory");
const MIRROR: &str = "is the mirror reachable? --mirror takes another one, an address or a directory";

fn of_lock(error: &MakeError) -> (u8, Option<&'static str>) {
    match error {
        MakeError::Fetch(_) => (NOT_FETCHED, Some(MIRROR)),
        MakeError::Index { .. } => (
            NOT_FETCHED,
            Some(
                "for a mirror signed by another key, put its public key into keys/ or name a directory with --keys",
            ),
        ),
        MakeError::Unsatisfiable(_) | MakeError::Universe(_) => (WRONG_DIRECTORY, None),
        MakeError::NoStub(_) | MakeError::NoLoader(_) => (WRONG_DIRECTORY, None),
        MakeError::Store(_) => (FAILED, STORE),
    }
}

fn of_script(error: &SandboxError) -> Option<&'static str> {
    match error {
        SandboxError::CannotExecute { .. } => Some(
            "for another architecture than this machine's, qemu-user must be registered with binfmt_misc \
             (Debian: apt install qemu-user-static binfmt-support), or say --scripts vm",
        ),
        SandboxError::Machine(error) => error.downcast_ref::<MachineError>().and_then(MachineError::hint),
        _ => None,
    }
}
