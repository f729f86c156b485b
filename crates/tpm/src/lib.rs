//! Secrets sealed in a TPM 2.0: they open on this TPM alone, for systems that the owner signed, started by the firmware
//! settings of the day of sealing.
//!
//! ```text
//! seal ── object      what a storage key, a sealed secret and a policy key look like
//!   │ ─── policy      "PCR 11 as the owner signed it, and PCR 7 as it was"
//!   │ ─── session     encrypted and authenticated commands: who listens on the bus learns nothing
//!   └──── device      one command, one answer, over any stream: /dev/tpmrm0, or a TPM behind a socket
//!           └─ wire   numbers and sized buffers, with a bound for everything that comes from outside
//! ```
//!
//! PCR 11 alone protects nothing: another kernel can extend it with the same public digests. Only firmware can make PCR 7
//! what it is with Secure Boot on and the owner's keys enrolled, so a secret is bound to both.
//!
//! Who only listens on the bus learns nothing. Who sits on it and answers in the TPM's place can pretend to be one when a
//! secret is sealed, since nothing tells a storage key of this TPM from another; when it is opened, the key must be the one
//! of sealing.
//!
//! Source of the formats: TCG, "Trusted Platform Module Library" 2.0, Part 1 (architecture: sessions, key derivation),
//! Part 2 (structures) and Part 3 (commands).

pub mod device;
pub mod error;
mod object;
pub mod policy;
pub mod seal;
mod session;
mod wire;

pub use device::Tpm;
pub use error::TpmError;
pub use policy::{PolicyKey, SignedPolicy};
pub use seal::Sealed;
