//! The one conversion from a system directory as it is written, with the command line, to what both mean.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hoopy_base::arch::Arch;
use hoopy_base::input::{Kind, read_text};
use hoopy_base::size;
use hoopy_boot::layout::Layout;
use hoopy_boot::release::FILE as RELEASE;
use hoopy_boot::secrets::IDENTITY_SERIAL;
use hoopy_cpio::codec::Codec;
use hoopy_store::layer::EntryPath;
use hoopy_store::layer::files::Copied;
use hoopy_trust::epoch;
use hoopy_vm::scratch::{BlankDisk, MAX_SERIAL};

use super::branch::{BranchSource, EDGE, FALLBACK_BRANCH};
use super::hoopy_toml::{self, HoopyToml, Port, Secrets};
use super::monitor;
use super::repository::{DEFAULT_MIRROR, INDEX, KINDS, Repository, without_scheme};
use super::state::{self, StateFile, StateLine};
use super::system::{
    BEST, BackupSettings, Forward, Overrides, Program, SecretSettings, StateSettings, System,
};
use super::{ConfigError, World, release_dir};

/// The codec of the smallest image. Higher levels of zstd want more memory at boot than kernels give.
const SMALLEST: Codec = Codec::Zstd { level: 19 };

/// Memory of the machine where `hoopy.toml` does not say: the smallest that new hardware has.
const DEFAULT_MEMORY: u64 = 1 << 30;

/// Most network cards of a virtual machine: each takes one of the 32 places on its PCI bus.
const MAX_NICS: u32 = 8;

/// Most blank disks of a virtual machine, for the same reason.
const MAX_DISKS: usize = 16;

/// The longest file of ext4, where disks mostly are.
const MAX_DISK: u64 = 16 << 40;

/// How many backups of its own a machine keeps: a week of them.
const DEFAULT_KEEP: u32 = 7;

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
        let kept = dir.join("state");
        let kept = if kept.exists() { Some(state::parse(&kept, &read(&kept)?)?) } else { None };
        Conversion { dir, file: &file, over }.of(written, world, kept)
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
    fn of(&self, w: HoopyToml, world: World, state: Option<StateFile>) -> Result<System, ConfigError> {
        let (branch, branch_source) = match w.branch {
            Some(written) => (written, BranchSource::HoopyToml),
            None => (FALLBACK_BRANCH.to_owned(), BranchSource::Unknown),
        };
        let mirror = self.over.mirror.clone().or(w.mirror).unwrap_or_else(|| DEFAULT_MIRROR.to_owned());
        let repositories =
            w.repositories.unwrap_or_else(|| ["main", "community"].map(str::to_owned).to_vec());
        let memory = self.over.memory.clone().or(w.memory);
        let codec = self.over.compression.clone().or(w.compression);
        Ok(System {
            name: self.name(w.name)?,
            arch: self.arch(w.arch, w.layout)?,
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
            disks: self.disks(&w.run.disks)?,
            forwards: self.forwards(w.run.ports)?,
            layout: w.layout,
            menu: self.menu(w.menu, w.layout)?,
            host: w.deploy.host.map(|h| self.host(h)).transpose()?,
            esp: w.deploy.esp.map(|e| self.esp(e)).transpose()?,
            drift_ignore: w.drift.ignore.clone(),
            sign_command: w.trust.sign,
            signature_required: w.trust.required,
            epoch: epoch::read(self.dir)?,
            secrets: self.secrets(w.secrets)?,
            monitor: w
                .monitor
                .map(|m| monitor::settings(m, w.drift.ignore).map_err(|(key, e)| self.value(key, e)))
                .transpose()?,
            state: self.state(state, w.state, w.backup)?,
            dir: self.dir.to_owned(),
            branch,
            branch_source,
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

    /// The boards that read a card are of one architecture.
    fn arch(&self, written: Option<Arch>, layout: Layout) -> Result<Option<Arch>, ConfigError> {
        match (layout, written) {
            (Layout::Pi, Some(other)) if other != Arch::Aarch64 => {
                let message =
                    format!("{other} with `layout = \"pi\"`: expected aarch64, which a Raspberry Pi is");
                Err(self.value("arch", message))
            }
            (Layout::Pi, _) => Ok(Some(Arch::Aarch64)),
            (Layout::Ab | Layout::Extlinux, Some(other)) if !other.has_uki() => {
                let message = format!(
                    "{other} with `layout = \"{layout}\"`: expected x86_64 or aarch64, which have the images that lie so; of \
                     {other}, hoopy builds kernel and initramfs as files"
                );
                Err(self.value("arch", message))
            }
            (Layout::Single | Layout::Ab | Layout::Extlinux, written) => Ok(written),
        }
    }

    /// Firmware that starts the image itself shows no menu of hoopy's.
    fn menu(&self, written: Option<u16>, layout: Layout) -> Result<u16, ConfigError> {
        match (written, layout) {
            (Some(seconds @ 1..), Layout::Single | Layout::Pi | Layout::Extlinux) => {
                let message = format!(
                    "{seconds} seconds with `layout = \"{layout}\"`: expected `layout = \"ab\"`, which has a menu"
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

    fn disks(&self, written: &[hoopy_toml::Disk]) -> Result<Vec<BlankDisk>, ConfigError> {
        let error = |message: String| self.value("run.disks", message);
        if written.len() > MAX_DISKS {
            return Err(error(format!("{} disks: expected at most {MAX_DISKS}", written.len())));
        }
        let mut taken = vec![IDENTITY_SERIAL];
        let disk = |disk: &hoopy_toml::Disk| {
            let size = size::parse(&disk.size).map_err(|e| error(e.to_string()))?;
            if size > MAX_DISK {
                return Err(error(format!("the size {:?}: expected up to 16T", disk.size)));
            }
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
            let serial = disk.serial.as_str();
            if serial.is_empty() || serial.len() > MAX_SERIAL || !serial.chars().all(fits) {
                let expected = format!("expected 1 to {MAX_SERIAL} letters, digits, `-` and `_`");
                return Err(error(format!("the serial number {serial:?}: {expected}")));
            }
            Ok(BlankDisk { size, serial: serial.to_owned() })
        };
        let disks = written.iter().map(disk).collect::<Result<Vec<_>, _>>()?;
        for disk in &disks {
            let serial = disk.serial.as_str();
            if taken.contains(&serial) {
                return Err(error(format!("the serial number {serial:?} is taken: expected another one")));
            }
            taken.push(serial);
        }
        Ok(disks)
    }

    /// ssh(1) takes a leading dash for an option.
    fn host(&self, written: String) -> Result<String, ConfigError> {
        let bad = written.is_empty() || written.starts_with('-') || written.contains(char::is_whitespace);
        let message = || {
            format!(
                "{written:?} is not the name of a machine: expected what ssh takes, such as nas or root@10.0.0.2"
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
            Some((b, repo)) if !repo.contains('/') && (b == EDGE || b.starts_with('v')) => {
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
        let on = on.map(|on| self.absolute("secrets.on", &on, "/persist")).transpose()?;
        let owner = |(path, owner): (String, String)| {
            let key = format!("secrets.owners.{path:?}");
            Ok::<_, ConfigError>((EntryPath::new(&path).map_err(|e| self.value(&key, e))?, owner))
        };
        Ok(SecretSettings { open, on, owners: owners.into_iter().map(owner).collect::<Result<_, _>>()? })
    }

    /// A directory of the machine, without a slash at its end.
    fn absolute(&self, key: &str, path: &str, example: &str) -> Result<String, ConfigError> {
        let trimmed = path.trim_end_matches('/');
        if trimmed.starts_with('/') && !trimmed.contains(char::is_control) {
            return Ok(trimmed.to_owned());
        }
        let message = format!(
            "{path:?} is not a directory of the machine: expected an absolute path such as {example}"
        );
        Err(self.value(key, message))
    }

    fn state(
        &self,
        file: Option<StateFile>,
        written: hoopy_toml::State,
        backup: hoopy_toml::Backup,
    ) -> Result<StateSettings, ConfigError> {
        let on = written.on.map(|on| self.absolute("state.on", &on, "/persist")).transpose()?;
        let backup = match (backup.to, backup.keep) {
            (None, None) => None,
            (None, Some(_)) => {
                return Err(
                    self.value("backup.keep", "expected `to` beside it, the directory of the backups")
                );
            }
            (Some(_), Some(0)) => return Err(self.value("backup.keep", "expected 1 or more, found 0")),
            (Some(to), keep) => {
                let to = self.absolute("backup.to", &to, "/tank/backups")?;
                Some(BackupSettings { to, keep: keep.unwrap_or(DEFAULT_KEEP) })
            }
        };
        let is_there = file.is_some();
        let StateFile { lines, forgotten } = file.unwrap_or_default();
        if backup.is_some() && lines.is_empty() {
            let message = "expected the file `state`, which says what a backup holds, found none";
            return Err(self.value("backup.to", message));
        }
        let holds = |line: &StateLine, to: &str| {
            let below = to.trim_start_matches('/').strip_prefix(line.path.to_string().as_str());
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if let Some(BackupSettings { to, .. }) = &backup
            && let Some(line) = lines.iter().find(|line| holds(line, to))
        {
            let message = format!(
                "expected a directory outside the state, found {to} in /{} of line {} of `state`: each backup would hold \
                 those before it",
                line.path, line.line
            );
            return Err(self.value("backup.to", message));
        }
        Ok(StateSettings { lines, forgotten, is_there, on, backup })
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

    fn program(&self, written: hoopy_toml::Program) -> Result<Program, ConfigError> {
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn disks(toml: &str) -> Result<Vec<BlankDisk>, String> {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("packages"), "").unwrap();
        std::fs::write(home.path().join("hoopy.toml"), format!("name = \"x\"\n{toml}")).unwrap();
        System::load(home.path(), &Overrides::default()).map(|system| system.disks).map_err(|e| e.to_string())
    }

    #[test]
    fn disks_of_the_virtual_machine_have_a_size_and_a_serial_number() {
        let found = disks("[[run.disks]]\nsize = \"2G\"\nserial = \"array-a\"\n");
        assert_eq!(found, Ok(vec![BlankDisk { size: 2 << 30, serial: "array-a".to_owned() }]));
        assert_eq!(disks(""), Ok(Vec::new()));
    }

    #[test]
    fn disks_that_no_machine_could_tell_apart_are_refused() {
        let one = |serial: &str| format!("[[run.disks]]\nsize = \"1G\"\nserial = \"{serial}\"\n");
        for (toml, expected) in [
            (one("a") + &one("a"), "the serial number \"a\" is taken"),
            (one(IDENTITY_SERIAL), "is taken: expected another one"),
            (one("a,b"), "the serial number \"a,b\": expected 1 to 20 letters, digits, `-` and `_`"),
            (one("123456789012345678901"), "expected 1 to 20 letters"),
            (one("a").replace("1G", "much"), "run.disks"),
            (one("a").replace("1G", "17T"), "the size \"17T\": expected up to 16T"),
            ((0..17).map(|n| one(&n.to_string())).collect(), "17 disks: expected at most 16"),
        ] {
            let error = disks(&toml).unwrap_err();
            assert!(error.contains(expected), "{toml}: {error}");
        }
    }
}
