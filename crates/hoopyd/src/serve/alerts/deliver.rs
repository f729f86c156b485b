//! Telling the programs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use hoopy_boot::monitor::ALERTS;

use super::book::{Book, Event};
use crate::{log, machine, program};

/// How long a program may take: a mail server that does not answer costs as much.
const PATIENCE: Duration = Duration::from_secs(60);

/// The programs of `alert.d`, in the order of their names.
pub fn programs(root: &Path) -> Vec<String> {
    let is_program = |name: &String| {
        let meta = std::fs::metadata(root.join(ALERTS).join(name));
        meta.is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    machine::names(root, ALERTS).into_iter().filter(is_program).collect()
}

/// Tells each program what is due; `keep` writes the book down after each.
pub fn due(root: &Path, book: &mut Book, now: u64, keep: &mut dyn FnMut(&Book)) {
    for name in programs(root) {
        while let Some(event) = book.due(&name, now).cloned() {
            let told = tell(&root.join(ALERTS).join(&name), &event);
            if let Err(reason) = &told {
                log::line(&format!("alert.d/{name}: {reason}; it is tried again"));
            }
            book.done(&name, told.is_ok(), now);
            keep(book);
        }
    }
}

fn tell(path: &Path, event: &Event) -> Result<(), String> {
    let mut input = serde_json::to_vec(event).unwrap_or_default();
    input.push(b'\n');
    // For a shell, which reads no JSON.
    let environment = [
        ("HOOPY_EVENT", &*event.event),
        ("HOOPY_HOST", &*event.host),
        ("HOOPY_ID", &*event.id),
        ("HOOPY_SEVERITY", &*event.severity),
        ("HOOPY_TITLE", &*event.title),
        ("HOOPY_TEXT", &*event.text),
    ];
    let call = program::Call {
        arguments: &[],
        environment: &environment,
        input: &input,
        limit: PATIENCE,
        leave: false,
    };
    let ended = program::run(path, &call).map_err(|error| error.to_string())?;
    if ended.success { Ok(()) } else { Err(ended.said) }
}
