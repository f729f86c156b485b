//! What came of installing packages: the tree, path by path, and the installed database; or that it was refused.

use std::collections::BTreeMap;

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is installed.
    Installed {
        /// What is at each path.
        tree: BTreeMap<String, String>,
        /// The stanzas of the database, by package.
        database: BTreeMap<String, String>,
    },
    /// It was refused; the words are each one's own.
    Refused,
}

/// What neither is compared in: apk's own files, hoopy's end of every image, the shell of the test.
const LEFT_OUT: [&str; 14] = [
    "etc/apk",
    "lib/apk",
    "usr/lib/apk",
    "usr",
    "lib",
    "etc",
    "var",
    "dev",
    "run",
    "proc",
    "tmp",
    "sys",
    "shell",
    "root",
];

/// Whether the two differ at `path` for reasons of their own. Directories that are left out are not compared
/// themselves; what is below `etc`, `usr` and `lib` is.
pub fn is_compared(path: &str) -> bool {
    let below = |dir: &str| path == dir || path.starts_with(&format!("{dir}/"));
    let whole =
        ["etc/apk", "lib/apk", "usr/lib/apk", "var", "dev", "run", "proc", "tmp", "sys", "shell", "root"];
    !LEFT_OUT.contains(&path) && !whole.into_iter().any(below)
}

/// One path as a line.
pub fn line(kind: char, mode: u32, owner: (u32, u32), content: &[u8]) -> String {
    let content = String::from_utf8_lossy(content);
    format!("{kind} {mode:04o} {}:{} {}", owner.0, owner.1, content.trim_end())
}

/// The stanzas of a database by the package's name, without what depends on how it was asked.
pub fn stanzas(text: &str) -> BTreeMap<String, String> {
    let name =
        |stanza: &str| stanza.lines().find_map(|l| l.strip_prefix("P:")).unwrap_or_default().to_owned();
    text.split("\n\n").filter(|s| !s.trim().is_empty()).map(|s| (name(s), s.trim().to_owned())).collect()
}

/// How `ours` differs, one line a difference.
pub fn differences(apk: &Outcome, ours: &Outcome) -> Vec<String> {
    let (Outcome::Installed { tree: a, database: c }, Outcome::Installed { tree: b, database: d }) =
        (apk, ours)
    else {
        return if apk == ours { Vec::new() } else { vec![format!("apk: {apk:?}\nours: {ours:?}")] };
    };
    [(a, b), (c, d)].into_iter().flat_map(|(apk, ours)| compare(apk, ours)).collect()
}

fn compare(apk: &BTreeMap<String, String>, ours: &BTreeMap<String, String>) -> Vec<String> {
    let paths: std::collections::BTreeSet<&String> = apk.keys().chain(ours.keys()).collect();
    let differ = paths.into_iter().filter(|path| apk.get(*path) != ours.get(*path));
    let told = |path: &String| match (apk.get(path), ours.get(path)) {
        (Some(apk), Some(ours)) if apk.contains('\n') => {
            let (apk, ours): (Vec<&str>, Vec<&str>) = (apk.lines().collect(), ours.lines().collect());
            let lacks = |a: &[&str], b: &[&str]| {
                a.iter().filter(|l| !b.contains(l)).map(|l| (*l).to_owned()).collect::<Vec<_>>()
            };
            format!(
                "{path}: apk alone {:?}, ours alone {:?}\n{apk:?}\n{ours:?}",
                lacks(&apk, &ours),
                lacks(&ours, &apk)
            )
        }
        (apk, ours) => format!("{path}: apk {apk:?}, ours {ours:?}"),
    };
    differ.map(told).collect()
}
