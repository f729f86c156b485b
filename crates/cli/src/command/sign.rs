//! `hoopy sign`.

use std::path::Path;
use std::sync::Arc;

use hoopy_base::destination;
use hoopy_base::input::read_up_to;
use hoopy_build::config::Overrides;
use hoopy_trust::certificate::Certificate;
use hoopy_trust::image::ProgramSigner;
use hoopy_trust::key::PrivateKey;
use hoopy_trust::keys::PublicKeys;
use hoopy_trust::kind::ProgramKind;
use hoopy_trust::program;

use super::signing;
use crate::args::{self, Global};
use crate::error::{Context as _, Exit, Result};
use crate::output::{note, print};

/// The longest key or certificate that is read.
const MAX_PEM: u64 = 64 << 10;

pub fn run(global: &Global, own: &args::Sign) -> Result<Exit> {
    let signers = match own.key.as_ref().zip(own.certificate.as_ref()) {
        Some((key, certificate)) => vec![given(key, certificate)?],
        None => {
            signing::program_signers(&super::system(super::HERE.as_ref(), global, Overrides::default())?)?
        }
    };
    let to = own.output.as_ref().unwrap_or(&own.file);
    let doubt = match program::kind_of(&own.file)? {
        ProgramKind::Other(why) if is_of_images(&signers) => Some(why),
        ProgramKind::Other(_) | ProgramKind::Image | ProgramKind::SystemdBoot => None,
    };
    program::sign(&own.file, to, &signing::certified(&signers)?)?;
    if let Some(why) = doubt {
        warn(&own.file, &why);
    }
    if destination::is_standard_output(to) {
        // The program alone.
    } else if global.quiet {
        print(format!("{}\n", to.display()))?;
    } else {
        let subjects: Vec<String> = signers.iter().map(|(certificate, _)| certificate.subject()).collect();
        print(format!("{}: signed by {}\n", to.display(), subjects.join(" and ")))?;
    }
    Ok(Exit::Success)
}

/// Whether one of them signs the images of the system in the working directory, where there is one; any may where its keys cannot be
/// read, which is no reason not to sign with others.
fn is_of_images(signers: &[ProgramSigner]) -> bool {
    let Ok(keys) = PublicKeys::read(super::HERE.as_ref()) else { return true };
    let of_images: Vec<&Certificate> = keys.program_signers().map(|(_, certificate)| certificate).collect();
    signers.iter().any(|(certificate, _)| of_images.contains(&certificate))
}

/// That the signature is worth more than the program.
fn warn(file: &Path, why: &str) {
    note(format!(
        "warning: {}: {why}. A program that can start what you have not signed (GRUB, a shell, a kernel with any command line) gives the \
         same PCR 7 as your images when db's key has signed it, and whoever starts it can have the TPM open their secrets. Sign it with \
         another key, --key FILE --certificate FILE, whose certificate you add to db (docs/trust.md)",
        file.display()
    ));
}

fn given(key: &Path, certificate: &Path) -> Result<ProgramSigner> {
    let read = |path: &Path| read_up_to(path, MAX_PEM).context(format!("cannot read {}", path.display()));
    let key = PrivateKey::from_pem(&read(key)?).context(key.display())?;
    let certificate = Certificate::from_pem(&read(certificate)?).context(certificate.display())?;
    Ok((certificate, Arc::new(key)))
}
