//! Sealing a secret and opening it.
//!
//! ```text
//! a sealed secret   "hoopy-tpm-2\n" | epoch | counter | PCR 7 at sealing | name of the storage key | public area | private area
//! to open it        CreatePrimary, Load, LoadExternal(policy key), StartAuthSession,
//!                   PolicyPCR(11), VerifySignature, PolicyAuthorize, PolicyOR, PolicyNV, PolicyPCR(7), Unseal
//! ```
//!
//! What begins with "hoopy-tpm-1\n" has neither epoch nor counter: it was sealed before there were any, and still opens.
//!
//! Nothing in it is secret: the private area is encrypted by the TPM. Nothing in it is trusted either. What it says of PCR 7
//! and of the storage key only makes for better errors: the TPM decides.

use std::io::{Read, Write};

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use crate::device::{ALG_SHA256, Command, HANDLE_OWNER, PcrValue, Tpm, pcr_selection};
use crate::error::TpmError;
use crate::object::{self, MAX_PUBLIC};
use crate::policy::{
    Bound, EPOCHS, IMAGE_PCR, POLICY_AUTHORIZE, POLICY_OR, POLICY_PCR, PolicyKey, SECURE_BOOT_PCR,
    SignedPolicy, pcr_policy, qualifier,
};
use crate::session::{Kind, Session};
use crate::wire::{Put as _, Take};

const CREATE_PRIMARY: Command = Command(0x131, "TPM2_CreatePrimary");
const CREATE: Command = Command(0x153, "TPM2_Create");
const LOAD: Command = Command(0x157, "TPM2_Load");
const UNSEAL: Command = Command(0x15E, "TPM2_Unseal");
const LOAD_EXTERNAL: Command = Command(0x167, "TPM2_LoadExternal");
const VERIFY_SIGNATURE: Command = Command(0x177, "TPM2_VerifySignature");

const ALG_RSASSA: u16 = 0x0014;

/// The most bytes of a secret (`MAX_SYM_DATA`).
pub const MAX_SECRET: usize = 128;

/// The most bytes of a private area that is taken.
const MAX_PRIVATE: usize = 512;

/// A hash algorithm and a digest.
const NAME: usize = 34;

/// How a sealed secret begins.
const MAGIC: &[u8] = b"hoopy-tpm-2\n";

/// How one begins that is not bound.
const MAGIC_UNBOUND: &[u8] = b"hoopy-tpm-1\n";

/// A sealed secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    bound: Option<Bound>,
    secure_boot: PcrValue,
    storage_key: Vec<u8>,
    public: Vec<u8>,
    private: Vec<u8>,
}

impl Sealed {
    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`TpmError::NotSealed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, TpmError> {
        let parse = || {
            let (body, is_bound) = match (bytes.strip_prefix(MAGIC), bytes.strip_prefix(MAGIC_UNBOUND)) {
                (Some(body), _) => (body, true),
                (None, Some(body)) => (body, false),
                (None, None) => return Err(TpmError::NotSealed("it does not begin as one")),
            };
            let mut take = Take::new(body);
            let bound = match is_bound {
                true => Some(Bound { epoch: take.u32()?, counter: u64::from_be_bytes(take.array()?) }),
                false => None,
            };
            let secure_boot = take.array()?;
            let storage_key = take.sized(NAME)?.to_vec();
            let public = take.sized(MAX_PUBLIC)?.to_vec();
            let private = take.sized(MAX_PRIVATE)?.to_vec();
            take.end()?;
            Ok::<_, TpmError>(Self { bound, secure_boot, storage_key, public, private })
        };
        parse().map_err(|e| match e {
            TpmError::Malformed(why) => TpmError::NotSealed(why),
            other => other,
        })
    }

    /// To keep in a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = if self.bound.is_some() { MAGIC } else { MAGIC_UNBOUND }.to_vec();
        if let Some(Bound { epoch, counter }) = self.bound {
            bytes.u32(epoch);
            bytes.extend(counter.to_be_bytes());
        }
        bytes.extend(self.secure_boot);
        bytes.sized(&self.storage_key);
        bytes.sized(&self.public);
        bytes.sized(&self.private);
        bytes
    }

    /// What shuts older images out; nothing where it was sealed before there were epochs.
    pub const fn bound(&self) -> Option<Bound> {
        self.bound
    }

    /// The public and the private area, as `tpm2_load` takes them.
    pub fn areas(&self) -> [Vec<u8>; 2] {
        [&self.public, &self.private].map(|area| {
            let mut bytes = Vec::new();
            bytes.sized(area);
            bytes
        })
    }

    fn opens_for(&self, epoch: u32) -> bool {
        self.bound.map_or(epoch == 0, |bound| bound.epochs().any(|one| one == epoch))
    }

    const fn wrong_epoch(&self, image: u32) -> TpmError {
        match self.bound {
            Some(bound) if image > bound.epoch => {
                TpmError::EpochTooFar { image, sealed: bound.epoch, last: bound.last() }
            }
            Some(bound) => TpmError::OldEpoch { image, sealed: bound.epoch },
            None => TpmError::EpochTooFar { image, sealed: 0, last: 0 },
        }
    }

    /// Whether it is for this policy key, and for the value that PCR 7 has.
    fn fits(&self, key: &PolicyKey, secure_boot: &PcrValue) -> Result<(), TpmError> {
        let expected = object::sealed(&key.policy(self.bound.as_ref(), &self.secure_boot));
        // All but the TPM's own digest, which is empty in the template.
        let fixed = expected.get(..expected.len() - 2).unwrap_or_default();
        if !self.public.starts_with(fixed) {
            return Err(TpmError::OtherPolicyKey);
        }
        if self.secure_boot != *secure_boot {
            let [expected, found] = [&self.secure_boot, secure_boot].map(|value| HEXLOWER.encode(value));
            return Err(TpmError::SecureBootChanged { expected, found });
        }
        Ok(())
    }
}

/// Objects in the TPM that are to be freed, whatever happens.
#[derive(Default)]
struct Loaded(Vec<u32>);

impl<S: Read + Write> Tpm<S> {
    /// Seals a secret: it opens in this TPM, for systems whose PCR 11 the key has signed, while PCR 7 is as it is now, within its
    /// bounds.
    ///
    /// Whether Secure Boot is on is not asked here, but that firmware has measured it. Without it, whoever starts the machine
    /// decides on PCR 7.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn seal(&mut self, secret: &[u8], key: &PolicyKey, bound: Option<Bound>) -> Result<Sealed, TpmError> {
        if secret.is_empty() || secret.len() > MAX_SECRET {
            return Err(TpmError::SecretSize(secret.len()));
        }
        let secure_boot = self.pcr(SECURE_BOOT_PCR)?;
        if [[0; 32], [0xFF; 32]].contains(&secure_boot) {
            return Err(TpmError::NotMeasured(HEXLOWER.encode(&secure_boot)));
        }
        self.freeing(|tpm, loaded| {
            let (parent, area) = tpm.storage_key(loaded)?;
            let name = object::name(&area);
            let session = Session::start(tpm, Kind::Send, parent, &area)?;
            loaded.0.push(session.handle);
            let public = object::sealed(&key.policy(bound.as_ref(), &secure_boot));
            let parameters = creation(secret, &public);
            let answer = session.run(tpm, CREATE, (parent, &name), parameters)?;
            // It ended with the command.
            loaded.0.pop();
            let mut take = Take::new(&answer);
            let private = take.sized(MAX_PRIVATE)?.to_vec();
            let public = take.sized(MAX_PUBLIC)?.to_vec();
            let sealed = Sealed { bound, secure_boot, storage_key: name, public, private };
            sealed.fits(key, &secure_boot)?;
            Ok(sealed)
        })
    }

    /// Opens a sealed secret, if one of the signatures is for the value of PCR 11.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn unseal(
        &mut self,
        sealed: &Sealed,
        key: &PolicyKey,
        signed: &[SignedPolicy],
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        sealed.fits(key, &self.pcr(SECURE_BOOT_PCR)?)?;
        let signed = self.signed_now(signed)?;
        let newest = signed.iter().map(|one| one.epoch).max().unwrap_or_default();
        let fitting = signed.into_iter().find(|one| sealed.opens_for(one.epoch));
        let signed = fitting.ok_or_else(|| sealed.wrong_epoch(newest))?;
        let opened = self.unseal_by_tpm(sealed, key, signed);
        // What the TPM says of its counter says little.
        if let (Err(TpmError::Refused { .. }), Some(Bound { counter: expected, .. })) =
            (&opened, sealed.bound)
        {
            let found = self.counter()?;
            if found != Some(expected) {
                return Err(TpmError::Superseded { expected, found });
            }
        }
        opened
    }

    /// Makes sure that what is sealed for the key and images from this epoch on opens for the image that runs: that one of the
    /// signatures is for the value of PCR 11, and by the key.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn may_open(&mut self, key: &PolicyKey, signed: &[SignedPolicy], epoch: u32) -> Result<(), TpmError> {
        let bound = Bound { epoch, counter: 0 };
        let signed = self.signed_now(signed)?;
        let newest = signed.iter().map(|one| one.epoch).max().unwrap_or_default();
        let fitting = signed.into_iter().find(|one| bound.epochs().any(|epoch| epoch == one.epoch));
        let signed = fitting.ok_or(TpmError::OldEpoch { image: newest, sealed: epoch })?;
        self.freeing(|tpm, loaded| tpm.verify(&key.public_area(), signed, loaded).map(drop))
    }

    /// The signatures that are for the value of PCR 11: at least one.
    fn signed_now<'s>(&mut self, signed: &'s [SignedPolicy]) -> Result<Vec<&'s SignedPolicy>, TpmError> {
        let image = self.pcr(IMAGE_PCR)?;
        let policy = pcr_policy(&[0; 32], IMAGE_PCR, &image);
        let now: Vec<&SignedPolicy> = signed.iter().filter(|one| one.policy == policy).collect();
        if now.is_empty() { Err(TpmError::NotSigned(HEXLOWER.encode(&image))) } else { Ok(now) }
    }

    /// As [`Self::unseal`], without a look at PCRs first: nothing but the TPM decides.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn unseal_by_tpm(
        &mut self,
        sealed: &Sealed,
        key: &PolicyKey,
        signed: &SignedPolicy,
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        self.freeing(|tpm, loaded| {
            let (parent, area) = tpm.storage_key(loaded)?;
            if object::name(&area) != sealed.storage_key {
                return Err(TpmError::OtherTpm);
            }
            let [public, private] = sealed.areas();
            let (handles, _) = tpm.with_empty_password(LOAD, &[parent], &[private, public].concat(), 1)?;
            let secret = *handles.first().ok_or(TpmError::Malformed("it ends too early"))?;
            loaded.0.push(secret);
            let session = Session::start(tpm, Kind::PolicyReceive, parent, &area)?;
            loaded.0.push(session.handle);
            tpm.assert(session.handle, key, (sealed, signed), loaded)?;
            let name = object::name(&sealed.public);
            let policy_session = session.handle;
            let answer = session.run(tpm, UNSEAL, (secret, &name), Zeroizing::default())?;
            loaded.0.retain(|handle| *handle != policy_session);
            let mut take = Take::new(&answer);
            let opened = Zeroizing::new(take.sized(MAX_SECRET)?.to_vec());
            take.end()?;
            Ok(opened)
        })
    }

    /// Takes the policy's steps in a session.
    fn assert(
        &mut self,
        session: u32,
        key: &PolicyKey,
        (sealed, signed): (&Sealed, &SignedPolicy),
        loaded: &mut Loaded,
    ) -> Result<(), TpmError> {
        self.policy_pcr(session, IMAGE_PCR)?;
        let area = key.public_area();
        let ticket = self.verify(&area, signed, loaded)?;
        let mut body = session.to_be_bytes().to_vec();
        body.sized(&signed.policy);
        body.sized(&qualifier(signed.epoch));
        body.sized(&object::name(&area));
        body.extend(ticket.iter());
        self.plain(POLICY_AUTHORIZE, &body)?;
        if let Some(bound) = &sealed.bound {
            let mut body = session.to_be_bytes().to_vec();
            body.u32(EPOCHS);
            key.branches(bound).iter().for_each(|branch| body.sized(branch));
            self.plain(POLICY_OR, &body)?;
            self.policy_counter(session, bound.counter)?;
        }
        self.policy_pcr(session, SECURE_BOOT_PCR)
    }

    fn policy_pcr(&mut self, session: u32, pcr: u32) -> Result<(), TpmError> {
        let mut body = session.to_be_bytes().to_vec();
        // No digest: the TPM takes the values that the PCR has.
        body.sized(&[]);
        body.extend(pcr_selection(pcr));
        self.plain(POLICY_PCR, &body).map(drop)
    }

    /// Has the TPM verify the signature, and gives its ticket for that.
    fn verify(
        &mut self,
        area: &[u8],
        signed: &SignedPolicy,
        loaded: &mut Loaded,
    ) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let mut body = Vec::new();
        // No private area.
        body.sized(&[]);
        body.sized(area);
        body.u32(HANDLE_OWNER);
        let answer = self.plain(LOAD_EXTERNAL, &body)?;
        let handle = Take::new(&answer).u32()?;
        loaded.0.push(handle);
        let mut body = handle.to_be_bytes().to_vec();
        body.sized(&signed.digest());
        body.u16(ALG_RSASSA);
        body.u16(ALG_SHA256);
        body.sized(&signed.signature);
        self.plain(VERIFY_SIGNATURE, &body)
    }

    /// The storage key: its handle, and its public area.
    fn storage_key(&mut self, loaded: &mut Loaded) -> Result<(u32, Vec<u8>), TpmError> {
        let mut parameters = Vec::new();
        parameters.sized(&[0; 4]);
        parameters.sized(&object::storage_key());
        parameters.sized(&[]);
        parameters.u32(0);
        let (handles, answer) = self.with_empty_password(CREATE_PRIMARY, &[HANDLE_OWNER], &parameters, 1)?;
        let handle = *handles.first().ok_or(TpmError::Malformed("it ends too early"))?;
        loaded.0.push(handle);
        Ok((handle, Take::new(&answer).sized(MAX_PUBLIC)?.to_vec()))
    }

    /// Does something with objects in the TPM, and frees them: without a resource manager there is room for three.
    fn freeing<T>(
        &mut self,
        run: impl FnOnce(&mut Self, &mut Loaded) -> Result<T, TpmError>,
    ) -> Result<T, TpmError> {
        let mut loaded = Loaded::default();
        let result = run(self, &mut loaded);
        for handle in loaded.0.into_iter().rev() {
            self.flush(handle);
        }
        result
    }
}

/// The parameters of `TPM2_Create`.
fn creation(secret: &[u8], public: &[u8]) -> Zeroizing<Vec<u8>> {
    // Room enough that the secret is not copied when it grows.
    let mut parameters = Zeroizing::new(Vec::with_capacity(MAX_PUBLIC + MAX_SECRET));
    // `TPM2B_SENSITIVE_CREATE`: no password, the secret.
    parameters.u16(u16::try_from(secret.len() + 4).unwrap_or(u16::MAX));
    parameters.sized(&[]);
    parameters.sized(secret);
    parameters.sized(public);
    parameters.sized(&[]);
    parameters.u32(0);
    parameters
}
