//! A partition with two directories ([`hoopy_boot::pair`]): the slot that is not started is emptied, the new image put together in
//! it, taken apart beside itself, and then named. Nothing that the loader starts by itself is touched.

use hoopy_boot::pair::{NoPrevious, PARTS, Pair, SlotName};
use hoopy_uki::Section;

use super::super::error::DeployError;
use super::super::images::{NewImage, RemoteImage};
use super::{Partition, SLACK, Step, Steps};

/// What is taken out of the image, by the name that it has in its slot; `board` is an archive.
const TAKEN: [(Section, &str); 4] = [
    (Section::Linux, PARTS[0]),
    (Section::Initrd, PARTS[1]),
    (Section::Cmdline, PARTS[2]),
    (Section::Board, "board"),
];

/// A slot that an image goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSlot {
    /// Which.
    pub slot: SlotName,
    /// The lines that the machine takes the image apart by.
    pub parts: String,
}

/// Where an image's file is.
pub fn path(slot: SlotName, image: &str) -> String {
    format!("{}/{image}.efi", slot.directory())
}

/// The file of the image with this name, where a slot has all of that image.
pub fn namesake<'a>(partition: &Partition<'a>, pair: &Pair, image: &str) -> Option<&'a RemoteImage> {
    partition.file(&path(pair.slot_with(image)?, image))
}

/// Whether the image is started already, or waits for its try.
pub fn is_in_place(pair: &Pair, image: &str) -> bool {
    let slot = pair.slot_with(image);
    slot == Some(pair.started) || (slot.is_some() && slot == pair.staged())
}

/// How `new` takes its place.
///
/// # Errors
/// [`DeployError::SameName`], [`DeployError::Full`], [`DeployError::NotAnImage`].
pub fn place(
    partition: &Partition<'_>,
    pair: &Pair,
    new: &NewImage,
    same: bool,
) -> Result<Steps, DeployError> {
    place_parts(partition, pair, new, same, &|| new.parts(&TAKEN))
}

/// The same, with what the image is taken apart by.
fn place_parts(
    partition: &Partition<'_>,
    pair: &Pair,
    new: &NewImage,
    same: bool,
    parts: &dyn Fn() -> Result<String, DeployError>,
) -> Result<Steps, DeployError> {
    let host = || partition.host().to_owned();
    let slot = pair.target();
    let becomes = path(slot, &new.name);
    let stage = Step::Stage(slot, new.name.clone());
    if same && pair.slot_with(&new.name) == Some(slot) {
        // It failed, or was left for another one, and is to be tried again.
        return Ok(Steps { then: vec![Step::NotGood(slot), stage], becomes, ..Steps::default() });
    }
    if pair.slot_with(&new.name) == Some(pair.started) || partition.runs(Some(&new.name)) {
        return Err(DeployError::SameName { host: host(), image: new.name.clone() });
    }
    let parts = parts()?;
    if parts.lines().count() != TAKEN.len() {
        let reason = "it has no files for the boot loader: it was built for another layout".to_owned();
        return Err(DeployError::NotAnImage { path: new.path.clone(), reason });
    }
    let in_slot = |path: &str| SlotName::holding(path) == Some(slot);
    let freed: u64 =
        partition.machine.files.iter().filter(|file| in_slot(&file.path)).map(|file| file.size).sum();
    let (needed, free) = (2 * new.size + SLACK, partition.machine.free + freed);
    if free < needed {
        return Err(DeployError::full(partition.host(), needed, free));
    }
    let gone = partition.images.iter().filter(|image| in_slot(&image.path)).map(|image| image.path.clone());
    Ok(Steps {
        first: gone.collect(),
        slot: Some(NewSlot { slot, parts }),
        part: Some(becomes.clone()),
        then: vec![stage],
        becomes,
    })
}

/// How the machine returns to the previous image, and the name of that.
///
/// # Errors
/// [`DeployError::NothingBefore`].
pub fn back(partition: &Partition<'_>, pair: &Pair) -> Result<(Steps, String), DeployError> {
    let reason = |none| match none {
        NoPrevious::Empty => "the other slot of its partition is empty, or has a part of an image",
        NoPrevious::NeverGood => "the image in the other slot of its partition was never found well",
    };
    let nothing = |none| DeployError::NothingBefore {
        host: partition.host().to_owned(),
        reason: reason(none).to_owned(),
    };
    let slot = pair.rollback().map_err(nothing)?;
    let image = pair.slot(slot).image.clone().unwrap_or_default();
    let becomes = path(slot, &image);
    Ok((Steps { then: vec![Step::Back(slot)], becomes, ..Steps::default() }, image))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use hoopy_base::arch::Arch;
    use hoopy_boot::pair::{Loader, SlotState};

    use super::super::super::machine::{Machine, RemoteFile};
    use super::super::tests::new;
    use super::*;

    const MB: u64 = 1 << 20;

    fn slot(image: &str, good: bool, tried: bool) -> SlotState {
        SlotState { image: Some(image.to_owned()), good, tried }
    }

    fn pair(b: SlotState) -> Pair {
        Pair { loader: Loader::Pi, started: SlotName::A, slots: [slot("nas-2", true, false), b] }
    }

    fn images() -> Vec<RemoteImage> {
        let image =
            |path: &str| RemoteImage { path: path.to_owned(), size: 50 * MB, ..RemoteImage::default() };
        vec![image("a/nas-2.efi"), image("b/nas-1.efi")]
    }

    fn machine(free: u64) -> Machine {
        let file = |path: &str| RemoteFile { path: path.to_owned(), size: 50 * MB };
        let files = ["a/nas-2.efi", "a/initramfs", "b/nas-1.efi", "b/initramfs"].map(file).to_vec();
        Machine { host: "nas".to_owned(), image: Some("nas-2".to_owned()), free, files, ..Machine::default() }
    }

    /// Places an image that has the first so many of the parts.
    fn placed(free: u64, pair: &Pair, name: &str, same: bool, parts: usize) -> Result<Steps, DeployError> {
        let (machine, images) = (machine(free), images());
        let partition = Partition { machine: &machine, arch: Arch::Aarch64, images: &images };
        let new = NewImage { size: 60 * MB, ..new(name) };
        let lines = || TAKEN.iter().take(parts).map(|(_, name)| format!("{name}\t0\t1\tx"));
        place_parts(&partition, pair, &new, same, &|| Ok(lines().collect::<Vec<_>>().join("\n")))
    }

    #[test]
    fn a_new_image_goes_to_the_slot_that_is_not_started() {
        let steps = placed(50 * MB, &pair(slot("nas-1", true, false)), "nas-3", false, 4).unwrap();
        assert_eq!(steps.first, ["b/nas-1.efi"]);
        assert_eq!(steps.part.as_deref(), Some("b/nas-3.efi"));
        assert_eq!(steps.then, [Step::Stage(SlotName::B, "nas-3".to_owned())]);
        let parts = steps.slot.unwrap().parts;
        let names: Vec<&str> = parts.lines().filter_map(|line| line.split('\t').next()).collect();
        assert_eq!(names, ["vmlinuz", "initramfs", "cmdline.txt", "board"]);
    }

    #[test]
    fn an_image_that_failed_is_tried_again_and_one_that_is_started_is_left_alone() {
        let failed = pair(slot("nas-3", false, true));
        let steps = placed(50 * MB, &failed, "nas-3", true, 4).unwrap();
        assert_eq!((steps.part, steps.then.len()), (None, 2));
        assert!(!is_in_place(&failed, "nas-3") && is_in_place(&failed, "nas-2"));
        assert!(is_in_place(&pair(slot("nas-3", false, false)), "nas-3"));
        let refused = placed(50 * MB, &failed, "nas-2", false, 4);
        assert!(matches!(refused, Err(DeployError::SameName { .. })));
    }

    #[test]
    fn what_does_not_fit_and_what_is_for_another_layout_is_refused() {
        let empty = pair(SlotState::default());
        let full = placed(MB, &empty, "nas-3", false, 4);
        assert!(matches!(full, Err(DeployError::Full { .. })));
        let refused = placed(50 * MB, &empty, "nas-3", false, 3).unwrap_err().to_string();
        assert!(refused.contains("it has no files for the boot loader"), "{refused}");
    }

    #[test]
    fn a_rollback_needs_an_image_that_was_good() {
        let (machine, images) = (machine(50 * MB), images());
        let partition = Partition { machine: &machine, arch: Arch::Aarch64, images: &images };
        let refused = back(&partition, &pair(SlotState::default())).unwrap_err().to_string();
        assert!(refused.contains("the other slot of its partition is empty"), "{refused}");
        let (steps, image) = back(&partition, &pair(slot("nas-1", true, false))).unwrap();
        assert_eq!((steps.then, image.as_str()), (vec![Step::Back(SlotName::B)], "nas-1"));
    }
}
