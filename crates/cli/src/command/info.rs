//! `hoopy info`.

use std::process::ExitCode;

use hoopy_base::size;
use hoopy_build::config::Overrides;
use hoopy_build::query::{self, Info, Locked};

use crate::args::{About, Global};
use crate::ui::{Teller, put, put_json};

pub fn run(global: &Global, own: &About) -> anyhow::Result<ExitCode> {
    let target = super::target(&own.system.dir, global, Overrides::default())?;
    let resources = super::Resources::open(global)?;
    let shop = super::shop(&target, resources.context(&Teller::new(global.quiet)))?;
    let found = query::info(&shop.shelves, &own.package, shop.lock.as_ref())?;
    if own.json {
        put_json(&found)?;
        return Ok(ExitCode::SUCCESS);
    }
    let texts: Vec<String> = found.iter().map(text).collect();
    put(&texts.join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn text(info: &Info) -> String {
    let locked = match &info.locked {
        Locked::NoLock => "there is no lock".to_owned(),
        Locked::No => "no".to_owned(),
        Locked::Other(version) => format!("no, but {version}"),
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
