//! What came of a recipe: the SHA-256 of an answer, a newline, and the answer as JSON, so that a person can read
//! the store and a torn file is told from a whole one.

use std::fs;

use hoopy_base::digest::{ContentId, RecipeId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Part, Store, StoreError};

impl Store {
    /// What the store remembers of the recipe `id`; nothing where the file is missing, damaged or does not parse.
    pub fn recall<T: DeserializeOwned>(&self, id: RecipeId) -> Option<T> {
        self.used.mark(Part::Recipe, id.as_bytes());
        serde_json::from_slice(&self.read_recipe(id)?).ok()
    }

    /// The answer as it stands, where it is whole.
    pub(super) fn read_recipe(&self, id: RecipeId) -> Option<Vec<u8>> {
        let mut bytes = fs::read(self.file(Part::Recipe, id.as_bytes())).ok()?;
        let (digest, answer) = bytes.split_at_checked(HEX)?;
        let answer = answer.strip_prefix(b"\n")?;
        let whole = digest == ContentId::of(answer).to_string().as_bytes();
        whole.then(|| bytes.split_off(HEX + 1))
    }

    /// Remembers what came of the recipe `id`.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn remember<T: Serialize>(&self, id: RecipeId, answer: &T) -> Result<(), StoreError> {
        let path = self.path(Part::Recipe, id.as_bytes());
        let answer = serde_json::to_vec(answer).map_err(|e| super::at(&path)(e.into()))?;
        let digest = ContentId::of(&answer).to_string();
        self.put(&path, &[digest.as_bytes(), b"\n", &answer].concat())
    }
}

/// The length of a digest in hexadecimal.
const HEX: usize = 64;
