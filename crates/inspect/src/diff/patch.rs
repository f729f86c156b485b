//! How the lines of texts differ.

use similar::TextDiff;

use super::{Became, DiffError, FileChange, Side};

/// Larger texts are told of, and not compared line by line.
const MAX_TEXT: u64 = 1 << 20;

/// The most texts that are compared: nobody reads a longer diff to its end.
const MAX_PATCHES: usize = 2000;

/// Unchanged lines around those that changed.
const CONTEXT: usize = 3;

/// How long the search for the shortest way may take, for one file: two texts that have nothing in common would take
/// minutes, and after this the longer way is good enough.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(500);

/// Adds patches to the files that are of no changed package.
///
/// # Errors
/// [`DiffError`] when a side cannot be read.
pub fn add(old: &Side, new: &Side, files: &mut [FileChange]) -> Result<(), DiffError> {
    let fits = |size: Option<u64>| size.is_none_or(|size| size <= MAX_TEXT);
    let is_wanted = |file: &&mut FileChange| {
        let has_content = file.old_size.is_some() || file.new_size.is_some();
        let differs = file.became != Became::Changed
            || file.what.iter().any(|what| what == "content" || what.starts_with("type "));
        file.package.is_none() && has_content && differs && fits(file.old_size) && fits(file.new_size)
    };
    let mut wanted: Vec<&mut FileChange> = files.iter_mut().filter(is_wanted).take(MAX_PATCHES).collect();
    let paths = |of: fn(&FileChange) -> Option<u64>| -> Vec<Vec<u8>> {
        wanted.iter().filter(|file| of(file).is_some()).map(|file| file.path.clone().into_bytes()).collect()
    };
    let (before, after) = (paths(|file| file.old_size), paths(|file| file.new_size));
    let (before, after) = (old.texts(&before, MAX_TEXT)?, new.texts(&after, MAX_TEXT)?);
    for file in &mut wanted {
        let text = |side: &std::collections::BTreeMap<Vec<u8>, Vec<u8>>| {
            let bytes = side.get(file.path.as_bytes()).cloned().unwrap_or_default();
            String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
        };
        file.patch = Some(match (text(&before), text(&after)) {
            (Some(one), Some(other)) => lines(file, &one, &other),
            _ => format!("Binary files a/{0} and b/{0} differ\n", file.path),
        });
    }
    Ok(())
}

fn lines(file: &FileChange, old: &str, new: &str) -> String {
    let name = |side: &str, size: Option<u64>| match size {
        Some(_) => format!("{side}/{}", file.path),
        None => "/dev/null".to_owned(),
    };
    let (a, b) = (name("a", file.old_size), name("b", file.new_size));
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    diff.unified_diff().context_radius(CONTEXT).header(&a, &b).to_string()
}
