//! State on a machine that runs, across pulled plugs: kept, saved, lost, and made again on another disk. Beside it, secrets that
//! do not open: each is told by its name, and ssh answers all the same.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use hoopy_backup::{Manifest, Source, seal, write};
use hoopy_secrets::{NoPrompt, Secrets};

use crate::choice::Choice;
use crate::machine::{Machine, succeeds, toml};

/// What a secret holds: nowhere but in its own place.
const CANARY: &str = "CANARY-41c07e";

/// A service that keeps state and would make it anew where it is not there.
const SERVICE: &str = "\
#!/sbin/openrc-run
depend() {
	need hoopy-state
}
start() {
	echo boot >>/var/lib/app/boots
}
";

/// One that nobody told of hoopy.
const UNAWARE: &str = "\
#!/sbin/openrc-run
start() {
	echo boot >>/var/lib/other/boots
}
";

/// A program that is called around a backup.
const HOOK: &str = "#!/bin/sh\necho $1 >>/run/hooks\n";

fn prepare(machine: &Machine) {
    machine.set("root/etc/fstab", "LABEL=persist /persist ext4 noatime 0 0\n", 0o644);
    machine.set(
        "state",
        "/var/lib/app\n/var/lib/other # made by its service\n/var/lib/nice optional\n",
        0o644,
    );
    machine.set("root/var/lib/app/config", "of the image", 0o644);
    machine.set("root/etc/init.d/app", SERVICE, 0o755);
    machine.set("root/etc/init.d/other", UNAWARE, 0o755);
    machine.set("root/etc/hoopy/backup.d/hook", HOOK, 0o755);
    let setup = fs::read_to_string(machine.home.path("hello/setup.sh")).unwrap();
    let setup =
        format!("{setup}\nrc-update add app default\nrc-update add other default\nmkdir -p /var/lib/other\n");
    machine.set("setup.sh", &setup, 0o755);
    let modes = "\"var/lib/app\" = \"0750\"\n\"var/lib/app/config\" = \"0640\"\n[secrets]\nopen = \"disk\"\n";
    machine.set("hoopy.toml", &(toml("single", "") + modes), 0o644);
    succeeds(machine.command("secret", &["init"]), "");
    for path in ["/etc/app/token", "/etc/app/broken"] {
        let mut child = machine.command("secret", &["set", path]).stdin(Stdio::piped()).spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), CANARY.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }
    let broken = machine.home.path("hello/secrets/etc/app/broken.age");
    let mut bytes = fs::read(&broken).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(broken, bytes).unwrap();
}

/// The health check of `name` must fail, and says this.
fn ails(machine: &Machine, name: &str) -> String {
    let output = machine.ssh(&format!("/etc/hoopy/health.d/hoopy-{name}"));
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(!output.status.success(), "{name} is well: {said}");
    said
}

/// The ext4 filesystem in the disk, as e2fsprogs name it.
fn persist(machine: &Machine) -> String {
    let said = succeeds(machine.command("disk", &["-o", "other.img", "--json"]), "");
    let disk: serde_json::Value = serde_json::from_str(&said).unwrap();
    let start = disk["partitions"][1]["start"].as_u64().unwrap();
    format!("{}?offset={start}", machine.disk().display())
}

fn e2fs(tool: &str, args: &[&str]) {
    let output = Command::new(Path::new("/usr/sbin").join(tool)).args(args).output().unwrap();
    assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "boots a machine"]
fn state_outlives_boots_is_saved_and_makes_the_machine_again() {
    let mut machine = Machine::with(Choice::from_environment().arch, "single", prepare);
    is_kept_from_the_first_boot(&mut machine);
    is_saved(&machine);
    a_plug_that_is_pulled_loses_nothing(&mut machine);
    a_restore_takes_the_place_of_the_state_at_the_next_boot(&mut machine);
    without_its_filesystem_the_machine_says_so(&mut machine);
    another_disk_and_the_backup_make_the_machine_again(&mut machine);
}

fn is_kept_from_the_first_boot(machine: &mut Machine) {
    machine.start();
    assert_eq!(machine.asks("stat -c %a /var/lib/app /var/lib/app/config"), "750\n640");
    assert_eq!(machine.asks("cat /var/lib/app/config /var/lib/app/boots"), "of the imageboot");
    let health = machine.asks("/etc/hoopy/health.d/hoopy-state");
    assert_eq!(health, "state is there: /var/lib/app, /var/lib/other, /var/lib/nice");
    machine.asks("grep -q ' /var/lib/app ext4 ' /proc/mounts");
    machine.asks("echo precious >/var/lib/app/data && sync");
    let drift = succeeds(machine.command("drift", &["vm"]), "");
    assert!(!drift.contains("var/lib/app"), "{drift}");
    machine.quote("drift", &drift);
    let (_, refused) = machine.fails("pull", &["/var/lib/app/data"]);
    machine.quote("pull /var/lib/app/data", &refused);
    assert!(refused.contains("it lies on /var/lib/app, a mount of its own"), "{refused}");
    // The secret that is damaged is named, the other is open.
    let ailing = ails(machine, "secrets");
    assert!(ailing.contains("/etc/app/broken: the payload is damaged"), "{ailing}");
    assert_eq!(machine.asks("cat /etc/app/token; ls /etc/app"), format!("{CANARY}token"));
    machine.say("its state is bound, and the damaged secret is named");
}

fn is_saved(machine: &Machine) {
    let said = succeeds(machine.command("backup", &["vm", "-o", "../nas.tar.zst.age"]), &machine.log());
    machine.quote("backup", &said);
    assert!(said.contains("decrypted and checked to its end"), "{said}");
    assert_eq!(machine.asks("cat /run/hooks"), "before\nafter");
    let file = fs::read(machine.home.path("nas.tar.zst.age")).unwrap();
    assert!(memchr::memmem::find(&file, b"precious").is_none());
    let verified = succeeds(machine.command("backup", &["--verify", "../nas.tar.zst.age"]), "");
    machine.quote("backup --verify", &verified);
    fs::write(machine.home.path("cut.age"), &file[..file.len() - 1]).unwrap();
    let (_, refused) = machine.fails("restore", &["vm", "../cut.age"]);
    machine.quote("restore", &refused);
    assert!(refused.contains("damaged or cut short"), "{refused}");
    let (_, refused) = machine.fails("backup", &["--verify", "../cut.age"]);
    assert!(refused.contains("damaged or cut short"), "{refused}");
    assert_eq!(machine.asks("ls /persist/hoopy"), "identity\nstate");
    machine.say("it is saved, and a file that is cut short is refused");
}

fn a_plug_that_is_pulled_loses_nothing(machine: &mut Machine) {
    machine.kill();
    // Meanwhile somebody puts another machine's identity there.
    let (other, disk) = (machine.home.path("identity"), persist(machine));
    let new = hoopy_secrets::MachineIdentity::generate();
    fs::write(&other, hoopy_secrets::MachineIdentity::file(&[new]).as_bytes()).unwrap();
    for request in [
        "rm /hoopy/identity".to_owned(),
        format!("write {} /hoopy/identity", other.display()),
        "sif /hoopy/identity mode 0100600".to_owned(),
    ] {
        e2fs("debugfs", &["-w", "-R", &request, &disk]);
    }
    machine.start();
    assert_eq!(machine.asks("cat /var/lib/app/data /var/lib/app/boots"), "precious\nboot\nboot");
    let ailing = ails(machine, "secrets");
    assert!(ailing.contains("the machine's identity: expected that of age1"), "{ailing}");
    assert!(ailing.contains("/etc/app/token: no identity at hand opens it"), "{ailing}");
    machine.asks("test ! -e /etc/app/token");
    machine.say("nothing is lost, and the wrong identity is named");
}

fn a_restore_takes_the_place_of_the_state_at_the_next_boot(machine: &mut Machine) {
    machine.asks("echo spoilt >/var/lib/app/data && sync");
    let said = machine.command("restore", &["vm", "../nas.tar.zst.age"]).output().unwrap();
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.success(), "{words}");
    machine.quote("restore", &words);
    assert_eq!(machine.asks("cat /var/lib/app/data"), "spoilt");
    machine.kill();
    machine.start();
    assert_eq!(machine.asks("cat /var/lib/app/data /var/lib/app/boots"), "precious\nboot\nboot");
    assert_eq!(machine.asks("cat /persist/hoopy/state.before/var-lib-app/data"), "spoilt");
    assert!(machine.asks("/etc/hoopy/health.d/hoopy-state").contains("a backup was restored at this boot"));
    machine.say("the backup took the place of its state");
}

fn without_its_filesystem_the_machine_says_so(machine: &mut Machine) {
    // Its journal is empty then, and nothing of it takes the label back.
    machine.asks("sync && mount -o remount,ro /persist");
    machine.kill();
    e2fs("tune2fs", &["-L", "gone", &persist(machine)]);
    machine.start();
    let ailing = ails(machine, "state");
    machine.quote("state --status, on the machine", &ailing);
    assert!(ailing.contains("/var/lib/app: /persist: not mounted"), "{ailing}");
    assert!(ailing.contains("optional, and not there: /var/lib/nice"), "{ailing}");
    assert!(ails(machine, "secrets").contains("LABEL=persist"));
    // The service that waits for state did not start, and the other could not begin anew.
    machine.asks("test ! -e /var/lib/app/boots && test ! -e /var/lib/other/boots");
    machine.asks("! touch /var/lib/app/x 2>/dev/null && touch /var/lib/nice/x");
    let (_, refused) = machine.fails("backup", &["vm", "-o", "../none.age"]);
    machine.quote("backup", &refused);
    assert!(!machine.home.path("none.age").exists());
    machine.kill();
    let disk = fs::read(machine.disk()).unwrap();
    assert!(memchr::memmem::find(&disk, CANARY.as_bytes()).is_none(), "the secret is on the disk");
    machine.say("a missing filesystem is named, and ssh answers");
}

fn another_disk_and_the_backup_make_the_machine_again(machine: &mut Machine) {
    fs::remove_file(machine.disk()).unwrap();
    let args = ["-o", "disk.img", "--restore", "cut.age"];
    let (_, refused) = machine.fails("disk", &args);
    assert!(refused.contains("damaged or cut short") && !machine.disk().exists(), "{refused}");
    succeeds(machine.command("disk", &["-o", "disk.img", "--restore", "nas.tar.zst.age"]), "");
    machine.start();
    assert_eq!(machine.asks("cat /var/lib/app/data /var/lib/app/boots"), "precious\nboot\nboot");
    assert_eq!(machine.asks("stat -c %a /var/lib/app /var/lib/app/config"), "750\n640");
    assert_eq!(machine.asks("cat /etc/app/token"), CANARY, "the new disk has the right identity");
    machine.say("another disk and the backup make the machine again");
}

#[test]
#[ignore = "boots a machine"]
fn a_rehearsal_passes_with_the_backup_and_fails_without_it() {
    let machine = Machine::with(Choice::from_environment().arch, "single", |machine| {
        prepare(machine);
        // What is damaged fails the boot of every machine.
        machine.unset("secrets/etc/app/broken.age");
        machine.set("tests/40-state.sh", "#!/bin/sh\ngrep -q precious /var/lib/app/data\n", 0o755);
    });
    let (dir, file) = (machine.home.path("data"), machine.home.path("nas.tar.zst.age"));
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("data"), "precious\n").unwrap();
    let recipients = Secrets::read(&machine.home.path("hello")).unwrap().unwrap().recipients;
    let manifest = Manifest::new("vm", "vm-2026112901", 0, vec!["var/lib/app".to_owned()]);
    let source = Source { path: "var/lib/app".to_owned(), dir };
    seal(&file, &recipients, &NoPrompt, |out| write(out, &manifest, &[source]).map(|_| ())).unwrap();
    let test = |more: &[&str]| {
        let args = [&["--only", "40-state", "--boot-timeout", "900"], more].concat();
        let output = machine.command("test", &args).output().unwrap();
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        (output.status.code(), said.concat())
    };
    let (code, said) = test(&["--restore", "../nas.tar.zst.age"]);
    machine.quote("test --restore", &said);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("40-state (after a reboot)"), "{said}");
    let (code, said) = test(&[]);
    assert_eq!(code, Some(6), "there is nothing to be found on an empty disk: {said}");
    machine.say("the rehearsal passes with the backup, and fails without it");
}
