//! A TPM without a machine: swtpm's, behind a socket, where a command takes milliseconds.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A TPM, just started.
#[derive(Debug)]
pub struct Swtpm {
    child: Child,
    /// Its state, and a place for files of [`Self::tool`].
    pub dir: TempDir,
    port: u16,
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Default for Swtpm {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(clippy::unwrap_used, reason = "a test that cannot start its TPM fails here")]
impl Swtpm {
    /// A TPM that nobody has used.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = two_ports();
        let child = start(dir.path(), port);
        Self { child, dir, port }
    }

    /// The machine is switched off and on: PCRs are zero again, the TPM's seeds stay.
    pub fn reset(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.port = two_ports();
        self.child = start(self.dir.path(), self.port);
    }

    /// A stream of commands. Nothing else may be connected.
    pub fn connect(&self) -> TcpStream {
        let since = Instant::now();
        loop {
            match TcpStream::connect(("127.0.0.1", self.port)) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                    return stream;
                }
                Err(e) => assert!(since.elapsed() < Duration::from_secs(20), "swtpm: {e}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What a program of tpm2-tools says, on this TPM. Nothing else may be connected.
    pub fn tool(&self, program: &str, args: &[&str]) -> String {
        let tcti = format!("swtpm:host=127.0.0.1,port={}", self.port);
        output(Command::new(program).args(args).current_dir(self.dir.path()).env("TPM2TOOLS_TCTI", tcti))
    }
}

fn start(dir: &Path, port: u16) -> Child {
    let mut command = Command::new("swtpm");
    command.args(["socket", "--tpm2", "--tpmstate", &format!("dir={}", dir.display())]);
    command.args(["--server", &format!("type=tcp,port={port}")]);
    command.args(["--ctrl", &format!("type=tcp,port={}", port + 1)]);
    command.args(["--flags", "not-need-init,startup-clear"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("swtpm must be installed: cargo xtask setup")
}

/// A free port with a free one behind it, which tpm2-tools take for the control channel. swtpm opens them a little later, so no
/// two tests get the same ones, and they are below those that the kernel gives to connections (`ip_local_port_range`).
fn two_ports() -> u16 {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id() * 64 + TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + u16::try_from(number % 6_000).unwrap_or(0) * 2;
        if [port, port + 1].iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()) {
            return port;
        }
    }
}

/// What a program prints that has to succeed.
///
/// # Panics
/// If it does not.
pub fn output(command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}: cargo xtask setup installs it"));
    assert!(out.status.success(), "{command:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}
