//! Versions against the real apk (`HOOPY_APK_ROOT`; `HOOPY_APK_VERSIONS` says how many pairs, `HOOPY_APK_SEED` is
//! the seed), and the properties of an order. How one process of apk answers for thousands of pairs is told in
//! `common/versions.rs`.
#![expect(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tests say what they skip")]

mod common;

use std::cmp::Ordering;

use common::oracle::Oracle;
use common::random::Random;
use common::variable;
use common::versions::{BATCH, Pair, compared, invalid, met, near, version};
use hoopy_apk::{Dependency, Op, Version};
use proptest::prelude::*;

const OPERATORS: [Op; 8] = [
    Op::Equal,
    Op::Less,
    Op::LessOrEqual,
    Op::Greater,
    Op::GreaterOrEqual,
    Op::Fuzzy,
    Op::LessFuzzy,
    Op::GreaterFuzzy,
];

/// Pairs of versions, half of them alike but for a little, by the batch.
fn batches(count: u64) -> impl Iterator<Item = Vec<Pair>> {
    let seed = variable("HOOPY_APK_SEED", 7);
    eprintln!("{count} pairs, seed {seed}");
    let mut random = Random::new(seed);
    let mut left = usize::try_from(count).unwrap();
    std::iter::from_fn(move || {
        let size = left.min(BATCH);
        left -= size;
        let pair = |_| {
            let a = version(&mut random);
            let b = if random.chance(50) { near(&mut random, &a) } else { version(&mut random) };
            if random.chance(50) { (a, b) } else { (b, a) }
        };
        (size > 0).then(|| (0..size).map(pair).collect())
    })
}

#[test]
fn compares_as_apk_does() {
    let Some(oracle) = Oracle::find("compares_as_apk_does") else { return };
    let (mut done, mut equal, mut broken) = (0, 0, 0);
    for pairs in batches(variable("HOOPY_APK_VERSIONS", 20_000)) {
        for ((a, b), theirs) in pairs.iter().zip(compared(&oracle, &pairs)) {
            let (left, right) = (Version::new(a), Version::new(b));
            assert_eq!(left.compare(&right), theirs, "{a} and {b}");
            equal += u32::from(theirs.is_eq() && a != b);
            broken += u32::from(!left.is_valid() || !right.is_valid());
            done += 1;
        }
    }
    eprintln!(
        "{done} pairs compared, {equal} of them equal and not the same, {broken} with an invalid version"
    );
}

#[test]
fn knows_valid_versions_as_apk_does() {
    let Some(oracle) = Oracle::find("knows_valid_versions_as_apk_does") else { return };
    for pairs in batches(variable("HOOPY_APK_VERSIONS", 20_000) / 2) {
        let texts: Vec<String> = pairs.into_iter().flat_map(|(a, b)| [a, b]).collect();
        let ours: Vec<&String> = texts.iter().filter(|text| !Version::new(text).is_valid()).collect();
        assert_eq!(ours, invalid(&oracle, &texts).iter().collect::<Vec<_>>());
    }
}

/// Each operator between what is there and what is asked for, through the solver of either.
#[test]
fn meets_constraints_as_apk_does() {
    let Some(oracle) = Oracle::find("meets_constraints_as_apk_does") else { return };
    let mut counts = [0_u32; 2];
    let mut operators = OPERATORS.iter().cycle();
    for pairs in batches(variable("HOOPY_APK_VERSIONS", 20_000) / 10) {
        let valid = |(there, asked): Pair| (Version::new(&there), Version::new(&asked));
        let pairs: Vec<(Version, Version)> = pairs.into_iter().map(valid).collect();
        let asked: Vec<(Version, Dependency)> = pairs
            .into_iter()
            .filter(|(there, asked)| there.is_valid() && asked.is_valid())
            .zip(operators.by_ref())
            .zip(0..)
            .map(|(((there, asked), op), i)| (there, format!("p{i}{op}{asked}").parse().unwrap()))
            .collect();
        for ((there, dependency), theirs) in asked.iter().zip(met(&oracle, &asked)) {
            assert_eq!(dependency.satisfied_by(Some(there)), theirs, "{there} for {dependency}");
            counts[usize::from(theirs)] += 1;
        }
    }
    eprintln!("{} constraints met, {} not", counts[1], counts[0]);
}

/// Versions that are alike but for a little.
fn family(seeds: [u64; 3]) -> [Version; 3] {
    let first = version(&mut Random::new(seeds[0]));
    let second = near(&mut Random::new(seeds[1]), &first);
    let third = near(&mut Random::new(seeds[2]), if seeds[2].is_multiple_of(2) { &first } else { &second });
    [first, second, third].map(|text| Version::new(&text))
}

fn check_order([a, b, c]: [Version; 3]) -> Result<(), TestCaseError> {
    prop_assert_eq!(a.compare(&b), b.compare(&a).reverse());
    prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
    if a.compare(&b).is_le() && b.compare(&c).is_le() {
        prop_assert!(a.compare(&c).is_le(), "{} <= {} <= {}", a, b, c);
    }
    if a.compare(&b).is_eq() {
        prop_assert_eq!(a.compare(&c), b.compare(&c), "{} = {}, beside {}", a, b, c);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn is_an_order(seeds: [u64; 3]) {
        check_order(seeds.map(|seed| Version::new(&version(&mut Random::new(seed)))))?;
    }

    #[test]
    fn is_an_order_of_those_that_are_nearly_the_same(seeds: [u64; 3]) {
        check_order(family(seeds))?;
    }

    #[test]
    fn any_text_has_a_place(a: String, b: String) {
        let (a, b) = (Version::new(&a), Version::new(&b));
        prop_assert_eq!(a.compare(&b), b.compare(&a).reverse());
        prop_assert_eq!(a.compare(&a), Ordering::Equal);
    }
}
