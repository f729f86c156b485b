//! Running a script over the stack, or reusing what it made the last time.

use std::sync::Arc;

use hoopy_base::arch::Arch;
use hoopy_base::digest::{Hasher, LayerId, RecipeId};
use hoopy_base::jobs::Jobs;
use hoopy_sandbox::{Captured, SandboxError, Script};
use hoopy_store::layer::package::Package;
use hoopy_store::layer::stored::Layer;

use super::{Origin, Stack, StackError, capture};
use crate::context::Context;

/// Changes whenever the same script over the same stack could come out otherwise: the sandbox's environment,
/// or what is kept of its changes.
const VERSION: &str = "hoopy script 1";

/// The environment of package scripts (apk-tools `src/database.c`), and of `setup.sh`.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Runs scripts over stacks of layers: a sandbox on this machine, or a virtual machine.
pub trait Runner {
    /// Says, as soon as it is known, that there is no image of the same yet: mostly a script runs then, and what it takes
    /// to run one may be started while packages are read.
    fn expect(&mut self, _jobs: &Jobs) {}
    /// Says once, before the first script, which packages the image has, in install order: a machine boots what is among
    /// them.
    fn prepare(&mut self, _packages: &[Arc<Package>], _epoch: u64) {}
    /// Runs `script` over `layers`, bottom first.
    ///
    /// # Errors
    /// [`SandboxError`] when it fails or cannot be run.
    fn run(
        &mut self,
        layers: &[Layer],
        script: &Script,
        context: Context<'_>,
    ) -> Result<Captured, SandboxError>;
    /// Says that no script comes any more: what is kept for them may go, without anybody waiting for that.
    fn end(&mut self, _jobs: &Jobs) {}
}

/// A script of a build, and what else its result depends on.
#[derive(Debug)]
pub struct Job {
    /// The script.
    pub script: Script,
    /// The digest of what it sees beyond the layers: the directory at `/mnt`.
    pub sees: Vec<u8>,
    /// Where its layer comes from.
    pub origin: Origin,
}

/// What every script of a build has in common.
pub struct Scripts<'a> {
    /// What all steps of the build have in common.
    pub context: Context<'a>,
    /// The architecture.
    pub arch: Arch,
    /// Seconds since 1970: the time of all that scripts make.
    pub epoch: u64,
    /// Who runs them.
    pub runner: &'a mut dyn Runner,
}

/// The environment of a script: nothing of the host's.
pub fn environment(extra: &[(&str, &str)], epoch: u64) -> Vec<(String, String)> {
    let epoch = epoch.to_string();
    let common = [("PATH", PATH), ("SOURCE_DATE_EPOCH", &epoch), ("LANG", "C.UTF-8"), ("TZ", "UTC")];
    common.iter().chain(extra).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

/// Lays what the script of `job` changes on the stack.
pub fn apply(stack: &mut Stack, job: Job, scripts: &mut Scripts<'_>) -> Result<(), StackError> {
    let recipe = recipe(stack, &job, scripts.arch, rustix::system::uname().release().to_bytes());
    let store = scripts.context.store;
    let remembered = store.recall::<LayerId>(recipe).and_then(|id| {
        let entries = store.layer(id)?;
        store.has_data(id, Layer::data_size(&entries)).then(|| Layer::whole(id, entries))
    });
    let layer = match remembered {
        Some(layer) => layer,
        None => {
            let captured = scripts.runner.run(stack.tree.layers(), &job.script, scripts.context);
            let captured = captured.map_err(|e| named(e, stack))?;
            let layer = capture::keep(captured, stack, scripts.epoch, store)?;
            store.remember(recipe, &layer.id)?;
            layer
        }
    };
    stack.push(layer, job.origin);
    Ok(())
}

/// A layer's id means nothing to anybody: whose it is, is said where an error is about one.
fn named(error: SandboxError, stack: &Stack) -> StackError {
    let whose =
        |(layer, origin): (&Layer, &Origin)| (Some(layer.id) == error.layer()).then(|| origin.label());
    match stack.iter().find_map(whose) {
        Some(origin) => StackError::Unpack { origin, source: error },
        None => error.into(),
    }
}

/// All that the script can see, digested. It sees which kernel runs it: uname(2) has no namespace for that.
fn recipe(stack: &Stack, job: &Job, arch: Arch, kernel: &[u8]) -> RecipeId {
    let mut hasher = Hasher::new(VERSION);
    let script = &job.script;
    hasher.field(env!("CARGO_PKG_VERSION").as_bytes());
    hasher.field(kernel).field(arch.as_str().as_bytes());
    hasher.field(script.name.as_bytes()).field(&script.body);
    hasher.field(&(script.args.len() as u64).to_le_bytes());
    script.args.iter().for_each(|arg| {
        hasher.field(arg);
    });
    for (key, value) in &script.env {
        hasher.field(key.as_bytes()).field(value.as_bytes());
    }
    hasher.field(&[u8::from(script.network)]).field(&job.sees);
    for layer in stack.tree.layers() {
        hasher.field(layer.id.as_bytes());
    }
    RecipeId::from_bytes(hasher.finish())
}

#[cfg(test)]
mod tests {
    use hoopy_store::layer::{Entry, EntryPath, Kind};

    use super::*;

    fn job() -> Job {
        let script = Script {
            name: "a.post-install".into(),
            body: b"#!/bin/sh\n".to_vec(),
            args: vec![b"1".to_vec()],
            env: environment(&[("HOME", "/root")], 1),
            cwd: "/".into(),
            bind: None,
            hidden: Vec::new(),
            network: false,
        };
        Job { script, sees: Vec::new(), origin: Origin::Setup }
    }

    fn with(change: impl FnOnce(&mut Job)) -> RecipeId {
        let mut job = job();
        change(&mut job);
        recipe(&Stack::default(), &job, Arch::X86_64, b"6.12.1")
    }

    #[test]
    fn nothing_that_a_script_can_see_is_left_out_of_its_recipe() {
        let same = with(|_| {});
        assert_eq!(with(|_| {}), same);
        let changes: [(&str, RecipeId); 9] = [
            ("name", with(|job| job.script.name.push('2'))),
            ("text", with(|job| job.script.body.push(b'#'))),
            ("argument", with(|job| job.script.args[0] = b"2".to_vec())),
            ("another argument", with(|job| job.script.args.push(Vec::new()))),
            ("environment", with(|job| job.script.env = environment(&[("HOME", "/home")], 1))),
            ("time", with(|job| job.script.env = environment(&[("HOME", "/root")], 2))),
            ("network", with(|job| job.script.network = true)),
            ("directory at /mnt", with(|job| job.sees = vec![1])),
            ("kernel", recipe(&Stack::default(), &job(), Arch::X86_64, b"6.12.2")),
        ];
        for (what, recipe) in changes {
            assert_ne!(recipe, same, "another {what} was not noticed");
        }
        let path = EntryPath::new("etc");
        let entry = path.map(|path| Entry::new(path, Kind::Dir { opaque: false }, 0o755));
        let mut stack = Stack::default();
        stack.push(Layer::whole(LayerId::from_bytes([1; 32]), entry.into_iter().collect()), Origin::Files);
        assert_ne!(recipe(&stack, &job(), Arch::X86_64, b"6.12.1"), same, "another layer was not noticed");
    }

    #[test]
    fn a_layer_that_cannot_be_unpacked_is_called_by_whose_it_is() {
        let mut stack = Stack::default();
        let [first, second, other] = [1, 2, 3].map(|n| LayerId::from_bytes([n; 32]));
        // A layer without entries is not kept.
        let entries =
            || vec![Entry::new(EntryPath::new("etc").expect("a path"), Kind::Dir { opaque: false }, 0o755)];
        stack.push(Layer::whole(first, entries()), Origin::Files);
        stack.push(Layer::whole(second, entries()), Origin::Script("a-1.post-install".to_owned()));
        let read = |id| SandboxError::Read { id, source: std::io::Error::other("too large") };
        let unpack = |id| SandboxError::Unpack {
            id,
            kind: std::io::ErrorKind::Other,
            message: "too large".to_owned(),
        };
        let said = named(unpack(first), &stack).to_string();
        assert_eq!(said, format!("root/: cannot unpack layer {first}: too large"));
        let said = named(read(second), &stack).to_string();
        assert_eq!(said, format!("a-1.post-install: cannot read layer {second}: too large"));
        assert_eq!(named(read(other), &stack).to_string(), read(other).to_string());
    }
}
