//! Secure Boot and measured boot, as far as hoopy's computer goes: keys, signatures, files that enroll keys, what a TPM will measure.
//!
//! ```text
//! key::PrivateKey, signer::CommandSigner ── signer::Signer
//!         │
//!         ├─ certificate ── authenticode   an EFI program with a signature that firmware accepts
//!         ├─ certificate ── enrolment      .auth files: who may sign, for firmware in setup mode and after
//!         └─ measure ────── policy         .pcrsig: which PCR 11 may open what is sealed
//!
//! firmware (variables), event_log ── platform   what a machine's firmware started, and what other keys would refuse
//! ```
//!
//! Nothing here asks for the time or the environment, and the same key gives the same bytes.

pub mod authenticode;
pub mod certificate;
mod der;
pub mod enrolment;
pub mod epoch;
pub mod event_log;
pub mod firmware;
pub mod image;
pub mod key;
pub mod keys;
pub mod kind;
pub mod measure;
mod pkcs7;
pub mod platform;
pub mod policy;
pub mod program;
pub mod signer;

pub use pkcs7::CertifiedSigner;
