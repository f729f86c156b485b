//! Made-up worlds in which packages share directories, files and links.

use std::fmt::Write as _;

/// xorshift64*: the same worlds for the same seed, everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..4).for_each(|_| {
            random.below(2);
        });
        random
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<'t, T: ?Sized>(&mut self, items: &[&'t T]) -> &'t T {
        items[self.below(items.len())]
    }
}

const NAMES: [&str; 7] = ["a", "b", "c", "ab", "a-x", "zz", "B"];
const MODES: [&str; 6] = ["755", "755", "700", "711", "1777", "2750"];
const OWNERS: [&str; 5] = ["0:0", "0:0", "0:0", "8:12", "7:0"];
const DIRS: [&str; 9] = ["d", "d/e", "etc", "etc/conf", "opt", "opt/a", "usr", "usr/lib", "lib"];
const FILES: [&str; 3] = ["f", "g", "h"];
const CONTENTS: [&str; 2] = ["one", "two"];

/// A world as text.
pub fn world(random: &mut Random) -> String {
    let mut names: Vec<&str> = Vec::new();
    let count = 2 + random.below(3);
    while names.len() < count {
        let name = random.pick(&NAMES);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    // Most worlds would be refused, if every package had whatever it likes.
    let clashes = random.chance(30);
    let merged = random.chance(30);
    let mut text = String::new();
    for (index, name) in names.iter().enumerate() {
        head(random, &mut text, &names, index);
        if index == 0 && merged {
            text += "dir usr 755 0:0\ndir usr/lib 755 0:0\nlink lib usr/lib\n";
        }
        let taken = if index == 0 && merged { vec!["usr", "usr/lib", "lib"] } else { Vec::new() };
        body(random, &mut text, name, clashes, merged, &taken);
        scripts(random, &mut text);
    }
    text
}

fn head(random: &mut Random, text: &mut String, names: &[&str], index: usize) {
    let name = names[index];
    let version = random.pick(&["1-r0", "2-r0"]);
    let _ = writeln!(text, "package {name} {version}");
    let origin = match random.below(4) {
        0 => random.pick(&["x", "y"]),
        1 => random.pick(names),
        _ => name,
    };
    let _ = writeln!(text, "origin {origin}");
    if random.chance(40) {
        let _ = writeln!(text, "priority {}", random.pick(&["1", "5"]));
    }
    for other in names.iter().filter(|o| **o != name) {
        if random.chance(30) {
            let _ = writeln!(text, "replaces {other}{}", random.pick(&["", "", "<2", ">1"]));
        }
    }
    // Backwards as forwards, so that the names do not decide the order.
    if index > 0 && random.chance(60) {
        let _ = writeln!(text, "depends {}", names[index - 1]);
    }
}

fn body(random: &mut Random, text: &mut String, name: &str, clashes: bool, merged: bool, taken: &[&str]) {
    let chosen: Vec<&str> = DIRS.into_iter().filter(|_| random.chance(45)).collect();
    // Nothing of its own goes through its own link.
    let linked = |dir: &&&str| taken.contains(&"lib") && **dir == "lib";
    let parents = |dir: &&&str| chosen.iter().any(|c| c == *dir || c.starts_with(&format!("{dir}/")));
    for dir in DIRS.iter().filter(parents).filter(|dir| !linked(dir)) {
        if !taken.contains(dir) {
            let _ = writeln!(text, "dir {dir} {} {}", random.pick(&MODES), random.pick(&OWNERS));
        }
        let mut first: Option<String> = None;
        for file in FILES {
            if !random.chance(30) {
                continue;
            }
            // Names of a package's own clash with nobody.
            let shared = clashes || dir.starts_with("etc") && random.chance(30);
            let path = if shared { format!("{dir}/{file}") } else { format!("{dir}/{name}-{file}") };
            let content = random.pick(&CONTENTS);
            match (random.below(5), &first) {
                (0, _) => {
                    let _ = writeln!(text, "link {path} {content}");
                }
                (1, Some(first)) if !(merged && dir.ends_with("lib")) => {
                    let (first, access) = first.split_once(' ').unwrap();
                    let _ = writeln!(text, "hard {path} {access} {first}");
                }
                _ => {
                    let mode = random.pick(&["644", "600", "4755"]);
                    let file = format!("{path} {mode} {}", random.pick(&OWNERS));
                    let _ = writeln!(text, "file {file} {content}");
                    first = Some(file);
                }
            }
        }
    }
}

fn scripts(random: &mut Random, text: &mut String) {
    for kind in ["pre-install", "post-install"] {
        if !random.chance(15) {
            continue;
        }
        let dir = random.pick(&["d", "opt", "etc/conf"]);
        let command = match random.below(4) {
            0 => format!("mkdir {} {dir}", random.pick(&MODES)),
            1 => format!("chmod {} {dir}", random.pick(&MODES)),
            2 => format!("write {dir}/{} {}", random.pick(&FILES), random.pick(&CONTENTS)),
            _ => format!("symlink elsewhere {dir}/{}", random.pick(&FILES)),
        };
        let _ = writeln!(text, "{kind} {command}");
    }
}
