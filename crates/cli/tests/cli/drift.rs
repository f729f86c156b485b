//! `hoopy drift` and `hoopy pull`, against a machine that is the image itself, entered.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use hoopy_testkit::entered::{Entered, SSH};

fn mode(machine: &Entered, name: &str, mode: u32) {
    fs::set_permissions(machine.far(name), fs::Permissions::from_mode(mode)).unwrap();
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
    let toml = "name = \"small\" # the name\n[deploy]\nhost = \"root@far\"\n";
    let machine = Entered::new(env!("CARGO_BIN_EXE_hoopy"), toml);
    let clean = machine.says(0, &["-C", "s", "drift"]);
    assert_eq!(told(&clean), Vec::<&str>::new(), "{clean}");

    fs::write(machine.far("etc/motd"), "changed by hand\n").unwrap();
    fs::write(machine.far("etc/new file"), "new\n").unwrap();
    mode(&machine, "etc/new file", 0o640);
    fs::create_dir(machine.far("srv/app")).unwrap();
    mode(&machine, "srv/app", 0o700);
    fs::write(machine.far("srv/app/run"), "#!/bin/sh\n").unwrap();
    mode(&machine, "srv/app/run", 0o755);
    symlink("/srv/app/run", machine.far("usr/local/bin/app")).unwrap();
    fs::remove_file(machine.far("etc/issue")).unwrap();
    fs::write(machine.far("etc/shadow"), "root:$6$salt$hash:1::::::\n").unwrap();
    fs::create_dir_all(machine.far("var/log")).unwrap();
    fs::write(machine.far("var/log/messages"), "noise\n").unwrap();
    fs::create_dir_all(machine.far("var/lib/app/state")).unwrap();
    fs::write(machine.far("var/lib/app/state/x"), "noise\n").unwrap();
    fs::write(machine.path("s/hoopy.toml"), "name = \"small\" # the name\n[deploy]\nhost = \"root@far\"\n[drift]\nignore = [\"/var/lib/app\"]\n[modes]\n# kept\n\"/etc/new file\" = \"0600\" # why\n").unwrap();

    let drift = machine.says(8, &["-C", "s", "drift", "--exit-code", "-p"]);
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

    let paths = ["/etc/motd", "etc/new file", "srv", "usr/local/bin/app"];
    let pulled = machine.says(0, &[&["-C", "s", "pull", "--outside-links"][..], &paths].concat());
    assert!(pulled.contains("pulled   ./root/srv/app/run\n"), "{pulled}");
    let own = |name: &str| machine.path("s/root").join(name);
    assert_eq!(fs::read_to_string(own("etc/motd")).unwrap(), "changed by hand\n");
    assert_eq!(fs::read_link(own("usr/local/bin/app")).unwrap().to_str(), Some("/srv/app/run"));
    assert_eq!(fs::metadata(own("srv/app/run")).unwrap().permissions().mode() & 0o777, 0o755);
    let toml = fs::read_to_string(machine.path("s/hoopy.toml")).unwrap();
    assert!(toml.contains("# kept\n\"/etc/new file\" = \"0640\" # why\n"), "{toml}");
    assert!(
        toml.contains("\"srv/app\" = \"0700\"\n") && toml.starts_with("name = \"small\" # the name\n"),
        "{toml}"
    );

    packages_that_were_added_become_lines(&machine);
    let refused = machine.says(1, &["-C", "s", "pull", "--all"]);
    assert!(refused.contains("refused  etc/shadow: it looks like a password or its hash"), "{refused}");
    assert!(refused.contains("left out etc/issue: it is gone"), "{refused}");
    assert!(!own("etc/shadow").exists());
    machine.says(0, &["-C", "s", "pull", "etc/shadow", "--secrets"]);
    assert!(fs::read_to_string(own("etc/shadow")).unwrap().contains("$6$"));

    a_hostile_machine_brings_nothing_that_acts(&machine);
    // The next image has it all: nothing but what was removed, and what the extraction does not set, is left.
    home_is_where_it_came_from(&machine);
    what_goes_wrong_is_said(&machine);
}

/// `apk add` on the machine: nothing of the package is pulled, and the line for `packages` is offered.
fn packages_that_were_added_become_lines(machine: &Entered) {
    let (world, database) = (machine.far("etc/apk/world"), machine.far("lib/apk/db/installed"));
    let before = [fs::read_to_string(&world).unwrap(), fs::read_to_string(&database).unwrap()];
    fs::write(&world, format!("{}nano\n", before[0])).unwrap();
    let nano =
        "C:Q1aGVsbG8gd29ybGQgaGVsbG8gd28=\nP:nano\nV:8.7-r0\nA:x86_64\nS:1\nI:1\nT:x\nF:usr/bin\nR:nano\n\n";
    fs::write(&database, format!("{}{nano}", before[1])).unwrap();
    fs::write(machine.far("usr/bin/nano"), "nano\n").unwrap();
    let said = machine.says(0, &["-C", "s", "pull", "usr/bin/nano", "etc/apk/world"]);
    assert!(said.contains("left out usr/bin/nano: it came with a package"), "{said}");
    assert!(said.contains("left out etc/apk/world") && said.contains("`hoopy add nano`"), "{said}");
    assert!(!machine.path("s/root/usr/bin/nano").exists() && !machine.path("s/root/etc/apk").exists());
    fs::write(&world, &before[0]).unwrap();
    fs::write(&database, &before[1]).unwrap();
    fs::remove_file(machine.far("usr/bin/nano")).unwrap();
}

/// What a machine would bring: a repository whose configuration names a program, what hides it, and ways out.
const HOSTILE: [&str; 8] = [
    ".git/config",
    "etc/.GIT/config",
    ".gitignore",
    "etc/.gitattributes",
    "srv/repo/HEAD",
    "hoopy.toml",
    "packages",
    "setup.sh",
];

fn a_hostile_machine_brings_nothing_that_acts(machine: &Entered) {
    let git = |args: &[&str]| {
        let mut command = machine.command_of("git".as_ref(), &["-C", "s"]);
        let out = command.args(args).output().unwrap();
        String::from_utf8([out.stdout, out.stderr].concat()).unwrap()
    };
    git(&["init", "-q", "."]);
    let trace = machine.path("owned");
    for name in HOSTILE {
        let path = machine.far(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("[core]\nfsmonitor = \"touch {}\"\n", trace.display())).unwrap();
    }
    fs::create_dir_all(machine.far(".git/objects")).unwrap();
    symlink("/root/.bashrc", machine.far("etc/profile.d/out.sh")).unwrap();
    symlink("../../../up", machine.far("etc/profile.d/up.sh")).unwrap();
    symlink("/etc/init.d/syslog", machine.far("etc/runlevels/default/syslog")).unwrap();
    fs::write(machine.far("usr/local/bin/su"), "x").unwrap();
    mode(machine, "usr/local/bin/su", 0o4755);
    fs::write(machine.far("etc/na\u{202e}me\u{1b}]0;x"), "x").unwrap();

    let said = machine.says(1, &["-C", "s", "pull", "--all"]);
    for name in HOSTILE {
        assert!(said.contains(&format!("left out {name}: ")), "{name}: {said}");
        assert!(!machine.path("s/root").join(name).exists(), "{name}");
    }
    for line in [
        "refused  etc/profile.d/out.sh: a link to /root/.bashrc, which is outside root/ on this computer\n",
        "refused  etc/profile.d/up.sh: a link to ../../../up, which is outside root/",
        "refused  usr/local/bin/su: its mode 4755 has the setuid or setgid bit\n",
        "pulled   ./root/etc/runlevels/default/syslog\n",
        "hint: pull such links with --outside-links",
        "hint: pull such files and bits with --setuid",
        "pulled   ./root/etc/na\u{fffd}me\u{fffd}]0;x\n",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(!machine.path("s/root/usr/local/bin/su").exists());
    git(&["status"]);
    git(&["-C", "root", "status"]);
    assert!(!trace.exists(), "git ran what the machine brought");

    let paths = ["usr/local/bin/su", "etc/profile.d/out.sh", "--setuid", "--outside-links"];
    let taken = machine.says(0, &[&["-C", "s", "pull"][..], &paths].concat());
    assert!(taken.contains("pulled   ./root/usr/local/bin/su\n"), "{taken}");
    HOSTILE.iter().for_each(|name| fs::remove_file(machine.far(name)).unwrap());
    fs::remove_dir(machine.far("srv/repo")).unwrap();
    fs::remove_dir_all(machine.far(".git")).unwrap();
    fs::remove_dir_all(machine.far("etc/.GIT")).unwrap();
    fs::remove_dir_all(machine.path("s/.git")).unwrap();
    for name in ["etc/profile.d/up.sh", "etc/na\u{202e}me\u{1b}]0;x"] {
        fs::remove_file(machine.far(name)).unwrap();
    }
    let _ = fs::remove_file(machine.path("s/root/etc/na\u{202e}me\u{1b}]0;x"));
}

fn home_is_where_it_came_from(machine: &Entered) {
    machine.ok(&["build", "s", "--image-version", "2"]);
    let image = machine.path("s/images/small-2.efi");
    let left = machine.says(0, &["-C", "s", "drift", "--image", image.to_str().unwrap()]);
    let left: Vec<_> = told(&left)
        .into_iter()
        .filter(|line| !line.contains("etc/hoopy-release"))
        .map(str::to_owned)
        .collect();
    assert!(left.iter().all(|line| line.contains("etc/issue")), "{left:#?}");
}

fn what_goes_wrong_is_said(machine: &Entered) {
    let refused_with = |code: i32, args: &[&str], expected: &str| {
        let said = machine.says(code, args);
        assert!(said.contains(expected), "{expected}: {said}");
    };
    let refused = |args: &[&str], expected: &str| refused_with(1, args, expected);
    refused(
        &["-C", "s", "pull", "etc/hostname"],
        "etc/hostname on root@far has not changed, or does not exist",
    );
    refused_with(2, &["-C", "s", "pull"], "no files named, and no terminal to ask about each");
    refused(&["-C", "s", "drift", "root@gone"], "Could not resolve hostname root@gone");
    // A link in root/ that leads elsewhere is not followed.
    let outside = machine.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::create_dir_all(machine.far("opt/x")).unwrap();
    fs::write(machine.far("opt/x/y"), "z\n").unwrap();
    symlink(&outside, machine.path("s/root/opt")).unwrap();
    refused(&["-C", "s", "pull", "/opt"], "a symbolic link or a file is where a directory must be");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    // What is no answer is none.
    machine.answers("#!/bin/sh\necho hello\n");
    refused(
        &["-C", "s", "drift"],
        "root@far: ssh ended without a message: the login shell on the machine may not run commands",
    );
    fs::write(machine.far("etc/hoopy-release"), "IMAGE=../../etc\n").unwrap();
    machine.answers(SSH);
    refused(&["-C", "s", "drift"], "expected a name in IMAGE of /etc/hoopy-release, found \"../../etc\"");
    fs::write(machine.far("etc/hoopy-release"), "IMAGE=other-7\n").unwrap();
    let told = "runs other-7, ./images/other-7.efi does not exist, and it cannot be fetched from the machine";
    refused(&["-C", "s", "drift"], told);
}
