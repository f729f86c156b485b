//! Values of keys: numbers, paths, volumes, services.

use super::words::{literal, split};
use super::{EXTENSION, is_name};

/// Longest time and highest number that a file may ask for: an hour.
const MAX_NUMBER: u32 = 3600;

/// What is wrong, and what to do about it.
pub type Wrong = (String, String);

/// That, with where to look it up.
pub fn wrong(message: String) -> Wrong {
    (message, "docs/containers.md lists what is understood".to_owned())
}

pub fn literal_words(value: &str) -> Result<Vec<String>, Wrong> {
    let words = split(value).map_err(wrong)?;
    words.iter().map(|word| literal(word).map_err(wrong)).collect()
}

pub fn boolean(key: &str, value: &str) -> Result<bool, Wrong> {
    match value {
        "1" | "yes" | "true" | "on" => Ok(true),
        "0" | "no" | "false" | "off" => Ok(false),
        _ => Err(wrong(format!("expected true or false after {key}=, found {value:?}"))),
    }
}

pub fn number(key: &str, value: &str) -> Result<u32, Wrong> {
    let number = value.parse().ok().filter(|number| *number <= MAX_NUMBER);
    number.ok_or_else(|| wrong(format!("expected a number up to {MAX_NUMBER} after {key}=, found {value:?}")))
}

/// Seconds, with or without their `s`.
pub fn seconds(key: &str, value: &str) -> Result<u32, Wrong> {
    number(key, value.strip_suffix('s').unwrap_or(value))
}

pub fn absolute(key: &str, value: &str) -> Result<(), Wrong> {
    let is_plain = value.starts_with('/') && !value.split('/').any(|part| part == "..");
    if is_plain && !value.contains(['%', '$']) {
        return Ok(());
    }
    Err(wrong(format!("expected an absolute path after {key}=, found {value:?}")))
}

/// `NAME:/path`, `/path:/path`, or `/path`, perhaps with options.
pub fn volume(value: &str) -> Result<(), Wrong> {
    let source = value.split(':').next().unwrap_or_default();
    if source.ends_with(".volume") {
        let fix = "podman makes a volume when it is first named: write Volume=NAME:/path".to_owned();
        return Err((format!("expected a volume or a path, found the unit {source:?}"), fix));
    }
    if source.starts_with('/') || is_name(source) {
        return Ok(());
    }
    Err(wrong(format!("expected NAME:/path or /path:/path after Volume=, found {value:?}")))
}

/// OpenRC's name of what systemd calls `word`.
pub fn service_of(word: &str) -> Result<String, String> {
    match word {
        "network.target" | "network-online.target" => return Ok("net".to_owned()),
        "local-fs.target" => return Ok("localmount".to_owned()),
        _ => {}
    }
    let name = word.strip_suffix(".service").or_else(|| word.strip_suffix(EXTENSION)).unwrap_or(word);
    let is_unit = name.ends_with(".target") || name.ends_with(".socket") || name.ends_with(".mount");
    if !is_name(name) || is_unit {
        return Err(format!(
            "expected a service, network-online.target, network.target or local-fs.target, found {word:?}"
        ));
    }
    Ok(name.to_owned())
}
