//! Repositories by their tags. Wherever a rule speaks of tags, the search has the repositories with these tags, as
//! bits: one repository, one bit.

use super::{MAX_REPOSITORIES, UniverseError};

/// Which repositories have which tag.
#[derive(Debug, Clone)]
pub(super) struct Tags<'a> {
    /// Those without tag.
    pub untagged: u64,
    /// Each tag once, in the order of the repositories.
    tagged: Vec<(&'a str, u64)>,
}

impl<'a> Tags<'a> {
    /// Takes the tag of each repository.
    pub fn new(tags: &[Option<&'a str>]) -> Result<Self, UniverseError> {
        if tags.len() > MAX_REPOSITORIES {
            return Err(UniverseError::TooManyRepositories(tags.len()));
        }
        let mut all = Self { untagged: 0, tagged: Vec::new() };
        for (position, tag) in tags.iter().enumerate() {
            *all.place(*tag) |= 1 << position;
        }
        Ok(all)
    }

    fn place(&mut self, tag: Option<&'a str>) -> &mut u64 {
        let Some(tag) = tag else { return &mut self.untagged };
        let position = self.tagged.iter().position(|(known, _)| *known == tag);
        let position = position.unwrap_or_else(|| {
            self.tagged.push((tag, 0));
            self.tagged.len() - 1
        });
        self.tagged.get_mut(position).map_or(&mut self.untagged, |(_, repositories)| repositories)
    }

    /// The repositories that a demand of the world is pinned to; `None` where no repository has the tag.
    pub fn pinned(&self, tag: Option<&str>) -> Option<u64> {
        let Some(tag) = tag else { return Some(self.untagged) };
        self.tagged.iter().find(|(known, _)| *known == tag).map(|(_, repositories)| *repositories)
    }

    /// The tags that there are.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.tagged.iter().map(|(tag, _)| *tag)
    }
}
