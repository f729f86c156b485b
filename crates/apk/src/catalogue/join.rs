//! The indexes of several repositories as one catalogue, and who refers to whom in it.

use std::cmp::Reverse;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::build::{Builder, Names, Package};
use super::cut::{Identity, Span, part};
use super::table::Table;
use super::{Catalogue, OWN, PROVIDER, Stanzas, cells};
use crate::solve::MAX_REPOSITORIES;

/// Indexes that cannot be one catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// More repositories than can be told apart.
    #[error("{0} repositories, expected at most {MAX_REPOSITORIES}")]
    TooManyRepositories(usize),
    /// More names, packages or dependencies than can be numbered.
    #[error("the indexes hold more than can be numbered")]
    TooLarge,
}

/// A package, and which repositories hold it.
type Held = (Package, u64);

/// Packages are told from those of earlier repositories by this.
type Known = HashMap<Identity, usize, RandomState>;

impl Catalogue {
    /// The catalogue of these indexes, of which the first is preferred.
    ///
    /// # Errors
    /// [`JoinError`].
    pub fn of(indexes: Vec<Builder>) -> Result<Self, JoinError> {
        if indexes.len() > MAX_REPOSITORIES {
            return Err(JoinError::TooManyRepositories(indexes.len()));
        }
        let descriptions = indexes.iter().map(|index| index.description.clone()).collect();
        let mut indexes = indexes.into_iter();
        let mut all = indexes.next().unwrap_or_default();
        let mut packages: Vec<Held> = all.packages.drain(..).map(|package| (package, 1)).collect();
        let mut known = Known::default();
        for (position, index) in (1..).zip(indexes) {
            if position == 1 {
                known.extend(packages.iter().enumerate().map(|(at, (package, _))| (package.identity, at)));
            }
            append(&mut all, &mut packages, &mut known, index, 1 << position)?;
        }
        finish(descriptions, all, &packages)
    }
}

/// Puts what another index has behind what there is.
fn append(
    all: &mut Builder,
    packages: &mut Vec<Held>,
    known: &mut Known,
    index: Builder,
    bit: u64,
) -> Result<(), JoinError> {
    let offset = number(all.text.len())?;
    number(all.text.len() + index.text.len())?;
    number(all.stanzas.len() + index.stanzas.len())?;
    number(all.mentioned.len() + index.mentioned.len())?;
    all.text.push_str(&index.text);
    let moved = |span: Span| Span { start: span.start + offset, end: span.end + offset };
    let ids: Vec<u32> =
        index.names.spans.iter().map(|name| all.names.number_of_part(&all.text, moved(*name))).collect();
    let id = |name: u32| ids.get(name as usize).copied().unwrap_or_default();
    let ends = index.packages.iter().skip(1).map(|next| next.depends);
    let ends = ends.chain([index.mentioned.len() as u32]);
    for (package, end) in index.packages.iter().zip(ends) {
        if let Some((_, repositories)) = known.get(&package.identity).and_then(|at| packages.get_mut(*at)) {
            *repositories |= bit;
            continue;
        }
        known.insert(package.identity, packages.len());
        let start = all.stanzas.len() as u32;
        all.stanzas.push_str(part(&index.stanzas, package.stanza));
        let stanza = Span { start, end: all.stanzas.len() as u32 };
        let depends = all.mentioned.len() as u32;
        for at in package.depends..end {
            let [version, last] = index.asked.row(at);
            all.mentioned.push([id(index.mentioned.field::<0>(at))]);
            all.asked.push([version + offset, last]);
        }
        let provides = depends + (package.provides - package.depends);
        let install_if = depends + (package.install_if - package.depends);
        let (name, version) = (id(package.name), moved(package.version));
        packages.push((Package { stanza, version, name, depends, provides, install_if, ..*package }, bit));
    }
    Ok(())
}

fn finish(descriptions: Vec<String>, all: Builder, held: &[Held]) -> Result<Catalogue, JoinError> {
    let Builder { text, stanzas, names, mentioned, asked, .. } = all;
    let mut catalogue = Catalogue {
        descriptions,
        text,
        stanzas: Stanzas::Held(stanzas.into_bytes()),
        names: Table::default(),
        packages: Table::default(),
        mentioned,
        asked,
        sets: Table::default(),
        providers: Table::default(),
        dependents: Table::default(),
        triggers: Table::default(),
        records: cells(held.len() + 1),
    };
    number(held.len() + names.spans.len() + catalogue.mentioned.len())?;
    put_packages(&mut catalogue, held)?;
    put_names(&mut catalogue, &names);
    Ok(catalogue)
}

fn put_packages(catalogue: &mut Catalogue, held: &[Held]) -> Result<(), JoinError> {
    catalogue.packages.reserve(held.len() + 1);
    let mut sets: HashMap<u64, u16, RandomState> = HashMap::default();
    for (package, repositories) in held {
        let next = u16::try_from(sets.len());
        let set = match sets.get(repositories) {
            Some(set) => *set,
            None => {
                let set = next.map_err(|_| JoinError::TooLarge)?;
                catalogue.sets.push([*repositories as u32, (*repositories >> 32) as u32]);
                sets.insert(*repositories, set);
                set
            }
        };
        let Package { stanza, version, name, depends, provides, install_if, priority, flags, .. } = *package;
        catalogue.packages.push([
            name,
            stanza.start,
            version.start,
            u32::from(priority) << 16 | (version.end - version.start),
            depends,
            provides,
            install_if,
            u32::from(set) << 16 | flags,
        ]);
    }
    let mentions = catalogue.mentioned.len() as u32;
    catalogue.packages.push([0, catalogue.stanzas.len(), 0, 0, mentions, mentions, mentions, 0]);
    Ok(())
}

/// Sorts out who provides, needs and waits for each name.
fn put_names(catalogue: &mut Catalogue, names: &Names) {
    let count = names.spans.len();
    let given = &*catalogue;
    let (needed, awaited, provided) = std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            (Table::of_lists(count, || given.needs()), Table::of_lists(count, || given.provisions()))
        });
        let awaited = waits(given, &names.buckets);
        let awaited = Table::of_lists(count, || awaited.iter().copied());
        let (needed, provided) = others.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (needed, awaited, provided)
    });
    let start = |starts: &[u32], name: usize| starts.get(name).copied().unwrap_or_default();
    let mut rows = Table::default();
    rows.reserve(count + 1);
    let end = (Span::default(), 0);
    for (name, (span, bucket)) in
        names.spans.iter().copied().zip(names.buckets.iter().copied()).chain([end]).enumerate()
    {
        rows.push([
            span.start,
            bucket << 16 | (span.end - span.start),
            start(&provided.0, name),
            start(&needed.0, name),
            start(&awaited.0, name),
        ]);
    }
    catalogue.names = rows;
    (catalogue.providers, catalogue.dependents, catalogue.triggers) = (provided.1, needed.1, awaited.1);
}

/// For each name, those that it triggers.
fn waits(catalogue: &Catalogue, buckets: &[u32]) -> Vec<(u32, [u32; 1])> {
    let mut awaited = Vec::new();
    for package in 0..catalogue.len() as u32 {
        let name = catalogue.name_of_row(package);
        for at in catalogue.install_if(package) {
            let waiting = catalogue.provides(package).map(|at| catalogue.raw_name(at));
            for waiting in std::iter::once(name).chain(waiting) {
                let bucket = buckets.get(waiting as usize).copied().unwrap_or_default();
                awaited.push((catalogue.raw_name(at), bucket, Reverse(waiting)));
            }
        }
    }
    // As apk walks its hash table: bucket by bucket, within one the latest first.
    awaited.sort_unstable();
    awaited.dedup();
    awaited.into_iter().map(|(name, _, Reverse(waiting))| (name, [waiting])).collect()
}

impl Catalogue {
    // While the names are not there yet, by which the others are bounded.

    fn name_of_row(&self, package: u32) -> u32 {
        self.packages.field::<0>(package)
    }

    /// Names, and the packages that depend on them.
    fn needs(&self) -> impl Iterator<Item = (u32, [u32; 1])> {
        let of = move |package| self.depends(package).map(move |at| (self.raw_name(at), [package]));
        (0..self.len() as u32).flat_map(of)
    }

    /// Names, and the packages that provide them.
    fn provisions(&self) -> impl Iterator<Item = (u32, [u32; PROVIDER])> {
        (0..self.len() as u32).flat_map(move |package| {
            let others = self.provides(package).map(move |at| (self.raw_name(at), [package, at]));
            std::iter::once((self.name_of_row(package), [package, OWN])).chain(others)
        })
    }

    fn raw_name(&self, mention: u32) -> u32 {
        self.mentioned.field::<0>(mention)
    }
}

fn number(count: usize) -> Result<u32, JoinError> {
    u32::try_from(count).map_err(|_| JoinError::TooLarge)
}
