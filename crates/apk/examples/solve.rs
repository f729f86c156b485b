//! What would be installed, from a signed index on disk: `solve APKINDEX.tar.gz KEY.pub NAME...`.
//!
//! `cargo xtask bench solve` runs it beside `apk add --simulate`, and reads from standard error how long each step
//! took.

use std::path::Path;
use std::time::Instant;

use hoopy_apk::catalogue::Catalogue;
use hoopy_apk::signature::KeyRing;
use hoopy_apk::solve::Outline;
use hoopy_apk::{Dependency, index};
use sha2::{Digest as _, Sha256};

/// The architecture of the index.
const ARCH: &str = "aarch64";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().ok_or("solve APKINDEX.tar.gz KEY.pub NAME...");
    let (path, key) = (argument()?, argument()?);
    let world: Vec<Dependency> = arguments.map(|text| text.parse()).collect::<Result<_, _>>()?;
    let mut clock = Clock(Instant::now());

    let catalogue = match key.as_str() {
        "-" => stored(std::fs::read(path)?, &mut clock)?,
        _ => signed(&std::fs::read(path)?, &key, &mut clock)?,
    };
    let outline = Outline::new(&[(&catalogue, None)], ARCH)?;
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
    let catalogue = index::catalogue(verified)?;
    clock.step("parse");
    if let Some(path) = std::env::var_os("HOOPY_STORED") {
        let form = catalogue.to_bytes();
        std::fs::write(path, [&form, Sha256::digest(&form).as_slice()].concat())?;
    }
    Ok(catalogue)
}

/// The index as the store has it: its digest, and the parsed form.
fn stored(mut form: Vec<u8>, clock: &mut Clock) -> Result<Catalogue, Box<dyn std::error::Error>> {
    clock.step("read");
    let digest = form.split_off(form.len().saturating_sub(32));
    if digest != Sha256::digest(&form).as_slice() {
        return Err("damaged".into());
    }
    clock.step("digest");
    let catalogue = Catalogue::from_bytes(form)?;
    clock.step("parse");
    Ok(catalogue)
}

struct Clock(Instant);

impl Clock {
    fn step(&mut self, what: &str) {
        eprintln!("{what} {}", self.0.elapsed().as_micros());
        self.0 = Instant::now();
    }
}
