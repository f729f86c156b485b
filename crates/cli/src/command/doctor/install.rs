//! The command that installs a package on this computer: every distribution has its own, and its own names.

use hoopy_vm::VmError;

/// What installs packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manager {
    Apt,
    Dnf,
    Apk,
    Pacman,
}

/// What is known of the operating system.
#[derive(Debug)]
pub struct Distribution {
    /// What it calls itself: `Debian GNU/Linux 13 (trixie)`.
    pub name: String,
    manager: Option<Manager>,
    root: bool,
}

/// The names of a package: Debian's, Fedora's, Alpine's and Arch's. One that is empty has none there.
#[derive(Debug, Clone, Copy)]
pub struct PackageNames {
    pub apt: &'static str,
    pub dnf: &'static str,
    pub apk: &'static str,
    pub pacman: &'static str,
}

pub const GIT: PackageNames = PackageNames::everywhere("git");
const SWTPM: PackageNames = PackageNames::everywhere("swtpm");
pub const SSH: PackageNames = PackageNames {
    apt: "openssh-client",
    dnf: "openssh-clients",
    apk: "openssh-client-default",
    pacman: "openssh",
};
/// newuidmap and newgidmap.
pub const ID_MAPPING: PackageNames =
    PackageNames { apt: "uidmap", dnf: "shadow-utils", apk: "shadow-subids", pacman: "shadow" };
/// QEMU for single programs, registered with the flag F that the sandbox needs. Whether Alpine sets it was not tried, so
/// nothing is named there: scripts run in a virtual machine.
pub const FOREIGN_PROGRAMS: PackageNames = PackageNames {
    apt: "qemu-user-static binfmt-support",
    dnf: "qemu-user-static",
    apk: "",
    pacman: "qemu-user-static qemu-user-static-binfmt",
};

impl PackageNames {
    const fn everywhere(name: &'static str) -> Self {
        Self { apt: name, dnf: name, apk: name, pacman: name }
    }

    /// What a virtual machine lacks, as the error names it.
    fn lacking(error: &VmError) -> Option<Self> {
        match *error {
            VmError::NoQemu { binary, debian, arch } => {
                Some(Self { apt: debian, dnf: binary, apk: binary, pacman: arch })
            }
            VmError::NoFirmware { debian, fedora, arch, alpine, .. } => {
                Some(Self { apt: debian, dnf: fedora, apk: alpine, pacman: arch })
            }
            VmError::NoSwtpm => Some(SWTPM),
            _ => None,
        }
    }
}

impl Distribution {
    /// From what os-release(5) says, and whether the user is root.
    pub fn new(os_release: &str, root: bool) -> Self {
        let value = |key: &str| {
            let line = os_release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.map(|value| value.trim().trim_matches(['"', '\''])).unwrap_or_default()
        };
        let mut ids = std::iter::once(value("ID")).chain(value("ID_LIKE").split_whitespace());
        let manager = ids.find_map(|id| match id {
            "debian" | "ubuntu" => Some(Manager::Apt),
            "fedora" | "rhel" | "centos" => Some(Manager::Dnf),
            "alpine" => Some(Manager::Apk),
            "arch" => Some(Manager::Pacman),
            _ => None,
        });
        let name = Some(value("PRETTY_NAME")).filter(|name| !name.is_empty()).unwrap_or("Linux");
        Self { name: name.to_owned(), manager, root }
    }

    /// The command that installs it; none where the distribution is not known, or does not have it.
    pub fn install(&self, package: PackageNames) -> Option<String> {
        let (command, name) = match self.manager? {
            Manager::Apt => ("apt install", package.apt),
            Manager::Dnf => ("dnf install", package.dnf),
            Manager::Apk => ("apk add", package.apk),
            Manager::Pacman => ("pacman -S", package.pacman),
        };
        (!name.is_empty()).then(|| self.as_root(&format!("{command} {name}")))
    }

    /// The command for what a virtual machine lacks.
    pub fn install_for(&self, error: &VmError) -> Option<String> {
        self.install(PackageNames::lacking(error)?)
    }

    /// The command with root's rights, which Alpine gives by doas.
    pub fn as_root(&self, command: &str) -> String {
        match self.manager {
            _ if self.root => command.to_owned(),
            Some(Manager::Apk) => format!("doas {command}"),
            _ => format!("sudo {command}"),
        }
    }

    /// The command that puts the user into a group.
    pub fn join_group(&self, group: &str) -> String {
        match self.manager {
            Some(Manager::Apk) => self.as_root(&format!("addgroup $USER {group}")),
            _ => self.as_root(&format!("usermod -aG {group} $USER")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh(os_release: &str, root: bool) -> Option<String> {
        Distribution::new(os_release, root).install(SSH)
    }

    #[test]
    fn names_the_package_as_the_distribution_does() {
        assert_eq!(ssh("ID=debian\n", true).as_deref(), Some("apt install openssh-client"));
        assert_eq!(ssh("ID=fedora\n", false).as_deref(), Some("sudo dnf install openssh-clients"));
        assert_eq!(ssh("ID=alpine\n", false).as_deref(), Some("doas apk add openssh-client-default"));
        assert_eq!(ssh("ID=arch\n", false).as_deref(), Some("sudo pacman -S openssh"));
    }

    #[test]
    fn a_derived_distribution_is_known_by_what_it_is_like() {
        assert!(
            ssh("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", true).unwrap_or_default().starts_with("apt")
        );
        assert!(
            ssh("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", true)
                .unwrap_or_default()
                .starts_with("dnf")
        );
    }

    #[test]
    fn an_unknown_distribution_gets_no_command() {
        assert_eq!(ssh("ID=nixos\n", true), None);
        assert_eq!(ssh("", true), None);
        assert_eq!(Distribution::new("ID=alpine", true).install(FOREIGN_PROGRAMS), None);
    }

    #[test]
    fn it_has_the_name_that_it_gives_itself() {
        assert_eq!(
            Distribution::new("PRETTY_NAME=\"Alpine Linux v3.23\"\nID=alpine\n", true).name,
            "Alpine Linux v3.23"
        );
        assert_eq!(Distribution::new("", true).name, "Linux");
    }
}
