//! What would be installed, from a signed index on disk: `solve APKINDEX.tar.gz KEY.pub NAME...`.
//!
//! `cargo xtask bench solve` runs it beside `apk add --simulate`, and reads from standard error how long each step
//! took.

use std::path::Path;
use std::time::Instant;

use hoopy_apk::signature::KeyRing;
use hoopy_apk::solve::{Repository, Universe, solve};
use hoopy_apk::{Dependency, index};

/// The architecture of the index.
const ARCH: &str = "aarch64";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().ok_or("solve APKINDEX.tar.gz KEY.pub NAME...");
    let (path, key) = (argument()?, argument()?);
    let world: Vec<Dependency> = arguments.map(|text| text.parse()).collect::<Result<_, _>>()?;
    let mut clock = Clock(Instant::now());

    let bytes = std::fs::read(path)?;
    let mut keys = KeyRing::default();
    let name = Path::new(&key).file_name().and_then(|name| name.to_str()).ok_or("a key without a name")?;
    keys.add(name, &std::fs::read(&key)?)?;
    let index = index::read(&bytes, &keys)?;
    clock.step("read");
    let universe = Universe::new(&[Repository { records: &index.records, tag: None }], ARCH)?;
    clock.step("universe");
    let solution = solve(&universe, &world)?;
    clock.step("solve");
    for choice in &solution.install {
        println!("{}-{}", choice.record.name, choice.record.version);
    }
    // A process that ends has nothing to tidy up.
    std::process::exit(0)
}

struct Clock(Instant);

impl Clock {
    fn step(&mut self, what: &str) {
        eprintln!("{what} {}", self.0.elapsed().as_micros());
        self.0 = Instant::now();
    }
}
