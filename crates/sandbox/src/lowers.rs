//! How layers become the directories of an overlay.
//!
//! overlayfs stacks 500 directories (`OVL_MAX_STACK`, fs/overlayfs/params.h) and nests twice: each of the 500 may be a
//! read-only overlay of 500 more. But such an overlay keeps what it hides to itself. What its layers delete does not
//! hide what lies below it, nor does a file that one of them had where another has a directory. So the bottom may be
//! nested whatever it holds, and above it only neighbours that hide nothing.

use std::collections::HashSet;

use hoopy_base::digest::LayerId;
use hoopy_store::layer::{Entry, EntryPath, Kind};

use super::SandboxError;

/// Most directories of an overlay.
pub(super) const MAX_STACK: usize = 500;

/// The layers below a script, bottom first, in groups: a group of several is an overlay of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lowers(Vec<Vec<LayerId>>);

impl Lowers {
    /// Of these layers with their entries, bottom first. Each counts once: overlayfs refuses a directory that it has
    /// already (fs/overlayfs/super.c, `ovl_setup_trap`). Of equal ones the topmost counts, which has all that the
    /// others have.
    ///
    /// # Errors
    /// [`SandboxError::TooManyLayers`] where so many of them hide something that overlayfs cannot stack them.
    pub fn of<'a, I>(layers: I) -> Result<Self, SandboxError>
    where
        I: IntoIterator<Item = (LayerId, &'a [Entry]), IntoIter: DoubleEndedIterator>,
    {
        let mut seen = HashSet::new();
        let mut layers: Vec<_> = layers.into_iter().rev().filter(|(id, _)| seen.insert(*id)).collect();
        layers.reverse();
        // One directory is the sandbox's own, below them all.
        let room = MAX_STACK - 1;
        let Some((bottom, above)) = layers.split_at_checked(room).filter(|(_, above)| !above.is_empty())
        else {
            return Ok(Self(layers.iter().map(|(id, _)| vec![*id]).collect()));
        };
        let mut groups = vec![bottom.iter().map(|(id, _)| *id).collect()];
        if above.len() > room {
            groups.extend(nested(above));
        } else {
            groups.extend(above.iter().map(|(id, _)| vec![*id]));
        }
        if groups.len() > MAX_STACK {
            return Err(SandboxError::TooManyLayers { count: layers.len() });
        }
        Ok(Self(groups))
    }

    /// Groups that came from another process.
    pub(super) fn from_groups(groups: Vec<Vec<LayerId>>) -> Self {
        Self(groups)
    }

    /// The groups, bottom first.
    pub(super) fn groups(&self) -> &[Vec<LayerId>] {
        &self.0
    }

    /// Every layer, bottom first.
    pub fn layers(&self) -> impl Iterator<Item = LayerId> {
        self.0.iter().flatten().copied()
    }
}

/// Neighbours that hide nothing together, all others alone.
fn nested(layers: &[(LayerId, &[Entry])]) -> Vec<Vec<LayerId>> {
    let mut files: HashSet<&EntryPath> = HashSet::new();
    let mut hiding = Vec::with_capacity(layers.len());
    for (id, entries) in layers {
        let hides = entries.iter().any(|entry| match entry.kind {
            Kind::Whiteout | Kind::Dir { opaque: true } => true,
            Kind::Dir { opaque: false } => files.contains(&entry.path),
            _ => false,
        });
        files.extend(entries.iter().filter(|entry| !entry.is_dir()).map(|entry| &entry.path));
        hiding.push((*id, hides));
    }
    let runs = hiding.chunk_by(|(_, below), (_, above)| !below && !above);
    let groups = runs.flat_map(|run| run.chunks(MAX_STACK));
    groups.map(|group| group.iter().map(|(id, _)| *id).collect()).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn layers(count: usize, kinds: impl Fn(usize) -> Kind) -> Vec<(LayerId, Vec<Entry>)> {
        let entry = |n| Entry::new(EntryPath::new("a").unwrap(), kinds(n), 0o755);
        (0..count).map(|n| (LayerId::of(&n.to_le_bytes()), vec![entry(n)])).collect()
    }

    fn sizes(layers: &[(LayerId, Vec<Entry>)]) -> Result<Vec<usize>, SandboxError> {
        let lowers = Lowers::of(layers.iter().map(|(id, entries)| (*id, &entries[..])))?;
        assert!(lowers.layers().eq(layers.iter().map(|(id, _)| *id)), "in their order");
        Ok(lowers.groups().iter().map(Vec::len).collect())
    }

    const DIR: Kind = Kind::Dir { opaque: false };

    #[test]
    fn nests_only_what_must_be() {
        assert_eq!(sizes(&layers(499, |_| DIR)).unwrap(), vec![1; 499]);
        assert_eq!(sizes(&layers(501, |_| DIR)).unwrap(), [499, 1, 1]);
        assert_eq!(sizes(&layers(998, |_| Kind::Whiteout)).unwrap(), [vec![499], vec![1; 499]].concat());
        assert_eq!(sizes(&layers(1_600, |_| DIR)).unwrap(), [499, 500, 500, 101]);
    }

    #[test]
    fn leaves_alone_what_hides_something() {
        let link = || Kind::Symlink(b"x".to_vec());
        let kind = |n| match n {
            600 => Kind::Whiteout,
            700 => Kind::Dir { opaque: true },
            800 => link(),
            850 => DIR,
            _ => Kind::Hardlink(EntryPath::new("b").unwrap()),
        };
        assert_eq!(sizes(&layers(1_100, kind)).unwrap(), [499, 101, 1, 99, 1, 149, 1, 249]);
        // Where it was no directory below the groups, the overlay of all of them sees to it.
        let kind = |n| if n < 499 { link() } else { DIR };
        assert_eq!(sizes(&layers(1_100, kind)).unwrap(), [499, 500, 101]);
    }

    #[test]
    fn counts_a_layer_once() {
        let all = layers(3, |_| DIR);
        let twice = all.iter().chain(&all[..1]).map(|(id, entries)| (*id, &entries[..]));
        let expected = [all[1].0, all[2].0, all[0].0];
        assert!(Lowers::of(twice).unwrap().layers().eq(expected));
    }

    #[test]
    fn says_when_too_many_hide_something() {
        let error = sizes(&layers(999, |_| Kind::Whiteout)).unwrap_err();
        assert!(error.to_string().starts_with("999 layers"), "{error}");
    }
}
