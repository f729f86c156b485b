//! What would be installed, from a signed index on disk: `solve APKINDEX.tar.gz KEY.pub NAME...`.
//!
//! `cargo xtask bench solve` runs it beside `apk add --simulate`, and reads from standard error how long each step
//! took.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program")]

use std::path::Path;
use std::time::Instant;

use hoopy_apk::catalogue::Catalogue;
use hoopy_apk::resolve::Outline;
use hoopy_apk::signature::KeyRing;
use hoopy_apk::{Dependency, index};

/// The architecture of the index.
const ARCH: &str = "aarch64";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().ok_or("solve APKINDEX.tar.gz KEY.pub NAME...");
    let (path, key) = (argument()?, argument()?);
    let world: Vec<Dependency> = arguments.map(|text| text.parse()).collect::<Result<_, _>>()?;
    let mut clock = Clock(Instant::now());

    let catalogue = match key.as_str() {
        "-" => stored(&path, &mut clock)?,
        _ => signed(&std::fs::read(path)?, &key, &mut clock)?,
    };
    let outline = Outline::new(&catalogue, &[None])?;
    clock.step("outline");
    let solution = outline.solve(&world).ok_or("no set of packages fits")?;
    clock.step("solve");
    for choice in &solution.install {
        println!("{}-{}", choice.record.name, choice.record.version);
    }
    // A process that ends has nothing to tidy up.
    std::process::exit(0)
}

/// The index as a mirror has it; what the store would keep of it goes beside it.
fn signed(bytes: &[u8], key: &str, clock: &mut Clock) -> Result<Catalogue, Box<dyn std::error::Error>> {
    clock.step("read");
    let mut keys = KeyRing::default();
    let name = Path::new(key).file_name().and_then(|name| name.to_str()).ok_or("a key without a name")?;
    keys.add(name, &std::fs::read(key)?)?;
    let verified = index::verify(bytes, &keys)?;
    clock.step("verify");
    let builder = index::catalogue(verified, ARCH)?;
    clock.step("parse");
    let catalogue = Catalogue::of(vec![builder])?;
    clock.step("join");
    if let Some(path) = std::env::var_os("HOOPY_STORED") {
        std::fs::write(path, catalogue.to_bytes()?)?;
    }
    Ok(catalogue)
}

/// The index as the store has it. Its digest is not checked here: the store does that once after each start of the
/// machine, and from then on a seal says that nobody wrote to the file.
fn stored(path: &str, clock: &mut Clock) -> Result<Catalogue, Box<dyn std::error::Error>> {
    let catalogue = Catalogue::open(std::fs::File::open(path)?)?;
    clock.step("open");
    Ok(catalogue)
}

struct Clock(Instant);

impl Clock {
    fn step(&mut self, what: &str) {
        eprintln!("{what} {}", self.0.elapsed().as_micros());
        self.0 = Instant::now();
    }
}
