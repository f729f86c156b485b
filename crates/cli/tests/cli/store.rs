//! The store under stress: builds and `gc` at once, a kill at every write, damage, no right to write, two users.
//! What a build gives is always the same.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, thread};

use hoopy_testkit::{Home, mirror, package};

const HOOPY: &str = env!("CARGO_BIN_EXE_hoopy");

/// Two packages with a script each, and what passes for a kernel: a build of all takes a fraction of a second.
const PACKAGES: &str = "package linux-tiny 1-r0\nfile boot/vmlinuz-tiny 644 no kernel\n\
    package first 1-r0\nfile etc/first 644 one\nfile usr/share/first 644 two\n\
    script post-install echo scripted >/etc/made\n\
    package second 1-r0\ndepends first\nfile etc/second 644 three\n";

/// A home with the system `s`, a mirror with those packages, and a lock.
fn home() -> Home {
    let home = Home::new(HOOPY);
    let dir = home.small("s");
    package::extended_mirror(&home.path("mirror"), std::env::consts::ARCH, PACKAGES);
    fs::write(dir.join("packages"), "busybox-binsh\nsecond\nlinux-tiny\n").unwrap();
    fs::write(dir.join("setup.sh"), "#!/bin/sh\nset -e\necho set up >/etc/done\nrm /etc/second\n").unwrap();
    fs::set_permissions(dir.join("setup.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    home.ok(&["lock", "s", "--mirror", "mirror", "--store", "store"]);
    home
}

fn args<'a>(system: &'a str, store: &'a str) -> [&'a str; 11] {
    let of = ["build", system, "--quiet", "--image-version", "1", "--output", "tar"];
    let more = ["--mirror", "mirror", "--store", store];
    let mut all = [""; 11];
    all[..7].copy_from_slice(&of);
    all[7..].copy_from_slice(&more);
    all
}

/// Builds `s` anew in `store`; its bytes.
fn build(home: &Home, store: &str) -> Vec<u8> {
    let _ = fs::remove_dir_all(home.path("s/images"));
    home.ok(&args("s", store));
    image(home, "s")
}

fn image(home: &Home, system: &str) -> Vec<u8> {
    fs::read(home.path(system).join("images/small-1.tar")).unwrap()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.flat_map(|e| if e.path().is_dir() { files(&e.path()) } else { vec![e.path()] }).collect();
    files.sort();
    files
}

const PARTS: [&str; 5] = ["blob", "layer", "data", "recipe", "segment"];

fn parts(store: &Path) -> Vec<PathBuf> {
    PARTS.iter().flat_map(|part| files(&store.join(part))).collect()
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

#[test]
fn builds_at_once_share_a_store_and_give_the_same_bytes() {
    let home = home();
    let reference = build(&home, "alone");
    let systems = ["s", "t", "u"];
    fs::remove_dir_all(home.path("s/images")).unwrap();
    systems[1..].iter().for_each(|system| copy(&home.path("s"), &home.path(system)));
    thread::scope(|threads| {
        for system in systems {
            let home = &home;
            threads.spawn(move || home.ok(&args(system, "shared")));
        }
    });
    for system in systems {
        assert!(image(&home, system) == reference, "{system} differs");
    }
    home.ok(&["store", "verify", "--store", "shared"]);
}

#[test]
fn gc_in_a_loop_beside_builds_in_a_loop_takes_nothing_that_they_use() {
    let home = home();
    let reference = build(&home, "store");
    copy(&home.path("s"), &home.path("t"));
    let done = AtomicBool::new(false);
    let collected = thread::scope(|threads| {
        let collector = threads.spawn(|| {
            let mut rounds = 0;
            while !done.load(Ordering::Relaxed) {
                // All that no build holds at the moment.
                home.ok(&["gc", "--keep-days", "0", "--quiet", "--store", "store"]);
                rounds += 1;
            }
            rounds
        });
        let builders = ["s", "t"].map(|system| {
            let (home, reference) = (&home, &reference);
            threads.spawn(move || {
                for round in 0..5 {
                    let _ = fs::remove_dir_all(home.path(system).join("images"));
                    home.ok(&args(system, "store"));
                    assert!(image(home, system) == *reference, "{system} differs in round {round}");
                }
            })
        });
        let results = builders.map(thread::ScopedJoinHandle::join);
        done.store(true, Ordering::Relaxed);
        let rounds = collector.join().unwrap();
        results.into_iter().for_each(|result| result.unwrap());
        rounds
    });
    assert!(collected > 0, "gc never had its turn");
}

/// The calls by which a file of the store, or the image, gets or loses a name, or grows under one. What is written
/// elsewhere has no name yet: a kill in between is a kill before the next of these.
const NAMING: &str = "linkat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,ftruncate,fsync,flock";

/// So many of them are tried at most, spread over the whole build; HOOPY_EVERY_WRITE tries all.
const KILLS: usize = 16;

#[test]
fn a_build_killed_at_any_write_is_taken_up_by_the_next() {
    if !Command::new("strace").args(["-f", "true"]).output().is_ok_and(|out| out.status.success()) {
        hoopy_testkit::skip("no strace here, or it may not trace");
        return;
    }
    let home = home();
    let reference = build(&home, "reference");
    let traced = |inject: &[&str]| {
        let _ = fs::remove_dir_all(home.path("s/images"));
        let _ = fs::remove_dir_all(home.path("killed"));
        let mut command = home.command_of(Path::new("strace"), &["-f", "-o", "calls", "-e"]);
        command.arg(format!("trace={NAMING}")).args(inject).arg(HOOPY).args(args("s", "killed"));
        command.output().unwrap()
    };
    assert!(traced(&[]).status.success());
    let calls = fs::read_to_string(home.path("calls")).unwrap();
    let count = calls.lines().filter(|line| line.contains('(') && !line.contains("resumed>")).count();
    assert!(count > 40, "strace saw {count} calls only");
    let every = std::env::var_os("HOOPY_EVERY_WRITE").is_some();
    let kills = if every { count } else { count.min(KILLS) };
    for kill in 0..kills {
        let at = 1 + kill * count / kills;
        let out = traced(&["-e", &format!("inject={NAMING}:signal=KILL:when={at}")]);
        let finished = home.path("s/images/small-1.tar").exists();
        assert!(!out.status.success() || finished, "killed at {at}: {}", said(&out));
        assert!(!finished || image(&home, "s") == reference, "killed at {at}: a wrong image");
        let left = files(&home.path("s/images"));
        assert!(left.len() <= 1, "killed at {at}, left: {left:?}");
        assert!(build(&home, "killed") == reference, "killed at {at}: the next build differs");
        home.ok(&["store", "verify", "--quiet", "--store", "killed"]);
        assert_eq!(files(&home.path("killed/tmp")), Vec::<PathBuf>::new(), "killed at {at}");
    }
    println!("killed at {kills} of {count} calls");
}

#[test]
fn verify_names_what_is_damaged_and_the_next_build_makes_it_again() {
    let home = home();
    for part in PARTS {
        // A new store for each: a build that repairs one may leave behind what it guessed wrongly and nothing uses.
        let reference = build(&home, part);
        let damaged: Vec<PathBuf> = files(&home.path(part).join(part))
            .into_iter()
            .filter(|file| {
                let mut bytes = fs::read(file).unwrap();
                let middle = bytes.len() / 2;
                let Some(byte) = bytes.get_mut(middle) else { return false };
                *byte ^= 1;
                fs::write(file, bytes).unwrap();
                true
            })
            .collect();
        let out = home.run(&["store", "verify", "--store", part]);
        let told = String::from_utf8(out.stdout.clone()).unwrap();
        assert_eq!(out.status.code(), Some(1), "{part}: {told}");
        for file in damaged {
            let name = file.file_name().unwrap().to_str().unwrap();
            assert!(told.contains(name), "{part}: {name} is not in\n{told}");
            assert!(!file.exists(), "{} is still there", file.display());
        }
        assert!(home.ok(&["store", "verify", "--store", part]).contains("damaged   0"));
        assert!(build(&home, part) == reference, "damage in {part}/ shows in the image");
    }
}

#[test]
fn truncated_and_emptied_files_of_every_kind_are_never_used() {
    let home = home();
    let reference = build(&home, "store");
    for part in PARTS.iter().chain(&["used"]) {
        for share in [0, 2] {
            for file in files(&home.path("store").join(part)) {
                let len = fs::metadata(&file).unwrap().len();
                let left = len.checked_div(share).unwrap_or(0);
                fs::File::options().write(true).open(&file).unwrap().set_len(left).unwrap();
            }
            assert!(build(&home, "store") == reference, "{part}/ cut to 1/{share} shows in the image");
        }
    }
    home.ok(&["gc", "--store", "store"]);
    assert!(build(&home, "store") == reference);
}

/// Sets the times of all these files 40 days back, as if nobody had made or used them since.
fn age(files: &[PathBuf]) {
    assert!(Command::new("touch").args(["-d", "40 days ago"]).args(files).status().unwrap().success());
}

#[test]
fn gc_keeps_what_a_build_of_the_last_days_used_however_old_it_is() {
    let home = home();
    let reference = build(&home, "store");
    let store = home.path("store");
    let gc = |more: &[&str]| home.ok(&[&["gc", "--store", "store"], more].concat());
    let all = parts(&store);
    // Made long ago, used today.
    age(&all);
    gc(&[]);
    let left = parts(&store);
    assert!(all.iter().filter(|file| !left.contains(file)).count() == 0, "{all:#?}\n{left:#?}");
    // Used long ago, and wanted again today without any change.
    age(&files(&store.join("used")));
    home.ok(&args("s", "store"));
    gc(&[]);
    let kept = parts(&store);
    assert!(files(&store.join("segment")).iter().all(|file| kept.contains(file)));
    assert!(build(&home, "store") == reference);
    // Not wanted for long: all of it goes, and is made again.
    age(&[parts(&store), files(&store.join("used"))].concat());
    let shown = gc(&["--dry-run"]);
    assert!(shown.starts_with("would free"), "{shown}");
    assert!(!parts(&store).is_empty(), "a dry run removed something");
    gc(&[]);
    assert_eq!(parts(&store), Vec::<PathBuf>::new());
    assert!(build(&home, "store") == reference);
    gc(&["--max-size", "1K"]);
    assert!(parts(&store).len() <= 1);
    assert!(build(&home, "store") == reference);
}

#[test]
fn gc_removes_nothing_where_there_is_no_store() {
    let home = Home::new(HOOPY);
    fs::create_dir_all(home.path("mine/blob")).unwrap();
    fs::write(home.path("mine/blob/file"), "mine").unwrap();
    let message = home.fails(1, &["gc", "--store", "mine"]);
    assert!(message.contains("not a store of hoopy"), "{message}");
    assert!(home.path("mine/blob/file").exists());
}

#[test]
fn a_store_that_is_read_only_serves_what_it_has_and_says_what_it_cannot() {
    if !is_root() {
        hoopy_testkit::skip("only root may mount a directory read-only");
        return;
    }
    let home = home();
    let reference = build(&home, "store");
    let read_only = |args: &[&str]| {
        let script = "mount --bind store store && mount -o remount,bind,ro store && exec \"$@\"";
        let mut command =
            home.command_of(Path::new("unshare"), &["--mount", "sh", "-c", script, "sh", HOOPY]);
        command.args(args).output().unwrap()
    };
    let out = read_only(&args("s", "store"));
    assert!(out.status.success(), "{}", said(&out));
    fs::remove_dir_all(home.path("s/images")).unwrap();
    fs::write(home.path("s/root/etc/hostname"), "other\n").unwrap();
    let out = read_only(&args("s", "store"));
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    assert!(said(&out).contains("store cannot be written to: Read-only file system"), "{}", said(&out));
    assert!(said(&out).contains("name a store that you can write to with --store"), "{}", said(&out));
    assert_eq!(files(&home.path("s/images")), Vec::<PathBuf>::new());
    let out = read_only(&["gc", "--store", "store", "--keep-days", "0"]);
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    fs::write(home.path("s/root/etc/hostname"), "small\n").unwrap();
    assert!(build(&home, "store") == reference);
}

/// Runs hoopy as the user `uid` of group 61000, with subordinate ids of its own.
fn as_user(home: &Home, uid: u32, args: &[&str]) -> Output {
    let passwd = |uid| format!("user{uid}:x:{uid}:{uid}::/:/bin/sh\n");
    fs::write(home.path("passwd"), ["root:x:0:0::/:/bin/sh\n", &passwd(61001), &passwd(61002)].concat())
        .unwrap();
    fs::write(home.path("subids"), "user61001:200000:65536\nuser61002:300000:65536\n").unwrap();
    let script = format!(
        "touch /etc/subuid /etc/subgid && mount --bind subids /etc/subuid && mount --bind subids /etc/subgid && \
         mount --bind passwd /etc/passwd && umask 022 && \
         exec setpriv --reuid {uid} --regid {uid} --groups 61000 -- \"$@\""
    );
    let mut command = home.command_of(Path::new("unshare"), &["--mount", "sh", "-c", &script, "sh"]);
    command.arg(home.path("hoopy-of-user")).args(args).output().unwrap()
}

#[test]
fn two_users_of_a_group_share_a_store() {
    if !is_root() {
        hoopy_testkit::skip("only root may become other users");
        return;
    }
    let home = home();
    let reference = build(&home, "of-root");
    fs::remove_dir_all(home.path("s/images")).unwrap();
    // The users may not look into the directories where the mirror and the program are.
    for (from, to) in [(mirror().keys.as_path(), "keys"), (Path::new(HOOPY), "hoopy-of-user")] {
        copy(from, &home.path(to));
    }
    assert!(
        Command::new("cp")
            .arg("-rL")
            .args([home.path("mirror"), home.path("alpine")])
            .status()
            .unwrap()
            .success()
    );
    fs::create_dir(home.path("shared")).unwrap();
    fs::set_permissions(home.path("."), PermissionsExt::from_mode(0o755)).unwrap();
    assert!(Command::new("chown").arg("0:61000").arg(home.path("shared")).status().unwrap().success());
    fs::set_permissions(home.path("shared"), PermissionsExt::from_mode(0o2775)).unwrap();
    let uids = [61001, 61002];
    let build = |uid: u32| {
        let system = format!("s{uid}");
        let args: Vec<String> =
            args(&system, "shared").iter().map(|a| a.replace("mirror", "alpine")).collect();
        let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
        *args.iter_mut().find(|a| **a == "--alpine").unwrap() = "--mirror";
        let out = as_user(&home, uid, &[&args[..], &["--keys", "keys"]].concat());
        assert!(out.status.success(), "{uid}: {}", said(&out));
        assert!(image(&home, &system) == reference, "the image of {uid} differs");
    };
    for uid in uids {
        let system = home.path(&format!("s{uid}"));
        copy(&home.path("s"), &system);
        assert!(
            Command::new("chown").args(["-R", &uid.to_string()]).arg(&system).status().unwrap().success()
        );
    }
    uids.into_iter().for_each(build);
    // What the first one made serves the second one, and each may remove what the other made.
    let made_by = |uid: u32| {
        parts(&home.path("shared")).iter().filter(|f| fs::metadata(f).unwrap().uid() == uid).count()
    };
    assert!(made_by(uids[0]) > 10 && made_by(uids[1]) < 10, "{} and {}", made_by(uids[0]), made_by(uids[1]));
    let out = as_user(&home, uids[1], &["gc", "--keep-days", "0", "--store", "shared"]);
    assert!(out.status.success(), "{}", said(&out));
    assert_eq!(made_by(uids[0]), 0);
    for uid in uids {
        fs::remove_dir_all(home.path(&format!("s{uid}/images"))).unwrap();
        build(uid);
    }
}
