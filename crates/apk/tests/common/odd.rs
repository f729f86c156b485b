//! Repositories with all that an index may hold and hardly any does: broken versions, pins where none may be, checksums
//! as demands, entries that repeat another's identity, names that share a bucket of apk's hash table, priorities that do
//! not fit, fields that nobody knows.

use super::random::Random;
use super::{Case, Index, empty_record};
use hoopy_apk::{Checksum, Dependency, Record, Version};

/// `p18` and `p38` share a bucket. The first seven are packages.
const NAMES: [&str; 12] = ["a", "b", "p18", "p38", "c-doc", "B", "e", "so:u", "v", "w", "/bin/x", "missing"];
const PACKAGES: usize = 7;
const VERSIONS: [&str; 5] = ["1.0-r0", "1.1-r0", "2.0-r0", "2.0-r1", "3.0_rc1"];
const BROKEN: [&str; 4] = ["foo", "1_", "2.", "1.0-r0-x"];
const ASKED: [&str; 8] = ["1.0-r0", "1.1", "2.0-r0", "2", "2.0", "1", "0_pre", "3.0_rc1"];
const TAGS: [&str; 3] = ["edge", "testing", "third"];

/// Worlds to each index.
const WORLDS: usize = 5;

/// How odd a case is, in percent.
struct Shape {
    malformed: usize,
    broken_provides: usize,
    provides: usize,
    install_if: usize,
}

/// Repositories, and several worlds of them.
pub fn cases(random: &mut Random) -> Vec<Case> {
    let shape = Shape {
        malformed: *random.pick(&[0, 0, 3, 10]),
        broken_provides: *random.pick(&[0, 20]),
        provides: *random.pick(&[10, 40, 60]),
        install_if: *random.pick(&[0, 20, 50]),
    };
    let mut indexes: Vec<Index> = Vec::new();
    for _ in 0..*random.pick(&[1, 1, 2, 3, 5]) {
        let records = records(random, &shape, &indexes);
        let is_tagged = !indexes.is_empty() && random.chance(60);
        let tag = is_tagged.then(|| (*random.pick(&TAGS)).to_owned());
        indexes.push(Index { tag, records });
    }
    let worlds: Vec<_> = (0..WORLDS).map(|_| world(random, &indexes)).collect();
    worlds.into_iter().map(|world| Case { indexes: indexes.clone(), world }).collect()
}

fn records(random: &mut Random, shape: &Shape, earlier: &[Index]) -> Vec<Record> {
    let mut known: Vec<Record> = earlier.iter().flat_map(|index| index.records.clone()).collect();
    let mut records = Vec::new();
    for _ in 0..3 + random.below(12) {
        let record = record(random, shape, &known);
        known.push(record.clone());
        records.push(record);
    }
    if !earlier.is_empty() {
        records.extend((0..random.below(4)).map(|_| random.pick(&known).clone()));
    }
    records
}

fn record(random: &mut Random, shape: &Shape, known: &[Record]) -> Record {
    let mut record = empty_record();
    record.checksum = Checksum::Sha1(std::array::from_fn(|_| random.below(256) as u8));
    // An identity that another entry has already, which may say something else.
    if random.chance(8) && !known.is_empty() {
        record.checksum = random.pick(known).checksum;
    }
    record.name = (*random.pick(&NAMES[..PACKAGES])).into();
    record.version = Version::new(random.pick::<&str>(&VERSIONS));
    record.arch = (*random.pick(&["aarch64", "aarch64", "aarch64", "noarch", "", "x86_64"])).into();
    record.installed_size = u64::from(!random.chance(12));
    if random.chance(20) {
        record.provider_priority = *random.pick(&[1, 2, 65_536, 65_537]);
    }
    while random.chance(30) && record.depends.len() < 4 {
        record.depends.push(dependency(random, shape.malformed, known));
    }
    while random.chance(shape.provides) && record.provides.len() < 4 {
        record.provides.push(provided(random, shape));
    }
    while random.chance(shape.install_if) && record.install_if.len() < 3 {
        record.install_if.push(dependency(random, shape.malformed, known));
    }
    if random.chance(4) {
        record.unknown_field = Some(*random.pick(&['X', '1', '-']));
    }
    record
}

fn dependency(random: &mut Random, malformed: usize, known: &[Record]) -> Dependency {
    let mut text = if random.chance(5) { "!" } else { "" }.to_owned();
    text += random.pick::<&str>(&NAMES);
    if random.chance(malformed) && random.chance(30) {
        text += "@edge";
    }
    if random.chance(15) {
        text += random.pick::<&str>(&["=", "<", "<=", ">", ">=", "~", "<~", ">~", "=~"]);
        let is_broken = random.chance(malformed);
        text += if is_broken { *random.pick(&BROKEN) } else { *random.pick(&ASKED) };
    } else if random.chance(6) && !known.is_empty() {
        text += &format!("><{}", random.pick(known).checksum);
    }
    text.parse().unwrap()
}

fn provided(random: &mut Random, shape: &Shape) -> Dependency {
    let name = *random.pick(&NAMES);
    let version = if random.chance(shape.broken_provides) { &BROKEN[..] } else { &VERSIONS[..] };
    let text = match random.below(10) {
        _ if random.chance(shape.malformed) && random.chance(30) => format!("{name}@edge"),
        0..=5 => format!("{name}={}", random.pick(version)),
        _ => name.to_owned(),
    };
    text.parse().unwrap()
}

fn world(random: &mut Random, indexes: &[Index]) -> Vec<Dependency> {
    let known: Vec<Record> = indexes.iter().flat_map(|index| index.records.clone()).collect();
    let tags: Vec<&String> = indexes.iter().filter_map(|index| index.tag.as_ref()).collect();
    let mut world = Vec::new();
    for _ in 0..1 + random.below(4) {
        let malformed = if random.chance(2) { 30 } else { 0 };
        let mut demand = dependency(random, malformed, &known);
        demand.tag = None;
        if !tags.is_empty() && random.chance(40) {
            demand.tag = Some(random.pick(&tags).as_str().into());
        }
        if random.chance(1) {
            demand.tag = Some("nowhere".into());
        }
        world.push(demand);
    }
    world
}
