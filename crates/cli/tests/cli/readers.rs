//! Who may read what is written: keys of an image are for nobody else, on the disk of whoever builds it.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hoopy_testkit::Home;

/// What nobody else may read. Not compressed anywhere, so that it can be looked for.
const KEY: &str = "a-key-that-is-nobody-elses-f3a91c";

/// A system with a key in `root/`, which `setup.sh` copies.
fn with_key() -> Home {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let dir = home.small("s");
    fs::write(dir.join("hoopy.toml"), "name = \"small\"\ncompression = \"none\"\n").unwrap();
    fs::write(dir.join("root/etc/key"), format!("{KEY}\n")).unwrap();
    mode_of(&dir.join("root/etc/key"), 0o600);
    fs::write(dir.join("setup.sh"), "#!/bin/sh\numask 077\nsed s/^/copied:/ /etc/key > /etc/copy\n").unwrap();
    mode_of(&dir.join("setup.sh"), 0o755);
    fs::create_dir(home.path("tmp")).unwrap();
    home
}

fn mode_of(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).mode() & 0o777
}

/// Runs hoopy with the umask of a computer whose users trust each other too much.
fn run(home: &Home, umask: &str, args: &[&str]) -> Output {
    let script = format!("umask {umask} && exec \"$@\"");
    let all = [&["-c", &script, "sh", env!("CARGO_BIN_EXE_hoopy")], args].concat();
    let mut command = home.command_of(Path::new("sh"), &all);
    command.env("TMPDIR", home.path("tmp")).output().unwrap()
}

fn ok(home: &Home, umask: &str, args: &[&str]) -> String {
    let out = run(home, umask, args);
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// The files below `dir` that others can open, with all that has a name at this moment. A directory that others may not
/// pass through closes all below it.
fn open_to_others(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_dir() && meta.mode() & 0o001 != 0 {
            found.extend(open_to_others(&entry.path()));
        }
        if meta.is_file() && meta.mode() & 0o004 != 0 {
            found.push(entry.path());
        }
    }
    found
}

fn has_key(file: &Path) -> bool {
    // The whole of a disk image, in no time
    Command::new("grep").args(["-qaF", KEY]).arg(file).status().unwrap().success()
}

/// Those with the key in them.
fn leaks(home: &Home) -> Vec<PathBuf> {
    open_to_others(&home.path(".")).into_iter().filter(|file| has_key(file)).collect()
}

/// Ends the watch, also where what is watched panics.
struct EndsWatch<'a>(&'a AtomicBool);

impl Drop for EndsWatch<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Does something while another thread looks again and again for files that others can open.
fn watched<T>(home: &Home, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    let before: BTreeSet<PathBuf> = open_to_others(&home.path(".")).into_iter().collect();
    std::thread::scope(|threads| {
        let watcher = threads.spawn(|| {
            let mut seen = BTreeSet::new();
            while !done.load(Ordering::SeqCst) {
                seen.extend(open_to_others(&home.path(".")));
                std::thread::sleep(Duration::from_millis(5));
            }
            seen
        });
        let ends = EndsWatch(&done);
        let result = work();
        drop(ends);
        let seen = watcher.join().unwrap();
        // Everybody can download a kernel
        let is_image = |path: &Path| {
            path.parent().is_some_and(|dir| dir.ends_with("images"))
                && path.extension().is_none_or(|ending| ending != "vmlinuz")
        };
        let images = seen.difference(&before).filter(|path| is_image(path));
        assert_eq!(
            images.collect::<Vec<_>>(),
            Vec::<&PathBuf>::new(),
            "an image was open to others meanwhile"
        );
        result
    })
}

#[test]
fn nobody_else_can_read_a_key_in_anything_that_is_written() {
    let home = with_key();
    let image = watched(&home, || ok(&home, "022", &["build", "s", "--quiet", "--timings=page.html"]));
    let image = PathBuf::from(image.trim());
    assert!(has_key(&image), "the image lacks the key that this test looks for");
    assert_eq!(mode(&image), 0o600);
    assert_eq!(mode(&home.path("page.html")), 0o600);
    // Once more, by way of a copy of the last one
    fs::write(home.path("s/root/etc/motd"), "changed\n").unwrap();
    watched(&home, || ok(&home, "022", &["build", "s", "--quiet"]));
    for output in ["kernel+initramfs", "tar"] {
        watched(&home, || ok(&home, "022", &["build", "s", "--quiet", "--output", output]));
    }
    ok(&home, "022", &["inspect", image.to_str().unwrap(), "--html", "map.html"]);
    ok(&home, "022", &["disk", "s", "--image", image.to_str().unwrap(), "-o", "disk.img"]);
    ok(&home, "022", &["inspect", "extract", image.to_str().unwrap(), "-o", "out"]);
    for file in ["map.html", "disk.img", "out/etc/key", "out/etc/copy"] {
        assert_eq!(mode(&home.path(file)), 0o600, "{file}");
    }
    assert!(has_key(&home.path("disk.img")) && has_key(&home.path("out/etc/copy")));
    let others = |ending: &str| {
        let images = fs::read_dir(home.path("s/images")).unwrap().map(|entry| entry.unwrap().path());
        images.filter(|path| path.extension().is_some_and(|e| e == ending)).map(|path| mode(&path)).collect()
    };
    let (tars, initramfs, kernels): (Vec<u32>, Vec<u32>, Vec<u32>) =
        (others("tar"), others("initramfs"), others("vmlinuz"));
    assert_eq!((tars, initramfs, kernels), (vec![0o600], vec![0o600], vec![0o644]));
    assert_eq!(leaks(&home), Vec::<PathBuf>::new());
    let store = home.path(".cache/hoopy");
    assert_eq!((mode(&store), open_to_others(&store)), (0o700, Vec::new()));
}

#[test]
fn without_a_key_the_umask_says_who_reads_an_image() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    home.small("s");
    fs::create_dir(home.path("tmp")).unwrap();
    for (umask, expected) in [("022", 0o644), ("027", 0o640), ("077", 0o600)] {
        fs::write(home.path("s/root/etc/motd"), umask).unwrap();
        let image = ok(&home, umask, &["build", "s", "--quiet"]);
        assert_eq!(mode(Path::new(image.trim())), expected, "umask {umask}");
    }
    let tree = |out: &str| mode(&home.path(out).join("etc/hostname"));
    let image = fs::read_dir(home.path("s/images")).unwrap().next().unwrap().unwrap().path();
    ok(&home, "027", &["inspect", "extract", image.to_str().unwrap(), "etc", "-o", "out"]);
    assert_eq!(tree("out"), 0o640);
}

#[test]
fn an_image_that_an_earlier_hoopy_left_open_is_made_again() {
    let home = with_key();
    let image = PathBuf::from(ok(&home, "022", &["build", "s", "--quiet"]).trim());
    // As a store looked that knew of no modes
    for entry in fs::read_dir(home.path(".cache/hoopy/recipe")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read(&path).unwrap();
        if text.windows(6).any(|window| window == b"\"mode\"") {
            fs::remove_file(path).unwrap();
        }
    }
    mode_of(&image, 0o644);
    let again = PathBuf::from(ok(&home, "022", &["build", "s", "--quiet"]).trim());
    assert_eq!(mode(&again), 0o600);
}

#[test]
fn what_init_writes_has_no_password_that_can_be_read() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let said = |dir: &str| {
        let out = home.run(&["init", dir, "--quiet"]);
        assert!(out.status.success());
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        let (_, rest) =
            text.split_once("root's password at the console: ").unwrap_or_else(|| panic!("{text}"));
        rest.split_whitespace().next().unwrap().to_owned()
    };
    let (one, two) = (said("a"), said("b"));
    assert_ne!(one, two);
    let setup = fs::read_to_string(home.path("a/setup.sh")).unwrap();
    assert!(!setup.contains(&one) && setup.contains("echo 'root:$6$"), "{setup}");
    fs::write(home.path("id.pub"), "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtleQ me@here\n").unwrap();
    home.ok(&["init", "c", "--key", "id.pub"]);
    assert_eq!(home.ok(&["check", "c"]), "");
    // Beside a server that takes passwords, even a hash is told of
    fs::write(home.path("c/root/etc/conf.d/dropbear"), "DROPBEAR_OPTS=\"\"\n").unwrap();
    let found = home.ok(&["check", "c"]);
    assert!(found.starts_with("warning: setup.sh:") && found.contains("dropbear"), "{found}");
}
