//! The same by hoopy: a stack of layers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use hoopy_base::arch::Arch;
use hoopy_base::jobs::Jobs;
use hoopy_base::report::{Silent, Timings};
use hoopy_build::config::{Overrides, System};
use hoopy_build::context::Context;
use hoopy_build::fetch::Client;
use hoopy_build::stack::{Inputs, Stack, fold};
use hoopy_build::working_tree::WorkingTree;
use hoopy_store::Store;
use hoopy_store::layer::package::{PackageFile, import};
use hoopy_store::layer::{EntryPath, Kind};

use crate::outcome::{Outcome, is_compared, line, stanzas};
use crate::script::Commands;
use crate::world::Made;

/// Lays the packages over each other in this order.
pub fn install(packages: &[&Made], dir: &Path) -> Outcome {
    let store = Arc::new(Store::open(&dir.join("store")).unwrap());
    std::fs::write(dir.join("packages"), "").unwrap();
    let system = System::load(dir, &Overrides::default()).unwrap();
    let imported = packages.iter().map(|made| {
        let sha256 = store.put_blob(&made.bytes).unwrap();
        let file = PackageFile { name: made.label.clone(), sha256, size: made.bytes.len() as u64 };
        Arc::new(import(&file, &store).unwrap())
    });
    let packages = imported.collect();
    let tree = WorkingTree::default();
    let inputs = Inputs {
        system: &system,
        arch: Arch::X86_64,
        epoch: 1_790_000_000,
        packages,
        keys: Vec::new(),
        images: &[],
        agents: &[],
        boots: false,
        tree: &tree,
    };
    let (client, jobs) = (Client::default(), Jobs::new(1));
    let context = Context { store: &store, client: &client, jobs: &jobs, observer: &Silent };
    match fold(&inputs, &mut Commands, &|_, _| {}, &mut Timings::default(), context) {
        Ok(stack) => installed(&stack, &store),
        Err(_) => Outcome::Refused,
    }
}

fn installed(stack: &Stack, store: &Store) -> Outcome {
    let mut tree = BTreeMap::new();
    for (path, entry, at) in stack.tree.iter() {
        let (kind, content, of) = match &entry.kind {
            Kind::Dir { .. } => ('d', Vec::new(), entry),
            Kind::Symlink(target) => ('l', target.clone(), entry),
            Kind::Hardlink(first) => {
                let layer = &stack.tree.layers()[at.layer];
                let found = layer.entries.iter().find(|e| e.path == *first);
                let first = found.unwrap_or_else(|| panic!("{path} is another name of nothing: {first}"));
                ('f', stack.read(path, store).unwrap().unwrap(), first)
            }
            _ => ('f', stack.read(path, store).unwrap().unwrap_or_default(), entry),
        };
        let name = path.to_string();
        if is_compared(&name) {
            let mode = if kind == 'l' { 0o777 } else { of.mode };
            tree.insert(name, line(kind, mode, (of.user.id, of.group.id), &content));
        }
    }
    let database = EntryPath::new("lib/apk/db/installed").unwrap();
    let database = String::from_utf8(stack.read(&database, store).unwrap().unwrap()).unwrap();
    Outcome::Installed { tree, database: stanzas(&database) }
}
