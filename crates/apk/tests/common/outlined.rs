//! What hoopy answers from a catalogue, which must be what it answers from records.

use std::io::{Seek as _, Write as _};

use super::oracle::{ARCH, Answer};
use super::{Index, print_index};
use hoopy_apk::Dependency;
use hoopy_apk::catalogue::{Builder, Catalogue};
use hoopy_apk::index::IndexError;
use hoopy_apk::resolve::Outline;

pub fn read(text: &str) -> Result<Builder, IndexError> {
    Builder::for_arch(ARCH).described("as described".to_owned()).read(text.as_bytes())
}

pub fn alone(text: &str) -> Catalogue {
    Catalogue::of(vec![read(text).unwrap()]).unwrap()
}

/// Written down and read again.
pub fn stored(catalogue: &Catalogue) -> Catalogue {
    let bytes = catalogue.to_bytes().unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&bytes).unwrap();
    file.rewind().unwrap();
    let filed = Catalogue::open(file).unwrap();
    assert_eq!(filed.to_bytes().unwrap(), bytes);
    filed
}

pub fn outlined(indexes: &[Index]) -> Catalogue {
    let read = |index: &Index| read(&print_index(&index.records, true)).unwrap();
    stored(&Catalogue::of(indexes.iter().map(read).collect()).unwrap())
}

pub fn outline<'a>(catalogue: &'a Catalogue, indexes: &'a [Index]) -> Outline<'a> {
    let tags: Vec<Option<&str>> = indexes.iter().map(|index| index.tag.as_deref()).collect();
    Outline::new(catalogue, &tags).unwrap()
}

pub fn check(outline: &Outline<'_>, world: &[Dependency], expected: &Answer, seed: u64) {
    let found = outline.solve(world).map(|solution| {
        let label = |choice: &hoopy_apk::resolve::Choice<'_>| {
            format!("{}-{}", choice.record.name, choice.record.version)
        };
        solution.install.iter().map(label).collect::<Vec<_>>()
    });
    match expected {
        Answer::Install(packages) => assert_eq!(found.as_ref(), Some(packages), "seed {seed}"),
        Answer::Refused(_) => assert_eq!(found, None, "seed {seed}"),
    }
}
