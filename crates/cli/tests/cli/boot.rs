//! Booting for real: the very file that was built, UEFI firmware, a login, a look around, all by `hoopy build` and
//! `hoopy run`.
//!
//! Every directory `boot/NAME/` is a case: `system/` is what is built and `session` what is typed and expected, in
//! the form that [`hoopy_testkit::session`] describes. `packages` may hold packages of the case's own
//! ([`hoopy_testkit::package`]). `HOOPY_BOOT=NAME` runs those with this text in their name alone.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hoopy_testkit::session::{Session, Step, fits, matches};
use hoopy_testkit::{Home, package, repository};
use hoopy_vm::Console;

/// Generous: emulation on a busy machine.
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_secs(60);

/// How many machines run at a time: each keeps a processor busy.
const AT_A_TIME: usize = 2;

#[test]
fn every_case_boots_and_answers_as_its_session_says() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/boot");
    let only = std::env::var("HOOPY_BOOT").unwrap_or_default();
    let mut cases = VecDeque::new();
    let mut dirs: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    dirs.sort();
    for dir in dirs {
        let session = Session::parse(&fs::read_to_string(dir.join("session")).unwrap());
        let session = session.unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        for arch in &session.arches {
            let name = format!("{} on {arch}", dir.file_name().unwrap().to_string_lossy());
            if name.contains(&only) {
                cases.push_back(Case {
                    name,
                    dir: dir.clone(),
                    arch: arch.clone(),
                    session: session.clone(),
                });
            }
        }
    }
    assert!(!cases.is_empty(), "no case is called {only}");
    let (cases, failures) = (Mutex::new(cases), Mutex::new(Vec::new()));
    let work = || {
        while let Some(case) = { cases.lock().unwrap().pop_front() } {
            let started = Instant::now();
            let ended = case.run();
            let how = ended.as_ref().err().map_or("ok", String::as_str);
            println!("{}: {} s: {how}", case.name, started.elapsed().as_secs());
            failures.lock().unwrap().extend(ended.err().map(|e| format!("{}: {e}", case.name)));
        }
    };
    std::thread::scope(|scope| (0..AT_A_TIME).for_each(|_| drop(scope.spawn(work))));
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

struct Case {
    name: String,
    dir: PathBuf,
    arch: String,
    session: Session,
}

impl Case {
    fn run(&self) -> Result<(), String> {
        let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
        let from = self.session.system.as_ref().map(|s| repository().join(s));
        // Without a hoopy.toml, the directory's name is the machine's
        let name = self.dir.file_name().unwrap().to_string_lossy().into_owned();
        home.system(&from.unwrap_or(self.dir.join("system")), &name);
        let mut global = vec!["--arch".to_owned(), self.arch.clone()];
        if let Ok(text) = fs::read_to_string(self.dir.join("packages")) {
            let mirror = home.path("mirror");
            package::extended_mirror(&mirror, &self.arch, &text);
            global.extend(["--mirror".to_owned(), mirror.to_str().unwrap().to_owned()]);
        }
        let arg = |first: &[&str]| -> Vec<String> {
            first.iter().map(|&a| a.to_owned()).chain(global.iter().cloned()).collect()
        };
        let build = arg(&["build", &name, "--quiet"]);
        let out = home.run(&build.iter().map(String::as_str).collect::<Vec<_>>());
        if !out.status.success() {
            return Err(String::from_utf8_lossy(&out.stderr).into_owned());
        }
        let mut console = None;
        for step in &self.session.steps {
            self.step(step, &home, &arg(&["run", &name]), &mut console)?;
        }
        Ok(())
    }

    fn step(
        &self,
        step: &Step,
        home: &Home,
        run: &[String],
        console: &mut Option<Console>,
    ) -> Result<(), String> {
        let said = |e: hoopy_vm::VmError| e.to_string();
        match (step, console.as_mut()) {
            (Step::Login { user, password }, _) => {
                let command = home.command(&run.iter().map(String::as_str).collect::<Vec<_>>());
                let program = Path::new(env!("CARGO_BIN_EXE_hoopy"));
                let started = Console::of(program, &std::env::temp_dir(), |c| like(c, &command));
                let mut started = started.map_err(said)?;
                started.login(user, password.as_deref(), LONG).map_err(said)?;
                *console = Some(started);
            }
            (_, None) => return Err("the session has no login before its first command".to_owned()),
            (Step::Said(pattern), Some(running)) => {
                let words = running.words();
                if !words.lines().any(|line| fits(pattern, line)) {
                    return Err(format!("hoopy run did not say {pattern}\nbut:\n{words}"));
                }
            }
            (Step::Off, Some(running)) => {
                running.send("poweroff").map_err(said)?;
                running.wait(LONG).map_err(said)?;
                *console = None;
            }
            (Step::Run { line, command, expected }, Some(running)) => {
                let (status, mut output) = running.run(command, SHORT).map_err(said)?;
                if status != 0 {
                    output += &format!("\n? {status}");
                }
                let found: Vec<&str> = output.lines().map(str::trim_end).filter(|l| !l.is_empty()).collect();
                if !matches(expected, &found) {
                    let (expected, found) = (expected.join("\n"), found.join("\n"));
                    return Err(format!(
                        "session:{line}: $ {command}\nexpected:\n{expected}\nfound:\n{found}"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Gives a command the arguments, environment and directory of another.
fn like(command: &mut Command, other: &Command) {
    command.args(other.get_args()).env_clear();
    command.envs(other.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(dir) = other.get_current_dir() {
        command.current_dir(dir);
    }
}
