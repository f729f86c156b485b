//! Writes the backup of a directory to standard output, encrypted to a recipient, for `cargo xtask bench state`:
//! `save DIR RECIPIENT`.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use hoopy_backup::{Manifest, Source, write};
use hoopy_secrets::stream::encrypting;
use hoopy_secrets::{NoPrompt, Recipients};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (dir, recipient) = args.next().zip(args.next()).ok_or("expected DIR and RECIPIENT")?;
    let out = encrypting(&Recipients::parse(&recipient)?, &NoPrompt, io::stdout().lock())?;
    let manifest = Manifest::new("bench", "", 0, vec!["data".to_owned()]);
    let source = Source { path: "data".to_owned(), dir: PathBuf::from(dir) };
    std::io::Write::flush(&mut write(out, &manifest, &[source])?.finish()?)?;
    Ok(())
}
