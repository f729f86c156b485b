//! What the search knows of each name and each package at a moment.

use super::stock::Stock;
use super::universe::{PackageId, Provider};

/// Pinning is a set of tags as bits: bit 0 is "no tag", bit n the n-th tag.
pub(super) const UNPINNED: u64 = 1;

/// In which queue a name waits to be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Queue {
    /// In none.
    #[default]
    None,
    /// Nothing is left to choose and all that could need it is decided.
    Settled,
    /// Something can be chosen by itself.
    Selectable,
    /// Nothing yet that may be chosen by itself (only unversioned `provides`).
    Unresolved,
}

/// One name.
#[derive(Debug, Clone, Default)]
pub(super) struct NameState<'a> {
    /// What stands for it; `None` inside means nothing does. Final.
    pub chosen: Option<Option<Provider<'a>>>,
    /// How many demand it.
    pub requirers: u32,
    /// Waits to be looked at again.
    pub dirty: bool,
    /// Waits to be decided.
    pub queue: Queue,
    /// Some provider's `install_if` may have come true.
    pub recheck_install_if: bool,
    /// Some provider's `install_if` is true.
    pub triggered: bool,
    /// No provider's `install_if` can become true. Asked only of what something triggers, so that at first one can.
    pub untriggerable: bool,
    /// More than one provider is left, or one that is not allowed.
    pub has_options: bool,
    /// Some provider may be chosen by itself.
    pub auto_selectable: bool,
    /// An `install_if` waits for this name to be known absent.
    pub absence_awaited: bool,
    /// All names that could need it are decided.
    pub needers_decided: bool,
    /// While merging: how many providers in a row depend on it.
    pub merged_depends: u32,
    /// While merging: how many providers in a row provide it.
    pub merged_provides: u32,
    /// While merging: one of them without a version.
    pub merged_virtual: bool,
}

impl NameState<'_> {
    /// Whether the choice is made.
    pub fn locked(&self) -> bool {
        self.chosen.is_some()
    }
}

/// One package.
#[derive(Debug, Clone, Copy)]
pub(super) struct PackageState {
    /// How many demands it fails.
    pub conflicts: u32,
    /// The tags it may come from.
    pub pinning: u64,
    /// Nothing rules it out so far.
    pub selectable: bool,
    /// It is in a repository it may come from.
    pub tag_ok: bool,
    /// It is in a repository it should come from.
    pub tag_preferred: bool,
    /// It took part in the last merge of its name's dependencies, so those are demanded already.
    pub used: bool,
    /// It takes part in the merge under way.
    pub merging: bool,
    /// Its `install_if` is true.
    pub triggered: bool,
    /// Its `install_if` cannot become true.
    pub untriggerable: bool,
    /// A failure of it has been noted.
    pub failed: bool,
}

impl PackageState {
    pub fn new<'a>(universe: &impl Stock<'a>, package: PackageId) -> Self {
        // An empty package (a metapackage) is taken from any repository: apk cannot tell it from one made on
        // the command line.
        let preferred =
            universe.is_empty(package) || universe.repositories_of(package) & universe.untagged() != 0;
        Self {
            conflicts: 0,
            pinning: UNPINNED,
            selectable: universe.is_installable(package),
            tag_ok: preferred,
            tag_preferred: preferred,
            used: false,
            merging: false,
            triggered: false,
            untriggerable: universe.install_if_list(package).is_empty(),
            failed: false,
        }
    }
}
