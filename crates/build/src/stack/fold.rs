//! The fold itself: from locked packages and a system directory to the stack, bottom up.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use hoopy_apk::package::ScriptKind;
use hoopy_base::arch::Arch;
use hoopy_base::report::Timings;
use hoopy_boot::layout::Layout;
use hoopy_boot::release::Release;
use hoopy_sandbox::Script;
use hoopy_store::Store;
use hoopy_store::layer::package::Package;
use hoopy_store::layer::stored::Layer;
use hoopy_store::layer::{Entry, EntryPath, Kind, files};
use hoopy_store::tree::settle::Directories;

use super::conflict::{FileConflict, Winner, winner};
use super::kmod::Modules;
use super::package_layer::settled_layer;
use super::scripts::{Job, Runner, Scripts, apply, environment};
use super::secrets::{self, SecretInputs, SecretLayer};
use super::{
    Origin, Stack, StackError, accounts, configuration, database, finish, health, root_mount, setup, triggers,
};
use crate::config::System;
use crate::context::Context;

/// What a stack is made of.
pub struct Inputs<'a> {
    /// The system directory.
    pub system: &'a System,
    /// The architecture.
    pub arch: Arch,
    /// No time in the image is later.
    pub epoch: u64,
    /// Whether what is made of it boots, and needs a first program.
    pub boots: bool,
    /// The packages, in install order.
    pub packages: Vec<Arc<Package>>,
    /// The trusted keys' files.
    pub keys: Vec<(String, Vec<u8>)>,
    /// Where the agent is looked for.
    pub agents: &'a [std::path::PathBuf],
}

/// Takes each package and each directory of files as soon as its layer is what it will be.
pub type Settled<'a> = &'a dyn Fn(&Layer, &Origin);

/// Makes the stack.
///
/// # Errors
/// [`StackError`].
pub fn fold(
    inputs: &Inputs<'_>,
    runner: &mut dyn Runner,
    settled: Settled<'_>,
    timings: &mut Timings,
    context: Context<'_>,
) -> Result<Stack, StackError> {
    runner.prepare(&inputs.packages, inputs.epoch);
    let modules = Modules::begin(&inputs.packages, inputs.epoch, context);
    let scripts = Scripts { context, arch: inputs.arch, epoch: inputs.epoch, runner };
    let mut fold = Fold { stack: Stack::default(), lost: HashSet::new(), settled, modules, scripts };
    let made = fold.bottom_up(inputs, timings);
    fold.scripts.runner.end(context.jobs);
    made.map(|()| fold.stack)
}

/// Lays the release file on top, last: the image's name in it alone differs between two builds of the same.
///
/// # Errors
/// [`StackError`].
pub fn add_release_file(
    stack: &mut Stack,
    release: &Release,
    epoch: u64,
    store: &Store,
) -> Result<(), StackError> {
    let layer = finish::release(release, epoch, store)?;
    let layer = settle_on(stack, &layer, &HashSet::new(), Directories::Keep, &Origin::Release, epoch, store)?;
    stack.push(layer, Origin::Release);
    Ok(())
}

/// `layer` as it is on `stack`, without the paths that it yields.
fn settle_on(
    stack: &Stack,
    layer: &Layer,
    without: &HashSet<EntryPath>,
    directories: Directories,
    origin: &Origin,
    epoch: u64,
    store: &Store,
) -> Result<Layer, StackError> {
    let accounts = accounts::of(stack, &layer.entries, store)?;
    let settled = settled_layer(layer, &stack.tree, &accounts, without, directories, epoch);
    let settled = settled.map_err(|source| StackError::Lost { origin: origin.label(), source })?;
    if settled.id != layer.id {
        store.put_layer(&settled.entries)?;
    }
    Ok(settled)
}

/// Modes of what lies in `root/`: secrets have theirs in the same table.
fn root_modes(system: &System) -> BTreeMap<EntryPath, u32> {
    let is_secret = |path: &EntryPath| system.path(&format!("secrets/{path}.age")).is_file();
    system
        .modes
        .iter()
        .filter(|(path, _)| !is_secret(path))
        .map(|(path, mode)| (path.clone(), *mode))
        .collect()
}

/// What a package's script is called.
fn script_name(package: &Package, kind: ScriptKind) -> String {
    format!("{}-{}.{kind}", package.record.name, package.record.version)
}

/// Where packages overwrite what is there: services are programs, and `etc/apk` is hoopy's own.
const UNPROTECTED: [&[u8]; 2] = [b"etc/init.d", b"etc/apk"];

struct Fold<'a> {
    stack: Stack,
    /// Files that a package gave up to another.
    lost: HashSet<(Box<str>, EntryPath)>,
    settled: Settled<'a>,
    modules: Modules,
    scripts: Scripts<'a>,
}

impl Fold<'_> {
    fn bottom_up(&mut self, inputs: &Inputs<'_>, timings: &mut Timings) -> Result<(), StackError> {
        let (system, epoch) = (inputs.system, inputs.epoch);
        let Context { store, observer, .. } = self.scripts.context;
        timings.step("packages and scripts", observer, || {
            self.configuration(inputs)?;
            inputs.packages.iter().try_for_each(|p| self.package(p))?;
            inputs.packages.iter().try_for_each(|p| self.trigger(p))?;
            self.database()
        })?;
        timings.step("root/ and setup.sh", observer, || {
            self.files(
                files::skeleton(&system.path("root"), &root_modes(system), epoch, store)?,
                Origin::Files,
            )?;
            let copied = files::copied(system.programs.iter().flat_map(|p| &p.copy), epoch, store)?;
            self.files(copied, Origin::Programs)?;
            if let Some(job) = setup::job(&system.dir, system.network, epoch)? {
                apply(&mut self.stack, job, &mut self.scripts)?;
            }
            if inputs.boots {
                self.files(root_mount::layer(&self.stack, epoch, store)?, Origin::Init)?;
            }
            if system.layout == Layout::Ab {
                self.files(health::layer(&self.stack, epoch, store)?, Origin::Health)?;
            }
            self.secrets(inputs)?;
            let layer = finish::layer(&self.stack, epoch, store, observer)?;
            self.stack.push(layer, Origin::Finish);
            Ok(())
        })
    }

    fn secrets(&mut self, inputs: &Inputs<'_>) -> Result<(), StackError> {
        let Inputs { system, arch, epoch, agents, .. } = *inputs;
        let inputs = SecretInputs { system, arch, epoch, agents };
        let Some(SecretLayer { layer, sealed }) =
            secrets::layer(&inputs, &self.stack, self.scripts.context.store)?
        else {
            return Ok(());
        };
        self.stack.sealed = sealed;
        self.files(layer, Origin::Secrets)
    }

    fn configuration(&mut self, inputs: &Inputs<'_>) -> Result<(), StackError> {
        let system = inputs.system;
        let world = system.world.texts();
        let layer = configuration::layer(
            inputs.arch,
            &system.repositories,
            &world,
            &inputs.keys,
            inputs.epoch,
            self.scripts.context.store,
        )?;
        self.stack.push(layer, Origin::Configuration);
        Ok(())
    }

    fn package(&mut self, package: &Arc<Package>) -> Result<(), StackError> {
        self.script(package, ScriptKind::PreInstall)?;
        let yielded = self.conflicts(package)?;
        let layer = self.spare_configuration(package)?;
        let origin = Origin::Package(package.clone());
        self.settle(&layer, &yielded, Directories::Override, origin)?;
        self.script(package, ScriptKind::PostInstall)
    }

    /// The files that `package` yields to packages below. What they yield to it is simply overlaid.
    fn conflicts(&mut self, package: &Package) -> Result<HashSet<EntryPath>, StackError> {
        let mut yielded = HashSet::new();
        for entry in package.layer.entries.iter().filter(|e| !e.is_dir()) {
            let Some(at) = self.stack.tree.at(&entry.path) else { continue };
            let Origin::Package(first) = &self.stack.origins[at.layer] else { continue };
            match winner(&first.record, &package.record) {
                Winner::First => {
                    self.lost.insert((package.record.name.clone(), entry.path.clone()));
                    yielded.insert(entry.path.clone());
                }
                Winner::Second => {
                    self.lost.insert((first.record.name.clone(), entry.path.clone()));
                }
                Winner::Neither => {
                    let name = |p: &Package| format!("{}-{}", p.record.name, p.record.version);
                    let (first, second) = (name(first), name(package));
                    return Err(FileConflict { path: entry.path.clone(), first, second }.into());
                }
            }
        }
        Ok(yielded)
    }

    /// What a script made under `etc/` before `package` came with the same file stays; the package's own lies
    /// beside it as `.apk-new` (apk-tools `src/database.c`, with its default protected paths).
    fn spare_configuration(&self, package: &Package) -> Result<Layer, StackError> {
        let spared = |entry: &Entry| {
            let path = &entry.path;
            let protected = path.is_within(b"etc") && !UNPROTECTED.iter().any(|dir| path.is_within(dir));
            let made = self.stack.tree.at(path).is_some_and(|at| {
                let by_package = matches!(self.stack.origins[at.layer], Origin::Package(_));
                let there = self.stack.tree.get(path);
                !by_package && there.is_some_and(|there| !there.is_dir() && there.kind != entry.kind)
            });
            protected && made && matches!(entry.kind, Kind::File { .. })
        };
        let layer = &package.layer;
        if !layer.entries.iter().any(spared) {
            return Ok(layer.clone());
        }
        let mut entries = layer.entries.to_vec();
        for entry in entries.iter_mut().filter(|e| spared(e)) {
            entry.path = EntryPath::new([entry.path.as_bytes(), b".apk-new"].concat())?;
        }
        let kept = vec![true; entries.len()];
        Ok(layer.settled(self.scripts.context.store.put_layer(&entries)?, entries, &kept))
    }

    fn files(&mut self, layer: Layer, origin: Origin) -> Result<(), StackError> {
        self.settle(&layer, &HashSet::new(), Directories::Keep, origin)
    }

    fn settle(
        &mut self,
        layer: &Layer,
        without: &HashSet<EntryPath>,
        directories: Directories,
        origin: Origin,
    ) -> Result<(), StackError> {
        let (epoch, store) = (self.scripts.epoch, self.scripts.context.store);
        let settled = settle_on(&self.stack, layer, without, directories, &origin, epoch, store)?;
        (self.settled)(&settled, &origin);
        self.stack.push(settled, origin);
        Ok(())
    }

    fn script(&mut self, package: &Package, kind: ScriptKind) -> Result<(), StackError> {
        self.run(package, kind, vec![package.record.version.as_str().into()])
    }

    fn trigger(&mut self, package: &Package) -> Result<(), StackError> {
        let matching = triggers::matching(&package.triggers, &self.stack);
        if matching.is_empty() {
            return Ok(());
        }
        let epoch = self.scripts.epoch;
        match self.modules.answer(package, &matching, &self.stack, epoch, self.scripts.context)? {
            Some(layer) => {
                self.stack.push(layer, Origin::Script(script_name(package, ScriptKind::Trigger)));
                Ok(())
            }
            None => self.run(package, ScriptKind::Trigger, matching),
        }
    }

    fn run(&mut self, package: &Package, kind: ScriptKind, args: Vec<Vec<u8>>) -> Result<(), StackError> {
        let record = &package.record;
        let Some((_, body)) = package.scripts.iter().find(|(k, _)| *k == kind) else { return Ok(()) };
        if triggers::is_unwanted(&record.name) {
            return Ok(());
        }
        let name = script_name(package, kind);
        let script = Script {
            name: name.clone(),
            body: body.clone(),
            args,
            env: environment(
                &[("APK_PACKAGE", &record.name), ("APK_SCRIPT", kind.as_str())],
                self.scripts.epoch,
            ),
            cwd: "/".into(),
            bind: None,
            hidden: Vec::new(),
            network: false,
        };
        apply(
            &mut self.stack,
            Job { script, sees: Vec::new(), origin: Origin::Script(name) },
            &mut self.scripts,
        )
    }

    fn database(&mut self) -> Result<(), StackError> {
        let layer = database::layer(&self.stack, &self.lost, self.scripts.epoch, self.scripts.context.store)?;
        self.files(layer, Origin::Database)
    }
}
