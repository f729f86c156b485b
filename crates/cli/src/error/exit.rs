//! The exit codes: one table for `--help`, the man page, the reference and the program itself.

use std::fmt::Write as _;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Success,
    Failed,
    Usage,
    System,
    Script,
    Fetch,
    TestFailed,
    Differs,
    FellBack,
    NoReturn,
}

impl Exit {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 10] = [
        Self::Success,
        Self::Failed,
        Self::Usage,
        Self::System,
        Self::Script,
        Self::Fetch,
        Self::TestFailed,
        Self::Differs,
        Self::FellBack,
        Self::NoReturn,
    ];

    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::System => 3,
            Self::Script => 4,
            Self::Fetch => 5,
            Self::TestFailed => 6,
            Self::Differs => 8,
            Self::FellBack => 9,
            Self::NoReturn => 10,
        }
    }

    const fn meaning(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failed for another reason than those below; the message says why",
            Self::Usage => "wrong command line",
            Self::System => {
                "error in hoopy.toml, packages, hoopy.lock, root/ or tests/; found by `hoopy check` or `doctor`"
            }
            Self::Script => "a package script, setup.sh or a program of hoopy.toml failed",
            Self::Fetch => "a package or index could not be fetched or verified",
            Self::TestFailed => "`hoopy test`: a test failed",
            Self::Differs => "a difference was found, by `hoopy build --check` or with --exit-code",
            Self::FellBack => "the machine fell back to its previous image, or its health check failed",
            Self::NoReturn => "the machine did not come back after the reboot",
        }
    }

    /// The table, as it ends `hoopy --help`.
    pub fn table() -> String {
        Self::ALL.iter().fold("Exit codes:".to_owned(), |mut text, exit| {
            let _ = write!(text, "\n  {:>2}  {}", exit.code(), exit.meaning());
            text
        })
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_in_order() {
        assert!(Exit::ALL.windows(2).all(|pair| pair[0].code() < pair[1].code()));
    }
}
