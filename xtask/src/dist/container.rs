//! The container image: hoopy with QEMU, firmware, git and ssh out of Debian's packages, as an archive that `podman load` and
//! `docker load` take. It is put together here, without a container engine.
//!
//! ```text
//! xtask/container/ARCH.txt ──▶ packages by digest ──▶ layer ─┐
//! files of the release, accounts, certificates ────▶ layer ─┴▶ config ─▶ manifest ─▶ index (OCI image layout 1.0)
//! ```
//!
//! No script of a package runs: the parts of them that hoopy needs are done here.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use data_encoding::HEXLOWER;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Release;
use super::files::File;
use super::members::{Member, members};
use super::tarball::archive;
use crate::chores;

/// Documentation and translations are left out.
const LEFT_OUT: [&str; 5] =
    ["usr/share/man/", "usr/share/locale/", "usr/share/info/", "usr/share/lintian/", "usr/share/bug/"];

/// Certificates of authorities, of which the scripts of the package make one file.
const AUTHORITIES: &str = "usr/share/ca-certificates/mozilla/";

/// `hoopy-VERSION-ARCH-container.tar`.
pub fn file_name(release: &Release) -> String {
    format!("hoopy-{}-{}-container.tar", release.version, release.arch)
}

/// The list of packages for this architecture: a line `SHA256 ADDRESS` each.
pub fn list(arch: &str) -> PathBuf {
    chores::root().join(format!("xtask/container/{arch}.txt"))
}

/// The whole archive.
pub fn write(release: &Release) -> anyhow::Result<Vec<u8>> {
    let path = list(&release.arch);
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let mut layer = Layer::default();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        layer.add(&unpacked(&package(line)?)?)?;
    }
    let (debian, authorities) = layer.finish();
    let own = archive(&own_files(release, authorities), "", release.epoch)?;
    image(release, &[debian, own])
}

/// The layer of Debian's packages, in the making.
#[derive(Default)]
struct Layer {
    bytes: Vec<u8>,
    authorities: Vec<u8>,
    written: BTreeSet<String>,
}

impl Layer {
    /// Takes what is wanted of a package.
    fn add(&mut self, tar: &[u8]) -> anyhow::Result<()> {
        for member in members(tar)? {
            if member.name.starts_with(AUTHORITIES) {
                self.authorities.extend(member.content);
            }
            // Packages share directories, and podman refuses a layer with a path that comes twice.
            let path = member.name.trim_end_matches('/').to_owned();
            if is_wanted(&member) && self.written.insert(path) {
                self.bytes.extend(member.bytes);
            }
        }
        Ok(())
    }

    /// The archive, and all certificates that were in the packages.
    fn finish(mut self) -> (Vec<u8>, Vec<u8>) {
        // The end of an archive (tar(5))
        self.bytes.extend([0; 1024]);
        (self.bytes, self.authorities)
    }
}

fn is_wanted(member: &Member<'_>) -> bool {
    let document = member.name.starts_with("usr/share/doc/") && !member.name.ends_with("/copyright");
    let kept = member.name.ends_with('/') || !document;
    kept && !LEFT_OUT.iter().any(|dir| member.name.starts_with(dir))
}

/// The file of a line of the list: it is fetched once, and compared with its digest each time.
fn package(line: &str) -> anyhow::Result<PathBuf> {
    let (digest, address) = line.split_once(' ').context("a line of the list: expected SHA256 ADDRESS")?;
    let kept = chores::target().join("debian-packages");
    fs::create_dir_all(&kept)?;
    let file = kept.join(format!("{digest}.deb"));
    if !file.exists() {
        let new = file.with_extension("new");
        let mut curl = Command::new("curl");
        curl.args(["--fail", "--silent", "--show-error", "--location", "--retry", "3", "--output"]);
        chores::command(curl.arg(&new).arg(address)).context(
            "Debian drops a version when the next is out: choose anew with `cargo xtask dist --relock-container`",
        )?;
        fs::rename(&new, &file)?;
    }
    let found = HEXLOWER.encode(&Sha256::digest(fs::read(&file)?));
    if found != digest {
        fs::remove_file(&file)?;
        bail!("{address}: checksum mismatch: expected {digest}, found {found}");
    }
    Ok(file)
}

fn unpacked(deb: &Path) -> anyhow::Result<Vec<u8>> {
    let out = Command::new("dpkg-deb").arg("--fsys-tarfile").arg(deb).output().context("start dpkg-deb")?;
    ensure!(out.status.success(), "{}: {}", deb.display(), String::from_utf8_lossy(&out.stderr));
    Ok(out.stdout)
}

/// What scripts of packages would have made, and the release below `/usr`.
fn own_files(release: &Release, authorities: Vec<u8>) -> Vec<File> {
    let text = |path: &str, content: &[u8]| File { path: path.into(), mode: 0o644, content: content.into() };
    let directory = |path: &str, mode: u32| File { path: path.into(), mode, content: Vec::new() };
    let mut files = vec![
        text(
            "etc/passwd",
            b"root:x:0:0:root:/home/hoopy:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
        ),
        text("etc/group", b"root:x:0:\nnogroup:x:65534:\n"),
        text("etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files dns\n"),
        text("etc/gitconfig", b"[safe]\n\tdirectory = *\n"),
        text("etc/ssl/certs/ca-certificates.crt", &authorities),
        directory("work/", 0o755),
        // Also for whoever the container runs as with `--user`
        directory("home/hoopy/", 0o1777),
        // A volume that is mounted here gets this mode
        directory("home/hoopy/.cache/", 0o1777),
    ];
    files
        .extend(release.files.iter().map(|file| File { path: format!("usr/{}", file.path), ..file.clone() }));
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// The archive: blobs by digest, what names them, and `manifest.json` for docker(1) before version 25.
fn image(release: &Release, layers: &[Vec<u8>]) -> anyhow::Result<Vec<u8>> {
    let mut files = Vec::new();
    let mut blob = |kind: &str, content: Vec<u8>| {
        let digest = HEXLOWER.encode(&Sha256::digest(&content));
        let descriptor =
            json!({"mediaType": kind, "digest": format!("sha256:{digest}"), "size": content.len()});
        files.push(File { path: format!("blobs/sha256/{digest}"), mode: 0o644, content });
        descriptor
    };
    let (mut descriptors, mut diffs) = (Vec::new(), Vec::new());
    for layer in layers {
        diffs.push(format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(layer))));
        let mut out: GzEncoder<Vec<u8>> = GzBuilder::new().mtime(0).write(Vec::new(), Compression::new(6));
        out.write_all(layer)?;
        descriptors.push(blob("application/vnd.oci.image.layer.v1.tar+gzip", out.finish()?));
    }
    let config =
        blob("application/vnd.oci.image.config.v1+json", serde_json::to_vec(&config(release, &diffs))?);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": descriptors,
    });
    let mut entry = blob("application/vnd.oci.image.manifest.v1+json", serde_json::to_vec(&manifest)?);
    let name = format!("localhost/hoopy:{}", release.version);
    entry["annotations"] =
        json!({"io.containerd.image.name": name, "org.opencontainers.image.ref.name": release.version});
    let place = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap_or_default().trim_start_matches("sha256:");
        format!("blobs/sha256/{digest}")
    };
    let docker = json!([{
        "Config": place(&config),
        "RepoTags": [name],
        "Layers": descriptors.iter().map(place).collect::<Vec<_>>(),
    }]);
    let mut put = |path: &str, value: Value| {
        files.push(File { path: path.to_owned(), mode: 0o644, content: value.to_string().into_bytes() });
    };
    put("index.json", json!({"schemaVersion": 2, "manifests": [entry]}));
    put("manifest.json", docker);
    put("oci-layout", json!({"imageLayoutVersion": "1.0.0"}));
    files.sort_by(|a, b| a.path.cmp(&b.path));
    archive(&files, "", release.epoch)
}

fn config(release: &Release, diffs: &[String]) -> Value {
    let arch = if release.arch == "aarch64" { "arm64" } else { "amd64" };
    json!({
        "architecture": arch,
        "os": "linux",
        "config": {
            "Entrypoint": ["hoopy"],
            "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/home/hoopy", "LANG=C.UTF-8"],
            "WorkingDir": "/work",
        },
        "rootfs": {"type": "layers", "diff_ids": diffs},
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use hoopy_apk::tar::{Entry, Kind, Writer};

    use super::*;

    fn tar(directories: &[&str], file: (&str, &[u8])) -> Vec<u8> {
        let mut out = Writer::new(Vec::new());
        for path in directories {
            let entry = Entry { kind: Kind::Dir, mode: 0o755, ..Entry::file(path.as_bytes(), 0) };
            out.entry(&entry).unwrap();
        }
        out.entry(&Entry::file(file.0.as_bytes(), file.1.len() as u64)).unwrap();
        out.write_all(file.1).unwrap();
        out.finish(true).unwrap()
    }

    #[test]
    fn a_directory_of_two_packages_is_in_the_layer_once() {
        let one = tar(&["usr", "usr/bin"], ("usr/bin/a", b"a"));
        let two = tar(&["usr", "usr/bin"], ("usr/bin/b", b"b"));
        let mut layer = Layer::default();
        layer.add(&one).unwrap();
        layer.add(&two).unwrap();
        let bytes = layer.finish().0;
        let names: Vec<String> = members(&bytes).unwrap().into_iter().map(|member| member.name).collect();
        assert_eq!(names, ["usr", "usr/bin", "usr/bin/a", "usr/bin/b"]);
    }

    #[test]
    fn manuals_are_left_out_and_licences_are_kept() {
        for (name, kept) in [
            ("usr/share/man/man1/ls.1.gz", false),
            ("usr/share/doc/git/README", false),
            ("usr/share/doc/git/copyright", true),
            ("usr/share/ca-certificates/mozilla/A.crt", true),
        ] {
            let bytes = tar(&[], (name, b"x"));
            assert_eq!(is_wanted(members(&bytes).unwrap().first().unwrap()), kept, "{name}");
        }
    }

    #[test]
    fn every_blob_has_the_name_of_its_digest_and_every_name_is_there() {
        let release =
            Release { version: "1.2.3".into(), arch: "aarch64".into(), epoch: 5, files: Vec::new() };
        let image = image(&release, &[tar(&["usr"], ("usr/a", b"a"))]).unwrap();
        let members = members(&image).unwrap();
        let content = |name: &str| {
            let member = members.iter().find(|member| member.name == name);
            member.unwrap_or_else(|| panic!("{name} is not there")).content
        };
        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
            let content = content(&format!("blobs/sha256/{digest}"));
            assert_eq!(HEXLOWER.encode(&Sha256::digest(content)), digest);
            assert_eq!(descriptor["size"], content.len());
            content
        };
        let index: Value = serde_json::from_slice(content("index.json")).unwrap();
        let manifest: Value = serde_json::from_slice(blob(&index["manifests"][0])).unwrap();
        let config: Value = serde_json::from_slice(blob(&manifest["config"])).unwrap();
        assert_eq!(config["architecture"], "arm64");
        let mut layer = Vec::new();
        std::io::Read::read_to_end(
            &mut flate2::read::GzDecoder::new(blob(&manifest["layers"][0])),
            &mut layer,
        )
        .unwrap();
        let digest = format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(&layer)));
        assert_eq!(config["rootfs"]["diff_ids"], json!([digest]));
    }
}
