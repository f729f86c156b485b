//! Nothing stale survives: whatever a build could have seen otherwise, it sees, however the change was made.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use hoopy_testkit::{Home, package};

/// Longer than the time within which changes of a file cannot be told apart.
const SETTLED: Duration = Duration::from_millis(100);

const SETUP: &str = "#!/bin/sh\nset -e\ncat notes.txt > /etc/notes\n";

fn home() -> Home {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let dir = home.small("s");
    put(&dir.join("setup.sh"), SETUP);
    fs::set_permissions(dir.join("setup.sh"), Permissions::from_mode(0o755)).unwrap();
    put(&dir.join("notes.txt"), "one\n");
    put(&dir.join("root/etc/motd"), "hello\n");
    symlink("motd", dir.join("root/etc/link")).unwrap();
    home.ok(&["lock", "s"]);
    home
}

fn put(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

fn is_built(home: &Home) -> bool {
    !home.ok(&["build", "s"]).contains("up to date")
}

/// Builds until there is nothing to do; twice at most, since what was only just changed is looked at once more.
fn settle(home: &Home) {
    std::thread::sleep(SETTLED);
    home.ok(&["build", "s"]);
    assert!(!is_built(home));
}

/// As an archive or `touch -d` does it.
fn with_its_old_time(path: &Path, change: impl FnOnce()) {
    let before = fs::metadata(path).unwrap().modified().unwrap();
    change();
    File::options().write(true).open(path).unwrap().set_times(FileTimes::new().set_modified(before)).unwrap();
    assert_eq!(fs::metadata(path).unwrap().modified().unwrap(), before);
}

#[test]
fn every_change_of_the_directory_is_noticed() {
    let home = home();
    let dir = home.path("s");
    let motd = dir.join("root/etc/motd");
    let changes: [(&str, &dyn Fn()); 10] = [
        ("another text of the same length and time", &|| {
            with_its_old_time(&motd, || put(&motd, "HELLO\n"));
        }),
        ("another file of the same length and time under its name", &|| {
            let other = dir.join("root/other");
            put(&other, "Hello\n");
            let before = fs::metadata(&motd).unwrap().modified().unwrap();
            let file = File::options().write(true).open(&other).unwrap();
            file.set_times(FileTimes::new().set_modified(before)).unwrap();
            fs::rename(&other, &motd).unwrap();
        }),
        ("a mode", &|| fs::set_permissions(&motd, Permissions::from_mode(0o755)).unwrap()),
        ("a new file", &|| put(&dir.join("root/etc/new"), "")),
        ("a file gone", &|| fs::remove_file(dir.join("root/etc/new")).unwrap()),
        ("an empty directory", &|| fs::create_dir(dir.join("root/etc/empty")).unwrap()),
        ("the target of a link", &|| {
            fs::remove_file(dir.join("root/etc/link")).unwrap();
            symlink("mot2", dir.join("root/etc/link")).unwrap();
        }),
        ("a file that only setup.sh reads", &|| put(&dir.join("notes.txt"), "two\n")),
        ("setup.sh", &|| put(&dir.join("setup.sh"), &format!("{SETUP}rm /etc/notes\n"))),
        ("hoopy.toml", &|| {
            put(&dir.join("hoopy.toml"), "name = \"small\"\nmemory = \"512M\"\ncmdline = \"quiet\"\n")
        }),
    ];
    settle(&home);
    for (change, make) in changes {
        make();
        assert!(is_built(&home), "{change} went unnoticed");
        assert!(!is_built(&home), "{change} was noticed twice");
        settle(&home);
    }
}

#[test]
fn a_file_that_was_only_touched_is_read_and_found_the_same() {
    let home = home();
    settle(&home);
    let motd = home.path("s/root/etc/motd");
    let file = File::options().write(true).open(&motd).unwrap();
    file.set_times(FileTimes::new().set_modified(SystemTime::UNIX_EPOCH)).unwrap();
    assert!(!is_built(&home));
}

#[test]
fn an_image_that_is_gone_or_was_written_to_is_made_again() {
    let home = home();
    settle(&home);
    let image = home.path("s/images/small-2026092101.efi");
    let good = fs::read(&image).unwrap();
    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    fs::write(&image, bad).unwrap();
    assert!(is_built(&home), "a damaged image was taken for a good one");
    let second = home.path("s/images/small-2026092102.efi");
    assert_eq!(fs::metadata(&second).unwrap().size(), good.len() as u64);
    settle(&home);
    fs::remove_file(&second).unwrap();
    fs::remove_file(&image).unwrap();
    assert!(is_built(&home));
}

#[test]
fn what_git_says_is_asked_each_time() {
    let home = home();
    let dir = home.path("s");
    let git = |args: &[&str]| {
        let identity = ["-c", "user.name=me", "-c", "user.email=me@example.org"];
        let status = Command::new("git").arg("-C").arg(&dir).args(identity).args(args).status().unwrap();
        assert!(status.success(), "git {args:?}");
    };
    put(&dir.join(".gitignore"), "images/\n");
    git(&["init", "-q"]);
    git(&["add", "-A"]);
    git(&["commit", "-qm", "first"]);
    settle(&home);
    git(&["commit", "-q", "--allow-empty", "-m", "second"]);
    assert!(is_built(&home), "another commit went unnoticed");
    settle(&home);
    put(&dir.join(".gitignore"), "images/\n*.log\n");
    assert!(is_built(&home), "a change that is not committed went unnoticed");
}

#[test]
fn what_was_warned_of_is_warned_of_again() {
    let home = home();
    put(&home.path("s/root/etc/crlf.sh"), "#!/bin/sh\r\n");
    settle(&home);
    let said = |out: std::process::Output| String::from_utf8(out.stderr).unwrap();
    let again = said(home.run(&["build", "s"]));
    assert!(again.contains("warning: ") && again.contains("crlf.sh"), "{again}");
}

#[test]
fn a_change_while_a_build_looks_at_the_file_is_noticed_by_the_next() {
    let home = home();
    let motd = home.path("s/root/etc/motd");
    for delay in 0..20 {
        // Of the same length, within the same tick of the clock or not, before it is read or after.
        put(&motd, &format!("first {delay:02}\n"));
        let build = ["build", "s", "--output", "tar", "--quiet"];
        let mut going = home.command(&build).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay * 2));
        put(&motd, &format!("other {delay:02}\n"));
        assert!(hoopy_testkit::ended(&mut going, std::time::Duration::from_secs(60)).success());
        let archive = home.ok(&build);
        let found = extracted(Path::new(archive.trim_end()), "etc/motd");
        assert_eq!(found, format!("other {delay:02}\n"));
    }
}

/// The content of a file in the archive of the root that a build writes.
fn content(home: &Home, image: &str, path: &str) -> String {
    home.ok(&["build", "s", "--mirror", "mirror", "--output", "tar", "--image-version", image, "--quiet"]);
    extracted(&home.path(&format!("s/images/small-{image}.tar")), path)
}

fn extracted(archive: &Path, path: &str) -> String {
    let out = Command::new("tar").arg("-xOf").arg(archive).arg(path).output().unwrap();
    assert!(out.status.success(), "{path}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn a_script_runs_again_when_a_package_below_it_has_changed_and_only_then() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let dir = home.small("s");
    put(&dir.join("packages"), "alpine-base\nlinux-virt\nreader\n");
    // What the script makes of the same is another thing each time it runs.
    let mirror = |version: &str, text: &str| {
        let _ = fs::remove_dir_all(home.path("mirror"));
        let packages = format!(
            "package data {version}\nfile usr/share/data 644 {text}\n\
             package reader 1-r0\ndepends data\n\
             script post-install cat /usr/share/data /proc/sys/kernel/random/uuid >/etc/read\n\
             package above 1-r0\ndepends reader\nfile usr/share/above 644 {text}\n"
        );
        package::extended_mirror(&home.path("mirror"), std::env::consts::ARCH, &packages);
    };
    mirror("1-r0", "one");
    let first = content(&home, "1", "etc/read");
    assert!(first.starts_with("one\n"), "{first}");
    put(&dir.join("root/etc/motd"), "above it\n");
    assert_eq!(content(&home, "2", "etc/read"), first, "it ran again for nothing");
    mirror("1-r1", "two");
    home.ok(&["-C", "s", "update", "--mirror", "../mirror"]);
    let second = content(&home, "3", "etc/read");
    assert!(second.starts_with("two\n"), "{second}");
}

#[test]
fn an_image_that_is_no_longer_where_images_go_is_no_answer() {
    let home = home();
    fs::create_dir(home.path("elsewhere")).unwrap();
    symlink("../elsewhere", home.path("s/images")).unwrap();
    settle(&home);
    fs::remove_file(home.path("s/images")).unwrap();
    fs::create_dir(home.path("s/images")).unwrap();
    let said = home.ok(&["build", "s", "--quiet"]);
    assert!(said.contains("/s/images/small-2026092101.efi") && Path::new(said.trim()).is_file(), "{said}");
    // And the other way round
    fs::rename(home.path("s/images"), home.path("old")).unwrap();
    symlink("../elsewhere", home.path("s/images")).unwrap();
    let said = home.ok(&["build", "s", "--quiet"]);
    assert!(said.contains("/elsewhere/"), "{said}");
}

#[test]
fn a_kernel_that_is_gone_from_beside_its_initramfs_is_written_again() {
    let home = home();
    let args = ["build", "s", "--quiet", "--output", "kernel+initramfs"];
    std::thread::sleep(SETTLED);
    let kernel = || Path::new(home.ok(&args).trim()).with_extension("vmlinuz");
    let size = fs::metadata(kernel()).unwrap().len();
    let changes: [fn(&Path); 2] =
        [|kernel| fs::remove_file(kernel).unwrap(), |kernel| put(kernel, "cut short")];
    for change in changes {
        change(&kernel());
        assert_eq!(fs::metadata(kernel()).unwrap().len(), size);
    }
}

#[test]
fn a_directory_whose_name_is_not_utf_8_is_built_as_any_other() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let home = home();
    let name = OsStr::from_bytes(b"s\xff");
    fs::rename(home.path("s"), home.path(".").join(name)).unwrap();
    let build = |more: &[&str]| {
        let mut command = home.command(&["build"]);
        let out = command.arg(name).args(more).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    std::thread::sleep(SETTLED);
    let first = build(&[]);
    assert!(first.contains("small-2026092101.efi"), "{first}");
    assert!(build(&[]).contains("up to date"));
    let json: serde_json::Value = serde_json::from_str(&build(&["--json"])).unwrap();
    assert!(json["path"].as_str().unwrap().ends_with("small-2026092101.efi"), "{json}");
}
