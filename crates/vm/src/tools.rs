//! Where QEMU and UEFI firmware are on the systems that people have.

use std::fs;
use std::path::{Path, PathBuf};

use hoopy_base::arch::Arch;
use hoopy_base::programs::Programs;

use super::error::VmError;

/// Firmware in two flash chips, code and variables.
const X86_64_FLASH: &[(&str, &str)] = &[
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"), // Debian, Ubuntu
    ("/usr/share/edk2/ovmf/OVMF_CODE_4M.qcow2", "/usr/share/edk2/ovmf/OVMF_VARS_4M.qcow2"), // Fedora
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"), // Fedora, older
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"), // Arch
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),       // Debian, older; Alpine
    ("/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"), // openSUSE
    ("/usr/share/edk2-ovmf/OVMF_CODE.fd", "/usr/share/edk2-ovmf/OVMF_VARS.fd"), // Gentoo
];
const AARCH64_FLASH: &[(&str, &str)] = &[
    ("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"), // Debian, Ubuntu
    ("/usr/share/edk2/aarch64/QEMU_EFI-pflash.raw", "/usr/share/edk2/aarch64/vars-template-pflash.raw"), // Fedora
    ("/usr/share/edk2/aarch64/QEMU_CODE.fd", "/usr/share/edk2/aarch64/QEMU_VARS.fd"), // Arch
    ("/usr/share/qemu/aavmf-aarch64-code.bin", "/usr/share/qemu/aavmf-aarch64-vars.bin"), // openSUSE
];

/// What QEMU itself brings along, below its `share/qemu`: Homebrew, NixOS, builds from source.
const X86_64_OWN: (&str, &str) = ("edk2-x86_64-code.fd", "edk2-i386-vars.fd");
const AARCH64_OWN: (&str, &str) = ("edk2-aarch64-code.fd", "edk2-arm-vars.fd");

/// Firmware in one piece, without variables.
const X86_64_WHOLE: &[&str] =
    &["/usr/share/ovmf/OVMF.fd", "/usr/share/OVMF/OVMF.fd", "/usr/share/ovmf/bios.bin"];
const AARCH64_WHOLE: &[&str] = &[
    "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd", // Debian, Ubuntu
    "/usr/share/AAVMF/QEMU_EFI.fd",            // Alpine
    "/usr/share/edk2/aarch64/QEMU_EFI.fd",     // Fedora, Arch
];

/// Where tools are.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// QEMU, where the user says so.
    pub qemu: Option<PathBuf>,
    /// Firmware, where the user says so: code, with the variables in a file beside it whose name has `VARS`
    /// for `CODE` (or `vars` for `code`); or, where there is none such, all in one.
    pub firmware: Option<PathBuf>,
    /// Where other programs are.
    pub programs: Programs,
    /// The device of KVM, instead of `/dev/kvm`.
    pub kvm: Option<PathBuf>,
}

/// UEFI firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Firmware {
    /// Two flash chips.
    Flash {
        /// Read only.
        code: PathBuf,
        /// To be copied before use.
        variables: PathBuf,
    },
    /// In one piece: variables are forgotten when the machine ends.
    Whole(PathBuf),
}

impl Places {
    /// QEMU for machines of this architecture.
    ///
    /// # Errors
    /// [`VmError::NoQemu`], [`VmError::NotThere`].
    pub fn qemu(&self, arch: Arch) -> Result<PathBuf, VmError> {
        if let Some(path) = &self.qemu {
            return named("QEMU", path);
        }
        if !arch.has_uki() {
            return Err(VmError::NoMachines(arch));
        }
        let (debian, package) = match arch {
            Arch::X86_64 => ("qemu-system-x86", "qemu-system-x86"),
            Arch::Aarch64 | Arch::Armv7 | Arch::Armhf => ("qemu-system-arm", "qemu-system-aarch64"),
        };
        let binary = arch.qemu_binary();
        self.programs.find(binary).ok_or(VmError::NoQemu { binary, debian, arch: package })
    }

    /// Firmware for machines of this architecture. `qemu` may have brought its own.
    ///
    /// # Errors
    /// [`VmError::NoFirmware`], [`VmError::NotThere`].
    pub fn firmware(&self, arch: Arch, qemu: &Path) -> Result<Firmware, VmError> {
        if let Some(path) = &self.firmware {
            return named("firmware", path).map(beside);
        }
        let (flash, own, whole) = match arch {
            Arch::X86_64 => (X86_64_FLASH, X86_64_OWN, X86_64_WHOLE),
            Arch::Aarch64 => (AARCH64_FLASH, AARCH64_OWN, AARCH64_WHOLE),
            Arch::Armv7 | Arch::Armhf => return Err(VmError::NoMachines(arch)),
        };
        let known = flash.iter().map(|(code, variables)| (PathBuf::from(code), PathBuf::from(variables)));
        let own = qemu_share(qemu).map(|share| (share.join(own.0), share.join(own.1)));
        let pair = known.chain(own).find(|(code, variables)| code.is_file() && variables.is_file());
        if let Some((code, variables)) = pair {
            return Ok(Firmware::Flash { code, variables });
        }
        let whole = whole.iter().map(PathBuf::from).find(|path| path.is_file());
        whole.map(Firmware::Whole).ok_or(no_firmware(arch))
    }
}

fn no_firmware(machine: Arch) -> VmError {
    let [debian, fedora, arch, alpine] = match machine {
        Arch::X86_64 => ["ovmf", "edk2-ovmf", "edk2-ovmf", "ovmf"],
        Arch::Aarch64 | Arch::Armv7 | Arch::Armhf => {
            ["qemu-efi-aarch64", "edk2-aarch64", "edk2-aarch64", "aavmf"]
        }
    };
    VmError::NoFirmware { machine: machine.as_str(), debian, fedora, arch, alpine }
}

/// `share/qemu` of the prefix that QEMU is installed in.
fn qemu_share(qemu: &Path) -> Option<PathBuf> {
    Some(fs::canonicalize(qemu).ok()?.parent()?.parent()?.join("share/qemu"))
}

fn named(what: &'static str, path: &Path) -> Result<PathBuf, VmError> {
    if path.is_file() { Ok(path.to_owned()) } else { Err(VmError::NotThere { what, path: path.to_owned() }) }
}

fn beside(code: PathBuf) -> Firmware {
    let name = code.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let variables = name.replace("CODE", "VARS").replace("code", "vars");
    let variables = code.with_file_name(&variables);
    if variables != code && variables.is_file() {
        Firmware::Flash { code, variables }
    } else {
        Firmware::Whole(code)
    }
}

impl Firmware {
    /// The same with the variables in `dir`, where they stay: copied when they are wanted first.
    ///
    /// # Errors
    /// [`VmError::Io`]; [`VmError::NoVariables`] where the firmware cannot keep any.
    pub fn with_kept_variables(self, dir: &Path) -> Result<Self, VmError> {
        let Self::Flash { code, variables } = self else { return Err(VmError::NoVariables) };
        fs::create_dir_all(dir).map_err(VmError::io("make a directory", dir))?;
        let kept = dir.join("variables").with_extension(variables.extension().unwrap_or_default());
        if !kept.exists() {
            let bytes = fs::read(&variables).map_err(VmError::io("read", &variables))?;
            hoopy_base::atomic::replace_file(&kept, &bytes, hoopy_base::atomic::Readers::Owner)
                .map_err(VmError::io("write", &kept))?;
        }
        Ok(Self::Flash { code, variables: kept })
    }

    /// The same with the variables copied into `dir`, where the machine may write them.
    ///
    /// # Errors
    /// [`VmError::Io`].
    pub fn with_private_variables(self, dir: &Path) -> Result<Self, VmError> {
        let Self::Flash { code, variables } = self else { return Ok(self) };
        let bytes = fs::read(&variables).map_err(VmError::io("read", &variables))?;
        let own = dir.join("variables").with_extension(variables.extension().unwrap_or_default());
        fs::write(&own, bytes).map_err(VmError::io("write", &own))?;
        Ok(Self::Flash { code, variables: own })
    }
}

/// How QEMU is to read a firmware file.
pub fn format_of(path: &Path) -> &'static str {
    if path.extension().is_some_and(|e| e == "qcow2") { "qcow2" } else { "raw" }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn takes_the_firmware_that_was_named_and_the_variables_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let code = dir.path().join("MY_CODE.fd");
        fs::write(&code, "c").unwrap();
        let places = Places { firmware: Some(code.clone()), ..Places::default() };
        let qemu = Path::new("/usr/bin/qemu");
        assert_eq!(places.firmware(Arch::X86_64, qemu).unwrap(), Firmware::Whole(code.clone()));
        fs::write(dir.path().join("MY_VARS.fd"), "v").unwrap();
        let pair = places.firmware(Arch::X86_64, qemu).unwrap();
        let inner = dir.path().join("machine");
        fs::create_dir(&inner).unwrap();
        let Firmware::Flash { variables, .. } = pair.with_private_variables(&inner).unwrap() else {
            panic!()
        };
        assert_eq!(fs::read(&variables).unwrap(), b"v");
        assert!(variables.starts_with(&inner));
    }

    #[test]
    fn finds_firmware_that_qemu_brought_along() {
        let dir = tempfile::tempdir().unwrap();
        let share = dir.path().join("share/qemu");
        fs::create_dir_all(&share).unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        let qemu = dir.path().join("bin/qemu-system-x86_64");
        fs::write(&qemu, "").unwrap();
        assert_eq!(qemu_share(&qemu).unwrap(), fs::canonicalize(share).unwrap());
    }

    #[test]
    fn says_what_to_install() {
        let places = Places { qemu: Some("/no/qemu".into()), ..Places::default() };
        let error = places.qemu(Arch::X86_64).unwrap_err().to_string();
        assert_eq!(error, "QEMU was set to /no/qemu, which is not a file");
        let error = no_firmware(Arch::Aarch64).to_string();
        assert!(error.contains("apt install qemu-efi-aarch64"), "{error}");
    }
}
