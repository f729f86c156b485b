//! A virtual machine with a disk that `hoopy disk` wrote, and an SSH server, reached by the real ssh through a
//! forwarded port and a private configuration.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use hoopy_base::arch::Arch;
use hoopy_boot::layout::{Slot, previous, started};
use hoopy_testkit::{Home, soon};

use crate::esp::{Esp, digest_of};
use crate::power::{Hardware, Plug, Treated};

/// Generous: emulation on a busy machine.
pub const LONG: Duration = Duration::from_secs(700);

/// How long a deploy waits for the machine: a fall is three boots and one more.
pub const WITHIN: &str = "1500";

/// How long a good image may take to come up, emulated on a busy machine.
pub const BOOT_LIMIT: &str = "BOOT_LIMIT=500\n";

/// What QEMU's network gives every machine; asking for it takes a while at each boot.
const INTERFACES: &str = "\
auto lo
iface lo inet loopback
auto eth0
iface eth0 inet static
\taddress 10.0.2.15/24
\tgateway 10.0.2.2
";

/// The file under `hello` in which the machine's key lies, as dropbear keeps it.
const HOST_KEY: &str = "root/etc/dropbear/dropbear_ed25519_host_key";

pub struct Machine {
    pub home: Home,
    pub layout: &'static str,
    arch: Arch,
    disk: PathBuf,
    hardware: Hardware,
    plug: Option<Plug>,
    since: Instant,
}

/// An image that was built.
pub struct Built {
    pub name: String,
    pub file: String,
    pub digest: String,
}

impl Machine {
    /// A machine with a disk that has the first image of its system, switched off.
    pub fn new(arch: Arch, layout: &'static str) -> Self {
        Self::with(arch, layout, |_| ())
    }

    /// The same, with something done to the system before it is built.
    pub fn with(arch: Arch, layout: &'static str, prepare: impl Fn(&Self)) -> Self {
        Self::on(Hardware::default(), arch, layout, prepare)
    }

    /// The same on other hardware.
    pub fn on(hardware: Hardware, arch: Arch, layout: &'static str, prepare: impl Fn(&Self)) -> Self {
        let enroll: &[&str] = if hardware.tpm { &["--enroll"] } else { &[] };
        let machine = Self::without_disk(hardware, arch, layout);
        prepare(&machine);
        machine.build();
        succeeds(machine.command("disk", &[&["-o", "disk.img"], enroll].concat()), "");
        machine
    }

    /// A machine whose disk is still to be written, by whoever asks for it: `disk.img` in its home.
    pub fn without_disk(hardware: Hardware, arch: Arch, layout: &'static str) -> Self {
        let since = Instant::now();
        let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
        home.example("hello");
        let disk = home.path("disk.img");
        let machine = Self { home, layout, arch, disk, hardware, plug: None, since };
        machine.set("hoopy.toml", &toml(layout, ""), 0o644);
        machine.set("root/etc/conf.d/hoopy-health", "HEALTH_SETTLE=1\n", 0o644);
        machine.set("root/etc/conf.d/hoopy-watchdog", BOOT_LIMIT, 0o644);
        let setup = fs::read_to_string(machine.home.path("hello/setup.sh")).unwrap();
        machine.set("setup.sh", &setup.replace("sysinit devfs", "sysinit sysfs devfs"), 0o755);
        machine.set("root/etc/network/interfaces", INTERFACES, 0o644);
        machine.keys();
        machine
    }

    /// Its disk, to be looked at while it is off.
    pub fn disk(&self) -> &Path {
        &self.disk
    }

    /// Sees that it is up.
    pub fn is_up(&mut self) {
        if self.plug.is_none() {
            self.start();
        }
    }

    /// Tells how far it is.
    pub fn say(&self, what: &str) {
        println!("{:>5} s  {} {}: {what}", self.since.elapsed().as_secs(), self.arch, self.layout);
    }

    /// Shows what a command said.
    pub fn quote(&self, verb: &str, said: &str) {
        let lines = said.lines().map(|line| format!("        | {line}\n"));
        print!("        hoopy {verb}:\n{}", lines.collect::<String>());
    }

    /// Writes a file of the system directory.
    pub fn set(&self, file: &str, text: &str, mode: u32) {
        self.set_bytes(file, text.as_bytes(), mode);
    }

    fn set_bytes(&self, file: &str, bytes: &[u8], mode: u32) {
        let path = self.home.path("hello").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    pub fn unset(&self, file: &str) {
        fs::remove_file(self.home.path("hello").join(file)).unwrap();
    }

    /// Keys of the user and of the machine: one that changes at each boot would be refused, and rightly.
    fn keys(&self) {
        for name in ["user", "host"] {
            let file = self.home.path(name);
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(file).status();
            assert!(made.unwrap().success());
        }
        let key = |name: &str| fs::read_to_string(self.home.path(name)).unwrap();
        self.set("root/root/.ssh/authorized_keys", &key("user.pub"), 0o600);
        self.set_bytes(HOST_KEY, &dropbear_key(&key("host")), 0o600);
        self.knows("host.pub");
        let wrapper = "#!/bin/sh\nexec /usr/bin/ssh -F \"$HOME/ssh_config\" \"$@\"\n";
        let path = self.home.path("bin/ssh");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, wrapper).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Makes this public key the one that is known of the machine.
    pub fn knows(&self, public: &str) {
        let key = fs::read_to_string(self.home.path(public)).unwrap();
        let key: Vec<&str> = key.split_whitespace().take(2).collect();
        fs::write(self.home.path("known_hosts"), format!("vm {}\n", key.join(" "))).unwrap();
    }

    /// Switches it on, and waits until ssh answers.
    pub fn start(&mut self) {
        self.start_with(&Treated::Plainly);
    }

    /// The same with something done with its disk.
    pub fn start_with(&mut self, treated: &Treated) {
        let log = self.home.path("console.log");
        let plug = Plug::new(self.arch, &self.disk, treated, &self.hardware, log);
        self.reached_by(plug.port);
        self.plug = Some(plug);
        let up = soon(LONG, || self.ssh("true").status.success());
        assert!(up, "it did not come up:\n{}", self.log());
    }

    /// Pulls the plug.
    pub fn kill(&mut self) {
        self.plug = None;
    }

    /// Waits until the machine has found itself well, if it looks at all.
    pub fn is_well(&self) {
        let well = || self.ssh("grep -qx STATE=good /run/hoopy/health").status.success();
        assert!(self.layout == "single" || soon(LONG, well), "it is not well:\n{}", self.log());
    }

    /// The port at which its ssh is.
    pub fn port(&self) -> u16 {
        self.plug.as_ref().unwrap().port
    }

    /// Makes ssh use this port.
    pub fn reached_by(&self, port: u16) {
        let home = self.home.path("");
        let home = home.display();
        let config = format!(
            "Host vm\nHostName 127.0.0.1\nPort {port}\nUser root\nIdentityFile {home}/user\nIdentitiesOnly yes\n\
             HostKeyAlias vm\nUserKnownHostsFile {home}/known_hosts\nStrictHostKeyChecking yes\nConnectTimeout 10\n\
             LogLevel ERROR\n"
        );
        fs::write(self.home.path("ssh_config"), config).unwrap();
    }

    /// The end of what its console said.
    pub fn log(&self) -> String {
        let log = fs::read(self.home.path("console.log")).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(3000)..]).into_owned()
    }

    pub fn ssh(&self, command: &str) -> Output {
        let mut ssh =
            self.home.command_of(&self.home.path("bin/ssh"), &["-o", "BatchMode=yes", "vm", command]);
        ssh.output().unwrap()
    }

    /// What the machine says to a command that must succeed there.
    pub fn asks(&self, command: &str) -> String {
        let output = self.ssh(command);
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{command}: {said} {wrong}\n{}", self.log());
        said
    }

    /// The image that runs.
    pub fn runs(&self) -> String {
        let out = self.ssh("sed -n s/^IMAGE=//p /etc/hoopy-release");
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    pub fn command(&self, verb: &str, args: &[&str]) -> Command {
        let verb =
            if matches!(verb, "build" | "disk") { vec![verb, "hello"] } else { vec!["-C", "hello", verb] };
        let mut command = self.home.command(&[&verb[..], &["--arch", self.arch.as_str()], args].concat());
        let path = format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", self.home.path("bin").display());
        command.env("PATH", path);
        command
    }

    /// A command that is about no system, with the machine's ssh.
    pub fn home_command(&self, args: &[&str]) -> Command {
        let mut command = self.home.command(args);
        let path = format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", self.home.path("bin").display());
        command.env("PATH", path);
        command
    }

    /// Builds the image, if there is anything new.
    pub fn build(&self) -> Built {
        succeeds(self.command("build", &[]), "");
        let images = fs::read_dir(self.home.path("hello/images")).unwrap().map(|e| e.unwrap().path());
        let newest = images.filter(|path| path.extension().is_some_and(|e| e == "efi")).max().unwrap();
        let name = newest.file_stem().unwrap().to_str().unwrap().to_owned();
        let digest = digest_of(&newest);
        Built { name, file: newest.to_str().unwrap().to_owned(), digest }
    }

    /// Deploys and reboots; what it prints as JSON.
    pub fn deploy(&self) -> serde_json::Value {
        let mut command = self.command("deploy", &["--reboot", "--json", "--within", WITHIN]);
        let out = command.output().unwrap();
        assert!(out.status.success(), "{}\n{}", String::from_utf8_lossy(&out.stderr), self.log());
        serde_json::from_slice(&out.stdout).unwrap()
    }

    /// A command that has to fail; the exit code, and what it says on standard error.
    pub fn fails(&self, verb: &str, args: &[&str]) -> (i32, String) {
        let out = self.command(verb, args).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success(), "{verb} went well: {}", String::from_utf8_lossy(&out.stdout));
        (out.status.code().unwrap(), said)
    }

    /// Its EFI system partition.
    pub fn esp(&self) -> Esp {
        Esp::of(&self.disk)
    }

    /// What the firmware starts, and what [`Self::layout`] `single` keeps beside it.
    pub fn single_names(&self) -> (String, String) {
        (started(self.arch), previous(self.arch))
    }

    /// Where new images are put together.
    pub fn image_dir(&self) -> &'static str {
        if self.layout == "ab" { "EFI/Linux" } else { "EFI/BOOT" }
    }

    /// The file that chooses the image, where one does.
    pub fn loader(&self) -> Option<String> {
        (self.layout == "ab").then(|| started(self.arch))
    }

    /// Whether a machine with these files starts this new image.
    pub fn starts(&self, name: &str, digest: &str, files: &BTreeMap<String, String>) -> bool {
        let is_it = |path: &str| match path.strip_prefix("EFI/Linux/").and_then(Slot::parse) {
            Some(slot) => slot.image == name && slot.left != Some(0),
            None => self.layout == "single" && path == started(self.arch),
        };
        files.iter().any(|(path, found)| found == digest && is_it(path))
    }
}

/// Runs it; what it says on standard output. It must end well, or `more` is shown beside its errors.
pub fn succeeds(mut command: Command, more: &str) -> String {
    let out = command.output().unwrap();
    assert!(out.status.success(), "{}\n{more}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// The configuration of the system.
pub fn toml(layout: &str, more: &str) -> String {
    format!(
        "name = \"vm\"\nmemory = \"512M\"\nlayout = \"{layout}\"\n{more}\n[deploy]\nhost = \"vm\"\n\
         [modes]\n\"root/.ssh\" = \"0700\"\n\"root/.ssh/authorized_keys\" = \"0600\"\n\
         \"etc/dropbear/dropbear_ed25519_host_key\" = \"0600\"\n"
    )
}

/// A key as dropbear keeps it, of one as OpenSSH does (PROTOCOL.key): the 64 bytes behind the last public key.
fn dropbear_key(openssh: &str) -> Vec<u8> {
    let body: String = openssh.lines().filter(|l| !l.starts_with("-----")).collect();
    let bytes = BASE64.decode(body.as_bytes()).unwrap();
    let name = b"ssh-ed25519";
    let last = bytes.windows(name.len()).rposition(|w| w == name).unwrap() + name.len();
    let secret = &bytes[last + 4 + 32 + 4..][..64];
    [&11_u32.to_be_bytes()[..], name, &64_u32.to_be_bytes(), secret].concat()
}
