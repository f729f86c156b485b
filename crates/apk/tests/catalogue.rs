//! Catalogues answer as records do, in the same order; and what is written down of one can be read again.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;

use common::oracle::{ours_in, universe};
use common::outlined::{alone, check, outline, outlined, read, stored};
use common::random::{Random, cases};
use common::{Index, parse_list, print_index, shipped_index, variable};
use hoopy_apk::catalogue::Catalogue;
use hoopy_apk::resolve::Outline;
use hoopy_apk::{Record, Version};
use proptest::prelude::*;

#[test]
fn catalogues_answer_as_records_do() {
    for seed in 1..=variable("HOOPY_APK_WORLDS", 2500) / 5 {
        let cases = cases(&mut Random::new(seed));
        let indexes = &cases[0].indexes;
        let (universe, catalogue) = (universe(indexes), outlined(indexes));
        let outline = outline(&catalogue, indexes);
        for case in &cases {
            check(&outline, &case.world, &ours_in(&universe, &case.world), seed);
        }
    }
}

#[test]
fn catalogues_of_several_large_repositories_answer_as_records_do() {
    let records = common::parse_index(&shipped_index());
    let mut random = Random::new(1);
    let (some, others) = records.iter().cloned().partition(|_| random.chance(60));
    let both = [Index { tag: None, records: some }, Index { tag: None, records: others }];
    let both = [
        both[0].clone(),
        Index { tag: None, records: [&both[1].records[..], &both[0].records[..99]].concat() },
    ];
    let (universe, catalogue) = (universe(&both), outlined(&both));
    let outline = outline(&catalogue, &both);
    for seed in 1..50 {
        let names: Vec<&str> = (0..10).map(|_| &*random.pick(&records).name).collect();
        let world = parse_list(&names.join(" "));
        check(&outline, &world, &ours_in(&universe, &world), seed);
    }
}

#[test]
fn a_chosen_package_has_what_a_lock_says_of_it() {
    let text = "C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\nP:a\nV:1-r0\nA:noarch\nS:12\nI:34\nT:words\nt:56\nD:b>=1 !c\n\n\
                C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAE=\nP:b\nV:1-r0\nI:1\np:so:b=2\n";
    let catalogue = stored(&alone(text));
    assert_eq!((catalogue.len(), catalogue.descriptions()), (2, &["as described".to_owned()][..]));
    let outline = Outline::new(&catalogue, &[None]).unwrap();
    let world = parse_list("a");
    let chosen = outline.solve(&world).unwrap().install;
    let checksum = "Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=".parse().unwrap();
    let expected = Record {
        checksum,
        name: "a".into(),
        version: Version::new("1-r0"),
        size: 12,
        build_time: 56,
        ..Record::empty()
    };
    assert_eq!(chosen[1].record, &expected);
}

#[test]
fn refuses_what_an_index_may_not_hold() {
    let begin = "C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\nP:a\nV:1\n";
    for (text, why) in [
        ("P:a\nV:1\n\n", "`C:`"),
        ("C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\nV:1\n\n", "`P:`"),
        ("C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\nP:../a\nV:1\n\n", "file name"),
        (&format!("{begin}D:a<>=1\n\n"), "operator"),
        (&format!("{begin}I:many\n\n"), "not a number"),
        (&format!("{begin}rubbish\n\n"), "letter"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The store checks the digest of what it keeps; nothing may come of it all the same but a wrong answer.
    #[test]
    fn survives_a_damaged_form(seed: u64, places: Vec<(prop::sample::Index, u8)>, cut: prop::sample::Index) {
        let case = &cases(&mut Random::new(seed))[0];
        let mut bytes = alone(&print_index(&case.indexes[0].records, true)).to_bytes().unwrap();
        for (place, value) in places {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if seed.is_multiple_of(4) {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(catalogue) = Catalogue::from_bytes(&bytes) {
            let outline = Outline::new(&catalogue, &[None]).unwrap();
            let _ = outline.solve(&case.world);
        }
    }
}
