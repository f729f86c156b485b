//! `hoopy why`.

use hoopy_base::size;
use hoopy_build::config::Overrides;
use hoopy_build::query::{self, Chain, Found, Step};
use hoopy_lock::Role;

use crate::args::{About, Global};
use crate::error::{Exit, Result};
use crate::output::{print, print_json};
use crate::progress::Progress;

pub fn run(global: &Global, own: &About) -> Result<Exit> {
    let target = super::target(super::HERE.as_ref(), global, Overrides::default())?;
    let resources = super::Resources::open(global)?;
    let progress = Progress::new(global.quiet || own.json);
    let found = query::why(&target, &own.package, resources.context(&progress))?;
    if own.json {
        print_json(&found)?;
        return Ok(Exit::Success);
    }
    print(found.iter().map(text).collect::<Vec<_>>().join("\n"))?;
    Ok(Exit::Success)
}

fn text(found: &Found) -> String {
    let size = size::show(found.installed_size);
    let mut out = format!("{} {} ({size}, from {})\n", found.name, found.version, found.repository);
    match (found.role, found.chains.as_slice()) {
        (Role::Stub, _) => out += "hoopy itself uses it: the image begins with its EFI stub\n",
        (Role::Loader, _) if found.name.starts_with("raspberrypi") => {
            out += "hoopy itself uses it: with layout = \"pi\", its files lie on the card\n"
        }
        (Role::Loader, _) => {
            out += "hoopy itself uses it: with layout = \"ab\", its boot loader starts the image\n"
        }
        (Role::Root, []) => out += "no longer needed by a line of `packages`\n",
        (Role::Root, chains) => chains.iter().for_each(|chain| out += &line(chain)),
    }
    out
}

/// `nas/packages:2: dropbear > libcrypto3 (so:libcrypto.so.3)`.
fn line(chain: &Chain) -> String {
    let place = chain.line.map_or(String::new(), |line| format!(":{line}"));
    let steps: Vec<String> = chain.steps.iter().enumerate().map(|(n, s)| step(n == 0, s)).collect();
    format!("{}{place}: {}\n", chain.file, steps.join(" > "))
}

/// A package, and how it is called by what brings it where that is by another name.
fn step(first: bool, step: &Step) -> String {
    let Step { name, dependency, install_if, .. } = step;
    let end = dependency.find(['=', '<', '>', '~', '@']).unwrap_or(dependency.len());
    match install_if.as_slice() {
        [] if first && dependency != name => format!("{name} ({dependency})"),
        [] if dependency.get(..end) == Some(name) => name.clone(),
        [] => format!("{name} ({dependency})"),
        all => format!("{name} (installed automatically with {})", all.join(" ")),
    }
}
