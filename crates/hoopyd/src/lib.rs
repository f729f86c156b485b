//! hoopy's agent on the machine.
//!
//! ```text
//! hoopyd secrets     at boot: identity ─▶ open every encrypted file of the image ─▶ put it in its place
//! hoopyd unlock      give each program of /etc/hoopy/unlock.d the key of its volume
//! hoopyd enroll      keep a new identity of the machine, which comes on standard input
//! hoopyd raise       after a good boot: a TPM opens the identity for images of earlier epochs no more
//! hoopyd status      the outcome of this boot, for the health check
//! hoopyd serve       the machine's page, status.json and metrics; alerts
//! hoopyd machine     the same status.json on standard output
//! hoopyd connect     a connection to the page over standard input and output
//! hoopyd state       at boot: mount the directories that outlive it over those of the image
//! hoopyd backup      write all of these as one archive, to a directory or to standard output
//! hoopyd restore     take such an archive, which comes on standard input, for the next boot
//! ```
//!
//! Nothing secret is ever an argument, in the environment, or in a file that is not the secret's own place. Whatever
//! fails is reported with the secret's name and never stops a boot.

pub mod backup;
pub mod boot;
pub mod enroll;
pub mod error;
pub mod files;
pub mod hooks;
pub mod http;
pub mod identity;
mod log;
pub mod machine;
pub mod map;
mod mounts;
pub mod outcome;
pub mod place;
pub mod process;
pub mod program;
pub mod secrets;
pub mod serve;
pub mod snapshot;
pub mod state;
pub mod time;
pub mod tpm;
pub mod unlock;
