//! Opens so many secrets as a machine does at boot, and prints how long that took by `hoopyd secrets`' own clock, in
//! microseconds, for `cargo xtask bench state`: `open COUNT DIR`. The directory must be empty.

#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use hoopy_boot::secrets::{CIPHERTEXTS, MAP, Map, Open, SecretFile, VERSION};
use hoopy_secrets::cipher::encrypt;
use hoopy_secrets::{MachineIdentity, NoPrompt, Plaintext, Recipients};

/// Bytes of each: a key, or a small configuration.
const SIZE: usize = 1000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (count, dir) = args.next().zip(args.next()).ok_or("expected COUNT and DIR")?;
    let (count, root): (usize, _) = (count.parse()?, PathBuf::from(dir));
    let (identity, owner) = (MachineIdentity::generate(), MachineIdentity::generate());
    let both = format!("{}\n{}\n", owner.recipient().as_str(), identity.recipient().as_str());
    let to = Recipients::parse(&both)?;
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let mut files = Vec::new();
    fs::create_dir_all(root.join(CIPHERTEXTS).join("etc/app"))?;
    for number in 0..count {
        let secret = format!("etc/app/{number}");
        let sealed = encrypt(&Plaintext::new(vec![b'x'; SIZE]), &to, &NoPrompt)?;
        fs::write(root.join(CIPHERTEXTS).join(format!("{secret}.age")), sealed)?;
        files.push(SecretFile { path: secret.clone(), secret, mode: 0o600, user, group });
    }
    let recipient = identity.recipient().as_str().to_owned();
    let map = Map {
        version: VERSION,
        open: Open::Disk,
        device: None,
        sealing: None,
        recipient,
        files,
        volumes: Vec::new(),
    };
    fs::write(root.join(MAP), serde_json::to_vec(&map)?)?;
    let outcome = hoopyd::secrets::timed(|| hoopyd::secrets::open(&root, &map, &[identity]));
    match outcome.failures.first() {
        Some(failure) => Err(failure.clone().into()),
        None => {
            println!("{}", outcome.micros);
            Ok(())
        }
    }
}
