//! Following symbolic links inside a tree, never out of it: `..` at the root is the root.

use crate::layer::EntryPath;

/// As many as Linux follows in one look-up (include/linux/namei.h, MAXSYMLINKS).
pub const MAX_LINKS: usize = 40;

/// `path` with the links among its parents followed; `link` gives the target of a link.
pub fn resolve<'a>(path: &EntryPath, link: impl Fn(&EntryPath) -> Option<&'a [u8]>) -> Option<EntryPath> {
    let mut todo: Vec<Vec<u8>> = path.as_bytes().rsplit(|&b| b == b'/').map(<[u8]>::to_vec).collect();
    let mut done: Vec<u8> = Vec::new();
    let mut followed = 0;
    while let Some(name) = todo.pop() {
        let parent = done.len();
        match name.as_slice() {
            b"" | b"." => continue,
            b".." => {
                done.truncate(done.iter().rposition(|&b| b == b'/').unwrap_or(0));
                continue;
            }
            _ if done.is_empty() => done.extend(&name),
            _ => {
                done.push(b'/');
                done.extend(&name);
            }
        }
        if todo.is_empty() {
            break;
        }
        let Some(target) = link(&EntryPath::new(&done).ok()?) else { continue };
        followed += 1;
        if followed > MAX_LINKS {
            return None;
        }
        done.truncate(if target.starts_with(b"/") { 0 } else { parent });
        todo.extend(target.rsplit(|&b| b == b'/').map(<[u8]>::to_vec));
    }
    EntryPath::new(done).ok()
}

/// Whether a link at `path` with this target leads out of the tree, wherever that lies: it is absolute, or it goes above
/// the root on its way.
pub fn climbs_out(path: &EntryPath, target: &[u8]) -> bool {
    if target.starts_with(b"/") {
        return true;
    }
    let mut depth = path.as_bytes().iter().filter(|&&b| b == b'/').count();
    for name in target.split(|&b| b == b'/') {
        match name {
            b"" | b"." => {}
            b".." if depth == 0 => return true,
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}

/// The path that a link at `path` with this target names, before links among its parents are followed.
pub fn join(path: &EntryPath, target: &[u8]) -> Option<EntryPath> {
    let mut whole = match path.parent() {
        Some(dir) if !target.starts_with(b"/") => dir.as_bytes().to_vec(),
        _ => Vec::new(),
    };
    for name in target.split(|&b| b == b'/') {
        match name {
            b"" | b"." => {}
            b".." => whole.truncate(whole.iter().rposition(|&b| b == b'/').unwrap_or(0)),
            name => {
                if !whole.is_empty() {
                    whole.push(b'/');
                }
                whole.extend(name);
            }
        }
    }
    EntryPath::new(whole).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_link_climbs_out_where_it_is_absolute_or_goes_above_the_root() {
        for (path, target, out) in [
            ("etc/a/link", "x", false),
            ("etc/a/link", "../b", false),
            ("etc/a/link", "../../usr/./x", false),
            ("etc/a/link", "../../../x", true),
            ("etc/a/link", "x/../../../../y", true),
            ("etc/a/link", "/etc/x", true),
            ("motd", "..", true),
            ("motd", "a/../b", false),
        ] {
            assert_eq!(
                climbs_out(&EntryPath::new(path).unwrap(), target.as_bytes()),
                out,
                "{path} -> {target}"
            );
        }
    }
}
