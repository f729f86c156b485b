//! Which of it, and how much: the variables that `cargo xtask prove` sets.

use std::env::var;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use hoopy_base::arch::Arch;

/// What was chosen.
pub struct Choice {
    /// `HOOPY_PROVE_ARCH`.
    pub arch: Arch,
    /// `HOOPY_PROVE_LAYOUT`: one layout alone.
    layout: Option<String>,
    /// `HOOPY_PROVE_ONLY`: scenarios whose names have one of these words in them.
    only: Vec<String>,
    /// `HOOPY_PROVE_FULL`: what CI leaves out, too.
    pub full: bool,
    /// `HOOPY_PROVE_DEPLOYS`: good deploys in a row, each with a reboot.
    pub deploys: u64,
    /// `HOOPY_PROVE_KILLS`: how often the plug is pulled.
    pub kills: u64,
    /// `HOOPY_PROVE_SEED`: chooses the instants at which it is.
    pub seed: u64,
}

impl Choice {
    pub fn from_environment() -> Self {
        let number = |name: &str, default: u64| match var(name) {
            Ok(text) => text.parse().unwrap_or_else(|e| panic!("{name}={text}: {e}")),
            Err(_) => default,
        };
        let text = |name: &str| var(name).ok().filter(|text| !text.is_empty());
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let words = text("HOOPY_PROVE_ONLY").unwrap_or_default();
        Self {
            arch: text("HOOPY_PROVE_ARCH").map_or(Arch::X86_64, |arch| arch.parse().unwrap()),
            layout: text("HOOPY_PROVE_LAYOUT"),
            only: words.split(',').filter(|w| !w.is_empty()).map(|w| w.replace(['-', ' '], "_")).collect(),
            full: number("HOOPY_PROVE_FULL", 0) != 0,
            deploys: number("HOOPY_PROVE_DEPLOYS", 1),
            kills: number("HOOPY_PROVE_KILLS", 1),
            seed: text("HOOPY_PROVE_SEED").map_or_else(now, |seed| seed.parse().unwrap()),
        }
    }

    pub fn takes_layout(&self, layout: &str) -> bool {
        self.layout.as_ref().is_none_or(|only| only == layout)
    }

    /// A name in `only` brings what CI leaves out, too.
    pub fn takes(&self, name: &str, short: bool) -> bool {
        if self.only.is_empty() { short || self.full } else { self.only.iter().any(|w| name.contains(w)) }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = if self.full { "all of it" } else { "the short form" };
        let only = if self.only.is_empty() { form.to_owned() } else { self.only.join(", ") };
        let layout = self.layout.as_deref().unwrap_or("ab, single");
        let Self { arch, deploys, kills, seed, .. } = self;
        write!(f, "{arch}, {layout}; {only}; {deploys} deploys, {kills} power cuts, seed {seed}")
    }
}
