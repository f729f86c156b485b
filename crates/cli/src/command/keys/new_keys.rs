//! The keys that a machine is to trust.

use hoopy_trust::firmware::SignatureLists;
use hoopy_trust::image::ProgramSigner;
use hoopy_trust::keys::PublicKeys;

/// What is to be trusted.
pub struct NewKeys {
    pub keys: PublicKeys,
    pub signers: Vec<ProgramSigner>,
    pub db: SignatureLists,
}
