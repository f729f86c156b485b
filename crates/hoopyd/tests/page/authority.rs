//! A certificate authority at home, made with openssl as docs/agent.md says.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

pub struct Authority(TempDir);

fn openssl(args: &[&str]) {
    let out = Command::new("openssl").args(args).output().unwrap();
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

impl Authority {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [key, certificate] = ["ca.key", "ca.crt"].map(|name| dir.path().join(name));
        let [key, certificate] = [&key, &certificate].map(|path| path.to_str().unwrap());
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let rest = ["-days", "30", "-subj", "/CN=home", "-keyout", key, "-out", certificate];
        openssl(&[&["req", "-x509"], &curve[..], &rest[..]].concat());
        Self(dir)
    }

    pub fn certificate(&self) -> PathBuf {
        self.0.path().join("ca.crt")
    }

    /// Puts a certificate for `names` and its key below the root of a machine.
    pub fn issue(&self, root: &Path, names: &str, serial: &str) {
        let at = |name: &str| self.0.path().join(name).to_str().unwrap().to_owned();
        let etc = root.join("etc/hoopy");
        std::fs::create_dir_all(&etc).unwrap();
        let [key, certificate] = ["page.key", "page.crt"].map(|name| etc.join(name));
        let [key, certificate] = [&key, &certificate].map(|path| path.to_str().unwrap());
        let names = format!("subjectAltName={names}");
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let who = ["-x509", "-days", "30", "-subj", "/CN=nas", "-addext", &names, "-set_serial", serial];
        let ca = [&at("ca.crt"), "-CAkey", &at("ca.key"), "-keyout", key, "-out", certificate];
        let usage =
            ["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth"];
        openssl(&[&["req"], &curve[..], &who[..], &usage[..], &["-CA"], &ca[..]].concat());
    }

    /// The certificate of a reader and its key.
    pub fn reader(&self) -> [String; 2] {
        let at = |name: &str| self.0.path().join(name).to_str().unwrap().to_owned();
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let who = ["-x509", "-days", "30", "-subj", "/CN=reader", "-addext", "extendedKeyUsage=clientAuth"];
        let [key, certificate] = [at("reader.key"), at("reader.crt")];
        let ca = [&at("ca.crt"), "-CAkey", &at("ca.key"), "-keyout", &key, "-out", &certificate];
        let usage = ["-addext", "basicConstraints=critical,CA:FALSE", "-CA"];
        openssl(&[&["req"], &curve[..], &who[..], &usage[..], &ca[..]].concat());
        [certificate, key]
    }
}
