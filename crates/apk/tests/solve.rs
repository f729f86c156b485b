//! Resolution against the real apk, and against what it once answered.
//!
//! Each directory under `solve-cases` is a case: `index`, `index-2`, `index-3@TAG` (stanzas), `world`, `expect`
//! (`name-version` lines in order, or `refused:` and the explanation). `HOOPY_APK_ROOT` names an Alpine root
//! whose apk is asked too; `HOOPY_APK_INDEX` an `APKINDEX.tar.gz`; `HOOPY_APK_WORLDS` how many worlds to try
//! (first seed in `HOOPY_APK_SEED`); `HOOPY_BLESS=1` rewrites the explanations.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::oracle::{ARCH, Answer, Oracle, ours, ours_in};
use common::random::{Case, Random, case, shrink};
use common::{Index, parse_index, parse_list, print_index, read_index};
use hoopy_apk::solve::{Repository, Universe};
use hoopy_apk::{Dependency, Op, Record};

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().unwrap())
}

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

fn print_answer(answer: &Answer) -> String {
    match answer {
        Answer::Install(packages) => packages.iter().map(|package| format!("{package}\n")).collect(),
        Answer::Refused(why) => format!("refused:\n{why}\n"),
    }
}

#[test]
fn answers_every_case_as_recorded() {
    let bless = std::env::var_os("HOOPY_BLESS").is_some();
    for directory in cases() {
        let case = read_case(&directory);
        let answer = print_answer(&ours(&case.indexes, &case.world));
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
fn agrees_with_apk_on_small_adversarial_repositories() {
    let Some(oracle) = Oracle::find("agrees_with_apk_on_small_adversarial_repositories") else { return };
    let first = variable("HOOPY_APK_SEED", 1);
    let mut refused = 0;
    let count = variable("HOOPY_APK_WORLDS", 200);
    for seed in first..first + count {
        let case = case(&mut Random::new(seed));
        let mut differs = |case: &Case| {
            oracle.publish(&case.indexes);
            !ours(&case.indexes, &case.world).agrees(&oracle.ask(&case.world))
        };
        if differs(&case) {
            let small = shrink(&case, &mut differs);
            panic!("seed {seed}\n{}", describe(&oracle, &small));
        }
        refused += u64::from(matches!(ours(&case.indexes, &case.world), Answer::Refused(_)));
    }
    eprintln!("{count} worlds, {refused} of them refused");
}

fn describe(oracle: &Oracle, case: &Case) -> String {
    oracle.publish(&case.indexes);
    let indexes = case.indexes.iter().map(|index| {
        format!(
            "-- index {}\n{}",
            index.tag.as_deref().unwrap_or_default(),
            print_index(&index.records, false)
        )
    });
    let world = case.world.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let (ours, theirs) = (ours(&case.indexes, &case.world), oracle.ask(&case.world));
    let indexes: String = indexes.collect();
    format!("{indexes}-- world\n{world}\n-- ours\n{}-- apk\n{}", print_answer(&ours), print_answer(&theirs))
}

/// A world of names, constraints and conflicts out of a real index.
fn real_world(random: &mut Random, records: &[Record]) -> Vec<Dependency> {
    let mut world: Vec<Dependency> = Vec::new();
    let size = *random.pick(&[3, 10, 40]);
    for _ in 0..1 + random.below(size) {
        let record = random.pick(records);
        let mut dependency: Dependency = match random.below(20) {
            0 | 1 if !record.provides.is_empty() => random.pick(&record.provides).clone(),
            2 | 3 if !record.depends.is_empty() => random.pick(&record.depends).clone(),
            _ => record.name.parse().unwrap(),
        };
        if random.chance(10) {
            let ops = [Op::Equal, Op::Less, Op::LessOrEqual, Op::Greater, Op::GreaterOrEqual, Op::Fuzzy];
            dependency.constraint = Some((*random.pick(&ops), record.version.clone()));
        }
        dependency.conflict |= random.chance(2);
        if !world.iter().any(|other| other.name == dependency.name) {
            world.push(dependency);
        }
    }
    world
}

fn real_index(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("HOOPY_APK_INDEX").map(PathBuf::from);
    if path.is_none() {
        eprintln!("SKIPPED: {test}: HOOPY_APK_INDEX does not name an APKINDEX.tar.gz");
    }
    path
}

#[test]
fn agrees_with_apk_on_a_real_index() {
    let test = "agrees_with_apk_on_a_real_index";
    let (Some(oracle), Some(path)) = (Oracle::find(test), real_index(test)) else { return };
    let records = parse_index(&read_index(&path));
    let repository = tempfile::tempdir().unwrap();
    std::fs::create_dir(repository.path().join(ARCH)).unwrap();
    std::fs::copy(&path, repository.path().join(ARCH).join("APKINDEX.tar.gz")).unwrap();
    oracle.publish_directory(repository.path());
    let universe = Universe::new(&[Repository { records: &records, tag: None }], ARCH).unwrap();
    let first = variable("HOOPY_APK_SEED", 1);
    let count = variable("HOOPY_APK_WORLDS", 200);
    let (mut slowest, mut refused, mut differences) = (Duration::ZERO, 0, 0);
    for seed in first..first + count {
        let mut world = real_world(&mut Random::new(seed), &records);
        let start = Instant::now();
        let ours = ours_in(&universe, &world);
        slowest = slowest.max(start.elapsed());
        refused += u64::from(matches!(ours, Answer::Refused(_)));
        if ours.agrees(&oracle.ask(&world)) {
            continue;
        }
        while let Some(smaller) = (0..world.len()).find_map(|i| {
            let mut smaller = world.clone();
            smaller.remove(i);
            let differs = !ours_in(&universe, &smaller).agrees(&oracle.ask(&smaller));
            differs.then_some(smaller)
        }) {
            world = smaller;
        }
        differences += 1;
        let asked = world.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        eprintln!(
            "seed {seed}: {asked}\nours: {:?}\napk: {:?}",
            ours_in(&universe, &world),
            oracle.ask(&world)
        );
    }
    eprintln!("{count} worlds, {refused} of them refused; slowest answer {slowest:?}");
    assert_eq!(differences, 0);
}

/// A copy of an index under other names, so that several can be one.
fn renamed(records: &[Record], prefix: &str) -> Vec<Record> {
    let rename = |dependencies: &mut Vec<Dependency>| {
        for dependency in dependencies {
            dependency.name = format!("{}{prefix}", dependency.name).into();
        }
    };
    let mut records = records.to_vec();
    for record in &mut records {
        record.name = format!("{}{prefix}", record.name).into();
        rename(&mut record.depends);
        rename(&mut record.provides);
        rename(&mut record.install_if);
        if let hoopy_apk::Checksum::Sha1(digest) = &mut record.checksum {
            digest.iter_mut().zip(prefix.bytes().cycle()).for_each(|(byte, salt)| *byte ^= salt);
        }
    }
    records
}

#[test]
fn answers_within_the_time_allowed() {
    let Some(path) = real_index("answers_within_the_time_allowed") else { return };
    let one = parse_index(&read_index(&path));
    let mut five = one.clone();
    for prefix in ["-b", "-c", "-d", "-e"] {
        five.extend(renamed(&one, prefix));
    }
    for records in [&one, &five] {
        let make = || Universe::new(&[Repository { records, tag: None }], ARCH).unwrap();
        let (universe, built) = (make(), fastest(|| drop(make())));
        let mut slowest = Duration::ZERO;
        for seed in 0..50 {
            let mut random = Random::new(seed);
            let world: Vec<Dependency> =
                (0..40).map(|_| random.pick(records).name.parse().unwrap()).collect();
            slowest = slowest.max(fastest(|| drop(ours_in(&universe, &world))));
        }
        eprintln!(
            "{} packages: universe {built:?}, slowest of 50 worlds of 40 names {slowest:?}",
            records.len()
        );
        // Debug builds are for correctness, and shared machines for patience.
        if !cfg!(debug_assertions) {
            assert!(built < Duration::from_millis(200) && slowest < Duration::from_millis(100));
        }
    }
}

/// The least of a few tries: what the code takes when nothing else takes the machine.
fn fastest(mut work: impl FnMut()) -> Duration {
    let time = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    (0..5).map(time).min().unwrap_or_default()
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
