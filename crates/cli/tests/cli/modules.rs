//! The answered trigger of kmod beside the one that runs: the same tree comes of both.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use hoopy_base::arch::Arch;
use hoopy_testkit::Home;
use hoopy_testkit::package::extended_mirror;

/// Configuration that says nothing: with it, the trigger runs.
const CONFIGURED: &str =
    "package depmod-config 1-r0\narch noarch\nfile etc/depmod.d/none.conf 644 # nothing\n";

/// What the page of timings calls the answered trigger, and the one that ran.
const ANSWERED: &str = "modules&#39; dependencies";
const RAN: &str = "kmod-34.2-r1.trigger";

/// Mode, owner, group, time, and content or target of each path below `lib/modules`.
type Modules = BTreeMap<String, (u32, u32, u32, i64, Vec<u8>)>;

fn collect(root: &Path, dir: &Path, found: &mut Modules) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = match () {
            () if meta.is_symlink() => fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
            () if meta.is_dir() => {
                collect(root, &path, found);
                Vec::new()
            }
            () => fs::read(&path).unwrap(),
        };
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        found.insert(name, (meta.mode(), meta.uid(), meta.gid(), meta.mtime(), content));
    }
}

/// `lib/modules` of an image with these packages, and the page of timings of its build.
fn build(home: &Home, mirror: &Path, name: &str, arch: Arch, packages: &str) -> (Modules, String) {
    let system = home.path(name);
    fs::create_dir(&system).unwrap();
    fs::write(system.join("packages"), packages).unwrap();
    let page = home.path(&format!("{name}.html"));
    let timings = format!("--timings={}", page.display());
    let args = ["build", name, "--output", "tar", "--quiet", "--arch", arch.as_str(), &timings, "--mirror"];
    let tar = home.ok(&[&args[..], &[mirror.to_str().unwrap()]].concat());
    let tree = home.path(&format!("{name}.tree"));
    fs::create_dir(&tree).unwrap();
    let mut unpack = Command::new("tar");
    let unpack = unpack.arg("xpf").arg(tar.trim()).arg("-C").arg(&tree).arg("lib/modules").output().unwrap();
    assert!(unpack.status.success(), "{}", String::from_utf8_lossy(&unpack.stderr));
    let mut modules = Modules::new();
    collect(&tree, &tree.join("lib"), &mut modules);
    (modules, fs::read_to_string(page).unwrap())
}

fn comes_out_the_same(arch: Arch) {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let mirror = home.path("mirror");
    extended_mirror(&mirror, arch.as_str(), CONFIGURED);
    let packages = "alpine-base\nkmod\nlinux-virt\n";
    let (ours, page) = build(&home, &mirror, "ours", arch, packages);
    assert!(page.contains(ANSWERED) && !page.contains(RAN), "the trigger was not answered");
    let (theirs, page) = build(&home, &mirror, "theirs", arch, &format!("{packages}depmod-config\n"));
    assert!(page.contains(RAN), "the trigger did not run");
    for (path, made) in &theirs {
        assert!(ours.get(path) == Some(made), "{path} differs");
    }
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.keys().any(|path| path.ends_with("/modules.dep.bin")));
}

#[test]
fn the_answered_trigger_leaves_what_the_script_leaves() {
    comes_out_the_same(Arch::host().unwrap());
}

#[test]
fn the_answered_trigger_leaves_what_the_script_leaves_on_a_foreign_architecture() {
    let foreign = Arch::ALL.into_iter().find(|arch| Some(*arch) != Arch::host()).unwrap();
    if !hoopy_sandbox::binfmt::registered(foreign.as_str()) {
        hoopy_testkit::skip(format_args!("no interpreter for {foreign} is registered with binfmt_misc"));
        return;
    }
    comes_out_the_same(foreign);
}
