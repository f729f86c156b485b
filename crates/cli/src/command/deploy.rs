//! `hoopy deploy`.

use std::time::Duration;

use hoopy_base::size;
use hoopy_boot::diskless;
use hoopy_boot::layout::Layout;
use hoopy_boot::secrets::Open;
use hoopy_build::config::Overrides;
use hoopy_build::target::Target;
use hoopy_ship::deploy::{
    self, BootResult, DeployPlan, Deployed, DisklessInstall, NewImage, Request, Ssh, Steps, kexec,
};
use hoopy_uki::manifest;
use serde::Serialize;

use super::image::{self, ImageRequest};
use super::{host, loader, signing, steps};
use crate::args::{Deploy, Global};
use crate::error::{CommandError, Exit, Result};
use crate::output::{note, print, print_json};
use crate::progress::Progress;

/// How many new pieces are named.
const NAMED: usize = 8;

/// What `--json` prints.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    shipped: &'a Deployed,
    came: Option<&'a BootResult>,
}

pub fn run(global: &Global, own: &Deploy) -> Result<Exit> {
    let target = super::target(super::HERE.as_ref(), global, Overrides::default())?;
    let system = &target.system;
    if own.kexec && system.secrets.open == Some(Open::Tpm) {
        let why = "--kexec: with open = \"tpm\" the machine would come up locked, since PCR 11 keeps what the running image left";
        return Err(CommandError::system(why).hint("start the new image through the firmware: --reboot"));
    }
    let host = own.host.host.clone().or_else(|| system.host.clone()).ok_or_else(host::unnamed)?;
    let progress = Progress::sending(global.quiet || own.json);
    let path = match &own.image {
        Some(path) => path.clone(),
        None => {
            let (scripts, version) = (own.scripts, own.image_version.clone());
            let request = ImageRequest { scripts, locked: own.locked, version };
            image::current(global, &target, request, &Progress::new(global.quiet || own.json))?
        }
    };
    signing::admit(system, &path, false)?;
    let image = NewImage::read(&path)?;
    let esp = own.host.esp.as_deref().or(system.esp.as_deref());
    let beside = own.from_diskless.then(|| beside(global, &target)).transpose()?;
    let (layout, force) = (system.layout, own.force);
    let request = Request { image: &image, layout, esp, force, beside: beside.as_ref() };
    let ssh = Ssh::connect(&host, &super::ssh())?;
    let planned = deploy::plan(&ssh, &request)?;
    let say = |text: String| if global.quiet || own.json { Ok(()) } else { print(text) };
    if own.kexec {
        kexec::able(&ssh, &planned.machine, &image)?;
    }
    say(plan(&planned, &image))?;
    if let Some(earlier) = &planned.earlier {
        note(format!("warning: {earlier}"));
    }
    if own.dry_run {
        return Ok(Exit::Success);
    }
    let shipped = deploy::ship(&ssh, &request, &planned, &progress)?;
    say(summary(&shipped, &planned, next(own, system.layout)))?;
    let runs = planned.machine.image.as_deref() == Some(image.name.as_str());
    let came = if (own.reboot || own.kexec) && !(shipped.unchanged && runs) {
        let came = start(own, ssh, &planned, &image, esp)?;
        say(steps::came_back(&host, &came))?;
        if own.kexec && system.layout == Layout::Ab {
            say("the next reboot, through the firmware, decides whether it is kept\n".to_owned())?;
        }
        Some(came)
    } else {
        None
    };
    if own.json {
        print_json(&Answer { shipped: &shipped, came: came.as_ref() })?;
    }
    Ok(Exit::Success)
}

/// The boot loader for the medium of diskless Alpine Linux.
fn beside(global: &Global, target: &Target) -> Result<DisklessInstall> {
    let system = &target.system;
    let loader = loader::locked(global, target)?;
    let none = || {
        let found = format!(
            "--from-diskless needs systemd-boot, which hoopy.lock has for `layout = \"ab\"`: found \"{}\"",
            system.layout
        );
        CommandError::system(found).hint("set `layout = \"ab\"` in hoopy.toml, and run `hoopy update`")
    };
    let loader = signing::boot_loader(system, loader.ok_or_else(none)?, false)?;
    Ok(DisklessInstall { loader, menu: system.menu })
}

/// Starts the image on the machine, and waits for it.
fn start(
    own: &Deploy,
    ssh: Ssh,
    planned: &DeployPlan,
    image: &NewImage,
    esp: Option<&str>,
) -> Result<BootResult> {
    if own.kexec {
        kexec::start(&ssh, &planned.machine, image, &planned.file)?;
    } else {
        deploy::reboot_into(&ssh, &planned.machine, &image.name)?;
    }
    drop(ssh);
    let within = Duration::from_secs(own.wait.within);
    Ok(deploy::wait(&planned.machine, &image.name, esp, &super::ssh(), within)?)
}

/// What will be done.
fn plan(planned: &DeployPlan, image: &NewImage) -> String {
    let machine = &planned.machine;
    let other = match &machine.diskless {
        Some(alpine) => format!("{} {}", diskless::NAME, alpine.release),
        None => "an unknown image".to_owned(),
    };
    let runs = machine.image.as_ref().unwrap_or(&other);
    let mut text = format!("machine   {}: runs {runs}, partition {}\n", machine.host, machine.esp);
    let installs = planned.install.as_ref().map(|changes| installs(planned, changes)).unwrap_or_default();
    let Some(changes) = &planned.steps else { return text + &installs };
    let news: u64 = planned.news.iter().map(|n| n.size).sum();
    let mut named: Vec<_> = planned.news.iter().filter(|n| n.origins != ["hoopy"]).collect();
    named.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.origins.cmp(&b.origins)));
    let more = named.len().saturating_sub(NAMED);
    let list: Vec<String> = named
        .iter()
        .take(NAMED)
        .map(|n| format!("{} {}", manifest::in_short(&n.origins), size::show(n.size)))
        .collect();
    text += &format!("image     {} ({})\n", image.name, size::show(image.size));
    if changes.part.is_some() {
        let (list, more) = (list.join(", "), if more > 0 { format!(", {more} more") } else { String::new() });
        text += &format!("new       {}: {list}{more}\n", size::show(news));
    }
    text + &steps::list(changes) + &installs
}

/// What becomes of the boot loader of diskless Alpine Linux, and what stays.
fn installs(planned: &DeployPlan, changes: &Steps) -> String {
    let Some(alpine) = &planned.machine.diskless else { return String::new() };
    let stays: Vec<&str> = alpine.kernels.iter().chain(&alpine.overlays).map(String::as_str).collect();
    let stays = if stays.is_empty() { "all its files".to_owned() } else { stays.join(", ") };
    format!(
        "loader    systemd-boot becomes {}; Alpine's is kept as {}\n{}stays     {stays}, apks/: Alpine is in the boot \
         menu, and starts where the image fails\n",
        changes.becomes,
        diskless::KEPT_LOADER,
        steps::list(changes)
    )
}

/// When the image starts.
fn next(own: &Deploy, layout: Layout) -> &'static str {
    match (own.reboot, own.kexec) {
        (true, _) => "rebooting",
        (_, true) => "starting it with kexec",
        // The loader has to be told: any other reboot starts what it started before.
        _ if layout.has_pair() => "waits for `hoopy deploy --reboot`",
        _ => "starts with the next boot",
    }
}

fn summary(shipped: &Deployed, planned: &DeployPlan, next: &str) -> String {
    if shipped.unchanged {
        let runs = planned.machine.image.as_ref() == Some(&shipped.image);
        let how = if runs { "runs already".to_owned() } else { format!("is in place already: {next}") };
        return format!("{} {how}\n", shipped.image);
    }
    let percent = shipped.sent as f64 * 100.0 / shipped.size.max(1) as f64;
    let (sent, whole) = (size::show(shipped.sent), size::show(shipped.size));
    format!("sent      {sent} of {whole} ({percent:.1}%)\n{} is {}: {next}\n", shipped.file, shipped.image)
}
