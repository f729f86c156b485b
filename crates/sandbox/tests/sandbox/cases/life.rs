//! How scripts and sessions begin and end.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use hoopy_base::digest::LayerId;
use hoopy_sandbox::{Ended, Limits, Lowers, Sandbox, SandboxConfig, SandboxError};

use crate::scene::{Scene, sandbox, script};

pub fn does_not_wait_for_daemons_left_behind(scene: &Scene) {
    let start = Instant::now();
    let (_, output) = scene.change(&[], "sleep 1000 & (sleep 1001 &) ; echo done");
    assert_eq!(output, "done\n");
    assert!(start.elapsed() < Duration::from_secs(60));
}

pub fn shows_the_output_and_line_of_a_failing_script(scene: &Scene) {
    let error = scene.run(&[], "echo before\nno-such-command\necho after").unwrap_err();
    let message = error.to_string();
    let SandboxError::ScriptFailed { name, ended, line, output } = error else { panic!("{message}") };
    assert_eq!((name.as_str(), ended, line), ("test-1.0-r0.post-install", Ended::Exit(127), Some(4)));
    assert!(output.starts_with(b"before\n") && !output.ends_with(b"after\n"));
    assert!(
        message.starts_with("test-1.0-r0.post-install failed with exit status 127 at line 4\nbefore\n"),
        "{message}"
    );
}

pub fn tells_a_missing_interpreter_from_a_failure(scene: &Scene) {
    let mut session = scene.session();
    let base = scene.alone(&mut session);
    let mut other = script("");
    other.body = b"#!/usr/bin/python3 -u\nprint()\n".to_vec();
    let error = session.run(&base, &other).unwrap_err();
    assert!(
        matches!(&error, SandboxError::NoInterpreter { interpreter, .. } if interpreter == "/usr/bin/python3 -u"),
        "{error}"
    );
    other.body = b"echo hello\n".to_vec();
    assert!(matches!(session.run(&base, &other).unwrap_err(), SandboxError::NoShebang { .. }));
    other.body = b"#!/etc/passwd\n".to_vec();
    assert!(matches!(session.run(&base, &other).unwrap_err(), SandboxError::CannotExecute { .. }));
}

pub fn goes_on_after_a_failed_script(scene: &Scene) {
    let mut session = scene.session();
    let base = scene.alone(&mut session);
    assert!(session.run(&base, &script("exit 3")).is_err());
    let missing = Lowers::of([(LayerId::of(b"x"), &[][..])]).unwrap();
    let error = session.run(&missing, &script("")).unwrap_err();
    assert!(matches!(error, SandboxError::MissingLayer(_)), "{error}");
    let mut elsewhere = script("true");
    elsewhere.cwd = "/no/such".into();
    let error = session.run(&base, &elsewhere).unwrap_err();
    assert!(error.to_string().starts_with("test-1.0-r0.post-install: cannot enter /no/such: "), "{error}");
    assert!(session.run(&base, &script("true")).is_ok());
}

pub fn names_the_signal_that_killed_a_script(scene: &Scene) {
    let error = scene.run(&[], "kill -9 $$").unwrap_err();
    assert!(matches!(error, SandboxError::ScriptFailed { ended: Ended::Signal(9), .. }), "{error}");
}

/// Dies with the case, however that ends.
struct Victim(std::process::Child);

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The other side of the next case.
pub fn be_killed(dir: &Path) -> ExitCode {
    let scene = Scene::new(dir);
    let mut session = sandbox(&dir.join("lowers"), Limits::default()).session().unwrap();
    let base = scene.alone(&mut session);
    let _ = session.run(&base, &script("touch /started; sleep 1000 & sleep 1000"));
    ExitCode::FAILURE
}

pub fn leaves_nothing_behind_when_killed(scene: &Scene) {
    let dir = scene.lowers.parent().unwrap();
    for file in [crate::scene::BUSYBOX.to_owned(), crate::scene::loader()] {
        fs::create_dir_all(dir.join(&file).parent().unwrap()).unwrap();
        fs::copy(scene.root().join(&file), dir.join(&file)).unwrap();
    }
    let victim = Command::new(std::env::current_exe().unwrap()).arg("--victim").arg(dir).spawn().unwrap();
    let mut victim = Victim(victim);
    // Two helpers, PID 1, the script's shell and what it started; root's has one more, which removes control groups
    let is_root = rustix::process::geteuid().is_root();
    wait_until("the script runs", || descendants(victim.0.id()).len() >= 6 + usize::from(is_root));
    let family = descendants(victim.0.id());
    assert_eq!(!groups(victim.0.id()).is_empty(), is_root, "root's scripts have control groups");
    assert_eq!(work_dirs(&scene.lowers).len(), 1);
    victim.0.kill().unwrap();
    victim.0.wait().unwrap();
    wait_until("all processes are gone", || {
        family
            .iter()
            .all(|pid| !fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty()))
    });
    wait_until("all control groups are gone", || groups(victim.0.id()).is_empty());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&*scene.lowers.to_string_lossy()), "{mounts}");
    // Whatever is left of the directory, the next session takes away
    let mut session = scene.session();
    assert_eq!(work_dirs(&scene.lowers).len(), 1);
    let base = scene.alone(&mut session);
    assert!(session.run(&base, &script("true")).is_ok());
    drop(session);
    assert_eq!(work_dirs(&scene.lowers).len(), 0);
}

fn work_dirs(lowers: &Path) -> Vec<std::path::PathBuf> {
    let dirs = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    dirs(lowers)
        .flat_map(|boot| {
            dirs(&boot).filter(|path| path.to_string_lossy().contains("/work-")).collect::<Vec<_>>()
        })
        .collect()
}

/// The control groups that a process made, wherever they are.
fn groups(of: u32) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![std::path::PathBuf::from("/sys/fs/cgroup")];
    while let Some(dir) = left.pop() {
        let is_dir = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        let below =
            fs::read_dir(dir).into_iter().flatten().flatten().filter(is_dir).map(|entry| entry.path());
        left.extend(below);
        found.extend(
            left.iter().filter(|path| path.to_string_lossy().contains(&format!("/hoopy-{of}-"))).cloned(),
        );
    }
    found
}

fn descendants(of: u32) -> Vec<u32> {
    let parent = |pid: u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    let all: Vec<u32> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|e| e.unwrap().file_name().to_str()?.parse().ok())
        .collect();
    let is_below =
        |pid: &u32| std::iter::successors(Some(*pid), |pid| parent(*pid)).skip(1).any(|pid| pid == of);
    all.into_iter().filter(is_below).collect()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn removes_what_another_boot_unpacked(scene: &Scene) {
    let mut session = scene.session();
    scene.alone(&mut session);
    drop(session);
    let current =
        fs::read_dir(&scene.lowers).unwrap().map(|e| e.unwrap()).find(|e| e.path().is_dir()).unwrap();
    let name = current.file_name().into_string().unwrap();
    let other = scene.lowers.join(name.replacen(&name[..8], "00000000", 1));
    fs::rename(current.path(), &other).unwrap();
    let session = scene.session();
    assert!(!other.exists() && current.path().exists());
    assert!(!session.has(scene.base.id()));
}

pub fn clears_unpacked_layers_that_nobody_uses(scene: &Scene) {
    let sandbox = scene.sandbox();
    let mut session = sandbox.session().unwrap();
    let base = scene.base.id();
    scene.base.unpack(&mut session);
    assert!(sandbox.clear(&[]).unwrap().is_none() && session.has(base));
    drop(session);
    assert_eq!(sandbox.clear(&[base]).unwrap(), Some((0, 0)));
    let (layers, bytes) = sandbox.clear(&[]).unwrap().unwrap();
    assert!(layers == 1 && bytes > 0, "{layers} layers, {bytes} bytes");
    assert!(!sandbox.session().unwrap().has(base));
}

pub fn runs_sessions_side_by_side(scene: &Scene) {
    let sandbox = scene.sandbox();
    let start = Instant::now();
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                let mut session = sandbox.session().unwrap();
                let base = scene.alone(&mut session);
                session.run(&base, &script("echo x > /etc/x; sleep 1")).unwrap()
            });
        }
    });
    assert!(start.elapsed() < Duration::from_secs(30));
}

/// Runs as a user with a range of 1000 ids.
pub fn refuse_a_user_with_few_ids() -> ExitCode {
    let dir = tempfile::tempdir().unwrap();
    let config = SandboxConfig {
        helper: std::env::current_exe().unwrap(),
        lowers: dir.path().into(),
        limits: Limits::default(),
    };
    let error = Sandbox::new(config).unwrap_err();
    let start =
        "user nobody has 1000 subordinate ids in /etc/subuid and scripts need 65535: run `sudo usermod ";
    assert!(error.to_string().starts_with(start), "{error}");
    println!("test refuses_a_user_with_few_ids ... ok");
    ExitCode::SUCCESS
}
