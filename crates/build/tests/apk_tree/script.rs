//! Runs the commands of made-up scripts over a stack, without a sandbox: each line ends in `# COMMAND`.

use std::collections::BTreeMap;
use std::io::{Seek as _, Write as _};

use hoopy_base::digest::ContentId;
use hoopy_build::context::Context;
use hoopy_build::stack::Runner;
use hoopy_sandbox::{Captured, SandboxError, Script};
use hoopy_store::layer::{Entry, EntryPath, Kind, Layer};
use hoopy_store::tree::Tree;

/// Does what the commands say.
pub struct Commands;

impl Runner for Commands {
    fn run(&mut self, layers: &[Layer], script: &Script, _: Context<'_>) -> Result<Captured, SandboxError> {
        let mut tree = Tree::default();
        layers.iter().for_each(|layer| tree.push(layer.clone()));
        let text = String::from_utf8_lossy(&script.body).into_owned();
        let mut changed: BTreeMap<EntryPath, (Entry, Vec<u8>)> = BTreeMap::new();
        for command in text.lines().filter_map(|line| line.split_once(" # ")) {
            command_in(command.1, &tree, &mut changed);
        }
        let mut contents = tempfile::tempfile().unwrap();
        changed.values().for_each(|(_, content)| contents.write_all(content).unwrap());
        contents.rewind().unwrap();
        let entries = changed.into_values().map(|(entry, _)| entry).collect();
        Ok(Captured { entries, contents, output: Vec::new() })
    }
}

fn command_in(command: &str, tree: &Tree, changed: &mut BTreeMap<EntryPath, (Entry, Vec<u8>)>) {
    let words: Vec<&str> = command.split(' ').collect();
    let path = |text: &str| tree.through_links(&EntryPath::new(text).unwrap()).unwrap();
    let dir = Kind::Dir { opaque: false };
    match words[..] {
        ["mkdir", mode, at] => {
            let at = path(at);
            if tree.follow(&at).is_some() || changed.contains_key(&at) {
                return;
            }
            // As `mkdir -p`: those above are 0755.
            let mut above = at.parent();
            while let Some(parent) = above.filter(|p| tree.get(p).is_none()) {
                let entry = inherited(Entry::new(parent.clone(), dir.clone(), 0o755), tree);
                changed.entry(parent.clone()).or_insert((entry, Vec::new()));
                above = parent.parent();
            }
            let made = inherited(Entry::new(at.clone(), dir, 0), tree);
            let made = Entry { mode: octal(mode), ..made };
            changed.insert(at, (made, Vec::new()));
        }
        ["chmod", mode, at] => {
            let Some(there) = tree.follow(&path(at)).filter(|e| e.is_dir()) else { return };
            changed.insert(there.path.clone(), (Entry { mode: octal(mode), ..there.clone() }, Vec::new()));
        }
        ["write", at, text] => {
            let (at, content) = (path(at), format!("{text}\n").into_bytes());
            if tree.get(&at).is_some_and(Entry::is_dir) || at.parent().is_some_and(|p| tree.get(&p).is_none())
            {
                return;
            }
            let kind = Kind::File { size: content.len() as u64, content: ContentId::of(&content) };
            changed.insert(at.clone(), (inherited(Entry::new(at, kind, 0o644), tree), content));
        }
        ["symlink", target, at] => {
            let at = path(at);
            if tree.get(&at).is_none() && at.parent().is_none_or(|p| tree.get(&p).is_some()) {
                let made = inherited(Entry::new(at.clone(), Kind::Symlink(target.into()), 0o777), tree);
                changed.insert(at, (made, Vec::new()));
            }
        }
        _ => panic!("no such command: {command}"),
    }
}

/// What is made in a directory that hands down its group has that group, and a directory hands it down again.
fn inherited(mut made: Entry, tree: &Tree) -> Entry {
    let Some(above) = made.path.parent().and_then(|dir| tree.get(&dir)).filter(|dir| dir.mode & 0o2000 != 0)
    else {
        return made;
    };
    made.group = above.group.clone();
    if made.is_dir() {
        made.mode |= 0o2000;
    }
    made
}

fn octal(mode: &str) -> u32 {
    u32::from_str_radix(mode, 8).unwrap()
}
