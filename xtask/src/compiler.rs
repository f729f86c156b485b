//! The compiler for a static program of an architecture: the toolchain's own where it has the standard library for that, else
//! Debian's, whose `rustc-web` is about as new as the newest toolchain and has the library for each of its architectures.
//!
//! Debian's is unpacked below the target directory and nowhere else. Only the C compiler is installed: the C library that is
//! linked comes with it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::mirror::{Deb, Target};
use crate::{chores, setup};

/// What cargo needs to know to build for an architecture.
#[derive(Debug)]
pub struct Compiler {
    /// `aarch64-unknown-linux-musl`.
    pub target: String,
    environment: Vec<(String, PathBuf)>,
}

impl Compiler {
    /// The compiler for `arch`.
    pub fn of(arch: &str) -> anyhow::Result<Self> {
        if let Some(target) = installed(arch)? {
            return Ok(Self { target, environment: Vec::new() });
        }
        let advice = || {
            format!(
                "no standard library for {arch}: rustup target add {arch}-unknown-linux-musl, or build on Debian, which \
                 packages one"
            )
        };
        if !setup::is_debian() || arch != "aarch64" {
            bail!(advice());
        }
        debian(arch).with_context(advice)
    }

    /// Lets cargo use it.
    pub fn prepare(&self, cargo: &mut Command) {
        cargo.args(["--target", &self.target]).envs(self.environment.iter().map(|(key, value)| (key, value)));
    }
}

/// The first of the targets for `arch` whose standard library the toolchain has.
fn installed(arch: &str) -> anyhow::Result<Option<String>> {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).current_dir(chores::root()).output()?;
    let sysroot = String::from_utf8_lossy(&sysroot.stdout).trim().to_owned();
    let is_there =
        |target: &String| Path::new(&sysroot).join("lib/rustlib").join(target).join("lib").is_dir();
    Ok(["musl", "gnu"].map(|library| format!("{arch}-unknown-linux-{library}")).into_iter().find(is_there))
}

fn debian(arch: &str) -> anyhow::Result<Compiler> {
    setup::for_other_architecture()?;
    println!("compiler: {arch}: the toolchain has no standard library for it, so Debian's rustc-web is used");
    let root = unpack(arch)?;
    let target = format!("{arch}-unknown-linux-gnu");
    let gcc = PathBuf::from(format!("/usr/bin/{arch}-linux-gnu-gcc"));
    let name = target.replace('-', "_");
    let environment = vec![
        ("RUSTC".to_owned(), wrapper(&root)?),
        (format!("CARGO_TARGET_{}_LINKER", name.to_uppercase()), gcc.clone()),
        (format!("CC_{name}"), gcc),
    ];
    Ok(Compiler { target, environment })
}

/// Everything of Debian's compiler in one directory, which is its sysroot.
fn unpack(arch: &str) -> anyhow::Result<PathBuf> {
    let (host, foreign) = (Target::of(std::env::consts::ARCH)?, Target::of(arch)?);
    crate::mirror::prepare(&[host, foreign])?;
    let mut found = BTreeMap::new();
    let mut next = vec!["rustc-web".to_owned()];
    while let Some(name) = next.pop() {
        let deb = Deb::find(&name, host)?;
        let is_part = |name: &&String| name.starts_with("libstd-rust-web") || name.starts_with("libllvm");
        next.extend(deb.depends.iter().filter(is_part).filter(|name| !found.contains_key(*name)).cloned());
        found.insert(name, deb.tree()?);
    }
    let library = Deb::find("libstd-rust-web-dev", foreign)?.tree()?;
    let root = chores::target().join(format!("rustc-web-{arch}"));
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root)?;
    for tree in found.values().chain([&library]) {
        chores::command(Command::new("cp").arg("--archive").arg("--link").arg(tree.join("usr")).arg(&root))?;
    }
    Ok(root)
}

/// Starts the compiler with its libraries, which lie where nobody looks for them.
fn wrapper(root: &Path) -> anyhow::Result<PathBuf> {
    let wrapper = root.join("rustc");
    let libraries = root.join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH));
    let program = root.join("usr/bin/rustc");
    let text =
        format!("#!/bin/sh\nLD_LIBRARY_PATH='{}' exec '{}' \"$@\"\n", libraries.display(), program.display());
    fs::write(&wrapper, text)?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
    Ok(wrapper)
}
