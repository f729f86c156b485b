//! What goes wrong under a build: kills, full disks, damage, other users. The next run always works, and gives the
//! same bytes.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hoopy_testkit::{Home, mirror, soon};

const BUILD: [&str; 5] = ["build", "s", "--quiet", "--image-version", "1"];

/// How often a build is killed, at instants spread over the whole of it.
const KILLS: u32 = 12;

fn home() -> Home {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let dir = home.small("s");
    fs::write(dir.join("setup.sh"), "#!/bin/sh\nset -e\nrc-update -q add hostname boot\nadduser -D me\n")
        .unwrap();
    fs::set_permissions(dir.join("setup.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    home
}

fn image(home: &Home) -> Vec<u8> {
    fs::read(home.path("s/images/small-1.efi")).unwrap()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.flat_map(|e| if e.path().is_dir() { files(&e.path()) } else { vec![e.path()] }).collect()
}

/// Forgets all that a build made but the downloads.
fn forget(store: &Path) {
    for dir in ["layer", "data", "recipe", "segment"] {
        let _ = fs::remove_dir_all(store.join(dir));
    }
}

/// Long enough for a build, where the signal comes after its end.
const ENDED: Duration = Duration::from_secs(60);

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

/// Processes that run the program `file`, which nobody else runs, and its helpers: these run a copy of it in memory, and
/// work in the store beside it.
fn running(file: &Path) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|e| e.path());
    let store = file.with_file_name("store");
    let is_ours = |p: &PathBuf| {
        let link = |name: &str| fs::read_link(p.join(name)).unwrap_or_default();
        link("exe") == file || link("cwd").starts_with(&store)
    };
    let ours = processes.filter(is_ours);
    ours.map(|p| p.display().to_string()).collect()
}

fn wait_for_none(file: &Path) {
    let gone = soon(Duration::from_secs(10), || running(file).is_empty());
    assert!(gone, "still running: {:?}", running(file));
}

/// Mounts below `home`, and those that hoopy gives its name as their source (`proc_pid_mountinfo(5)`).
fn mounts(home: &Home) -> Vec<String> {
    let below = home.path("").display().to_string();
    let is_ours = |line: &&str| line.contains(below.as_str()) || line.contains(" hoopy ");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts.lines().filter(is_ours).map(str::to_owned).collect()
}

/// Starts a build with a program of its own name, signals it after `wait`, and checks what is left.
fn interrupt(home: &Home, program: &Path, signal: &str, wait: Duration) {
    let mut command = home.interruptible(program, &BUILD);
    command.args(["--store", "store"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    std::thread::sleep(wait);
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    hoopy_testkit::ended(&mut child, ENDED);
    wait_for_none(program);
    assert_eq!(mounts(home), Vec::<String>::new(), "mounts are left");
    let left = files(&home.path("s/images"));
    let whole = home.path("s/images/small-1.efi");
    assert!(left.iter().all(|file| *file == whole), "left behind: {left:?}");
}

fn interrupted_anywhere(signal: &str) {
    let home = home();
    let program = home.path("hoopy-under-test");
    fs::copy(env!("CARGO_BIN_EXE_hoopy"), &program).unwrap();
    home.ok(&["lock", "s", "--store", "store"]);
    let start = Instant::now();
    home.ok(&[&BUILD[..], &["--store", "store"]].concat());
    let (took, reference) = (start.elapsed(), image(&home));
    for kill in 0..KILLS {
        if kill % 3 == 0 {
            forget(&home.path("store"));
        }
        fs::remove_dir_all(home.path("s/images")).unwrap();
        fs::create_dir(home.path("s/images")).unwrap();
        interrupt(&home, &program, signal, took * kill / KILLS);
    }
    home.ok(&[&BUILD[..], &["--store", "store"]].concat());
    assert!(image(&home) == reference, "after {signal}, the image differs");
    assert_eq!(files(&home.path("store/tmp")), Vec::<PathBuf>::new());
}

#[test]
fn a_build_killed_at_any_instant_is_taken_up_by_the_next() {
    interrupted_anywhere("-KILL");
}

#[test]
fn ctrl_c_at_any_instant_leaves_nothing_behind() {
    interrupted_anywhere("-INT");
}

#[test]
fn damage_anywhere_in_the_store_is_found_and_mended() {
    let home = home();
    home.ok(&[&BUILD[..], &["--store", "store"]].concat());
    let reference = image(&home);
    for dir in ["layer", "data", "recipe", "segment", "blob"] {
        for file in files(&home.path("store").join(dir)) {
            let mut bytes = fs::read(&file).unwrap();
            let middle = bytes.len() / 2;
            match bytes.get_mut(middle) {
                Some(byte) => *byte ^= 1,
                None => continue,
            }
            fs::write(&file, bytes).unwrap();
        }
        fs::remove_dir_all(home.path("s/images")).unwrap();
        home.ok(&[&BUILD[..], &["--store", "store"]].concat());
        assert!(image(&home) == reference, "damage in {dir}/ shows in the image");
    }
}

#[test]
fn a_truncated_store_is_mended() {
    let home = home();
    home.ok(&[&BUILD[..], &["--store", "store"]].concat());
    let reference = image(&home);
    for dir in ["layer", "data", "recipe", "segment"] {
        for file in files(&home.path("store").join(dir)) {
            let half = fs::metadata(&file).unwrap().len() / 2;
            fs::File::options().write(true).open(&file).unwrap().set_len(half).unwrap();
        }
        fs::remove_dir_all(home.path("s/images")).unwrap();
        home.ok(&[&BUILD[..], &["--store", "store"]].concat());
        assert!(image(&home) == reference, "truncation in {dir}/ shows in the image");
    }
}

#[test]
fn a_full_disk_is_said_and_the_next_build_with_room_works() {
    if !is_root() {
        hoopy_testkit::skip("only root may mount a small disk");
        return;
    }
    let home = home();
    home.ok(&["lock", "s", "--store", "store"]);
    // While packages come; and while layers are made and unpacked for scripts, which was said to be a script's fault.
    for script in [
        "mkdir -p small && mount -t tmpfs -o size=1m none small && \"$@\"",
        "mkdir -p small && mount -t tmpfs -o size=70m none small && cp -r store/blob small/ && \"$@\"",
    ] {
        let message = full(&home, script, &["--store", "small"]);
        assert!(message.contains("hint: free some space with `hoopy gc`"), "{message}");
        assert_eq!(files(&home.path("s/images")), Vec::<PathBuf>::new());
    }
    home.ok(&[&BUILD[..], &["--store", "store"]].concat());
}

/// What a build says for which `script` makes too small a disk.
fn full(home: &Home, script: &str, more: &[&str]) -> String {
    let hoopy = env!("CARGO_BIN_EXE_hoopy");
    let mut command = home.command_of(Path::new("unshare"), &["--mount", "sh", "-c", script, "sh", hoopy]);
    let out = command.args(BUILD).args(more).output().unwrap();
    let message = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "{message}");
    assert!(message.contains("No space left on device"), "{message}");
    message
}

/// For an archive it was said without the file.
#[test]
fn a_full_disk_for_images_is_said_with_the_file_that_does_not_fit() {
    if !is_root() {
        hoopy_testkit::skip("only root may mount a small disk");
        return;
    }
    let home = home();
    home.ok(&["lock", "s", "--store", "store"]);
    let script = "mkdir -p s/images && mount -t tmpfs -o size=200k none s/images && \"$@\"";
    for (output, file) in [("tar", "small-1.tar"), ("uki", "small-1.efi")] {
        let message = full(&home, script, &["--store", "store", "--output", output]);
        assert!(message.contains(&format!("images/{file}: No space left on device")), "{message}");
        assert!(message.contains("hint: free some space on the disk of that file"), "{message}");
    }
}

/// Runs hoopy as an ordinary user, with these lines as /etc/subuid and /etc/subgid.
fn as_user(home: &Home, subids: &str, args: &[&str]) -> std::process::Output {
    const USER: &str = "61234";
    fs::write(home.path("subids"), subids).unwrap();
    fs::write(home.path("passwd"), format!("root:x:0:0::/:/bin/sh\nbuilder:x:{USER}:{USER}::/:/bin/sh\n"))
        .unwrap();
    let owned = Command::new("chown").args(["-R", USER]).arg(home.path(".")).status().unwrap();
    assert!(owned.success());
    fs::set_permissions(home.path("."), PermissionsExt::from_mode(0o755)).unwrap();
    let program = home.path("hoopy-of-user");
    fs::copy(env!("CARGO_BIN_EXE_hoopy"), &program).unwrap();
    let script = format!(
        "touch /etc/subuid /etc/subgid && mount --bind subids /etc/subuid && mount --bind subids /etc/subgid && \
         mount --bind passwd /etc/passwd && \
         exec setpriv --reuid {USER} --regid {USER} --clear-groups -- \"$@\""
    );
    let mut command = home.command_of(Path::new("unshare"), &["--mount", "sh", "-c", &script, "sh"]);
    command.arg(program).args(args).output().unwrap()
}

#[test]
fn an_ordinary_user_builds_the_same_bytes_as_root() {
    if !is_root() {
        hoopy_testkit::skip("only root may become another user");
        return;
    }
    let home = home();
    home.ok(&[&BUILD[..], &["--store", "of-root"]].concat());
    let reference = image(&home);
    fs::remove_dir_all(home.path("s/images")).unwrap();
    // The user may not look into the directories where the mirror is.
    let copied = Command::new("cp").arg("-r").arg(mirror().alpine).arg(home.path("alpine")).status().unwrap();
    assert!(copied.success());
    let copied = Command::new("cp").arg("-r").arg(mirror().keys).arg(home.path("keys")).status().unwrap();
    assert!(copied.success());
    let from = ["--store", "of-user", "--mirror", "alpine", "--keys", "keys"];
    let out = as_user(&home, "builder:200000:65536\n", &[&BUILD[..], &from].concat());
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(image(&home) == reference, "the user's image differs from root's");
}

#[test]
fn a_user_without_subordinate_ids_is_told_what_to_set() {
    if !is_root() {
        hoopy_testkit::skip("only root may become another user");
        return;
    }
    let home = home();
    // Left to itself, hoopy would run the scripts in a virtual machine.
    let out = as_user(&home, "", &[&BUILD[..], &["--store", "of-user", "--scripts", "native"]].concat());
    let message = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success(), "{message}");
    assert!(message.contains("/etc/subuid"), "{message}");
}

#[test]
fn a_truncated_download_is_refused_by_name() {
    let home = home();
    home.ok(&["lock", "s", "--store", "store"]);
    let copied = Command::new("cp").arg("-r").arg(mirror().alpine).arg(home.path("alpine")).status().unwrap();
    assert!(copied.success());
    let package = home.path("alpine/v3.23/main").join(std::env::consts::ARCH).join("musl-1.2.5-r23.apk");
    let half = fs::metadata(&package).unwrap().len() / 2;
    fs::File::options().write(true).open(&package).unwrap().set_len(half).unwrap();
    let message = home.fails(5, &[&BUILD[..], &["--store", "fresh", "--mirror", "alpine"]].concat());
    assert!(message.contains("musl-1.2.5-r23.apk"), "{message}");
    home.ok(&[&BUILD[..], &["--store", "fresh"]].concat());
}
