//! What goes wrong with a TPM, and what its response codes mean.
//!
//! Source of the codes: TCG, "TPM 2.0 Library", Part 2, 6.6 (`TPM_RC`).

use std::fmt;
use std::io;

/// Why a secret was not sealed or not opened.
#[derive(Debug, thiserror::Error)]
pub enum TpmError {
    /// The device or the socket.
    #[error("cannot talk to the TPM: {0}")]
    Io(#[from] io::Error),
    /// The TPM refused a command.
    #[error("{command} failed: the TPM answered {code}")]
    Refused {
        /// The command's name in the specification.
        command: &'static str,
        /// The answer.
        code: ResponseCode,
    },
    /// The answer is not one.
    #[error("unexpected response from the TPM: {0}")]
    Malformed(&'static str),
    /// The answer does not authenticate: something between processor and TPM changed it.
    #[error(
        "authentication of the TPM's answer failed: the answer was changed on its way, or came from another TPM"
    )]
    Forged,
    /// No randomness.
    #[error("no random numbers from the system: {0}")]
    Random(String),
    /// A secret that no TPM takes.
    #[error("a secret of {0} bytes cannot be sealed: expected 1 to 128")]
    SecretSize(usize),
    /// Firmware has measured nothing of Secure Boot, so that a secret would open with and without it.
    #[error(
        "the firmware measures nothing of Secure Boot into this TPM (PCR 7 is still {0}): the TPM cannot tell whether it is on. \
         Look for measured boot or the TPM in the firmware's menu, or use open = \"disk\" or \"owner\" (docs/secrets.md)"
    )]
    NotMeasured(String),
    /// The TPM has no PCRs of the kind that is used.
    #[error(
        "the TPM has no PCR bank of SHA-256: switch it on in the firmware's menu, at the TPM's hash algorithms"
    )]
    NoBank,
    /// A key that is not as hoopy makes them.
    #[error("the policy key is not an RSA-2048 public key with the exponent 65537, as PEM")]
    PolicyKey,
    /// The storage key is another.
    #[error("the secret was sealed in another TPM, or this one was cleared since")]
    OtherTpm,
    /// Firmware measured other keys or settings.
    #[error(
        "Secure Boot is not as it was when the secret was sealed (PCR 7: expected {expected}, found {found}): it is off, or \
         its keys, db or dbx have changed"
    )]
    SecureBootChanged {
        /// At sealing.
        expected: String,
        /// Now.
        found: String,
    },
    /// Another policy key.
    #[error("expected a secret that was sealed under this image's policy key, found one under another")]
    OtherPolicyKey,
    /// No signature for what runs.
    #[error(
        "the policy key has not signed the value of PCR 11 ({0}): another system runs, or boot has passed the phase in which secrets can be opened"
    )]
    NotSigned(String),
    /// An image from before the owner raised the epoch.
    #[error(
        "this image is of epoch {image}, and the secret was sealed for epoch {sealed} or later: the owner has shut images as old as \
         this one out"
    )]
    OldEpoch {
        /// The image's.
        image: u32,
        /// The earliest that opens the secret.
        sealed: u32,
    },
    /// An image that is too far ahead.
    #[error(
        "this image is of epoch {image}, and the secret was sealed for epoch {sealed}: expected an image of {sealed} to {last}"
    )]
    EpochTooFar {
        /// The image's.
        image: u32,
        /// The earliest that opens the secret.
        sealed: u32,
        /// The last one.
        last: u32,
    },
    /// A copy of something that was replaced.
    #[error(
        "the secret was sealed for another value of the TPM's counter (expected {expected}, found {}): another one was sealed \
         since, or the counter was raised or removed", found_value(*.found)
    )]
    Superseded {
        /// At sealing.
        expected: u64,
        /// Now; none where there is no counter.
        found: Option<u64>,
    },
    /// Something else is where the counter should be.
    #[error("expected hoopy's counter at the TPM's NV index {0:#x}, found something else there")]
    OtherIndex(u32),
    /// Bytes that are not a sealed secret.
    #[error("this is not a sealed secret of hoopy: {0}")]
    NotSealed(&'static str),
}

fn found_value(found: Option<u64>) -> String {
    found.map_or_else(|| "no counter".to_owned(), |value| value.to_string())
}

/// A response code (`TPM_RC`) that is not success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseCode(pub u32);

/// Codes of format 1: six bits, and in which parameter, handle or session the fault is.
const FORMAT_1: &[(u32, &str)] = &[
    (0x01, "asymmetric algorithm not supported"),
    (0x02, "inconsistent attributes"),
    (0x03, "hash algorithm not supported"),
    (0x04, "value out of range"),
    (0x05, "hierarchy not enabled or not correct"),
    (0x07, "key size not supported"),
    (0x0A, "type of object not correct"),
    (0x0B, "handle not correct"),
    (0x0E, "authorization failed, and it is counted"),
    (0x12, "scheme not supported"),
    (0x15, "structure of the wrong size"),
    (0x16, "symmetric algorithm not supported"),
    (0x17, "structure tag not correct"),
    (0x18, "union selector not correct"),
    (0x1A, "not enough bytes"),
    (0x1B, "signature not valid"),
    (0x1C, "key fields not compatible with the use"),
    (0x1D, "policy check failed"),
    (0x1F, "integrity check failed"),
    (0x20, "ticket not valid"),
    (0x22, "authorization failed"),
    (0x23, "policy expired"),
    (0x26, "curve not supported"),
    (0x27, "point not on the curve"),
];

/// Errors of format 0.
const FORMAT_0: &[(u32, &str)] = &[
    (0x100, "not started (no TPM2_Startup)"),
    (0x101, "failure mode: it works again after a reset, or is broken"),
    (0x120, "command is disabled"),
    (0x125, "authorization missing"),
    (0x126, "what a policy asks for does not hold"),
    (0x128, "a PCR changed since the policy session looked at it"),
    (0x142, "command of the wrong size"),
    (0x143, "command not supported"),
    (0x144, "authorization of the wrong size"),
    (0x146, "outside the bounds of the NV index"),
    (0x148, "the NV index is locked"),
    (0x149, "access to the NV index is not allowed"),
    (0x14A, "the NV index was never written"),
    (0x14B, "no room for another NV index"),
    (0x14C, "the NV index is there already"),
];

/// Warnings: the same command may work later.
const WARNINGS: &[(u32, &str)] = &[
    (0x901, "no room for a saved session"),
    (0x902, "no room for another object"),
    (0x903, "no room for another session"),
    (0x908, "busy, it yielded"),
    (0x90A, "testing itself"),
    (0x920, "too many writes to non-volatile memory for now"),
    (0x921, "locked out for a while after too many failed authorizations"),
    (0x922, "busy, try again"),
    (0x923, "non-volatile memory not available now"),
];

impl ResponseCode {
    /// The TPM says that a policy does not hold, in whatever session.
    pub const fn is_policy_failure(self) -> bool {
        self.0 & 0xBF == 0x9D
    }

    /// The TPM has no room for another NV index (`TPM_RC_NV_SPACE`).
    pub const fn is_out_of_space(self) -> bool {
        self.0 == 0x14B
    }

    /// The TPM wants a password that it was not given (`TPM_RC_AUTH_FAIL`, `TPM_RC_BAD_AUTH`).
    pub const fn is_wrong_password(self) -> bool {
        matches!(self.0 & 0xBF, 0x8E | 0xA2)
    }

    /// The same command may work in a while: too many writes, busy, or no non-volatile memory now (`TPM_RC_NV_RATE`,
    /// `TPM_RC_RETRY`, `TPM_RC_NV_UNAVAILABLE`).
    pub const fn passes(self) -> bool {
        matches!(self.0, 0x920 | 0x922 | 0x923)
    }

    /// The TPM has nothing with the first handle.
    pub const fn is_bad_handle(self) -> bool {
        self.0 == 0x18B
    }

    /// Its meaning, in words.
    pub fn meaning(self) -> &'static str {
        let code = self.0;
        let (table, key) = if code & 0x80 != 0 { (FORMAT_1, code & 0x3F) } else { (FORMAT_0, code) };
        let table = if code & 0x980 == 0x900 { WARNINGS } else { table };
        table
            .iter()
            .find(|(known, _)| *known == key)
            .map_or("a code that hoopy does not know", |(_, words)| words)
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x} ({}", self.0, self.meaning())?;
        if self.0 & 0x80 != 0 {
            let number = self.0 >> 8 & 0xF;
            match (self.0 & 0x40 != 0, number) {
                (_, 0) => {}
                (true, parameter) => write!(f, ", parameter {parameter}")?,
                (false, 8..) => write!(f, ", session {}", number - 8)?,
                (false, handle) => write!(f, ", handle {handle}")?,
            }
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_codes_are_told_in_words() {
        let said = |code| ResponseCode(code).to_string();
        assert_eq!(said(0x99D), "0x99d (policy check failed, session 1)");
        assert_eq!(said(0x2DB), "0x2db (signature not valid, parameter 2)");
        assert_eq!(said(0x1DF), "0x1df (integrity check failed, parameter 1)");
        assert_eq!(said(0x902), "0x902 (no room for another object)");
        assert_eq!(said(0x148), "0x148 (the NV index is locked)");
        assert_eq!(said(0x920), "0x920 (too many writes to non-volatile memory for now)");
        assert_eq!(said(0x100), "0x100 (not started (no TPM2_Startup))");
        assert_eq!(said(0x7FFF_FFFF).split(' ').next(), Some("0x7fffffff"));
        assert!(ResponseCode(0x9A2).is_wrong_password() && ResponseCode(0x98E).is_wrong_password());
        assert!(!ResponseCode(0x99D).is_wrong_password());
        assert!(ResponseCode(0x99D).is_policy_failure());
        assert!(!ResponseCode(0x2DB).is_policy_failure());
    }
}
