//! Whether every secret can be opened, and is for exactly those for whom it should be.

use std::path::PathBuf;

use hoopy_base::input;

use crate::cipher::{self, DecryptError, HeaderStanza};
use crate::directory::{MACHINE, Secrets};
use crate::recipients::{Recipients, STANZA};
use crate::{Identities, MachineIdentity};

/// Something wrong with a file below `secrets/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub kind: FaultKind,
}

/// What is wrong with a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// It is no age file, or larger than one can be.
    #[error("{0}")]
    File(DecryptError),
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(String),
    /// It is for others than those in `recipients` and `machine.pub`.
    #[error("it is encrypted for other recipients than `secrets/recipients`{} name", if *.machine { " and `secrets/machine.pub`" } else { "" })]
    Recipients {
        /// Whether the machine should be one of them.
        machine: bool,
    },
    /// The owner's identities do not open it.
    #[error("the owner's identities do not open it: {0}")]
    Owner(DecryptError),
    /// The machine's identity does not open it.
    #[error("the machine cannot open it: {0}")]
    Machine(DecryptError),
    /// `machine.age` holds something else than it should.
    #[error("{0}")]
    Identity(String),
}

/// Looks at every secret without a key: whether it is an age file, and for whom.
pub fn headers(secrets: &Secrets) -> Vec<Fault> {
    let one = |file: PathBuf, to: &Recipients, machine| {
        let kind = match input::read_up_to(&file, cipher::MAX_CIPHERTEXT) {
            Err(error) => Some(FaultKind::Read(error.to_string())),
            Ok(bytes) => match cipher::stanzas(&bytes) {
                Err(error) => Some(FaultKind::File(error)),
                Ok(stanzas) if is_for(&stanzas, to) => None,
                Ok(_) => Some(FaultKind::Recipients { machine }),
            },
        };
        kind.map(|kind| Fault { file, kind })
    };
    let identity = one(secrets.dir.join(MACHINE), &secrets.recipients, false);
    let rest = secrets.paths.iter().filter_map(|path| {
        let to = secrets.recipients_of(path);
        let machine = to != secrets.recipients;
        one(path.file(&secrets.dir), &to, machine)
    });
    identity.into_iter().chain(rest).collect()
}

/// Opens every secret: with the owner's identities, and with the machine's what is for it.
pub fn open(secrets: &Secrets, owner: &Identities) -> Vec<Fault> {
    let mut faults = Vec::new();
    let machine = match secrets.machine_identity(owner) {
        Ok(identity) => Some(Identities::of_machine(&[identity])),
        Err(error) => {
            faults.push(Fault {
                file: secrets.dir.join(MACHINE),
                kind: FaultKind::Identity(error.to_string()),
            });
            None
        }
    };
    for path in &secrets.paths {
        let file = path.file(&secrets.dir);
        let mut fault = |kind| faults.push(Fault { file: file.clone(), kind });
        let ciphertext = match secrets.ciphertext(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                fault(FaultKind::Read(error.to_string()));
                continue;
            }
        };
        if let Err(error) = cipher::decrypt(&ciphertext, owner) {
            fault(FaultKind::Owner(error));
        }
        let is_machines = secrets.recipients_of(path) != secrets.recipients;
        let machine = machine.as_ref().filter(|_| is_machines);
        if let Some(Err(error)) = machine.map(|machine| cipher::decrypt(&ciphertext, machine)) {
            fault(FaultKind::Machine(error));
        }
    }
    faults
}

/// Opens every secret that is for the machine with its identity.
///
/// # Errors
/// The first [`Fault`].
pub fn open_as_machine(secrets: &Secrets, identity: &MachineIdentity) -> Result<(), Fault> {
    let with = Identities::of_machine(std::slice::from_ref(identity));
    for path in secrets.paths.iter().filter(|path| secrets.recipients_of(path) != secrets.recipients) {
        let fault = |kind| Fault { file: path.file(&secrets.dir), kind };
        let bytes = secrets.ciphertext(path).map_err(|error| fault(FaultKind::Read(error.to_string())))?;
        cipher::decrypt(&bytes, &with).map_err(|error| fault(FaultKind::Machine(error)))?;
    }
    Ok(())
}

/// Whether a header is for these recipients. Our own stanza says it exactly. A file that `age` itself made has none:
/// there the kinds of stanzas are compared, as far as they are known.
pub fn is_for(stanzas: &[HeaderStanza], to: &Recipients) -> bool {
    if let Some(ours) = stanzas.iter().find(|stanza| stanza.tag == STANZA) {
        return ours.args == [to.digest()];
    }
    let wanted: Option<Vec<&str>> = to.iter().map(crate::Recipient::stanza_tag).collect();
    // What a plugin writes only the plugin knows.
    let Some(mut wanted) = wanted else { return true };
    let grease = |stanza: &&HeaderStanza| !stanza.tag.ends_with("-grease") && stanza.tag != "grease";
    let mut found: Vec<&str> = stanzas.iter().filter(grease).map(|stanza| stanza.tag.as_str()).collect();
    wanted.sort_unstable();
    found.sort_unstable();
    wanted == found
}
