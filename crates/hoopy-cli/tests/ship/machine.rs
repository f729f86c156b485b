//! A virtual machine with a disk that `hoopy disk` wrote, and an SSH server, reached by the real ssh through a
//! forwarded port and a private configuration.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hoopy::arch::Arch;
use hoopy::ship::vm::{Acceleration, Boot, Forward, Places, Vm, VmConfig};
use hoopy_testkit::{Home, soon};

/// Generous: emulation on a busy machine.
const LONG: Duration = Duration::from_secs(400);

/// How often somebody looks whether the plug is pulled.
const TICK: Duration = Duration::from_millis(50);

/// How long a deploy waits for the machine: a fall is three boots and one more.
const WITHIN: &str = "1500";

pub struct Machine {
    pub home: Home,
    pub arch: &'static str,
    disk: PathBuf,
    plug: Option<Plug>,
}

/// Keeps a machine running: QEMU ends where the machine reboots, and is started anew with its disk. A reset inside
/// QEMU 7.2, emulated, does not come back from firmware that has written variables.
struct Plug {
    pulled: Arc<AtomicBool>,
    running: Option<JoinHandle<()>>,
}

impl Plug {
    fn new(config: VmConfig, log: PathBuf, first: Vm) -> Self {
        let pulled = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&pulled);
        let running = std::thread::spawn(move || {
            let mut next = Some(first);
            while let Some(vm) = next.take() {
                let log = fs::File::options().create(true).append(true).open(&log).unwrap();
                let mut console = vm.console(Some(log)).unwrap();
                while console.wait(TICK).is_err() {
                    if seen.load(Ordering::SeqCst) {
                        return;
                    }
                }
                next = Some(Vm::prepare(&config).unwrap());
            }
        });
        Self { pulled, running: Some(running) }
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        self.pulled.store(true, Ordering::SeqCst);
        if let Some(running) = self.running.take() {
            let _ = running.join();
        }
    }
}

impl Machine {
    /// A machine that runs the first image of its system.
    pub fn new(arch: &'static str, layout: &str) -> Self {
        let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
        home.example("hello");
        let disk = home.path("disk.img");
        let mut machine = Self { home, arch, disk, plug: None };
        machine.set("hoopy.toml", &toml(layout, ""), 0o644);
        machine.set("root/etc/conf.d/hoopy-health", "HEALTH_SETTLE=1\n", 0o644);
        machine.set("root/etc/conf.d/hoopy-watchdog", "BOOT_LIMIT=500\n", 0o644);
        let setup = fs::read_to_string(machine.home.path("hello/setup.sh")).unwrap();
        machine.set("setup.sh", &setup.replace("sysinit devfs", "sysinit sysfs devfs"), 0o755);
        machine.keys();
        machine.hoopy(&["build"]);
        let out = machine.command("disk", &["-o", "disk.img"]).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        machine.start();
        machine
    }

    /// Writes a file of the system directory.
    pub fn set(&self, file: &str, text: &str, mode: u32) {
        let path = self.home.path("hello").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
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
        let public = |name: &str| fs::read_to_string(self.home.path(name)).unwrap();
        self.set("root/root/.ssh/authorized_keys", &public("user.pub"), 0o600);
        let path = self.home.path("hello/root/etc/dropbear/dropbear_ed25519_host_key");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, dropbear_key(&fs::read_to_string(self.home.path("host")).unwrap())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
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
        let mut config = VmConfig {
            arch: self.arch.parse::<Arch>().unwrap(),
            boot: Boot::Disk(self.disk.clone()),
            memory: 512 << 20,
            cpus: 2,
            forwards: vec![Forward { name: "SSH".to_owned(), guest: 22, host: 0 }],
            disks: vec![],
            no_reboot: true,
            acceleration: Acceleration::Auto,
            places: Places::default(),
            temp: std::env::temp_dir(),
        };
        let vm = Vm::prepare(&config).unwrap();
        // The same one after a reboot: whoever waits for the machine knows no other.
        config.forwards[0].host = vm.forwards()[0].host;
        self.reached_by(config.forwards[0].host);
        self.plug = Some(Plug::new(config, self.home.path("console.log"), vm));
        let up = soon(LONG, || self.ssh("true").status.success());
        assert!(up, "it did not come up:\n{}", self.log());
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

    /// Pulls the plug.
    pub fn kill(&mut self) {
        self.plug = None;
    }

    /// The end of what it said.
    pub fn log(&self) -> String {
        let log = fs::read(self.home.path("console.log")).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(3000)..]).into_owned()
    }

    pub fn ssh(&self, command: &str) -> Output {
        let mut ssh =
            self.home.command_of(&self.home.path("bin/ssh"), &["-o", "BatchMode=yes", "vm", command]);
        ssh.output().unwrap()
    }

    /// The image that runs.
    pub fn runs(&self) -> String {
        let out = self.ssh("sed -n s/^IMAGE=//p /etc/hoopy-release");
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    pub fn command(&self, verb: &str, args: &[&str]) -> Command {
        let mut command = self.home.command(&[&[verb, "hello", "--arch", self.arch], args].concat());
        let path = format!("{}:/usr/bin:/bin:/usr/sbin:/sbin", self.home.path("bin").display());
        command.env("PATH", path);
        command
    }

    fn hoopy(&self, args: &[&str]) -> String {
        let out = self.command(args[0], &args[1..]).output().unwrap();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    /// Deploys and reboots; what it prints as JSON.
    pub fn deploy(&self) -> serde_json::Value {
        let out = self.command("deploy", &["--reboot", "--json", "--within", WITHIN]).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{said}\n{}", self.log());
        serde_json::from_slice(&out.stdout).unwrap()
    }

    /// Deploys and reboots; the exit code, and what it says on standard error.
    pub fn deploy_fails(&self) -> (i32, String) {
        let out = self.command("deploy", &["--reboot", "--within", WITHIN]).output().unwrap();
        (out.status.code().unwrap(), String::from_utf8_lossy(&out.stderr).into_owned())
    }
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
    let bytes = base64(&body);
    let name = b"ssh-ed25519";
    let last = bytes.windows(name.len()).rposition(|w| w == name).unwrap() + name.len();
    let secret = &bytes[last + 4 + 32 + 4..][..64];
    [&11_u32.to_be_bytes()[..], name, &64_u32.to_be_bytes(), secret].concat()
}

fn base64(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u32> = text.bytes().filter(|b| *b != b'=').map(|b| u32::from(value(b))).collect();
    let mut bytes = Vec::new();
    for group in digits.chunks(4) {
        let bits = group.iter().fold(0, |n, d| n << 6 | d) << (6 * (4 - group.len()));
        bytes.extend(&bits.to_be_bytes()[1..group.len()]);
    }
    bytes
}
