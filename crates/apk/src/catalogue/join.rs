//! The indexes of several repositories as one catalogue, and who refers to whom in it.

use std::cmp::Reverse;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::build::{Builder, Identity, Package, Span, part};
use super::table::Table;
use super::{Catalogue, OWN, Stanzas, cells};
use crate::solve::{MAX_REPOSITORIES, bucket};

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
    number(all.mentions.len() + index.mentions.len())?;
    all.text.push_str(&index.text);
    let moved = |span: Span| Span { start: span.start + offset, end: span.end + offset };
    let ids: Vec<u32> =
        index.names.spans.iter().map(|name| all.names.number_of_part(&all.text, moved(*name))).collect();
    let id = |name: u32| ids.get(name as usize).copied().unwrap_or_default();
    let ends = index.packages.iter().skip(1).map(|next| next.depends);
    let ends = ends.chain([index.mentions.len() as u32]);
    for (package, end) in index.packages.iter().zip(ends) {
        if let Some((_, repositories)) = known.get(&package.identity).and_then(|at| packages.get_mut(*at)) {
            *repositories |= bit;
            continue;
        }
        known.insert(package.identity, packages.len());
        let start = all.stanzas.len() as u32;
        all.stanzas.push_str(part(&index.stanzas, package.stanza));
        let stanza = Span { start, end: all.stanzas.len() as u32 };
        let depends = all.mentions.len() as u32;
        for [name, version, last] in (package.depends..end).map(|at| index.mentions.row(at)) {
            all.mentions.push([id(name), version + offset, last]);
        }
        let provides = depends + (package.provides - package.depends);
        let install_if = depends + (package.install_if - package.depends);
        let (name, version) = (id(package.name), moved(package.version));
        packages.push((Package { stanza, version, name, depends, provides, install_if, ..*package }, bit));
    }
    Ok(())
}

fn finish(descriptions: Vec<String>, all: Builder, held: &[Held]) -> Result<Catalogue, JoinError> {
    let Builder { text, stanzas, names, mentions, .. } = all;
    let mut catalogue = Catalogue {
        descriptions,
        text,
        stanzas: Stanzas::Held(stanzas.into_bytes()),
        names: Table::default(),
        packages: Table::default(),
        mentions,
        sets: Table::default(),
        providers: Table::default(),
        dependents: Table::default(),
        triggers: Table::default(),
        records: cells(held.len() + 1),
    };
    number(held.len() + names.spans.len() + catalogue.mentions.len())?;
    put_packages(&mut catalogue, held)?;
    put_names(&mut catalogue, &names.spans);
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
    let mentions = catalogue.mentions.len() as u32;
    catalogue.packages.push([0, catalogue.stanzas.len(), 0, 0, mentions, mentions, mentions, 0]);
    Ok(())
}

/// Sorts out who provides, needs and waits for each name.
fn put_names(catalogue: &mut Catalogue, spans: &[Span]) {
    let count = spans.len();
    let buckets: Vec<u32> =
        spans.iter().map(|span| bucket(part(&catalogue.text, *span).as_bytes())).collect();
    let mut provided = Vec::with_capacity(catalogue.len() + catalogue.mentions.len() / 2);
    let mut needed = Vec::with_capacity(catalogue.mentions.len());
    let mut awaited = Vec::new();
    for package in 0..catalogue.len() as u32 {
        let name = catalogue.name_of_row(package);
        provided.push((name, [package, OWN]));
        for at in catalogue.provides(package) {
            provided.push((catalogue.raw_name(at), [package, at]));
        }
        needed.extend(catalogue.depends(package).map(|at| (catalogue.raw_name(at), [package])));
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
    let awaited: Vec<(u32, [u32; 1])> =
        awaited.iter().map(|(name, _, Reverse(waiting))| (*name, [*waiting])).collect();
    let (of_triggers, triggers) = Table::of_lists(count, &awaited);
    let (of_dependents, dependents) = Table::of_lists(count, &needed);
    let (of_providers, providers) = Table::of_lists(count, &provided);
    let start = |starts: &[u32], name: usize| starts.get(name).copied().unwrap_or_default();
    catalogue.names.reserve(count + 1);
    let end = Span::default();
    for (name, span) in spans.iter().chain([&end]).enumerate() {
        let bucket = buckets.get(name).copied().unwrap_or_default();
        catalogue.names.push([
            span.start,
            bucket << 16 | (span.end - span.start),
            start(&of_providers, name),
            start(&of_dependents, name),
            start(&of_triggers, name),
        ]);
    }
    (catalogue.providers, catalogue.dependents, catalogue.triggers) = (providers, dependents, triggers);
}

impl Catalogue {
    // While the names are not there yet, by which the others are bounded.

    fn name_of_row(&self, package: u32) -> u32 {
        self.packages.field::<0>(package)
    }

    fn raw_name(&self, mention: u32) -> u32 {
        self.mentions.field::<0>(mention)
    }
}

fn number(count: usize) -> Result<u32, JoinError> {
    u32::try_from(count).map_err(|_| JoinError::TooLarge)
}
