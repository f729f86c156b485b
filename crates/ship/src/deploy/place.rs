//! Where the new image goes, what becomes of the others, and in which order: decided here, done by the machine.
//!
//! The order is such that a machine which loses its power between any two steps, or within one, has an image to start:
//!
//! - `single`: FAT cannot exchange two names, so the image that the firmware starts is never without its name. It is
//!   copied to `hoopy-old.part`, that becomes `BOOTX64.OLD`, and then the new image's one rename puts it in place of
//!   the old one. With the partition mounted `sync`, Linux writes that rename as one sector of the directory
//!   (fs/fat/namei_vfat.c: the name's entry is turned to the new file's clusters), then takes the temporary name
//!   away, then frees the old file's clusters. A cut in between leaves two names for one file, or clusters of no file.
//! - `ab`: the new image gets a name of its own, with three tries; nothing else is touched. The good ones stay. Linux
//!   writes a name that is new with no clusters first, and with the file's then: a cut in between leaves an empty file,
//!   which systemd-boot does not list, and the next deploy removes.
//!
//! What runs, and the last image that was good, are never removed to make room.

pub(super) mod pair;

use hoopy_base::arch::Arch;
use hoopy_boot::diskless::{self, ENTRY, KEPT_LOADER};
use hoopy_boot::layout::{LINUX_DIR, Layout, Slot, previous, started};
use hoopy_boot::pair::{GOOD, Loader, SlotName};
use hoopy_boot::slots::{self, NoPrevious};

use super::error::DeployError;
use super::images::{NewImage, RemoteImage};
use super::machine::Machine;

pub use pair::NewSlot;

/// Where the new file is put together.
const NEW_PART: &str = "hoopy-new.part";
/// Where the one before is copied to.
const OLD_PART: &str = "hoopy-old.part";

/// What a file may take more than its bytes: clusters, and those of directories.
const SLACK: u64 = 1 << 20;

/// One change of names on the partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A copy, which is compared.
    Copy(String, String),
    /// A rename, over what has the name.
    Move(String, String),
    /// A file with this text.
    Write(String, String),
    /// A file goes.
    Remove(String),
    /// The image of this name, whole in this slot of a pair, may be tried.
    Stage(SlotName, String),
    /// The slot of a pair counts as never good.
    NotGood(SlotName),
    /// This slot of a pair is started again, and the other one is given up.
    Back(SlotName),
}

/// What to do on the partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Steps {
    /// Files to remove before anything is written.
    pub first: Vec<String>,
    /// The slot of a pair that is emptied before, and in which the new file is taken apart.
    pub slot: Option<NewSlot>,
    /// Where the new file is put together; none where there is no new file.
    pub part: Option<String>,
    /// Then, in this order.
    pub then: Vec<Step>,
    /// What the image is called in the end.
    pub becomes: String,
}

impl Steps {
    /// The lines that the machine reads.
    pub(super) fn lines(&self) -> String {
        let line = |step: &Step| match step {
            Step::Copy(from, to) => format!("copy\t{from}\t{to}"),
            Step::Move(from, to) => format!("move\t{from}\t{to}"),
            // As printf(1) takes it back; the text is ours.
            Step::Write(file, text) => {
                format!("write\t{file}\t{}", text.replace('\\', "\\\\").replace('\n', "\\n"))
            }
            Step::Remove(file) => format!("remove\t{file}\t"),
            Step::Stage(slot, image) => format!("stage\t{}\t{image}", slot.directory()),
            Step::NotGood(slot) => format!("remove\t{}/{GOOD}\t", slot.directory()),
            Step::Back(slot) => format!("back\t{}\t", slot.directory()),
        };
        self.then.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// The EFI system partition of a machine: which images lie where on it.
#[derive(Debug, Clone, Copy)]
pub struct Partition<'a> {
    /// The machine.
    pub machine: &'a Machine,
    /// Its architecture.
    pub arch: Arch,
    /// Its images.
    pub images: &'a [RemoteImage],
}

/// An image in [`LINUX_DIR`].
pub type SlotFile<'a> = slots::Entry<&'a RemoteImage>;

impl<'a> Partition<'a> {
    /// The file at this path.
    pub fn file(&self, path: &str) -> Option<&'a RemoteImage> {
        // FAT does not tell upper case from lower.
        self.images.iter().find(|image| image.path.eq_ignore_ascii_case(path))
    }

    /// How the partition is laid out: by what the firmware starts.
    pub fn layout(&self) -> Option<Layout> {
        if let Some(pair) = &self.machine.pair {
            return Some(pair.loader.layout());
        }
        let file = self.file(&started(self.arch))?;
        Some(if file.is_image { Layout::Single } else { Layout::Ab })
    }

    /// The images that systemd-boot lists, the one that it starts first; those given up come last.
    pub fn slots(&self) -> Vec<SlotFile<'a>> {
        let entry = |file: &'a RemoteImage| {
            let (dir, name) = file.path.rsplit_once('/')?;
            let slot = dir.eq_ignore_ascii_case(LINUX_DIR).then(|| Slot::parse(name)).flatten()?;
            Some(SlotFile { slot, os_release: file.os_release.clone(), file })
        };
        let images = self.images.iter().filter(|file| file.is_image);
        let mut entries: Vec<SlotFile<'a>> = images.filter_map(entry).collect();
        slots::sort(&mut entries);
        entries
    }

    /// Whether this image is the one that runs.
    pub fn runs(&self, name: Option<&str>) -> bool {
        name.is_some() && self.machine.image.as_deref() == name
    }

    fn host(&self) -> &str {
        &self.machine.host
    }
}

/// How `new` takes its place. `same` is whether the file of that name, where there is one, is the same image.
///
/// # Errors
/// [`DeployError::OtherLayout`], [`DeployError::Full`], [`DeployError::SameName`], [`DeployError::Older`].
pub fn place(
    partition: &Partition<'_>,
    layout: Layout,
    new: &NewImage,
    same: bool,
) -> Result<Steps, DeployError> {
    let other = |found, wanted| DeployError::OtherLayout { host: partition.host().to_owned(), found, wanted };
    if let Some(pair) = &partition.machine.pair {
        let found = match pair.loader {
            Loader::Pi => "from the card of a Raspberry Pi",
            Loader::Extlinux => "by extlinux.conf",
        };
        return match layout == pair.loader.layout() {
            true => pair::place(partition, pair, new, same),
            false => Err(other(found, layout)),
        };
    }
    match (layout, partition.layout()) {
        (Layout::Pi | Layout::Extlinux | Layout::Single, Some(Layout::Ab)) => {
            Err(other("systemd-boot", layout))
        }
        (Layout::Pi | Layout::Extlinux, _) | (Layout::Ab, Some(Layout::Single)) => {
            Err(other("one image", layout))
        }
        (Layout::Ab, None) => Err(other("no boot loader", layout)),
        (Layout::Single, _) => single(partition, new),
        (Layout::Ab, _) => ab(partition, new, same),
    }
}

/// The file on the machine that has the name of `new` already.
pub fn namesake<'a>(partition: &Partition<'a>, layout: Layout, new: &NewImage) -> Option<&'a RemoteImage> {
    if let Some(pair) = &partition.machine.pair {
        return pair::namesake(partition, pair, &new.name);
    }
    match layout {
        Layout::Pi | Layout::Extlinux => None,
        Layout::Single => {
            partition.file(&started(partition.arch)).filter(|f| f.name.as_ref() == Some(&new.name))
        }
        Layout::Ab => partition.slots().iter().find(|s| s.slot.image == new.name).map(|s| s.file),
    }
}

fn in_boot(partition: &Partition<'_>, name: &str) -> String {
    let path = started(partition.arch);
    path.rsplit_once('/').map_or(name.to_owned(), |(dir, _)| format!("{dir}/{name}"))
}

fn single(partition: &Partition<'_>, new: &NewImage) -> Result<Steps, DeployError> {
    let (efi, old) = (started(partition.arch), previous(partition.arch));
    let (part, old_part) = (in_boot(partition, NEW_PART), in_boot(partition, OLD_PART));
    let (current, before) = (partition.file(&efi), partition.file(&old));
    let mut steps = Steps { part: Some(part.clone()), becomes: efi.clone(), ..Steps::default() };
    // Deployed, and not started since: what is known to start is the one before.
    let keep_before = before.is_some_and(|b| partition.runs(b.name.as_deref()))
        && !current.is_some_and(|c| partition.runs(c.name.as_deref()));
    let removable = before.filter(|_| !keep_before && current.is_some());
    let needed = new.size + SLACK;
    let mut free = partition.machine.free;
    let mut removed = false;
    if free < needed
        && let Some(file) = removable
    {
        steps.first.push(file.path.clone());
        free += file.size;
        removed = true;
    }
    if free < needed {
        return Err(DeployError::full(partition.host(), needed, free));
    }
    free -= new.size;
    if let Some(current) = current.filter(|_| !keep_before) {
        let wanted = current.size + SLACK;
        if free < wanted
            && let Some(file) = removable.filter(|_| !removed)
        {
            // The new one is whole by then, and the current one is still started.
            steps.then.push(Step::Remove(file.path.clone()));
            free += file.size;
        }
        if free < wanted {
            return Err(DeployError::full(partition.host(), needed + wanted, free + new.size));
        }
        steps.then.push(Step::Copy(efi.clone(), old_part.clone()));
        steps.then.push(Step::Move(old_part, old));
    }
    steps.then.push(Step::Move(part, efi));
    Ok(steps)
}

fn ab(partition: &Partition<'_>, new: &NewImage, same: bool) -> Result<Steps, DeployError> {
    let slots = partition.slots();
    let target = format!("{LINUX_DIR}/{}", Slot::new(&new.name));
    let part = format!("{LINUX_DIR}/{NEW_PART}");
    let mut steps = Steps { becomes: target.clone(), ..Steps::default() };
    let namesakes: Vec<&SlotFile<'_>> = slots.iter().filter(|s| s.slot.image == new.name).collect();
    if let Some(first) = namesakes.first() {
        if same {
            // It was given up, and is to be tried again.
            steps.then.push(Step::Move(first.file.path.clone(), target));
            return Ok(steps);
        }
        if partition.runs(Some(&new.name)) || first.slot.is_good() {
            return Err(DeployError::SameName { host: partition.host().to_owned(), image: new.name.clone() });
        }
        // One name, with a counter and without or with two counters, must not be there twice.
        steps.first.extend(namesakes.iter().map(|s| s.file.path.clone()));
    }
    let arriving = slots::Entry { slot: Slot::new(&new.name), os_release: new.os_release.clone(), file: () };
    let newer = slots::newer(&slots, &arriving);
    if let Some(newer) = newer {
        let (image, newer) = (new.name.clone(), newer.slot.image.clone());
        return Err(DeployError::Older { host: partition.host().to_owned(), image, newer });
    }
    let needed = new.size + SLACK;
    let mut free = partition.machine.free + namesakes.iter().map(|s| s.file.size).sum::<u64>();
    let removable = slots::removable(&slots, partition.machine.image.as_deref());
    for old in removable.into_iter().filter(|old| old.slot.image != new.name) {
        if free >= needed {
            break;
        }
        steps.first.push(old.file.path.clone());
        free += old.file.size;
    }
    if free < needed {
        return Err(DeployError::full(partition.host(), needed, free));
    }
    steps.part = Some(part.clone());
    steps.then.push(Step::Move(part, target));
    Ok(steps)
}

/// What a rollback returns to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreviousSystem {
    /// The image before; where there is none, the diskless Alpine Linux that was there before.
    Image,
    /// That, whatever images there are.
    Diskless,
}

/// How the machine returns to the previous image, and the name of that.
///
/// # Errors
/// [`DeployError::NothingBefore`], [`DeployError::Full`].
pub fn back(partition: &Partition<'_>, to: PreviousSystem) -> Result<(Steps, String), DeployError> {
    if to == PreviousSystem::Diskless && !partition.machine.keeps_diskless {
        return Err(nothing(partition, &format!("there is no {KEPT_LOADER} with its entry {ENTRY}")));
    }
    if let Some(pair) = &partition.machine.pair {
        return pair::back(partition, pair);
    }
    match partition.layout() {
        Some(Layout::Ab) => back_ab(partition, to),
        _ => back_single(partition),
    }
}

fn nothing(partition: &Partition<'_>, reason: &str) -> DeployError {
    DeployError::NothingBefore { host: partition.host().to_owned(), reason: reason.to_owned() }
}

/// Both are copied, so that either name always has an image.
fn back_single(partition: &Partition<'_>) -> Result<(Steps, String), DeployError> {
    let (efi, old) = (started(partition.arch), previous(partition.arch));
    let (part, old_part) = (in_boot(partition, NEW_PART), in_boot(partition, OLD_PART));
    let before = partition.file(&old).filter(|file| file.is_image);
    let before = before.ok_or_else(|| nothing(partition, &format!("there is no image {old}")))?;
    let current = partition.file(&efi).map_or(0, |file| file.size);
    let needed = before.size + current + 2 * SLACK;
    if partition.machine.free < needed {
        return Err(DeployError::full(partition.host(), needed, partition.machine.free));
    }
    let mut then = vec![Step::Copy(old.clone(), part.clone())];
    if current != 0 {
        then.push(Step::Copy(efi.clone(), old_part.clone()));
    }
    then.push(Step::Move(part, efi.clone()));
    if current != 0 {
        then.push(Step::Move(old_part, old));
    }
    let name = before.name.clone().unwrap_or_else(|| before.path.clone());
    Ok((Steps { then, becomes: efi, ..Steps::default() }, name))
}

/// What would be started next is given up.
fn back_ab(partition: &Partition<'_>, to: PreviousSystem) -> Result<(Steps, String), DeployError> {
    let slots = partition.slots();
    let runs = partition.machine.image.as_deref();
    let (bad, becomes, name) = match slots::rollback(&slots, runs) {
        Ok((bad, target)) if to == PreviousSystem::Image => {
            (bad, target.file.path.clone(), target.slot.image.clone())
        }
        Err(NoPrevious::AllBad) => return Err(nothing(partition, "every image is given up")),
        Ok(_) | Err(NoPrevious::OnlyOne) if partition.machine.keeps_diskless => {
            let all = slots.iter().filter(|entry| !entry.slot.is_bad()).collect();
            (all, KEPT_LOADER.to_owned(), diskless::NAME.to_owned())
        }
        Ok(_) | Err(NoPrevious::OnlyOne) => {
            return Err(nothing(partition, "there is no good image but the one that is started"));
        }
    };
    let mut steps = Steps { becomes, ..Steps::default() };
    for entry in bad {
        let given_up = format!("{LINUX_DIR}/{}", entry.slot.given_up());
        steps.then.push(Step::Move(entry.file.path.clone(), given_up));
    }
    Ok((steps, name))
}

#[cfg(test)]
mod tests;
