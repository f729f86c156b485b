//! Imports that do not come to their end: git sees no secret of theirs, whenever it is, and nothing stays.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hoopy_testkit::{Home, ended, soon};

use super::{home, overlay};

const SECRET: &str = "canary7c1";

/// An overlay with secrets, also under names that gitignore(5) has to quote, and a repository of git.
fn prepared() -> Home {
    let home = home();
    let key = format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n");
    fs::create_dir_all(home.path("overlay/etc/keys")).unwrap();
    for name in ["plain", "ends in a space ", "two\nlines", "#[x]*?!\\", "tab\t", " space", "ünïcode"] {
        fs::write(home.path("overlay/etc/keys").join(name), &key).unwrap();
    }
    fs::write(home.path("overlay/etc/shadow"), format!("root:$6$salt${SECRET}:20000:0:::::\n")).unwrap();
    overlay(&home, "box.apkovl.tar.gz");
    for dir in ["repo", "own/repo"] {
        fs::create_dir_all(home.path(dir)).unwrap();
        git(&home.path(dir), &["init", "-q"]);
    }
    home
}

fn git(dir: &Path, args: &[&str]) -> Vec<u8> {
    let ran = Command::new("git").args(args).current_dir(dir).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    ran.stdout
}

/// What `git add` would take in the repository `dir`.
fn seen(dir: &Path) -> Vec<PathBuf> {
    let names = git(dir, &["ls-files", "-o", "--exclude-standard", "-z"]);
    let names = String::from_utf8(names).unwrap();
    names.split('\0').filter(|name| !name.is_empty()).map(|name| dir.join(name)).collect()
}

fn assert_no_secret_is_seen(dir: &Path, when: &str) {
    for path in seen(dir) {
        let text = fs::read(&path).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&text).contains(SECRET), "{when}: git sees {}", path.display());
    }
}

fn begin(home: &Home, dir: &str) -> Child {
    let args = ["import", "box.apkovl.tar.gz", "--kernel", "virt", "--plain-secrets", "-o", dir];
    let mut command = home.interruptible(Path::new(env!("CARGO_BIN_EXE_hoopy")), &args);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// The directories in which imports work.
fn unfinished(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_string_lossy().contains(".hoopy-import-")).collect()
}

fn signal(child: &Child, name: &str) {
    let mut kill = Command::new("kill");
    assert!(kill.args(["-s", name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn git_sees_no_secret_of_an_import_whenever_it_is_killed() {
    let home = prepared();
    for repository in ["repo", "own/repo"] {
        // Into a directory of the repository, and into the repository itself.
        let to = if repository == "repo" { "repo/box" } else { repository };
        let (dir, to_dir) = (home.path(repository), home.path(to));
        // An import into what is there works within that.
        let parent = if to == repository { to_dir.clone() } else { to_dir.parent().unwrap().to_owned() };
        for file in ["", "hoopy.toml", "root", "root/etc/keys/plain", "passwords", "IMPORT.md", "/"] {
            let mut child = begin(&home, to);
            let there = || match file {
                // Its name is the last that it gets.
                "/" => to_dir.join("root").exists(),
                _ => unfinished(&parent).iter().any(|dir| dir.join(file).exists()),
            };
            let begun = Instant::now();
            while !there() && child.try_wait().unwrap().is_none() {
                assert!(
                    begun.elapsed() < Duration::from_secs(120),
                    "{to}, {file:?}: neither there nor ended"
                );
                std::thread::sleep(Duration::from_millis(1));
            }
            let _ = child.kill();
            child.wait().unwrap();
            assert_no_secret_is_seen(&dir, &format!("{to}, {file:?}"));
            if to_dir.join("root").exists() {
                break;
            }
        }
        // What is there half is no directory to import into.
        for name in fs::read_dir(&to_dir).into_iter().flatten().map(|entry| entry.unwrap().path()) {
            if !name.ends_with(".git") {
                let _ = fs::remove_file(&name).or_else(|_| fs::remove_dir_all(&name));
            }
        }
        assert!(ended(&mut begin(&home, to), Duration::from_secs(120)).success());
        assert!(unfinished(&parent).is_empty(), "{to}");
        assert_no_secret_is_seen(&dir, &format!("{to}, finished"));
        // All but the one with a line end, which no image can hold.
        assert_eq!(fs::read_dir(to_dir.join("root/etc/keys")).unwrap().count(), 6);
        assert!(seen(&dir).iter().any(|path| path.ends_with("root/etc/motd")), "{:?}", seen(&dir));
    }
}

#[test]
fn a_signal_leaves_nothing() {
    let home = prepared();
    let repository = home.path("repo");
    for (name, number) in [("INT", 2), ("TERM", 15)] {
        let mut child = begin(&home, "repo/box");
        assert!(soon(Duration::from_secs(60), || !unfinished(&repository).is_empty()));
        signal(&child, name);
        let status = ended(&mut child, Duration::from_secs(60));
        assert_eq!(status.signal(), Some(number), "{status}");
        assert!(unfinished(&repository).is_empty() && !repository.join("box").exists());
    }
}

#[test]
fn an_import_into_the_directory_of_the_shell_or_a_link_to_one_is_there_afterwards() {
    let home = prepared();
    fs::create_dir(home.path("here")).unwrap();
    fs::create_dir(home.path("there")).unwrap();
    std::os::unix::fs::symlink("there", home.path("link")).unwrap();
    let args = ["import", "../box.apkovl.tar.gz", "--kernel", "virt", "-o"];
    let mut here = home.command(&[&args[..], &["."]].concat());
    assert!(here.current_dir(home.path("here")).stdout(Stdio::null()).status().unwrap().success());
    home.ok(&["import", "box.apkovl.tar.gz", "--kernel", "virt", "-o", "link"]);
    for dir in ["here", "there"].map(|dir| home.path(dir)) {
        assert!(dir.join("root/etc/motd").exists() && dir.join("hoopy.toml").exists(), "{}", dir.display());
        assert!(unfinished(&dir).is_empty(), "{}", dir.display());
    }
}
