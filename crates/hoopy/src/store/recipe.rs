//! What came of a recipe. The answer is JSON, so that a person can read the store.

use std::fs;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Store, StoreError};
use crate::digest::RecipeId;

impl Store {
    /// What the store remembers of the recipe `id`; nothing where the file is missing or does not parse.
    pub fn recall<T: DeserializeOwned>(&self, id: RecipeId) -> Option<T> {
        let bytes = fs::read(self.root.join("recipe").join(id.to_string())).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Remembers what came of the recipe `id`.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be written.
    pub fn remember<T: Serialize>(&self, id: RecipeId, answer: &T) -> Result<(), StoreError> {
        let path = self.root.join("recipe").join(id.to_string());
        let bytes = serde_json::to_vec_pretty(answer).map_err(|e| super::at(&path)(e.into()))?;
        self.put(&path, &bytes)
    }
}
