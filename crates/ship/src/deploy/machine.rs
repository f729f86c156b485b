//! Asking a machine, once, for all that a deploy depends on.

use hoopy_base::arch::Arch;
use hoopy_base::terminal::harmless_line;
use hoopy_boot::pair::{Loader, Pair, SlotName, SlotState};
use serde::Serialize;

use super::diskless_system::Diskless;
use super::error::DeployError;
use super::remote;
use super::ssh::Ssh;

const ASK: &str = include_str!("remote/ask.sh");
const PEEK: &str = include_str!("remote/peek.sh");

/// An answer has so many bytes at most: a partition with a thousand images has less.
const MAX_ANSWER: u64 = 1 << 20;

/// What a machine said of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// As ssh knows it.
    pub host: String,
    /// As `uname -m` has it.
    pub arch: String,
    /// The image that runs: `nas-2026112101`; none where the machine is not hoopy's.
    pub image: Option<String>,
    /// The git commit of its system directory.
    pub commit: Option<String>,
    /// Whether that directory had changes.
    pub dirty: bool,
    /// The name that the kernel gave to this boot.
    pub boot: String,
    /// Seconds since then.
    pub uptime: u64,
    /// The verdict of the machine on this boot (`/run/hoopy/health`), where there is one.
    pub health: Option<Health>,
    /// Whether it has the service that gives it.
    pub has_checks: bool,
    /// Where its EFI system partition is: a directory or a device.
    pub esp: String,
    /// Bytes that are free on it.
    pub free: u64,
    /// The two directories of such a partition, where it is one.
    pub pair: Option<Pair>,
    /// Files in `EFI/BOOT` and `EFI/Linux`, and in the slots of a pair.
    pub files: Vec<RemoteFile>,
    /// What `loader/hoopy-failed.txt` says of the last image that failed.
    pub failed: String,
    /// The lists that its firmware checks programs with, where Secure Boot is on.
    pub enforces: Option<Lists>,
    /// Diskless Alpine Linux, where it runs that.
    pub diskless: Option<Diskless>,
    /// Whether diskless Alpine Linux can be started from its partition.
    pub keeps_diskless: bool,
}

/// Signature lists that a machine's firmware checks programs with, as it sent them: in hexadecimal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lists {
    /// What may be started.
    pub db: String,
    /// What may not.
    pub dbx: String,
}

/// A file of the EFI system partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// Its path there.
    pub path: String,
    /// In bytes.
    pub size: u64,
}

/// What the machine thinks of its boot; docs/boot.md tells the values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Health {
    /// `waiting`, `checking`, `good` or `failed`.
    pub state: String,
    /// `nothing`, `blessed`, `reboot` or `stay`.
    pub action: String,
    /// Why it failed.
    pub reason: String,
}

impl Machine {
    /// Asks. `esp` is where the EFI system partition is, if that is known.
    ///
    /// # Errors
    /// [`DeployError`].
    pub fn ask(ssh: &Ssh, esp: Option<&str>) -> Result<Self, DeployError> {
        let script = remote::pair_script(
            &[("GIVEN", esp.unwrap_or_default()), ("ESP", "")],
            &remote::without_comments(ASK),
        );
        let said = ssh.ask(&script, MAX_ANSWER)?;
        Self::parse(ssh.host(), &String::from_utf8_lossy(&said))
    }

    /// Asks for no more than which boot this is, which image runs, and how it is: little work for a machine that is
    /// busy with its boot. The rest is empty.
    ///
    /// # Errors
    /// [`DeployError`].
    pub fn peek(ssh: &Ssh) -> Result<Self, DeployError> {
        let said = ssh.ask(PEEK, MAX_ANSWER)?;
        Self::parse(ssh.host(), &String::from_utf8_lossy(&said))
    }

    fn parse(host: &str, said: &str) -> Result<Self, DeployError> {
        let mut machine = Self { host: host.to_owned(), ..Self::default() };
        let mut lacks: Vec<&str> = Vec::new();
        for line in said.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let rest = rest.trim_end_matches('\r');
            match word {
                "done" => return machine.complete(&lacks),
                "error" if !lacks.is_empty() => return machine.complete(&lacks),
                "error" => return Err(remote::refused(host, rest)),
                "lacks" => lacks.push(rest),
                "failed" => machine.failed += &format!("{}\n", harmless_line(rest)),
                _ => machine.take(word, rest),
            }
        }
        let end: String = said.chars().rev().take(200).collect::<Vec<_>>().into_iter().rev().collect();
        Err(DeployError::Answer { host: host.to_owned(), found: end })
    }

    fn complete(self, lacks: &[&str]) -> Result<Self, DeployError> {
        if lacks.is_empty() {
            return Ok(self);
        }
        Err(DeployError::Lacks { host: self.host, tools: harmless_line(&lacks.join(", ")) })
    }

    fn take(&mut self, word: &str, rest: &str) {
        let owned = || harmless_line(rest);
        match (word, rest.split_once('=')) {
            ("checks", _) => self.has_checks = true,
            ("diskless", _) => self.diskless.get_or_insert_default().take(rest),
            ("alpine", _) => self.keeps_diskless = true,
            ("enforces", _) => self.enforces = Some(Lists::default()),
            ("db", _) => self.enforces.get_or_insert_default().db = rest.to_owned(),
            ("dbx", _) => self.enforces.get_or_insert_default().dbx = rest.to_owned(),
            ("arch", _) => self.arch = owned(),
            ("boot", _) => self.boot = owned(),
            ("uptime", _) => self.uptime = rest.parse().unwrap_or(0),
            ("esp", _) => self.esp = rest.to_owned(),
            // df(1) counts in KiB.
            ("free", _) => self.free = rest.parse().unwrap_or(0_u64).saturating_mul(1024),
            ("release", Some(("IMAGE", image))) => self.image = Some(harmless_line(image)),
            ("release", Some(("COMMIT", commit))) => self.commit = Some(harmless_line(commit)),
            ("release", Some(("DIRTY", dirty))) => self.dirty = dirty == "yes",
            ("health", Some((key, value))) => {
                let health = self.health.get_or_insert_default();
                match key {
                    "STATE" => health.state = harmless_line(value),
                    "ACTION" => health.action = harmless_line(value),
                    "REASON" => health.reason = harmless_line(value),
                    _ => {}
                }
            }
            ("pair", _) => {
                self.pair = rest.split_once(' ').and_then(|(loader, started)| {
                    let (loader, started) = (Loader::of(loader)?, SlotName::of(started)?);
                    Some(Pair { loader, started, slots: Default::default() })
                });
            }
            ("slot", _) => self.take_slot(rest),
            ("file", _) => {
                let file = rest.split_once(' ').and_then(|(size, path)| {
                    let size = size.parse().ok()?;
                    // It goes into lines that tabs divide.
                    (!path.contains(char::is_control)).then(|| RemoteFile { path: path.to_owned(), size })
                });
                self.files.extend(file);
            }
            _ => {}
        }
    }

    /// `a nas-2026112901 good tried`; a dash for what is not there.
    fn take_slot(&mut self, rest: &str) {
        let words: Vec<&str> = rest.split(' ').collect();
        let (Some(pair), [name, image, good, tried]) = (&mut self.pair, words.as_slice()) else { return };
        let (a, b) = pair.slots.split_at_mut(1);
        let Some(slot) = (match SlotName::of(name) {
            Some(SlotName::A) => a.first_mut(),
            Some(SlotName::B) => b.first_mut(),
            None => None,
        }) else {
            return;
        };
        let image = (*image != "-").then(|| harmless_line(image));
        *slot = SlotState { image, good: *good == "good", tried: *tried == "tried" };
    }

    /// The architecture, where hoopy builds for it.
    pub fn known_arch(&self) -> Option<Arch> {
        self.arch.parse().ok()
    }

    /// Why its last failed image failed, where that was `image`.
    pub fn failure_of(&self, image: &str) -> Option<&str> {
        self.failed.lines().any(|line| line == format!("IMAGE={image}")).then_some(self.failed.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_answer_is_understood() {
        let said = "Welcome!\narch x86_64\nboot 0-1\nuptime 77\nrelease IMAGE=nas-2026112101\nrelease COMMIT=abc\n\
                    release DIRTY=yes\nhealth STATE=failed\nhealth REASON=service x crashed\nesp /dev/vda1\n\
                    free 1000\nfile 12 EFI/BOOT/BOOTX64.EFI\nfile 9 EFI/Linux/a b+3.efi\nfailed IMAGE=nas-1\n\
                    failed REASON=no\n\ndone\n";
        let machine = Machine::parse("nas", said).unwrap();
        assert_eq!(machine.image.as_deref(), Some("nas-2026112101"));
        assert_eq!((machine.uptime, machine.free, machine.dirty), (77, 1_024_000, true));
        assert_eq!(machine.health.as_ref().unwrap().reason, "service x crashed");
        assert_eq!(machine.files[1], RemoteFile { path: "EFI/Linux/a b+3.efi".to_owned(), size: 9 });
        assert!(machine.failure_of("nas-1").unwrap().contains("REASON=no"));
        assert!(machine.failure_of("nas-2").is_none());
    }

    #[test]
    fn a_pair_is_told_by_its_slots() {
        let said =
            "arch aarch64\npair extlinux b\nslot a nas-1 good -\nslot b nas-2 - tried\nslot c x y z\ndone\n";
        let pair = Machine::parse("pi", said).unwrap().pair.unwrap();
        let slot = |image: &str, good, tried| SlotState { image: Some(image.to_owned()), good, tried };
        let slots = [slot("nas-1", true, false), slot("nas-2", false, true)];
        assert_eq!(pair, Pair { loader: Loader::Extlinux, started: SlotName::B, slots });
        assert_eq!(Machine::parse("pi", "slot a nas-1 good -\npair pi c\ndone\n").unwrap().pair, None);
    }

    #[test]
    fn what_is_wrong_on_the_far_side_is_told() {
        let refusal = |said: &str| Machine::parse("nas", said).unwrap_err().to_string();
        assert!(refusal("arch x86_64\nerror user joe\n").contains("as joe"));
        assert!(refusal("lacks flock\nlacks dd\nerror user joe\n").contains("flock, dd"));
        assert!(refusal("error noesp \n").contains("no EFI system partition"));
        assert!(refusal("error which /dev/sda1 /dev/sdb1\n").contains("/dev/sda1 /dev/sdb1"));
        assert!(refusal("arch x86_64\n").contains("unexpected response"));
    }
}
