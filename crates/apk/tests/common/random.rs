//! Small adversarial repositories and worlds.

use super::{Case, Index, empty_record};
use hoopy_apk::{Checksum, Dependency, Record, Version};

/// xorshift64*: the same worlds for the same seed, everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..4 {
            random.below(2);
        }
        random
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        &items[self.below(items.len())]
    }
}

const REAL: [&str; 9] = ["a", "b", "c", "d", "e", "f", "g", "Foo-x", "h-doc"];
const VIRTUAL: [&str; 5] = ["so:u.1", "cmd:v", "w", "/bin/x", "pc:y"];
const TAGS: [&str; 2] = ["edge", "testing"];
const VERSIONS: [&str; 5] = ["1.0-r0", "1.1-r0", "2.0-r0", "2.0-r1", "3.0_rc1-r0"];

/// Worlds to each index: making the index costs apk and us about what one world does.
const WORLDS: usize = 5;

/// How wild a case is.
struct Shape {
    names: usize,
    depends: usize,
    conflicts: usize,
    constraints: usize,
    provides: usize,
    install_if: usize,
}

/// Repositories, and several worlds of them.
pub fn cases(random: &mut Random) -> Vec<Case> {
    let shape = Shape {
        names: 2 + random.below(REAL.len() - 1),
        depends: *random.pick(&[20, 40, 60]),
        conflicts: *random.pick(&[0, 3, 10]),
        constraints: *random.pick(&[0, 5, 15]),
        provides: *random.pick(&[0, 20, 50]),
        install_if: *random.pick(&[0, 10, 40]),
    };
    let mut indexes = vec![Index { tag: None, records: records(random, &shape) }];
    while random.chance(30) && indexes.len() < 4 {
        let tag = random.chance(60).then(|| (*random.pick(&TAGS)).to_owned());
        let mut records = records(random, &shape);
        let earlier = random.pick(&indexes).records.iter();
        let copied: Vec<Record> =
            earlier.filter(|_| random.0.is_multiple_of(3) | random.chance(10)).cloned().collect();
        records.extend(copied.into_iter().map(|record| rebuilt(random, record)));
        indexes.push(Index { tag, records });
    }
    let worlds = (0..WORLDS).map(|_| world(random, &shape, &indexes)).collect::<Vec<_>>();
    worlds.into_iter().map(|world| Case { indexes: indexes.clone(), world }).collect()
}

/// The same package, or now and then the same version made anew.
fn rebuilt(random: &mut Random, mut record: Record) -> Record {
    if random.chance(30) {
        record.checksum = checksum(random);
        record.depends.pop();
    }
    record
}

fn world(random: &mut Random, shape: &Shape, indexes: &[Index]) -> Vec<Dependency> {
    let tags: Vec<&String> = indexes.iter().filter_map(|index| index.tag.as_ref()).collect();
    let mut world = Vec::new();
    for _ in 0..1 + random.below(4) {
        let mut dependency = dependency(random, shape);
        if !tags.is_empty() && random.chance(30) {
            dependency.tag = Some(random.pick(&tags).as_str().into());
        }
        if random.chance(2) {
            let index = random.pick(indexes);
            let record = random.pick(&index.records);
            dependency = format!("{}><{}", record.name, record.checksum).parse().unwrap();
        }
        // Of two for one name the later counts.
        if random.chance(5) || !world.iter().any(|other: &Dependency| other.name == dependency.name) {
            world.push(dependency);
        }
    }
    world
}

fn checksum(random: &mut Random) -> Checksum {
    Checksum::Sha1(std::array::from_fn(|_| random.below(256) as u8))
}

fn records(random: &mut Random, shape: &Shape) -> Vec<Record> {
    let count = 4 + random.below(20);
    (0..count).map(|_| record(random, shape)).collect()
}

fn record(random: &mut Random, shape: &Shape) -> Record {
    let mut record = empty_record();
    record.checksum = checksum(random);
    record.name = REAL[random.below(shape.names)].into();
    record.version = Version::new(random.pick::<&str>(&VERSIONS));
    record.arch = (*random.pick(&["aarch64", "aarch64", "aarch64", "noarch"])).into();
    if random.chance(5) {
        record.arch = "x86_64".into();
    }
    record.installed_size = u64::from(!random.chance(10));
    while random.chance(shape.depends) && record.depends.len() < 4 {
        record.depends.push(dependency(random, shape));
    }
    while random.chance(shape.provides) && record.provides.len() < 3 {
        record.provides.push(provided(random, shape));
    }
    if random.chance(20) {
        record.provider_priority = random.below(3) as u32;
    }
    while random.chance(shape.install_if) && record.install_if.len() < 3 {
        record.install_if.push(dependency(random, shape));
    }
    record
}

fn name(random: &mut Random, shape: &Shape, real: usize) -> Box<str> {
    let known = if random.chance(real) { REAL[random.below(shape.names)] } else { *random.pick(&VIRTUAL) };
    if random.below(200) == 0 { "missing".into() } else { known.into() }
}

fn dependency(random: &mut Random, shape: &Shape) -> Dependency {
    let name = name(random, shape, 92);
    let conflict = random.chance(shape.conflicts);
    let mut text = format!("{}{name}", if conflict { "!" } else { "" });
    if random.chance(shape.constraints) {
        text += *random.pick(&["=", "<", "<=", ">", ">=", "~", "<~", ">~"]);
        text +=
            *random.pick(&["1.0-r0", "1.1-r0", "2.0-r0", "2", "2.0", "1", "3.0-r0", "1.0_rc1", "2.0-r01"]);
    }
    text.parse().unwrap()
}

fn provided(random: &mut Random, shape: &Shape) -> Dependency {
    let name = name(random, shape, 60);
    let text = if random.chance(60) { format!("{name}={}", random.pick(&VERSIONS)) } else { name.into() };
    text.parse().unwrap()
}
