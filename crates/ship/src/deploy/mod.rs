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
mod assemble;
mod booted;
mod delta;
mod diskless;
mod diskless_system;
mod epoch;
pub mod error;
pub mod firmware;
mod images;
pub mod kexec;
pub mod logs;
mod machine;
mod place;
mod plan;
mod remote;
mod request;
mod signature;
mod ssh;
mod status;
mod wait;

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};

use again::while_names_change;
use assemble::{NewFile, assemble};
use hoopy_base::report::{Event, Observer};
use plan::plan_now;
use serde::Serialize;

pub use booted::error::BootedError;
pub use booted::{LocalPieces, MachineImages, booted};
pub use delta::Stretch;
pub use diskless_system::{Diskless, Obstacle};
pub use epoch::EarlierEpoch;
pub use error::DeployError;
pub use images::{NewImage, RemoteImage};
pub use machine::{Health, Machine, RemoteFile};
pub use place::{NewSlot, Partition, PreviousSystem, SlotFile, Step, Steps};
pub use plan::{DeployPlan, NewPiece, plan};
pub use request::{DisklessInstall, Request};
pub use ssh::{Call, Limits, Ssh, SshConfig, SshError};
pub use status::{Failure, Status, status};
pub use wait::{BootResult, reboot, reboot_into, wait};

/// Pieces in which an image is sent.
const CHUNK: usize = 64 << 10;

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
    match put_in_place(ssh, &planned.machine, steps, Starts::New(new, &planned.stretches), observer) {
        Err(DeployError::Digest { .. }) if delta::sent(&planned.stretches) < new.size => {
            let note = "an image on the machine differs from its list of contents: sending everything";
            observer.event(Event::Warning(note));
            let again = Steps { first: Vec::new(), ..steps.clone() };
            put_in_place(ssh, &planned.machine, &again, Starts::New(new, &delta::whole(new)), observer)
        }
        other => other,
    }
}

/// What a machine returns to.
#[derive(Debug, Clone)]
pub struct Return {
    /// The name of the image, or of the diskless Alpine Linux.
    pub name: String,
    /// What is done for it on the machine's partition.
    pub steps: Steps,
    /// Where the image is of an earlier epoch than the one that runs.
    pub earlier: Option<EarlierEpoch>,
}

/// Returns to the previous image, or to the diskless Alpine Linux that was there before any. What is started now stays
/// beside it.
///
/// # Errors
/// [`DeployError`].
pub fn rollback(
    ssh: &Ssh,
    esp: Option<&str>,
    to: PreviousSystem,
    dry_run: bool,
) -> Result<Return, DeployError> {
    while_names_change(|| rollback_now(ssh, esp, to, dry_run))
}

fn rollback_now(
    ssh: &Ssh,
    esp: Option<&str>,
    to: PreviousSystem,
    dry_run: bool,
) -> Result<Return, DeployError> {
    let machine = Machine::ask(ssh, esp)?;
    let arch = machine.known_arch().ok_or_else(|| DeployError::OtherArch {
        host: machine.host.clone(),
        found: machine.arch.clone(),
        wanted: "x86_64 or aarch64".to_owned(),
    })?;
    let images = images::look(ssh, &machine)?;
    let (steps, name) = place::back(&Partition { machine: &machine, arch, images: &images }, to)?;
    let earlier = epoch::of_previous(&machine, &images, &name);
    if !dry_run {
        put_in_place(ssh, &machine, &steps, Starts::Previous(&name), &hoopy_base::report::Silent)?;
    }
    Ok(Return { name, steps, earlier })
}

/// What the machine starts next.
#[derive(Clone, Copy)]
enum Starts<'a> {
    /// An image that is put together of these.
    New(&'a NewImage, &'a [Stretch]),
    /// An image of this name that it has.
    Previous(&'a str),
}

fn put_in_place(
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
    let said = assemble(ssh, machine, steps, &file, total, &mut feed)?;
    observer.event(Event::Bytes(0, 0));
    if let (Some(trouble), Some(new)) = (trouble, new) {
        return Err(DeployError::Image { path: new.path.clone(), source: io::Error::other(trouble) });
    }
    let host = ssh.host();
    remote::verdict(host, &said, || DeployError::Short(host.to_owned()))
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
