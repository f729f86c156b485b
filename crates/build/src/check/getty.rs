//! Consoles on which nobody can log in.
//!
//! The kernel writes to every `console=` of its command line, but a login stands only where `/etc/inittab` starts
//! a getty. In an inittab of BusyBox (init/init.c) a line is `TTY:ignored:ACTION:PROCESS`, and an empty `TTY` is
//! the last `console=`.

use std::path::PathBuf;

use hoopy_store::layer::EntryPath;

use super::CheckError;
use super::finding::{Finding, Severity};
use super::view::{View, lines};
use crate::image::command_line;

/// The table of init.
const INITTAB: &str = "etc/inittab";

/// What OpenRC starts; Alpine's `agetty.TTY` is a service.
const RUNLEVELS: &str = "etc/runlevels";

/// Consoles of the command line without a getty.
pub fn check(view: &View<'_>) -> Result<Vec<Finding>, CheckError> {
    let consoles = consoles(&command_line(view.system.cmdline.as_deref(), view.arch, view.system.layout));
    let Some((file, said, text)) = inittab(view)? else { return Ok(Vec::new()) };
    if consoles.is_empty() || ["inittab", "agetty"].iter().any(|what| view.setup_may_touch(what)) {
        return Ok(Vec::new());
    }
    let logins = logins(view, &text);
    let last = consoles.last().cloned().unwrap_or_default();
    let without: Vec<&String> =
        consoles.iter().filter(|c| !logins.iter().any(|l| l.covers(c, &last))).collect();
    let finding = |severity, message: String, console: &str| Finding {
        severity,
        file: file.clone(),
        line: None,
        message: format!("{said}{message}"),
        fix: format!(
            "{}the line `{}`",
            if said.is_empty() { "add " } else { "write one: that, and " },
            getty(console)
        ),
    };
    if without.len() == consoles.len() {
        let all = consoles.join(", ");
        let message = format!("no getty on any console of the command line ({all}): there is no login");
        return Ok(vec![finding(Severity::Error, message, &last)]);
    }
    let one = |console: &&String| {
        let message = format!("no getty on {console}, a console of the command line");
        finding(Severity::Warning, message, console)
    };
    Ok(without.iter().map(one).collect())
}

/// The terminals among the `console=` arguments (Documentation/admin-guide/serial-console.rst), each once.
fn consoles(command_line: &str) -> Vec<String> {
    let mut consoles: Vec<String> = Vec::new();
    for word in command_line.split_whitespace() {
        let name = word.strip_prefix("console=").and_then(|c| c.split(',').next()).unwrap_or_default();
        let terminal = name.starts_with("tty") || name.starts_with("hvc");
        if terminal && name != "ttynull" {
            consoles.retain(|c| c != name);
            consoles.push(name.to_owned());
        }
    }
    consoles
}

/// The file to edit, what to say of it first, and its text.
fn inittab(view: &View<'_>) -> Result<Option<(PathBuf, String, Vec<u8>)>, CheckError> {
    if let Some(own) = view.own(INITTAB).filter(|own| own.is_file()) {
        let finding = own.finding(Severity::Error, None, "", String::new());
        return Ok(Some((finding.file, finding.message, own.text.clone())));
    }
    let packaged = view.packaged(INITTAB)?;
    Ok(packaged.map(|(origin, text)| {
        let said = format!("not there, and that of {origin} has ");
        (PathBuf::from("root").join(INITTAB), said, text)
    }))
}

fn getty(console: &str) -> String {
    if is_virtual(console) {
        let console = if console == "tty0" { "tty1" } else { console };
        format!("{console}::respawn:/sbin/getty 38400 {console}")
    } else {
        format!("{console}::respawn:/sbin/getty -L 115200 {console} vt100")
    }
}

/// A screen: `tty` and a number.
fn is_virtual(console: &str) -> bool {
    console.strip_prefix("tty").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Something that keeps a login going.
struct Login {
    /// The first field.
    tty: String,
    /// The process; where it is a script of the user's, its text too.
    process: String,
}

impl Login {
    fn covers(&self, console: &str, last: &str) -> bool {
        let words = || self.process.split(|c: char| !c.is_ascii_alphanumeric());
        let names = |tty: &str| self.tty == tty || words().any(|w| w == tty);
        names(console)
            || (console == last && (names("console") || (self.tty.is_empty() && words().any(|w| w == "login"))))
            // The screen that is in front.
            || (console == "tty0" && (1..=6).any(|n| names(&format!("tty{n}"))))
    }
}

/// What init and OpenRC start again and again and what talks to a terminal.
fn logins(view: &View<'_>, inittab: &[u8]) -> Vec<Login> {
    let mut logins: Vec<Login> = lines(inittab).filter_map(|(_, line)| login(view, &line)).collect();
    let own = view.own.iter().map(|own| &own.path).filter(|path| path.is_within(RUNLEVELS.as_bytes()));
    let below = EntryPath::new(RUNLEVELS).ok();
    let image =
        view.image.iter().zip(&below).flat_map(|(i, dir)| i.stack.tree.below(dir)).map(|(path, _)| path);
    for path in own.chain(image) {
        let name = String::from_utf8_lossy(path.name()).into_owned();
        if let Some(tty) = name.strip_prefix("agetty.").or_else(|| name.strip_prefix("getty.")) {
            logins.push(Login { tty: tty.to_owned(), process: String::new() });
        }
    }
    logins
}

fn login(view: &View<'_>, line: &str) -> Option<Login> {
    if line.trim_start().starts_with('#') {
        return None;
    }
    let mut fields = line.splitn(4, ':');
    let (tty, _, action, process) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    if !matches!(action, "respawn" | "askfirst") {
        return None;
    }
    let program = process.split_whitespace().next()?.trim_start_matches(['-', '/']);
    let script = view.own(program).map(|own| String::from_utf8_lossy(&own.text).into_owned());
    let process = format!("{process}\n{}", script.unwrap_or_default());
    let tty = tty.trim_start_matches("/dev/").to_owned();
    // A daemon that init keeps running on no terminal is no login.
    let talks =
        !tty.is_empty() || process.contains("getty") || process.contains("login") || action == "askfirst";
    talks.then_some(Login { tty, process })
}
