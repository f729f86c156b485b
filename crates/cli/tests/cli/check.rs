//! First contact: `hoopy init`, `hoopy check`, and what `hoopy build` says of the same.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use hoopy_testkit::Home;

fn home() -> Home {
    Home::new(env!("CARGO_BIN_EXE_hoopy"))
}

fn script(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Standard output of a command that ends with `code`.
fn ends(home: &Home, code: i32, args: &[&str]) -> String {
    let out = home.run(args);
    let stdout = String::from_utf8_lossy(&out.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(code), "{args:?}: {stdout}{stderr}");
    stdout
}

#[test]
fn the_examples_are_clean() {
    let home = home();
    for example in ["hello", "homelab", "nas"] {
        home.example(example);
        assert_eq!(home.ok(&["check", example]), "", "{example}");
    }
}

#[test]
fn what_init_writes_is_clean_and_builds_at_once() {
    let home = home();
    let files = home.ok(&["init", "fresh"]);
    assert!(files.contains("fresh/packages\n") && files.contains("fresh/root/etc/inittab\n"), "{files}");
    assert_eq!(home.ok(&["check", "fresh"]), "");
    let built = home.run(&["build", "fresh"]);
    let (out, said) = (String::from_utf8_lossy(&built.stdout), String::from_utf8_lossy(&built.stderr));
    assert!(built.status.success() && out.contains("fresh-2026092101.efi"), "{out}{said}");
    assert!(!said.contains("warning"), "{said}");
    // Now the packages are there, and all can be checked.
    let again = home.run(&["check", "fresh"]);
    assert!(again.status.success() && again.stdout.is_empty() && again.stderr.is_empty(), "{again:?}");
    let message = home.fails(1, &["init", "fresh"]);
    assert!(message.contains("fresh/") && message.contains("already exists"), "{message}");
}

#[test]
fn what_init_writes_of_each_template_is_clean_and_builds_at_once() {
    let home = home();
    fs::write(home.path("id.pub"), "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me\n").unwrap();
    for template in ["homelab", "nas"] {
        let dir = format!("my-{template}");
        home.ok(&["init", &dir, "--template", template, "--key", "id.pub"]);
        assert_eq!(home.ok(&["check", &dir]), "");
        let built = home.run(&["build", &dir]);
        let (out, said) = (String::from_utf8_lossy(&built.stdout), String::from_utf8_lossy(&built.stderr));
        assert!(built.status.success() && out.contains(&format!("{dir}-2026092101.efi")), "{out}{said}");
        assert!(!said.contains("warning"), "{said}");
        let again = home.run(&["check", &dir]);
        assert!(again.status.success() && again.stdout.is_empty() && again.stderr.is_empty(), "{again:?}");
    }
    let message = home.fails(2, &["init", "other", "--template", "moon"]);
    assert!(message.contains("minimal") && message.contains("nas"), "{message}");
}

#[test]
fn without_a_lock_it_says_what_it_could_not_look_for() {
    let home = home();
    home.ok(&["init", "s"]);
    let out = home.run(&["check", "s"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.contains("no hoopy.lock") && said.contains("services"), "{said}");
}

#[test]
fn errors_have_the_exit_code_of_a_wrong_directory_and_warnings_have_none() {
    let home = home();
    home.ok(&["init", "s"]);
    fs::write(home.path("s/root/etc/fstab"), "/dev/sda1 /data ext4 defaults 0 0\n").unwrap();
    let found = ends(&home, 0, &["check", "s"]);
    assert!(found.starts_with("warning: root/etc/fstab:1: /dev/sda1"), "{found}");
    fs::create_dir_all(home.path("s/root/usr/local/bin")).unwrap();
    fs::write(home.path("s/root/usr/local/bin/tool"), "#!/bin/sh\n").unwrap();
    let found = ends(&home, 3, &["check", "s"]);
    assert!(found.contains("error: root/usr/local/bin/tool: not executable"), "{found}");
    assert!(found.contains("(fix: chmod +x root/usr/local/bin/tool)"), "{found}");
    let json = ends(&home, 3, &["check", "s", "--json"]);
    for part in [
        "\"severity\": \"error\"",
        "\"file\": \"root/etc/fstab\"",
        "\"line\": 1",
        "\"unchecked\": \"there is no",
    ] {
        assert!(json.contains(part), "{part} in {json}");
    }
}

#[test]
fn a_command_line_of_which_the_kernel_would_lose_the_end_is_refused() {
    let home = home();
    home.ok(&["init", "s"]);
    let toml = |long: usize| {
        let written = format!("console=ttyS0 x={} quiet", "a".repeat(long));
        fs::write(home.path("s/hoopy.toml"), format!("layout = \"ab\"\ncmdline = \"{written}\"\n")).unwrap();
    };
    toml(1900);
    assert!(!ends(&home, 0, &["check", "s"]).contains("command line has"));
    toml(2000);
    let found = ends(&home, 3, &["check", "s"]);
    assert!(
        found.contains("error: hoopy.toml: the command line has 2074 bytes, 52 of them added"),
        "{found}"
    );
    assert!(found.contains("(fix: make `cmdline` shorter by 27 bytes)"), "{found}");
    let said = home.fails(3, &["build", "s"]);
    assert!(said.contains("error: hoopy.toml: `cmdline`: the command line has 2074 bytes"), "{said}");
    // Nothing of it is in an archive of the root.
    home.ok(&["build", "s", "--output", "tar"]);
}

#[test]
fn services_and_interpreters_are_looked_for_in_the_locked_packages_and_in_what_is_built() {
    let home = home();
    home.ok(&["init", "s"]);
    home.ok(&["build", "s", "--quiet"]);
    let dir = home.path("s");
    let level = dir.join("root/etc/runlevels/default");
    fs::create_dir_all(&level).unwrap();
    symlink("/etc/init.d/crond", level.join("crond")).unwrap();
    symlink("/etc/init.d/nginx", level.join("nginx")).unwrap();
    symlink("/etc/init.d/mine", level.join("mine")).unwrap();
    script(&dir.join("root/etc/init.d/mine"), "#!/sbin/openrc-run\n");
    script(&dir.join("root/usr/local/bin/a"), "#!/bin/bash\n");
    script(&dir.join("root/usr/local/bin/b"), "#!/usr/bin/env sh\n");
    script(&dir.join("root/usr/local/bin/c"), "#!/usr/bin/env python3\n");
    fs::remove_file(dir.join("root/etc/inittab")).unwrap();
    let found = ends(&home, 3, &["check", "s"]);
    let expected = [
        "warning: root/etc/inittab: not there, and that of alpine-baselayout-data-",
        "error: root/etc/runlevels/default/nginx: nothing brings the service `nginx`",
        "error: root/usr/local/bin/a:1: its interpreter /bin/bash is not in the image",
        "error: root/usr/local/bin/c:1: its interpreter python3 is not in the image",
    ];
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{found}");
    assert!(lines.iter().zip(expected).all(|(line, start)| line.starts_with(start)), "{found}");
    let built = home.run(&["build", "s"]);
    let said = String::from_utf8_lossy(&built.stderr).into_owned();
    assert!(built.status.success(), "{said}");
    assert_eq!(said.matches("warning: ").count(), expected.len(), "{said}");
    for line in expected {
        assert!(said.contains(&line.replace("error: ", "warning: ")), "{said}");
    }
}

#[test]
fn setup_is_read_for_services_where_it_has_not_run() {
    let home = home();
    home.ok(&["init", "s"]);
    home.ok(&["build", "s", "--quiet"]);
    let setup = home.path("s/setup.sh");
    let text = fs::read_to_string(&setup).unwrap();
    fs::write(&setup, text.clone() + "rc-update -q add crond default\nrc-update add dropbear default\n")
        .unwrap();
    let found = ends(&home, 3, &["check", "s"]);
    let line = text.lines().count() + 2;
    assert!(
        found.starts_with(&format!("error: setup.sh:{line}: nothing brings the service `dropbear`")),
        "{found}"
    );
    assert_eq!(found.lines().count(), 1, "{found}");
}

#[test]
fn a_failed_build_says_what_the_directory_shows() {
    let home = home();
    home.ok(&["init", "s"]);
    let setup = home.path("s/setup.sh");
    let text = fs::read_to_string(&setup).unwrap();
    fs::write(&setup, text.replace('\n', "\r\n")).unwrap();
    let message = home.fails(4, &["build", "s"]);
    assert!(message.contains("warning: setup.sh:1: the line ends with a carriage return"), "{message}");
}
