//! Where scripts of packages can run: tested, not guessed.

use hoopy_base::arch::Arch;
use hoopy_base::programs::Programs;
use hoopy_sandbox::{Limits, Restriction, Sandbox, SandboxConfig, SandboxError, binfmt};

use super::check::{Check, Subject};
use super::install::{self, Distribution};
use crate::args::Global;

/// Whether a sandbox starts here, with all the ids that it needs.
pub fn user_namespaces(global: &Global, here: &Distribution) -> Check {
    let subject = Subject::UserNamespaces;
    match start(global) {
        Ok(ids) => {
            Check::ok(subject, format!("scripts of packages have the ids 0 to 65535, which are {ids} here"))
        }
        Err(error) => {
            let (why, fix) = explain(&error, here);
            Check::missing(subject, why, fix)
        }
    }
}

/// Starts one; its ids as they are outside. It is in the store where there is one, since the filesystem must be able to do
/// what it needs.
fn start(global: &Global) -> Result<String, SandboxError> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |source| SandboxError::Io { what, source }
    };
    let helper = std::env::current_exe().map_err(failed("find hoopy's own program file"))?;
    let temporary = tempfile::tempdir_in(super::super::temp()).map_err(failed("make a directory"))?;
    let store = super::super::store(global).map(|store| store.lowers());
    let lowers = store.unwrap_or_else(|_| temporary.path().to_owned());
    let sandbox = Sandbox::new(SandboxConfig { helper, lowers, limits: Limits::default() })?;
    sandbox.session()?;
    Ok(sandbox.ids())
}

/// Why there is none, shorter than the error, and the command that changes it.
fn explain(error: &SandboxError, here: &Distribution) -> (String, Option<String>) {
    match error {
        SandboxError::NoSubordinateIds { user, file, found, wanted } => {
            let ids = "usermod --add-subuids 100000-165535 --add-subgids 100000-165535";
            // Root has them all, unless a container gives it few: no command changes that from inside
            let fix = file.starts_with("/etc/").then(|| here.as_root(&format!("{ids} {user}")));
            (format!("{user} has {found} ids in {file}: expected {wanted}"), fix)
        }
        SandboxError::NoMapTool { tool } => {
            (format!("{tool} is not installed"), here.install(install::ID_MAPPING))
        }
        SandboxError::Restricted(restriction) => forbidden(*restriction, here),
        other => (other.to_string(), None),
    }
}

fn forbidden(restriction: Restriction, here: &Distribution) -> (String, Option<String>) {
    let sysctl = |setting: &str| Some(here.as_root(&format!("sysctl {setting}")));
    match restriction {
        Restriction::DebianSysctl => {
            ("this kernel allows them to root only".to_owned(), sysctl("kernel.unprivileged_userns_clone=1"))
        }
        Restriction::Limit(limit) => (
            format!("no more of them may be made (user.max_user_namespaces={limit})"),
            sysctl("user.max_user_namespaces=10000"),
        ),
        Restriction::AppArmor => (
            "AppArmor takes all rights from those of programs without a profile".to_owned(),
            sysctl("kernel.apparmor_restrict_unprivileged_userns=0"),
        ),
        Restriction::Seccomp => {
            ("this container's seccomp filter forbids them, or what is needed in them".to_owned(), None)
        }
        Restriction::NotBuilt => ("this kernel has none (CONFIG_USER_NS)".to_owned(), None),
        Restriction::Unknown => {
            ("a security module or the settings of a container forbid them".to_owned(), None)
        }
        Restriction::NoFilter(arch) => (format!("system calls cannot be filtered on {arch}"), None),
    }
}

/// Whether programs of the other architectures run here.
pub fn foreign_programs(programs: &Programs, here: &Distribution) -> Vec<Check> {
    let foreign = Arch::ALL.into_iter().filter(|arch| Arch::host() != Some(*arch));
    foreign.map(|arch| foreign_program(arch, programs, here)).collect()
}

fn foreign_program(arch: Arch, programs: &Programs, here: &Distribution) -> Check {
    let subject = Subject::ForeignPrograms(arch);
    if binfmt::registered(arch.as_str()) {
        return Check::ok(subject, format!("programs of {arch} run here"));
    }
    let emulator = format!("qemu-{}-static", arch.qemu_user());
    if programs.find(&emulator).is_none() {
        let follows = if arch.has_uki() { "run in a virtual machine" } else { "cannot run" };
        let why = format!("{emulator} is not registered: scripts of {arch} {follows}");
        return Check::missing(subject, why, here.install(install::FOREIGN_PROGRAMS));
    }
    let command = match programs.find("update-binfmts") {
        Some(_) => format!("update-binfmts --enable qemu-{}", arch.qemu_user()),
        None => "systemctl restart systemd-binfmt".to_owned(),
    };
    let why = format!("{emulator} is installed, and not registered with flag F");
    Check::missing(subject, why, Some(here.as_root(&command)))
}
