//! Small adversarial repositories and worlds, and making a difference smaller.

use super::{Index, empty_record};
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
const VERSIONS: [&str; 5] = ["1.0-r0", "1.1-r0", "2.0-r0", "2.0-r1", "3.0_rc1-r0"];

/// A world of a test: repositories and demands.
#[derive(Debug, Clone)]
pub struct Case {
    pub indexes: Vec<Index>,
    pub world: Vec<Dependency>,
}

/// How wild a case is.
struct Shape {
    names: usize,
    depends: usize,
    conflicts: usize,
    constraints: usize,
    provides: usize,
    install_if: usize,
}

pub fn case(random: &mut Random) -> Case {
    let shape = Shape {
        names: 2 + random.below(REAL.len() - 1),
        depends: *random.pick(&[20, 40, 60]),
        conflicts: *random.pick(&[0, 3, 10]),
        constraints: *random.pick(&[0, 5, 15]),
        provides: *random.pick(&[0, 20, 50]),
        install_if: *random.pick(&[0, 10, 40]),
    };
    let mut indexes = vec![Index { tag: None, records: records(random, &shape) }];
    if random.chance(30) {
        let tag = random.chance(60).then(|| "edge".to_owned());
        let mut records = records(random, &shape);
        let copied: Vec<Record> = indexes[0].records.iter().filter(|_| random.chance(30)).cloned().collect();
        records.extend(copied);
        indexes.push(Index { tag, records });
    }
    let tagged = indexes.iter().any(|index| index.tag.is_some());
    let mut world = Vec::new();
    for _ in 0..1 + random.below(3) {
        let mut dependency = dependency(random, &shape);
        if tagged && random.chance(30) {
            dependency.tag = Some("edge".into());
        }
        if !world.iter().any(|other: &Dependency| other.name == dependency.name) {
            world.push(dependency);
        }
    }
    Case { indexes, world }
}

fn records(random: &mut Random, shape: &Shape) -> Vec<Record> {
    let count = 4 + random.below(20);
    (0..count).map(|_| record(random, shape)).collect()
}

fn record(random: &mut Random, shape: &Shape) -> Record {
    let mut record = empty_record();
    record.checksum = Checksum::Sha1(std::array::from_fn(|_| random.below(256) as u8));
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
        text += *random.pick(&["1.0-r0", "1.1-r0", "2.0-r0", "2", "2.0", "1", "3.0-r0"]);
    }
    text.parse().unwrap()
}

fn provided(random: &mut Random, shape: &Shape) -> Dependency {
    let name = name(random, shape, 60);
    let text = if random.chance(60) { format!("{name}={}", random.pick(&VERSIONS)) } else { name.into() };
    text.parse().unwrap()
}

/// Takes away whatever can go while the difference stays.
pub fn shrink(case: &Case, differs: &mut dyn FnMut(&Case) -> bool) -> Case {
    let mut best = case.clone();
    loop {
        let smaller = candidates(&best).into_iter().find(|smaller| differs(smaller));
        match smaller {
            Some(smaller) => best = smaller,
            None => return best,
        }
    }
}

fn candidates(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
    let mut add = |change: &dyn Fn(&mut Case)| {
        let mut smaller = case.clone();
        change(&mut smaller);
        all.push(smaller);
    };
    for i in 0..case.world.len() {
        add(&|case| drop(case.world.remove(i)));
        if case.world[i].constraint.is_some() {
            add(&|case| case.world[i].constraint = None);
        }
    }
    for i in 0..case.indexes.len() {
        if case.indexes.len() > 1 {
            add(&|case| drop(case.indexes.remove(i)));
        }
        for j in 0..case.indexes[i].records.len() {
            add(&|case| drop(case.indexes[i].records.remove(j)));
            for list in 0..3 {
                let length = list_of(&mut case.indexes[i].records[j].clone(), list).len();
                for k in 0..length {
                    add(&|case| drop(list_of(&mut case.indexes[i].records[j], list).remove(k)));
                    add(&|case| list_of(&mut case.indexes[i].records[j], list)[k].constraint = None);
                }
            }
            add(&|case| case.indexes[i].records[j].provider_priority = 0);
            add(&|case| case.indexes[i].records[j].arch = "".into());
        }
    }
    let size = |case: &Case| format!("{case:?}").len();
    let before = size(case);
    all.retain(|smaller| size(smaller) < before);
    all
}

fn list_of(record: &mut Record, list: usize) -> &mut Vec<Dependency> {
    match list {
        0 => &mut record.depends,
        1 => &mut record.provides,
        _ => &mut record.install_if,
    }
}
