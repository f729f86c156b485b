//! What is known of a name and of a package while a choice is made (rules 3.1, 3.2, 3.8, 4.5 and 6.1).

use super::terms::Offer;

/// What is known of a name.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NameState<'s> {
    /// Open (`None`), or closed for good: with an offer, or empty.
    pub closed: Option<Option<Offer<'s>>>,
    pub called_for: bool,
    /// The world names it.
    pub in_world: bool,
    /// It waits to be decided, or did.
    pub awaiting: bool,
    /// It is in the queue of surveys.
    pub due: bool,
    /// Its next survey looks at `install_if`.
    pub looks_at_install_if: bool,
    pub notes: Notes,
    /// When it was surveyed last.
    pub surveyed: u32,
    /// When it was closed, or a package that offers it last went out.
    pub changed: u32,
    /// The last of the names that depend on this one and are surveyed when it changes; 0 is none.
    pub watchers: u32,
    /// So many of its dependants have all their names closed.
    pub settled: u32,
    /// The order of installation has come to it.
    pub begun: bool,
}

/// What the last survey left on a name (rule 3.8).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Notes {
    pub contested: bool,
    pub startable: bool,
    /// All names that need this one are closed.
    pub is_settled: bool,
    /// A package that is in play and offers it has been summoned.
    pub summoned: bool,
    /// None of the packages that are in play and offer it can still be summoned, nor has been: nothing that its
    /// `install_if` waits for makes it due any more.
    pub never_summoned: bool,
}

/// What is known of a package.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PackageState {
    pub out: bool,
    /// It was a candidate in some survey.
    pub candidate: bool,
    pub summons: Summons,
    /// The repositories that hold it.
    pub repositories: u64,
    /// Those it may come from: with the tags that are permitted to it.
    pub permitted: u64,
    pub at_home: bool,
    /// It installs nothing, and so may come from anywhere.
    pub is_empty: bool,
    /// It is in the order of installation.
    pub is_taken: bool,
}

impl PackageState {
    pub fn is_cleared(&self) -> bool {
        self.is_empty || self.repositories & self.permitted != 0
    }
}

/// What came of the `install_if` of a package (rule 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Summons {
    #[default]
    Undecided,
    Hopeless,
    Summoned,
}

/// States by number, made when they are first asked for: most of a large index is never looked at.
#[derive(Debug)]
pub(super) struct Touched<T> {
    /// Of each number, where its state is; 0 is nowhere.
    places: Vec<u32>,
    /// The first stands for all numbers that there are not.
    states: Vec<T>,
    spare: T,
}

impl<T: Default> Touched<T> {
    pub fn new(count: usize) -> Self {
        Self { places: vec![0; count], states: vec![T::default()], spare: T::default() }
    }

    /// The state of a number, if it has one.
    #[inline]
    pub fn get(&self, number: u32) -> Option<&T> {
        let place = self.places.get(number as usize).copied().filter(|place| *place > 0)?;
        self.states.get(place as usize)
    }

    /// The state of a number, which is `new` unless it was asked for before.
    #[inline]
    pub fn state(&mut self, number: u32, new: impl FnOnce() -> T) -> &mut T {
        let place = match self.places.get_mut(number as usize) {
            Some(place) => {
                if *place == 0 {
                    *place = self.states.len() as u32;
                    self.states.push(new());
                }
                *place
            }
            None => 0,
        };
        self.states.get_mut(place as usize).unwrap_or(&mut self.spare)
    }
}
