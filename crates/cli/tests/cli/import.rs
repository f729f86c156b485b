//! `hoopy import` and `hoopy export`: from a diskless Alpine Linux, and back. What becomes of an overlay's content is
//! tested in crates/diskless, one case a directory.

mod interrupted;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use hoopy_testkit::Home;
use hoopy_testkit::entered::Entered;

fn home() -> Home {
    Home::new(env!("CARGO_BIN_EXE_hoopy"))
}

/// What lbu was told to keep and to leave out.
const LIST: &str =
    "+usr/local/bin\n+var/lib/foo\n-etc/resolv.conf\n-etc/ssh/ssh_host_*\n-root/.ssh/known_hosts\n# mine\n";

/// An overlay as tar(1) makes it, at `to`.
fn overlay(home: &Home, to: &str) -> PathBuf {
    let dir = home.path("overlay");
    let write = |path: &str, text: &str| {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("etc/hostname", "box\n");
    write("etc/apk/world", "alpine-base\ndropbear\n");
    write("etc/apk/repositories", "https://dl-cdn.alpinelinux.org/alpine/v3.23/main\n");
    write("etc/motd", "hello\n");
    write("usr/local/bin/tool", "#!/bin/sh\necho tool\n");
    write("etc/apk/protected_paths.d/lbu.list", LIST);
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(dir.join("usr/local/bin/tool"), executable).unwrap();
    for (level, service) in [("sysinit", "devfs"), ("sysinit", "modloop"), ("default", "local")] {
        let link = dir.join("etc/runlevels").join(level).join(service);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        if !link.is_symlink() {
            std::os::unix::fs::symlink(format!("/etc/init.d/{service}"), link).unwrap();
        }
    }
    let to = home.path(to);
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-c", "-z", "--owner=0", "--group=0", "-f"]).arg(&to).arg("-C").arg(&dir).args(["etc", "usr"]);
    assert!(tar.status().unwrap().success());
    to
}

fn listing(dir: &Path) -> String {
    let found =
        Command::new("find").args(["root", "-printf", "%y %p %l\n"]).current_dir(dir).output().unwrap();
    let mut lines: Vec<&str> = std::str::from_utf8(&found.stdout).unwrap().lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

#[test]
fn an_overlay_comes_over_builds_and_goes_back() {
    let home = home();
    let medium = overlay(&home, "usb/box.apkovl.tar.gz");
    fs::create_dir_all(home.path("usb/boot")).unwrap();
    fs::create_dir_all(home.path("usb/apks")).unwrap();
    fs::write(home.path("usb/boot/vmlinuz-virt"), "").unwrap();
    let said = home.ok(&["import", "usb"]);
    assert!(said.contains("modloop") || said.contains("Look at"), "{said}");
    let dir = home.path("box");
    assert_eq!(fs::read_to_string(dir.join("IMPORT.md")).unwrap(), said);
    assert!(fs::read_to_string(dir.join("packages")).unwrap().contains("linux-virt"));
    assert_eq!(fs::read_to_string(dir.join("root/etc/motd")).unwrap(), "hello\n");
    home.ok(&["check", "box"]);
    home.ok(&["build", "box", "--locked", "--output", "tar"]);

    fs::create_dir(home.path("back")).unwrap();
    let said = home.ok(&["export", "box", "--apkovl", "-o", "back/box.apkovl.tar.gz"]);
    assert!(said.contains("linux-virt"), "{said}");
    assert_eq!(home.ok(&["export", "box", "--world"]), "alpine-base\ndropbear\n");
    let names = Command::new("tar").arg("-tzf").arg(home.path("back/box.apkovl.tar.gz")).output().unwrap();
    let names = String::from_utf8(names.stdout).unwrap();
    for name in
        ["etc/motd", "usr/local/bin/tool", "etc/runlevels/default/local", "etc/runlevels/sysinit/modloop"]
    {
        assert!(names.lines().any(|line| line == name), "{name}: {names}");
    }
    assert!(!names.contains("bin/busybox") && !names.contains("lib/modules"), "{names}");

    let mut tar = Command::new("tar");
    tar.arg("-xzOf").arg(home.path("back/box.apkovl.tar.gz")).arg("etc/apk/protected_paths.d/lbu.list");
    assert_eq!(String::from_utf8(tar.output().unwrap().stdout).unwrap(), LIST);

    // There and back loses nothing.
    home.ok(&["import", "back/box.apkovl.tar.gz", "--kernel", "virt", "-o", "again"]);
    for file in ["packages", "hoopy.toml", ".gitignore"] {
        let read = |dir: &str| fs::read_to_string(home.path(dir).join(file)).unwrap();
        assert_eq!(read("again"), read("box"), "{file}");
    }
    let script = |dir: &str| {
        let text = fs::read_to_string(home.path(dir).join("setup.sh")).unwrap();
        text.lines().filter(|line| !line.starts_with("# Made by")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(script("again"), script("box"));
    assert_eq!(listing(&home.path("again")), listing(&dir));
    let twice = home.fails(2, &["import", medium.to_str().unwrap(), "-o", "box"]);
    assert!(twice.contains("expected a new or an empty directory"), "{twice}");
}

#[test]
fn several_overlays_on_a_medium_are_named_and_none_is_taken() {
    let home = home();
    overlay(&home, "usb/box.apkovl.tar.gz");
    overlay(&home, "usb/other.apkovl.tar.gz");
    let said = home.fails(2, &["import", "usb"]);
    assert!(said.contains("several overlays: box.apkovl.tar.gz, other.apkovl.tar.gz"), "{said}");
    assert!(!home.path("box").exists() && !home.path("other").exists());
}

#[test]
fn a_world_that_cannot_be_installed_is_refused_by_the_name_of_the_directory_that_was_to_be() {
    let home = home();
    overlay(&home, "box.apkovl.tar.gz");
    fs::write(home.path("overlay/etc/apk/world"), "alpine-base\n!musl\n").unwrap();
    let mut tar = Command::new("tar");
    tar.arg("-czf")
        .arg(home.path("box.apkovl.tar.gz"))
        .arg("-C")
        .arg(home.path("overlay"))
        .args(["etc", "usr"]);
    assert!(tar.status().unwrap().success());
    let said = home.fails(3, &["import", "box.apkovl.tar.gz"]);
    assert!(
        said.contains("box/packages: no set of packages fits") && !said.contains(".hoopy-import"),
        "{said}"
    );
    assert!(said.contains("box was not written") && said.contains("etc/apk/world"), "{said}");
    assert!(!home.path("box").exists());
}

/// `overlay/` with another file, packed anew.
fn packed_with(home: &Home, path: &str, text: &str) {
    fs::write(home.path("overlay").join(path), text).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-c", "-z", "--owner=0", "--group=0", "-f"]).arg(home.path("box.apkovl.tar.gz"));
    tar.arg("-C").arg(home.path("overlay")).args(["etc", "usr"]);
    assert!(tar.status().unwrap().success());
}

#[test]
fn a_kernel_is_taken_by_flavor_or_package_and_refused_where_there_is_none_of_the_name() {
    let home = home();
    overlay(&home, "box.apkovl.tar.gz");
    home.ok(&["import", "box.apkovl.tar.gz", "--kernel", "linux-virt"]);
    assert!(fs::read_to_string(home.path("box/packages")).unwrap().ends_with("\nlinux-virt\n"));
    for bad in ["nosuch", "../x", "", "lts@edge", "firmware-none"] {
        let said = home.fails(2, &["import", "box.apkovl.tar.gz", "-o", "bad", "--kernel", bad]);
        assert!(said.contains(&format!("--kernel {bad}: expected ")), "{said}");
        assert!(bad == "firmware-none" || said.contains("lts") && said.contains("virt"), "{said}");
        assert!(!home.path("bad").exists());
    }
}

#[test]
fn a_repository_that_cannot_be_read_is_left_out_wherever_it_stands_unless_it_is_the_only_one() {
    let home = home();
    overlay(&home, "box.apkovl.tar.gz");
    let gone = "http://127.0.0.1:9/company";
    let main = "https://dl-cdn.alpinelinux.org/alpine/v3.23/main";
    for first in [gone.to_owned(), format!("@company {gone}")] {
        packed_with(&home, "etc/apk/repositories", &format!("{first}\n{main}\n"));
        let said = home.ok(&["import", "box.apkovl.tar.gz", "--kernel", "virt", "-o", "first"]);
        assert!(said.contains(&format!("repository {first}: its index cannot be read")), "{said}");
        fs::remove_dir_all(home.path("first")).unwrap();
    }
    packed_with(&home, "etc/apk/repositories", &format!("{main}\n"));
    let said = home.fails(5, &["import", "box.apkovl.tar.gz", "-o", "none", "--mirror", gone]);
    assert!(said.contains("127.0.0.1:9") && said.contains("check the network"), "{said}");
    assert!(!said.contains("the mirror does not have it"), "{said}");
    let said = home.fails(5, &["import", "box.apkovl.tar.gz", "-o", "none", "--branch", "3.1"]);
    assert!(said.contains("main: the mirror does not have it") && said.contains("--branch 3.23"), "{said}");
}

#[test]
fn an_encrypted_overlay_needs_its_passphrase() {
    let home = home();
    let plain = overlay(&home, "box.apkovl.tar.gz");
    for (cipher, options) in [
        ("aes-256-cbc", ["-md", "sha256"].as_slice()),
        ("aes-128-cbc", &["-md", "md5"]),
        ("aes-192-cbc", &["-pbkdf2"]),
    ] {
        let name = format!("box.apkovl.tar.gz.{cipher}");
        let mut openssl = Command::new("openssl");
        openssl.args(["enc", &format!("-{cipher}"), "-salt", "-pass", "pass:swordfish", "-in"]);
        openssl.arg(&plain).args(options);
        assert!(openssl.arg("-out").arg(home.path(&name)).output().unwrap().status.success());
        fs::write(home.path("wrong"), "sword\n").unwrap();
        fs::write(home.path("right"), "swordfish\n").unwrap();
        let said = home.fails(1, &["import", &name, "--passphrase-file", "wrong"]);
        assert!(said.contains("wrong passphrase"), "{said}");
        home.ok(&["import", &name, "--passphrase-file", "right", "--kernel", "virt", "-o", cipher]);
        assert_eq!(fs::read_to_string(home.path(cipher).join("root/etc/motd")).unwrap(), "hello\n");
    }
    fs::rename(home.path("box.apkovl.tar.gz.aes-256-cbc"), home.path("box.apkovl.tar.gz.des3")).unwrap();
    let said = home.fails(1, &["import", "box.apkovl.tar.gz.des3", "--passphrase-file", "right"]);
    assert!(said.contains("encrypted with des3") && said.contains("openssl enc -d -des3"), "{said}");
}

#[test]
fn secrets_are_refused_hidden_from_git_or_encrypted() {
    let home = home();
    let dir = home.path("overlay/etc/ssh");
    fs::create_dir_all(&dir).unwrap();
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary-7c1\n";
    fs::write(dir.join("ssh_host_ed25519_key"), key).unwrap();
    fs::write(home.path("overlay/etc/shadow"), "root:$6$salt$canary7c1:20000:0:::::\n").unwrap();
    overlay(&home, "box.apkovl.tar.gz");
    let canaries = |dir: &str| {
        let found =
            Command::new("grep").args(["-rlE", "canary-?7c1", dir]).current_dir(home.path(".")).output();
        let mut found: Vec<String> =
            String::from_utf8(found.unwrap().stdout).unwrap().lines().map(str::to_owned).collect();
        found.sort();
        found
    };
    let said = home.ok(&["import", "box.apkovl.tar.gz", "--kernel", "virt", "-o", "refused"]);
    assert!(said.contains("etc/ssh/ssh_host_ed25519_key: a host key of ssh"), "{said}");
    assert!(said.contains("the hashes of passwords of root") && !said.contains("canary"), "{said}");
    assert!(said.contains("no login: the hashes of passwords were not taken"), "{said}");
    assert!(canaries("refused").is_empty());

    home.ok(&["import", "box.apkovl.tar.gz", "--kernel", "virt", "-o", "plain", "--plain-secrets"]);
    assert_eq!(canaries("plain"), ["plain/passwords", "plain/root/etc/ssh/ssh_host_ed25519_key"]);
    let ignored = fs::read_to_string(home.path("plain/.gitignore")).unwrap();
    assert_eq!(ignored, "images/\n/passwords\n/root/etc/ssh/ssh_host_ed25519_key\n");

    // Only its owner can read it, and no secret is as large.
    fs::write(home.path("overlay/etc/app.db"), vec![b'x'; 9 << 20]).unwrap();
    fs::set_permissions(home.path("overlay/etc/app.db"), fs::Permissions::from_mode(0o600)).unwrap();
    overlay(&home, "box.apkovl.tar.gz");
    let (identity, recipient) = hoopy_secrets::owner::generate();
    fs::write(home.path("key"), identity.as_bytes()).unwrap();
    let args = [
        "import",
        "box.apkovl.tar.gz",
        "--kernel",
        "virt",
        "-o",
        "sealed",
        "--recipient",
        recipient.as_str(),
    ];
    let said = home.ok(&args);
    assert!(said.contains("now secrets/etc/ssh/ssh_host_ed25519_key.age"), "{said}");
    assert!(canaries("sealed").is_empty());
    assert!(said.contains("etc/app.db cannot be encrypted as a secret: expected at most 8"), "{said}");
    assert!(said.contains("etc/app.db: only its owner can read it") && !said.contains("no login"), "{said}");
    assert!(!home.path("sealed/root/etc/app.db").exists());
    let shown = home.ok(&["-C", "sealed", "secret", "show", "/etc/ssh/ssh_host_ed25519_key", "-i", "../key"]);
    assert_eq!(shown, key);
}

#[test]
fn an_account_without_a_password_is_locked_in_the_secret_too() {
    let home = home();
    fs::create_dir_all(home.path("overlay/etc")).unwrap();
    fs::write(home.path("overlay/etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nme:x:1000:1000::/:/bin/sh\n")
        .unwrap();
    fs::write(home.path("overlay/etc/shadow"), "root::20000:0:::::\nme:$6$a$b:20000:0:::::\n").unwrap();
    overlay(&home, "box.apkovl.tar.gz");
    let (identity, recipient) = hoopy_secrets::owner::generate();
    fs::write(home.path("key"), identity.as_bytes()).unwrap();
    let said =
        home.ok(&["import", "box.apkovl.tar.gz", "--kernel", "virt", "--recipient", recipient.as_str()]);
    assert!(said.contains("root had no password: in the image it is locked"), "{said}");
    let shown = home.ok(&["-C", "box", "secret", "show", "/etc/shadow", "-i", "../key"]);
    assert_eq!(shown, "root:!:20000:0:::::\nme:$6$a$b:20000:0:::::\n");
}

#[test]
fn an_overlay_comes_from_an_address() {
    let home = home();
    let bytes = fs::read(overlay(&home, "box.apkovl.tar.gz")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len());
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&bytes)).unwrap();
    });
    let address = format!("http://me:geheim12@127.0.0.1:{port}/box.apkovl.tar.gz?token=abcdefgh");
    let said = home.ok(&["import", &address, "--kernel", "virt"]);
    assert!(said.contains("it came over http"), "{said}");
    assert!(home.path("box/root/etc/motd").is_file());
    for file in ["IMPORT.md", "setup.sh", "hoopy.toml"] {
        let text = fs::read_to_string(home.path("box").join(file)).unwrap();
        assert!(!text.contains("geheim12") && !text.contains("abcdefgh"), "{file}: {text}");
    }
}

#[test]
fn a_running_machine_and_its_root_come_over() {
    let machine = Entered::new(env!("CARGO_BIN_EXE_hoopy"), "name = \"small\"\n");
    fs::write(machine.far("etc/motd"), "changed by hand\n").unwrap();
    fs::write(machine.far("etc/new.conf"), "new\n").unwrap();
    fs::create_dir_all(machine.far("usr/local/bin")).unwrap();
    fs::write(machine.far("usr/local/bin/tool"), "#!/bin/sh\n").unwrap();
    fs::create_dir_all(machine.far("home/me/films")).unwrap();
    fs::write(machine.far("home/me/films/x"), "x".repeat(5000)).unwrap();
    fs::remove_file(machine.far("etc/issue")).unwrap();
    let said = machine.says(0, &["import", "ssh:root@far", "-o", "by-ssh", "--kernel", "virt"]);
    let far = machine.far("").to_str().unwrap().to_owned();
    let whole = machine.says(0, &["import", &far, "-o", "by-path", "--kernel", "virt"]);
    for (dir, said) in [("by-ssh", &said), ("by-path", &whole)] {
        let read = |name: &str| fs::read_to_string(machine.path(dir).join(name)).unwrap_or_default();
        assert_eq!(read("root/etc/motd"), "changed by hand\n", "{said}");
        assert_eq!(read("root/etc/new.conf"), "new\n", "{said}");
        assert_eq!(read("root/usr/local/bin/tool"), "#!/bin/sh\n", "{said}");
        // Nothing of the packages' own.
        for name in ["bin/busybox", "etc/services", "lib/apk", "etc/apk"] {
            assert!(!machine.path(dir).join("root").join(name).exists(), "{dir}: {name}: {said}");
        }
        let built = machine.says(0, &["build", dir, "--locked", "--output", "tar"]);
        assert!(built.contains("image"), "{built}");
    }
    assert!(fs::read_to_string(machine.path("by-ssh/hoopy.toml")).unwrap().contains("host = \"root@far\""));
    let script = fs::read_to_string(machine.path("by-path/setup.sh")).unwrap();
    assert!(script.contains("rm -f '/etc/issue'"), "{script}");
    assert!(whole.contains("/home/me: 4.88 KiB of data"), "{whole}");
    assert!(!machine.path("by-path/root/home/me/films/x").exists());
}
