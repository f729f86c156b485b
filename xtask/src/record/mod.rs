//! `cargo xtask record`: a real build and a real boot, recorded from a terminal as an animated picture for the README.
//!
//! ```text
//! commands ──▶ pseudo-terminal ──▶ screens over time ──▶ docs/demo.svg
//!              session.rs          screen.rs             picture.rs
//! ```

mod picture;
mod screen;
mod session;

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;

use crate::{chores, demo};
use screen::Recorder;

/// Columns and rows of the terminal that is recorded.
const COLUMNS: u16 = 100;
const ROWS: u16 = 26;

/// Builds `examples/hello` as a system called `hello`, boots it, and draws both into `docs/demo.svg`.
pub fn run() -> anyhow::Result<()> {
    let hoopy = demo::release_binary()?;
    let mirror = demo::mirror_arguments(demo::Extent::All)?;
    let work = tempfile::tempdir()?;
    let system = work.path().join("hello");
    chores::run(
        "cp",
        &["-r", "--", &chores::root().join("examples/hello").to_string_lossy(), &system.to_string_lossy()],
    )?;
    let _ = fs::remove_dir_all(system.join("images"));

    let mut recorder = Recorder::new(COLUMNS, ROWS);
    for (shown, arguments) in commands() {
        recorder.type_command(shown);
        let mut command = std::process::Command::new(&hoopy);
        command.current_dir(work.path()).args(arguments).args(&mirror);
        session::record(&mut command, (COLUMNS, ROWS), &mut recorder)
            .with_context(|| format!("recording `{shown}` failed"))?;
    }
    let picture: PathBuf = chores::root().join("docs/demo.svg");
    fs::write(&picture, picture::draw("hoopy build and hoopy run, recorded", recorder.finish()))
        .with_context(|| format!("cannot write {}", picture.display()))?;
    println!("record: {}", picture.display());
    Ok(())
}

/// What the picture shows as typed, and the arguments it is run with: a recording has nobody who leaves the console.
fn commands() -> [(&'static str, Vec<OsString>); 2] {
    let call = |arguments: &[&str]| arguments.iter().map(OsString::from).collect();
    [
        ("hoopy build hello", call(&["build", "hello"])),
        ("hoopy run hello", call(&["run", "hello", "--until", "login:"])),
    ]
}
