//! Modes: git's, the file's own, those of `[modes]`, and those of what was there.

use crate::system::Directory;

#[test]
fn one_commit_gives_one_image_whatever_the_umask() {
    let layers = [0o644_u32, 0o600, 0o664].map(|mode| {
        let dir = Directory::new();
        dir.write("root/etc/motd", "hello\n");
        dir.write("root/usr/bin/run", "#!/bin/sh\n");
        dir.git(&["init", "--quiet"]);
        dir.mode("root/usr/bin/run", 0o755);
        dir.git(&["add", "."]);
        dir.git(&["commit", "--quiet", "--message", "first"]);
        dir.mode("root/etc/motd", mode);
        dir.mode("root/usr/bin/run", mode | (mode & 0o444) >> 2);
        dir.mode("root/etc", mode | (mode & 0o444) >> 2);
        let built = dir.build("").unwrap();
        assert_eq!(built.access("etc/motd"), (0o644, 0, 0));
        assert_eq!(built.access("usr/bin/run"), (0o755, 0, 0));
        assert_eq!(built.access("etc"), (0o755, 0, 0));
        built.stack.tree.layers().iter().map(|layer| layer.id).collect::<Vec<_>>()
    });
    assert_eq!(layers[0], layers[1]);
    assert_eq!(layers[0], layers[2]);
}

#[test]
fn what_git_does_not_track_keeps_the_mode_that_it_has_here() {
    let dir = Directory::new();
    dir.write("root/etc/ssh/sshd_config", "\n");
    dir.write(".gitignore", "root/etc/ssh/key\n");
    dir.git(&["init", "--quiet"]);
    dir.git(&["add", "."]);
    dir.git(&["commit", "--quiet", "--message", "first"]);
    dir.write("root/etc/ssh/key", "secret\n");
    dir.mode("root/etc/ssh/key", 0o600);
    dir.write("root/etc/new", "x\n");
    dir.mode("root/etc/new", 0o640);
    let built = dir.build("").unwrap();
    assert_eq!(built.access("etc/ssh/key"), (0o600, 0, 0));
    assert_eq!(built.access("etc/new"), (0o640, 0, 0));
    assert_eq!(built.access("etc/ssh/sshd_config"), (0o644, 0, 0));
}

#[test]
fn the_word_of_git_counts_where_it_does_not_look_at_modes() {
    let dir = Directory::new();
    dir.write("root/usr/bin/run", "#!/bin/sh\n");
    dir.mode("root/usr/bin/run", 0o755);
    dir.git(&["init", "--quiet"]);
    dir.git(&["add", "."]);
    dir.git(&["commit", "--quiet", "--message", "first"]);
    // As on a filesystem that has no execute bit.
    dir.git(&["config", "core.fileMode", "false"]);
    dir.mode("root/usr/bin/run", 0o644);
    assert_eq!(dir.build("").unwrap().access("usr/bin/run").0, 0o755);
}

#[test]
fn modes_reach_what_packages_have() {
    let dir = Directory::new();
    dir.write(
        "hoopy.toml",
        "[modes]\n\"var/lib/app\" = \"0700\"\n\"etc/app.conf\" = \"0600\"\n\"opt\" = \"0711\"\n",
    );
    dir.write("root/opt/mine", "x\n");
    let package = "package app 1-r0\ndir etc 755 0:0\nfile etc/app.conf 644 8:12 one\ndir opt 755 8:12\ndir var 755 0:0\ndir var/lib 755 0:0\ndir var/lib/app 755 8:12\n";
    let built = dir.build(package).unwrap();
    assert_eq!(built.access("var/lib/app"), (0o700, 8, 12));
    assert_eq!(built.access("etc/app.conf"), (0o600, 8, 12));
    assert_eq!(built.access("opt"), (0o711, 8, 12));
    assert_eq!(built.text("etc/app.conf"), "one");
}

#[test]
fn a_mode_of_what_is_nowhere_is_an_error() {
    let dir = Directory::new();
    dir.write("hoopy.toml", "[modes]\n\"etc/nowhere\" = \"0600\"\n");
    let error = dir.build("").err().unwrap().to_string();
    assert!(error.contains("\"etc/nowhere\"") && error.contains("neither root/ nor a package"), "{error}");
}

#[test]
fn a_file_over_a_stricter_one_stays_as_strict() {
    let dir = Directory::new();
    dir.write("root/etc/shadow", "root:*:1::::::\n");
    dir.write("root/etc/open", "x\n");
    dir.write("root/usr/bin/tool", "#!/bin/sh\n");
    dir.mode("root/usr/bin/tool", 0o755);
    let package = "package base 1-r0\ndir etc 755 0:0\nfile etc/shadow 640 0:42 root:*:1::::::\nfile etc/open 644 8:12 one\ndir usr 755 0:0\ndir usr/bin 755 0:0\nfile usr/bin/tool 644 0:0 one\n";
    let built = dir.build(package).unwrap();
    assert_eq!(built.access("etc/shadow"), (0o640, 0, 42));
    assert_eq!(built.access("etc/open"), (0o644, 0, 0), "what was open to all is root's");
    assert_eq!(built.access("usr/bin/tool").0, 0o755, "who may execute it, the new file says");
}
