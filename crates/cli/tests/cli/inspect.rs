//! `hoopy inspect` and `hoopy diff`, on images of hoopy's own and on what others make.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use hoopy_testkit::Home;
use insta::assert_snapshot;

fn home() -> Home {
    Home::new(env!("CARGO_BIN_EXE_hoopy"))
}

/// A newc archive, written by hand: what another tool makes.
fn archive(files: &[(&str, u32, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, mode, data) in files.iter().chain([&("TRAILER!!!", 0, "")]) {
        let numbers = [1, *mode, 0, 0, 1, 1000, data.len() as u32, 0, 0, 0, 0, name.len() as u32 + 1, 0];
        out.extend(b"070701");
        numbers.iter().for_each(|n| out.extend(format!("{n:08X}").bytes()));
        for bytes in [format!("{name}\0").as_bytes(), data.as_bytes()] {
            out.extend(bytes);
            out.resize(out.len().next_multiple_of(4), 0);
        }
    }
    out
}

const FILE: u32 = 0o100_644;
const DIR: u32 = 0o040_755;

/// An initramfs as distributions have it: microcode in front, the rest behind it.
fn foreign(home: &Home, name: &str, motd: &str) {
    let early =
        archive(&[("kernel", DIR, ""), ("kernel/x86", DIR, ""), ("kernel/x86/ucode", FILE, "microcode")]);
    let main = archive(&[
        ("etc", DIR, ""),
        ("etc/motd", FILE, motd),
        ("etc/issue", 0o120_777, "motd"),
        ("init", 0o100_755, "#!/bin/sh\n"),
        ("no/dir", FILE, "lost"),
        ("dev/console\u{1b}[31m", 0o020_600, ""),
    ]);
    fs::write(home.path(name), [early, main].concat()).unwrap();
}

#[test]
fn an_initramfs_of_others_is_told_of() {
    let home = home();
    foreign(&home, "initrd", "hello\n");
    assert_snapshot!(home.ok(&["inspect", "initrd"]));
    assert_snapshot!(home.ok(&["inspect", "ls", "-R", "initrd"]), @"
    c0600 0:0            0,0 dev/console�[31m
    d0755 0:0              0 etc
    l0777 0:0              4 etc/issue -> motd
    -0644 0:0              6 etc/motd
    -0755 0:0             10 init
    d0755 0:0              0 kernel
    d0755 0:0              0 kernel/x86
    -0644 0:0              9 kernel/x86/ucode
    ");
    assert_eq!(home.ok(&["inspect", "cat", "initrd", "/etc/issue"]), "hello\n");
    let json: serde_json::Value = serde_json::from_str(&home.ok(&["inspect", "initrd", "--json"])).unwrap();
    assert_eq!(json["kind"], "initramfs");
    assert_eq!(json["segments"][1]["entries"], 6);
    assert_eq!(json["tree"]["files"], 3);
}

#[test]
fn what_is_wrong_is_said_with_the_exit_code() {
    let home = home();
    foreign(&home, "initrd", "hello\n");
    let mut bytes = fs::read(home.path("initrd")).unwrap();
    bytes.truncate(bytes.len() - 200);
    fs::write(home.path("cut"), bytes).unwrap();
    fs::write(home.path("text"), "no image\n").unwrap();
    let mut said = home.fails(1, &["inspect", "cut"]);
    said += &home.fails(1, &["inspect", "text"]);
    said += &home.fails(1, &["inspect", "cat", "initrd", "etc/nothing"]);
    said += &home.fails(1, &["inspect", "cat", "initrd", "etc"]);
    said += &home.fails(1, &["inspect", "extract", "initrd", "etc/nothing", "-o", "out"]);
    home.fails(2, &["inspect"]);
    assert_snapshot!(said);
}

#[test]
fn differences_of_others_images_are_told() {
    let home = home();
    foreign(&home, "old", "hello\nworld\n");
    foreign(&home, "new", "hello\nall\n");
    assert_snapshot!(home.ok(&["diff", "old", "new", "-p"]), @"
    changed  etc/motd (12 B -> 10 B)
    --- a/etc/motd
    +++ b/etc/motd
    @@ -1,2 +1,2 @@
     hello
    -world
    +all
    ");
    assert_eq!(home.ok(&["diff", "old", "old", "--exit-code"]), "");
    home.fails(8, &["diff", "old", "new", "--exit-code"]);
    assert_snapshot!(home.fails(1, &["diff", "old", "gone"]), @r#"
    error: "gone" is neither a file nor a git revision of .
    hint: a machine is written ssh:gone
    "#);
}

/// Paths that the archive of `build --output tar` has.
fn in_tar(path: &Path) -> BTreeSet<String> {
    let out = Command::new("tar").arg("-tf").arg(path).output().unwrap();
    assert!(out.status.success());
    let text = String::from_utf8(out.stdout).unwrap();
    text.lines().map(|line| line.trim_start_matches("./").trim_end_matches('/').to_owned()).collect()
}

fn git(dir: &Path, args: &[&str]) {
    let who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "init.defaultBranch=main"];
    let mut command = Command::new("git");
    let status = command.current_dir(dir).args(who).args(args).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "git {args:?}");
}

/// One test, since it builds two images.
#[test]
fn a_built_image_is_what_was_built_and_differs_from_the_next_in_what_was_changed() {
    let home = home();
    let dir = home.example("hello");
    fs::remove_file(dir.join(".gitignore")).unwrap();
    fs::write(dir.join(".gitignore"), "images/\n").unwrap();
    git(&dir, &["init", "-q"]);
    home.ok(&["build", "hello", "--image-version", "1"]);
    home.ok(&["build", "hello", "--output", "tar", "--image-version", "1"]);
    git(&dir, &["add", "."]);
    git(&dir, &["commit", "-qm", "one"]);

    let listed = home.ok(&["inspect", "ls", "-R", "hello/images/hello-1.efi", "--json"]);
    let listed: Vec<serde_json::Value> = serde_json::from_str(&listed).unwrap();
    let paths: BTreeSet<String> = listed.iter().map(|f| f["path"].as_str().unwrap().to_owned()).collect();
    let tar = in_tar(&dir.join("images/hello-1.tar"));
    // A tree that does not boot has no first program
    assert_eq!(
        paths.difference(&tar).collect::<Vec<_>>(),
        ["usr/libexec/hoopy", "usr/libexec/hoopy/init", "usr/libexec/hoopy/root"]
    );
    let missing: Vec<_> = tar.difference(&paths).filter(|path| !path.starts_with("boot")).collect();
    assert_eq!(missing, Vec::<&String>::new());

    let json: serde_json::Value =
        serde_json::from_str(&home.ok(&["inspect", "hello/images/hello-1.efi", "--json"])).unwrap();
    assert_eq!(json["kind"], "uki");
    assert_eq!(json["problems"], serde_json::json!([]));
    assert!(json["kernel"].as_str().unwrap().ends_with("-virt"), "{}", json["kernel"]);
    assert_eq!(json["os_release"], serde_json::Value::Null);
    assert_eq!(json["os-release"]["IMAGE_ID"], "hoopy");
    assert_eq!(json["os-release"]["HOOPY_MACHINE"], "hello");
    let segments = json["segments"].as_array().unwrap();
    let origins = |s: &serde_json::Value| s["origins"].as_array().unwrap().clone();
    assert!(segments.iter().all(|s| !origins(s).is_empty()), "{segments:#?}");
    assert!(segments.iter().flat_map(origins).any(|o| o.as_str().unwrap().starts_with("musl-")));
    assert_eq!(home.ok(&["inspect", "cat", "hello/images/hello-1.efi", "etc/hostname"]), "hello\n");

    fs::write(dir.join("root/etc/hostname"), "changed\n").unwrap();
    let packages = fs::read_to_string(dir.join("packages")).unwrap().replace("curl\n", "");
    fs::write(dir.join("packages"), packages).unwrap();
    home.ok(&["-C", "hello", "update"]);
    home.ok(&["build", "hello", "--image-version", "2"]);
    let said = home.ok(&["diff", "hello/images/hello-1.efi", "hello/images/hello-2.efi", "-p"]);
    for expected in ["out      curl ", "-hello\n+changed\n", "changed  etc/hostname (6 B -> 8 B)"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(!said.contains("usr/bin/curl"), "{said}");
    let all = home.ok(&["diff", "hello/images/hello-1.efi", "hello/images/hello-2.efi", "--all"]);
    assert!(all.contains("removed  usr/bin/curl"), "{all}");
    let revisions = home.ok(&["-C", "hello", "diff", "HEAD", "."]);
    assert!(
        revisions.contains("out      curl ") && revisions.contains("changed  root/etc/hostname"),
        "{revisions}"
    );
    let locks = home.ok(&["diff", "hello/hoopy.lock", "hello/hoopy.lock", "--exit-code"]);
    assert_eq!(locks, "");
}

/// What a terminal would show, drawn by `script`.
#[test]
fn colours_are_for_terminals_that_want_them() {
    let home = home();
    foreign(&home, "old", "a\n");
    foreign(&home, "new", "b\n");
    let shown = |no_color: &str| {
        let program = env!("CARGO_BIN_EXE_hoopy");
        let line = format!("{program} diff old new -p");
        let mut command = home.command_of(Path::new("script"), &["-qec", &line, "/dev/null"]);
        let child = command.env("NO_COLOR", no_color).env("TERM", "xterm").stdin(Stdio::null()).output();
        child.map(|out| String::from_utf8_lossy(&out.stdout).into_owned())
    };
    let Ok(coloured) = shown("") else {
        hoopy_testkit::skip("script is not installed");
        return;
    };
    assert!(coloured.contains("\u{1b}[32m+b\u{1b}[0m") && coloured.contains("\u{1b}[31m-a"), "{coloured:?}");
    assert!(!shown("1").unwrap().contains('\u{1b}'));
}

#[test]
fn files_are_extracted_from_as_deep_as_the_kernel_makes_them() {
    let home = home();
    let deep: Vec<String> = (1..=1500).map(|depth| vec!["d"; depth].join("/")).collect();
    let file = format!("{}/file", deep.last().unwrap());
    let mut entries: Vec<(&str, u32, &str)> = deep.iter().map(|dir| (dir.as_str(), DIR, "")).collect();
    entries.push((&file, FILE, "found\n"));
    fs::write(home.path("deep"), archive(&entries)).unwrap();
    home.ok(&["inspect", "extract", "deep", "-o", "out"]);
    let mut find = Command::new("find");
    let found = find.args(["out", "-name", "file", "-printf", "%s"]).current_dir(home.path(".")).output();
    assert_eq!(String::from_utf8(found.unwrap().stdout).unwrap(), "6");
}

#[test]
fn what_extract_does_not_make_is_told_and_what_it_cannot_make_fails() {
    let home = home();
    foreign(&home, "initrd", "hello\n");
    let out = home.run(&["inspect", "extract", "initrd", "-o", "out"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{said}");
    assert!(said.contains("no/dir: left out: lost at boot: there is no directory for it"), "{said}");
    let deep: Vec<String> = (1..=40).map(|depth| vec!["d".repeat(99); depth].join("/")).collect();
    let mut entries: Vec<(&str, u32, &str)> = deep.iter().map(|dir| (dir.as_str(), DIR, "")).collect();
    let far = format!("link/{}", "f".repeat(200));
    entries.extend([("link", 0o120_777, deep.last().unwrap().as_str()), (&far, FILE, "deeper\n")]);
    fs::write(home.path("deep"), archive(&entries)).unwrap();
    let said = home.fails(1, &["inspect", "extract", "deep", "-o", "too-deep"]);
    assert!(said.contains("more than 4095 bytes"), "{said}");
}
