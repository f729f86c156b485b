//! Whether a mirror serves an older index than before.
//!
//! An index stays validly signed for ever. A mirror, or whoever sits on the way to it, may give an old one, and with it
//! packages whose faults are known since. So a new lock is compared with the one before: by when the newest package of
//! each index was built, and by the versions of packages that `packages` asks for in the same words. Where the owner
//! changed the branch or the words, that is what made versions go down.

use std::fmt;

use hoopy_lock::{Change, Lock, changes};

/// How many packages are named.
const NAMED: usize = 5;

/// What is older than in the lock before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Older {
    /// Repositories whose index is older: the name, and both times.
    pub indexes: Vec<(String, u64, u64)>,
    /// Packages whose version went down: the name, and both versions.
    pub packages: Vec<(String, String, String)>,
}

impl Older {
    /// What of `new` is older than in `old`; none where nothing is.
    pub fn than(old: &Lock, new: &Lock) -> Option<Self> {
        if old.branch != new.branch || old.arch != new.arch {
            return None;
        }
        let newest = |lock: &Lock, name: &str| {
            lock.repositories.iter().find(|own| own.name == name).and_then(|own| own.newest)
        };
        let of_index = |name: &str| {
            let (before, now) = (newest(old, name)?, newest(new, name)?);
            (now < before).then(|| (name.to_owned(), before, now))
        };
        let mut indexes: Vec<_> = old.repositories.iter().filter_map(|own| of_index(&own.name)).collect();
        // A lock that does not say: its own packages came from these indexes.
        let says = old.repositories.iter().any(|own| own.newest.is_some());
        let newest = new.repositories.iter().filter_map(|own| own.newest).max();
        let same_repositories =
            old.repositories.iter().map(|own| &own.name).eq(new.repositories.iter().map(|own| &own.name));
        if let Some(newest) = newest.filter(|&newest| !says && same_repositories && newest < old.epoch) {
            indexes.push(("every repository".to_owned(), old.epoch, newest));
        }
        let down = |change| match change {
            Change::Down(before, now) => Some((now.name, before.version, now.version)),
            Change::In(_) | Change::Out(_) | Change::Up(..) | Change::Rebuilt(..) => None,
        };
        let same_words = old.world == new.world;
        let packages: Vec<_> =
            if same_words { changes(old, new).into_iter().filter_map(down).collect() } else { Vec::new() };
        (!indexes.is_empty() || !packages.is_empty()).then_some(Self { indexes, packages })
    }
}

impl fmt::Display for Older {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the mirror is older than the lock:")?;
        for (name, before, now) in &self.indexes {
            write!(f, " the newest package of {name} was built {}, and before {};", day(*now), day(*before))?;
        }
        for (name, before, now) in self.packages.iter().take(NAMED) {
            write!(f, " {name} {now}, and before {before};")?;
        }
        let more = self.packages.len().saturating_sub(NAMED);
        if more > 0 {
            write!(f, " {more} more packages;")?;
        }
        f.write_str(" the lock is as it was")
    }
}

/// A day and a time of UTC.
fn day(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // From days since 1970 to a date, by eras of 400 years that begin on 1 March of the year 0.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", rest / 3600, rest / 60 % 60)
}

#[cfg(test)]
mod tests {
    use hoopy_base::arch::Arch;
    use hoopy_base::digest::ContentId;
    use hoopy_lock::{LockedPackage, LockedRepository, Role};

    use super::*;

    fn lock(newest: Option<u64>, epoch: u64, version: &str) -> Lock {
        let repository = LockedRepository {
            tag: None,
            name: "main".to_owned(),
            description: String::new(),
            index: ContentId::of(b""),
            newest,
        };
        let package = LockedPackage {
            name: "tool".to_owned(),
            version: version.to_owned(),
            repository: "main".to_owned(),
            size: 1,
            checksum: String::new(),
            sha256: ContentId::of(version.as_bytes()),
            role: Role::Root,
        };
        let world = vec!["tool".to_owned()];
        Lock {
            epoch,
            repositories: vec![repository],
            packages: vec![package],
            ..Lock::new(Arch::X86_64, "3.23", world)
        }
    }

    #[test]
    fn an_older_index_is_found_by_its_time() {
        let old = lock(Some(1_790_000_000), 0, "1.0-r0");
        assert_eq!(Older::than(&old, &old), None);
        assert_eq!(Older::than(&old, &lock(Some(1_790_000_001), 0, "1.0-r1")), None);
        let said = Older::than(&old, &lock(Some(1_780_000_000), 0, "1.0-r0")).map(|o| o.to_string());
        let expected = "the mirror is older than the lock: the newest package of main was built 2026-05-28 20:26, \
                        and before 2026-09-21 14:13; the lock is as it was";
        assert_eq!(said.as_deref(), Some(expected));
    }

    #[test]
    fn a_lock_that_gives_no_time_is_as_old_as_its_packages() {
        let old = lock(None, 1000, "1.0-r0");
        assert!(Older::than(&old, &lock(Some(999), 900, "1.0-r0")).is_some());
        assert_eq!(Older::than(&old, &lock(Some(1000), 900, "1.0-r0")), None);
    }

    #[test]
    fn a_version_that_went_down_is_found_unless_it_was_asked_for() {
        let (old, new) = (lock(Some(1), 1, "1.1-r0"), lock(Some(1), 1, "1.0-r0"));
        let said = Older::than(&old, &new).map(|o| o.to_string()).unwrap_or_default();
        assert!(said.contains("tool 1.0-r0, and before 1.1-r0"), "{said}");
        let asked = Lock { world: vec!["tool<1.1".to_owned()], ..new.clone() };
        assert_eq!(Older::than(&old, &asked), None);
        assert_eq!(Older::than(&old, &Lock { branch: "3.22".to_owned(), ..new }), None);
    }
}
