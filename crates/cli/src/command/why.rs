//! `hoopy why`.

use std::process::ExitCode;

use hoopy_base::size;
use hoopy_build::config::Overrides;
use hoopy_build::query::{self, Chain, Found, Step};
use hoopy_lock::Role;

use crate::args::{About, Global};
use crate::ui::{Teller, put, put_json};

pub fn run(global: &Global, own: &About) -> anyhow::Result<ExitCode> {
    let target = super::target(&own.system.dir, global, Overrides::default())?;
    let resources = super::Resources::open(global)?;
    let found = query::why(&target, &own.package, resources.context(&Teller::new(global.quiet || own.json)))?;
    if own.json {
        put_json(&found)?;
        return Ok(ExitCode::SUCCESS);
    }
    put(&found.iter().map(text).collect::<Vec<_>>().join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn text(found: &Found) -> String {
    let size = size::show(found.installed_size);
    let mut out = format!("{} {} ({size}, from {})\n", found.name, found.version, found.repository);
    match (found.role, found.chains.as_slice()) {
        (Role::Stub, _) => out += "hoopy itself takes it: the image begins with its EFI stub\n",
        (Role::Loader, _) => {
            out += "hoopy itself takes it: layout = \"ab\" starts images with its boot loader\n"
        }
        (Role::Root, []) => out += "no line of `packages` brings it any more\n",
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
        all => format!("{name} (by itself, with {})", all.join(" ")),
    }
}
