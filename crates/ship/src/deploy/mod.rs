//! Sends an image to a running machine, over the user's own ssh, without the parts that the machine has already.
//!
//! ```text
//! Machine::ask ──▶ images::look ──▶ place + delta ──▶ ship ─────────────────────▶ back::wait
//! what is it,      what are the     where it goes,    remount, put together,      reboot, which image
//! where is its     images there     what to send      SHA-256 of the whole,       came up, is it well
//! partition        made of                            sync, rename, remount
//! ```
//!
//! The machine needs BusyBox and nothing of ours: scripts go there over standard input (`remote/`). The image that
//! runs is never touched, what a manifest says is never trusted, and a deploy that is interrupted at any point leaves
//! a partition that boots and can be run again.

mod again;
mod booted;
mod delta;
mod diskless;
mod diskless_system;
pub mod error;
pub mod firmware;
mod images;
pub mod kexec;
pub mod logs;
mod machine;
mod place;
mod remote;
mod signature;
mod ssh;
mod status;
mod wait;

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};

use again::while_names_change;
use hoopy_base::report::{Event, Observer};
use hoopy_boot::layout::Layout;
use hoopy_uki::manifest::Piece;
use place::pair;
use remote::{nothing, script};
use serde::Serialize;

pub use booted::error::BootedError;
pub use booted::{LocalPieces, MachineImages, booted};
pub use delta::Stretch;
pub use diskless::DisklessInstall;
pub use diskless_system::Diskless;
pub use error::DeployError;
pub use images::{NewImage, RemoteImage};
pub use machine::{Health, Machine, RemoteFile};
pub use place::{NewSlot, Partition, PreviousSystem, SlotFile, Step, Steps};
use ssh::Feed;
pub use ssh::{Call, Limits, Ssh, SshConfig, SshError};
pub use status::{Failure, Status, status};
pub use wait::{BootResult, reboot, reboot_into, wait};

const ASSEMBLE: &str = include_str!("remote/assemble.sh");
const PAIR: &str = include_str!("remote/pair.sh");
const DIGEST: &str = "open_esp ro\nhas \"$FILE\"\nsha256sum \"$AT/$FILE\"\n";

/// What the machine says while it works has no more bytes.
const MAX_SAID: u64 = 64 << 10;

/// A machine that says it has to copy more than this is not waited for any longer than for this.
const MAX_COPIED: u64 = 1 << 30;

/// Pieces in which an image is sent.
const CHUNK: usize = 64 << 10;

/// What to deploy, and how.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The image.
    pub image: &'a NewImage,
    /// How `hoopy.toml` wants images to lie.
    pub layout: Layout,
    /// Where the machine has its EFI system partition, if it is not to be looked for.
    pub esp: Option<&'a str>,
    /// Whether a machine that runs another system, or none of hoopy's, is all right.
    pub force: bool,
    /// For a machine that runs diskless Alpine Linux: what its medium gets beside the image.
    pub beside: Option<&'a DisklessInstall>,
}

/// What a deploy would do.
#[derive(Debug, Clone)]
pub struct DeployPlan {
    /// The machine.
    pub machine: Machine,
    /// What the image is called on its partition once it is in its place.
    pub file: String,
    /// What is done on its partition; none where the very image is in its place already.
    pub steps: Option<Steps>,
    /// What puts our boot loader beside that of diskless Alpine Linux, afterwards.
    pub install: Option<Steps>,
    /// The new image, by where it comes from.
    pub stretches: Vec<Stretch>,
    /// What is sent of it.
    pub news: Vec<NewPiece>,
}

/// A piece that the machine lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewPiece {
    /// Where it comes from: `root/`. Of packages that share a piece, those that no image there names.
    pub origins: Vec<String>,
    /// In bytes.
    pub size: u64,
}

/// What a deploy did.
#[derive(Debug, Clone, Serialize)]
pub struct Deployed {
    /// The image.
    pub image: String,
    /// Its file on the partition.
    pub file: String,
    /// What it has in bytes.
    pub size: u64,
    /// What was sent over ssh, scripts and all, in bytes.
    pub sent: u64,
    /// Whether it was there before.
    pub unchanged: bool,
}

/// Asks the machine, and decides.
///
/// # Errors
/// [`DeployError`]: also where the image is not for this machine.
pub fn plan(ssh: &Ssh, request: &Request<'_>) -> Result<DeployPlan, DeployError> {
    while_names_change(|| plan_now(ssh, request))
}

fn plan_now(ssh: &Ssh, request: &Request<'_>) -> Result<DeployPlan, DeployError> {
    let new = request.image;
    let mut machine = Machine::ask(ssh, request.esp)?;
    check(&machine, request)?;
    let install = diskless::steps(&machine, request);
    if install.is_some() {
        machine.free = machine.free.saturating_sub(diskless::size(&machine, request));
    }
    signature::check(&machine, new)?;
    let images = images::look(ssh, &machine)?;
    let partition = Partition { machine: &machine, arch: new.arch, images: &images };
    let namesake = place::namesake(&partition, request.layout, new).filter(|file| file.size == new.size);
    let same = namesake.map(|file| digest(ssh, &machine, &file.path, file.size)).transpose()?;
    let same = same.is_some_and(|digest| digest == new.sha256.to_string());
    let in_place = match (request.layout, namesake) {
        (Layout::Single, _) => same,
        (Layout::Ab, Some(file)) => {
            same && partition.slots().iter().any(|s| s.file == file && !s.slot.is_bad())
        }
        (Layout::Ab, None) => false,
        (Layout::Pi | Layout::Extlinux, _) => {
            same && machine.pair.as_ref().is_some_and(|pair| pair::is_in_place(pair, &new.name))
        }
    };
    if in_place {
        let file = namesake.map(|file| file.path.clone()).unwrap_or_default();
        let done =
            DeployPlan { machine, file, steps: None, install, stretches: Vec::new(), news: Vec::new() };
        return Ok(done);
    }
    let steps = place::place(&partition, request.layout, new, same)?;
    let stays = |image: &&RemoteImage| !steps.first.contains(&image.path);
    let there: Vec<&RemoteImage> = images.iter().filter(stays).collect();
    let stretches = if steps.part.is_some() { delta::between(new, &there) } else { Vec::new() };
    let news = news(new, &there, &stretches);
    Ok(DeployPlan { file: steps.becomes.clone(), steps: Some(steps), install, stretches, news, machine })
}

fn check(machine: &Machine, request: &Request<'_>) -> Result<(), DeployError> {
    let (new, host) = (request.image, || machine.host.clone());
    if machine.known_arch() != Some(new.arch) {
        let (found, wanted) = (machine.arch.clone(), new.arch.as_str().to_owned());
        return Err(DeployError::OtherArch { host: host(), found, wanted });
    }
    if let Some(diskless) = &machine.diskless {
        return diskless::check(machine, diskless, request);
    }
    if request.beside.is_some() && !machine.keeps_diskless {
        return Err(DeployError::NotDiskless { host: host() });
    }
    let Some(runs) = machine.image.as_deref().filter(|_| !request.force) else {
        return if request.force { Ok(()) } else { Err(DeployError::NotHoopy { host: host() }) };
    };
    let system = runs.rsplit_once('-').map_or(runs, |(system, _)| system);
    if system != new.system {
        let (found, wanted) = (runs.to_owned(), new.system.clone());
        return Err(DeployError::OtherSystem { host: host(), found, wanted });
    }
    Ok(())
}

fn news(new: &NewImage, there: &[&RemoteImage], stretches: &[Stretch]) -> Vec<NewPiece> {
    let known: HashSet<&String> =
        there.iter().flat_map(|image| &image.pieces).flat_map(|piece| &piece.origins).collect();
    let is_sent =
        |offset: u64| stretches.iter().any(|s| matches!(s, Stretch::Send(range) if range.contains(&offset)));
    let sent = new.pieces.iter().filter(|piece| piece.size > 0 && is_sent(piece.offset));
    let news = |piece: &Piece| {
        let mut origins = piece.origins.clone();
        if origins.iter().any(|origin| !known.contains(origin)) {
            origins.retain(|origin| !known.contains(origin));
        }
        NewPiece { origins, size: piece.size }
    };
    sent.map(news).collect()
}

fn digest(ssh: &Ssh, machine: &Machine, file: &str, size: u64) -> Result<String, DeployError> {
    let script = script(&[("GIVEN", ""), ("ESP", &machine.esp), ("FILE", file)], DIGEST);
    let patience = ssh.limits().medium(size);
    let call = Call { script: &script, limit: MAX_SAID, patience, until: None };
    let said = String::from_utf8_lossy(&ssh.run(&call, &mut nothing)?).into_owned();
    if let Some(refusal) = remote::refusal(ssh.host(), &said) {
        return Err(refusal);
    }
    Ok(said.split_whitespace().next().unwrap_or_default().to_owned())
}

/// Does what was planned, or what is to be planned now where names on the partition changed meanwhile. Where the file
/// that the machine puts together is not the image, since an image there is not what it says, all of it is sent.
///
/// # Errors
/// [`DeployError`]; the machine starts then what it would have started before.
pub fn ship(
    ssh: &Ssh,
    request: &Request<'_>,
    planned: &DeployPlan,
    observer: &dyn Observer,
) -> Result<Deployed, DeployError> {
    match ship_now(ssh, request, planned, observer) {
        Err(DeployError::Gone { .. }) => {
            while_names_change(|| ship_now(ssh, request, &plan_now(ssh, request)?, observer))
        }
        other => other,
    }
}

fn ship_now(
    ssh: &Ssh,
    request: &Request<'_>,
    planned: &DeployPlan,
    observer: &dyn Observer,
) -> Result<Deployed, DeployError> {
    let new = request.image;
    if let Some(steps) = &planned.steps {
        ship_image(ssh, new, planned, steps, observer)?;
    }
    if let (Some(steps), Some(install)) = (&planned.install, request.beside) {
        diskless::install(ssh, &planned.machine, steps, &install.loader, observer)?;
    }
    Ok(Deployed {
        image: new.name.clone(),
        file: planned.file.clone(),
        size: new.size,
        sent: ssh.sent(),
        unchanged: planned.steps.is_none() && planned.install.is_none(),
    })
}

fn ship_image(
    ssh: &Ssh,
    new: &NewImage,
    planned: &DeployPlan,
    steps: &Steps,
    observer: &dyn Observer,
) -> Result<(), DeployError> {
    match assemble(ssh, &planned.machine, steps, Starts::New(new, &planned.stretches), observer) {
        Err(DeployError::Digest { .. }) if delta::sent(&planned.stretches) < new.size => {
            let note = "an image on the machine differs from its list of contents: sending everything";
            observer.event(Event::Warning(note));
            let again = Steps { first: Vec::new(), ..steps.clone() };
            assemble(ssh, &planned.machine, &again, Starts::New(new, &delta::whole(new)), observer)
        }
        other => other,
    }
}

/// Returns to the previous image, or to the diskless Alpine Linux that was there before any; gives its name. What is
/// started now stays beside it.
///
/// # Errors
/// [`DeployError`].
pub fn rollback(
    ssh: &Ssh,
    esp: Option<&str>,
    to: PreviousSystem,
    dry_run: bool,
) -> Result<(Steps, String), DeployError> {
    while_names_change(|| rollback_now(ssh, esp, to, dry_run))
}

fn rollback_now(
    ssh: &Ssh,
    esp: Option<&str>,
    to: PreviousSystem,
    dry_run: bool,
) -> Result<(Steps, String), DeployError> {
    let machine = Machine::ask(ssh, esp)?;
    let arch = machine.known_arch().ok_or_else(|| DeployError::OtherArch {
        host: machine.host.clone(),
        found: machine.arch.clone(),
        wanted: "x86_64 or aarch64".to_owned(),
    })?;
    let images = images::look(ssh, &machine)?;
    let (steps, name) = place::back(&Partition { machine: &machine, arch, images: &images }, to)?;
    if !dry_run {
        assemble(ssh, &machine, &steps, Starts::Previous(&name), &hoopy_base::report::Silent)?;
    }
    Ok((steps, name))
}

/// What the machine starts next.
#[derive(Clone, Copy)]
enum Starts<'a> {
    /// An image that is put together of these.
    New(&'a NewImage, &'a [Stretch]),
    /// An image of this name that it has.
    Previous(&'a str),
}

fn assemble(
    ssh: &Ssh,
    machine: &Machine,
    steps: &Steps,
    starts: Starts<'_>,
    observer: &dyn Observer,
) -> Result<(), DeployError> {
    let (new, stretches, name) = match starts {
        // In a pair it waits until the loader is told of it.
        Starts::New(new, stretches) if machine.pair.is_some() => (Some(new), stretches, ""),
        Starts::New(new, stretches) => (Some(new), stretches, new.name.as_str()),
        Starts::Previous(name) => (None, &[][..], name),
    };
    let total = delta::sent(stretches);
    let (size, sha256) = new.map_or((0, String::new()), |new| (new.size, new.sha256.to_string()));
    let file = NewFile { size, sha256, plan: delta::lines(stretches), starts: name.to_owned() };
    let mut trouble = None;
    let mut feed = |out: &mut dyn Write| {
        let fed = new.map_or(Ok(()), |new| feed(new, stretches, total, out, observer));
        // A pipe that is closed is told by what the machine says.
        trouble =
            fed.as_ref().err().filter(|e| e.kind() != io::ErrorKind::BrokenPipe).map(io::Error::to_string);
        fed
    };
    let said = run_assembly(ssh, machine, steps, &file, total, &mut feed)?;
    observer.event(Event::Bytes(0, 0));
    if let (Some(trouble), Some(new)) = (trouble, new) {
        return Err(DeployError::Image { path: new.path.clone(), source: io::Error::other(trouble) });
    }
    let host = ssh.host();
    remote::verdict(host, &said, || DeployError::Short(host.to_owned()))
}

/// A file that is put together on the machine; empty where there is none.
#[derive(Default)]
struct NewFile {
    /// In bytes.
    size: u64,
    /// Of all of it.
    sha256: String,
    /// Where its pieces come from, as `assemble.sh` wants it.
    plan: String,
    /// The image that the machine starts next; empty where that stays as it is.
    starts: String,
}

/// Has the machine put a file together, of which `feed` sends so many bytes, and change names; what it says.
fn run_assembly(
    ssh: &Ssh,
    machine: &Machine,
    steps: &Steps,
    file: &NewFile,
    sent: u64,
    feed: &mut Feed<'_>,
) -> Result<String, DeployError> {
    let variables = [
        ("GIVEN", ""),
        ("ESP", machine.esp.as_str()),
        ("PLAN", file.plan.as_str()),
        ("SENT", &sent.to_string()),
        ("PART", steps.part.as_deref().unwrap_or_default()),
        ("SIZE", &file.size.to_string()),
        ("SHA256", &file.sha256),
        ("SLOT", steps.slot.as_ref().map_or("", |new| new.slot.directory())),
        ("PARTS", steps.slot.as_ref().map_or("", |new| new.parts.as_str())),
        ("FIRST", &steps.first.join("\n")),
        ("STEPS", &steps.lines()),
        ("STARTS", &file.starts),
    ];
    let script = match machine.pair {
        Some(_) => remote::pair_script(&variables, &remote::without_comments(&format!("{PAIR}{ASSEMBLE}"))),
        None => script(&variables, &remote::without_comments(ASSEMBLE)),
    };
    // Written, read back and digested; the one before is copied and compared.
    // What the machine says of its files is not to be trusted.
    let copied = machine.files.iter().map(|file| file.size).max().unwrap_or(0).min(MAX_COPIED);
    let patience = ssh.limits().medium(3 * (file.size + copied));
    let call = Call { script: &script, limit: MAX_SAID, patience, until: None };
    let said = ssh.run(&call, feed)?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// Writes what is sent, in order.
fn feed(
    new: &NewImage,
    stretches: &[Stretch],
    total: u64,
    out: &mut dyn Write,
    observer: &dyn Observer,
) -> io::Result<()> {
    let mut file = File::open(&new.path)?;
    let mut chunk = vec![0; CHUNK];
    let mut done = 0;
    for stretch in stretches {
        let Stretch::Send(range) = stretch else { continue };
        file.seek(SeekFrom::Start(range.start))?;
        let mut left = range.end - range.start;
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let part = chunk.get_mut(..want).unwrap_or_default();
            file.read_exact(part)?;
            out.write_all(part)?;
            left -= want as u64;
            done += want as u64;
            observer.event(Event::Bytes(done, total));
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use hoopy_base::arch::Arch;
    use hoopy_base::digest::ContentId;
    use hoopy_boot::os_release::OsRelease;

    use super::*;

    #[test]
    fn of_packages_that_share_a_segment_the_new_ones_are_told() {
        let piece = |offset, size, origins: &[&str]| Piece {
            offset,
            size,
            sha256: ContentId::from_bytes([0; 32]),
            section: ".initrd".to_owned(),
            origins: origins.iter().map(|&origin| origin.to_owned()).collect(),
        };
        let image = |pieces| RemoteImage {
            path: String::new(),
            size: 0,
            is_image: true,
            name: None,
            os_release: OsRelease::default(),
            pieces,
        };
        let pieces =
            vec![piece(0, 10, &["a-1", "b-2", "c-1"]), piece(10, 5, &["root/"]), piece(15, 5, &["d-1"])];
        let new = NewImage {
            path: "new".into(),
            size: 20,
            sha256: ContentId::from_bytes([0; 32]),
            name: "nas-2".to_owned(),
            system: "nas".to_owned(),
            version: "2".to_owned(),
            os_release: OsRelease::default(),
            arch: Arch::X86_64,
            pieces,
        };
        let there = image(vec![piece(0, 9, &["a-1", "b-1", "c-1"]), piece(9, 4, &["root/"])]);
        let told = news(&new, &[&there], &[Stretch::Send(0..15)]);
        let told: Vec<_> = told.iter().map(|n| (n.origins.join(" "), n.size)).collect();
        assert_eq!(told, [("b-2".to_owned(), 10), ("root/".to_owned(), 5)]);
    }
}
