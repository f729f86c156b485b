//! `hoopy drift` and `hoopy pull`, against a machine that is the image itself, extracted and entered by a program
//! called `ssh` that comes first in PATH: its tools are the real BusyBox.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Output;

use hoopy_testkit::Home;

/// Runs the command behind `--` and the machine's name in the extracted root.
const SSH: &str = r#"#!/bin/sh
while [ "$1" != -- ]; do shift; done
[ "$2" = root@far ] || { echo "no such machine" >&2; exit 255; }
exec unshare -r chroot "$HOME/far" /bin/sh -c "$3"
"#;

struct Machine {
    home: Home,
}

impl Machine {
    /// A system with a machine that runs its image, which is `s-1`.
    fn new() -> Self {
        let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
        let dir = home.small("s");
        fs::write(dir.join("hoopy.toml"), "name = \"small\" # the name\n[deploy]\nhost = \"root@far\"\n")
            .unwrap();
        home.ok(&["build", "s", "--image-version", "1"]);
        home.ok(&["inspect", "extract", "s/images/small-1.efi", "-o", "far", "--quiet"]);
        fs::create_dir(home.path("bin")).unwrap();
        fs::write(home.path("bin/ssh"), SSH).unwrap();
        fs::set_permissions(home.path("bin/ssh"), fs::Permissions::from_mode(0o755)).unwrap();
        Self { home }
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = self.home.command(args);
        let path =
            format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", self.home.path("bin").display());
        command.env("PATH", path).output().unwrap()
    }

    fn says(&self, code: i32, args: &[&str]) -> String {
        let out = self.run(args);
        let text = String::from_utf8([out.stdout, out.stderr].concat()).unwrap();
        assert_eq!(out.status.code(), Some(code), "{args:?}: {text}");
        text
    }

    fn far(&self, name: &str) -> PathBuf {
        self.home.path("far").join(name)
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.far(name), fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// What is not of the extraction, which sets neither owners nor setuid.
fn told(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| !line.contains(": owner ") && !line.contains("mode 4") && !line.contains(", owner"))
        .collect()
}

/// One test, since the image is built but once.
#[test]
fn what_changed_on_a_machine_is_told_and_comes_home() {
    let machine = Machine::new();
    let clean = machine.says(0, &["drift", "s"]);
    assert_eq!(told(&clean), Vec::<&str>::new(), "{clean}");

    fs::write(machine.far("etc/motd"), "changed by hand\n").unwrap();
    fs::write(machine.far("etc/new file"), "new\n").unwrap();
    machine.mode("etc/new file", 0o640);
    fs::create_dir(machine.far("srv/app")).unwrap();
    machine.mode("srv/app", 0o700);
    fs::write(machine.far("srv/app/run"), "#!/bin/sh\n").unwrap();
    machine.mode("srv/app/run", 0o755);
    symlink("/srv/app/run", machine.far("usr/local/bin/app")).unwrap();
    fs::remove_file(machine.far("etc/issue")).unwrap();
    fs::write(machine.far("etc/shadow"), "root:$6$salt$hash:1::::::\n").unwrap();
    fs::create_dir_all(machine.far("var/log")).unwrap();
    fs::write(machine.far("var/log/messages"), "noise\n").unwrap();
    fs::create_dir_all(machine.far("var/lib/app/state")).unwrap();
    fs::write(machine.far("var/lib/app/state/x"), "noise\n").unwrap();
    fs::write(machine.home.path("s/hoopy.toml"), "name = \"small\" # the name\n[deploy]\nhost = \"root@far\"\n[drift]\nignore = [\"/var/lib/app\"]\n[modes]\n# kept\n\"/etc/new file\" = \"0600\" # why\n").unwrap();

    let drift = machine.says(8, &["drift", "s", "--exit-code", "-p"]);
    for line in [
        "changed  etc/motd (",
        "+changed by hand\n",
        "added    etc/new file (4 B)\n",
        "added    srv/app\n",
        "added    usr/local/bin/app\n",
        "removed  etc/issue (",
        "changed  etc/shadow (",
    ] {
        assert!(drift.contains(line), "{line}: {drift}");
    }
    assert!(
        !drift.contains("noise") && !drift.contains("var/log") && !drift.contains("var/lib/app"),
        "{drift}"
    );

    let pulled = machine.says(0, &["pull", "s", "/etc/motd", "etc/new file", "srv", "usr/local/bin/app"]);
    assert!(pulled.contains("pulled   s/root/srv/app/run\n"), "{pulled}");
    let own = |name: &str| machine.home.path("s/root").join(name);
    assert_eq!(fs::read_to_string(own("etc/motd")).unwrap(), "changed by hand\n");
    assert_eq!(fs::read_link(own("usr/local/bin/app")).unwrap().to_str(), Some("/srv/app/run"));
    assert_eq!(fs::metadata(own("srv/app/run")).unwrap().permissions().mode() & 0o777, 0o755);
    let toml = fs::read_to_string(machine.home.path("s/hoopy.toml")).unwrap();
    assert!(toml.contains("# kept\n\"/etc/new file\" = \"0640\" # why\n"), "{toml}");
    assert!(
        toml.contains("\"srv/app\" = \"0700\"\n") && toml.starts_with("name = \"small\" # the name\n"),
        "{toml}"
    );

    let refused = machine.says(1, &["pull", "s", "--all"]);
    assert!(refused.contains("refused  etc/shadow: it looks like the hash of a password"), "{refused}");
    assert!(refused.contains("left out etc/issue: it is gone"), "{refused}");
    assert!(!own("etc/shadow").exists());
    machine.says(0, &["pull", "s", "etc/shadow", "--secrets"]);
    assert!(fs::read_to_string(own("etc/shadow")).unwrap().contains("$6$"));

    // The next image has it all: nothing but what was removed, and what the extraction does not set, is left.
    home_is_where_it_came_from(&machine);
    what_goes_wrong_is_said(&machine);
}

fn home_is_where_it_came_from(machine: &Machine) {
    machine.home.ok(&["build", "s", "--image-version", "2"]);
    let image = machine.home.path("s/images/small-2.efi");
    let left = machine.says(0, &["drift", "s", "--image", image.to_str().unwrap()]);
    let left: Vec<_> = told(&left)
        .into_iter()
        .filter(|line| !line.contains("etc/hoopy-release"))
        .map(str::to_owned)
        .collect();
    assert!(left.iter().all(|line| line.contains("etc/issue")), "{left:#?}");
}

fn what_goes_wrong_is_said(machine: &Machine) {
    let refused = |args: &[&str], expected: &str| {
        let said = machine.says(1, args);
        assert!(said.contains(expected), "{expected}: {said}");
    };
    refused(&["pull", "s", "etc/hostname"], "etc/hostname is as the image has it, or is not there");
    refused(&["pull", "s"], "which files? Name them, or say --all");
    refused(&["drift", "root@gone", "--system", "s"], "root@gone: no such machine");
    // A link in root/ that leads elsewhere is not followed.
    let outside = machine.home.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::create_dir_all(machine.far("opt/x")).unwrap();
    fs::write(machine.far("opt/x/y"), "z\n").unwrap();
    symlink(&outside, machine.home.path("s/root/opt")).unwrap();
    refused(&["pull", "s", "opt"], "a symbolic link or a file is where a directory must be");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    // What is no answer is none.
    fs::write(machine.home.path("bin/ssh"), "#!/bin/sh\necho hello\n").unwrap();
    refused(
        &["drift", "s"],
        "root@far: it ended without a word; does the login shell there run what ssh asks for?",
    );
    fs::write(machine.far("etc/hoopy-release"), "IMAGE=../../etc\n").unwrap();
    fs::write(machine.home.path("bin/ssh"), SSH).unwrap();
    refused(&["drift", "s"], "no /etc/hoopy-release that says which image it runs");
    fs::write(machine.far("etc/hoopy-release"), "IMAGE=other-7\n").unwrap();
    let told = "runs other-7, there is no s/images/other-7.efi here, and it cannot be had from the machine: name the image";
    refused(&["drift", "s"], told);
}
