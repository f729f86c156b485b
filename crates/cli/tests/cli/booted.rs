//! `hoopy status`, `drift` and `diff` of a machine whose image is not at hand: it is the image itself, entered, with
//! the image on a directory that is its partition.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use hoopy_testkit::entered::Entered;

/// The image on the partition.
const EFI: &str = "far/media/esp/EFI/BOOT/BOOTX64.EFI";

/// A machine that runs an image which is on its partition only.
fn machine() -> Entered {
    let toml = "name = \"small\"\n[deploy]\nhost = \"root@far\"\nesp = \"/media/esp\"\n";
    let machine = Entered::new(env!("CARGO_BIN_EXE_hoopy"), toml);
    fs::create_dir_all(machine.far("media/esp/EFI/BOOT")).unwrap();
    fs::rename(machine.path("s/images/small-1.efi"), machine.path(EFI)).unwrap();
    machine
}

fn json(machine: &Entered, args: &[&str]) -> serde_json::Value {
    let out = machine.run(args);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {said}"))
}

fn git(machine: &Entered, args: &[&str]) {
    let mut git =
        machine.command_of("git".as_ref(), &["-C", "s", "-c", "user.name=t", "-c", "user.email=t@t"]);
    assert!(git.args(args).output().unwrap().status.success(), "{args:?}");
}

/// One test, since the image is built but once.
#[test]
fn what_a_machine_runs_is_known_without_its_image_at_hand() {
    let machine = machine();
    drift_is_told_and_its_count_is_in_the_status(&machine);
    a_machine_is_compared_with_images_and_revisions(&machine);
    what_cannot_be_told_is_said(&machine);
}

fn drift_is_told_and_its_count_is_in_the_status(machine: &Entered) {
    fs::write(machine.far("etc/motd"), "changed by hand\n").unwrap();
    fs::remove_file(machine.far("etc/issue")).unwrap();
    let drift = machine.says(8, &["-C", "s", "drift", "--exit-code", "-p"]);
    assert!(drift.contains("changed  etc/motd (") && drift.contains("+changed by hand\n"), "{drift}");
    assert!(drift.contains("removed  etc/issue ("), "{drift}");
    let told = json(machine, &["-C", "s", "drift", "--json"])["files"].as_array().unwrap().len();

    // Generous: a busy machine.
    let status = json(machine, &["-C", "s", "status", "--json", "--drift-within", "600"]);
    assert_eq!(status["drift"].as_u64(), Some(told as u64), "{status}");
    assert!(status["drift_unknown"].is_null() && status["image"] == "small-1", "{status}");
    let text = machine.says(0, &["-C", "s", "status", "--drift-within", "600"]);
    assert!(text.contains(&format!("drift      {told} paths that the next reboot erases\n")), "{text}");
    let text = machine.says(0, &["-C", "s", "status", "--drift-within", "0"]);
    assert!(!text.contains("drift"), "{text}");
    // The machine is slow, and nobody waits: its partition and its files are let go of.
    let find = machine.far("usr/bin/find");
    fs::rename(&find, machine.far("usr/bin/found")).unwrap();
    fs::write(&find, "#!/bin/sh\nsleep 600\n").unwrap();
    fs::set_permissions(&find, fs::Permissions::from_mode(0o755)).unwrap();
    let text = machine.says(0, &["-C", "s", "status", "--drift-within", "1"]);
    assert!(
        text.contains(
            "drift      unknown: counting takes longer than 1 s; `hoopy drift` has no time limit\n"
        ),
        "{text}"
    );
    fs::rename(machine.far("usr/bin/found"), &find).unwrap();

    // What was fetched is kept: the medium may fail then.
    let efi = machine.path(EFI);
    let whole = fs::read(&efi).unwrap();
    let mut spoilt = whole.clone();
    let at = spoilt.len() / 2;
    spoilt[at..at + 4096].fill(0);
    fs::write(&efi, &spoilt).unwrap();
    machine.says(0, &["-C", "s", "drift"]);
    // Another store has to fetch, and notices. The middle of the file is in the kernel or a segment.
    let said = machine.run(&["-C", "s", "drift", "--store", "../elsewhere"]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("root@far runs small-1, ./images/small-1.efi does not exist"), "{said}");
    assert!(said.contains("checksum mismatch: ") && said.contains("its disk is failing"), "{said}");
    fs::write(&efi, &whole).unwrap();

    // From anywhere: the machine by its name, and nothing of the system at hand.
    fs::create_dir(machine.path("empty")).unwrap();
    let mut far = machine.command(&["drift", "root@far", "--esp", "/media/esp"]);
    let out = far.current_dir(machine.path("empty")).output().unwrap();
    let said = String::from_utf8([out.stdout, out.stderr].concat()).unwrap();
    assert!(out.status.success() && said.contains("changed  etc/motd"), "{said}");
}

fn a_machine_is_compared_with_images_and_revisions(machine: &Entered) {
    fs::create_dir_all(machine.path("s/root/etc")).unwrap();
    git(machine, &["init", "-q"]);
    git(machine, &["add", "."]);
    git(machine, &["commit", "-qm", "one"]);
    fs::write(machine.path("s/root/etc/hostname"), "other\n").unwrap();
    fs::write(machine.path("s/root/etc/new"), "new\n").unwrap();
    machine.ok(&["build", "s", "--image-version", "2"]);
    let image = "images/small-2.efi";
    for far in ["ssh:root@far", "root@far"] {
        let said = machine.says(8, &["-C", "s", "diff", far, image, "-p", "--exit-code"]);
        assert!(said.contains("changed  etc/hostname") && said.contains("-small\n+other\n"), "{said}");
        assert!(said.contains("added    etc/new (4 B)\n") && !said.contains("kernel"), "{said}");
        // What was changed by hand is drift, and in no image.
        assert!(!said.contains("etc/motd"), "{said}");
    }
    let same = machine.says(0, &["-C", "s", "diff", "ssh:root@far", &format!("../{EFI}"), "--exit-code"]);
    assert_eq!(same, "");
    let said = machine.says(0, &["-C", "s", "diff", "root@far", ".", "-p"]);
    assert!(said.contains("changed  etc/hostname") && said.contains("-small\n+other\n"), "{said}");
    assert!(
        said.contains("added    etc/new") && !said.contains("packages") && !said.contains("mode"),
        "{said}"
    );
    let said = machine.says(0, &["-C", "s", "diff", "root@far", "HEAD", "--exit-code"]);
    assert_eq!(said, "");
    let said = machine.says(0, &["-C", "s", "diff", "root@far", "hoopy.lock", "--exit-code"]);
    assert_eq!(said, "");
    // A bare name is never a machine.
    let said = machine.says(1, &["-C", "s", "diff", "nas", "HEAD"]);
    assert!(
        said.contains(
            "\"nas\" is neither a file nor a git revision of .\nhint: a machine is written ssh:nas"
        ),
        "{said}"
    );
    let said = machine.says(1, &["-C", "s", "diff", "ssh:gone", "HEAD"]);
    assert!(said.contains("cannot connect to gone:\nssh: "), "{said}");
}

fn what_cannot_be_told_is_said(machine: &Entered) {
    fs::write(machine.far("etc/hoopy-release"), "IMAGE=small-7\n").unwrap();
    let text = machine.says(0, &["-C", "s", "status", "--drift-within", "600"]);
    let why = "drift      unknown: root@far runs small-7, which is no longer on its EFI system partition: it holds small-1\n";
    assert!(text.contains(why), "{text}");
    let said = json(machine, &["-C", "s", "status", "--drift-within", "600", "--json"]);
    assert!(said["drift"].is_null() && said["drift_unknown"].as_str().unwrap().contains("small-7"), "{said}");
    let said = machine.says(1, &["-C", "s", "drift"]);
    assert!(
        said.contains("./images/small-7.efi does not exist") && said.contains("it holds small-1"),
        "{said}"
    );
    let said = machine.says(1, &["-C", "s", "diff", "ssh:root@far", "HEAD"]);
    assert!(said.contains("root@far runs small-7, which is no longer on its EFI system partition"), "{said}");
    fs::remove_file(machine.far("etc/hoopy-release")).unwrap();
    assert!(machine.says(0, &["-C", "s", "status"]).contains(
        "drift      unknown: root@far does not say which image it runs: it has no IMAGE in /etc/hoopy-release"
    ));
}
