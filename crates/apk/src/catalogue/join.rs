//! The indexes of several repositories as one catalogue, and who refers to whom in it.

use std::cmp::Reverse;
use std::ops::Range;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::build::Builder;
use super::cut::{Span, bytes};
use super::form::Kept;
use super::number::{JoinError, number};
use super::particulars::{Identity, cells, identity};
use super::table::Table;
use super::{Catalogue, FACTS, LOW, OWN, PROVIDER, WAITS};
use crate::resolve::MAX_REPOSITORIES;

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
        let mut held = vec![1; all.particulars.len()];
        let mut known = Known::default();
        for (position, index) in (1..).zip(indexes) {
            if position == 1 {
                known.extend(all.particulars.rows().map(identity).zip(0..));
            }
            append(&mut all, &mut held, &mut known, index, 1 << position)?;
        }
        finish(descriptions, all, &held)
    }
}

/// Puts what another index has behind what there is; `held` says of each package which repositories hold it.
fn append(
    all: &mut Builder,
    held: &mut Vec<u64>,
    known: &mut Known,
    mut index: Builder,
    bit: u64,
) -> Result<(), JoinError> {
    index.end();
    let offset = number(all.versions.len())?;
    number(all.versions.len() + index.versions.len())?;
    number(all.names.text.len() + index.names.text.len())?;
    number(all.mentioned.len() + index.mentioned.len())?;
    all.versions.push_str(&index.versions);
    let names = 0..(index.names.starts.len() as u32).saturating_sub(1);
    let text = |list: Range<u32>| bytes(&index.names.text, Span { start: list.start, end: list.end });
    let ids: Vec<u32> =
        names.map(|name| all.names.number_of(text(index.names.starts.list::<0>(name)))).collect();
    let id = |name: u32| ids.get((name & !WAITS) as usize).copied().unwrap_or_default() | name & WAITS;
    for (at, particulars) in (0..).zip(index.particulars.rows()) {
        let identity = identity(particulars);
        if let Some(repositories) = known.get(&identity).and_then(|at| held.get_mut(*at)) {
            *repositories |= bit;
            continue;
        }
        known.insert(identity, held.len());
        held.push(bit);
        all.particulars.push(particulars);
        let depends = all.mentioned.len() as u32;
        let [name, first, provides, install_if] = index.links.row(at);
        for mention in index.links.list::<1>(at) {
            let [version, last] = index.asked.row(mention);
            all.mentioned.push([id(index.mentioned.field::<0>(mention))]);
            all.asked.push([version + offset, last]);
        }
        all.links.push([id(name), depends, depends + (provides - first), depends + (install_if - first)]);
        let [version, length, flags] = index.facts.row(at);
        all.facts.push([version + offset, length, flags]);
    }
    Ok(())
}

impl Builder {
    /// Says where the lists of the last name and package end.
    fn end(&mut self) {
        let mentions = self.mentioned.len() as u32;
        self.links.push([0, mentions, mentions, mentions]);
        self.facts.push([0; FACTS]);
        self.names.starts.push([self.names.text.len() as u32]);
    }
}

fn finish(descriptions: Vec<String>, mut all: Builder, held: &[u64]) -> Result<Catalogue, JoinError> {
    number(held.len() + all.names.starts.len() + all.mentioned.len())?;
    all.end();
    let sets = sets(&mut all.facts, held)?;
    let Builder { versions, names, links, facts, particulars, mentioned, asked, .. } = all;
    let mut catalogue = Catalogue {
        descriptions,
        sets,
        names: Table::default(),
        calls: Table::default(),
        links,
        facts,
        mentioned,
        asked,
        providers: Table::default(),
        dependents: Table::default(),
        triggers: Table::default(),
        versions,
        kept: [
            Kept::Held(names.starts.into_bytes()),
            Kept::Held(particulars.into_bytes()),
            Kept::Held(names.text),
        ],
        records: cells(held.len() + 1),
    };
    put_names(&mut catalogue, &names.buckets);
    Ok(catalogue)
}

/// Numbers the sets of repositories that hold one package or another, and notes them with the packages.
fn sets(facts: &mut Table<FACTS>, held: &[u64]) -> Result<Table<2>, JoinError> {
    let mut sets = Table::default();
    let mut numbers: HashMap<u64, u32, RandomState> = HashMap::default();
    let mut last = (0, 0);
    facts.change::<2>(|at, flags| {
        // The last row is no package's.
        let Some(repositories) = held.get(at).copied() else { return flags };
        if repositories != last.0 {
            let next = numbers.len() as u32;
            let number = *numbers.entry(repositories).or_insert_with(|| {
                sets.push([repositories as u32, (repositories >> 32) as u32]);
                next
            });
            last = (repositories, number);
        }
        last.1 << 16 | flags
    });
    if sets.len() > LOW as usize + 1 { Err(JoinError::TooLarge) } else { Ok(sets) }
}

/// Sorts out who provides, needs and waits for each name.
fn put_names(catalogue: &mut Catalogue, buckets: &[u32]) {
    let count = buckets.len();
    let given = &*catalogue;
    let (needed, awaited, provided) = std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            (Table::of_lists(count, || given.needs()), Table::of_lists(count, || given.provisions()))
        });
        let awaited = waits(given, buckets);
        let awaited = Table::of_lists(count, || awaited.iter().copied());
        let (needed, provided) = others.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (needed, awaited, provided)
    });
    let start = |starts: &[u32], name: usize| starts.get(name).copied().unwrap_or_default();
    let mut rows = Table::with_room_for(count + 1);
    let mut calls = Table::with_room_for(count + 1);
    for (name, bucket) in buckets.iter().copied().chain([0]).enumerate() {
        rows.push([start(&provided.0, name), start(&awaited.0, name)]);
        calls.push([bucket, start(&needed.0, name)]);
    }
    (catalogue.names, catalogue.calls) = (rows, calls);
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
        self.links.field::<0>(package) & !WAITS
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
