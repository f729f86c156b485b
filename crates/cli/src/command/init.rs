//! `hoopy init`.

use std::path::PathBuf;

use hoopy_base::arch::Arch;
use hoopy_base::input::{self, Kind};
use hoopy_build::init::{Hardware, Wanted};
use hoopy_build::target::TargetError;

use crate::args::{self, Global, Init};
use crate::error::{Context as _, Exit, Result};
use crate::output::{note, print};

pub fn run(global: &Global, own: &Init) -> Result<Exit> {
    let keys = own
        .key
        .as_deref()
        .map(|file| input::read_text(file, Kind::Text).context(format!("cannot read {}", file.display())));
    let keys = keys.transpose()?;
    let hardware = match own.hardware {
        args::Hardware::Vm => Hardware::Vm,
        args::Hardware::Metal => Hardware::Metal,
        args::Hardware::Pi => Hardware::Pi,
    };
    let arch = global.arch.or(hardware.arch()).or_else(Arch::host).ok_or(TargetError::NoArch)?;
    let wanted = Wanted { arch, template: &own.template, hardware, keys: keys.as_deref() };
    let written = hoopy_build::init::init(&own.dir, &wanted)?;
    let is_of_keys = |file: &&PathBuf| file.ancestors().any(|dir| dir.ends_with("authorized_keys"));
    let of_keys: Vec<String> =
        written.files.iter().filter(is_of_keys).map(|f| f.display().to_string()).collect();
    for file in written.files {
        print(format!("{}\n", file.display()))?;
    }
    // With --quiet, too: it cannot be had again
    note(format!("root's password at the console: {} (only its hash is in setup.sh)", written.password));
    if keys.is_none() && !of_keys.is_empty() {
        note(format!("no access over ssh yet: put your public key into {}", of_keys.join(" and ")));
    }
    if !global.quiet {
        let dir = own.dir.display().to_string();
        let is_plain = |c: char| c.is_alphanumeric() || "._-/+".contains(c);
        let dir = if dir.chars().all(is_plain) { dir } else { hoopy_base::shell::quoted(&dir) };
        note(match hardware {
            _ if !arch.has_uki() => format!("next: hoopy build {dir} --output kernel+initramfs"),
            Hardware::Vm => format!("next: hoopy build {dir} && hoopy run {dir}"),
            Hardware::Metal => format!("next: hoopy build {dir} && hoopy -C {dir} flash /dev/STICK"),
            Hardware::Pi => format!("next: hoopy build {dir} && hoopy -C {dir} flash /dev/CARD"),
        });
    }
    Ok(Exit::Success)
}
