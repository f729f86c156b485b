//! Scripts in the native sandbox, over layers with the real BusyBox and musl.
//!
//! The binary is its own helper (`__sandbox`), its own victim (`--victim`, which is killed half way) and, where
//! root runs it, its own ordinary user: it starts itself once more as `nobody`, with a range of subordinate ids that
//! exists only in a private mount namespace, so that the host's `/etc` stays as it is. Root's own run is in such a
//! namespace too, with copies of what the attacks of `tests/escape/` would change if they got out.
#![expect(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tests say what they skip")]

mod cases;
mod escape;
mod scene;

use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use scene::Scene;

/// uid and gid of `nobody`, who is in every `/etc/passwd`.
const NOBODY: u32 = 65534;

/// Puts files over `/etc/subuid` and `/etc/subgid`, then runs the rest as `nobody`.
const AS_NOBODY: &str = "mount --bind \"$1\" /etc/subuid && mount --bind \"$1\" /etc/subgid && shift && \
                         exec setpriv --reuid 65534 --regid 65534 --clear-groups \"$@\"";

/// Puts copies over the host's devices and files, then runs the rest as root.
const AS_ROOT: &str = "mkdir \"$1/dev\" && mount -t tmpfs dev \"$1/dev\" && for name in null zero full random urandom tty; do
                           cp -a /dev/$name \"$1/dev/$name\" && mount --bind \"$1/dev/$name\" /dev/$name || exit 1
                       done && for name in resolv.conf hosts passwd; do
                           cp /etc/$name \"$1/$name\" && mount --bind \"$1/$name\" /etc/$name || exit 1
                       done && shift && exec \"$@\"";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("__sandbox") => return hoopy_sandbox::helper_main(),
        Some("--victim") => return cases::be_killed(Path::new(&arguments[1])),
        Some("--few-ids") => return cases::refuse_a_user_with_few_ids(),
        Some("--list") => return ExitCode::SUCCESS,
        _ => {}
    }
    let Some(root) = apk_root() else {
        hoopy_testkit::skip(
            "all of the sandbox's tests: no target/mirror/apk-root (run `cargo xtask mirror`)",
        );
        return ExitCode::SUCCESS;
    };
    let is_root = rustix::process::geteuid().is_root();
    if is_root && !arguments.iter().any(|argument| argument == "--apart") {
        return run_apart(&arguments);
    }
    let as_user = arguments.iter().any(|argument| argument == "--as-user");
    let filter = arguments.iter().find(|argument| !argument.starts_with('-')).cloned().unwrap_or_default();
    let mut failed = run_all(&root, &filter, if as_user { "as an ordinary user" } else { "" });
    if !as_user && is_root {
        failed |= !run_as_nobody(&root, &filter);
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Runs all of it again where nothing of the host can be harmed.
fn run_apart(arguments: &[String]) -> ExitCode {
    let dir = tempfile::tempdir().unwrap();
    let exe = dir.path().join("exe");
    std::fs::copy("/proc/self/exe", &exe).unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-c", AS_ROOT, "sh"])
        .arg(dir.path())
        .arg(&exe);
    let status = command.arg("--apart").args(arguments).status();
    ExitCode::from(u8::from(!status.unwrap().success()))
}

fn run_all(root: &Path, filter: &str, how: &str) -> bool {
    let (mut passed, mut failed) = (0, 0);
    for (name, case) in cases::ALL.iter().filter(|(name, _)| name.contains(filter)) {
        let result = catch_unwind(AssertUnwindSafe(|| case(&Scene::new(root))));
        let verdict = if result.is_ok() { "ok" } else { "FAILED" };
        println!("test {name} {how}... {verdict}");
        if result.is_ok() { passed += 1 } else { failed += 1 }
    }
    for attack in escape::all().iter().filter(|attack| format!("escape::{}", attack.name).contains(filter)) {
        if let Some(lacking) = attack.lacks() {
            println!("SKIPPED: escape::{}: the machine has no {lacking}", attack.name);
            continue;
        }
        let result = catch_unwind(AssertUnwindSafe(|| attack.check(Scene::new(root))));
        let verdict = if result.is_ok() { "ok" } else { "FAILED" };
        println!("test escape::{} {how}... {verdict}", attack.name);
        if result.is_ok() { passed += 1 } else { failed += 1 }
    }
    println!("\n{passed} passed, {failed} failed {how}\n");
    failed > 0
}

fn run_as_nobody(root: &Path, filter: &str) -> bool {
    // Where nobody can read: the target directory may lie in root's home
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let (exe, ids, home) = (dir.path().join("exe"), dir.path().join("ids"), dir.path().join("home"));
    std::fs::copy("/proc/self/exe", &exe).unwrap();
    std::fs::write(&ids, "nobody:200000:65536\n").unwrap();
    std::fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
    for file in [scene::BUSYBOX, &scene::loader()] {
        let to = dir.path().join("root").join(file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(root.join(file), &to).unwrap();
    }
    escape::place(&escape::all(), &dir.path().join("escape"));
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", AS_NOBODY, "sh"]).arg(&ids).arg(&exe);
    command.args(["--as-user", filter]).current_dir("/");
    command.env("HOOPY_TEST_APK_ROOT", dir.path().join("root")).env("TMPDIR", &home);
    command.env("HOOPY_TEST_ESCAPE", dir.path().join("escape"));
    let mut without = Command::new("unshare");
    std::fs::write(dir.path().join("few"), "nobody:200000:1000\n").unwrap();
    without.args(["--mount", "--propagation", "private", "sh", "-c", AS_NOBODY, "sh"]);
    without
        .arg(dir.path().join("few"))
        .arg(&exe)
        .args(["--few-ids", "x"])
        .current_dir("/")
        .env("TMPDIR", &home);
    match command.status() {
        Ok(status) => status.success() & without.status().is_ok_and(|status| status.success()),
        Err(e) => {
            hoopy_testkit::skip(format_args!(
                "the sandbox's tests as an ordinary user: unshare(1) does not start: {e}"
            ));
            true
        }
    }
}

/// The installed Alpine that the stand-in mirror was made of.
fn apk_root() -> Option<PathBuf> {
    let given = std::env::var_os("HOOPY_TEST_APK_ROOT").map(PathBuf::from);
    let root =
        given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/mirror/apk-root"));
    root.join(scene::BUSYBOX).is_file().then_some(root)
}
