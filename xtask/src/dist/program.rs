//! Building hoopy as a static program, which runs on any Linux of its architecture.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use crate::chores;
use crate::compiler::Compiler;

/// The compiler for `arch`, for musl where that standard library is installed, else for glibc.
pub fn compiler(arch: &str) -> anyhow::Result<Compiler> {
    let compiler = Compiler::of(arch).with_context(|| {
        format!(
            "{arch}: run `rustup target add {arch}-unknown-linux-musl`, and install a C compiler for it (apt install \
             {}), or run `cargo xtask dist` on a computer that is {arch}",
            if arch == std::env::consts::ARCH { "musl-tools" } else { "gcc-aarch64-linux-gnu" }
        )
    })?;
    if compiler.target.ends_with("-gnu") {
        println!(
            "dist: {arch}: the standard library for musl is not installed: the program is static with glibc, which looks \
             up names of hosts only on computers with the same glibc. For releases: rustup target add \
             {arch}-unknown-linux-musl"
        );
    }
    Ok(compiler)
}

/// Builds the program, and returns its path.
pub fn build(arch: &str, compiler: &Compiler) -> anyhow::Result<PathBuf> {
    println!("dist: {arch}: building hoopy for {}", compiler.target);
    // A target directory of its own, since these flags would make cargo build everything else again.
    let built = chores::target().join("dist-build");
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
    // Panic messages name source files: keep the builder's directories out of them.
    flags.push(format!("--remap-path-prefix={}=hoopy", chores::root().display()));
    flags.extend(home.map(|home| format!("--remap-path-prefix={}=cargo", home.display())));
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--locked", "--release", "--package", "hoopy"]);
    compiler.prepare(&mut cargo);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}")).env("CARGO_TARGET_DIR", &built);
    cargo.env("CARGO_PROFILE_RELEASE_STRIP", "true");
    chores::command(cargo.current_dir(chores::root()))?;
    Ok(built.join(&compiler.target).join("release/hoopy"))
}
