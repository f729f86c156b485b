//! The scripts a package may have (apk-tools `src/package.c`, `apk_script_types`).

use std::fmt;

/// When a script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScriptKind {
    /// Before the files are laid out.
    PreInstall,
    /// After the files are laid out.
    PostInstall,
    /// Before they are removed.
    PreDeinstall,
    /// After they are removed.
    PostDeinstall,
    /// Before another version's are laid out.
    PreUpgrade,
    /// After another version's are laid out.
    PostUpgrade,
    /// After everything, when a directory it watches has changed.
    Trigger,
}

impl ScriptKind {
    /// All of them, in apk's order.
    pub const ALL: [Self; 7] = [
        Self::PreInstall,
        Self::PostInstall,
        Self::PreDeinstall,
        Self::PostDeinstall,
        Self::PreUpgrade,
        Self::PostUpgrade,
        Self::Trigger,
    ];

    /// What apk calls it: `post-install`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreInstall => "pre-install",
            Self::PostInstall => "post-install",
            Self::PreDeinstall => "pre-deinstall",
            Self::PostDeinstall => "post-deinstall",
            Self::PreUpgrade => "pre-upgrade",
            Self::PostUpgrade => "post-upgrade",
            Self::Trigger => "trigger",
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == name)
    }
}

impl fmt::Display for ScriptKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
