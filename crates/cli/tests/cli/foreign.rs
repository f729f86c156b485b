//! Scripts that this machine does not run by itself: by a registered interpreter, and in a virtual machine. Either way
//! the image must be the one that the sandbox makes, to the byte.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use hoopy_base::arch::Arch;
use hoopy_testkit::Home;

/// All that a script can do to a tree, and all that it can see of its surroundings, but for who owns /proc: in a user
/// namespace that is nobody.
const EVERYTHING: &str = r#"#!/bin/sh
set -eux
{ pwd; echo "$0" "$#"; env | sort; id; umask; ls -A /mnt /mnt/secrets /dev /dev/shm /proc/self/fd/0; } >/seen
cp -a /mnt/root /copy && chown -R 0:0 /copy
! touch /mnt/new && ! echo 1 >/sys/kernel/mm/ksm/run
wc -l </proc/net/dev >>/seen && hostname >>/seen && stat -c '%a %u %g' / /mnt/root /dev /tmp >>/seen && ls /proc | grep -c '^[0-9]' | grep -qx '[1-9]'
rm -r /etc/network && mkdir /etc/network && echo new >/etc/network/interfaces
mv /etc/profile.d /etc/profile.off
rm /etc/issue && mkdir /etc/issue && echo in >/etc/issue/in
rm -r /media && echo file >/media
rm /etc/motd; rm -r /opt
touch /etc/passwd && chmod 700 /home && chmod 600 /etc/shells && chmod 644 /etc/shells
echo z >/z && ln /z /etc/a-link && ln /z /zz && chmod 4751 /z && chown 1000:42 /z
: >/empty && ln /empty /also-empty
ln /etc/hosts /etc/hosts.link && ln -s 'a b' /link && ln -sf elsewhere /etc/shells.link
mkfifo /fifo && mkdir -m 1777 /sticky && mkdir -p /deep/er/est && chmod 2755 /deep/er
echo odd >"/etc/it's \"odd\" \$x \\ *" && dd if=/dev/zero of=/large bs=1M count=3 2>/dev/null
adduser -D -s /bin/sh me && echo "$(date +%Y)" >/dev/null
sleep 1000 &
"#;

fn script(home: &Home, name: &str, text: &str) {
    let path = home.path(name).join("setup.sh");
    fs::write(&path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// `hello` with few packages: what most of their scripts do, they all do.
fn small(home: &Home) -> PathBuf {
    let dir = home.example("hello");
    fs::write(dir.join("packages"), "alpine-base\nlinux-virt\n").unwrap();
    dir
}

/// The initramfs of `hello`, with this `setup.sh`, whose scripts ran in `place`.
fn initramfs(home: &Home, arch: Arch, place: &str, setup: &str) -> Vec<u8> {
    let dir = small(home);
    script(home, "hello", setup);
    fs::create_dir(dir.join("secrets")).unwrap();
    fs::write(dir.join("secrets/key"), "secret").unwrap();
    let args = ["build", "hello", "--output", "kernel+initramfs", "--arch", arch.as_str()];
    let out =
        home.run(&[&args[..], &["--scripts", place, "--store", place, "--compression", "none"]].concat());
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{said}");
    assert_eq!(said.contains("scripts run in a virtual machine"), place == "vm", "{said}");
    let images = fs::read_dir(dir.join("images")).unwrap().map(|e| e.unwrap().path());
    let file = images.into_iter().find(|p| p.extension().is_some_and(|e| e == "initramfs")).unwrap();
    let bytes = fs::read(&file).unwrap();
    fs::remove_dir_all(dir).unwrap();
    bytes
}

/// Shows where they part: the archives are not compressed, and their headers are text.
fn assert_same(one: &[u8], other: &[u8]) {
    let Some(at) = one.iter().zip(other).position(|(a, b)| a != b) else {
        return assert_eq!(one.len(), other.len());
    };
    let around = |bytes: &[u8]| {
        let part = &bytes[at.saturating_sub(400)..bytes.len().min(at + 400)];
        String::from_utf8_lossy(part).replace('\0', " ")
    };
    panic!("they part at byte {at}:\n{}\n\n{}", around(one), around(other));
}

#[test]
fn scripts_in_a_virtual_machine_make_what_the_sandbox_makes() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let arch = Arch::host().unwrap();
    let native = initramfs(&home, arch, "native", EVERYTHING);
    let machine = initramfs(&home, arch, "vm", EVERYTHING);
    assert_same(&native, &machine);
    // What the packages' scripts made is in the store by now
    small(&home);
    script(&home, "hello", "#!/bin/sh\necho before\nexit 7\n");
    let message = home.fails(4, &["build", "hello", "--scripts", "vm", "--store", "vm"]);
    assert!(message.contains("setup.sh failed with exit status 7\nbefore"), "{message}");
}

#[test]
fn a_foreign_architecture_comes_out_the_same_by_interpreter_and_by_virtual_machine() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let foreign = Arch::ALL.into_iter().find(|arch| Some(*arch) != Arch::host()).unwrap();
    let setup = "#!/bin/sh\nset -e\nrc-update -q add devfs sysinit\nuname -m >/etc/machine\nadduser -D me\n";
    let machine = initramfs(&home, foreign, "vm", setup);
    if !hoopy_sandbox::binfmt::registered(foreign.as_str()) {
        hoopy_testkit::skip(format_args!(
            "half of this test: no interpreter for {foreign} is registered with binfmt_misc"
        ));
        return;
    }
    let interpreted = initramfs(&home, foreign, "native", setup);
    assert_same(&interpreted, &machine);
}

#[test]
fn a_script_that_suspends_its_machine_is_named_after_a_minute() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    small(&home);
    script(&home, "hello", "#!/bin/sh\nmount -o remount,rw /sys\necho freeze >/sys/power/state\n");
    let message = home.fails(4, &["build", "hello", "--scripts", "vm"]);
    assert!(
        message.contains("setup.sh: the virtual machine that runs it has stopped: expected a sign of life"),
        "{message}"
    );
}

#[test]
fn a_build_that_is_killed_leaves_no_machine() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    home.example("hello");
    let temp = home.path("temp");
    fs::create_dir(&temp).unwrap();
    let mut build = home.command(&["build", "hello", "--scripts", "vm"]);
    let mut build = build.env("TMPDIR", &temp).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    let machine = loop {
        let mut dirs = fs::read_dir(&temp).unwrap().map(|e| e.unwrap().path());
        if let Some(dir) = dirs.find(|dir| dir.join("initramfs").exists()) {
            break dir;
        }
        assert!(started.elapsed() < Duration::from_secs(120), "no machine was started");
        std::thread::sleep(Duration::from_millis(100));
    };
    let guests = || {
        let all =
            fs::read_dir("/proc").unwrap().filter_map(|e| fs::read(e.ok()?.path().join("cmdline")).ok());
        let name = machine.as_os_str().as_encoded_bytes().to_vec();
        all.filter(|line| line.windows(name.len()).any(|part| part == name)).count()
    };
    build.kill().unwrap();
    build.wait().unwrap();
    while guests() > 0 || machine.exists() {
        assert!(started.elapsed() < Duration::from_secs(150), "{} still runs", machine.display());
        std::thread::sleep(Duration::from_millis(100));
    }
}
