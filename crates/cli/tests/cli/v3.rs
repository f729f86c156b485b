//! A mirror in the format of apk 3, made by the real apk: locked, and its packages taken in.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use hoopy_testkit::{Home, mirror};

/// The real apk, with the stand-in's keys.
fn apk() -> Command {
    let mut command = hoopy_testkit::apk(&[]);
    command.arg("--keys-dir").arg(mirror().keys).stdin(Stdio::null());
    command
}

fn ok(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The stand-in's packages under a v3 index, and beside them a package of v3: `thing`.
fn mirror_of_v3(home: &Home) {
    let from = mirror();
    let key = from.keys.with_file_name("private").join("hoopy-stand-in.rsa");
    for part in ["main", "community"] {
        let dir = home.path("mirror").join("v3.23").join(part).join("x86_64");
        fs::create_dir_all(&dir).unwrap();
        for file in fs::read_dir(from.alpine.join("v3.23").join(part).join("x86_64")).unwrap().flatten() {
            if file.path().extension().is_some_and(|e| e == "apk") {
                std::os::unix::fs::symlink(file.path(), dir.join(file.file_name())).unwrap();
            }
        }
        if part == "main" {
            thing(home, &key, &dir);
        }
        let packages = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).collect::<Vec<_>>();
        let mut command = apk();
        command.args(["mkndx", "--description", part, "--output"]).arg(dir.join("Packages.adb"));
        ok(command.arg("--sign-key").arg(&key).args(packages));
    }
}

fn thing(home: &Home, key: &Path, dir: &Path) {
    let files = home.path("files");
    fs::create_dir_all(files.join("usr/bin")).unwrap();
    fs::write(files.join("usr/bin/thing"), "#!/bin/sh\necho a thing\n").unwrap();
    fs::hard_link(files.join("usr/bin/thing"), files.join("usr/bin/twin")).unwrap();
    fs::write(home.path("script"), "#!/bin/sh\necho made >/etc/made-by-thing\n").unwrap();
    let mut command = apk();
    command.args(["mkpkg", "--info", "name:thing", "--info", "version:1.0-r0", "--info", "arch:x86_64"]);
    command.args(["--info", "depends:busybox", "--info", "build-time:1760000000", "--files"]).arg(files);
    command.arg("--script").arg(format!("post-install:{}", home.path("script").display()));
    ok(command.arg("--sign-key").arg(key).arg("--output").arg(dir.join("thing-1.0-r0.apk")));
}

#[test]
fn a_mirror_of_v3_is_locked_and_built_from() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    mirror_of_v3(&home);
    fs::create_dir(home.path("s")).unwrap();
    fs::write(home.path("s/packages"), "alpine-base\nlinux-virt\nthing\n").unwrap();
    home.ok(&["lock", "s", "--arch", "x86_64", "--mirror", "mirror", "--quiet"]);
    let lock = fs::read_to_string(home.path("s/hoopy.lock")).unwrap();
    let thing = lock.split("[[package]]").find(|p| p.contains("name = \"thing\"")).unwrap();
    assert!(thing.contains("checksum = \"Q2"), "{thing}");
    assert!(lock.contains("description = \"main\""), "{lock}");

    home.ok(&["build", "s", "--arch", "x86_64", "--mirror", "mirror", "--output", "tar", "--quiet"]);
    let out = fs::read_dir(home.path("s/images")).unwrap().map(|e| e.unwrap().path()).collect::<Vec<_>>();
    let tar = out.iter().find(|p| p.extension().is_some_and(|e| e == "tar")).unwrap();
    let cat = |name: &str| {
        let mut command = Command::new("tar");
        command.arg("--extract").arg("--to-stdout").arg("--file").arg(tar).arg(name);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert_eq!(cat("etc/made-by-thing"), "made\n", "its script ran");
    let database = cat("lib/apk/db/installed") + &cat("usr/lib/apk/db/installed");
    let stanza = database.split("\n\n").find(|p| p.contains("\nP:thing\n")).unwrap();
    assert!(stanza.contains("\nR:thing\n") && stanza.contains("\nR:twin\n"), "{stanza}");
    assert!(cat("usr/bin/thing").contains("a thing"), "its file is there");

    home.ok(&["vendor", "s", "--mirror", "mirror", "--quiet"]);
    assert!(home.path("s/vendor/v3.23/main/x86_64/Packages.adb").exists());
    let vendored = ["--locked", "--store", "fresh", "--mirror", "s/vendor", "--output", "tar", "--quiet"];
    home.ok(&[&["build", "s", "--arch", "x86_64"][..], &vendored].concat());
}
