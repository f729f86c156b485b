//! Following symbolic links inside a tree, never out of it: `..` at the root is the root.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, DefaultHasher, Hasher as _, RandomState};

use crate::layer::EntryPath;
use crate::layer::path::{MAX_NAME, MAX_PATH};

/// As many as Linux follows in one look-up (include/linux/namei.h, MAXSYMLINKS).
pub const MAX_LINKS: usize = 40;

/// Names met in one look-up, those of links' targets among them: twice what the longest path has. 40 links of 4,095
/// bytes each, which a small package can have, would otherwise make every look-up one of 80,000 names.
const MAX_STEPS: usize = MAX_PATH + 1;

/// Where a tree may have links, so that a path that goes over none is known by one pass over it.
///
/// It knows paths by their hash only, and forgets none: what it says is a link is looked up, and may be none. The seed
/// is random, so that nobody can make a package whose paths all seem to be links.
#[derive(Debug, Default)]
pub struct Links {
    seed: RandomState,
    hashes: HashSet<u64>,
}

impl Links {
    /// There is a link at `path`.
    pub fn insert(&mut self, path: &EntryPath) {
        let hasher = path.as_bytes().split(|&b| b == b'/').fold(self.seed.build_hasher(), beneath);
        self.hashes.insert(hasher.finish());
    }
}

/// The hash of a path out of that of its directory. A slash separates, since no name has one.
fn beneath(mut dir: DefaultHasher, name: &[u8]) -> DefaultHasher {
    dir.write(b"/");
    dir.write(name);
    dir
}

/// Where a look-up has come to.
struct Place<'a> {
    links: &'a Links,
    path: Vec<u8>,
    /// The hash of each directory on the way, the root's left out.
    hashes: Vec<DefaultHasher>,
}

impl Place<'_> {
    /// Goes down; `None` where no image can hold the path.
    fn enter(&mut self, name: &[u8]) -> Option<()> {
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend(name);
        let dir = self.hashes.last().cloned().unwrap_or_else(|| self.links.seed.build_hasher());
        self.hashes.push(beneath(dir, name));
        let fits = name.len() <= MAX_NAME && self.path.len() <= MAX_PATH;
        (fits && !name.contains(&0) && !name.contains(&b'\n')).then_some(())
    }

    /// Goes up.
    fn leave(&mut self) {
        self.path.truncate(self.path.iter().rposition(|&b| b == b'/').unwrap_or(0));
        self.hashes.pop();
    }

    /// Whether a link may be here.
    fn may_be_link(&self) -> bool {
        self.hashes.last().is_some_and(|hasher| self.links.hashes.contains(&hasher.finish()))
    }
}

/// `path` with the links among its parents followed; `link` gives the target of a link, and `links` knows where there
/// is one.
pub fn resolve<'a>(
    path: &'a EntryPath,
    links: &Links,
    link: impl Fn(&EntryPath) -> Option<&'a [u8]>,
) -> Option<EntryPath> {
    let mut todo: Vec<&[u8]> = path.as_bytes().rsplit(|&b| b == b'/').collect();
    let mut place = Place { links, path: Vec::with_capacity(path.as_bytes().len()), hashes: Vec::new() };
    let (mut steps, mut followed) = (0, 0);
    while let Some(name) = todo.pop() {
        steps += 1;
        if steps > MAX_STEPS {
            return None;
        }
        match name {
            b"" | b"." => continue,
            b".." => {
                place.leave();
                continue;
            }
            name => place.enter(name)?,
        }
        if todo.is_empty() {
            break;
        }
        if !place.may_be_link() {
            continue;
        }
        let Some(target) = link(&EntryPath::new(&place.path).ok()?) else { continue };
        followed += 1;
        if followed > MAX_LINKS {
            return None;
        }
        place.leave();
        if target.starts_with(b"/") {
            place.path.clear();
            place.hashes.clear();
        }
        todo.extend(target.rsplit(|&b| b == b'/'));
    }
    EntryPath::new(place.path).ok()
}

/// Whether a link at `path` with this target may lead out of the tree, wherever that lies: it is absolute, it goes above
/// the root, or it goes up behind a name. That name may be a link, to a directory that lies less deep.
pub fn climbs_out(path: &EntryPath, target: &[u8]) -> bool {
    if target.starts_with(b"/") {
        return true;
    }
    let mut depth = path.as_bytes().iter().filter(|&&b| b == b'/').count();
    let mut is_named = false;
    for name in target.split(|&b| b == b'/') {
        match name {
            b"" | b"." => {}
            b".." if is_named || depth == 0 => return true,
            b".." => depth -= 1,
            _ => is_named = true,
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
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_link_climbs_out_where_it_is_absolute_or_goes_above_the_root_or_up_behind_a_name() {
        for (path, target, out) in [
            ("etc/a/link", "x", false),
            ("etc/a/link", "../b", false),
            ("etc/a/link", "../../usr/./x", false),
            ("etc/a/link", "../../../x", true),
            ("etc/a/link", "x/../../../../y", true),
            ("etc/a/link", "/etc/x", true),
            ("motd", "..", true),
            ("etc/a/link", ".././../usr/x/", false),
            ("motd", "a/../b", true),
            // `up` may be a link to the root itself, which the lexical count does not see.
            ("etc/a/b/esc", "up/../x", true),
            ("etc/a/b/up", "../../..", false),
        ] {
            assert_eq!(
                climbs_out(&EntryPath::new(path).unwrap(), target.as_bytes()),
                out,
                "{path} -> {target}"
            );
        }
    }

    /// The look-up as it says itself: every directory on the way is looked up.
    fn model(path: &EntryPath, link: impl Fn(&EntryPath) -> Option<Vec<u8>>) -> Option<EntryPath> {
        let names = |bytes: &[u8]| bytes.rsplit(|&b| b == b'/').map(<[u8]>::to_vec).collect::<Vec<_>>();
        let (mut todo, mut done, mut followed) = (names(path.as_bytes()), Vec::<Vec<u8>>::new(), 0);
        while let Some(name) = todo.pop() {
            match name.as_slice() {
                b"" | b"." => continue,
                b".." => drop(done.pop()),
                _ => {
                    done.push(name);
                    let here = EntryPath::new(done.join(&b'/')).ok()?;
                    let Some(target) = link(&here).filter(|_| !todo.is_empty()) else { continue };
                    followed += 1;
                    if followed > MAX_LINKS {
                        return None;
                    }
                    done.pop();
                    if target.starts_with(b"/") {
                        done.clear();
                    }
                    todo.extend(names(&target));
                }
            }
        }
        EntryPath::new(done.join(&b'/')).ok()
    }

    proptest! {
        #[test]
        fn a_look_up_leads_where_looking_at_every_directory_leads(
            links in proptest::collection::btree_map("[abc](/[abc]){0,3}", "/?(\\.\\./|\\./|[abc]/|/){0,4}[abc.]?", 0..8),
            stale in "[abc](/[abc]){0,2}",
            path in "[abc](/[abc]){0,5}",
        ) {
            let links: HashMap<_, _> =
                links.into_iter().map(|(p, target)| (EntryPath::new(p).unwrap(), target.into_bytes())).collect();
            let mut known = Links::default();
            links.keys().for_each(|path| known.insert(path));
            // Removed since, which is not forgotten.
            known.insert(&EntryPath::new(stale).unwrap());
            let path = EntryPath::new(path).unwrap();
            let found = resolve(&path, &known, |p| links.get(p).map(Vec::as_slice));
            prop_assert_eq!(found, model(&path, |p| links.get(p).cloned()));
        }
    }

    #[test]
    fn what_no_image_can_hold_leads_nowhere_even_on_the_way() {
        let link = EntryPath::new("a").unwrap();
        let mut known = Links::default();
        known.insert(&link);
        for target in ["x".repeat(256) + "/../b", "x\n/../b".to_owned(), "b/../".repeat(2048)] {
            let path = EntryPath::new("a/c").unwrap();
            assert_eq!(
                resolve(&path, &known, |p| (*p == link).then_some(target.as_bytes())),
                None,
                "{target:?}"
            );
        }
    }

    #[test]
    fn many_files_at_the_longest_path_take_no_time() {
        let deep = "d/".repeat(2000);
        let mut known = Links::default();
        known.insert(&EntryPath::new("bin").unwrap());
        let start = std::time::Instant::now();
        for n in 0..200 {
            let path = EntryPath::new(format!("{deep}{n}")).unwrap();
            assert_eq!(resolve(&path, &known, |_| None), Some(path.clone()));
        }
        // Every directory looked up by its whole path took minutes.
        let took = start.elapsed();
        assert!(took.as_secs() < 20, "{took:?}");
    }
}
