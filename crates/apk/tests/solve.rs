//! Resolution against the real apk, and against what it once answered.
//!
//! Each directory under `solve-cases` is a case: `index`, `index-2`, `index-3@TAG` (stanzas), `world`, `expect`
//! (`name-version` lines in order, or `refused:` and the explanation). `HOOPY_APK_ROOT` names an Alpine root
//! whose apk is asked too; `HOOPY_BLESS=1` rewrites what is expected. Worlds by the thousand are in `oracle.rs`.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::path::{Path, PathBuf};

use common::oracle::{Answer, Oracle, ours};
use common::{Case, Index, parse_index, parse_list};
use hoopy_apk::Record;

fn cases() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/solve-cases");
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

fn read_case(directory: &Path) -> Case {
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut files: Vec<PathBuf> = files.filter(|path| name(path).starts_with("index")).collect();
    files.sort();
    let index = |path: &PathBuf| Index {
        tag: name(path).split_once('@').map(|(_, tag)| tag.to_owned()),
        records: parse_index(&std::fs::read_to_string(path).unwrap()),
    };
    let world = std::fs::read_to_string(directory.join("world")).unwrap();
    Case { indexes: files.iter().map(index).collect(), world: parse_list(&world) }
}

#[test]
fn answers_every_case_as_recorded() {
    let bless = std::env::var_os("HOOPY_BLESS").is_some();
    for directory in cases() {
        let case = read_case(&directory);
        let answer = ours(&case.indexes, &case.world).to_string();
        let path = directory.join("expect");
        if bless {
            std::fs::write(&path, &answer).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap();
        assert_eq!(answer, expected, "{}", directory.display());
    }
}

#[test]
fn answers_every_case_as_apk_does() {
    let Some(oracle) = Oracle::find("answers_every_case_as_apk_does") else { return };
    for directory in cases() {
        let case = read_case(&directory);
        oracle.publish(&case.indexes);
        let (ours, theirs) = (ours(&case.indexes, &case.world), oracle.ask(&case.world));
        assert!(ours.agrees(&theirs), "{}: {ours:?}, apk: {theirs:?}", directory.display());
    }
}

#[test]
fn follows_a_chain_longer_than_any_stack() {
    const LENGTH: usize = 100_000;
    let link = |i: usize| {
        let mut record = common::empty_record();
        record.name = format!("p{i}").into();
        record.depends = vec![format!("p{}", i + 1).parse().unwrap()];
        record.checksum = hoopy_apk::Checksum::Sha1(std::array::from_fn(|at| (i >> (at * 8 % 32)) as u8));
        record
    };
    let mut records: Vec<Record> = (0..LENGTH).map(link).collect();
    let world = parse_list("p0");
    let broken = ours(&[Index { tag: None, records: records.clone() }], &world);
    assert!(matches!(broken, Answer::Refused(why) if why.contains("p100000")));
    records.last_mut().unwrap().depends.clear();
    let Answer::Install(order) = ours(&[Index { tag: None, records }], &world) else { panic!("refused") };
    assert_eq!((order.len(), order.first().map(String::as_str)), (LENGTH, Some("p99999-1")));
}
