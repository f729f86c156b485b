//! Alpine's branches: their names, which one a new system gets, and until when Alpine supports each.

use std::fmt;

use jiff::civil::{Date, date};

/// What Alpine's mirrors call the directory of the newest release.
pub const LATEST_STABLE: &str = "latest-stable";

/// The branch that never becomes a release, and that Alpine always builds.
pub const EDGE: &str = "edge";

/// The branch of a first lock where neither `hoopy.toml` names one nor the mirror has `latest-stable`: the newest that was
/// released before this version of hoopy.
pub const FALLBACK_BRANCH: &str = "3.23";

/// How many days before its end a branch counts as ending soon: enough time to plan an update.
const SOON: i32 = 90;

/// Until when Alpine supports its branches: the day on which each ends, as <https://alpinelinux.org/releases/> has it,
/// newest first. Branches older than the last one have ended too; nothing is known here about newer ones.
const SUPPORTED_UNTIL: [(&str, Date); 14] = [
    ("3.23", date(2027, 11, 1)),
    ("3.22", date(2027, 5, 1)),
    ("3.21", date(2026, 11, 1)),
    ("3.20", date(2026, 4, 1)),
    ("3.19", date(2025, 11, 1)),
    ("3.18", date(2025, 5, 9)),
    ("3.17", date(2024, 11, 22)),
    ("3.16", date(2024, 5, 23)),
    ("3.15", date(2023, 11, 1)),
    ("3.14", date(2023, 5, 1)),
    ("3.13", date(2022, 11, 1)),
    ("3.12", date(2022, 5, 1)),
    ("3.11", date(2021, 11, 1)),
    ("3.10", date(2021, 5, 1)),
];

/// Where the branch of a system comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BranchSource {
    /// `hoopy.toml`.
    HoopyToml,
    /// The lock, as `hoopy.toml` does not.
    Lock,
    /// The mirror or the command line: neither `hoopy.toml` nor a lock names one.
    Chosen,
    /// Nothing: it is [`FALLBACK_BRANCH`] until the mirror is asked.
    Unknown,
}

/// A branch as `--branch` takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BranchRequest {
    /// `3.24`, or `edge`.
    Named(String),
    /// The newest release of the mirror.
    LatestStable,
}

impl std::str::FromStr for BranchRequest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            LATEST_STABLE => Ok(Self::LatestStable),
            EDGE => Ok(Self::Named(EDGE.to_owned())),
            _ => {
                let name = text.strip_prefix('v').unwrap_or(text);
                let bad = || format!("{text:?} is not a branch: expected 3.24, edge or latest-stable");
                number(name).map(|_| Self::Named(name.to_owned())).ok_or_else(bad)
            }
        }
    }
}

/// How a branch stands with Alpine on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It ended on this day, or on one that is not known.
    Ended(Option<Date>),
    /// It ends within 90 days.
    EndsSoon(Date),
    /// It goes on until this day.
    Until(Date),
    /// Nothing is known of its end.
    Unknown,
}

impl Support {
    /// How `branch` stands on `today`.
    pub fn of(branch: &str, today: Date) -> Self {
        let Some(own) = number(branch.strip_prefix('v').unwrap_or(branch)) else { return Self::Unknown };
        let found = SUPPORTED_UNTIL.iter().find(|(name, _)| number(name) == Some(own));
        match found {
            Some(&(_, end)) if end <= today => Self::Ended(Some(end)),
            Some(&(_, end)) if days_between(today, end) <= SOON => Self::EndsSoon(end),
            Some(&(_, end)) => Self::Until(end),
            None if SUPPORTED_UNTIL.iter().filter_map(|(name, _)| number(name)).all(|known| own < known) => {
                Self::Ended(None)
            }
            None => Self::Unknown,
        }
    }

    /// A warning for the owner; `None` where there is nothing to do.
    pub fn warning(self, branch: &str) -> Option<String> {
        match self {
            Self::Ended(Some(end)) => Some(format!("Alpine {branch} has had no fixes since {end}")),
            Self::Ended(None) => Some(format!("Alpine {branch} gets no fixes any more")),
            Self::EndsSoon(end) => Some(format!("Alpine {branch} gets fixes only until {end}")),
            Self::Until(_) | Self::Unknown => None,
        }
    }
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(Some(end)) => write!(f, "support ended {end}"),
            Self::Ended(None) => f.write_str("support has ended"),
            Self::EndsSoon(end) | Self::Until(end) => write!(f, "supported until {end}"),
            Self::Unknown => f.write_str("end of support not known"),
        }
    }
}

fn days_between(from: Date, to: Date) -> i32 {
    to.since(from).map_or(i32::MAX, |span| span.get_days())
}

/// The number of a branch; `None` for `edge` and anything that is not a release.
fn number(branch: &str) -> Option<(u32, u32)> {
    let (major, minor) = branch.split_once('.')?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?;
    Some((digits(major)?, digits(minor)?))
}

/// `3.24` of `v3.24`, and of what stands behind it as in `v3.24.1-17-gabcdef`: what the description of one of Alpine's
/// indexes begins with.
pub(crate) fn leading_release(description: &str) -> Option<String> {
    let word = description.split([' ', '-']).next()?.strip_prefix('v')?;
    let mut parts = word.splitn(3, '.');
    let name = format!("{}.{}", parts.next()?, parts.next()?);
    number(&name).map(|_| name)
}

/// `3.22` of `3.23`.
pub(crate) fn previous(branch: &str) -> Option<String> {
    let (major, minor) = number(branch.trim_start_matches('v'))?;
    Some(format!("{major}.{}", minor.checked_sub(1)?))
}

/// `v3.23` of `3.23`; `edge` as it is.
pub fn release_dir(branch: &str) -> String {
    if branch.starts_with(|c: char| c.is_ascii_digit()) { format!("v{branch}") } else { branch.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_ends_on_the_day_that_alpine_names_and_ninety_days_before_it_ends_soon() {
        let end = date(2026, 11, 1);
        assert_eq!(Support::of("3.21", date(2026, 11, 1)), Support::Ended(Some(end)));
        assert_eq!(Support::of("v3.21", date(2026, 10, 31)), Support::EndsSoon(end));
        assert_eq!(Support::of("3.21", date(2026, 8, 3)), Support::EndsSoon(end));
        assert_eq!(Support::of("3.21", date(2026, 8, 2)), Support::Until(end));
        assert_eq!(Support::of("3.9", date(2026, 8, 2)), Support::Ended(None));
        for unknown in ["3.24", "4.0", "edge", "latest-stable", "v24.10"] {
            assert_eq!(Support::of(unknown, date(2040, 1, 1)), Support::Unknown, "{unknown}");
        }
    }

    #[test]
    fn the_table_is_in_order_and_has_the_fallback() {
        assert!(SUPPORTED_UNTIL.is_sorted_by(|a, b| number(a.0) > number(b.0) && a.1 > b.1));
        assert_eq!(SUPPORTED_UNTIL[0].0, FALLBACK_BRANCH);
    }

    #[test]
    fn the_description_of_an_index_names_its_branch() {
        for (description, branch) in [
            ("v3.23.1-17-gabcdef0", Some("3.23")),
            ("v3.23 stand-in made by hoopy", Some("3.23")),
            ("v20260101-1234-gabcdef", None),
            ("made for a test", None),
            ("v3", None),
            ("", None),
        ] {
            assert_eq!(leading_release(description).as_deref(), branch, "{description}");
        }
    }

    #[test]
    fn a_branch_is_asked_for_by_number_or_by_alpines_names() {
        let named = |name: &str| Ok(BranchRequest::Named(name.to_owned()));
        assert_eq!("3.24".parse(), named("3.24"));
        assert_eq!("v3.24".parse(), named("3.24"));
        assert_eq!("edge".parse(), named("edge"));
        assert_eq!("latest-stable".parse(), Ok(BranchRequest::LatestStable));
        for bad in ["3", "3.x", "../3.24", "3.24/main", "", "v", "+3.1"] {
            assert!(bad.parse::<BranchRequest>().is_err(), "{bad}");
        }
    }
}
