//! Signing an image while it is made: its PCR policy, which is a section, and then the whole.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::sync::Arc;

use hoopy_boot::os_release::OsRelease;
use hoopy_uki::{Plan, ReplaceError, Section, read_section, rewrite};

use crate::CertifiedSigner;
use crate::authenticode::{LayoutError, Scan, SignError, attach};
use crate::certificate::Certificate;
use crate::key::PublicKey;
use crate::measure::{MeasureError, of_plan, predict};
use crate::policy::PolicySignatures;
use crate::signer::{Signer, SignerError};

/// An os-release has some hundred bytes.
const MAX_OS_RELEASE: u64 = 64 << 10;

/// A certificate, and who has its key.
pub type ProgramSigner = (Certificate, Arc<dyn Signer>);

/// Who signs images.
#[derive(Clone, Default)]
pub struct ImageSigner {
    program: Vec<ProgramSigner>,
    policy: Option<Arc<dyn Signer>>,
}

impl fmt::Debug for ImageSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program: Vec<_> = self.certificates().collect();
        write!(f, "ImageSigner(program: {program:?}, policy: {:?})", self.policy_key())
    }
}

/// Why an image is not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignImageError {
    /// It cannot be signed.
    #[error("sign the image: {0}")]
    Layout(#[from] LayoutError),
    /// There is no signature.
    #[error("sign the image: {0}")]
    Sign(#[from] SignError),
    /// There is no signature of its policy.
    #[error("sign the image's PCR policy: {0}")]
    Policy(#[from] SignerError),
    /// What will be measured of it is not known.
    #[error("sign the image's PCR policy: {0}")]
    Measure(#[from] MeasureError),
    /// It is no image that could be signed.
    #[error("sign the image: {0}")]
    Rewrite(#[from] ReplaceError),
    /// It could not be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl SignImageError {
    /// Whether a key could not be asked ([`SignerError::is_not_at_hand`]).
    pub const fn is_not_at_hand(&self) -> bool {
        match self {
            Self::Sign(SignError::Signer(error)) | Self::Policy(error) => error.is_not_at_hand(),
            Self::Sign(_) | Self::Layout(_) | Self::Measure(_) | Self::Rewrite(_) | Self::Io(_) => false,
        }
    }
}

/// The epoch that an image says in its os-release, which is measured like all of it.
fn epoch(os_release: &[u8]) -> u32 {
    OsRelease::parse(&String::from_utf8_lossy(os_release)).epoch
}

impl ImageSigner {
    /// Signs images for the firmware by each of `program`, in this order, and their PCR policies by `policy`.
    ///
    /// # Errors
    /// [`SignerError::OtherKey`].
    pub fn new(program: Vec<ProgramSigner>, policy: Option<Arc<dyn Signer>>) -> Result<Self, SignerError> {
        for (certificate, signer) in &program {
            CertifiedSigner::new(certificate, signer.as_ref())?;
        }
        Ok(Self { program, policy })
    }

    /// The certificates that images are signed under.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.program.iter().map(|(certificate, _)| certificate)
    }

    /// The key of PCR policies.
    pub fn policy_key(&self) -> Option<&PublicKey> {
        self.policy.as_ref().map(|signer| signer.public())
    }

    /// Gets the keys: what a passphrase or a token is asked for is asked here, and not when the image is half written.
    ///
    /// # Errors
    /// Why a key is not at hand.
    pub fn ready(&self) -> Result<(), SignerError> {
        let program = self.program.iter().map(|(_, signer)| signer);
        program.chain(&self.policy).try_for_each(|signer| signer.ready())
    }

    /// The section `.pcrsig` of the image that `plan` describes but for that section. `digest` knows the digests of
    /// sections whose bytes the plan does not have.
    ///
    /// # Errors
    /// [`SignImageError`]; nothing where policies are not signed.
    pub fn policy_signature(
        &self,
        plan: &Plan,
        digest: impl Fn(Section) -> Option<[u8; 32]>,
    ) -> Result<Option<Vec<u8>>, SignImageError> {
        let Some(signer) = &self.policy else { return Ok(None) };
        let value = of_plan(plan, digest)?;
        let release = plan.data_range(Section::Osrel).and_then(|range| plan.literal(range));
        Ok(Some(
            PolicySignatures::of(&value, epoch(release.unwrap_or_default()), signer.as_ref())?.to_bytes(),
        ))
    }

    /// Writes the image in `from` to the empty file `to`, with another command line: what is measured of it is another then, so
    /// its policy and all of it are signed anew.
    ///
    /// # Errors
    /// [`SignImageError`].
    pub fn with_command_line(
        &self,
        from: &mut File,
        to: &mut File,
        line: &str,
    ) -> Result<(), SignImageError> {
        let line = (Section::Cmdline, line.as_bytes());
        if let Some(signer) = &self.policy {
            rewrite(from, to, &[line])?;
            let epoch = epoch(&read_section(from, Section::Osrel, MAX_OS_RELEASE)?);
            let policy = PolicySignatures::of(&predict(to)?, epoch, signer.as_ref())?.to_bytes();
            to.set_len(0)?;
            to.seek(SeekFrom::Start(0))?;
            rewrite(from, to, &[line, (Section::Pcrsig, &policy)])?;
        } else {
            rewrite(from, to, &[line])?;
        }
        if self.signs_programs() {
            let scan = Scan::of(to)?;
            self.sign_scanned(to, &scan)?;
        }
        Ok(())
    }

    /// Whether it signs programs; it may sign policies alone.
    pub const fn signs_programs(&self) -> bool {
        !self.program.is_empty()
    }

    /// Signs the program in `file` of which this is known; gives its size then.
    ///
    /// # Errors
    /// [`SignImageError`].
    pub fn sign_scanned(&self, file: &mut File, scan: &Scan) -> Result<u64, SignImageError> {
        let by = self
            .program
            .iter()
            .map(|(certificate, signer)| CertifiedSigner::new(certificate, signer.as_ref()));
        let by: Vec<_> = by.collect::<Result<_, _>>().map_err(SignError::from)?;
        let attachment = attach(scan, &by)?;
        for (place, bytes) in &attachment.patches {
            file.seek(SeekFrom::Start(*place))?;
            file.write_all(bytes)?;
        }
        file.set_len(attachment.end)?;
        file.seek(SeekFrom::Start(attachment.end))?;
        file.write_all(&attachment.tail)?;
        Ok(attachment.end + attachment.tail.len() as u64)
    }
}
