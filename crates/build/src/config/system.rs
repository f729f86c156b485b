//! What a system directory and the command line mean together: the one conversion from as-written.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use hoopy_base::arch::Arch;
use hoopy_base::digest::{Hasher, RecipeId};
use hoopy_base::input::{Kind, read_text};
use hoopy_cpio::codec::Codec;
use hoopy_store::layer::EntryPath;
use hoopy_store::layer::files::Copied;

use super::hoopy_toml::{HoopyToml, Port, Secrets};
use hoopy_base::size;
use hoopy_boot::layout::Layout;
use hoopy_boot::release::FILE as RELEASE;
use hoopy_boot::secrets::Open;

use super::{ConfigError, World};

/// The branch built from where `hoopy.toml` names none.
pub const DEFAULT_BRANCH: &str = "3.23";

/// Alpine's own mirror network.
pub const DEFAULT_MIRROR: &str = "https://dl-cdn.alpinelinux.org/alpine";

/// What `compression` says for the smallest image, whatever it costs to make and in memory.
pub const BEST: &str = "best";

/// The codec of the smallest image. Higher levels of zstd want more memory at boot than kernels give.
const SMALLEST: Codec = Codec::Zstd { level: 19 };

/// Memory of the machine where `hoopy.toml` does not say: the smallest that new hardware has.
const DEFAULT_MEMORY: u64 = 1 << 30;

/// Most network cards of a virtual machine: each takes one of the 32 places on its PCI bus.
const MAX_NICS: u32 = 8;

/// What the command line says over `hoopy.toml`.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--mirror`
    pub mirror: Option<String>,
    /// `--keys`
    pub keys: Option<PathBuf>,
    /// `--compression`
    pub compression: Option<String>,
    /// `--memory`
    pub memory: Option<String>,
}

/// A repository to resolve from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// What the lock calls it: `main`, `community`, or as written.
    pub name: String,
    /// The tag of packages that may come from it; none means every package.
    pub tag: Option<String>,
    /// An address or a directory, with `ARCH/APKINDEX.tar.gz` below it; or that of an index.
    pub location: String,
}

/// What the name of an index ends in that a repository names itself, as OpenWrt's feeds do: their packages lie beside it.
const INDEX: &str = ".adb";

impl Repository {
    /// `main` of the default branch, on this mirror or Alpine's: what a system uses that says nothing of repositories.
    pub fn default_main(mirror: Option<&str>) -> Self {
        let mirror = mirror.unwrap_or(DEFAULT_MIRROR).trim_end_matches('/');
        let mirror = without_scheme(mirror);
        let location = format!("{mirror}/{}/main", release_dir(DEFAULT_BRANCH));
        Self { name: "main".to_owned(), tag: None, location }
    }

    /// Where its index is, if it says: it is in a directory for each architecture otherwise.
    pub fn own_index(&self) -> Option<&str> {
        Some(&*self.location).filter(|location| location.ends_with(INDEX))
    }

    /// Where its package file `file` is.
    pub fn package_place(&self, arch: Arch, file: &str) -> String {
        match self.own_index() {
            Some(index) => index.rsplit_once('/').map_or(file.to_owned(), |(dir, _)| format!("{dir}/{file}")),
            None => format!("{}/{arch}/{file}", self.location),
        }
    }
}

/// The words that apk knows before an address (apk-repositories(5)). What kind of index there is, is seen there.
const KINDS: [&str; 3] = ["ndx ", "v2 ", "v3 "];

/// A program to build and copy.
#[derive(Debug, Clone)]
pub struct Program {
    /// The shell command.
    pub run: String,
    /// Where it runs.
    pub dir: PathBuf,
    /// What is copied.
    pub copy: Vec<Copied>,
}

/// A port forwarded by `hoopy run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// The port of this machine; 0 is a free one.
    pub host: u16,
    /// The port of the guest.
    pub guest: u16,
}

/// How the machine opens its secrets.
#[derive(Debug, Clone, Default)]
pub struct SecretSettings {
    /// By whom and when, where that is said.
    pub open: Option<Open>,
    /// The mount point of the filesystem that keeps the identity, where it is said, without a slash at its end.
    pub on: Option<String>,
    /// Owners of secrets, as `user:group`.
    pub owners: BTreeMap<EntryPath, String>,
}

/// A system directory, understood.
#[derive(Debug, Clone)]
pub struct System {
    /// The directory.
    pub dir: PathBuf,
    /// The machine's name.
    pub name: String,
    /// The architecture that `hoopy.toml` names, if it does.
    pub arch: Option<Arch>,
    /// The Alpine branch.
    pub branch: String,
    /// The mirror: an address or a directory, with a directory for each branch below it.
    pub mirror: String,
    /// Where packages come from, in order of preference.
    pub repositories: Vec<Repository>,
    /// A directory of public keys to trust instead of Alpine's.
    pub keys: Option<PathBuf>,
    /// Kernel arguments as written, if any were.
    pub cmdline: Option<String>,
    /// The machine's memory in bytes.
    pub memory: u64,
    /// How segments are compressed.
    pub codec: Codec,
    /// Whether kernel modules are unpacked, so that they are compressed once and well.
    pub unpacked_modules: bool,
    /// Whether scripts may use the network.
    pub network: bool,
    /// Modes of files of `root/`.
    pub modes: BTreeMap<EntryPath, u32>,
    /// What `.gitignore` names below `root/` and the image may lack.
    pub optional: Vec<EntryPath>,
    /// A file that gets the image's name, beside `/etc/hoopy-release`.
    pub release_file: Option<EntryPath>,
    /// Programs to build.
    pub programs: Vec<Program>,
    /// Processors of the virtual machine, where that is said.
    pub cpus: Option<u32>,
    /// How many network cards the virtual machine has.
    pub nics: u32,
    /// Ports that `hoopy run` forwards.
    pub forwards: Vec<Forward>,
    /// Whether the virtual machine reaches other computers.
    pub run_network: bool,
    /// How images lie on the EFI system partition.
    pub layout: Layout,
    /// Seconds for which systemd-boot shows a menu; 0 where it shows none.
    pub menu: u16,
    /// The machine that `hoopy deploy` ships to, as ssh(1) knows it.
    pub host: Option<String>,
    /// Where that machine has its EFI system partition, if it is not to be looked for.
    pub esp: Option<String>,
    /// Paths that are meant to change on the machine.
    pub drift_ignore: Vec<String>,
    /// The command that signs; none where private keys do.
    pub sign_command: Vec<String>,
    /// Whether machines get no image that is not signed.
    pub signature_required: bool,
    /// How the machine opens its secrets.
    pub secrets: SecretSettings,
    /// What `packages` asks for.
    pub world: World,
}

impl System {
    /// Reads the system directory `dir`.
    ///
    /// # Errors
    /// [`ConfigError`] with file, line and what was expected.
    pub fn load(dir: &Path, over: &Overrides) -> Result<Self, ConfigError> {
        let packages = dir.join("packages");
        if !packages.exists() {
            return Err(ConfigError::NotASystem(dir.to_owned()));
        }
        let world = World::parse(&packages, &read(&packages)?)?;
        let file = dir.join("hoopy.toml");
        let text = if file.exists() { read(&file)? } else { String::new() };
        let written = parse(&file, &text)?;
        Conversion { dir, file: &file, over }.of(written, world)
    }

    /// What stands for all that an image can depend on.
    pub fn fingerprint(&self) -> RecipeId {
        // Without `..`: a new field does not compile before somebody has decided whether it belongs here.
        let Self {
            dir,
            name,
            arch,
            branch,
            mirror,
            repositories,
            keys,
            cmdline,
            memory,
            codec,
            unpacked_modules,
            network,
            modes,
            optional,
            release_file,
            programs,
            layout,
            world,
            secrets,
            // It is on the disk, beside the images.
            menu: _,
            // What concerns virtual machines and machines elsewhere is in no image.
            cpus: _,
            nics: _,
            forwards: _,
            run_network: _,
            host: _,
            esp: _,
            drift_ignore: _,
            // Who signs is in an image's own description.
            sign_command: _,
            signature_required: _,
        } = self;
        let fields: &[&dyn fmt::Debug] = &[
            dir,
            name,
            arch,
            branch,
            mirror,
            repositories,
            keys,
            cmdline,
            memory,
            codec,
            unpacked_modules,
            network,
            modes,
            optional,
            release_file,
            programs,
            layout,
            world,
            secrets,
        ];
        let mut hasher = Hasher::new("hoopy system directory 1");
        for field in fields {
            hasher.field(format!("{field:?}").as_bytes());
        }
        RecipeId::from_bytes(hasher.finish())
    }

    /// A file of the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// A text without the byte order mark that editors of Windows put in front.
fn read(path: &Path) -> Result<String, ConfigError> {
    let read = |source| ConfigError::Read { path: path.to_owned(), source };
    let text = read_text(path, Kind::Text).map_err(read)?;
    Ok(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned))
}

fn parse(file: &Path, text: &str) -> Result<HoopyToml, ConfigError> {
    toml::from_str(text).map_err(|e| {
        let start = e.span().map_or(0, |s| s.start).min(text.len());
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        ConfigError::Toml {
            path: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.len() - line_start + 1,
            message: e.to_string().trim_end().to_owned(),
        }
    })
}

/// The conversion, with what its messages need.
struct Conversion<'a> {
    dir: &'a Path,
    file: &'a Path,
    over: &'a Overrides,
}

impl Conversion<'_> {
    fn of(&self, w: HoopyToml, world: World) -> Result<System, ConfigError> {
        let branch = w.branch.unwrap_or_else(|| DEFAULT_BRANCH.to_owned());
        let mirror = self.over.mirror.clone().or(w.mirror).unwrap_or_else(|| DEFAULT_MIRROR.to_owned());
        let repositories =
            w.repositories.unwrap_or_else(|| ["main", "community"].map(str::to_owned).to_vec());
        let memory = self.over.memory.clone().or(w.memory);
        let codec = self.over.compression.clone().or(w.compression);
        Ok(System {
            name: self.name(w.name)?,
            arch: w.arch,
            repositories: repositories.iter().map(|r| self.repository(r, &mirror, &branch)).collect(),
            mirror: self.local(&mirror),
            keys: self.keys(w.keys),
            cmdline: w.cmdline,
            memory: match memory {
                Some(text) => size::parse(&text).map_err(|e| self.value("memory", e))?,
                None => DEFAULT_MEMORY,
            },
            unpacked_modules: codec.as_deref() == Some(BEST),
            codec: match codec {
                Some(text) if text == BEST => SMALLEST,
                Some(text) => text.parse().map_err(|e| self.value("compression", e))?,
                None => Codec::default(),
            },
            network: w.network,
            modes: self.modes(w.modes)?,
            optional: self.optional(&w.optional)?,
            release_file: w.release_file.map(|file| self.release_file(&file)).transpose()?,
            programs: w.programs.into_iter().map(|p| self.program(p)).collect::<Result<_, _>>()?,
            cpus: w.run.cpus,
            nics: self.nics(w.run.nics)?,
            run_network: w.run.network,
            forwards: self.forwards(w.run.ports)?,
            layout: w.layout,
            menu: self.menu(w.menu, w.layout)?,
            host: w.deploy.host.map(|h| self.host(h)).transpose()?,
            esp: w.deploy.esp.map(|e| self.esp(e)).transpose()?,
            drift_ignore: w.drift.ignore,
            sign_command: w.trust.sign,
            signature_required: w.trust.required,
            secrets: self.secrets(w.secrets)?,
            dir: self.dir.to_owned(),
            branch,
            world,
        })
    }

    fn value(&self, key: &str, message: impl ToString) -> ConfigError {
        ConfigError::Value { path: self.file.to_owned(), key: key.to_owned(), message: message.to_string() }
    }

    /// Images, releases and FAT file names are made of it, so it is held to what all of them take.
    fn name(&self, written: Option<String>) -> Result<String, ConfigError> {
        let own = || {
            let dir = self.dir.canonicalize().ok()?;
            Some(dir.file_name()?.to_string_lossy().into_owned())
        };
        let name = written.or_else(own).unwrap_or_else(|| "hoopy".to_owned());
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) || name.starts_with(['.', '-']) {
            let message = format!(
                "{name:?} cannot name an image: use up to 64 letters, digits, `-`, `_` and `.`; the directory's \
                 name is taken where `name` is absent"
            );
            return Err(self.value("name", message));
        }
        Ok(name)
    }

    /// Firmware that starts the image itself shows no menu of hoopy's.
    fn menu(&self, written: Option<u16>, layout: Layout) -> Result<u16, ConfigError> {
        match (written, layout) {
            (Some(seconds @ 1..), Layout::Single) => {
                let message = format!(
                    "{seconds} seconds with `layout = \"single\"`: expected `layout = \"ab\"`, which has a menu"
                );
                Err(self.value("menu", message))
            }
            (written, _) => Ok(written.unwrap_or(0)),
        }
    }

    fn nics(&self, written: Option<u32>) -> Result<u32, ConfigError> {
        let nics = written.unwrap_or(1);
        if (1..=MAX_NICS).contains(&nics) {
            return Ok(nics);
        }
        let message = format!("a machine with {nics} network cards: expected 1 to {MAX_NICS}");
        Err(self.value("run.nics", message))
    }

    /// ssh(1) takes a leading dash for an option.
    fn host(&self, written: String) -> Result<String, ConfigError> {
        let bad = written.is_empty() || written.starts_with('-') || written.contains(char::is_whitespace);
        let message = || {
            format!(
                "{written:?} is not the name of a machine: expected what ssh takes, as nas or root@10.0.0.2"
            )
        };
        if bad { Err(self.value("deploy.host", message())) } else { Ok(written) }
    }

    fn esp(&self, written: String) -> Result<String, ConfigError> {
        let good = written.starts_with('/') && !written.contains(char::is_control);
        let message = || {
            format!("{written:?} is not an absolute path: expected a directory of the machine, as /media/usb")
        };
        if good { Ok(written) } else { Err(self.value("deploy.esp", message())) }
    }

    fn repository(&self, written: &str, mirror: &str, branch: &str) -> Repository {
        let (tag, place) = match written.strip_prefix('@').and_then(|r| r.split_once(char::is_whitespace)) {
            Some((tag, place)) => (Some(tag.to_owned()), place.trim()),
            None => (None, written.trim()),
        };
        let place = KINDS.iter().find_map(|kind| place.strip_prefix(kind)).unwrap_or(place).trim();
        let location = match place.split_once('/') {
            _ if place.ends_with(INDEX) => self.local(place),
            None => format!("{}/{}/{place}", self.local(mirror), release_dir(branch)),
            Some((b, repo)) if !repo.contains('/') && (b == "edge" || b.starts_with('v')) => {
                format!("{}/{b}/{repo}", self.local(mirror))
            }
            Some(_) => self.local(place),
        };
        Repository { name: place.to_owned(), tag, location }
    }

    /// An address as it is; a path relative to the system directory, without `file:`.
    fn local(&self, place: &str) -> String {
        let place = place.trim_end_matches('/');
        if place.starts_with("http://") || place.starts_with("https://") {
            return place.to_owned();
        }
        let path = without_scheme(place);
        let base = if self.over.mirror.as_deref() == Some(place) { Path::new("") } else { self.dir };
        base.join(path).to_string_lossy().into_owned()
    }

    fn keys(&self, written: Option<String>) -> Option<PathBuf> {
        let own = self.dir.join("keys");
        let written = written.map(|k| self.dir.join(k));
        self.over.keys.clone().or(written).or_else(|| own.is_dir().then_some(own))
    }

    fn modes(&self, written: BTreeMap<String, String>) -> Result<BTreeMap<EntryPath, u32>, ConfigError> {
        let mode = |path: &String, text: &String| {
            let key = format!("modes.{path:?}");
            let mode = u32::from_str_radix(text.trim_start_matches("0o"), 8).ok().filter(|&m| m <= 0o7777);
            let mode = mode.ok_or_else(|| {
                self.value(&key, format!("{text:?} is not a mode: write octal digits as \"0600\""))
            });
            Ok((EntryPath::new(path).map_err(|e| self.value(&key, e))?, mode?))
        };
        written.iter().map(|(path, text)| mode(path, text)).collect()
    }

    fn secrets(&self, written: Secrets) -> Result<SecretSettings, ConfigError> {
        let Secrets { open, on, owners } = written;
        if let Some(on) = on.as_ref().filter(|on| !on.starts_with('/')) {
            let message = format!("{on:?} is not a mount point: expected an absolute path such as /persist");
            return Err(self.value("secrets.on", message));
        }
        let owner = |(path, owner): (String, String)| {
            let key = format!("secrets.owners.{path:?}");
            Ok::<_, ConfigError>((EntryPath::new(&path).map_err(|e| self.value(&key, e))?, owner))
        };
        let on = on.map(|on| on.trim_end_matches('/').to_owned());
        Ok(SecretSettings { open, on, owners: owners.into_iter().map(owner).collect::<Result<_, _>>()? })
    }

    fn optional(&self, written: &[String]) -> Result<Vec<EntryPath>, ConfigError> {
        let path = |text: &String| {
            let inside = text.strip_prefix("root/").unwrap_or(text);
            EntryPath::new(inside).map_err(|e| self.value("optional", e))
        };
        written.iter().map(path).collect()
    }

    fn release_file(&self, written: &str) -> Result<EntryPath, ConfigError> {
        let path = EntryPath::new(written).map_err(|e| self.value("release-file", e))?;
        if path.as_bytes() == RELEASE.as_bytes() {
            let message =
                format!("{written:?} is hoopy's own: expected another file, such as /etc/nas-release");
            return Err(self.value("release-file", message));
        }
        let own = self.dir.join("root").join(path.as_path());
        if std::fs::symlink_metadata(&own).is_ok() {
            let message = format!("{} is there already: remove it, or name another file", own.display());
            return Err(self.value("release-file", message));
        }
        Ok(path)
    }

    fn program(&self, written: super::hoopy_toml::Program) -> Result<Program, ConfigError> {
        let dir = self.dir.join(written.dir.unwrap_or_default());
        let copied = |(from, to): (&String, &String)| {
            let to = EntryPath::new(to).map_err(|e| self.value("programs.copy", e))?;
            Ok(Copied { from: dir.join(from), to })
        };
        let copy = written.copy.iter().map(copied).collect::<Result<_, ConfigError>>()?;
        Ok(Program { run: written.run, dir, copy })
    }

    fn forwards(&self, written: Option<Vec<Port>>) -> Result<Vec<Forward>, ConfigError> {
        let ports = written.unwrap_or_else(|| vec![Port::Guest(22), Port::Guest(80)]);
        let forward = |port: &Port| match port {
            Port::Guest(guest) => Ok(Forward { host: 0, guest: *guest }),
            Port::Pair(text) => text.parse().map_err(|e: String| self.value("run.ports", e)),
        };
        ports.iter().map(forward).collect()
    }
}

impl std::str::FromStr for Forward {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |t: &str| t.parse().ok();
        let pair = match text.split_once(':') {
            Some((host, guest)) => parse(host).zip(parse(guest)),
            None => parse(text).map(|guest| (0, guest)),
        };
        let bad = || format!("{text:?} is not a port: write GUEST or HOST:GUEST, as 22 or 8080:80");
        pair.map(|(host, guest)| Self { host, guest }).ok_or_else(bad)
    }
}

/// A path without `file:`; another address as it is.
fn without_scheme(place: &str) -> &str {
    place.strip_prefix("file://").or_else(|| place.strip_prefix("file:")).unwrap_or(place)
}

/// `v3.23` of `3.23`; `edge` as it is.
pub fn release_dir(branch: &str) -> String {
    if branch.starts_with(|c: char| c.is_ascii_digit()) { format!("v{branch}") } else { branch.to_owned() }
}
