//! What a machine runs, and what it would start next.

use hoopy_boot::diskless::KEPT_LOADER;
use hoopy_boot::layout::{Layout, previous, started};
use hoopy_boot::pair::Pair;
use serde::Serialize;

use super::booted::MachineImages;
use super::machine::Health;
use super::place::{Partition, pair};

/// A machine at a glance.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// As ssh knows it.
    pub host: String,
    /// The image that runs; none where the machine is not hoopy's.
    pub image: Option<String>,
    /// The git commit of its system directory.
    pub commit: Option<String>,
    /// Whether that directory had changes.
    pub dirty: bool,
    /// Seconds since it was booted.
    pub uptime: u64,
    /// `x86_64` or `aarch64`.
    pub arch: String,
    /// How its images lie.
    pub layout: Option<Layout>,
    /// Where its EFI system partition is.
    pub esp: String,
    /// Bytes that are free there.
    pub free: u64,
    /// The file of the image that runs, where it is still there.
    pub slot: Option<String>,
    /// How often that image will be tried still; none once it is good, or where nothing counts.
    pub tries_left: Option<u32>,
    /// What will be started next, where that is another image.
    pub staged: Option<String>,
    /// What the machine thinks of this boot, where it was asked.
    pub health: Option<Health>,
    /// What it keeps of the last image that failed or panicked.
    pub failure: Option<Failure>,
    /// The release of diskless Alpine Linux, where the machine runs that.
    pub diskless: Option<String>,
    /// What starts diskless Alpine Linux, where that was there before hoopy.
    pub keeps_diskless: Option<String>,
    /// All images, in the order in which they are started.
    pub images: Vec<Kept>,
}

/// An image that failed, as `loader/hoopy-failed.txt` begins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The image; none where the machine could not tell.
    pub image: Option<String>,
    /// Seconds since its kernel started.
    pub seconds: Option<u64>,
    /// What was wrong: `Kernel panic - not syncing: ...` where it panicked.
    pub reason: String,
}

impl Failure {
    /// Reads the lines up to the first that is empty.
    fn read(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let mut head = text.lines().take_while(|line| !line.is_empty());
            head.find_map(|line| line.strip_prefix(key)).filter(|value| !value.is_empty())
        };
        Some(Self {
            image: value("IMAGE=").map(str::to_owned),
            seconds: value("SECONDS=").and_then(|seconds| seconds.parse().ok()),
            reason: value("REASON=")?.to_owned(),
        })
    }
}

/// An image on the partition.
#[derive(Debug, Clone, Serialize)]
pub struct Kept {
    /// Its file.
    pub file: String,
    /// What it calls itself.
    pub image: Option<String>,
    /// In bytes.
    pub size: u64,
    /// How often it will be tried still.
    pub tries_left: Option<u32>,
}

/// What was seen of a machine, at a glance.
pub fn status(seen: MachineImages) -> Status {
    let MachineImages { machine, images } = seen;
    let arch = machine.known_arch();
    let partition = arch.map(|arch| Partition { machine: &machine, arch, images: &images });
    let layout = partition.and_then(|partition| partition.layout());
    let kept: Vec<Kept> = partition.map_or_else(Vec::new, |partition| match layout {
        Some(Layout::Pi | Layout::Extlinux) => {
            machine.pair.iter().flat_map(|pair| in_pair(pair, partition)).collect()
        }
        Some(Layout::Ab) => {
            let slots = partition.slots().into_iter();
            slots.map(|s| kept(&s.file.path, Some(s.slot.image.clone()), s.file.size, s.slot.left)).collect()
        }
        _ => {
            let files = [started(partition.arch), previous(partition.arch)].map(|path| partition.file(&path));
            files.into_iter().flatten().map(|f| kept(&f.path, f.name.clone(), f.size, None)).collect()
        }
    });
    let running = kept.iter().find(|k| k.image.is_some() && k.image == machine.image);
    // In a pair, what waits for its try is started by a reboot that says so; then comes what is started by itself.
    let waits = kept.iter().find(|k| layout.is_some_and(Layout::has_pair) && k.tries_left == Some(1));
    let next = waits.or_else(|| kept.iter().find(|k| k.tries_left != Some(0)));
    Status {
        slot: running.map(|k| k.file.clone()),
        tries_left: running.and_then(|k| k.tries_left),
        staged: next.filter(|next| next.image != machine.image).and_then(|next| next.image.clone()),
        diskless: machine.diskless.map(|alpine| alpine.release),
        keeps_diskless: machine.keeps_diskless.then(|| KEPT_LOADER.to_owned()),
        host: machine.host,
        image: machine.image,
        commit: machine.commit,
        dirty: machine.dirty,
        uptime: machine.uptime,
        arch: machine.arch,
        layout,
        esp: machine.esp,
        free: machine.free,
        failure: Failure::read(&machine.failed),
        health: machine.health,
        images: kept,
    }
}

/// The images in the slots of a pair, the one that is started first.
fn in_pair(pair: &Pair, partition: Partition<'_>) -> Vec<Kept> {
    let slots = [pair.started, pair.target()].into_iter();
    let whole = slots.filter_map(|slot| {
        let image = pair.slot(slot).image.clone()?;
        let path = pair::path(slot, &image);
        let size = partition.file(&path).map_or(0, |file| file.size);
        Some(kept(&path, Some(image), size, pair.tries_left(slot)))
    });
    whole.collect()
}

fn kept(file: &str, image: Option<String>, size: u64, tries_left: Option<u32>) -> Kept {
    Kept { file: file.to_owned(), image, size, tries_left }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_read_as_far_as_the_machine_knows_it() {
        let text = "IMAGE=nas-2026112201\nSLOT=nas-2026112201+0-3.efi\nSECONDS=12\nREASON=Kernel panic - x\n\nREASON=y\n";
        let known = Failure {
            image: Some("nas-2026112201".to_owned()),
            seconds: Some(12),
            reason: "Kernel panic - x".to_owned(),
        };
        assert_eq!(Failure::read(text), Some(known));
        let unknown = Failure { reason: "z".to_owned(), ..Failure::default() };
        assert_eq!(Failure::read("IMAGE=\nSECONDS=\nREASON=z\n"), Some(unknown));
        assert_eq!(Failure::read("\nREASON=z\n"), None);
    }
}
