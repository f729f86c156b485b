//! What hoopy's own services and files say.

use std::path::Path;

use hoopy_boot::layout::Slot;
use hoopy_boot::monitor::Settings;
use hoopy_boot::secrets::{MAP, State};
use hoopy_boot::status::{Health, Image, Secrets};

use super::{line, text};
use crate::outcome;

/// How many bytes of the checks' output are shown.
const MAX_LOG: usize = 4096;

/// The value of `KEY=value` in a file of such lines.
fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).filter(|value| !value.is_empty())
}

/// The image that runs.
pub fn image(root: &Path, settings: &Settings) -> Image {
    let release = text(root, "etc/hoopy-release");
    let name = value(&release, "IMAGE").map(str::to_owned);
    // A rollback of what was deployed since this boot leads back to what runs.
    let staged = line(root, "run/hoopy/staged");
    let staged = Some(staged).filter(|staged| !staged.is_empty() && Some(staged) != name.as_ref());
    Image {
        name,
        staged,
        commit: value(&release, "COMMIT").map(str::to_owned),
        dirty: value(&release, "DIRTY") == Some("yes"),
        built: settings.built,
        kernel: line(root, "proc/sys/kernel/osrelease"),
        boot: line(root, "proc/sys/kernel/random/boot_id"),
    }
}

/// What the machine decided about this boot; nothing where it decides none.
pub fn health(root: &Path) -> Option<Health> {
    let said = text(root, "run/hoopy/health");
    let of = |key: &str| value(&said, key).unwrap_or_default().to_owned();
    let state = value(&said, "STATE")?.to_owned();
    let slot = of("SLOT");
    let tries_left = Slot::parse(&slot).and_then(|slot| slot.left);
    let log = text(root, "run/hoopy/health.log");
    Some(Health { state, action: of("ACTION"), reason: of("REASON"), slot, tries_left, log: end_of(&log) })
}

fn end_of(log: &str) -> String {
    let from = log.len().saturating_sub(MAX_LOG);
    let from = (from..=log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or(0);
    log.get(from..).unwrap_or_default().to_owned()
}

/// The machine's secrets; nothing where the image has none.
pub fn secrets(root: &Path) -> Option<Secrets> {
    if !root.join(MAP).is_file() {
        return None;
    }
    let unknown = || Secrets { state: "unknown".to_owned(), failures: Vec::new() };
    Some(outcome::read(root).map_or_else(
        |_| unknown(),
        |outcome| {
            let state = match outcome.state {
                State::Open => "open",
                State::Locked => "locked",
                State::Failed => "failed",
            };
            Secrets { state: state.to_owned(), failures: outcome.failures }
        },
    ))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_was_deployed_since_this_boot_is_told_until_it_runs_or_is_taken_back() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("run/hoopy")).unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/hoopy-release"), "IMAGE=nas-2026112901\n").unwrap();
        let staged = || image(root.path(), &Settings::default()).staged;
        assert_eq!(staged(), None);
        for (file, expected) in
            [("nas-2026112902\n", Some("nas-2026112902")), ("nas-2026112901\n", None), ("\n", None)]
        {
            fs::write(root.path().join("run/hoopy/staged"), file).unwrap();
            assert_eq!(staged().as_deref(), expected);
        }
    }
}
