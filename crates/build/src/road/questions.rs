//! What is asked of git, while other work goes on.

use hoopy_base::report::Event;
use hoopy_boot::release::Release;

use super::Options;
use crate::context::Context;
use crate::provenance::Provenance;
use crate::target::Target;
use crate::working_tree::{Question, WorkingTree};

/// Which commit a directory is at, and which files of `root/` are tracked.
pub(super) struct GitQuestions {
    provenance: Provenance,
    tree: Question,
}

impl GitQuestions {
    pub(super) fn ask(target: &Target, options: &Options) -> Self {
        let dir = options.source.as_ref().unwrap_or(&target.system.dir);
        Self { provenance: Provenance::ask(dir), tree: WorkingTree::ask(dir) }
    }

    /// The answers. Where git has none to the first, the user hears why.
    pub(super) fn answers(self, context: Context<'_>) -> (Release, WorkingTree) {
        let (release, why_not) = self.provenance.answer();
        if let Some(why) = why_not {
            context.observer.event(Event::Warning(&format!("the image does not name its commit: {why}")));
        }
        (release, self.tree.answer())
    }
}
