//! The page: one sentence on top, what needs doing, the last hour, and the rest in the order in which it is looked for.
//!
//! Everything that comes from the machine goes through [`escaped`]. It works without its script, which only asks for the
//! part that changes ([`Parts::live`]) and puts it in place.

mod sections;

use hoopy_base::markup::escaped;
use hoopy_boot::status::{Severity, Status, duration};

use super::rings::Rings;

/// The style sheet.
pub const STYLE: &str = include_str!("page/style.css");

/// The script.
pub const LIVE: &str = include_str!("page/live.js");

/// What stands before the output of `index.sh`.
pub const BEFORE_SCRIPT: &str = "<section aria-labelledby=\"index\"><h2 id=\"index\"><a href=\"/index.sh\">index.sh</a></h2>\n<pre tabindex=\"0\">";

/// What stands behind it.
pub const AFTER_SCRIPT: &str = "</pre></section>\n</body>\n</html>\n";

/// The end of a page without it.
pub const END: &str = "</body>\n</html>\n";

/// A page in parts.
#[derive(Debug, Default)]
pub struct Parts {
    /// Up to what changes.
    pub head: String,
    /// What changes.
    pub live: String,
    /// What stands below that, which may be opened and stays so.
    pub below: String,
}

/// The page of a machine.
pub fn parts(status: &Status, rings: &Rings, scripts: &[String]) -> Parts {
    let host = escaped(&status.host);
    let state = match status.problems.len() {
        0 => "all is well".to_owned(),
        1 => "1 thing needs doing".to_owned(),
        more => format!("{more} things need doing"),
    };
    let head = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{host}: {state}</title>\n\
        <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
        <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"/icon.svg\">\n\
        <link rel=\"stylesheet\" href=\"/style.css\">\n<script src=\"/live.js\" defer></script>\n</head>\n<body>\n\
        <h1>{host}</h1>\n"
    );
    let main = [
        sections::problems(status),
        sections::charts(status, rings),
        sections::machine(status),
        sections::storage(status),
        sections::network(status),
    ];
    let live = format!(
        "<p id=\"verdict\" class=\"{}\" role=\"status\">{}</p>\n<main id=\"live\">\n{}</main>\n\
        <footer id=\"seen\">Seen at {}, up {}. Also as <a href=\"/status.json\">status.json</a>, \
        <a href=\"/status.txt\">text</a> and <a href=\"/metrics\">metrics</a>.</footer>\n",
        class(status),
        escaped(&status.summary),
        main.concat(),
        clock(status.time),
        duration(status.uptime)
    );
    Parts { head, live, below: sections::log(status) + &sections::links(scripts, !status.volumes.is_empty()) }
}

/// How the whole machine is, as the style sheet calls it.
fn class(status: &Status) -> &'static str {
    match status.problems.iter().map(|problem| problem.severity).min() {
        None => "well",
        Some(Severity::Warning) => "warning",
        Some(Severity::Critical) => "critical",
    }
}

/// What stands on a page that is not new.
pub fn stale(age: u64) -> String {
    let age = duration(age);
    format!(
        "<p class=\"critical notice\">This is {age} old: looking at the machine takes that long. A disk may hang.</p>\n"
    )
}

/// The picture of the tab: its colour and its shape say how the machine is.
pub fn icon(status: &Status) -> String {
    let (colour, shape) = match class(status) {
        "well" => {
            ("#1a7f4b", "<path d=\"M4 8.5l3 3 5-6\" fill=\"none\" stroke=\"#fff\" stroke-width=\"2\"/>")
        }
        "warning" => ("#9a6700", "<path d=\"M8 4v5M8 11v1.5\" stroke=\"#fff\" stroke-width=\"2\"/>"),
        _ => ("#c62828", "<path d=\"M5 5l6 6M11 5l-6 6\" stroke=\"#fff\" stroke-width=\"2\"/>"),
    };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\"><rect width=\"16\" height=\"16\" rx=\"4\" fill=\"{colour}\"/>{shape}</svg>\n"
    )
}

/// Seconds since 1970 as a date and a time of day (the civil calendar counted in eras of 400 years from 1 March).
fn clock(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year}-{month:02}-{date:02} {:02}:{:02}:{:02} UTC", rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use hoopy_boot::status::{Filesystem, Health, Image, Interface, Problem};

    use super::*;

    #[test]
    fn a_clock_has_leap_years() {
        assert_eq!(clock(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(clock(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(clock(1_795_915_359), "2026-11-29 01:22:39 UTC");
    }

    /// A name that tries to be markup in every place where a name can come from.
    const HOSTILE: &str = "<img src=x onerror=alert(1)>\"'&";

    fn hostile() -> Status {
        let text = || HOSTILE.to_owned();
        Status {
            host: text(),
            summary: text(),
            image: Image { name: Some(text()), commit: Some(text()), kernel: text(), ..Image::default() },
            problems: vec![Problem { id: text(), severity: Severity::Warning, what: text(), remedy: text() }],
            health: Some(Health {
                state: text(),
                reason: text(),
                slot: text(),
                log: text(),
                ..Health::default()
            }),
            filesystems: vec![Filesystem {
                mount: text(),
                device: text(),
                kind: text(),
                size: 100,
                free: 50,
                files: 0,
                files_free: 0,
                read_only: true,
            }],
            interfaces: vec![Interface { name: text(), up: true, received: 0, sent: 0, errors: 0 }],
            ..Status::default()
        }
    }

    #[test]
    fn nothing_that_the_machine_says_becomes_markup() {
        let parts = parts(&hostile(), &Rings::default(), &["a.sh".to_owned()]);
        let page = [parts.head, parts.live, parts.below].concat();
        assert!(!page.contains("<img") && !page.contains("onerror=alert(1)>\""), "{page}");
        assert!(page.matches("&lt;img").count() >= 10, "{page}");
    }

    #[test]
    fn a_page_with_everything_is_small_and_asks_nobody_else() {
        let mut status = hostile();
        let file = status.filesystems.first().cloned();
        status.filesystems.extend(file.into_iter().cycle().take(40));
        let mut rings = Rings::default();
        (0..400).for_each(|n| {
            status.uptime = n * 10;
            rings.push(&status);
        });
        let parts = parts(&status, &rings, &[]);
        let size = parts.head.len() + parts.live.len() + parts.below.len() + STYLE.len() + LIVE.len();
        assert!(size < 100_000, "{size} bytes");
        for text in [&*parts.head, &*parts.live, STYLE, LIVE] {
            assert!(!text.contains("://") && !text.contains("\"//"), "another address: {text}");
            assert!(!text.contains("style=") && !text.contains("onclick"), "the policy refuses that");
        }
    }
}
