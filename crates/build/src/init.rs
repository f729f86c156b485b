//! `hoopy init`: a system to start from, with a comment beside everything that is likely to be changed.
//!
//! The files of the minimal one are in `init/`, as they come out but for the words between `@`; those of the others in
//! `examples/` (`template`).
//!
//! Root gets a random password for the console, of which only the hash is written. Where the owner gives a public key, the
//! machine runs an SSH server that takes that key and no password.

mod hardware;
mod made;
mod password;
mod template;

use std::io;
use std::path::{Path, PathBuf};

use hoopy_base::arch::Arch;

pub use hardware::Hardware;

/// Stands for the serial port.
const CONSOLE: &str = "@CONSOLE@";

/// Stands for the machine's name.
const NAME: &str = "@NAME@";

/// Stands for the hash of root's password.
const HASH: &str = "@HASH@";

/// Stands before lines that count where there is a key to log in with, and are comments elsewhere.
const SSH: &str = "@SSH@";

/// What a directory without a usable name makes of a machine's.
const DEFAULT_NAME: &str = "hoopy";

/// Longest label of a host name (RFC 1035, 2.3.4).
const MAX_LABEL: usize = 63;

/// The template without a directory of its own in `examples/`.
const MINIMAL: &str = "minimal";

/// Each file, its mode and its text.
const FILES: [(&str, u32, &str); 9] = [
    (".gitignore", 0o644, include_str!("init/gitignore")),
    ("hoopy.toml", 0o644, include_str!("init/hoopy.toml")),
    ("packages", 0o644, include_str!("init/packages")),
    ("root/etc/hostname", 0o644, include_str!("init/hostname")),
    ("root/etc/inittab", 0o644, include_str!("init/inittab")),
    ("root/etc/modules", 0o644, include_str!("init/modules")),
    ("root/etc/network/interfaces", 0o644, include_str!("init/interfaces")),
    ("setup.sh", 0o755, include_str!("init/setup.sh")),
    ("tests/10-hostname.sh", 0o644, include_str!("init/hostname-test")),
];

/// The same of the files that are there where the owner has a key; `KEY` is the key.
const SSH_FILES: [(&str, u32, &str); 2] = [
    ("root/etc/conf.d/dropbear", 0o644, include_str!("init/dropbear")),
    ("root/root/.ssh/authorized_keys", 0o644, KEY),
];

/// Stands for the owner's public keys.
const KEY: &str = "@KEY@\n";

/// A system that was written.
#[derive(Debug)]
pub struct Written {
    /// Its files, in order.
    pub files: Vec<PathBuf>,
    /// The password of root, which is written nowhere.
    pub password: String,
}

/// A system that was not written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// There is a system, or part of one.
    #[error("{} already exists", .0.display())]
    Exists(PathBuf),
    /// There is no such template.
    #[error("no template is called {0:?}: expected one of {names}", names = templates().join(", "))]
    NoTemplate(String),
    /// The hardware has another one.
    #[error("wrong architecture: expected {expected}, which that hardware is, found {found}")]
    OtherArch {
        /// That of the hardware.
        expected: Arch,
        /// As asked for.
        found: Arch,
    },
    /// The template is for machines with UEFI firmware.
    #[error(
        "the template {template} is of machines that start unified kernel images: expected x86_64 or aarch64, found {found}"
    )]
    NoUki {
        /// The template.
        template: String,
        /// As asked for.
        found: Arch,
    },
    /// What was given as a public key is none.
    #[error("the key: expected lines like `ssh-ed25519 AAAA... name`, found {0}")]
    NotAKey(&'static str),
    /// No password could be made.
    #[error("cannot make a password: {0}")]
    Password(String),
    /// A file could not be written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What a system is to be like.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its architecture.
    pub arch: Arch,
    /// One of [`templates`].
    pub template: &'a str,
    /// What it runs on.
    pub hardware: Hardware,
    /// Public keys (the text of an `id_*.pub`), whose owners can log in over the network.
    pub keys: Option<&'a str>,
}

/// A file that is to be written: its path, mode and text.
type File = (String, u32, String);

/// What is put into the files.
struct Writing<'a> {
    arch: Arch,
    name: &'a str,
    hash: &'a str,
    keys: Option<&'a str>,
}

/// The names of all templates.
#[must_use]
pub fn templates() -> Vec<&'static str> {
    std::iter::once(MINIMAL).chain(template::ALL.iter().map(|template| template.name)).collect()
}

/// Writes a system into `dir`, which may be there.
///
/// # Errors
/// [`InitError::Exists`] where the directory has any of the files; whatever the error, nothing half-written is left.
pub fn init(dir: &Path, wanted: &Wanted<'_>) -> Result<Written, InitError> {
    if let Some(expected) = wanted.hardware.arch().filter(|expected| *expected != wanted.arch) {
        return Err(InitError::OtherArch { expected, found: wanted.arch });
    }
    if !wanted.arch.has_uki() && wanted.template != MINIMAL {
        return Err(InitError::NoUki { template: wanted.template.to_owned(), found: wanted.arch });
    }
    let keys = wanted.keys.map(public_keys).transpose()?;
    let (password, hash) = password::new().map_err(InitError::Password)?;
    let name = name(dir);
    let writing = Writing { arch: wanted.arch, name: &name, hash: &hash, keys: keys.as_deref() };
    let mut files: Vec<File> = match template::ALL.iter().find(|template| template.name == wanted.template) {
        Some(template) => {
            let ignored = (".gitignore".to_owned(), 0o644, include_str!("init/gitignore").to_owned());
            std::iter::once(ignored).chain(template.files(&writing)).collect()
        }
        None if wanted.template == MINIMAL => minimal(&writing),
        None => return Err(InitError::NoTemplate(wanted.template.to_owned())),
    };
    wanted.hardware.adapt(wanted.arch, &mut files);
    // The commands that come next take no --arch
    for (_, _, text) in files.iter_mut().filter(|(path, ..)| path == "hoopy.toml") {
        if Arch::host() != Some(wanted.arch) {
            *text = template::with_arch(text, wanted.arch);
        }
    }
    made::write(dir, &files)?;
    Ok(Written { files: files.iter().map(|(path, ..)| dir.join(path)).collect(), password })
}

fn minimal(writing: &Writing<'_>) -> Vec<File> {
    let ssh = if writing.keys.is_some() { &SSH_FILES[..] } else { &[] };
    let file = |(path, mode, text): &(&str, u32, &str)| {
        let text = match writing.keys {
            Some(keys) => text.replace(SSH, "").replace(KEY, keys),
            None => text.replace(SSH, "# "),
        };
        let text = text.replace(CONSOLE, writing.arch.console());
        ((*path).to_owned(), *mode, text.replace(NAME, writing.name).replace(HASH, writing.hash))
    };
    FILES.iter().chain(ssh).map(file).collect()
}

/// The lines of an OpenSSH public key file (sshd(8), AUTHORIZED_KEYS). Above all no private key, which begins like a letter.
fn public_keys(text: &str) -> Result<String, InitError> {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    if text.contains("PRIVATE KEY") {
        return Err(InitError::NotAKey("a private key: give the file that ends in .pub"));
    }
    let is_key = |line: &str| {
        let mut words = line.split_whitespace();
        let kind = words.next().unwrap_or_default();
        let known = ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"].iter().any(|start| kind.starts_with(start));
        known && words.next().is_some_and(|key| key.starts_with("AAAA"))
    };
    match lines().count() {
        0 => Err(InitError::NotAKey("nothing")),
        _ if !lines().all(is_key) => Err(InitError::NotAKey("another text")),
        _ => Ok(lines().fold(String::new(), |keys, line| keys + line + "\n")),
    }
}

/// A host name like the directory's: letters, digits and `-` (RFC 952).
fn name(dir: &Path) -> String {
    let whole = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let own = whole.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let fits = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = own.chars().map(fits).take(MAX_LABEL).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { DEFAULT_NAME.to_owned() } else { name.to_owned() }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use super::*;
    use crate::check;
    use crate::config::{Overrides, System};
    use crate::target::Target;

    fn init(dir: &Path, arch: Arch, keys: Option<&str>) -> Result<Written, InitError> {
        super::init(dir, &Wanted { arch, keys, template: MINIMAL, hardware: Hardware::Vm })
    }

    fn kinds() -> impl Iterator<Item = Wanted<'static>> {
        let keys = [None, Some("ssh-ed25519 AAAAC3Nz me@here\n")];
        let hardware = [Hardware::Vm, Hardware::Metal, Hardware::Pi];
        let all = templates().into_iter().flat_map(move |template| {
            Arch::ALL.into_iter().flat_map(move |arch| {
                keys.into_iter()
                    .flat_map(move |keys| hardware.map(|hardware| Wanted { arch, template, hardware, keys }))
            })
        });
        all.filter(|wanted| wanted.hardware.arch().is_none_or(|arch| arch == wanted.arch))
            .filter(|wanted| wanted.arch.has_uki() || wanted.template == MINIMAL)
    }

    #[test]
    fn what_it_writes_is_clean_of_each_template_on_each_architecture() {
        for wanted in kinds() {
            let home = tempfile::tempdir().unwrap();
            let dir = home.path().join("My Machine!");
            let files = super::init(&dir, &wanted).unwrap().files;
            assert!(files.iter().all(|f| f.is_file()), "{files:?}");
            assert_eq!(fs::read_to_string(dir.join("root/etc/hostname")).unwrap(), "my-machine\n");
            let system = System::load(&dir, &Overrides::default()).unwrap();
            let findings = check::system(&Target::resolve(system, Some(wanted.arch)).unwrap()).unwrap();
            assert!(findings.is_empty(), "{wanted:?}: {findings:?}");
            let packages = fs::read_to_string(dir.join("packages")).unwrap();
            let kernel = |name: &str| packages.lines().any(|line| line == name);
            let kernels = ["linux-virt", "linux-lts", "linux-rpi"].map(kernel);
            let expected = match (wanted.arch, wanted.hardware) {
                (Arch::Armhf, _) | (_, Hardware::Pi) => [false, false, true],
                (Arch::Armv7, _) | (_, Hardware::Metal) => [false, true, false],
                (_, Hardware::Vm) => [true, false, false],
            };
            assert_eq!(kernels, expected, "{packages}");
        }
    }

    #[test]
    fn what_is_written_for_a_raspberry_pi_speaks_of_no_pc() {
        for template in templates() {
            let home = tempfile::tempdir().unwrap();
            let wanted = Wanted { arch: Arch::Aarch64, template, hardware: Hardware::Pi, keys: None };
            for file in super::init(&home.path().join("pi"), &wanted).unwrap().files {
                // One program for each kernel that `packages` may have.
                if file.ends_with("zfs/choose") {
                    continue;
                }
                let text = fs::read_to_string(&file).unwrap();
                for word in ["systemd-boot", "BOOTX64", "linux-virt", "linux-lts", "/dev/sdX", "ttyS0"] {
                    assert!(!text.contains(word), "{}: {word}", file.display());
                }
            }
        }
    }

    #[test]
    fn a_template_for_firmware_that_32_bit_arm_lacks_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let wanted = Wanted { arch: Arch::Armv7, template: "nas", hardware: Hardware::Metal, keys: None };
        let error = super::init(home.path(), &wanted).unwrap_err().to_string();
        assert!(error.ends_with("expected x86_64 or aarch64, found armv7"), "{error}");
    }

    #[test]
    fn a_template_has_the_machines_name_the_owners_key_and_a_password() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("attic");
        let keys = Some("ssh-ed25519 AAAAC3Nz me\n");
        let wanted = Wanted { arch: Arch::Aarch64, template: "nas", hardware: Hardware::Vm, keys };
        let written = super::init(&dir, &wanted).unwrap();
        let read = |file: &str| fs::read_to_string(dir.join(file)).unwrap();
        assert!(read("hoopy.toml").contains("\nname = \"attic\"\n"), "{}", read("hoopy.toml"));
        assert!(
            read("hoopy.toml").contains("host = \"root@attic\"") && read("hoopy.toml").contains("ttyAMA0")
        );
        assert!(read("root/etc/inittab").contains("ttyAMA0"));
        assert!(read("root/etc/ssh/authorized_keys/root").ends_with("\nssh-ed25519 AAAAC3Nz me\n"));
        assert!(read("setup.sh").contains("\necho 'root:$6$"));
        assert!(!read("README.md").contains("../../"));
        assert!(!all_text(&written.files).contains(&written.password));
        let mode = dir.join("root/usr/local/sbin/nas-array").metadata().unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o755);
    }

    #[test]
    fn a_raspberry_pi_gets_its_layout_its_architecture_and_a_login_on_its_serial_port() {
        for template in templates() {
            let home = tempfile::tempdir().unwrap();
            let dir = home.path().join("attic");
            let wanted = Wanted { arch: Arch::Aarch64, template, hardware: Hardware::Pi, keys: None };
            super::init(&dir, &wanted).unwrap();
            let read = |file: &str| fs::read_to_string(dir.join(file)).unwrap();
            let toml = read("hoopy.toml");
            let once = |line: &str| toml.lines().filter(|found| *found == line).count() == 1;
            assert!(once("layout = \"pi\"") && once("arch = \"aarch64\""), "{toml}");
            assert!(once("cmdline = \"console=tty1 console=serial0,115200\""), "{toml}");
            assert!(!toml.contains("systemd-boot"), "{toml}");
            assert!(read("root/etc/inittab").contains("\n::respawn:/sbin/getty -L 115200 console vt100\n"));
            assert!(!read("root/etc/inittab").contains("ttyAMA0"));
        }
        let home = tempfile::tempdir().unwrap();
        let wanted = Wanted { arch: Arch::X86_64, template: MINIMAL, hardware: Hardware::Pi, keys: None };
        let error = super::init(home.path(), &wanted).unwrap_err().to_string();
        assert!(error.contains("expected aarch64") && error.contains("found x86_64"), "{error}");
    }

    #[test]
    fn an_unknown_template_is_told_with_those_there_are() {
        let home = tempfile::tempdir().unwrap();
        let wanted = Wanted { arch: Arch::X86_64, template: "moon", hardware: Hardware::Vm, keys: None };
        let error = super::init(home.path(), &wanted).unwrap_err().to_string();
        assert!(error.contains("moon") && error.contains("minimal, homelab, nas"), "{error}");
    }

    #[test]
    fn a_directory_with_any_of_the_files_is_left_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("setup.sh"), "mine").unwrap();
        let error = init(home.path(), Arch::X86_64, None).unwrap_err();
        assert!(error.to_string().contains("setup.sh"), "{error}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(home.path().join("setup.sh")).unwrap(), "mine");
    }

    #[test]
    fn a_failure_half_way_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        // `root` is no directory, and the files of `root/` come after others.
        fs::write(home.path().join("root"), "").unwrap();
        init(home.path(), Arch::X86_64, None).unwrap_err();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    fn all_text(files: &[PathBuf]) -> String {
        files.iter().map(|file| fs::read_to_string(file).unwrap()).collect()
    }

    #[test]
    fn the_password_is_another_one_each_time_and_written_nowhere() {
        let home = tempfile::tempdir().unwrap();
        let one = init(&home.path().join("a"), Arch::X86_64, None).unwrap();
        let two = init(&home.path().join("b"), Arch::X86_64, None).unwrap();
        assert_ne!(one.password, two.password);
        let text = all_text(&one.files);
        assert!(!text.contains(&one.password) && !text.contains("@HASH@"), "{text}");
        assert!(text.contains("echo 'root:$6$"), "{text}");
    }

    #[test]
    fn with_a_key_the_machine_takes_that_key_and_no_password() {
        let home = tempfile::tempdir().unwrap();
        let written = init(home.path(), Arch::X86_64, Some("# mine\nssh-ed25519 AAAAC3Nz me\n")).unwrap();
        let read = |file: &str| fs::read_to_string(home.path().join(file)).unwrap();
        assert_eq!(read("root/root/.ssh/authorized_keys"), "ssh-ed25519 AAAAC3Nz me\n");
        assert!(read("root/etc/conf.d/dropbear").contains("\nDROPBEAR_OPTS=\"-s\"\n"));
        assert!(read("packages").contains("\ndropbear\n"));
        assert!(read("setup.sh").contains("\nrc-update -q add dropbear default\n"));
        assert!(read("hoopy.toml").contains("\n[modes]\n\"root\" = \"0700\"\n"));
        assert!(!all_text(&written.files).contains(&written.password));
    }

    #[test]
    fn a_private_key_is_refused() {
        let home = tempfile::tempdir().unwrap();
        for text in ["-----BEGIN OPENSSH PRIVATE KEY-----\nx\n", "", "hello\n", "ssh-ed25519\n"] {
            let error = init(home.path(), Arch::X86_64, Some(text)).unwrap_err();
            assert!(matches!(error, InitError::NotAKey(_)), "{text:?}: {error}");
        }
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
