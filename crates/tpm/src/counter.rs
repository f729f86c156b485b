//! The counter that makes sealed secrets of the past worthless: an NV index that only ever goes up.
//!
//! A secret is sealed for one value of it ([`crate::policy::Bound`]). When it is raised, every copy of every secret that was sealed
//! before is refused by the TPM, also one that somebody put aside.
//!
//! Whoever is the owner of the TPM, so whoever has root in any system, can raise the index, remove it, and make it anew. None of
//! it helps: an index of this kind that is made anew starts above the highest value that any counter of the TPM ever had, and one
//! of another kind has another name, which the policy of a secret says. All that can be done is to lock the machine, and its owner
//! opens it again.
//!
//! Source: TCG, "TPM 2.0 Library", Part 1, 37.2.4 (NV counters), Part 2, 13.4 (`TPMA_NV`), Part 3, 31 (commands).

use std::io::{Read, Write};

use sha2::{Digest as _, Sha256};

use crate::device::{ALG_SHA256, Command, HANDLE_OWNER, Tpm};
use crate::error::TpmError;
use crate::wire::{Put as _, Take};

const NV_UNDEFINE: Command = Command(0x122, "TPM2_NV_UndefineSpace");
const NV_DEFINE: Command = Command(0x12A, "TPM2_NV_DefineSpace");
const NV_INCREMENT: Command = Command(0x134, "TPM2_NV_Increment");
const NV_READ: Command = Command(0x14E, "TPM2_NV_Read");
const NV_READ_PUBLIC: Command = Command(0x169, "TPM2_NV_ReadPublic");
const POLICY_NV: Command = Command(0x149, "TPM2_PolicyNV");

/// The index, one of those that are the owner's (TCG, "Registry of Reserved TPM 2.0 Handles", 0x01800000 to 0x01BFFFFF).
pub const INDEX: u32 = 0x0182_4859;

/// The owner writes and reads, no lockout, of the type `TPM_NT_COUNTER`.
const ATTRIBUTES: u32 = 0x0202_0012;

/// `TPMA_NV_WRITTEN`, which a counter has from its first increment on.
const WRITTEN: u32 = 0x2000_0000;

/// Bytes of a counter.
const SIZE: u16 = 8;

/// `TPM_EO_EQ`
const EQUAL: u16 = 0;

/// The most bytes of a public area of an index, and of its name.
const MAX_PUBLIC: usize = 128;

/// The public area of the index (`TPMS_NV_PUBLIC`).
fn public(attributes: u32) -> Vec<u8> {
    let mut area = Vec::new();
    area.u32(INDEX);
    area.u16(ALG_SHA256);
    area.u32(attributes);
    area.sized(&[]);
    area.u16(SIZE);
    area
}

/// What a policy session has after this one, where it asked for this value of the counter.
pub(crate) fn nv_policy(before: &[u8; 32], value: u64) -> [u8; 32] {
    let comparison = Sha256::new().chain_update(value.to_be_bytes()).chain_update([0; 2]);
    let comparison = comparison.chain_update(EQUAL.to_be_bytes()).finalize();
    let mut hasher = Sha256::new();
    hasher.update(before);
    hasher.update(POLICY_NV.0.to_be_bytes());
    hasher.update(comparison);
    hasher.update(crate::object::name(&public(ATTRIBUTES | WRITTEN)));
    hasher.finalize().into()
}

impl<S: Read + Write> Tpm<S> {
    /// The counter's value; none where it was never made, or removed.
    ///
    /// # Errors
    /// [`TpmError::OtherIndex`] where something else has its place.
    pub fn counter(&mut self) -> Result<Option<u64>, TpmError> {
        if self.counter_attributes()? != Some(ATTRIBUTES | WRITTEN) {
            return Ok(None);
        }
        let mut parameters = Vec::new();
        parameters.u16(SIZE);
        parameters.u16(0);
        let (_, answer) = self.with_empty_password(NV_READ, &[HANDLE_OWNER, INDEX], &parameters, 0)?;
        let mut take = Take::new(&answer);
        let value = take.sized(SIZE.into())?.try_into();
        take.end()?;
        value
            .map(|bytes| Some(u64::from_be_bytes(bytes)))
            .map_err(|_| TpmError::Malformed("a counter of the wrong size"))
    }

    /// The counter's value. It is made where it is missing.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn ready_counter(&mut self) -> Result<u64, TpmError> {
        match self.counter()? {
            Some(value) => Ok(value),
            None => self.raise_counter(),
        }
    }

    /// Raises the counter, which is made where it is missing: nothing that was sealed before opens any more. Gives its value.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn raise_counter(&mut self) -> Result<u64, TpmError> {
        if self.counter_attributes()?.is_none() {
            let mut parameters = Vec::new();
            // No password: the owner's counts.
            parameters.sized(&[]);
            parameters.sized(&public(ATTRIBUTES));
            self.with_empty_password(NV_DEFINE, &[HANDLE_OWNER], &parameters, 0)?;
        }
        self.with_empty_password(NV_INCREMENT, &[HANDLE_OWNER, INDEX], &[], 0)?;
        self.counter()?.ok_or(TpmError::Malformed("a counter that was raised has no value"))
    }

    /// Removes what is at the counter's place, so that it can be made anew: it starts above its last value.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn remove_counter(&mut self) -> Result<(), TpmError> {
        self.with_empty_password(NV_UNDEFINE, &[HANDLE_OWNER, INDEX], &[], 0).map(drop)
    }

    /// Asks in a policy session that the counter has this value.
    pub(crate) fn policy_counter(&mut self, session: u32, value: u64) -> Result<(), TpmError> {
        let mut parameters = Vec::new();
        parameters.sized(&value.to_be_bytes());
        parameters.u16(0);
        parameters.u16(EQUAL);
        self.with_empty_password(POLICY_NV, &[HANDLE_OWNER, INDEX, session], &parameters, 0).map(drop)
    }

    /// The attributes of what is at the counter's place, if it is as a counter of ours but for them.
    fn counter_attributes(&mut self) -> Result<Option<u32>, TpmError> {
        let answer = match self.plain(NV_READ_PUBLIC, &INDEX.to_be_bytes()) {
            Err(TpmError::Refused { code, .. }) if code.is_bad_handle() => return Ok(None),
            other => other?,
        };
        let area = Take::new(&answer).sized(MAX_PUBLIC)?;
        let found =
            [ATTRIBUTES, ATTRIBUTES | WRITTEN].into_iter().find(|attributes| area == public(*attributes));
        found.map(Some).ok_or(TpmError::OtherIndex(INDEX))
    }
}
