//! Catalogues: one made of an index's text answers as the records of that text do, is written and read again as it
//! was, and does no harm when it is damaged.
//!
//! The input is a line with a world, then the text; behind a NUL, what is written over the catalogue's bytes: for each
//! byte its place, three bytes, and its value. An input that begins as a catalogue does is taken for one.
#![no_main]

use hoopy_apk::Dependency;
use hoopy_apk::catalogue::{Builder, Catalogue, FORMAT};
use hoopy_apk::index;
use hoopy_apk::resolve::{self, Outline, Repository, Solution, Universe};

const ARCH: &str = "x86_64";

fn names(solution: Option<Solution<'_>>) -> Option<Vec<String>> {
    let name = |choice: &resolve::Choice<'_>| format!("{}-{}", choice.record.name, choice.record.version);
    Some(solution?.install.iter().map(name).collect())
}

fn ask(catalogue: &Catalogue, world: &[Dependency]) -> Option<Vec<String>> {
    names(Outline::new(catalogue, &[None]).expect("one repository").solve(world))
}

fn damaged(mut form: Vec<u8>, damage: &[u8]) -> Vec<u8> {
    for edit in damage.chunks_exact(4) {
        let place = usize::from(edit[0]) << 16 | usize::from(edit[1]) << 8 | usize::from(edit[2]);
        let length = form.len();
        form[place % length] = edit[3];
    }
    form
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if bytes.starts_with(&FORMAT) {
        if let Ok(catalogue) = Catalogue::from_bytes(bytes) {
            ask(&catalogue, &["a".parse().expect("a name")]);
        }
        return;
    }
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let text = parts.next().unwrap_or_default();
    let damage = parts.next().unwrap_or_default();
    let Ok(text) = std::str::from_utf8(text) else { return };
    let (world, text) = text.split_once('\n').unwrap_or((text, ""));
    let world: Vec<Dependency> =
        world.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
    let Ok(builder) = Builder::for_arch(ARCH).described("made up".to_owned()).read(text.as_bytes()) else {
        return;
    };
    let catalogue = Catalogue::of(vec![builder]).expect("a small one");
    let found = ask(&catalogue, &world);
    if let Ok(records) = index::parse(text) {
        let repositories = [Repository { records: &records, tag: None }];
        let universe = Universe::new(&repositories, ARCH).expect("a small one");
        assert_eq!(found, names(resolve::solve(&universe, &world).ok()));
    }
    let form = catalogue.to_bytes().expect("memory");
    let again = Catalogue::from_bytes(&form).expect("what was written");
    assert_eq!(again.to_bytes().expect("memory"), form);
    assert_eq!(ask(&again, &world), found);
    if let Ok(catalogue) = Catalogue::from_bytes(&damaged(form, damage)) {
        ask(&catalogue, &world);
    }
});
