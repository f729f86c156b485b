//! What a build needs besides: programs, a mirror, and disk space.

use std::path::Path;
use std::time::Duration;

use hoopy_base::arch::Arch;
use hoopy_base::programs::Programs;
use hoopy_base::size;
use hoopy_build::config::Repository;
use hoopy_build::fetch::{Client, FetchError};
use hoopy_build::locking;

use super::check::{Check, Subject};
use super::install::{self, Distribution, PackageNames};
use crate::args::Global;

/// How long a mirror may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a first build of a small system needs with room to spare: packages, their contents unpacked, and the image.
const ROOM: u64 = 1 << 30;

/// Programs that hoopy starts by their names.
pub fn programs(programs: &Programs, here: &Distribution) -> Vec<Check> {
    let check = |subject: Subject, name: &str, package: PackageNames, without: &str| {
        // Only there: these are looked up by the system, and not by `Programs::find`, which looks beside PATH too
        match programs.path.iter().map(|dir| dir.join(name)).find(|file| file.is_file()) {
            Some(file) => Check::ok(subject, file.display().to_string()),
            None => Check::missing(subject, format!("not in PATH: {without}"), here.install(package)),
        }
    };
    let git = "images do not name their commit, and modes come from this computer";
    vec![
        check(Subject::Git, "git", install::GIT, git),
        check(Subject::Ssh, "ssh", install::SSH, "no `hoopy deploy` and no `hoopy status`"),
    ]
}

/// Whether the mirror answers and has packages of this architecture, in the first of these places that is there.
pub fn mirror(places: &[Repository], arch: Arch) -> Check {
    let client = Client::impatient(PATIENCE);
    let mut found = None;
    for place in places {
        let located = locking::locate(place, arch, &client);
        let missing = matches!(located, Err(FetchError::Missing { .. }));
        found = Some(located);
        if !missing {
            break;
        }
    }
    let Some(found) = found else {
        return Check::missing(Subject::Mirror, "hoopy.toml names no repository".to_owned(), None);
    };
    match found {
        Ok(place) => Check::ok(Subject::Mirror, place),
        Err(FetchError::Stalled { place, .. }) => {
            let why = format!("{place}: no answer within {} s", PATIENCE.as_secs());
            Check::missing(Subject::Mirror, why, Some(ANOTHER.to_owned()))
        }
        Err(error) => Check::missing(Subject::Mirror, error.to_string(), Some(ANOTHER.to_owned())),
    }
}

/// An address or a directory; what keeps the default from answering is not seen from here.
const ANOTHER: &str = "export HOOPY_MIRROR=URL";

/// Whether the store can be written to, and has room.
pub fn store(global: &Global) -> Check {
    match super::super::store_dir(global).and_then(|dir| room(global, &dir).map(|room| (dir, room))) {
        Ok((dir, room)) => {
            let detail = format!("{}, {} free", dir.display(), size::show(room));
            if room >= ROOM {
                return Check::ok(Subject::Store, detail);
            }
            let detail = format!("{detail}: expected {}", size::show(ROOM));
            Check::missing(Subject::Store, detail, Some("hoopy gc".to_owned()))
        }
        Err(error) => {
            Check::missing(Subject::Store, error.to_string(), Some("export HOOPY_STORE=DIR".to_owned()))
        }
    }
}

/// Writes a file to the store, as a build would; how many bytes it has room for.
fn room(global: &Global, dir: &Path) -> crate::error::Result<u64> {
    super::super::store(global)?.pending()?;
    let found = rustix::fs::statvfs(dir).map_err(std::io::Error::from)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}
