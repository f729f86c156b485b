//! Services of OpenRC, from the links that it keeps in `/run/openrc` (its guide for users: "runlevels", "daemons").

use std::path::Path;

use hoopy_boot::status::Services;

use super::{line, names, text};

const TOP: &str = "run/openrc";

/// What has started, and what has not; nothing where there is no OpenRC.
pub fn services(root: &Path) -> Option<Services> {
    if !root.join(TOP).join("started").is_dir() {
        return None;
    }
    let started = names(root, &format!("{TOP}/started"));
    // While the machine goes up or down, a service that is not there means nothing.
    let moving = root.join(TOP).join("rc.starting").exists() || root.join(TOP).join("rc.stopping").exists();
    let crashed = started.iter().filter(|name| !moving && has_crashed(root, name)).cloned().collect();
    let failed = names(root, &format!("{TOP}/failed"));
    Some(Services { started: u32::try_from(started.len()).unwrap_or(u32::MAX), failed, crashed })
}

/// Whether a daemon of the service wrote down a process that is gone. One that wrote down none may be anything.
fn has_crashed(root: &Path, service: &str) -> bool {
    let dir = format!("{TOP}/daemons/{service}");
    names(root, &dir).iter().any(|daemon| {
        let said = text(root, &format!("{dir}/{daemon}"));
        let file = said.lines().find_map(|line| line.strip_prefix("pidfile=")).unwrap_or_default();
        let pid = line(root, file.trim_start_matches('/'));
        !file.is_empty() && pid.parse::<u32>().is_ok_and(|pid| !root.join(format!("proc/{pid}")).exists())
    })
}
