//! What the machine of `hoopy run` reaches: a machine that tries all ways to this computer's own services, and to another
//! computer, and says what answered. Its forwarded port answers all the while.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hoopy_testkit::Home;

/// Generous: emulation on a busy machine.
const LONG: &str = "600";

/// Runs in the machine. `@PORT@` is where this computer listens on its loopback, `@OUT@` another computer.
const PROBE: &str = r#"#!/bin/sh
say() { echo "PROBE $*" >/dev/console; }
try() {
	got=$(echo | nc -w 5 "$1" @PORT@ 2>/dev/null | head -n 1)
	say "$1: ${got:-nothing}"
}
for module in virtio_pci virtio_net af_packet ipv6; do modprobe -q $module; done
sleep 2
ip link set lo up
ip link set eth0 up
udhcpc -i eth0 -n -q -t 20 -T 1 >/dev/null 2>&1
sleep 2
(while :; do echo inside | nc -l -p 22 >/dev/null 2>&1; done) &
say ready
for to in 10.0.2.2 10.0.2.3 10.0.2.77 fec0::2; do try $to; done
echo x | nc -u -w 2 10.0.2.2 @PORT@ >/dev/null 2>&1
[ -z "@OUT@" ] || try @OUT@
# This computer's loopback by a route of the machine's own.
echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet
echo 1 >/proc/sys/net/ipv4/conf/eth0/route_localnet
ip addr del 127.0.0.1/8 dev lo
ip route add 127.0.0.0/8 via 10.0.2.2 dev eth0 src 10.0.2.15
try 127.0.0.1
sleep 20
say end
"#;

/// What answers on this computer, and who came.
struct Services {
    port: u16,
    reached: Arc<AtomicUsize>,
}

fn services() -> Services {
    let four = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = four.local_addr().unwrap().port();
    let reached = Arc::new(AtomicUsize::new(0));
    let six = TcpListener::bind(("::1", port)).ok();
    for listener in [Some(four), six].into_iter().flatten() {
        let reached = Arc::clone(&reached);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                reached.fetch_add(1, Ordering::Relaxed);
                let _ = stream.unwrap().write_all(b"THIS COMPUTER\n");
            }
        });
    }
    let (udp, counted) = (UdpSocket::bind(("127.0.0.1", port)).unwrap(), Arc::clone(&reached));
    std::thread::spawn(move || {
        while udp.recv_from(&mut [0; 100]).is_ok() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    Services { port, reached }
}

/// Another computer: a network namespace, where this user may make one.
struct Other {
    name: String,
    address: String,
    listener: Option<Child>,
}

impl Other {
    fn new(port: u16) -> Option<Self> {
        remove_namespaces_of_killed_tests();
        let name = format!("hoopy{}", std::process::id());
        let (here, there) = (format!("ho{}", std::process::id()), format!("hi{}", std::process::id()));
        let ip =
            |args: &str| Command::new("ip").args(args.split(' ')).output().is_ok_and(|o| o.status.success());
        // RFC 2544 keeps 198.18.0.0/15 for tests of networks.
        let net = format!("198.18.{}", std::process::id() % 250);
        let (gateway, address) = (format!("{net}.1"), format!("{net}.2"));
        let mut other = Self { name: name.clone(), address: address.clone(), listener: None };
        let made = ip(&format!("netns add {name}"))
            && ip(&format!("link add {here} type veth peer name {there} netns {name}"))
            && ip(&format!("addr add {gateway}/24 dev {here}"))
            && ip(&format!("link set {here} up"))
            && ip(&format!("-n {name} addr add {address}/24 dev {there}"))
            && ip(&format!("-n {name} link set {there} up"));
        let script = format!(
            "import socket\ns = socket.create_server(('{address}', {port}))\nwhile True:\n    s.accept()[0].sendall(b'OTHER\\n')"
        );
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &name, "python3", "-c", &script]);
        other.listener =
            made.then(|| command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()).flatten();
        other.listener.is_some().then_some(other)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        if let Some(listener) = &mut self.listener {
            let _ = listener.kill();
            let _ = listener.wait();
        }
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}

/// A test that is killed drops nothing, and the kernel keeps a namespace that has a name.
fn remove_namespaces_of_killed_tests() {
    for entry in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix("hoopy").and_then(|pid| pid.parse::<u32>().ok());
        if pid.is_some_and(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = Command::new("ip").args(["netns", "del", &name]).output();
        }
    }
}

/// What the machine said that is a line of the probe's.
fn probed(network: &str, port: u16, out: &str) -> Vec<String> {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let file = |name: &str, text: &str, mode: u32| {
        let path = home.path("s").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    file("packages", "alpine-base\nlinux-virt\n", 0o644);
    file("hoopy.toml", &format!("name = \"s\"\n[run]\nports = [22]\n{network}\n"), 0o644);
    file("setup.sh", "#!/bin/sh\nrc-update -q add devfs sysinit && rc-update -q add local default\n", 0o755);
    file(
        "root/etc/local.d/probe.start",
        "#!/bin/sh\nsetsid /usr/local/bin/probe </dev/null >/dev/null 2>&1 &\n",
        0o755,
    );
    file(
        "root/usr/local/bin/probe",
        &PROBE.replace("@PORT@", &port.to_string()).replace("@OUT@", out),
        0o755,
    );
    home.ok(&["build", "s", "--quiet"]);
    let mut command = home.command(&["run", "s", "--until", "PROBE end", "--within", LONG]);
    let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let told = Arc::new(Mutex::new(String::new()));
    let (mut errors, kept) = (running.stderr.take().unwrap(), Arc::clone(&told));
    let listening = std::thread::spawn(move || {
        let mut buffer = [0; 1000];
        while let Ok(n @ 1..) = errors.read(&mut buffer) {
            kept.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
    });
    let forwarded = || {
        let told = told.lock().unwrap();
        let (before, _) = told.split_once(" is port 22 of the machine")?;
        before.rsplit(' ').next().map(str::to_owned)
    };
    let answer = || {
        let mut stream = TcpStream::connect(forwarded()?).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let mut answer = [0; 7];
        stream.read_exact(&mut answer).ok()?;
        (&answer == b"inside\n").then_some(())
    };
    let started = Instant::now();
    let mut answered = false;
    while running.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_secs(600) {
        answered = answered || answer().is_some();
        std::thread::sleep(Duration::from_millis(300));
    }
    let out = running.wait_with_output().unwrap();
    listening.join().unwrap();
    let shown = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{shown}\n{}", told.lock().unwrap());
    assert!(answered, "the forwarded port did not answer: {shown}");
    shown
        .lines()
        .filter_map(|line| line.split("PROBE ").nth(1))
        .map(|line| line.trim_end_matches('\u{fffd}').to_owned())
        .collect()
}

#[test]
fn a_machine_never_reaches_this_computer_and_others_only_where_it_is_let_out() {
    let services = services();
    let other = Other::new(services.port);
    if other.is_none() {
        eprintln!("SKIPPED: half of this test: no network namespace can be made here");
    }
    let out = other.as_ref().map_or("", |other| other.address.as_str());
    for (network, outside) in [("", "nothing"), ("network = true", "OTHER")] {
        let said = probed(network, services.port, out);
        let ways = said.iter().filter(|line| line.contains(": ")).collect::<Vec<_>>();
        assert_eq!(ways.len(), 5 + usize::from(other.is_some()), "{network}: {said:#?}");
        for line in ways {
            let expected = if !out.is_empty() && line.starts_with(out) { outside } else { "nothing" };
            assert!(line.ends_with(&format!(": {expected}")), "{network}: {line}");
        }
        assert_eq!(services.reached.load(Ordering::Relaxed), 0, "{network}: {said:#?}");
    }
}
