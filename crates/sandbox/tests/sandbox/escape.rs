//! Attacks on the sandbox: every `tests/escape/*.c` and `*.sh` is one, which says in its first comment what it must get.
//!
//! ```text
//! must get: TEXT        it prints this; several lines are all meant, and of `TEXT | TEXT` one
//! ends: HOW             exit 0 where nothing is said; "exit 7", "signal 31", "limit of 400 processes"
//! limits: KEY=N ...     seconds of time, MiB of memory and disk, processes
//! bind, network: yes    it runs as setup.sh does, with a directory at /mnt; with the host's network
//! needs: WHAT           where the machine has that: "landlock 6", "x86_64"
//! ```
//!
//! None may print `ESCAPED`, and nothing of the host may be another than before.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

use hoopy_base::digest::ContentId;
use hoopy_sandbox::{Ended, Lowers, SandboxError};

use crate::scene::{Layer, Scene, script};

/// As many lines of what an attack said are shown: one of them never ends.
const SHOWN: usize = 20;

/// What an attack prints when it got what it wanted.
const ESCAPED: &str = "ESCAPED";

/// What no attack may read.
const SECRET: &str = "the host's secret";

/// The name of a key in the session keyring, and of a socket.
const NAME: &str = "hoopy-escape";

/// An attack, ready to run.
pub struct Attack {
    pub name: String,
    program: Vec<u8>,
    compiled: bool,
    expected: Vec<(String, String)>,
}

/// Where they are: beside this test, or where root put them for the ordinary user.
fn sources() -> PathBuf {
    let given = std::env::var_os("HOOPY_TEST_ESCAPE").map(PathBuf::from);
    given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/escape"))
}

/// All of them, by name. Those in C are compiled, or taken as somebody compiled them.
pub fn all() -> Vec<Attack> {
    let mut paths: Vec<PathBuf> = fs::read_dir(sources()).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let dir = tempfile::tempdir().unwrap();
    let attack = |path: PathBuf| {
        let name = path.file_stem()?.to_str()?.to_owned();
        let compiled = match path.extension()?.to_str()? {
            "c" => true,
            "sh" => false,
            _ => return None,
        };
        let source = fs::read_to_string(&path).unwrap();
        let program = if compiled { compile(&path, dir.path())? } else { source.clone().into_bytes() };
        Some(Attack { name, program, compiled, expected: header(&source) })
    };
    paths.into_iter().filter_map(attack).collect()
}

/// Copies sources and programs to where an ordinary user can read them.
pub fn place(attacks: &[Attack], to: &Path) {
    fs::create_dir(to).unwrap();
    for path in fs::read_dir(sources()).unwrap().map(|e| e.unwrap().path()) {
        fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
    for attack in attacks.iter().filter(|attack| attack.compiled) {
        fs::write(to.join(&attack.name), &attack.program).unwrap();
    }
}

fn compile(path: &Path, dir: &Path) -> Option<Vec<u8>> {
    let there = path.with_extension("");
    if there.is_file() {
        return Some(fs::read(there).unwrap());
    }
    let program = dir.join(path.file_stem()?);
    let mut gcc = Command::new("gcc");
    gcc.args(["-static", "-O1", "-Wall", "-Wno-unused-result", "-o"]).arg(&program).arg(path);
    match gcc.status() {
        Ok(status) => assert!(status.success(), "{} does not compile", path.display()),
        Err(e) => {
            println!("SKIPPED: {}: gcc does not start: {e}", path.display());
            return None;
        }
    }
    Some(fs::read(program).unwrap())
}

/// The `key: value` lines of the first comment.
fn header(source: &str) -> Vec<(String, String)> {
    let comment = source
        .lines()
        .take_while(|line| line.starts_with(['#', '/', ' ', '*']) && !line.starts_with("#include"));
    let lines = comment.filter_map(|line| line.trim_start_matches(['#', '/', ' ', '*']).split_once(": "));
    lines.map(|(key, value)| (key.to_owned(), value.trim().to_owned())).collect()
}

impl Attack {
    fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        self.expected.iter().filter(move |(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    fn says(&self, key: &str) -> bool {
        self.all(key).any(|value| value == "yes")
    }

    /// What the machine lacks for this attack.
    pub fn lacks(&self) -> Option<&str> {
        self.all("needs").find(|need| match need.split_once(' ') {
            // Scopes came with version 6
            Some(("landlock", "6")) => kernel() < (6, 12),
            Some(("linux", least)) => kernel() < version(least),
            _ if *need == "cgroup" => !has_groups(),
            _ => std::env::consts::ARCH != *need,
        })
    }

    /// Runs it and compares.
    pub fn check(&self, mut scene: Scene) {
        self.all("limits").flat_map(|line| line.split(' ')).for_each(|limit| {
            let (key, value) = limit.split_once('=').unwrap();
            let value: u64 = value.parse().unwrap();
            match key {
                "time" => scene.limits.time = Duration::from_secs(value),
                "memory" => scene.limits.memory = value << 20,
                "disk" => scene.limits.disk = value << 20,
                "processes" => scene.limits.processes = value.try_into().unwrap(),
                other => panic!("{}: no limit is called {other}", self.name),
            }
        });
        let scene = &scene;
        let host = Host::new(scene);
        let before = host.state();
        let (ended, output) = self.run(scene, &host);
        output.lines().take(SHOWN).for_each(|line| println!("    {line}"));
        let expected = self.all("ends").next().unwrap_or("exit 0");
        assert!(!output.contains(ESCAPED) && !output.contains(SECRET), "it got out");
        for line in self.all("must get") {
            assert!(line.split(" | ").any(|one| output.contains(one)), "it did not get: {line}");
        }
        assert!(ended.contains(expected), "it ended with {ended:?} and not with {expected:?}");
        for (before, after) in before.iter().zip(host.state()) {
            assert_eq!(*before, after, "it changed the host");
        }
    }

    fn run(&self, scene: &Scene, host: &Host) -> (String, String) {
        let mut session = scene.session();
        let program = Layer::default().file("attack", &self.program, 0o755);
        let resolver = Layer::default().dir("etc").file("etc/resolv.conf", b"nameserver 192.0.2.1\n", 0o644);
        let layers = [&scene.base, &program, &resolver];
        layers.iter().for_each(|layer| layer.unpack(&mut session));
        let lowers = Lowers::of(layers.iter().map(|layer| (layer.id(), &layer.entries[..]))).unwrap();
        let mut script = script(if self.compiled { "exec /attack" } else { "" });
        if !self.compiled {
            script.body.clone_from(&self.program);
        }
        script.network = self.says("network");
        if self.says("bind") {
            script.bind = Some(host.lent.clone());
            script.hidden = vec!["hidden".into()];
        }
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        match session.run(&lowers, &script) {
            Ok(captured) => ("exit 0".to_owned(), text(captured.output)),
            Err(SandboxError::ScriptFailed { ended: Ended::Exit(status), output, .. }) => {
                (format!("exit {status}"), text(output))
            }
            Err(SandboxError::ScriptFailed { ended: Ended::Signal(signal), output, .. }) => {
                (format!("signal {signal}"), text(output))
            }
            Err(SandboxError::LimitReached { limit, output, .. }) => (limit.to_string(), text(output)),
            Err(other) => (other.to_string(), String::new()),
        }
    }
}

/// What an attack might reach, and how it was.
struct Host {
    lent: PathBuf,
    watched: Vec<PathBuf>,
    _socket: UnixListener,
}

impl Host {
    fn new(scene: &Scene) -> Self {
        let dir = scene.lowers.parent().unwrap();
        let lent = dir.join("system");
        fs::create_dir_all(lent.join("hidden")).unwrap();
        fs::write(dir.join("secret"), SECRET).unwrap();
        fs::write(lent.join("hidden/secret"), SECRET).unwrap();
        fs::write(lent.join("lent"), "lent").unwrap();
        symlink("/", lent.join("outside")).unwrap();
        let exe = std::env::current_exe().unwrap();
        let mut watched =
            vec![exe, dir.join("secret"), lent.join("lent"), lent.join("hidden/secret"), lent.clone()];
        watched.extend(
            ["null", "zero", "full", "random", "urandom", "tty"].map(|name| Path::new("/dev").join(name)),
        );
        watched.extend(
            ["/etc/resolv.conf", "/etc/hosts", "/etc/passwd", "/proc/sys/kernel/core_pattern"]
                .map(PathBuf::from),
        );
        let address = SocketAddr::from_abstract_name(NAME).unwrap();
        let socket = UnixListener::bind_addr(&address).unwrap();
        Self { lent, watched, _socket: socket }
    }

    fn state(&self) -> Vec<String> {
        let state = |path: &PathBuf| -> io::Result<String> {
            let meta = fs::metadata(path)?;
            let content =
                if meta.is_file() { ContentId::of(&fs::read(path)?).to_string() } else { String::new() };
            let mode = meta.permissions().mode();
            Ok(format!("{}: {mode:o} {}:{} {content}", path.display(), meta.uid(), meta.gid()))
        };
        self.watched.iter().map(|path| state(path).unwrap_or_else(|e| e.to_string())).collect()
    }
}

fn kernel() -> (u32, u32) {
    version(&fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default())
}

fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Whether this user can bound memory by control groups.
fn has_groups() -> bool {
    rustix::process::geteuid().is_root()
}
