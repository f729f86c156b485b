//! What the tests share: a hermetic home, the mirror, the real apk, packages of a test's own, console sessions.

pub mod entered;
pub mod maker;
pub mod package;
pub mod session;
pub mod standin;
pub mod swtpm;

use std::fmt::Display;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The stand-in mirror that `cargo xtask mirror` made.
#[derive(Debug, Clone)]
pub struct Mirror {
    /// What hoopy takes as `--mirror`.
    pub alpine: PathBuf,
    /// What hoopy takes as `--keys`.
    pub keys: PathBuf,
    /// A root with the real `apk` of this machine's architecture.
    pub apk_root: PathBuf,
}

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_owned()
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}

/// The stand-in mirror.
///
/// # Panics
/// When it is not there: a test that needs it must not pass in silence.
pub fn mirror() -> Mirror {
    let root = target().join("mirror");
    assert!(
        root.join("stamp").exists(),
        "no stand-in mirror in {}: run `cargo xtask mirror`",
        root.display()
    );
    Mirror::at(&root)
}

/// The stand-in mirror with ZFS, for x86_64: of that `cargo xtask mirror --zfs` has to compile the modules, and CI has none.
pub fn mirror_with_zfs() -> Option<Mirror> {
    let root = target().join("mirror-zfs");
    root.join("stamp-zfs").exists().then(|| Mirror::at(&root))
}

/// The stand-in mirror with the community packages of aarch64, which `cargo xtask mirror --boards` makes: CI has none.
pub fn mirror_with_boards() -> Option<Mirror> {
    let root = target().join("mirror-boards");
    root.join("stamp-boards").exists().then(|| Mirror::at(&root))
}

/// BusyBox without libraries for ARM with 32 bits.
///
/// # Panics
/// When it is not there.
pub fn arm_busybox() -> PathBuf {
    let file = target().join("mirror-arm/busybox");
    assert!(file.exists(), "no {}: run `cargo xtask mirror`", file.display());
    file
}

impl Mirror {
    fn at(root: &Path) -> Self {
        Self {
            alpine: root.join("alpine"),
            keys: root.join("keys"),
            apk_root: root.join("apk-root").join(std::env::consts::ARCH),
        }
    }
}

/// The agent for this machine's architecture, as a static program.
///
/// # Panics
/// When it is not there.
pub fn agent() -> PathBuf {
    let file = target().join("hoopyd").join(format!("hoopyd-{}", std::env::consts::ARCH));
    assert!(file.exists(), "no {}: run `cargo xtask hoopyd`", file.display());
    file
}

/// Where systemd 257 is unpacked, beside the older one of the system.
///
/// # Panics
/// When it is not there.
pub fn systemd_257() -> PathBuf {
    let dir = target().join("systemd-257");
    assert!(dir.join("stamp").exists(), "no {}: run `cargo xtask setup`", dir.display());
    dir.join("tree")
}

/// A home of a test's own: nothing of the user's shows, and it is gone afterwards.
#[derive(Debug)]
pub struct Home {
    dir: TempDir,
    program: PathBuf,
}

impl Home {
    /// A home in which `program` is run.
    ///
    /// # Panics
    /// When no temporary directory can be made.
    pub fn new(program: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self { dir, program: program.into() }
    }

    /// A path in the home.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A system with few packages, so that it builds fast, in the directory `name`.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn small(&self, name: &str) -> PathBuf {
        let dir = self.path(name);
        let write = |file: &str, text: &str| std::fs::write(dir.join(file), text).expect("write a system");
        std::fs::create_dir_all(dir.join("root/etc")).expect("make a system");
        write("hoopy.toml", "name = \"small\"\n");
        write("packages", "alpine-base\nlinux-virt # the kernel\n");
        write("root/etc/hostname", "small\n");
        dir
    }

    /// A copy of the example `name` in the home.
    ///
    /// # Panics
    /// When it cannot be copied.
    pub fn example(&self, name: &str) -> PathBuf {
        self.system(&repository().join("examples").join(name), name)
    }

    /// A copy of the system directory `from` in the home, called `name`, without images and locks.
    ///
    /// # Panics
    /// When it cannot be copied.
    pub fn system(&self, from: &Path, name: &str) -> PathBuf {
        let to = self.path(name);
        let copied = Command::new("cp").arg("-r").arg(from).arg(&to).status().expect("cp");
        assert!(copied.success(), "copy {}", from.display());
        let _ = std::fs::remove_dir_all(to.join("images"));
        for lock in ["hoopy.lock", "hoopy-x86_64.lock", "hoopy-aarch64.lock"] {
            let _ = std::fs::remove_file(to.join(lock));
        }
        to
    }

    /// The program with these arguments, the mirror, and an environment that holds nothing else.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_of(&self.program, args)
    }

    /// The same of another program.
    pub fn command_of(&self, program: &Path, args: &[&str]) -> Command {
        let mirror = mirror();
        let mut command = Command::new(program);
        command.args(args).current_dir(self.dir.path()).env_clear();
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin").env("HOME", self.dir.path());
        command.env("HOOPY_MIRROR", mirror.alpine).env("HOOPY_KEYS", mirror.keys);
        command.env("SOURCE_DATE_EPOCH", "1790000000");
        command
    }

    /// The same of a program that is to be interrupted as by a terminal. Where tests run in the background of a
    /// shell, or under nohup, signals are ignored, and every program that is started inherits that.
    pub fn interruptible(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = self.command_of(Path::new("env"), &["--default-signal=INT,QUIT,HUP,TERM"]);
        command.arg(program).args(args);
        command
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("start the program")
    }

    /// Runs it; its standard output.
    ///
    /// # Panics
    /// When it fails.
    pub fn ok(&self, args: &[&str]) -> String {
        let out = self.run(args);
        let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{args:?}: {}\n{stderr}", out.status);
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// Runs it; its standard error, and the exit code that it must have.
    ///
    /// # Panics
    /// When it ends otherwise.
    pub fn fails(&self, code: i32, args: &[&str]) -> String {
        let out = self.run(args);
        let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(code), "{args:?}: {}\n{stderr}", out.status);
        stderr
    }
}

/// Says that this test, or a part of it, does not run here, and why.
///
/// # Panics
/// With `HOOPY_NO_SKIP=1`, as `cargo xtask test` sets it: CI has all that tests need, and a test that
/// stops running there must not look like one that passes.
#[track_caller]
pub fn skip(why: impl Display) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("test");
    assert!(
        std::env::var_os("HOOPY_NO_SKIP").is_none_or(|set| set != "1"),
        "{test} cannot run here, and HOOPY_NO_SKIP=1 forbids skipping: {why}"
    );
    // Written directly: the test harness hides what print macros write in a test that passes.
    let _ = writeln!(std::io::stderr(), "\nSKIPPED {test}: {why}");
}

/// Looks again and again whether it `is` so, for this long at most.
pub fn soon(within: Duration, mut is: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while started.elapsed() < within {
        if is() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// How `child` ended, which it must do within this time.
///
/// # Panics
/// When it still runs then; it is killed.
#[track_caller]
pub fn ended(child: &mut Child, within: Duration) -> ExitStatus {
    let mut status = None;
    soon(within, || {
        status = child.try_wait().expect("wait for a child");
        status.is_some()
    });
    status.unwrap_or_else(|| {
        let _ = child.kill();
        let _ = child.wait();
        panic!("process {} still ran after {within:?}", child.id())
    })
}

/// The real `apk` with these arguments.
pub fn apk(args: &[&str]) -> Command {
    let root = mirror().apk_root;
    let loader = format!("lib/ld-musl-{}.so.1", std::env::consts::ARCH);
    let libraries = format!("{0}/lib:{0}/usr/lib", root.display());
    let mut command = Command::new(root.join(loader));
    command.arg("--library-path").arg(libraries).arg(root.join("sbin/apk")).args(args).env_clear();
    command
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// The test runs itself with the variable set, since a process has one environment for all of its tests.
    #[test]
    fn skipping_fails_where_it_is_forbidden_and_is_seen_elsewhere() {
        const INSIDE: &str = "HOOPY_TESTKIT_SKIPS";
        if std::env::var_os(INSIDE).is_some() {
            return skip("for a test");
        }
        let run = |no_skip: &str| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.arg("skipping_fails_where").env(INSIDE, "1").env("HOOPY_NO_SKIP", no_skip);
            command.output().unwrap()
        };
        let skipped = run("0");
        let said = String::from_utf8_lossy(&skipped.stderr).into_owned();
        assert!(skipped.status.success() && said.contains(": for a test"), "{said}");
        assert!(!run("1").status.success());
    }
}
