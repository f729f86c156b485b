//! A machine made of files, and its page on a free port of this computer.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use hoopy_boot::monitor::Settings;
use hoopyd::http::{Endpoint, Site, server};
use hoopyd::serve::{Collector, MachineSite, Shared};
use tempfile::TempDir;

pub struct Page {
    pub address: SocketAddr,
    pub shared: Shared,
    dir: TempDir,
}

/// What the kernel of a small machine says. Sizes of filesystems are those of this computer, whose disk may be full: so
/// the root is one that nobody has to make room on.
const FILES: [(&str, &str); 10] = [
    ("proc/meminfo", "MemTotal:        1000000 kB\nMemAvailable:     600000 kB\nShmem:  100000 kB\n"),
    ("proc/loadavg", "0.50 0.40 0.30 1/100 1234\n"),
    ("proc/uptime", "93784.12 1000.00\n"),
    ("proc/stat", "cpu  1 2 3\ncpu0 1 2 3\ncpu1 1 2 3\n"),
    ("proc/sys/kernel/hostname", "nas\n"),
    ("proc/sys/kernel/osrelease", "6.18.56-0-lts\n"),
    ("proc/sys/kernel/random/boot_id", "0-1\n"),
    (
        "proc/net/dev",
        "Inter-|   Receive\n face |bytes\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 5000 5 1 0 0 0 0 0 700 7 2 0 0 0 0 0\n",
    ),
    ("etc/hoopy-release", "IMAGE=nas-2026112101\nCOMMIT=abc123\nDIRTY=yes\n"),
    ("proc/self/mountinfo", "1 1 0:1 / / ro - tmpfs none rw\n2 1 8:1 / /nfs rw - nfs4 far:/ rw\n"),
];

impl Page {
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// With these files beside those of the kernel.
    pub fn with(files: &[(&str, &str)]) -> Self {
        Self::serving(Self::machine(files), |site, _, _| site)
    }

    /// The files of a machine.
    pub fn machine(files: &[(&str, &str)]) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in FILES.iter().chain(files) {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            let executable = path.to_string_lossy().contains("/etc/");
            fs::set_permissions(&path, fs::Permissions::from_mode(if executable { 0o755 } else { 0o644 }))
                .unwrap();
        }
        dir
    }

    /// The same with another site in front.
    pub fn serving<S: Site + Send + 'static>(
        dir: TempDir,
        site: impl FnOnce(MachineSite, PathBuf, Shared) -> S,
    ) -> Self {
        let settings = Settings { names: vec!["nas.example.org".to_owned()], ..Settings::default() };
        let shared = Shared::new(Collector::new(dir.path(), settings.clone()));
        let own = MachineSite::new(dir.path(), &settings, shared.clone());
        let site = site(own, dir.path().to_owned(), shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || server::serve(vec![Endpoint::plain(listener)], &site));
        Self { address, shared, dir }
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// What comes back to these bytes until the connection ends.
    pub fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // A connection that is cut counts by what came before.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The status and the body of a path, for a client that reads anything.
    pub fn get(&self, path: &str) -> (u16, String) {
        split(&self.raw(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes()))
    }

    /// The page, as a browser gets it.
    pub fn html(&self) -> String {
        self.raw(b"GET / HTTP/1.0\r\nHost: nas\r\nAccept: text/html\r\n\r\n")
    }
}

pub fn split(answer: &str) -> (u16, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, body.to_owned())
}
