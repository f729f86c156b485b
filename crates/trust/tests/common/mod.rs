//! Keys, programs and the tools that others check them with.
#![allow(clippy::unwrap_used, dead_code, missing_docs, reason = "tests, which use a part each")]

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use hoopy_trust::CertifiedSigner;
use hoopy_trust::authenticode::{Scan, attach};
use hoopy_trust::certificate::Certificate;
use hoopy_trust::key::PrivateKey;
use jiff::Timestamp;

/// Where Debian's `systemd-boot-efi` puts what it brings.
pub const EFI: &str = "/usr/lib/systemd/boot/efi";

pub fn stub() -> Vec<u8> {
    let arch = if cfg!(target_arch = "aarch64") { "aa64" } else { "x64" };
    std::fs::read(Path::new(EFI).join(format!("linux{arch}.efi.stub"))).unwrap()
}

pub fn boot_loader() -> Vec<u8> {
    let arch = if cfg!(target_arch = "aarch64") { "aa64" } else { "x64" };
    std::fs::read(Path::new(EFI).join(format!("systemd-boot{arch}.efi"))).unwrap()
}

pub fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A key with its certificate.
#[derive(Debug)]
pub struct Pair {
    pub key: PrivateKey,
    pub certificate: Certificate,
}

impl Pair {
    pub fn new(name: &str) -> Self {
        let key = PrivateKey::generate().unwrap();
        let certificate = Certificate::self_signed(name, time("2026-11-28T00:00:00Z"), &key).unwrap();
        Self { key, certificate }
    }

    pub fn signer(&self) -> CertifiedSigner<'_> {
        CertifiedSigner::new(&self.certificate, &self.key).unwrap()
    }
}

/// Making keys takes time: tests that only need some share these.
pub fn db() -> &'static Pair {
    static PAIR: OnceLock<Pair> = OnceLock::new();
    PAIR.get_or_init(|| Pair::new("Test db"))
}

pub fn other() -> &'static Pair {
    static PAIR: OnceLock<Pair> = OnceLock::new();
    PAIR.get_or_init(|| Pair::new("Other db"))
}

pub fn scan(program: &[u8]) -> Scan {
    Scan::of(&mut Cursor::new(program)).unwrap()
}

pub fn signed(program: &[u8], by: &Pair) -> Vec<u8> {
    let attachment = attach(&scan(program), &[by.signer()]).unwrap();
    let mut signed = Vec::new();
    attachment.write(&mut Cursor::new(program), &mut signed).unwrap();
    signed
}

/// A directory with files that tools read.
#[derive(Debug)]
pub struct Desk(tempfile::TempDir);

impl Desk {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// `NAME.crt` and `NAME.key`.
    pub fn put_pair(&self, name: &str, pair: &Pair) {
        self.put(&format!("{name}.crt"), pair.certificate.to_pem().unwrap());
        self.put(&format!("{name}.key"), pair.key.to_pem().unwrap().as_bytes());
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Runs a program among the files.
    pub fn run(&self, program: &str, arguments: &str) -> Output {
        let mut command = Command::new(program);
        command.args(arguments.split_whitespace()).current_dir(self.0.path()).env("LC_ALL", "C");
        command.output().unwrap_or_else(|e| panic!("{program}: {e}: run `cargo xtask setup`"))
    }

    /// The same; it must end well.
    pub fn ok(&self, program: &str, arguments: &str) -> String {
        let out = self.run(program, arguments);
        let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
        assert!(out.status.success(), "{program} {arguments}: {}\n{said}", out.status);
        said
    }
}
