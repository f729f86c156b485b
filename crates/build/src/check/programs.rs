//! Services whose program is not in the image: OpenRC says so when it starts them, where nobody looks.

use hoopy_store::layer::EntryPath;

use super::CheckError;
use super::finding::{Finding, Severity};
use super::view::{Image, View, lines};

/// The user's services, and those of packages that a runlevel starts.
pub fn check(view: &View<'_>) -> Result<Vec<Finding>, CheckError> {
    let Some(image) = &view.image else { return Ok(Vec::new()) };
    let mut findings = Vec::new();
    let services = view.own.iter().filter(|own| own.is_file() && own.path.is_within(b"etc/init.d"));
    for own in services {
        let Some((line, program)) = missing(view, image, &own.text) else { continue };
        findings.push(own.finding(Severity::Error, Some(line), &message(&program), fix(&program)));
    }
    for name in started(image) {
        let path = format!("etc/init.d/{name}");
        let Some((origin, text)) = view.packaged(&path)? else { continue };
        let Some((_, program)) = missing(view, image, &text) else { continue };
        findings.push(Finding {
            severity: Severity::Error,
            file: "packages".into(),
            line: None,
            message: format!("the service `{name}` of {origin}: {}", message(&program)),
            fix: fix(&program),
        });
    }
    Ok(findings)
}

fn message(program: &str) -> String {
    format!("it starts {program}, which is not in the image")
}

fn fix(program: &str) -> String {
    format!(
        "add the package that brings {program} to `packages`, or copy it there with `programs` in hoopy.toml"
    )
}

/// The names in runlevels.
fn started(image: &Image<'_>) -> Vec<String> {
    let Ok(levels) = EntryPath::new("etc/runlevels") else { return Vec::new() };
    let below = image.stack.tree.below(&levels).filter(|(_, entry)| !entry.is_dir());
    let mut names: Vec<String> =
        below.map(|(path, _)| String::from_utf8_lossy(path.name()).into_owned()).collect();
    names.sort();
    names.dedup();
    names
}

/// The first program that a service names by its whole path and the image lacks, and the line.
fn missing(view: &View<'_>, image: &Image<'_>, text: &[u8]) -> Option<(usize, String)> {
    let there = |program: &str| image.has(program) || view.setup_may_touch(program);
    lines(text).find_map(|(number, line)| {
        let program = named(&line)?;
        (!there(&program)).then_some((number, program))
    })
}

/// The program of a line `command=PATH`; one that is put together of variables is not known.
fn named(line: &str) -> Option<String> {
    let value = line.trim_start().strip_prefix("command=")?;
    let value = match value.chars().next()? {
        quote @ ('"' | '\'') => value.get(1..)?.split(quote).next()?,
        _ => value.split_whitespace().next()?,
    };
    let plain = value.starts_with('/') && !value.contains(['$', '`', '*', ' ']);
    plain.then(|| value.to_owned())
}
