//! Names of files that go onto a FAT filesystem, where the boot loader reads them.

use std::collections::BTreeMap;

use super::ImageError;

/// The longest name that FAT has.
const MAX_NAME: usize = 255;

/// Refuses paths that FAT cannot hold, or only one of two.
///
/// # Errors
/// [`ImageError::BoardName`].
pub fn check<'a>(paths: impl Iterator<Item = &'a str>) -> Result<(), ImageError> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for path in paths {
        if let Some(reason) = path.split('/').find_map(fault) {
            return Err(ImageError::BoardName { path: path.to_owned(), reason });
        }
        if let Some(other) = seen.insert(path.to_ascii_lowercase(), path) {
            let reason = format!("FAT takes {other} for the same name");
            return Err(ImageError::BoardName { path: path.to_owned(), reason });
        }
    }
    Ok(())
}

/// What is wrong with a name. What no ASCII is would need an encoding that firmware does not have.
fn fault(name: &str) -> Option<String> {
    let forbidden = |c: char| !(' '..='~').contains(&c) || "\"*:<>?\\|".contains(c);
    match name.chars().find(|c| forbidden(*c)) {
        _ if name.len() > MAX_NAME => {
            Some(format!("expected a name of at most {MAX_NAME} characters, found {}", name.len()))
        }
        Some(c) => {
            Some(format!("expected printable ASCII without \" * : < > ? \\ |, found {c:?} in the name"))
        }
        None if name.ends_with(['.', ' ']) => {
            Some("FAT drops a dot or a space at the end of a name".to_owned())
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fat_cannot_hold_are_refused() {
        let ok = ["overlays/my.dtbo", "overlays/README", "config.txt", "a b.dtbo"];
        assert!(check(ok.into_iter()).is_ok());
        let long = "x".repeat(300);
        for bad in [
            vec!["overlays/My.dtbo", "overlays/my.dtbo"],
            vec!["overlays/readme", "overlays/README"],
            vec!["overlays/a:b.dtbo"],
            vec!["overlays/\u{fc}.dtbo"],
            vec!["overlays/a?.dtbo"],
            vec!["overlays/a\n.dtbo"],
            vec!["overlays/a "],
            vec!["overlays/a."],
            vec![long.as_str()],
        ] {
            assert!(check(bad.iter().copied()).is_err(), "{bad:?}");
        }
    }
}
