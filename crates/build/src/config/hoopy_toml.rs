//! `hoopy.toml` as the user writes it. Every key has a default; [`super::System`] is what it means.

use std::collections::BTreeMap;

use hoopy_base::arch::Arch;
use schemars::JsonSchema;
use serde::Deserialize;

use hoopy_boot::layout::Layout;
use hoopy_boot::secrets::Open;

/// `hoopy.toml`: what the files of a system directory cannot say.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct HoopyToml {
    /// The machine's name; images are called after it. Default: the directory's name.
    pub name: Option<String>,
    /// `x86_64` or `aarch64`. Default: what the lock says, else this machine's.
    #[schemars(with = "Option<schema::Arch>")]
    pub arch: Option<Arch>,
    /// The Alpine branch, as `3.23` or `edge`. Default: what the lock says; a first lock takes what the mirror calls
    /// `latest-stable`, by its number, or 3.23 from a mirror without it. `hoopy update --branch` moves to another one.
    pub branch: Option<String>,
    /// Where packages come from: an address or a directory that holds `vBRANCH/main/ARCH/`.
    pub mirror: Option<String>,
    /// Repositories: `main` and `community` mean those of the branch on the mirror; else an address or a
    /// directory, or that of an index (`.../packages.adb`, as OpenWrt's feeds have) with the packages beside it; `@tag`
    /// in front makes it one that only pinned packages come from.
    pub repositories: Option<Vec<String>>,
    /// A directory with public keys (PEM) to trust instead of Alpine's. Default: `keys/` where it is.
    pub keys: Option<String>,
    /// Kernel arguments. In front of them come `rdinit=/usr/libexec/hoopy/init` where no `rdinit=` is given, and, with
    /// a `layout` other than `"single"`, `panic=10` where no `panic=` is. The kernel takes 2,047 bytes in all.
    pub cmdline: Option<String>,
    /// The machine's memory, as `512M` or `4G`: an image that does not fit is refused, and `run` uses it too.
    pub memory: Option<String>,
    /// How segments are compressed: `zstd`, `zstd:19`, `gzip`, `xz`, `lz4` or `none`; or `best`: `zstd:19` over kernel
    /// modules that are unpacked first, which makes the smallest image and takes more of the machine's memory.
    pub compression: Option<String>,
    /// Whether package scripts and `setup.sh` may use the network. Default: no.
    pub network: bool,
    /// Modes (octal, as `"0600"`) of files and directories, of `root/` or of a package, by their path in the image.
    pub modes: BTreeMap<String, String>,
    /// Files that `.gitignore` names below `root/` and that an image may be built without, by their path in the image. All
    /// others must be there: a clone does not have them.
    pub optional: Vec<String>,
    /// A file of the image that gets the image's name as its only line, as `/etc/nas-release`: for scripts that read it there.
    /// `/etc/hoopy-release` says more, and is in every image.
    pub release_file: Option<String>,
    /// Programs built on this machine and copied into the image.
    pub programs: Vec<Program>,
    /// How images lie on the EFI system partition: `single`, one image with the last one beside it; `ab`,
    /// systemd-boot with images that are tried before they count as good; `pi`, the card of a Raspberry Pi, with two
    /// directories and images that are tried once; or `extlinux`, the same for a PC with a BIOS (syslinux, x86_64) and for a
    /// board with U-Boot (aarch64). Default: single.
    #[schemars(with = "schema::Layout")]
    pub layout: Layout,
    /// Seconds for which `ab` shows its images at each boot, to pick one by hand, on disks written from now on. Default: 0,
    /// which shows them only while a key is held.
    pub menu: Option<u16>,
    /// What `hoopy run` does.
    pub run: Run,
    /// Where `hoopy deploy` ships to.
    pub deploy: Deploy,
    /// What `hoopy drift` tells of.
    pub drift: Drift,
    /// Secure Boot: who signs, and whether it has to be.
    pub trust: Trust,
    /// How the machine opens what lies in `secrets/`.
    pub secrets: Secrets,
    /// The machine's page. Images without this table have none.
    pub monitor: Option<Monitor>,
    /// Where the directories that the file `state` lists are kept.
    pub state: State,
    /// Backups that the machine makes of them by itself.
    pub backup: Backup,
}

/// The machine's page: how it is, `/etc/monitor.d`, and alerts.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Monitor {
    /// Where it listens: `ADDRESS:PORT` or `INTERFACE:PORT` each, with `https://` or `http://` in front. Default:
    /// `127.0.0.1:8080`, which `hoopy open` reaches over ssh.
    pub listen: Option<Vec<String>>,
    /// Who may read it where it listens beyond the machine itself: whoever knows the `password`, has a `certificate`, or
    /// `anyone`.
    pub access: Option<Access>,
    /// Names by which browsers reach it, beside addresses, `localhost` and the machine's name at home: `nas.example.org`.
    pub names: Vec<String>,
    /// After how many days the newest package counts as old; 0 for never. Default: 60.
    pub update_days: Option<u32>,
}

/// Who may read the machine's page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Whoever reaches the address.
    Anyone,
    /// Whoever knows the password, whose hash is the secret `/etc/hoopy/page.password`.
    Password,
    /// Whoever has a certificate signed with one of `/etc/hoopy/page-readers.crt`.
    Certificate,
}

/// Where the directories that the file `state` lists are kept.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct State {
    /// Where `fstab` mounts the filesystem that keeps them: `/persist`. Default: the only one that can.
    pub on: Option<String>,
}

/// Backups that the machine makes by itself, when a script of yours calls `hoopyd backup`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Backup {
    /// The directory of the machine that they go to: `/tank/backups`.
    pub to: Option<String>,
    /// How many are kept. Default: 7.
    pub keep: Option<u32>,
}

/// Secure Boot. Its public keys are in `trust/`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Trust {
    /// A command that signs, and its arguments, instead of private keys in `secrets/trust/`: for a token, or a service. It
    /// gets the bytes to sign on standard input, and prints an RSASSA-PKCS1-v1_5 signature of their SHA-256. `{key}`
    /// stands for the key's name: `PK`, `KEK`, `db`, `db.next` or `pcr`.
    pub sign: Vec<String>,
    /// Whether `deploy`, `disk` and `flash` refuse an image that is not signed under `trust/db.crt`. Default: no.
    pub required: bool,
}

/// How the machine opens what lies in `secrets/`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Secrets {
    /// `disk`: at boot, with the machine's identity on one of its filesystems; `tpm`: the same, with the identity sealed in
    /// its TPM; `owner`: when the owner unlocks it;
    /// `build`: they lie in the image in the clear.
    #[schemars(with = "Option<schema::Open>")]
    pub open: Option<Open>,
    /// With `disk` and `tpm`: where `fstab` mounts the filesystem that keeps the identity. Default: the only one that can.
    pub on: Option<String>,
    /// Owners of secrets, as `"nginx:nginx"`, by their path in the image. Default: root.
    pub owners: BTreeMap<String, String>,
}

/// What `hoopy drift` tells of.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Drift {
    /// Paths that are meant to change on the machine, beside logs, leases and the like: `/var/lib/app`, with all that
    /// is below; `*` stands for any part of a name.
    pub ignore: Vec<String>,
}

/// A program of the user's own: a command that builds it and what to copy where.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Program {
    /// A shell command, run in the system directory (or `dir`) on this machine, as
    /// `cargo build --release --target x86_64-unknown-linux-musl`.
    pub run: String,
    /// Where to run it, relative to the system directory.
    #[serde(default)]
    pub dir: Option<String>,
    /// What to copy: a file relative to `dir`, and its path in the image. Copied files are executable.
    pub copy: BTreeMap<String, String>,
}

/// How `hoopy run` boots the image.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Run {
    /// Processors of the virtual machine. Default: 2, or 1 where they are emulated one after the other.
    pub cpus: Option<u32>,
    /// Network cards of the machine of `hoopy run` and `hoopy test`, up to 8: `eth0` and so on, each in a network of its own
    /// with an address by DHCP. Ports are forwarded to the first; the others reach nothing. Default: 1.
    pub nics: Option<u32>,
    /// Ports of the machine to forward to this one: `22` (to a free port) or `"8080:80"`. Default: 22 and 80.
    pub ports: Option<Vec<Port>>,
    /// Whether the machine of `hoopy run` and `hoopy test` reaches other computers; this one it never does. Default: no.
    pub network: bool,
    /// Blank disks of the machine of `hoopy run`, which keeps them, and `hoopy test`, whose are new each time: up to 16, beside
    /// those for the lines of `root/etc/fstab`.
    pub disks: Vec<Disk>,
}

/// A disk of the virtual machine, as `[[run.disks]]`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Disk {
    /// How large it is, as `2G`. It takes room on this computer only as the machine writes; made larger here, it grows, and
    /// it never shrinks.
    pub size: String,
    /// Its serial number, up to 20 letters, digits, `-` and `_`: the machine finds it as `/dev/disk/by-id/virtio-SERIAL`
    /// where udev or mdev makes such links, and in `/sys/block/*/serial`.
    pub serial: String,
}

/// Where `hoopy deploy` ships to.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Deploy {
    /// The machine, as ssh(1) knows it: `nas` or `root@10.0.0.2`. Default: given on the command line.
    pub host: Option<String>,
    /// Where the machine has its EFI system partition, if it is not to be looked for: `/media/usb`.
    pub esp: Option<String>,
}

/// A forwarded port.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Port {
    /// A port of the guest, forwarded to a free port of this machine.
    Guest(u16),
    /// `HOST:GUEST`.
    Pair(String),
}

/// What the JSON schema says of types whose crates know nothing of schemas.
mod schema {
    use schemars::JsonSchema;

    /// A machine architecture, under Alpine's name for it.
    #[derive(JsonSchema)]
    #[schemars(rename_all = "lowercase")]
    #[expect(dead_code, reason = "only its schema is of use")]
    pub enum Arch {
        /// 64-bit x86.
        #[schemars(rename = "x86_64")]
        X86_64,
        /// 64-bit ARM.
        Aarch64,
        /// 32-bit ARM: ARMv7. Kernel and initramfs, or a tar archive.
        Armv7,
        /// 32-bit ARM: ARMv6. Kernel and initramfs, or a tar archive.
        Armhf,
    }

    /// How the machine opens its secrets.
    #[derive(JsonSchema)]
    #[schemars(rename_all = "lowercase")]
    #[expect(dead_code, reason = "only its schema is of use")]
    pub enum Open {
        /// The owner does, when the image is built.
        Build,
        /// The machine does, at boot, with the identity on one of its filesystems.
        Disk,
        /// The machine does, at boot, with the identity that its TPM opens.
        Tpm,
        /// The machine does, when the owner unlocks it.
        Owner,
    }

    /// How images lie on the EFI system partition.
    #[derive(Default, serde::Serialize, JsonSchema)]
    #[schemars(rename_all = "lowercase")]
    #[expect(dead_code, reason = "only its schema is of use")]
    pub enum Layout {
        /// One image, started by the firmware itself; the last one stays beside it.
        #[default]
        Single,
        /// systemd-boot, and images that are tried a few times before they count as good.
        Ab,
        /// The card of a Raspberry Pi, with two directories and images that are tried once.
        Pi,
        /// The same for syslinux or U-Boot.
        Extlinux,
    }
}
