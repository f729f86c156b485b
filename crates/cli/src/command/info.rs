//! `hoopy info`.

use hoopy_base::size;
use hoopy_build::config::Overrides;
use hoopy_build::query::{self, Info, Locked};

use crate::args::{About, Global};
use crate::error::{Exit, Result};
use crate::output::{print, print_json};
use crate::progress::Progress;

pub fn run(global: &Global, own: &About) -> Result<Exit> {
    let target = super::target(super::HERE.as_ref(), global, Overrides::default())?;
    let resources = super::Resources::open(global)?;
    let catalogue = super::catalogue(&target, resources.context(&Progress::new(global.quiet || own.json)))?;
    let found = query::info(&catalogue.shelves, &own.package, catalogue.lock.as_ref())?;
    if own.json {
        print_json(&found)?;
        return Ok(Exit::Success);
    }
    let texts: Vec<String> = found.iter().map(text).collect();
    print(texts.join("\n"))?;
    Ok(Exit::Success)
}

fn text(info: &Info) -> String {
    let locked = match &info.locked {
        Locked::NoLock => "no, there is no lock".to_owned(),
        Locked::No => "no".to_owned(),
        Locked::Other(version) => format!("another version, {version}"),
        Locked::Yes => "yes".to_owned(),
    };
    let size = format!("{}, installed {}", size::show(info.size), size::show(info.installed_size));
    let built = jiff::Timestamp::from_second(i64::try_from(info.build_time).unwrap_or(0));
    let built = built.ok().filter(|_| info.build_time > 0).map(|t| t.strftime("%Y-%m-%d").to_string());
    let rows = [
        ("about", info.description.clone()),
        ("repository", info.repository.clone()),
        ("locked", locked),
        ("size", size),
        ("license", info.license.clone()),
        ("origin", info.origin.clone()),
        ("url", info.url.clone()),
        ("built", built.unwrap_or_default()),
        ("depends", info.depends.join(" ")),
        ("provides", info.provides.join(" ")),
        ("install if", info.install_if.join(" ")),
    ];
    let rows = rows.iter().filter(|(_, value)| !value.is_empty());
    let head = format!("{} {}\n", info.name, info.version);
    rows.fold(head, |out, (key, value)| out + &format!("{key:<11}{value}\n"))
}
