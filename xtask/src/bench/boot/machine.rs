//! One boot, timed by what the console says, with what the disk had to do.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

const QEMU: &str = "qemu-system-x86_64";
const FIRMWARE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// How long a boot may take.
const LIMIT: Duration = Duration::from_secs(600);

/// What firmware says last before it starts something, what OpenRC says first, what our service says, and the end.
const MARKS: [&str; 4] = ["BdsDxe: starting", "OpenRC ", "bench: up ", "login:"];

/// What a boot took, in seconds and bytes.
#[derive(Debug, Clone, Copy)]
pub struct Boot {
    pub firmware: f64,
    pub loader: f64,
    pub kernel: f64,
    pub init: f64,
    /// Memory that a program could not have.
    pub memory: u64,
    /// Bytes that the machine and its firmware read from the disk.
    pub read: u64,
}

impl Boot {
    /// Seconds from power on to login.
    pub fn all(&self) -> f64 {
        self.firmware + self.loader + self.kernel + self.init
    }
}

/// QEMU's options for KVM where it works, else for TCG with one thread, as `hoopy run` has it: with a thread for each processor, a
/// kernel that changes its own code dies of it now and then.
pub fn accelerator(hoopy: &Path) -> anyhow::Result<&'static [&'static str]> {
    let out = Command::new(hoopy).args(["doctor", "--json"]).output()?;
    let found: serde_json::Value = serde_json::from_slice(&out.stdout)?;
    let checks = found.get("checks").and_then(|checks| checks.as_array()).context("doctor has no checks")?;
    let kvm = checks.iter().find(|check| check.get("name").is_some_and(|name| name == "KVM"));
    let works = kvm.and_then(|kvm| kvm.get("ok")).is_some_and(|ok| ok == true);
    Ok(if works { &["-accel", "kvm", "-cpu", "host"] } else { &["-accel", "tcg,thread=single"] })
}

/// Boots from the disk, which stays as it is, and switches the machine off. The bytes written while it was left alone
/// for `idle` come with it.
pub fn boot(
    disk: &Path,
    dir: &Path,
    accelerator: &[&str],
    idle: Option<Duration>,
) -> anyhow::Result<(Boot, u64)> {
    let variables = dir.join("variables.fd");
    std::fs::copy(VARIABLES, &variables)?;
    let socket = dir.join("qmp");
    let _ = std::fs::remove_file(&socket);
    let started = Instant::now();
    let mut machine = Machine(start(disk, &variables, &socket, accelerator)?);
    let console = machine.0.stdout.take().context("no console")?;
    let heard = listen(console);
    let mut times = Vec::new();
    let mut said = String::new();
    for mark in MARKS {
        let (at, line) = expect(&heard, mark, &mut said).with_context(|| format!("waiting for {mark:?}"))?;
        times.push((at.duration_since(started).as_secs_f64(), line));
    }
    let [(firmware, _), (init, _), (up, line), (login, _)] = times.as_slice() else { bail!("too few marks") };
    let number = |word: &str| -> anyhow::Result<f64> {
        let after = line.split_once(&format!(" {word} ")).map(|(_, after)| after);
        let number = after.and_then(|after| after.split_whitespace().next()?.parse().ok());
        number.with_context(|| format!("no {word} in {line:?}"))
    };
    let begun = up - number("up")?;
    let memory = (number("total")? - number("available")?) * 1024.0;
    let mut monitor = UnixStream::connect(&socket)?;
    let mut disk = Statistics::ask(&mut monitor)?;
    let boot = Boot {
        firmware: *firmware,
        loader: begun - firmware,
        kernel: init - begun,
        init: login - init,
        memory: memory as u64,
        read: disk.read,
    };
    if let Some(idle) = idle {
        println!("bench: left alone for {} s", idle.as_secs());
        std::thread::sleep(idle);
        let before = disk.written;
        disk = Statistics::ask(&mut monitor)?;
        return Ok((boot, disk.written - before));
    }
    Ok((boot, 0))
}

/// Ended with what owns it.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(disk: &Path, variables: &Path, qmp: &Path, accelerator: &[&str]) -> anyhow::Result<Child> {
    let mut command = Command::new(QEMU);
    command.args(["-machine", "q35", "-smp", "2", "-m", "512"]).args(accelerator);
    command.args(["-nodefaults", "-display", "none", "-vga", "std", "-serial", "stdio"]);
    command.args(["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net"]);
    command.arg("-drive").arg(format!("if=pflash,format=raw,readonly=on,file={FIRMWARE}"));
    command.arg("-drive").arg(format!("if=pflash,format=raw,file={}", variables.display()));
    command
        .arg("-drive")
        .arg(format!("if=none,id=boot,format=raw,snapshot=on,file={}", disk.display()))
        .args(["-device", "virtio-blk-pci,drive=boot,bootindex=1"]);
    command.arg("-qmp").arg(format!("unix:{},server=on,wait=off", qmp.display()));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().with_context(|| format!("start {QEMU}"))
}

/// What the console says, and when.
fn listen(mut console: impl std::io::Read + Send + 'static) -> Receiver<(Instant, Vec<u8>)> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count) = console.read(&mut buffer) {
            if count == 0 || send.send((Instant::now(), buffer[..count].to_vec())).is_err() {
                break;
            }
        }
    });
    receive
}

/// When the console said `wanted` behind what was read so far, and the line that it begins.
fn expect(
    heard: &Receiver<(Instant, Vec<u8>)>,
    wanted: &str,
    said: &mut String,
) -> anyhow::Result<(Instant, String)> {
    let limit = Instant::now() + LIMIT;
    let mut seen = None;
    loop {
        if let Some(at) = said.find(wanted) {
            let when = *seen.get_or_insert_with(Instant::now);
            let rest = said.get(at..).unwrap_or_default();
            if let Some((line, after)) = rest.split_once('\n') {
                let line = line.to_owned();
                *said = after.to_owned();
                return Ok((when, line));
            }
            if wanted == MARKS[3] {
                return Ok((when, rest.to_owned()));
            }
        }
        match heard.recv_timeout(limit.saturating_duration_since(Instant::now())) {
            Ok((when, bytes)) => {
                said.push_str(&String::from_utf8_lossy(&bytes));
                if said.contains(wanted) {
                    seen.get_or_insert(when);
                }
            }
            Err(_) => bail!("the machine said no more than this:\n{said}"),
        }
    }
}

/// What a disk did so far, in bytes.
struct Statistics {
    read: u64,
    written: u64,
}

impl Statistics {
    /// Asks QEMU (docs/interop/qmp-spec.rst, `query-blockstats` of qapi/block-core.json).
    fn ask(monitor: &mut UnixStream) -> anyhow::Result<Self> {
        monitor.set_read_timeout(Some(Duration::from_secs(10)))?;
        monitor.write_all(b"{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"query-blockstats\"}\n")?;
        for line in BufReader::new(monitor.take(1 << 20)).lines() {
            let answer: serde_json::Value = serde_json::from_str(&line?)?;
            let Some(devices) = answer.get("return").and_then(|value| value.as_array()) else { continue };
            let boot = devices.iter().find(|one| one.get("device").is_some_and(|name| name == "boot"));
            let stats = boot.and_then(|boot| boot.get("stats")).context("QEMU knows no disk `boot`")?;
            let number =
                |name: &str| stats.get(name).and_then(serde_json::Value::as_u64).context("no number");
            return Ok(Self { read: number("rd_bytes")?, written: number("wr_bytes")? });
        }
        bail!("QEMU did not say what its disks did")
    }
}
