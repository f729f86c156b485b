//! The fold itself: from locked packages and a system directory to the stack, bottom up.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use hoopy_apk::package::ScriptKind;
use hoopy_base::arch::Arch;
use hoopy_base::report::{Observer, Timings};
use hoopy_boot::release::Release;
use hoopy_lock::LockedImage;
use hoopy_sandbox::Script;
use hoopy_store::Store;
use hoopy_store::layer::package::Package;
use hoopy_store::layer::stored::Layer;
use hoopy_store::layer::{Entry, EntryPath, files};
use hoopy_store::tree::settle::{Accounts, Directories, NO_MODES};

use super::conflict::{Conflict, Winner, winner};
use super::directories::DirectoryOwners;
use super::kmod::Modules;
use super::package_layer::settled_layer;
use super::scripts::{Job, Runner, Scripts, apply, environment};
use super::secrets::{self, SecretInputs, SecretLayer};
use super::state::{self, StateInputs};
use super::{
    Origin, Stack, StackError, accounts, configuration, conflict, containers, database, finish, health,
    modes, monitor, passwords, protect, root_mount, setup, triggers,
};
use crate::config::System;
use crate::context::Context;
use crate::working_tree::WorkingTree;

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
    /// The images of containers that the lock has.
    pub images: &'a [LockedImage],
    /// Where the agent is looked for.
    pub agents: &'a [std::path::PathBuf],
    /// Which files of `root/` git tracks.
    pub tree: &'a WorkingTree,
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
    let (lost, owners) = (HashSet::new(), DirectoryOwners::default());
    let mut fold = Fold { stack: Stack::default(), lost, owners, settled, modules, scripts };
    let made = fold.bottom_up(inputs, timings);
    fold.scripts.runner.end(context.jobs);
    made.map(|()| fold.stack)
}

/// Lays the release file on top, last: the image's name in it alone differs between two builds of the same.
/// `name` is another file for the name alone.
///
/// # Errors
/// [`StackError`].
pub fn add_release_file(
    stack: &mut Stack,
    release: &Release,
    name: Option<&EntryPath>,
    epoch: u64,
    store: &Store,
) -> Result<(), StackError> {
    let layer = finish::release(release, name, epoch, store)?;
    let accounts = accounts::of(stack, &layer.entries, store)?;
    let directories = Directories::Keep(&NO_MODES);
    let layer = settled_layer(&layer, &stack.tree, &accounts, &HashSet::new(), directories, epoch);
    let layer = layer.map_err(|source| StackError::Lost { origin: Origin::Release.label(), source })?;
    store.put_layer(&layer.entries)?;
    stack.push(layer, Origin::Release);
    Ok(())
}

/// Modes of what lies in `root/`: secrets have theirs in the same table.
fn root_modes(system: &System) -> BTreeMap<EntryPath, u32> {
    let of_root = system.modes.iter().filter(|(path, _)| !system.has_secret(path));
    of_root.map(|(path, mode)| (path.clone(), *mode)).collect()
}

/// What a package's script is called.
fn script_name(package: &Package, kind: ScriptKind) -> String {
    format!("{}-{}.{kind}", package.record.name, package.record.version)
}

struct Fold<'a> {
    stack: Stack,
    /// Files that a package gave up to another.
    lost: HashSet<(Box<str>, EntryPath)>,
    owners: DirectoryOwners,
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
            inputs
                .packages
                .iter()
                .try_for_each(|p| self.trigger(p, triggers::matching(&p.triggers, &self.stack)))?;
            self.database()?;
            self.lock_accounts(None)
        })?;
        timings.step("root/ and setup.sh", observer, || {
            let below = self.stack.tree.layers().len();
            self.own_files(inputs)?;
            self.lock_accounts(Some(observer))?;
            self.trigger_again(inputs, below)?;
            if let Some(job) = setup::job(&system.dir, system.network, epoch)? {
                apply(&mut self.stack, job, &mut self.scripts)?;
            }
            if inputs.boots {
                self.files(root_mount::layer(&self.stack, epoch, store)?, Origin::Init)?;
            }
            if system.layout.has_trials() {
                let layer = health::layer(&self.stack, system.layout, epoch, store)?;
                self.files(layer, Origin::Health)?;
            }
            if let Some(layer) = containers::layer(&self.stack, inputs.images, epoch, store)? {
                self.files(layer, Origin::Containers)?;
            }
            self.secrets(inputs)?;
            self.state(inputs)?;
            if let Some(settings) = system.monitor.as_ref().filter(|_| inputs.boots) {
                let page = monitor::Page { settings, arch: inputs.arch, epoch, agents: inputs.agents };
                self.files(page.layer(&self.stack, store)?, Origin::Monitor)?;
            }
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

    fn state(&mut self, inputs: &Inputs<'_>) -> Result<(), StackError> {
        let Inputs { system, arch, epoch, agents, .. } = *inputs;
        if system.state.lines.is_empty() {
            return Ok(());
        }
        let inputs = StateInputs { system, arch, epoch, agents };
        let layer = state::layer(&inputs, &self.stack, self.scripts.context.store)?;
        self.files(layer, Origin::State)
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
        let mut yielded = self.conflicts(package)?;
        let layer = protect::spare(package, &self.stack, &mut yielded, self.scripts.context.store)?;
        // Settled, paths no longer go over links.
        let yielded = yielded.iter().filter_map(|path| self.stack.tree.through_links(path)).collect();
        let accounts = accounts::of(&self.stack, &package.layer.entries, self.scripts.context.store)?;
        let kept = self.claim_directories(package, &accounts);
        let origin = Origin::Package(package.clone());
        self.settle(&layer, &accounts, &yielded, Directories::Except(&kept), origin)?;
        self.script(package, ScriptKind::PostInstall)
    }

    /// The directories of `package` that stay as they are below.
    fn claim_directories(&mut self, package: &Arc<Package>, accounts: &Accounts) -> HashSet<EntryPath> {
        let Self { stack, owners, .. } = self;
        // hoopy's own files of apk come first, and nobody asked for the directories that they are in.
        let configuration = stack.iter().next().map(|(layer, _)| layer.clone());
        let unclaimed = |path: &EntryPath| {
            let same =
                |e: &Entry| e.path == *path && stack.tree.get(path).is_some_and(|t| t.access() == e.access());
            configuration.iter().any(|layer| layer.entries.iter().any(same))
        };
        owners.claim(package, &stack.tree, accounts, &unclaimed)
    }

    /// The files that `package` yields to packages below. What they yield to it is simply overlaid.
    fn conflicts(&mut self, package: &Package) -> Result<HashSet<EntryPath>, StackError> {
        let mut yielded = HashSet::new();
        let mut walk = self.stack.tree.walk();
        for entry in package.layer.entries.iter() {
            // apk knows files by the paths that packages give them, which may go over links.
            let there = walk.through_links(&entry.path).and_then(|path| self.stack.tree.get(&path));
            let Some(there) = there else { continue };
            conflict::check_kinds(entry, there, package, &self.stack)?;
            if entry.is_dir() || there.is_dir() {
                continue;
            }
            let Some(first) = self.stack.package_with(&entry.path, &there.path) else { continue };
            match winner(&first.record, &package.record) {
                Winner::First => {
                    self.lost.insert((package.record.name.clone(), entry.path.clone()));
                    yielded.insert(entry.path.clone());
                }
                Winner::Second => {
                    self.lost.insert((first.record.name.clone(), entry.path.clone()));
                }
                Winner::Neither => return Err(Conflict::both(&entry.path, first, package).into()),
            }
        }
        conflict::check_links(package, &yielded)?;
        Ok(yielded)
    }

    /// `root/`, what `[modes]` says of packages' files, and the user's programs.
    fn own_files(&mut self, inputs: &Inputs<'_>) -> Result<(), StackError> {
        let (system, epoch, store) = (inputs.system, inputs.epoch, self.scripts.context.store);
        let modes = root_modes(system);
        let mode_of =
            |path: &EntryPath, local| modes.get(path).copied().unwrap_or(inputs.tree.mode(path, local));
        let root = files::skeleton(&system.path("root"), &mode_of, epoch, store)?;
        let others = modes::layer(&modes, &root, &self.stack, epoch, store)?;
        let copied = files::copied(system.programs.iter().flat_map(|p| &p.copy), epoch, store)?;
        let layers = [(root, Origin::Files), (others, Origin::Finish), (copied, Origin::Programs)];
        for (layer, origin) in layers {
            conflict::check_covers(&layer, &origin, &self.stack)?;
            self.own_layer(&layer, Directories::Keep(&modes), origin)?;
        }
        Ok(())
    }

    fn lock_accounts(&mut self, tell: Option<&dyn Observer>) -> Result<(), StackError> {
        let (epoch, store) = (self.scripts.epoch, self.scripts.context.store);
        match passwords::lock(&self.stack, epoch, store, tell)? {
            Some(layer) => self.files(layer, Origin::Finish),
            None => Ok(()),
        }
    }

    fn files(&mut self, layer: Layer, origin: Origin) -> Result<(), StackError> {
        self.own_layer(&layer, Directories::Keep(&NO_MODES), origin)
    }

    /// Lays a layer on top that is no package's and yields nothing.
    fn own_layer(
        &mut self,
        layer: &Layer,
        directories: Directories<'_>,
        origin: Origin,
    ) -> Result<(), StackError> {
        let accounts = accounts::of(&self.stack, &layer.entries, self.scripts.context.store)?;
        self.settle(layer, &accounts, &HashSet::new(), directories, origin)
    }

    /// Lays `layer` on top as it is over what is below, without the paths that it yields.
    fn settle(
        &mut self,
        layer: &Layer,
        accounts: &Accounts,
        without: &HashSet<EntryPath>,
        directories: Directories<'_>,
        origin: Origin,
    ) -> Result<(), StackError> {
        let (epoch, store) = (self.scripts.epoch, self.scripts.context.store);
        let settled = settled_layer(layer, &self.stack.tree, accounts, without, directories, epoch);
        let settled = settled.map_err(|source| StackError::Lost { origin: origin.label(), source })?;
        if settled.id != layer.id {
            store.put_layer(&settled.entries)?;
        }
        (self.settled)(&settled, &origin);
        self.stack.push(settled, origin);
        Ok(())
    }

    fn script(&mut self, package: &Package, kind: ScriptKind) -> Result<(), StackError> {
        self.run(package, kind, vec![package.record.version.as_str().into()])
    }

    /// What lies in `root/` and `programs`, from the layer `below` on, is made known to the packages that watch its
    /// directories: kernel modules, certificates, fonts, schemas.
    fn trigger_again(&mut self, inputs: &Inputs<'_>, below: usize) -> Result<(), StackError> {
        let own = below..self.stack.tree.layers().len();
        for package in &inputs.packages {
            let matching = triggers::matching_again(&package.triggers, &self.stack, own.clone());
            self.trigger(package, matching)?;
        }
        Ok(())
    }

    fn trigger(&mut self, package: &Package, matching: Vec<Vec<u8>>) -> Result<(), StackError> {
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
