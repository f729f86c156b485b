//! Secrets of a machine, as ordinary age files in git (age-encryption.org/v1, C2SP `age.md`).
//!
//! ```text
//! secrets/
//!   recipients          the owner's age recipients, one a line
//!   machine.pub         the machine's recipient
//!   machine.age         its private half, for the owner alone
//!   recovery.age        optional: an identity of the owner behind a passphrase
//!   etc/x.age           becomes /etc/x on the machine, for the owner and the machine
//!   unlock/NAME.age     the key that /etc/hoopy/unlock.d/NAME gets on standard input, for the same
//!   trust/NAME.age      for the owner alone: never in an image
//! ```
//!
//! Invariants:
//! - Nothing here asks the user, prints, or reads the environment: a [`Prompt`] and the bytes of identities come from
//!   outside.
//! - Plaintext is a [`Plaintext`], which is overwritten when it is dropped and has no `Debug` that shows it. No error
//!   says anything of what a secret holds.
//! - Every file is bounded before it is parsed ([`cipher::MAX_CIPHERTEXT`], [`cipher::MAX_HEADER`]).

pub mod check;
pub mod cipher;
pub mod directory;
pub mod machine;
pub mod owner;
pub mod passkey;
pub mod path;
pub mod plaintext;
pub mod recipients;
pub mod rekey;
pub mod stream;

pub use age::Callbacks as Prompt;
pub use age::NoCallbacks as NoPrompt;
/// A passphrase, as a [`Prompt`] gives it.
pub use age::secrecy::{ExposeSecret, SecretString};
pub use directory::Secrets;
pub use machine::MachineIdentity;
pub use owner::Identities;
pub use path::SecretPath;
pub use plaintext::Plaintext;
pub use recipients::{Recipient, Recipients};
