//! Versions by the thousand, and what one process of apk says of them all.
//!
//! `apk version -t` takes one pair, and a million processes would take hours. Without `-t` it compares every
//! installed package with the newest of what is installed and what the repositories have: a root whose installed
//! database says `p0-A0 p1-A1 ...`, beside an index with `p0-B0 p1-B1 ...`, answers "A is older than B, or not"
//! for each. The same the other way round tells older from equal. It is the same function of apk that `-t` calls,
//! and it takes invalid versions too, which `-t` will not.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;

use sha1::{Digest as _, Sha1};

use super::oracle::{ARCH, Oracle};
use super::random::Random;
use super::{Index, empty_record};
use hoopy_apk::{Checksum, Dependency, Record, Version};

/// Two versions.
pub type Pair = (String, String);

/// Versions to one process: apk's arguments and its table of names stay small.
pub const BATCH: usize = 20_000;

/// As many as the arguments of one process have room for.
const ARGUMENTS: usize = 10_000;

/// Parts of versions, in the order in which they may follow.
const PARTS: [&[&str]; 6] = [
    &["0", "1", "01", "2", "10", "18446744073709551617"],
    &[".0", ".1", ".01", ".010", ".10", ".9", ".00", ".100", ".18446744073709551616"],
    &["a", "b", "z"],
    &["_alpha", "_beta", "_pre", "_rc", "_cvs", "_svn", "_git", "_hg", "_p"],
    &["~a", "~abc", "~0a1", "~1"],
    &["-r0", "-r1", "-r01", "-r10"],
];

const SUFFIX_NUMBERS: [&str; 5] = ["1", "2", "01", "10", "20240101"];

const BROKEN: [&str; 11] = ["x1", "_", ".", "-", "~", "-r", "_foo", "A", ":1", "~X", "a"];

fn word(random: &mut Random, words: &[&'static str]) -> &'static str {
    words[random.below(words.len())]
}

/// A version, mostly valid, of parts that tie and nearly tie.
pub fn version(random: &mut Random) -> String {
    let mut text = word(random, PARTS[0]).to_owned();
    while random.chance(50) {
        text += word(random, PARTS[1]);
    }
    if random.chance(20) {
        text += word(random, PARTS[2]);
    }
    while random.chance(35) {
        text += word(random, PARTS[3]);
        if random.chance(50) {
            text += word(random, &SUFFIX_NUMBERS);
        }
    }
    if random.chance(15) {
        text += word(random, PARTS[4]);
    }
    if random.chance(40) {
        text += word(random, PARTS[5]);
    }
    if random.chance(5) {
        text += word(random, &BROKEN);
    }
    text
}

/// A version with one part more, one less, or one other: often still valid.
pub fn near(random: &mut Random, text: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let mut start = 0;
    for (at, c) in text.char_indices().skip(1) {
        if matches!(c, '.' | '_' | '~' | '-') {
            parts.push(&text[start..at]);
            start = at;
        }
    }
    parts.push(&text[start..]);
    let at = random.below(parts.len());
    let kind = PARTS[1 + random.below(PARTS.len() - 1)];
    match random.below(5) {
        0 => parts.insert(at + 1, word(random, kind)),
        1 if at > 0 => drop(parts.remove(at)),
        2 => parts.insert(at + 1, word(random, &SUFFIX_NUMBERS)),
        3 => parts[at] = word(random, if at == 0 { PARTS[0] } else { kind }),
        _ => parts.push(word(random, kind)),
    }
    parts.concat()
}

/// What apk takes for the order of each pair.
pub fn compared(oracle: &Oracle, pairs: &[Pair]) -> Vec<Ordering> {
    let forth = older(oracle, pairs.iter().map(|(a, b)| (a.as_str(), b.as_str())));
    let back = older(oracle, pairs.iter().map(|(a, b)| (b.as_str(), a.as_str())));
    let order = |(forth, back)| match (forth, back) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => Ordering::Equal,
        (true, true) => panic!("apk takes each for older than the other"),
    };
    forth.into_iter().zip(back).map(order).collect()
}

/// Whether apk takes the first of each pair for older than the second.
fn older<'a>(oracle: &Oracle, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<bool> {
    let (mut installed, mut available) = (String::new(), Vec::new());
    for (i, (a, b)) in pairs.enumerate() {
        let record = package(i, b);
        let digest = data_encoding::BASE64.encode(&Sha1::digest(format!("installed {i}")));
        writeln!(installed, "C:Q1{digest}\nP:{}\nV:{a}\nA:{ARCH}\nS:1\nI:1\nT:test\n", record.name).unwrap();
        available.push(record);
    }
    let count = available.len();
    oracle.publish(&[Index { tag: None, records: available }]);
    let root = oracle.directory().join("versions");
    for directory in ["lib/apk/db", "etc/apk"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    for (file, text) in
        [("lib/apk/db/installed", &*installed), ("lib/apk/db/triggers", ""), ("etc/apk/world", "")]
    {
        fs::write(root.join(file), text).unwrap();
    }
    let mut command = oracle.apk_of(&root);
    let output = command.args(["version", "--limit", "<=>?"]).output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    let mut older = vec![None; count];
    // `p17-1.0      < 1.1`
    for line in out.lines().filter(|line| line.starts_with('p')) {
        let mut words = line.split_whitespace();
        let number = words.next().and_then(|package| package[1..].split('-').next()?.parse::<usize>().ok());
        older[number.unwrap()] = Some(words.next() == Some("<"));
    }
    older.into_iter().map(|answer| answer.expect("an answer for each pair")).collect()
}

/// Those that apk takes for no versions, in order.
pub fn invalid(oracle: &Oracle, texts: &[String]) -> Vec<String> {
    let ask = |texts: &[String]| {
        let output = oracle.program().args(["version", "--check"]).args(texts).output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    texts.chunks(ARGUMENTS).flat_map(ask).collect()
}

/// Whether apk takes each version for what the dependency asks for. All are asked for at once: where it cannot
/// have the world, it says of each package that is not what was asked for that it "breaks" it.
pub fn met(oracle: &Oracle, asked: &[(Version, Dependency)]) -> Vec<bool> {
    let records: Vec<Record> = (0..).zip(asked).map(|(i, (there, _))| package(i, there.as_str())).collect();
    oracle.publish(&[Index { tag: None, records }]);
    let broken: HashSet<String> = oracle.broken(asked.iter().map(|(_, dependency)| dependency));
    asked.iter().map(|(_, dependency)| !broken.contains(&dependency.to_string())).collect()
}

fn package(number: usize, version: &str) -> Record {
    let mut record = empty_record();
    record.name = format!("p{number}").into();
    record.version = Version::new(version);
    record.checksum = Checksum::Sha1(Sha1::digest(format!("available {number}")).into());
    record
}
