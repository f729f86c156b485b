//! `packages`: the world, one package or constraint per line, `#` comments. A line may also have several.

use std::path::{Path, PathBuf};

use hoopy_apk::Dependency;

/// A package that `packages` asks for, and its line.
#[derive(Debug, Clone)]
pub struct PackageLine {
    /// What is asked for.
    pub dependency: Dependency,
    /// The text as written.
    pub text: String,
    /// The line of `packages`, from 1.
    pub line: usize,
}

/// What `packages` asks for, in the order written, each once.
#[derive(Debug, Clone, Default)]
pub struct World(pub Vec<PackageLine>);

/// A word of `packages` that is not a package or constraint.
#[derive(Debug, thiserror::Error)]
#[error("{}:{line}: {text:?} is not a package name or constraint: {reason}", .file.display())]
pub struct BadPackage {
    /// The file.
    pub file: PathBuf,
    /// Its line.
    pub line: usize,
    /// What stands there.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl World {
    /// Reads the text of `packages`; `file` is for messages.
    ///
    /// # Errors
    /// [`BadPackage`] for the first word that is not a dependency.
    pub fn parse(file: &Path, text: &str) -> Result<Self, BadPackage> {
        let mut asked: Vec<PackageLine> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default();
            for word in line.split_whitespace() {
                let dependency =
                    word.parse().map_err(|e: hoopy_apk::dependency::ParseDependencyError| BadPackage {
                        file: file.to_owned(),
                        line: number,
                        text: word.to_owned(),
                        reason: e.to_string(),
                    })?;
                if !asked.iter().any(|a| a.text == word) {
                    asked.push(PackageLine { dependency, text: word.to_owned(), line: number });
                }
            }
        }
        Ok(Self(asked))
    }

    /// The dependencies, as the resolver takes them.
    pub fn dependencies(&self) -> Vec<Dependency> {
        self.0.iter().map(|a| a.dependency.clone()).collect()
    }

    /// The texts, sorted: what the lock records and `/etc/apk/world` holds.
    pub fn texts(&self) -> Vec<String> {
        let mut texts: Vec<_> = self.0.iter().map(|a| a.text.clone()).collect();
        texts.sort();
        texts
    }

    /// The line that asks for `name`.
    pub fn line_of(&self, name: &str) -> Option<usize> {
        self.0.iter().find(|a| &*a.dependency.name == name).map(|a| a.line)
    }
}
