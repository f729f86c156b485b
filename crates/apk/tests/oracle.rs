//! Random worlds, by as many as one likes, answered by the real apk and by us, from records and from a catalogue as
//! the store has it: `cargo xtask oracle`.
//!
//! `HOOPY_APK_ROOT` names an Alpine root whose apk is asked; `HOOPY_APK_WORLDS` says how many worlds of small
//! adversarial repositories, `HOOPY_APK_REAL_WORLDS` how many of a whole real index (`HOOPY_APK_INDEX`, an
//! `APKINDEX.tar.gz`, or else the one in `data`); `HOOPY_APK_SEED` is the first seed. Each difference is made
//! as small as can be, and becomes a case under `solve-cases`.
#![expect(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tests say what they skip")]

mod common;

use std::path::{Path, PathBuf};

use common::census::Census;
use common::odd;
use common::oracle::{Answer, Oracle, ours, ours_in, universe};
use common::outlined::{check, outline, outlined};
use common::random::{Random, cases};
use common::shrink::shrink;
use common::{Case, Index, parse_index, print_index, read_index, shipped, shipped_index, variable};
use hoopy_apk::{Dependency, Op, Record};

/// One small world in so many is also asked for in odd repositories, of which most are refused.
const ODD_EVERY: u64 = 5;

/// Enough to see what they have in common.
const MAX_DIFFERENCES: usize = 10;

#[test]
fn agrees_with_apk_on_small_adversarial_repositories() {
    let worlds = variable("HOOPY_APK_WORLDS", 500);
    agrees_on("agrees_with_apk_on_small_adversarial_repositories", "adversarial", worlds, cases);
}

#[test]
fn agrees_with_apk_on_odd_repositories() {
    let worlds = variable("HOOPY_APK_WORLDS", 500).div_ceil(ODD_EVERY);
    agrees_on("agrees_with_apk_on_odd_repositories", "odd", worlds, odd::cases);
}

fn agrees_on(test: &str, what: &'static str, worlds: u64, cases: impl Fn(&mut Random) -> Vec<Case>) {
    let Some(oracle) = Oracle::find(test) else { return };
    let first = variable("HOOPY_APK_SEED", 1);
    let mut run = Run::new(&oracle, what, worlds);
    for seed in first.. {
        let cases = cases(&mut Random::new(seed));
        oracle.publish(&cases[0].indexes);
        let (universe, catalogue) = (universe(&cases[0].indexes), outlined(&cases[0].indexes));
        let outline = outline(&catalogue, &cases[0].indexes);
        for case in &cases {
            let ours = ours_in(&universe, &case.world);
            check(&outline, &case.world, &ours, seed);
            let agrees = ours.agrees(&oracle.ask(&case.world));
            run.census.count(case, &ours);
            if !run.goes_on(seed, agrees, || case.clone()) {
                return run.end(first, seed);
            }
            if !agrees {
                // Making the difference small has left another index.
                oracle.publish(&case.indexes);
            }
        }
    }
}

#[test]
fn agrees_with_apk_on_a_real_index() {
    let Some(oracle) = Oracle::find("agrees_with_apk_on_a_real_index") else { return };
    let indexes = [Index { tag: None, records: real_index() }];
    oracle.publish(&indexes);
    let (universe, catalogue) = (universe(&indexes), outlined(&indexes));
    let outline = outline(&catalogue, &indexes);
    let (first, worlds) = (variable("HOOPY_APK_SEED", 1), variable("HOOPY_APK_REAL_WORLDS", 50));
    let mut run = Run::new(&oracle, "real", worlds);
    for seed in first.. {
        let world = real_world(&mut Random::new(seed), &indexes[0].records);
        let ours = ours_in(&universe, &world);
        check(&outline, &world, &ours, seed);
        let agrees = ours.agrees(&oracle.ask(&world));
        // Counted as of an index that holds what was chosen alone: all of it would take too long to look at.
        run.census.count(&only(&indexes[0].records, &world, &ours), &ours);
        if !run.goes_on(seed, agrees, || Case { indexes: indexes.to_vec(), world }) {
            return run.end(first, seed);
        }
        if !agrees {
            oracle.publish(&indexes);
        }
    }
}

#[test]
fn small_repositories_have_all_that_can_go_wrong() {
    let mut census = Census::default();
    for seed in 1..500 {
        for case in cases(&mut Random::new(seed)) {
            census.count(&case, &ours(&case.indexes, &case.world));
        }
    }
    assert!(census.missing().is_empty(), "{:?} never occurs\n{census}", census.missing());
}

/// Worlds counted, and differences written down.
struct Run<'o> {
    oracle: &'o Oracle,
    what: &'static str,
    worlds: u64,
    left: u64,
    census: Census,
    differences: Vec<PathBuf>,
}

impl<'o> Run<'o> {
    fn new(oracle: &'o Oracle, what: &'static str, worlds: u64) -> Self {
        Self { oracle, what, worlds, left: worlds, census: Census::default(), differences: Vec::new() }
    }

    /// Takes what came of a world; whether to go on.
    fn goes_on(&mut self, seed: u64, agrees: bool, case: impl FnOnce() -> Case) -> bool {
        if !agrees {
            let case = shrink(&case(), &mut |case| {
                self.oracle.publish(&case.indexes);
                !ours(&case.indexes, &case.world).agrees(&self.oracle.ask(&case.world))
            });
            let path =
                record(self.oracle, &format!("{}-{seed}-{}", self.what, self.worlds - self.left), &case);
            eprintln!("seed {seed}: {}", path.display());
            self.differences.push(path);
        }
        self.left = self.left.saturating_sub(1);
        let done = self.worlds - self.left;
        if done.is_multiple_of(10_000) {
            eprintln!("{}: {done} worlds, {} differences", self.what, self.differences.len());
        }
        self.left > 0 && self.differences.len() < MAX_DIFFERENCES
    }

    fn end(self, first: u64, last: u64) {
        eprintln!("{}, seeds {first} to {last}: {}", self.what, self.census);
        assert!(self.differences.is_empty(), "recorded in {:#?}", self.differences);
    }
}

/// Writes a difference as a case that expects apk's answer. (Of a refusal the words are ours to find, with
/// `HOOPY_BLESS=1`, once we refuse too.)
fn record(oracle: &Oracle, name: &str, case: &Case) -> PathBuf {
    let directory =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/solve-cases").join(format!("found-{name}"));
    std::fs::create_dir_all(&directory).unwrap();
    for (number, index) in (1..).zip(&case.indexes) {
        let number = if number == 1 { String::new() } else { format!("-{number}") };
        let tag = index.tag.as_ref().map_or_else(String::new, |tag| format!("@{tag}"));
        let text = print_index(&index.records, false);
        std::fs::write(directory.join(format!("index{number}{tag}")), text).unwrap();
    }
    let world: String = case.world.iter().map(|dependency| format!("{dependency}\n")).collect();
    std::fs::write(directory.join("world"), world).unwrap();
    oracle.publish(&case.indexes);
    let theirs = oracle.ask(&case.world);
    let ours = ours(&case.indexes, &case.world);
    eprintln!("ours:\n{ours}apk:\n{theirs}");
    std::fs::write(directory.join("expect"), theirs.to_string()).unwrap();
    directory
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
            // All that it waits for: it should come of itself.
            _ if !record.install_if.is_empty() => {
                world.extend(record.install_if.iter().filter(|d| !d.conflict).cloned());
                continue;
            }
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

fn real_index() -> Vec<Record> {
    let path = std::env::var_os("HOOPY_APK_INDEX").map(PathBuf::from);
    parse_index(&path.map_or_else(shipped_index, |path| read_index(&path)))
}

/// The case with no packages but those that an answer holds.
fn only(records: &[Record], world: &[Dependency], answer: &Answer) -> Case {
    let taken: std::collections::HashSet<&str> = match answer {
        Answer::Install(packages) => packages.iter().map(String::as_str).collect(),
        Answer::Refused(_) => Default::default(),
    };
    let is_taken = |r: &&Record| taken.contains(format!("{}-{}", r.name, r.version).as_str());
    let records = records.iter().filter(is_taken).cloned().collect();
    Case { indexes: vec![Index { tag: None, records }], world: world.to_vec() }
}

#[test]
#[ignore = "writes a file of the repository: data/README.md says how"]
fn writes_the_shipped_index_anew() {
    let path = std::env::var_os("HOOPY_APK_INDEX").expect("HOOPY_APK_INDEX names an APKINDEX.tar.gz");
    let mut records = parse_index(&read_index(Path::new(&path)));
    for record in &mut records {
        record.arch = "".into();
        // Of the size, only whether there is any counts.
        record.installed_size = record.installed_size.min(1);
    }
    let file = std::fs::File::create(shipped()).unwrap();
    let mut out = flate2::write::GzEncoder::new(file, flate2::Compression::best());
    std::io::Write::write_all(&mut out, print_index(&records, false).as_bytes()).unwrap();
    out.finish().unwrap();
}
