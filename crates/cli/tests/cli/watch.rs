//! `hoopy build --watch`: edit, save, see it built, and booted.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hoopy_testkit::{Home, ended, package, soon};

/// Long enough for a build on a busy machine.
const BUILT: Duration = Duration::from_secs(60);
/// Long enough for a machine to come up on a busy machine without KVM.
const BOOTED: Duration = Duration::from_secs(240);
/// Long enough for hoopy and its machine to end.
const ENDED: Duration = Duration::from_secs(20);

/// A watching hoopy, which is ended with the test.
struct Watching {
    home: Home,
    child: Child,
}

impl Watching {
    fn new(home: Home, args: &[&str]) -> Self {
        let all = [&["build", "s", "--watch", "--store", "st"], args].concat();
        let (out, errors) =
            (File::create(home.path("out")).unwrap(), File::create(home.path("err")).unwrap());
        let mut command = home.command(&all);
        let child = command.stdin(Stdio::null()).stdout(out).stderr(errors).spawn().unwrap();
        Self { home, child }
    }

    fn said(&self) -> String {
        let read = |name| String::from_utf8_lossy(&fs::read(self.home.path(name)).unwrap()).into_owned();
        read("out") + &read("err")
    }

    /// Waits until `text` was said `times`.
    fn wait(&self, text: &str, times: usize, within: Duration) {
        let said = soon(within, || self.said().matches(text).count() >= times);
        assert!(said, "not {times} times {text:?} in:\n{}", self.said());
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn content(home: &Home, path: &str) -> Option<String> {
    let images = fs::read_dir(home.path("s/images")).unwrap().flatten();
    let image = images.map(|e| e.path()).find(|p| p.extension().is_some_and(|e| e == "tar"))?;
    let out = Command::new("tar").arg("-xOf").arg(image).arg(path).output().unwrap();
    out.status.success().then(|| String::from_utf8(out.stdout).unwrap())
}

#[test]
fn every_way_of_saving_is_built_and_errors_are_shown_and_gone_on_from() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let dir = home.small("s");
    let tiny = "package linux-tiny 1-r0\nfile boot/vmlinuz-tiny 644 no kernel\n";
    package::extended_mirror(&home.path("mirror"), std::env::consts::ARCH, tiny);
    fs::write(dir.join("packages"), "busybox-binsh\nlinux-tiny\n").unwrap();
    let w = Watching::new(home, &["--output", "tar", "--mirror", "mirror"]);
    w.wait("watching", 1, BUILT);
    let (file, new) = (dir.join("root/etc/hostname"), dir.join("root/etc/new"));
    let is = |path: &str, text: &str| {
        let built = soon(BUILT, || content(&w.home, path).is_some_and(|c| c == text));
        assert!(built, "{path} is not {text:?}:\n{}", w.said());
    };
    // Written in place, renamed over, removed and made again, in a new directory.
    fs::write(&file, "second").unwrap();
    is("etc/hostname", "second");
    fs::write(&new, "third").unwrap();
    fs::rename(&new, &file).unwrap();
    is("etc/hostname", "third");
    fs::remove_file(&file).unwrap();
    fs::write(&file, "fourth").unwrap();
    is("etc/hostname", "fourth");
    fs::create_dir_all(dir.join("root/srv/a/b")).unwrap();
    fs::write(dir.join("root/srv/a/b/c"), "deep").unwrap();
    is("srv/a/b/c", "deep");
    // An error, shown, and mended.
    fs::write(dir.join("hoopy.toml"), "name = \"small\"\nmemroy = 1\n").unwrap();
    w.wait("unknown field", 1, BUILT);
    fs::write(dir.join("hoopy.toml"), "name = \"small\"\n").unwrap();
    fs::write(&file, "fifth").unwrap();
    is("etc/hostname", "fifth");
    // The last is there before the one that it replaces is gone.
    let one = || fs::read_dir(dir.join("images")).unwrap().count() == 1;
    assert!(soon(BUILT, one), "images pile up:\n{}", w.said());
}

fn qemus(home: &Path) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let ours = processes.filter(|p| {
        let line = fs::read(p.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains("qemu-system") && line.contains(home.to_str().unwrap())
    });
    ours.count()
}

#[test]
fn a_change_boots_the_new_image_in_place_of_the_old_one_and_the_end_ends_all() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    let dir = home.example("hello");
    fs::rename(&dir, home.path("s")).unwrap();
    fs::create_dir(home.path("temp")).unwrap();
    let temp = home.path("temp").canonicalize().unwrap();
    let all = ["build", "s", "--watch", "--run", "--store", "st"];
    let (out, errors) = (File::create(home.path("out")).unwrap(), File::create(home.path("err")).unwrap());
    let mut command = home.interruptible(Path::new(env!("CARGO_BIN_EXE_hoopy")), &all);
    command.env("TMPDIR", &temp).stdin(Stdio::null()).stdout(out).stderr(errors);
    let mut w = Watching { child: command.spawn().unwrap(), home };
    w.wait("login:", 1, BOOTED);
    assert!(qemus(&temp) == 1, "not one machine");
    fs::write(w.home.path("s/root/etc/hostname"), "afterwards\n").unwrap();
    w.wait("afterwards login:", 1, BOOTED);
    assert!(qemus(&temp) == 1, "the old machine still runs");
    // Ctrl-C, as a terminal sends it.
    let pid = w.child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    ended(&mut w.child, ENDED);
    assert!(soon(ENDED, || qemus(&temp) == 0), "a machine is left");
    assert!(soon(ENDED, || fs::read_dir(&temp).unwrap().count() == 0), "files are left");
}
