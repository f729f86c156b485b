//! Decides what a deploy does: asks the machine what it is and what it has, and refuses what is not for it.

use std::collections::HashSet;

use hoopy_boot::layout::Layout;
use hoopy_uki::manifest::Piece;
use serde::Serialize;

use super::again::while_names_change;
use super::delta::{self, Stretch};
use super::diskless;
use super::epoch::{self, EarlierEpoch};
use super::error::DeployError;
use super::images::{self, NewImage, RemoteImage};
use super::machine::Machine;
use super::place::{self, Partition, Steps, pair};
use super::remote::{self, nothing, script};
use super::request::Request;
use super::signature;
use super::ssh::{Call, Ssh};

const DIGEST: &str = "open_esp ro\nhas \"$FILE\"\nsha256sum \"$AT/$FILE\"\n";

/// What the machine says of a file has no more bytes.
const MAX_SAID: u64 = 64 << 10;

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
    /// Where it is of an earlier epoch than the image that runs.
    pub earlier: Option<EarlierEpoch>,
}

/// A piece that the machine lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewPiece {
    /// Where it comes from: `root/`. Of packages that share a piece, those that no image there names.
    pub origins: Vec<String>,
    /// In bytes.
    pub size: u64,
}

/// Asks the machine, and decides.
///
/// # Errors
/// [`DeployError`]: also where the image is not for this machine.
pub fn plan(ssh: &Ssh, request: &Request<'_>) -> Result<DeployPlan, DeployError> {
    while_names_change(|| plan_now(ssh, request))
}

/// [`plan`], once.
///
/// # Errors
/// [`DeployError`].
pub(super) fn plan_now(ssh: &Ssh, request: &Request<'_>) -> Result<DeployPlan, DeployError> {
    let new = request.image;
    let mut machine = Machine::ask(ssh, request.esp)?;
    check(&machine, request)?;
    let install = diskless::steps(&machine, request);
    if install.is_some() {
        machine.free = machine.free.saturating_sub(diskless::size(&machine, request));
    }
    signature::check(&machine, new)?;
    let images = images::look(ssh, &machine)?;
    let earlier = epoch::of_new(&machine, &images, new);
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
        let (stretches, news) = (Vec::new(), Vec::new());
        return Ok(DeployPlan { machine, file, steps: None, install, stretches, news, earlier });
    }
    let steps = place::place(&partition, request.layout, new, same)?;
    let stays = |image: &&RemoteImage| !steps.first.contains(&image.path);
    let there: Vec<&RemoteImage> = images.iter().filter(stays).collect();
    let stretches = if steps.part.is_some() { delta::between(new, &there) } else { Vec::new() };
    let news = news(new, &there, &stretches);
    let file = steps.becomes.clone();
    Ok(DeployPlan { machine, file, steps: Some(steps), install, stretches, news, earlier })
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
