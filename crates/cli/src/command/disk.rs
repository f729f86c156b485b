//! `hoopy disk`.

use std::path::Path;

use hoopy_base::{destination, input, size};
use hoopy_boot::layout::Layout;
use hoopy_build::config::Overrides;
use hoopy_build::target::Target;
use hoopy_disk::fstab;
use hoopy_ship::disk::{self, Disk, DiskConfig};

use super::{restore, signing};
use crate::args::{self, DiskContent, Global};
use crate::error::{Context as _, Exit, Result};
use crate::output::{note, print, print_json};
use crate::progress::Progress;

pub fn run(global: &Global, own: &args::Disk) -> Result<Exit> {
    let target = super::target(&own.system.dir, global, Overrides::default())?;
    let config = config(&target, global, &own.content)?;
    let out = own.output.clone().unwrap_or_else(|| config.image.with_extension("img"));
    let disk = disk::write(&out, &config)?;
    // With `-o -`, standard output is the disk: everything else goes to standard error.
    let piped = destination::is_standard_output(&out);
    match (own.json, global.quiet) {
        _ if piped && global.quiet => {}
        (false, _) if piped => note(table(&disk).trim_end()),
        (true, _) if piped => note(serde_json::to_string(&disk).unwrap_or_default()),
        (true, _) => print_json(&disk)?,
        (false, true) => print(format!("{}\n", out.display()))?,
        (false, false) => print(format!("disk       {}\n", out.display()) + &table(&disk))?,
    }
    Ok(Exit::Success)
}

/// Collects what goes onto the disk of a system.
pub fn config(target: &Target, global: &Global, own: &DiskContent) -> Result<DiskConfig> {
    let system = &target.system;
    let image = super::image::newest(target, own.image.as_deref())?;
    signing::admit(system, &image, own.enroll)?;
    let table = fstab(&system.path("root/etc/fstab"))?;
    let persist = (own.no_persist || !own.persist.is_empty()).then_some(own.persist.as_slice());
    let lasting = disk::choose(&fstab::parse(&table), persist, system.esp.as_deref())?;
    let size = own.size.as_deref().map(size::parse).transpose().context("--size")?;
    let (loader, firmware) = match &target.lock.content {
        Some(lock) => {
            let (resources, progress) = (super::Resources::open(global)?, Progress::new(global.quiet));
            let context = resources.context(&progress);
            match system.layout {
                Layout::Single | Layout::Ab | Layout::Extlinux => {
                    (hoopy_build::road::loader(system, lock, context)?, Vec::new())
                }
                Layout::Pi => (None, hoopy_build::road::firmware(system, lock, context)?),
            }
        }
        None => (None, Vec::new()),
    };
    let keys = signing::key_lists(system)?;
    if own.enroll {
        signing::can_enroll(system, &keys)?;
    }
    let identity = super::owner::on_disk(system, &table, &lasting)?;
    let temp = super::temp();
    let restore = own.restore.as_ref().map(|file| restore::on_disk(system, &table, &lasting, file, &temp));
    Ok(DiskConfig {
        identity,
        restore: restore.transpose()?,
        arch: target.arch,
        name: target.image_name.clone(),
        layout: system.layout,
        menu: system.menu,
        image,
        loader: loader.map(|loader| signing::boot_loader(system, loader, own.enroll)).transpose()?,
        firmware,
        keys,
        enroll: own.enroll,
        lasting,
        size,
        programs: super::places().programs,
    })
}

fn fstab(path: &Path) -> Result<Vec<u8>> {
    match input::read(path, input::Kind::Text) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.context(format!("cannot read {}", path.display())),
    }
}

/// The contents of the disk, as lines for people.
pub fn table(disk: &Disk) -> String {
    let mut out = format!("size       {}\nstarts     {}\n", size::show(disk.size), disk.started);
    for part in &disk.partitions {
        out += &format!(
            "partition  {} {} {} {}\n",
            part.name,
            size::show(part.size),
            part.filesystem,
            part.spec
        );
    }
    out
}
