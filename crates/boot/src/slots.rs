//! Which image systemd-boot starts, which are bad, and which may go: decided from the names and versions alone.
//!
//! The order is that of systemd-boot (systemd-boot(7), "Boot entries"; `boot_entry_compare` in its source): images
//! with no tries left come last; then by sort key, the newest version first, the file's name, and the counters.

use std::cmp::Ordering;

use crate::layout::{Slot, TRIES};
use crate::os_release::OsRelease;
use crate::version::compare;

/// An image file in [`LINUX_DIR`](crate::layout::LINUX_DIR), and whatever the caller knows it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<F> {
    /// What the file's name says.
    pub slot: Slot,
    /// What the image itself says to be sorted by.
    pub os_release: OsRelease,
    /// The file.
    pub file: F,
}

/// Sorts images into the order in which systemd-boot lists them: the first is started.
pub fn sort<F>(entries: &mut [Entry<F>]) {
    entries.sort_by(|a, b| a.slot.is_bad().cmp(&b.slot.is_bad()).then_with(|| order(a, b)));
}

/// The order of two images that are both given up, or both not.
fn order<F, G>(a: &Entry<F>, b: &Entry<G>) -> Ordering {
    // A file's name is compared with its ending, without its counters, and in lower case, as FAT has it.
    let id = |slot: &Slot| format!("{}.efi", slot.image.to_ascii_lowercase());
    let (x, y) = (&a.os_release, &b.os_release);
    let versions = match (&x.sort_key, &y.sort_key) {
        (Some(key), Some(other)) => key.cmp(other).then_with(|| compare(&y.version, &x.version)),
        (x, y) => x.is_none().cmp(&y.is_none()),
    };
    let counters = || match (a.slot.left, b.slot.left) {
        (Some(left), Some(other)) => other.cmp(&left).then_with(|| a.slot.done.cmp(&b.slot.done)),
        _ => Ordering::Equal,
    };
    versions.then_with(|| compare(&id(&b.slot), &id(&a.slot))).then_with(counters)
}

/// The image that is started next; none where every image is bad. `sorted` is as [`sort`] leaves it.
pub fn next<F>(sorted: &[Entry<F>]) -> Option<&Entry<F>> {
    sorted.iter().find(|entry| !entry.slot.is_bad())
}

/// The newest image that is known to be good.
pub fn newest_good<F>(sorted: &[Entry<F>]) -> Option<&Entry<F>> {
    sorted.iter().find(|entry| entry.slot.is_good())
}

/// An image that would be started instead of the image `new`, which is not there yet.
pub fn newer<'e, F, G>(sorted: &'e [Entry<F>], new: &Entry<G>) -> Option<&'e Entry<F>> {
    let other = |entry: &&Entry<F>| !entry.slot.is_bad() && entry.slot.image != new.slot.image;
    sorted.iter().filter(other).find(|entry| order(entry, new) == Ordering::Less)
}

/// What may be removed to make room, the first to go first: bad images, then those on trial, then the oldest good
/// ones. Never the image that runs, and never the newest good one.
pub fn removable<'e, F>(sorted: &'e [Entry<F>], running: Option<&str>) -> Vec<&'e Entry<F>> {
    let newest_good = newest_good(sorted).map(|entry| &entry.slot);
    let stays =
        |entry: &Entry<F>| running == Some(entry.slot.image.as_str()) || newest_good == Some(&entry.slot);
    let mut removable: Vec<&Entry<F>> = sorted.iter().rev().filter(|entry| !stays(entry)).collect();
    removable.sort_by_key(|entry| match entry.slot.left {
        Some(0) => 0,
        Some(_) => 1,
        None => 2,
    });
    removable
}

/// Why there is nothing to roll back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPrevious {
    /// No image has tries left.
    AllBad,
    /// The image that would be started is the only good one.
    OnlyOne,
}

/// A rollback: the images to mark as bad, and the one that is started then.
pub type Rollback<'e, F> = (Vec<&'e Entry<F>>, &'e Entry<F>);

/// Rolls back: from a new image that was not started yet to the one that runs, or from the one that runs to the
/// newest good one before it. Gives the images to mark as [`Slot::given_up`], and the one that is started then.
///
/// # Errors
/// [`NoPrevious`].
pub fn rollback<'e, F>(sorted: &'e [Entry<F>], running: Option<&str>) -> Result<Rollback<'e, F>, NoPrevious> {
    let runs = |entry: &Entry<F>| running == Some(entry.slot.image.as_str());
    let usable = || sorted.iter().filter(|entry| !entry.slot.is_bad());
    let next = next(sorted).ok_or(NoPrevious::AllBad)?;
    let is_target = |entry: &&Entry<F>| {
        if runs(next) { !runs(entry) && entry.slot.is_good() } else { runs(entry) }
    };
    let target = usable().find(is_target).ok_or(NoPrevious::OnlyOne)?;
    Ok((usable().take_while(|entry| entry.slot != target.slot).collect(), target))
}

impl Slot {
    /// Whether a boot of it was good: its name has no counter.
    pub fn is_good(&self) -> bool {
        self.left.is_none()
    }

    /// Whether it was given up: no tries are left. systemd-boot starts it only where there is nothing else.
    pub fn is_bad(&self) -> bool {
        self.left == Some(0)
    }

    /// The same image, given up.
    #[must_use]
    pub fn given_up(&self) -> Self {
        Self { left: Some(0), done: self.done.max(TRIES), ..self.clone() }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::os_release::SORT_KEY;

    fn entry(name: &str) -> Entry<String> {
        let slot = Slot::parse(name).unwrap();
        let version = slot.image.rsplit_once('-').map_or(String::new(), |(_, v)| v.to_owned());
        let sort_key = Some(SORT_KEY.to_owned());
        let os_release = OsRelease { sort_key, version, ..OsRelease::default() };
        Entry { slot, os_release, file: name.to_owned() }
    }

    fn entries(names: &[&str]) -> Vec<Entry<String>> {
        let mut entries: Vec<_> = names.iter().map(|name| entry(name)).collect();
        sort(&mut entries);
        entries
    }

    fn files<'e>(entries: impl IntoIterator<Item = &'e Entry<String>>) -> Vec<&'e str> {
        entries.into_iter().map(|entry| entry.file.as_str()).collect()
    }

    #[test]
    fn the_newest_image_is_started_and_bad_ones_come_last() {
        let all = entries(&["nas-9.efi", "nas-11+0-3.efi", "nas-10+2-1.efi", "nas-2.efi"]);
        assert_eq!(files(&all), ["nas-10+2-1.efi", "nas-9.efi", "nas-2.efi", "nas-11+0-3.efi"]);
        assert_eq!(next(&all).unwrap().file, "nas-10+2-1.efi");
        assert_eq!(newest_good(&all).unwrap().file, "nas-9.efi");
        assert_eq!(next(&entries(&["nas-1+0-3.efi"])), None);
    }

    #[test]
    fn an_image_that_would_be_started_instead_is_found() {
        let all = entries(&["nas-10.efi", "nas-12+0.efi"]);
        assert_eq!(newer(&all, &entry("nas-9.efi")).unwrap().file, "nas-10.efi");
        assert_eq!(newer(&all, &entry("nas-11.efi")), None, "nas-12 was given up");
        assert_eq!(newer(&all, &entry("nas-10.efi")), None, "it is the same image");
    }

    #[test]
    fn a_machine_that_was_renamed_gets_its_turn() {
        for name in ["zoo", "attic"] {
            let new = format!("{name}-2026112201+3.efi");
            let all = entries(&["nas-2026112101.efi", &new]);
            assert_eq!(next(&all).unwrap().file, new);
            assert_eq!(newer(&entries(&["nas-2026112101.efi"]), &entry(&new)), None);
        }
    }

    #[test]
    fn an_image_with_a_sort_key_of_its_own_stands_before_newer_ones() {
        let mut old = entry("attic-1.efi");
        old.os_release.sort_key = Some("attic".to_owned());
        assert_eq!(newer(std::slice::from_ref(&old), &entry("nas-2.efi")), Some(&old));
        old.os_release.sort_key = None;
        assert_eq!(newer(&[old], &entry("nas-2.efi")), None);
    }

    /// As `bootctl list` of systemd 252 orders these files, whose os-release has these keys and versions.
    #[test]
    fn images_stand_in_the_order_in_which_systemd_lists_them() {
        const LISTED: [(&str, &str, &str); 10] = [
            ("old-9.efi", "attic", "9"),
            ("attic-2026112900+3.efi", "hoopy", "2026112900"),
            ("zoo-2026112102.efi", "hoopy", "2026112102"),
            ("nas-2026112101.efi", "hoopy", "2026112101"),
            ("zoo-1.efi", "hoopy", "1"),
            ("nas-10.efi", "hoopy", "1"),
            ("nas-1+1-2.efi", "hoopy", "1"),
            ("nas-1-1.efi", "hoopy", "1"),
            ("nas-2026112100.efi", "nas", "2026112100"),
            ("nas-2026112901+0-3.efi", "hoopy", "2026112901"),
        ];
        let listed = LISTED.map(|(file, key, version)| {
            let os_release = OsRelease::parse(&format!("IMAGE_ID={key}\nIMAGE_VERSION={version}\n"));
            Entry { os_release, ..entry(file) }
        });
        let mut all = listed.to_vec();
        all.sort_by(|a, b| a.file.cmp(&b.file));
        sort(&mut all);
        assert_eq!(files(&all), files(&listed));
    }

    #[test]
    fn of_one_version_the_name_decides_and_then_what_was_tried_less() {
        let all = entries(&["nas-1+1-2.efi", "zoo-1.efi", "nas-1+2-1.efi", "NAS-1+2-0.efi"]);
        assert_eq!(files(&all), ["zoo-1.efi", "NAS-1+2-0.efi", "nas-1+2-1.efi", "nas-1+1-2.efi"]);
    }

    #[test]
    fn what_runs_and_the_newest_good_image_are_never_removed() {
        let all = entries(&["nas-1.efi", "nas-2.efi", "nas-3.efi", "nas-4+0-3.efi", "nas-5+3.efi"]);
        assert_eq!(files(removable(&all, Some("nas-2"))), ["nas-4+0-3.efi", "nas-5+3.efi", "nas-1.efi"]);
        assert_eq!(files(removable(&all, None)).last(), Some(&"nas-2.efi"));
    }

    #[test]
    fn a_rollback_gives_up_what_would_be_started() {
        let back = |names: &[&str], running: &str| {
            let all = entries(names);
            rollback(&all, Some(running)).map(|(bad, to)| {
                (files(bad).iter().map(|f| (*f).to_owned()).collect::<Vec<_>>(), to.file.clone())
            })
        };
        let good = ["nas-1.efi", "nas-2.efi", "nas-3.efi"];
        let staged = ["nas-1.efi", "nas-3.efi", "nas-4+2-1.efi"];
        assert_eq!(back(&good, "nas-3").unwrap(), (vec!["nas-3.efi".to_owned()], "nas-2.efi".to_owned()));
        assert_eq!(
            back(&staged, "nas-3").unwrap(),
            (vec!["nas-4+2-1.efi".to_owned()], "nas-3.efi".to_owned())
        );
        assert_eq!(back(&["nas-1.efi"], "nas-1"), Err(NoPrevious::OnlyOne));
        assert_eq!(back(&["nas-1+0-3.efi"], "nas-1"), Err(NoPrevious::AllBad));
    }

    #[test]
    fn an_image_that_is_given_up_has_no_tries_left() {
        let given_up = |name: &str| Slot::parse(name).unwrap().given_up().to_string();
        assert_eq!(given_up("nas-3.efi"), "nas-3+0-3.efi");
        assert_eq!(given_up("nas-3+1-5.efi"), "nas-3+0-5.efi");
    }
}
