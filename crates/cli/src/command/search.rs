//! `hoopy search`.

use hoopy_build::config::Overrides;
use hoopy_build::query::{self, Hit};

use crate::args::{Global, Search};
use crate::error::{Exit, Result};
use crate::output::{note, print, print_json};
use crate::progress::Progress;

pub fn run(global: &Global, own: &Search) -> Result<Exit> {
    let target = super::target(super::HERE.as_ref(), global, Overrides::default())?;
    let resources = super::Resources::open(global)?;
    let catalogue = super::catalogue(&target, resources.context(&Progress::new(global.quiet || own.json)))?;
    let hits = query::search(&catalogue.shelves, &own.pattern, catalogue.lock.as_ref());
    if own.json {
        print_json(&hits)?;
    } else {
        print(hits.iter().map(line).collect::<String>())?;
    }
    if hits.is_empty() {
        note(format!("no package matches {:?}", own.pattern));
        return Ok(Exit::Failed);
    }
    Ok(Exit::Success)
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
