//! Deploys to a machine for real: QEMU, firmware, systemd-boot, dropbear, the user's own ssh.
//!
//! Boots are slow where they are emulated, so one machine goes through everything, and the numbers are small. The
//! whole proof is `cargo xtask prove`, which sets them: HOOPY_PROVE_DEPLOYS, HOOPY_PROVE_KILLS and HOOPY_PROVE_FAULTS
//! (1: an image that panics and one that hangs, too; a network that is cut), HOOPY_PROVE_ARCH.

#![allow(clippy::unwrap_used, reason = "tests")]

mod machine;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use machine::{Machine, toml};

fn count(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// What a one-file change may send.
const SMALL: u64 = 64 << 10;

#[test]
#[ignore = "long: `cargo xtask test` runs it beside the others, `cargo xtask prove` in full"]
fn a_machine_is_deployed_to_falls_back_and_survives_power_cuts() {
    let arch =
        if std::env::var("HOOPY_PROVE_ARCH").is_ok_and(|a| a == "aarch64") { "aarch64" } else { "x86_64" };
    let started = Instant::now();
    let say = |what: &str| println!("{:>5} s  {what}", started.elapsed().as_secs());
    let mut machine = Machine::new(arch, "ab");
    let first = machine.runs();
    say(&format!("{first} is up"));
    another_host_key_is_refused(&machine);
    say("another host key is refused");
    for n in 0..count("HOOPY_PROVE_DEPLOYS", 1) {
        machine.set("root/etc/motd", &format!("deploy {n}\n"), 0o644);
        let said = machine.deploy();
        let (sent, size) = (said["sent"].as_u64().unwrap(), said["size"].as_u64().unwrap());
        assert!(sent < SMALL, "{sent} bytes were sent");
        assert_eq!(said["came"]["image"].as_str().unwrap(), machine.runs());
        assert_eq!(said["came"]["checked"], true);
        say(&format!("deploy {n}: sent {sent} of {size} bytes; {} is up and well", machine.runs()));
    }
    falls_back(&machine, "health.d/bad failed with 1", |m| {
        m.set("root/etc/hoopy/health.d/bad", "#!/bin/sh\necho the disk is gone\nexit 1\n", 0o755);
    });
    machine.unset("root/etc/hoopy/health.d/bad");
    say("an image whose check fails was fallen back from");
    if count("HOOPY_PROVE_FAULTS", 0) > 0 {
        falls_back(&machine, "", |m| {
            m.set("hoopy.toml", &toml("ab", "cmdline = \"rdinit=/gone panic=1\""), 0o644)
        });
        machine.set("hoopy.toml", &toml("ab", ""), 0o644);
        say("an image that panics was fallen back from");
        let service = "#!/sbin/openrc-run\nstart() { sleep 100000; }\n";
        falls_back(&machine, "no verdict", |m| {
            m.set("root/etc/init.d/hang", service, 0o755);
            m.set("root/etc/conf.d/hoopy-watchdog", "BOOT_LIMIT=200\n", 0o644);
            let link = m.home.path("hello/root/etc/runlevels/default/hang");
            std::fs::create_dir_all(link.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink("/etc/init.d/hang", link).unwrap();
        });
        machine.unset("root/etc/runlevels/default/hang");
        machine.unset("root/etc/init.d/hang");
        machine.set("root/etc/conf.d/hoopy-watchdog", "BOOT_LIMIT=500\n", 0o644);
        say("an image that hangs was fallen back from");
        network_cut(&machine);
        say("a network that was cut was told, and the deploy run again");
    }
    power_cuts(&mut machine, count("HOOPY_PROVE_KILLS", 1), &say);
}

fn another_host_key_is_refused(machine: &Machine) {
    machine.knows("user.pub");
    let out = machine.command("status", &[]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && said.contains("ssh-keygen -R vm"), "{said}");
    machine.knows("host.pub");
}

/// What `spoil` makes of the system is deployed, and fallen back from with these words.
fn falls_back(machine: &Machine, words: &str, spoil: impl Fn(&Machine)) {
    let good = machine.runs();
    spoil(machine);
    let (code, said) = machine.deploy_fails();
    assert_eq!(code, 9, "{said}\n{}", machine.log());
    assert!(
        said.contains(&format!("vm fell back: it runs {good}, not vm-")) && said.contains(words),
        "{said}"
    );
    println!("{}", said.lines().take(8).collect::<Vec<_>>().join("\n"));
    assert_eq!(machine.runs(), good);
}

/// QEMU is killed at some instant of a deploy; the machine comes up with a whole image, and is deployed to again.
fn power_cuts(machine: &mut Machine, times: u64, say: &dyn Fn(&str)) {
    // As long as a deploy takes, ssh and all, so that instants fall into all of it.
    machine.set("root/etc/motd", "how long\n", 0o644);
    let begun = Instant::now();
    assert!(machine.command("deploy", &["--quiet"]).status().unwrap().success());
    let whole = begun.elapsed();
    for n in 0..times {
        machine.set("root/etc/motd", &format!("cut {n}\n"), 0o644);
        let mut command = machine.command("deploy", &["--quiet"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Not by chance: the golden ratio spreads any number of instants evenly.
        let part = (0.31 + n as f64 * 0.618_034) % 1.0;
        std::thread::sleep(whole.mul_f64(part));
        machine.kill();
        let done = child.wait().unwrap().success();
        machine.start();
        say(&format!(
            "the plug was pulled at {:.0}% (deployed: {done}); {} is up",
            part * 100.0,
            machine.runs()
        ));
        let again = machine.command("deploy", &["--quiet"]).output().unwrap();
        assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    }
}

/// A network that is gone in the middle of a transfer: nothing more comes through, and nobody is told.
fn network_cut(machine: &Machine) {
    let config = std::fs::read_to_string(machine.home.path("ssh_config")).unwrap();
    let port = config.lines().find_map(|l| l.strip_prefix("Port ")).unwrap().parse::<u16>().unwrap();
    // Much to send, so that it is in the middle.
    let noise: String =
        (0..400_000_u64).map(|n| format!("{:x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
    machine.set("root/srv/noise", &noise, 0o644);
    let left = Arc::new(AtomicU64::new(500_000));
    machine.reached_by(cutting_proxy(port, Arc::clone(&left)));
    let out = machine.command("deploy", &["--quiet"]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && said.contains("the connection to vm broke"), "{said}");
    assert_eq!(left.load(Ordering::SeqCst), 0, "it was not cut: {said}");
    machine.reached_by(port);
    // The far side gives up after a minute, and puts everything back.
    let again = || machine.command("deploy", &["--quiet"]).output().unwrap();
    let mut last = again();
    if !last.status.success() {
        std::thread::sleep(Duration::from_secs(60));
        last = again();
    }
    assert!(last.status.success(), "{}", String::from_utf8_lossy(&last.stderr));
    machine.unset("root/srv/noise");
}

/// A port that leads to `port` until so many bytes went there; then nothing passes any more.
fn cutting_proxy(port: u16, left: Arc<AtomicU64>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let own = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
            let pairs =
                [(client.try_clone().unwrap(), server.try_clone().unwrap(), true), (server, client, false)];
            for (mut from, mut to, counted) in pairs {
                let left = Arc::clone(&left);
                std::thread::spawn(move || {
                    let mut buffer = [0; 16 << 10];
                    while let Ok(n @ 1..) = from.read(&mut buffer) {
                        if counted {
                            let taken = |l: u64| Some(l.saturating_sub(n as u64));
                            let _ = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, taken);
                        }
                        if left.load(Ordering::SeqCst) == 0 {
                            std::thread::sleep(Duration::from_secs(3600));
                        }
                        let _ = to.write_all(&buffer[..n]);
                    }
                });
            }
        }
    });
    own
}
