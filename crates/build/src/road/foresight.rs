//! A runner that knows what it means that scripts are expected: the image will be another one, and can be begun.

use std::sync::Arc;

use hoopy_base::digest::RecipeId;
use hoopy_sandbox::{Captured, SandboxError, Script};
use hoopy_store::Store;
use hoopy_store::layer::Layer;
use hoopy_store::layer::package::Package;

use super::Output;
use super::before::Before;
use crate::image::Ahead;
use crate::stack::{Beside, Runner};
use crate::target::Target;

/// Runs scripts, and begins the image when the first one is expected.
pub struct Foresight<'a> {
    runner: &'a mut dyn Runner,
    ahead: Option<Ahead>,
}

impl<'a> Foresight<'a> {
    /// Of the last image of `target`, where there is one as it was written.
    pub fn new(runner: &'a mut dyn Runner, target: &Target, output: Output, store: &Store) -> Self {
        let before: Option<Before> = store.recall(last(target, output)).filter(|_| output == Output::Uki);
        let ahead = before
            .and_then(|before| before.untouched(&target.system, store))
            .map(|built| Ahead::of(built.path));
        Self { runner, ahead }
    }

    /// The image that is begun.
    pub fn into_ahead(self) -> Option<Ahead> {
        self.ahead
    }
}

/// Where the last image of a directory is remembered.
pub fn last(target: &Target, output: Output) -> RecipeId {
    let dir = &target.system.dir;
    let (dir, name) = (dir.canonicalize().unwrap_or_else(|_| dir.clone()), &target.image_name);
    let fields = [dir.as_os_str().as_encoded_bytes(), name.as_bytes(), &[output as u8]];
    RecipeId::of_fields("hoopy last image of a directory 1", &fields)
}

impl Runner for Foresight<'_> {
    fn expect(&mut self) {
        if let Some(ahead) = &mut self.ahead {
            ahead.begin();
        }
        self.runner.expect();
    }

    fn prepare<'b>(&mut self, packages: &[Arc<Package>], epoch: u64, store: &'b Store) -> Option<Beside<'b>> {
        self.runner.prepare(packages, epoch, store)
    }

    fn run(&mut self, layers: &[Layer], store: &Store, script: &Script) -> Result<Captured, SandboxError> {
        self.runner.run(layers, store, script)
    }

    fn end(&mut self) {
        self.runner.end();
    }
}
