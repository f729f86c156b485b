//! The results of the checks of this computer.

use hoopy_base::arch::Arch;
use serde::Serialize;

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    UserNamespaces,
    ForeignPrograms(Arch),
    Qemu(Arch),
    Firmware(Arch),
    Kvm,
    Tpm,
    Git,
    Ssh,
    Mirror,
    Store,
}

impl Subject {
    /// What it is called on the screen and in the JSON.
    fn name(self) -> String {
        match self {
            Self::UserNamespaces => "user namespaces".to_owned(),
            Self::ForeignPrograms(arch) => format!("binfmt {arch}"),
            Self::Qemu(arch) => format!("QEMU {arch}"),
            Self::Firmware(arch) => format!("firmware {arch}"),
            Self::Kvm => "KVM".to_owned(),
            Self::Tpm => "swtpm".to_owned(),
            Self::Git => "git".to_owned(),
            Self::Ssh => "ssh".to_owned(),
            Self::Mirror => "mirror".to_owned(),
            Self::Store => "store".to_owned(),
        }
    }
}

/// A line of the screen.
#[derive(Debug, Serialize)]
pub struct Check {
    #[serde(skip)]
    pub subject: Subject,
    pub name: String,
    pub ok: bool,
    /// What was found, or what is wrong and what follows from it.
    pub detail: String,
    /// The command that brings what is missing, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Check {
    pub fn ok(subject: Subject, detail: impl Into<String>) -> Self {
        Self { subject, name: subject.name(), ok: true, detail: detail.into(), fix: None }
    }

    pub fn missing(subject: Subject, detail: impl Into<String>, fix: Option<String>) -> Self {
        Self { subject, name: subject.name(), ok: false, detail: detail.into(), fix }
    }
}

/// Where the scripts of packages run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ScriptPlace {
    Sandbox,
    Vm,
}

/// All of it, and what follows for one architecture.
#[derive(Debug, Serialize)]
pub struct Diagnosis {
    /// The operating system's own name for itself.
    pub system: String,
    /// The architecture that the conclusions are about.
    pub arch: Arch,
    pub can_build: bool,
    pub can_run: bool,
    pub scripts: Option<ScriptPlace>,
    pub checks: Vec<Check>,
}

impl Diagnosis {
    pub fn new(system: String, arch: Arch, checks: Vec<Check>) -> Self {
        let is_ok = |subject| checks.iter().any(|check| check.subject == subject && check.ok);
        let native = is_ok(Subject::UserNamespaces)
            && (Arch::host() == Some(arch) || is_ok(Subject::ForeignPrograms(arch)));
        // The machine that runs scripts boots without firmware
        let machine = is_ok(Subject::Qemu(arch)).then_some(ScriptPlace::Vm);
        let scripts = if native { Some(ScriptPlace::Sandbox) } else { machine };
        let can_build = scripts.is_some() && is_ok(Subject::Mirror) && is_ok(Subject::Store);
        let can_run = machine.is_some() && is_ok(Subject::Firmware(arch));
        Self { system, arch, can_build, can_run, scripts, checks }
    }

    /// Whether this was checked and found.
    pub fn has(&self, subject: Subject) -> bool {
        self.checks.iter().any(|check| check.subject == subject && check.ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARCH: Arch = Arch::X86_64;

    fn report(found: &[Subject]) -> Diagnosis {
        let checks = found.iter().map(|subject| Check::ok(*subject, "")).collect();
        Diagnosis::new(String::new(), ARCH, checks)
    }

    #[test]
    fn a_build_needs_a_mirror_a_store_and_a_place_for_scripts() {
        use Subject::{Mirror, Qemu, Store};
        let complete = report(&[Mirror, Store, Qemu(ARCH)]);
        assert!(complete.can_build && complete.scripts == Some(ScriptPlace::Vm));
        for lacking in [&[Store, Qemu(ARCH)], &[Mirror, Qemu(ARCH)], &[Mirror, Store]] {
            assert!(!report(lacking).can_build, "{lacking:?}");
        }
        assert!(!report(&[Mirror, Store, Qemu(Arch::Aarch64)]).can_build);
    }

    #[test]
    fn an_image_of_another_architecture_needs_qemu_or_binfmt() {
        let host = Arch::host().unwrap_or(ARCH);
        let other = if host == ARCH { Arch::Aarch64 } else { ARCH };
        let scripts = |found: &[Subject]| {
            let checks = found.iter().map(|subject| Check::ok(*subject, "")).collect();
            Diagnosis::new(String::new(), other, checks).scripts
        };
        let (namespaces, programs) = (Subject::UserNamespaces, Subject::ForeignPrograms(other));
        assert_eq!(scripts(&[namespaces]), None);
        assert_eq!(scripts(&[namespaces, programs]), Some(ScriptPlace::Sandbox));
        assert_eq!(scripts(&[namespaces, Subject::Qemu(other)]), Some(ScriptPlace::Vm));
    }

    #[test]
    fn a_machine_boots_with_firmware_only() {
        assert!(!report(&[Subject::Qemu(ARCH)]).can_run);
        assert!(report(&[Subject::Qemu(ARCH), Subject::Firmware(ARCH)]).can_run);
    }
}
