//! `hoopy deploy`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use hoopy_base::size;
use hoopy_boot::layout::Layout;
use hoopy_build::config::Overrides;
use hoopy_ship::deploy::{
    self, BootResult, DeployPlan, Deployed, NewImage, Request, Ssh, Step, Steps, kexec,
};
use hoopy_uki::manifest;
use serde::Serialize;

use super::build::{self, ImageRequest};
use crate::args::{Deploy, Global};
use crate::ui::{Teller, put, put_json};

/// So many new pieces are named.
const NAMED: usize = 8;

/// What `--json` prints.
#[derive(Serialize)]
struct Result<'a> {
    #[serde(flatten)]
    shipped: &'a Deployed,
    came: Option<&'a BootResult>,
}

pub fn run(global: &Global, own: &Deploy) -> anyhow::Result<ExitCode> {
    let target = super::target(&own.system.dir, global, Overrides::default())?;
    let system = &target.system;
    let host = own.host.clone().or_else(|| system.host.clone()).with_context(|| {
        let dir = own.system.dir.display();
        format!("to which machine? Name it: hoopy deploy {dir} root@nas; or set `deploy.host` in hoopy.toml")
    })?;
    let teller = Teller::sending(global.quiet || own.json);
    let path = match &own.image {
        Some(path) => path.clone(),
        None => {
            let (scripts, version) = (own.scripts, own.image_version.clone());
            let asked = ImageRequest { scripts, locked: own.locked, version };
            build::image(global, &target, asked, &Teller::new(global.quiet || own.json))?
        }
    };
    let image = NewImage::read(&path)?;
    let esp = own.far.esp.as_deref().or(system.esp.as_deref());
    let request = Request { image: &image, layout: system.layout, esp, anyway: own.anyway };
    let ssh = Ssh::connect(&host, &super::ssh())?;
    let planned = deploy::plan(&ssh, &request)?;
    let say = |text: String| if global.quiet || own.json { Ok(()) } else { put(&text) };
    if own.kexec {
        kexec::able(&ssh, &image)?;
    }
    say(will(&planned, &image))?;
    if own.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    let shipped = deploy::ship(&ssh, &request, &planned, &teller)?;
    say(done(&shipped, &planned, next(own)))?;
    let runs = planned.machine.image.as_deref() == Some(image.name.as_str());
    let came = if (own.reboot || own.kexec) && !(shipped.unchanged && runs) {
        let came = start(own, ssh, &planned, &image, esp)?;
        say(back(&host, &came))?;
        if own.kexec && system.layout == Layout::Ab {
            say("it stays on trial until the firmware has started it, with the next reboot\n".to_owned())?;
        }
        Some(came)
    } else {
        None
    };
    if own.json {
        put_json(&Result { shipped: &shipped, came: came.as_ref() })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Lets the machine start the image, and waits for it.
fn start(
    own: &Deploy,
    ssh: Ssh,
    planned: &DeployPlan,
    image: &NewImage,
    esp: Option<&str>,
) -> anyhow::Result<BootResult> {
    if own.kexec {
        kexec::start(&ssh, &planned.machine, image, &planned.file)?;
    } else {
        deploy::reboot(&ssh)?;
    }
    drop(ssh);
    let within = Duration::from_secs(own.far.within);
    Ok(deploy::wait(&planned.machine, &image.name, esp, &super::ssh(), within)?)
}

/// What is going to happen, before it does.
fn will(planned: &DeployPlan, image: &NewImage) -> String {
    let machine = &planned.machine;
    let runs = machine.image.as_deref().unwrap_or("no image of hoopy's");
    let mut text = format!("machine   {}: runs {runs}, partition {}\n", machine.host, machine.esp);
    let Some(steps) = &planned.steps else { return text };
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
    if steps.part.is_some() {
        let (list, more) = (list.join(", "), if more > 0 { format!(", {more} more") } else { String::new() });
        text += &format!("new       {}: {list}{more}\n", size::show(news));
    }
    text + &told(steps)
}

/// The changes on the partition, a line each.
pub fn told(steps: &Steps) -> String {
    let first = steps.first.iter().map(|file| format!("remove    {file}\n"));
    let then = steps.then.iter().map(|step| match step {
        Step::Copy(from, to) => format!("copy      {from} to {to}\n"),
        Step::Move(from, to) => format!("rename    {from} to {to}\n"),
        Step::Remove(file) => format!("remove    {file}\n"),
    });
    first.chain(then).collect()
}

/// When the image starts.
fn next(own: &Deploy) -> &'static str {
    match (own.reboot, own.kexec) {
        (true, _) => "rebooting",
        (_, true) => "going over to its kernel",
        _ => "starts with the next boot",
    }
}

fn done(shipped: &Deployed, planned: &DeployPlan, next: &str) -> String {
    if shipped.unchanged {
        let runs = planned.machine.image.as_ref() == Some(&shipped.image);
        let how = if runs { "runs already".to_owned() } else { format!("is in place already: {next}") };
        return format!("{} {how}\n", shipped.image);
    }
    let percent = shipped.sent as f64 * 100.0 / shipped.size.max(1) as f64;
    let (sent, whole) = (size::show(shipped.sent), size::show(shipped.size));
    format!("sent      {sent} of {whole} ({percent:.1}%)\n{} is {}: {next}\n", shipped.file, shipped.image)
}

/// What came up.
pub fn back(host: &str, came: &BootResult) -> String {
    let how = if came.checked { ", and is well" } else { "" };
    format!("{host} runs {}{how}, after {} s\n", came.image, came.seconds)
}
