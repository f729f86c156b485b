//! What a machine's firmware trusts, what it started, and what it would not start any more with other keys.
//!
//! Variables and log come from the machine: whoever has root there can show others. It is for people who decide on keys.

use crate::certificate::Certificate;
use crate::event_log::EventLog;
use crate::firmware::{SecureBoot, SignatureLists, microsoft};

/// A machine, as it shows itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// Its variables.
    pub secure_boot: SecureBoot,
    /// What was measured when it booted; none where it has no TPM, or no log.
    pub log: Option<EventLog>,
}

/// Something that would not start any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loss {
    /// The firmware started something at this boot because of this certificate.
    Signer(Box<Certificate>),
    /// The firmware trusts it now; nothing that was started needed it.
    Certificate(Box<Certificate>),
    /// There are drivers in devices, and none of Microsoft's certificates, which sign most of them.
    OptionRoms(usize),
}

impl Platform {
    /// The certificates because of which something was started, each once, in the order in which they were needed. None where
    /// signatures are not checked.
    pub fn signers(&self) -> Vec<Certificate> {
        let mut signers: Vec<Certificate> = Vec::new();
        let authorities = self.log.iter().flat_map(EventLog::authorities);
        for certificate in authorities.filter_map(|authority| authority.certificate) {
            if !signers.contains(&certificate) {
                signers.push(*certificate);
            }
        }
        signers
    }

    /// What would be lost if `db` were these lists, the most certain first.
    pub fn losses(&self, db: &SignatureLists) -> Vec<Loss> {
        let has = |certificate: &Certificate| db.certificates().any(|known| known == certificate);
        let signers = self.signers();
        let mut losses: Vec<Loss> =
            signers.iter().filter(|signer| !has(signer)).cloned().map(Box::new).map(Loss::Signer).collect();
        let roms = self.log.as_ref().map_or(0, |log| log.option_roms().len());
        let microsofts = microsoft::all().unwrap_or_default();
        if roms != 0 && !microsofts.iter().any(has) {
            losses.push(Loss::OptionRoms(roms));
        }
        let trusted =
            self.secure_boot.db.certificates().filter(|known| !has(known) && !signers.contains(known));
        losses.extend(trusted.cloned().map(Box::new).map(Loss::Certificate));
        losses
    }
}
