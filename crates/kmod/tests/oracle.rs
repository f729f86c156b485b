//! Beside the real depmod: the one of the mirror's package kmod, over real modules.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use flate2::read::GzDecoder;
use hoopy_kmod::{Error, File, Lists, Module, NAMES, files, is_module};
use hoopy_testkit::mirror;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use tempfile::TempDir;

/// What depmod needs to run.
const PROGRAM: [&str; 6] = ["kmod", "musl", "zlib", "xz-libs", "zstd-libs", "libcrypto3"];

/// Any version will do.
const VERSION: &str = "6.18.56-0-virt";

fn unpack(name: &str, arch: &str, to: &Path) {
    let dir = mirror().alpine.join("v3.23/main").join(arch);
    let file = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path()).find(|path| {
        let rest = path.file_name().unwrap().to_str().unwrap().strip_prefix(name);
        rest.and_then(|r| r.strip_prefix('-')).is_some_and(|r| r.starts_with(|c: char| c.is_ascii_digit()))
    });
    let file = file.unwrap_or_else(|| panic!("no {name} in {}", dir.display()));
    let out = Command::new("tar").arg("xzf").arg(file).arg("-C").arg(to).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// The real depmod, over the modules below `base`.
fn depmod(base: &Path) -> Output {
    static ROOT: OnceLock<TempDir> = OnceLock::new();
    let root = ROOT.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        PROGRAM.iter().for_each(|name| unpack(name, std::env::consts::ARCH, dir.path()));
        dir
    });
    let root = root.path();
    Command::new(root.join(format!("lib/ld-musl-{}.so.1", std::env::consts::ARCH)))
        .arg("--library-path")
        .arg(format!("{0}/lib:{0}/usr/lib", root.display()))
        .args(["--argv0", "depmod"])
        .arg(root.join("bin/kmod"))
        .arg("-b")
        .args([base.as_os_str(), VERSION.as_ref()])
        .env_clear()
        .output()
        .unwrap()
}

/// A tree of modules: those of a kernel package, or some of them.
#[derive(Debug, Clone)]
struct Tree {
    modules: BTreeMap<String, Vec<u8>>,
    order: Vec<u8>,
    builtin: Vec<u8>,
    builtin_modinfo: Vec<u8>,
}

fn all_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all_files(&path, found) } else { found.push(path) }
    }
}

/// What the kernel package of `arch` brings.
fn kernel(arch: &str) -> Tree {
    let root = tempfile::tempdir().unwrap();
    unpack("linux-virt", arch, root.path());
    let dir = root.path().join("lib/modules").join(VERSION);
    let mut found = Vec::new();
    all_files(&dir, &mut found);
    found.retain(|path| is_module(path.as_os_str().as_encoded_bytes()));
    let inside = |path: &PathBuf| path.strip_prefix(&dir).unwrap().to_str().unwrap().to_owned();
    let list = |name: &str| fs::read(dir.join(name)).unwrap();
    Tree {
        modules: found.iter().map(|path| (inside(path), fs::read(path).unwrap())).collect(),
        order: list("modules.order"),
        builtin: list("modules.builtin"),
        builtin_modinfo: list("modules.builtin.modinfo"),
    }
}

fn host() -> &'static Tree {
    static HOST: OnceLock<Tree> = OnceLock::new();
    HOST.get_or_init(|| kernel(std::env::consts::ARCH))
}

fn object(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    bytes
}

impl Tree {
    fn ours(&self) -> Result<Vec<File>, Error> {
        let mut room = Vec::new();
        let read = |(path, bytes): (&String, &Vec<u8>)| Module::read(path.as_bytes(), bytes, &mut room);
        let modules = self.modules.iter().map(read).collect::<Result<_, _>>()?;
        let (order, builtin, builtin_modinfo) = (&self.order, &self.builtin, &self.builtin_modinfo);
        files(modules, &Lists { order, builtin, builtin_modinfo })
    }

    /// What the real one writes, and how it ended.
    fn theirs(&self) -> (Output, Vec<File>) {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("lib/modules").join(VERSION);
        for (path, bytes) in &self.modules {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("modules.order"), &self.order).unwrap();
        fs::write(dir.join("modules.builtin"), &self.builtin).unwrap();
        fs::write(dir.join("modules.builtin.modinfo"), &self.builtin_modinfo).unwrap();
        let out = depmod(base.path());
        let read = |name| Some(File { name, content: fs::read(dir.join(name)).ok()? });
        let written: Vec<File> = NAMES.into_iter().filter_map(read).collect();
        // Nothing else was written than what is compared.
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 3 + written.len() + self.top(), "{out:?}");
        (out, written)
    }

    /// How many names its modules have in the directory itself.
    fn top(&self) -> usize {
        let mut names: Vec<&str> = self.modules.keys().map(|path| path.split('/').next().unwrap()).collect();
        names.dedup();
        names.len()
    }

    /// With its order made of these of its modules.
    fn ordered<'p>(mut self, paths: impl Iterator<Item = &'p String>) -> Self {
        let plain = |path: &'p String| format!("{}\n", path.strip_suffix(".gz").unwrap_or(path));
        self.order = paths.map(plain).collect::<String>().into_bytes();
        self
    }
}

fn assert_same(ours: &[File], theirs: &[File]) {
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        let at = ours.content.iter().zip(&theirs.content).position(|(a, b)| a != b);
        let around = |bytes: &[u8]| {
            let at = at.unwrap_or(bytes.len());
            bytes[at.saturating_sub(60)..bytes.len().min(at + 60)].escape_ascii().to_string()
        };
        let (o, t) = (&ours.content, &theirs.content);
        assert!(o == t, "{} parts at {at:?}:\n{}\n{}", ours.name, around(o), around(t));
    }
}

#[test]
fn kernel_packages_come_out_as_depmod_writes_them() {
    for arch in ["x86_64", "aarch64"] {
        let tree = kernel(arch);
        let (out, theirs) = tree.theirs();
        assert!(out.status.success() && out.stderr.is_empty(), "{out:?}");
        assert!(tree.modules.len() > 300, "only {} modules", tree.modules.len());
        assert_same(&tree.ours().unwrap(), &theirs);
    }
}

/// Some modules of the host's kernel package in any order, some of them not compressed, perhaps one that is not in
/// `modules.order`, and some of what is built in.
fn some() -> impl Strategy<Value = Tree> {
    let all = host();
    let paths: Vec<String> = all.modules.keys().cloned().collect();
    let lines: Vec<&[u8]> = all.builtin.split_inclusive(|b| *b == b'\n').collect();
    let said: Vec<&[u8]> = all.builtin_modinfo.split_inclusive(|b| *b == 0).collect();
    let (most_lines, most_said) = (lines.len(), said.len());
    (
        subsequence(paths, 0..120).prop_shuffle(),
        subsequence(lines, 0..most_lines).prop_shuffle(),
        subsequence(said, 0..most_said).prop_shuffle(),
        any::<[bool; 8]>(),
        proptest::option::of(any::<Index>()),
    )
        .prop_map(move |(paths, lines, said, plain, left_out)| {
            let plain = |place: usize| plain[place % 8] && place.is_multiple_of(3);
            let module = |(place, path): (usize, &String)| match path.strip_suffix(".gz") {
                Some(name) if plain(place) => (name.to_owned(), object(&all.modules[path])),
                _ => (path.clone(), all.modules[path].clone()),
            };
            let left_out = left_out.filter(|_| !paths.is_empty()).map(|index| index.index(paths.len()));
            let listed = paths.iter().enumerate().filter(|(place, _)| Some(*place) != left_out);
            let tree = Tree {
                modules: paths.iter().enumerate().map(module).collect(),
                order: Vec::new(),
                builtin: lines.concat(),
                builtin_modinfo: said.concat(),
            };
            tree.ordered(listed.map(|(_, path)| path))
        })
}

/// A module and those around it, with some bytes of it changed.
fn damaged() -> impl Strategy<Value = Tree> {
    let small: Vec<String> =
        host().modules.iter().filter(|(_, bytes)| bytes.len() < 6000).map(|(path, _)| path.clone()).collect();
    let changes = proptest::collection::vec((any::<Index>(), any::<u8>()), 1..6);
    (subsequence(small, 3..8), changes, any::<bool>()).prop_map(|(paths, changes, tables)| {
        let mut modules: BTreeMap<String, Vec<u8>> = paths
            .iter()
            .map(|path| (path.strip_suffix(".gz").unwrap().to_owned(), object(&host().modules[path])))
            .collect();
        let victim = modules.values_mut().next().unwrap();
        // Headers, or the tables at the end: elsewhere is machine code.
        let places: Vec<usize> =
            if tables { (victim.len() * 2 / 3..victim.len()).collect() } else { (0..64).collect() };
        changes.iter().for_each(|(at, byte)| victim[*at.get(&places)] = *byte);
        let (builtin, builtin_modinfo) = (Vec::new(), Vec::new());
        Tree { modules, order: Vec::new(), builtin, builtin_modinfo }.ordered(paths.iter())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_part_of_a_kernel_package_comes_out_as_depmod_writes_it(tree in some()) {
        let (out, theirs) = tree.theirs();
        prop_assert!(out.status.success(), "{out:?}");
        assert_same(&tree.ours().unwrap(), &theirs);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn what_is_told_of_a_damaged_module_is_what_depmod_writes(tree in damaged()) {
        if let Ok(ours) = tree.ours() {
            let (out, theirs) = tree.theirs();
            prop_assert!(out.status.success(), "{out:?}");
            assert_same(&ours, &theirs);
        }
    }
}

/// Three small modules of the host's.
fn few() -> Tree {
    let small = host().modules.iter().filter(|(_, bytes)| bytes.len() < 6000).take(3);
    let modules: BTreeMap<String, Vec<u8>> = small.map(|(p, b)| (p.clone(), b.clone())).collect();
    let tree = Tree { modules, order: Vec::new(), builtin: Vec::new(), builtin_modinfo: Vec::new() };
    let paths: Vec<String> = tree.modules.keys().cloned().collect();
    tree.ordered(paths.iter())
}

#[test]
fn what_depends_on_more_than_modules_is_refused() {
    let changed = |change: &dyn Fn(&mut Tree)| {
        let mut tree = few();
        assert!(tree.ours().is_ok());
        change(&mut tree);
        tree.ours().unwrap_err()
    };
    let first = || few().modules.into_iter().next().unwrap();
    let twice = changed(&|tree| {
        let (path, bytes) = first();
        tree.modules.insert(format!("updates/{}", path.rsplit('/').next().unwrap()), bytes);
    });
    assert!(matches!(twice, Error::Duplicate(_)), "{twice}");
    let left_out = changed(&|tree| tree.order.clear());
    assert!(matches!(left_out, Error::NotOrdered(3)), "{left_out}");
    let no_end = changed(&|tree| tree.order.extend(b"kernel/a.ko"));
    assert!(matches!(no_end, Error::List { .. }), "{no_end}");
    let packed = changed(&|tree| {
        tree.modules.insert("kernel/a.ko.xz".into(), Vec::new());
    });
    assert!(matches!(packed, Error::Compression { .. }), "{packed}");
    let short = changed(&|tree| tree.modules.values_mut().next().unwrap().truncate(1000));
    assert!(matches!(short, Error::Inflate { .. }), "{short}");
    let long = changed(&|tree| tree.modules.values_mut().next().unwrap().push(0));
    assert!(matches!(long, Error::Inflate { .. }), "{long}");
    let text = changed(&|tree| {
        tree.modules.insert("kernel/a.ko".into(), b"#!/bin/sh\n".to_vec());
    });
    assert!(matches!(text, Error::Elf { .. }), "{text}");
    let name = changed(&|tree| tree.builtin.extend("kernel/\u{fc}.ko\n".bytes()));
    assert!(matches!(name, Error::Text { .. }), "{name}");
    let line = changed(&|tree| tree.builtin_modinfo.extend(b"no dot\0"));
    assert!(matches!(line, Error::List { .. }), "{line}");
    let bracket = changed(&|tree| tree.builtin_modinfo.extend(b"a.alias=[b\0"));
    assert!(matches!(bracket, Error::Text { .. }), "{bracket}");
}

/// A module as small as one can be: with these symbols for others, these that it needs, and this to say of itself.
fn made(exports: &[String], needs: &[String], info: &[String]) -> Vec<u8> {
    let (mut names, mut symbols) = (vec![0], vec![0; 24]);
    let mut symbol = |name: String, section: u16| {
        symbols.extend((names.len() as u32).to_le_bytes());
        // Global, without a type.
        symbols.extend([0x10, 0]);
        symbols.extend(section.to_le_bytes());
        symbols.extend([0; 16]);
        names.extend(name.bytes().chain([0]));
    };
    // SHN_ABS, SHN_UNDEF
    exports.iter().for_each(|name| symbol(format!("__crc_{name}"), 0xfff1));
    needs.iter().for_each(|name| symbol(name.clone(), 0));
    let said: Vec<u8> = info.iter().flat_map(|said| said.bytes().chain([0])).collect();
    let titles = b"\0.modinfo\0.symtab\0.strtab\0.shstrtab\0".to_vec();
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(64, 0);
    let mut headers = vec![0; 64];
    for (name, content) in [(1u32, &said), (10, &symbols), (18, &names), (26, &titles)] {
        let mut header = [0; 64];
        header[..4].copy_from_slice(&name.to_le_bytes());
        header[24..32].copy_from_slice(&(file.len() as u64).to_le_bytes());
        header[32..40].copy_from_slice(&(content.len() as u64).to_le_bytes());
        headers.extend(header);
        file.extend(content);
    }
    let table = file.len() as u64;
    file[40..48].copy_from_slice(&table.to_le_bytes());
    file[58..64].copy_from_slice(&[64, 0, 5, 0, 4, 0]);
    file.extend(headers);
    file
}

/// The symbols that a module has and needs, by number, and what it says of itself.
type Wanted = (Vec<usize>, Vec<usize>, Vec<String>);

/// Ten modules at most, which need some of each other's symbols, perhaps in circles.
fn web() -> impl Strategy<Value = Tree> {
    let alias = "(symbol:)?[a-c*-]{1,4}(\\[[a-z0-9-]{1,3}\\])?|devname:[a-c/]{1,3}|(char|block)-major-[0-9]{1,3}-([0-9]{1,3}|\\*)";
    let said =
        prop_oneof![alias.prop_map(|a| format!("alias={a}")), "(softdep|weakdep|license)=[a-z: ]{0,6}"];
    let module = (
        proptest::collection::vec(0..30usize, 0..4),
        proptest::collection::vec(0..30usize, 0..4),
        proptest::collection::vec(said, 0..5),
    );
    (proptest::collection::vec(module, 0..10), any::<bool>()).prop_map(|(modules, down)| {
        let name = |n: &usize| format!("symbol_{n}");
        let object = |(index, (exports, needs, info)): (usize, &Wanted)| {
            // Downwards only there are no circles.
            let own = |n: &&usize| !down || **n % 10 == index;
            let below = |n: &&usize| !down || **n % 10 > index;
            let exports: Vec<String> = exports.iter().filter(own).map(name).collect();
            let needs: Vec<String> = needs.iter().filter(below).map(name).collect();
            (format!("kernel/m-{index}.ko"), made(&exports, &needs, info))
        };
        let modules: BTreeMap<String, Vec<u8>> = modules.iter().enumerate().map(object).collect();
        let paths: Vec<String> = modules.keys().cloned().collect();
        let tree = Tree { modules, order: Vec::new(), builtin: Vec::new(), builtin_modinfo: Vec::new() };
        tree.ordered(paths.iter().rev())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn modules_that_need_each_other_in_any_way_come_out_as_depmod_writes_them(tree in web()) {
        match tree.ours() {
            Ok(ours) => {
                let (out, theirs) = tree.theirs();
                prop_assert!(out.status.success(), "{out:?}");
                assert_same(&ours, &theirs);
            }
            // depmod says so and fails, or never ends.
            Err(Error::Cycle(_)) => {}
            Err(e) => prop_assert!(false, "{e}"),
        }
    }
}
