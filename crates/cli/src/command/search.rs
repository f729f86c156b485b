//! `hoopy search`.

use std::process::ExitCode;

use hoopy_build::config::Overrides;
use hoopy_build::query::{self, Hit};

use crate::args::{Global, Search};
use crate::error::FAILED;
use crate::ui::{Teller, put, put_json};

pub fn run(global: &Global, own: &Search) -> anyhow::Result<ExitCode> {
    let target = super::target(&own.system.dir, global, Overrides::default())?;
    let resources = super::Resources::open(global)?;
    let shop = super::shop(&target, resources.context(&Teller::new(global.quiet)))?;
    let hits = query::search(&shop.shelves, &own.pattern, shop.lock.as_ref());
    if own.json {
        put_json(&hits)?;
    } else {
        put(&hits.iter().map(line).collect::<String>())?;
    }
    if hits.is_empty() {
        eprintln!("no package fits {:?}", own.pattern);
        return Ok(ExitCode::from(FAILED));
    }
    Ok(ExitCode::SUCCESS)
}

/// `dropbear 2025.88-r0 (community, locked): small SSH server [cmd:dropbear]`.
fn line(hit: &Hit) -> String {
    let locked = match &hit.locked {
        None => String::new(),
        Some(version) if *version == hit.version => ", locked".to_owned(),
        Some(version) => format!(", locked at {version}"),
    };
    let provides = match hit.provides.as_slice() {
        [] => String::new(),
        provides => format!(" [{}]", provides.join(" ")),
    };
    format!("{} {} ({}{locked}): {}{provides}\n", hit.name, hit.version, hit.repository, hit.description)
}
