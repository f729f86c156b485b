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

    let pulled =
        machine.says(0, &["-C", "s", "pull", "/etc/motd", "etc/new file", "srv", "usr/local/bin/app"]);
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

    let refused = machine.says(1, &["-C", "s", "pull", "--all"]);
    assert!(refused.contains("refused  etc/shadow: it looks like the hash of a password"), "{refused}");
    assert!(refused.contains("left out etc/issue: it is gone"), "{refused}");
    assert!(!own("etc/shadow").exists());
    machine.says(0, &["-C", "s", "pull", "etc/shadow", "--secrets"]);
    assert!(fs::read_to_string(own("etc/shadow")).unwrap().contains("$6$"));

    // The next image has it all: nothing but what was removed, and what the extraction does not set, is left.
    home_is_where_it_came_from(&machine);
    what_goes_wrong_is_said(&machine);
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
    refused(&["-C", "s", "drift"], "does not say which image it runs");
    fs::write(machine.far("etc/hoopy-release"), "IMAGE=other-7\n").unwrap();
    let told = "runs other-7, ./images/other-7.efi does not exist, and it cannot be fetched from the machine";
    refused(&["-C", "s", "drift"], told);
}
