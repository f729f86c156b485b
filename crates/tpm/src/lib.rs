//! Secrets sealed in a TPM 2.0: they open on this TPM alone, for systems that the owner signed, and with the Secure Boot
//! settings that they were sealed under.
//!
//! ```text
//! seal ── object      what a storage key, a sealed secret and a policy key look like
//!   │ ─── policy      "PCR 11 as the owner signed it, for an epoch that is not over, and PCR 7 as it was"
//!   │ ─── counter     "and nothing was sealed since that replaced this"
//!   │ ─── session     encrypted and authenticated commands: eavesdropping on the bus reveals nothing
//!   └──── device      one command, one answer, over any stream: /dev/tpmrm0, or a TPM behind a socket
//!           └─ wire   numbers and sized buffers, with a bound for everything that comes from outside
//! ```
//!
//! PCR 11 alone protects nothing: another kernel can extend it with the same public digests. Only firmware can make PCR 7
//! what it is with Secure Boot on and the owner's keys enrolled, so a secret is bound to both.
//!
//! Eavesdropping on the bus reveals nothing. An active attacker on the bus can impersonate the TPM while a secret is sealed,
//! because nothing proves that the storage key belongs to this TPM. When the secret is opened, the storage key must be the
//! same.
//!
//! Source of the formats: TCG, "Trusted Platform Module Library" 2.0, Part 1 (architecture: sessions, key derivation),
//! Part 2 (structures) and Part 3 (commands).

pub mod counter;
pub mod device;
pub mod error;
mod object;
pub mod policy;
pub mod seal;
mod session;
mod wire;

pub use device::Tpm;
pub use error::TpmError;
pub use policy::{Bound, PolicyKey, SignedPolicy};
pub use seal::Sealed;
