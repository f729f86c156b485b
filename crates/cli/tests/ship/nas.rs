//! examples/nas as its README tells it: an empty machine with two empty disks gets an array and a share, waits for its owner
//! after a reboot and says so, is unlocked, and loses its boot card, which is made again from git and a backup.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use hoopy_base::arch::Arch;
use hoopy_testkit::{Home, Mirror, soon};
use hoopy_vm::{BlankDisk, Boot, Forward, Platform, ScratchDisk, VmConfig, scratch};

use crate::choice::Choice;
use crate::machine::{BOOT_LIMIT, succeeds};
use crate::power::Plug;

/// Generous: emulation on a busy machine.
const LONG: Duration = Duration::from_secs(700);

/// How often a boot with a TPM that was too slow is made again.
const TRIES: u32 = 4;

/// What is written through the share, and nowhere but there in the clear.
const CANARY: &str = "CANARY-2b91f0 written through the share";

/// The same over SMB, and the password of the share, a secret.
const SMB_CANARY: &str = "CANARY-7c44d1 written through the share over SMB";
const PASSWORD: &str = "CANARY-PASSWORD-51 of the share";

/// A key with what keys may have: bytes that are no text. ZFS wants 32 of them.
const KEY: &[u8; 32] = b"CANARY-KEY-93\n\0\xff of the array 32";

/// Takes the mail of the machine and keeps it, so that it can be read.
const MAILBOX: &str = "#!/bin/sh\nmkdir -p /persist/mail && exec cat >/persist/mail/$(date +%s)-$$\n";

pub struct Nas {
    home: Home,
    /// Another mirror than the plain one.
    mirror: Option<Mirror>,
    array: Vec<ScratchDisk>,
    /// Whether it has a TPM, which opens its array.
    tpm: bool,
    plug: Option<Plug>,
    since: Instant,
}

impl Nas {
    /// The example with the owner's keys and secrets, built; and two empty disks.
    fn new() -> Self {
        let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
        home.example("nas");
        Self::of(home, None)
    }

    /// The same of a directory `nas` in this home.
    pub fn of(home: Home, mirror: Option<Mirror>) -> Self {
        Self::with(home, mirror, false)
    }

    /// The same on a machine with a TPM, which opens the array.
    fn with_tpm(home: Home, mirror: Option<Mirror>) -> Self {
        Self::with(home, mirror, true)
    }

    fn with(home: Home, mirror: Option<Mirror>, tpm: bool) -> Self {
        let since = Instant::now();
        let disks =
            ["array-a", "array-b"].map(|serial| BlankDisk { size: 1 << 30, serial: serial.to_owned() });
        let array = scratch::blank(&home.path("array"), &disks).unwrap();
        let nas = Self { home, mirror, array, tpm, plug: None, since };
        nas.prepare();
        nas
    }

    fn prepare(&self) {
        let key = self.home.path("user");
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
        assert!(made.unwrap().success());
        let public = fs::read_to_string(self.home.path("user.pub")).unwrap();
        for user in ["root", "share"] {
            self.set(&format!("root/etc/ssh/authorized_keys/{user}"), &public, 0o644);
        }
        self.set("root/etc/conf.d/hoopy-watchdog", BOOT_LIMIT, 0o644);
        self.set("root/etc/conf.d/hoopy-health", "HEALTH_SETTLE=1\n", 0o644);
        self.set("root/usr/local/sbin/keep-mail", MAILBOX, 0o755);
        let mail = "MAIL_TO=owner@example.org\nSENDMAIL=/usr/local/sbin/keep-mail\n";
        self.set("root/etc/conf.d/hoopy-alert", mail, 0o644);
        let toml = fs::read_to_string(self.home.path("nas/hoopy.toml")).unwrap();
        let with_backup = toml
            .replace("# [backup]", "[backup]")
            .replace("# to = ", "to = ")
            .replace("# keep = ", "keep = ")
            .replace("root@nas", "nas")
            // Packages of a stand-in get older, and nothing newer.
            .replace("[monitor]\n", "[monitor]\nupdate-days = 0\n");
        self.set("hoopy.toml", &with_backup, 0o644);
        if self.tpm {
            self.change("hoopy.toml", "open = \"owner\"", "open = \"tpm\"");
            // For hardware it has that kernel already (`hoopy init --for metal`).
            if fs::read_to_string(self.home.path("nas/packages")).unwrap().contains("\nlinux-virt\n") {
                self.change("packages", "\nlinux-virt\n", "\nlinux-lts\nlinux-firmware-none\n");
            }
        }
        succeeds(self.command(&["secret", "init"]), "");
        if self.tpm {
            succeeds(self.command(&["keys", "new"]), "");
        }
        self.fed(self.command(&["secret", "set", "unlock/array"]), KEY);
        self.fed(self.command(&["secret", "set", "/etc/samba/password"]), format!("{PASSWORD}\n").as_bytes());
        let login = format!("username = share\npassword = {PASSWORD}\n");
        fs::write(self.home.path("login"), login).unwrap();
        succeeds(self.command(&["build", "-q"]), "");
        let check = self.command(&["check"]).output().unwrap();
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
        let enroll = self.tpm.then_some("--enroll");
        let disk: Vec<&str> = ["disk", "-o", "../card.img"].into_iter().chain(enroll).collect();
        succeeds(self.command(&disk), "");
        let ssh = "#!/bin/sh\nexec /usr/bin/ssh -F \"$HOME/ssh_config\" \"$@\"\n";
        fs::create_dir_all(self.home.path("bin")).unwrap();
        fs::write(self.home.path("bin/ssh"), ssh).unwrap();
        fs::set_permissions(self.home.path("bin/ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        self.say("its card is written");
    }

    fn set(&self, file: &str, text: &str, mode: u32) {
        let path = self.home.path("nas").join(file);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A line that its owner edits.
    fn change(&self, file: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.home.path("nas").join(file)).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        self.set(file, &text.replace(from, to), 0o644);
    }

    pub fn say(&self, what: &str) {
        println!("{:>5} s  nas: {what}", self.since.elapsed().as_secs());
    }

    /// hoopy in the system directory, as the owner runs it.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.home.command(args);
        command.current_dir(self.home.path("nas"));
        if let Some(mirror) = &self.mirror {
            command.env("HOOPY_MIRROR", &mirror.alpine).env("HOOPY_KEYS", &mirror.keys);
        }
        command.env("PATH", format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", self.home.path("bin").display()));
        command
    }

    /// Runs it with this on its standard input.
    fn fed(&self, mut command: Command, input: &[u8]) -> String {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let out = child.wait_with_output().unwrap();
        let said = [out.stdout, out.stderr].concat();
        assert!(out.status.success(), "{}\n{}", String::from_utf8_lossy(&said), self.log());
        String::from_utf8(said).unwrap()
    }

    /// Switches it on with this card and the array, and waits until ssh answers.
    fn start(&mut self, card: &str) {
        self.plug = None;
        let config = VmConfig {
            cpus: Some(1),
            disks: self.array.clone(),
            platform: Platform {
                variables: Some(self.home.path("firmware")),
                tpm: self.tpm.then(|| self.home.path("tpm")),
            },
            forwards: vec![Forward { name: "SMB".to_owned(), guest: 445, host: 0 }],
            ..VmConfig::new(Arch::X86_64, Boot::Disk(self.home.path(card)), 1 << 30)
        };
        let plug = Plug::of(config, self.home.path("console.log"));
        // The first key that the machine shows is known from then on, and another one is refused.
        let home = self.home.path("");
        let config = format!(
            "Host nas\nHostName 127.0.0.1\nPort {}\nUser root\nIdentityFile {1}/user\nIdentitiesOnly yes\n\
             HostKeyAlias nas\nUserKnownHostsFile {1}/known_hosts\nStrictHostKeyChecking accept-new\n\
             ConnectTimeout 10\nLogLevel ERROR\nBatchMode yes\n",
            plug.port,
            home.display()
        );
        fs::write(self.home.path("ssh_config"), config).unwrap();
        self.plug = Some(plug);
        self.is_up("started");
    }

    fn is_up(&self, how: &str) {
        let up = soon(LONG, || self.ssh("rc-status -r | grep -qx default").status.success());
        assert!(up, "it did not come up:\n{}", self.log());
        self.say(how);
    }

    fn reboot(&self) {
        let boot = self.asks("cat /proc/sys/kernel/random/boot_id");
        let _ = self.ssh("reboot");
        let other = || {
            let now = self.ssh("cat /proc/sys/kernel/random/boot_id");
            now.status.success() && String::from_utf8_lossy(&now.stdout).trim() != boot
        };
        assert!(soon(LONG, other), "it did not come back:\n{}", self.log());
        self.is_up("rebooted");
    }

    fn log(&self) -> String {
        let log = fs::read(self.home.path("console.log")).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(3000)..]).into_owned()
    }

    fn ssh(&self, command: &str) -> Output {
        let ssh = self.home.path("bin/ssh");
        self.home.command_of(&ssh, &["nas", command]).output().unwrap()
    }

    /// What the machine says to a command that must succeed there.
    pub fn asks(&self, command: &str) -> String {
        let out = self.ssh(command);
        let said = String::from_utf8_lossy(&out.stdout).trim().to_owned();
        let wrong = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{command}: {said} {wrong}\n{}", self.log());
        said
    }

    /// Commands of sftp(1), as a client of the share; whether they succeeded.
    fn share(&self, batch: &str) -> bool {
        let config = self.home.path("ssh_config");
        let args = ["-q", "-F", config.to_str().unwrap(), "-b", "-", "share@nas"];
        let mut sftp = self.home.command_of(&PathBuf::from("/usr/bin/sftp"), &args);
        sftp.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = sftp.spawn().unwrap();
        child.stdin.take().unwrap().write_all(batch.as_bytes()).unwrap();
        child.wait().unwrap().success()
    }

    /// Commands of smbclient(1), as a client of a share over SMB; whether they succeeded, and what it said.
    fn smb(&self, share: &str, commands: &str) -> (bool, String) {
        let port = self.plug.as_ref().unwrap().others[0].to_string();
        let (login, home) = (self.home.path("login"), self.home.path(""));
        let share = format!("//127.0.0.1/{share}");
        let args = ["-p", &port, "-t", "120", "-A", login.to_str().unwrap(), &share, "-c", commands];
        let mut smbclient = self.home.command_of(&PathBuf::from("/usr/bin/smbclient"), &args);
        let out = smbclient.current_dir(home).stdin(Stdio::null()).output().unwrap();
        (out.status.success(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
    }

    /// Reads through SMB what was written before: the file, and as it was on another day.
    fn smb_has_the_letter(&self) {
        let got = self.home.path("got-smb");
        let _ = fs::remove_file(&got);
        let mut said = String::new();
        let read = soon(Duration::from_secs(120), || {
            let (read, last) = self.smb("share", "get smb-letter got-smb");
            said = last;
            read
        });
        assert!(read, "{said}\n{}", self.log());
        assert_eq!(fs::read_to_string(got).unwrap(), SMB_CANARY);
    }

    /// What needs doing, as `hoopy status` says it first.
    fn status_says(&self, expected: &str) {
        let mut last = String::new();
        let said = soon(Duration::from_secs(120), || {
            last = String::from_utf8_lossy(&self.command(&["status"]).output().unwrap().stdout).into_owned();
            last.contains(expected)
        });
        assert!(said, "hoopy status does not say {expected}: {last}");
    }

    /// Unlocks it, and reads through the share what was written before.
    fn unlock(&self) {
        assert_eq!(self.asks("ls /srv"), "", "the array is open before its owner came");
        assert!(!self.share("get /share/letter early\n"), "the share is there before the array is");
        let (early, said) = self.smb("share", "get smb-letter early");
        assert!(!early, "SMB is there before the array is: {said}");
        succeeds(self.command(&["unlock"]), &self.log());
        let got = self.home.path("got");
        let _ = fs::remove_file(&got);
        assert!(self.share("get /share/letter got\n"));
        assert_eq!(fs::read_to_string(got).unwrap(), CANARY);
        self.smb_has_the_letter();
        assert!(self.asks("nas-array status").contains("complete"));
    }

    /// Nothing in the clear is on any of its disks.
    fn nothing_is_in_the_clear(&self) {
        let files = self.array.iter().map(|disk| disk.path.clone()).chain([self.home.path("card.img")]);
        for file in files {
            let bytes = fs::read(&file).unwrap();
            for hidden in [CANARY.as_bytes(), SMB_CANARY.as_bytes(), PASSWORD.as_bytes(), KEY.as_slice()] {
                assert!(memchr::memmem::find(&bytes, hidden).is_none(), "{}", file.display());
            }
        }
    }
}

#[test]
#[ignore = "boots a machine"]
fn the_nas_of_the_examples_is_set_up_unlocked_and_made_again_when_its_boot_card_is_lost() {
    is_set_up_unlocked_and_made_again(Nas::new(), |_| {});
}

/// An empty array is made once, with the key that git keeps; and a letter is on it.
fn make_array(nas: &Nas) {
    let key = nas.command(&["secret", "show", "unlock/array"]).output().unwrap();
    assert_eq!(key.stdout, *KEY);
    let ssh = nas.home.path("bin/ssh");
    let made = nas.fed(nas.home.command_of(&ssh, &["nas", "nas-array create"]), &key.stdout);
    assert!(made.contains("array: complete"), "{made}");
    fs::write(nas.home.path("letter"), CANARY).unwrap();
    assert!(nas.share("put letter /share/\n"));
}

/// With a TPM: nobody unlocks it, and after a boot the array is there.
fn opens_its_array_by_itself(mut nas: Nas) {
    let hoopyd = "/usr/libexec/hoopy/hoopyd status || true";
    // An emulated TPM that gets no processor time is a broken one for the kernel, which says nothing about the array.
    let opens = |nas: &Nas| {
        for _ in 0..TRIES {
            let said = nas.asks(hoopyd);
            if !said.contains("did not answer the kernel in time") {
                assert!(said.starts_with("secrets are open"), "{said}\n{}", nas.log());
                return;
            }
            nas.say("the boot is made again: the TPM was too slow for the kernel");
            nas.reboot();
        }
        panic!("the TPM was too slow for the kernel, again and again");
    };
    nas.start("card.img");
    opens(&nas);
    assert_eq!(nas.asks("ls /persist/hoopy | grep identity"), "identity.tpm");
    make_array(&nas);
    nas.say("its keys are enrolled, its identity is sealed, and it has an array with a letter");
    for _ in 0..2 {
        nas.reboot();
        opens(&nas);
        let got = nas.home.path("got");
        let _ = fs::remove_file(&got);
        assert!(nas.share("get /share/letter got\n"), "{}\n{}", nas.asks("nas-array status"), nas.log());
        assert_eq!(fs::read_to_string(got).unwrap(), CANARY);
        assert!(nas.asks("nas-array status").contains("complete"));
        let well = || nas.ssh("grep -qx STATE=good /run/hoopy/health").status.success();
        assert!(soon(LONG, well), "{}", nas.asks("cat /run/hoopy/health"));
        nas.say("the array is open, and nobody unlocked it");
    }
    nas.plug = None;
    nas.nothing_is_in_the_clear();
}

#[test]
#[ignore = "boots a machine with a TPM: `cargo xtask prove` runs it"]
fn the_nas_with_a_tpm_opens_its_array_by_itself_at_boot() {
    if !Choice::from_environment().full {
        println!("examples/nas with a TPM is left to `cargo xtask prove`");
        return;
    }
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    home.example("nas");
    opens_its_array_by_itself(Nas::with_tpm(home, None));
}

/// The road that the README tells. `open` is done while the array is open for the first time.
pub fn is_set_up_unlocked_and_made_again(mut nas: Nas, open: impl FnOnce(&Nas)) {
    nas.start("card.img");
    make_array(&nas);
    // Its password is a secret: Samba waits for the owner.
    assert!(!nas.smb("share", "ls").0, "SMB is there before its owner came");
    succeeds(nas.command(&["unlock"]), &nas.log());
    fs::write(nas.home.path("smb-letter"), SMB_CANARY).unwrap();
    let mut said = String::new();
    let written = soon(Duration::from_secs(120), || {
        let (written, last) = nas.smb("share", "put smb-letter");
        said = last;
        written
    });
    assert!(written, "{said}\n{}", nas.log());
    assert_eq!(nas.asks("stat -c %U:%a /srv/share/smb-letter"), "share:644");
    nas.asks("/etc/periodic/daily/snapshot && /etc/periodic/daily/backup");
    let seed = nas.asks("cat /var/lib/seedrng/seed.* | sha256sum");
    nas.say("it has an array, a letter, a snapshot and a backup");
    open(&nas);

    // It comes back locked, as the same machine, and tells its owner.
    nas.reboot();
    assert!(nas.asks("/etc/hoopy/health.d/array").contains("locked"));
    let well = || nas.ssh("grep -qx STATE=good /run/hoopy/health").status.success();
    assert!(soon(LONG, well), "a locked machine is well: {}", nas.asks("cat /run/hoopy/health"));
    assert_ne!(nas.asks("cat /var/lib/seedrng/seed.* | sha256sum"), seed, "the seed was used and replaced");
    nas.status_says("This machine waits for its owner");
    let told = || {
        nas.ssh("grep -q 'To: owner@example.org' /persist/mail/* && grep -l 'waits for its owner' /persist/mail/*")
    };
    assert!(soon(Duration::from_secs(120), || told().status.success()), "no mail came");
    nas.unlock();
    nas.status_says("All is well");
    assert!(nas.share("get /snapshots/*/letter got\n"));
    let day = nas.asks("ls /srv/snapshots");
    let (read, said) = nas.smb("snapshots", &format!("get {day}/smb-letter got-smb"));
    assert!(read, "no snapshot over SMB: {said}");
    let (_, said) = nas.smb("share", "allinfo smb-letter");
    assert!(said.contains(&format!("@GMT-{}", day.replace('-', "."))), "no previous version: {said}");
    nas.say("it was unlocked, and the share has the letter");

    // The boot card is lost: what is in git, and the backup that lies on the array, make it again.
    let backups = nas.asks("ls /srv/backups/*.age");
    let backup = nas.ssh(&format!("cat {}", backups.lines().last().unwrap()));
    fs::write(nas.home.path("nas.tar.zst.age"), backup.stdout).unwrap();
    nas.plug = None;
    succeeds(nas.command(&["disk", "-o", "../new.img", "--restore", "../nas.tar.zst.age"]), "");
    nas.start("new.img");
    nas.unlock();
    nas.say("another card has its host key and opens the array");
    nas.plug = None;
    nas.nothing_is_in_the_clear();
}
