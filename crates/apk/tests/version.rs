//! Versions against the real apk (`HOOPY_APK_ROOT`; `HOOPY_APK_VERSIONS` says how many pairs), and the properties
//! of an order.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use std::cmp::Ordering;

use common::oracle::Oracle;
use common::random::Random;
use hoopy_apk::Version;
use proptest::prelude::*;

/// A version, mostly valid, of parts that tie and nearly tie.
fn version(random: &mut Random) -> String {
    let mut text = (*random.pick(&["0", "1", "01", "2", "10", "18446744073709551617"])).to_owned();
    while random.chance(50) {
        text +=
            *random.pick(&[".0", ".1", ".01", ".010", ".10", ".9", ".00", ".100", ".18446744073709551616"]);
    }
    if random.chance(20) {
        text += *random.pick(&["a", "b", "z"]);
    }
    while random.chance(35) {
        text += *random.pick(&["_alpha", "_beta", "_pre", "_rc", "_cvs", "_svn", "_git", "_hg", "_p"]);
        if random.chance(50) {
            text += *random.pick(&["1", "2", "01", "10", "20240101"]);
        }
    }
    if random.chance(15) {
        text += *random.pick(&["~a", "~abc", "~0a1", "~1"]);
    }
    if random.chance(40) {
        text += *random.pick(&["-r0", "-r1", "-r01", "-r10"]);
    }
    if random.chance(5) {
        text += *random.pick(&["x1", "_", ".", "-", "~", "-r", "_foo", "A", " ", "~X", "a"]);
    }
    text
}

#[test]
fn compares_as_apk_does() {
    let Some(oracle) = Oracle::find("compares_as_apk_does") else { return };
    let count = std::env::var("HOOPY_APK_VERSIONS").map_or(200, |count| count.parse().unwrap());
    let mut random = Random::new(7);
    for _ in 0..count {
        let (a, b) = (Version::new(&version(&mut random)), Version::new(&version(&mut random)));
        let valid = |version: &Version| {
            oracle.program().args(["version", "-c", version.as_str()]).output().unwrap().status.success()
        };
        if !a.is_valid() || !b.is_valid() {
            assert_eq!((a.is_valid(), b.is_valid()), (valid(&a), valid(&b)), "validity of {a} and {b}");
            continue;
        }
        let output = oracle.program().args(["version", "-t", a.as_str(), b.as_str()]).output().unwrap();
        let theirs = match output.stdout.first() {
            Some(b'<') => Ordering::Less,
            Some(b'=') => Ordering::Equal,
            Some(b'>') => Ordering::Greater,
            _ => panic!("apk will not compare {a} and {b}: {output:?}"),
        };
        assert_eq!(a.compare(&b), theirs, "{a} and {b}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn is_an_order(seeds: [u64; 3]) {
        let [a, b, c] = seeds.map(|seed| Version::new(&version(&mut Random::new(seed))));
        prop_assert_eq!(a.compare(&b), b.compare(&a).reverse());
        prop_assert_eq!(a.cmp(&b) == Ordering::Equal, a == b);
        if a.compare(&b).is_le() && b.compare(&c).is_le() {
            prop_assert!(a.compare(&c).is_le(), "{} <= {} <= {}", a, b, c);
        }
    }

    #[test]
    fn any_text_has_a_place(a: String, b: String) {
        let (a, b) = (Version::new(&a), Version::new(&b));
        prop_assert_eq!(a.compare(&b), b.compare(&a).reverse());
        prop_assert_eq!(a.compare(&a), Ordering::Equal);
    }
}
