//! `hoopy keys enroll HOST` and `hoopy keys status HOST`, against a far side whose firmware is a directory of variables.

use std::fs;
use std::process::Command;

use hoopy_trust::certificate::Certificate;
use hoopy_trust::firmware::{OWNER, SignatureLists, Variable, microsoft};

use super::remote::{EFI, Remote, loader, segments};
use super::{json, variable};

const SECURE_BOOT: &str = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
const SETUP_MODE: &str = "SetupMode-8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// In place of `dd`: what is written to `db` is an update, of which firmware keeps the content alone.
const FIRMWARE: &str = r#"#!/bin/busybox sh
busybox dd "$@" || exit 1
for arg; do
	case $arg in
	of=/sys/firmware/*)
		file=${arg#of=}
		len=$(busybox od -An -tu4 -j20 -N4 "$file" | busybox tr -d ' ')
		{ busybox head -c 4 "$file"; busybox tail -c +$((20 + len + 1)) "$file"; } >/tmp/db
		busybox cat /tmp/db >"$file"
		;;
	esac
done
"#;

/// A machine with the keys of its system, which runs the second of two signed images.
fn machine() -> Remote {
    let far = Remote::new("ab");
    far.ok(&["lock", "s", "--arch", "x86_64"]);
    far.ok(&["-C", "s", "secret", "init", "--open", "owner"]);
    far.ok(&["-C", "s", "keys", "new"]);
    let (_, one) = signed(&far, "1");
    let (_, two) = signed(&far, "2");
    fs::write(far.home.path("loader.efi"), loader()).unwrap();
    far.ok(&["-C", "s", "sign", "../loader.efi"]);
    let boot_loader = fs::read(far.home.path("loader.efi")).unwrap();
    far.lay("s-2", &[(EFI, &boot_loader), ("EFI/Linux/s-1.efi", &one), ("EFI/Linux/s-2.efi", &two)]);
    variable(&far, SETUP_MODE, &[0]);
    variable(&far, SECURE_BOOT, &[1]);
    set(&far, Variable::Pk, &[certificate(&far, "PK")]);
    set(&far, Variable::Kek, &[certificate(&far, "KEK")]);
    set(&far, Variable::Db, &[certificate(&far, "db")]);
    fs::remove_file(far.root("bin/dd")).unwrap();
    far.program("far/bin/dd", FIRMWARE);
    far
}

fn signed(far: &Remote, version: &str) -> (String, Vec<u8>) {
    let (path, _) = far.image(version, &segments(version.parse().unwrap()));
    far.ok(&["-C", "s", "sign", &path]);
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

fn certificate(far: &Remote, name: &str) -> Certificate {
    Certificate::from_pem(&fs::read(far.home.path(&format!("s/trust/{name}.crt"))).unwrap()).unwrap()
}

/// A variable with these certificates, and Microsoft's, which another has put there.
fn set(far: &Remote, of: Variable, own: &[Certificate]) {
    let theirs = microsoft::of(of).unwrap();
    let theirs = theirs.iter().map(|certificate| (microsoft::OWNER, certificate));
    let own = own.iter().map(|certificate| (OWNER, certificate));
    variable(far, &of.file_name(), &SignatureLists::of(own.chain(theirs)).to_bytes());
}

fn db(far: &Remote) -> Vec<Certificate> {
    let file = far.root("sys/firmware/efi/efivars").join(Variable::Db.file_name());
    let lists = SignatureLists::parse(&fs::read(file).unwrap()[4..]).unwrap();
    lists.certificates().cloned().collect()
}

/// That the machine starts systemd-boot with a signature by this certificate, and by no other.
fn starts_systemd_boot(far: &Remote, signer: &Certificate, name: &str) {
    let loader = far.read(EFI);
    assert!(loader.windows(24).any(|window| window == b"LoaderInfo: systemd-boot"), "{} bytes", loader.len());
    fs::write(far.home.path("there.efi"), loader).unwrap();
    fs::write(far.home.path("signer.crt"), signer.to_pem().unwrap()).unwrap();
    let [program, certificate] = ["there.efi", "signer.crt"].map(|file| far.home.path(file));
    let verify = Command::new("sbverify").arg("--cert").arg(certificate).arg(program).output().unwrap();
    assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stderr));
    let said = far.ok(&["inspect", "there.efi"]);
    assert!(said.contains(&format!("signed    by CN={name}")) && !said.contains(" and by "), "{said}");
}

const ENROLL: [&str; 5] = ["-C", "s", "keys", "enroll", "far"];

#[test]
fn a_rotated_key_comes_to_a_machine_and_the_old_one_goes_while_everything_starts() {
    let far = machine();
    let old = certificate(&far, "db");
    assert!(far.ok(&ENROLL).contains("trusts the keys of trust/ already"));
    far.ok(&["-C", "s", "keys", "rotate"]);
    let new = certificate(&far, "db.next");
    let said = far.ok(&ENROLL);
    assert!(said.contains("from its next boot on") && said.contains("hoopy secret enroll far"), "{said}");
    assert!(db(&far).contains(&old) && db(&far).contains(&new) && db(&far).len() == 7, "{:?}", db(&far));
    assert!(far.ok(&ENROLL).contains("already"));

    // The images that the old key alone has signed would not start.
    far.ok(&["-C", "s", "keys", "rotate", "--finish"]);
    let files = far.files();
    let loader = far.read(EFI);
    let said = far.fails(&ENROLL);
    assert!(
        said.contains("far would not start EFI/Linux/s-2.efi any more, which is signed by CN=s db;"),
        "{said}"
    );
    assert!(said.contains("nothing was changed") && said.contains("hint: deploy an image"), "{said}");
    assert!(far.files() == files && far.read(EFI) == loader && db(&far).contains(&old));
    let (path, three) = signed(&far, "3");
    far.ok(&["-C", "s", "deploy", "--image", &path]);
    let said = far.fails(&ENROLL);
    assert!(said.contains("EFI/Linux/s-2.efi"), "it runs still: {said}");
    far.runs("s-3");
    fs::rename(far.esp("EFI/Linux/s-3+3.efi"), far.esp("EFI/Linux/s-3.efi")).unwrap();
    let said = far.fails(&ENROLL);
    assert!(said.contains("would not start"), "nothing to fall back to: {said}");
    let (path, four) = signed(&far, "4");
    far.ok(&["-C", "s", "deploy", "--image", &path]);

    let out = far.run(&ENROLL);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{said}");
    assert!(
        said.contains("EFI/BOOT/BOOTX64.EFI of far is the systemd-boot of hoopy.lock now, signed"),
        "{said}"
    );
    assert!(
        said.contains(
            "removed from far, since it would not start any more: EFI/Linux/s-1.efi, EFI/Linux/s-2.efi"
        ),
        "{said}"
    );
    assert!(!db(&far).contains(&old) && db(&far).contains(&new) && db(&far).len() == 6);
    assert_eq!(far.files(), [EFI, "EFI/Linux/s-3.efi", "EFI/Linux/s-4+3.efi"]);
    assert!(far.read("EFI/Linux/s-3.efi") == three && far.read("EFI/Linux/s-4+3.efi") == four);
    starts_systemd_boot(&far, &new, "s db 2");
}

#[test]
fn firmware_that_would_not_take_the_keys_is_told_of_before_anything_is_changed() {
    let far = machine();
    far.ok(&["-C", "s", "keys", "rotate"]);
    let files: Vec<_> = [EFI, "EFI/Linux/s-2.efi"].map(|file| far.read(file)).into();
    variable(&far, SETUP_MODE, &[1]);
    let said = far.fails(&ENROLL);
    assert!(said.contains("its firmware is in setup mode") && said.contains("--enroll"), "{said}");
    variable(&far, SETUP_MODE, &[0]);
    let key = hoopy_trust::key::PrivateKey::generate().unwrap();
    let other = Certificate::self_signed("other KEK", "2026-11-28T00:00:00Z".parse().unwrap(), &key).unwrap();
    set(&far, Variable::Kek, &[other]);
    let said = far.fails(&ENROLL);
    assert!(said.contains("expected trust/KEK.crt in its KEK, found CN=other KEK; "), "{said}");
    fs::remove_file(far.root("sys/firmware/efi/efivars").join(SETUP_MODE)).unwrap();
    let said = far.fails(&ENROLL);
    assert!(said.contains("has no UEFI variables about Secure Boot"), "{said}");
    assert_eq!(files, [EFI, "EFI/Linux/s-2.efi"].map(|file| far.read(file)));

    // Firmware that refuses the update: here, a directory without one.
    variable(&far, SETUP_MODE, &[0]);
    set(&far, Variable::Kek, &[certificate(&far, "KEK")]);
    far.program("far/bin/dd", "#!/bin/busybox sh\ncase $* in *efivars*) echo 'dd: write error: Permission denied' >&2; exit 1 ;; esac\nexec busybox dd \"$@\"\n");
    let said = far.fails(&ENROLL);
    assert!(
        said.contains("the firmware of far did not accept the keys: dd: write error: Permission denied"),
        "{said}"
    );
}

/// A machine that runs images which both keys have signed, with a firmware that trusts the old one alone, and this boot loader.
fn finished(far: &Remote, more: &[(&str, &[u8])]) -> Certificate {
    far.ok(&["-C", "s", "keys", "rotate"]);
    let [four, five] = ["4", "5"].map(|version| signed(far, version).1);
    far.ok(&["-C", "s", "keys", "rotate", "--finish"]);
    let images: [(&str, &[u8]); 2] = [("EFI/Linux/s-4.efi", &four), ("EFI/Linux/s-5.efi", &five)];
    far.lay("s-4", &[more, &images].concat());
    certificate(far, "db")
}

/// Whoever has the leaked key and root on the machine has put a loader of theirs there.
#[test]
fn a_boot_loader_that_the_old_key_has_signed_is_replaced_and_not_signed_by_the_new_one() {
    let far = machine();
    let mut foreign = loader();
    // Another program than any that hoopy has seen: in the text that a stub shows where it is no EFI program.
    foreign[0x50] ^= 1;
    fs::write(far.home.path("foreign.efi"), &foreign).unwrap();
    far.ok(&["-C", "s", "sign", "../foreign.efi"]);
    let foreign = fs::read(far.home.path("foreign.efi")).unwrap();
    let old = certificate(&far, "db");
    let new = finished(&far, &[(EFI, &foreign)]);
    let out = far.run(&ENROLL);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{said}");
    assert!(
        said.contains("EFI/BOOT/BOOTX64.EFI of far is the systemd-boot of hoopy.lock now, signed"),
        "{said}"
    );
    starts_systemd_boot(&far, &new, "s db 2");
    assert!(db(&far).contains(&new) && !db(&far).contains(&old));
    assert_eq!(far.files(), [EFI, "EFI/Linux/s-4.efi", "EFI/Linux/s-5.efi"]);
}

/// The firmware trusts the new key before the boot loader has no signature but that.
#[test]
fn a_machine_starts_also_where_its_keys_are_changed_halfway() {
    let far = machine();
    let old = certificate(&far, "db");
    let there = far.read(EFI);
    let new = finished(&far, &[(EFI, &there)]);
    // Power fails before the second update of db.
    let refusing = FIRMWARE.replacen('\n', "\ncase $* in *efivars*) echo x >>/tmp/updates; [ $(busybox wc -l </tmp/updates) = 1 ] || { echo 'dd: off' >&2; exit 1; } ;; esac\n", 1);
    far.program("far/bin/dd", &refusing);
    assert!(far.fails(&ENROLL).contains("did not accept the keys: dd: off"));
    assert!(db(&far).contains(&old) && db(&far).contains(&new) && db(&far).len() == 7);
    starts_systemd_boot(&far, &new, "s db 2");
    far.program("far/bin/dd", FIRMWARE);
    far.ok(&ENROLL);
    assert!(!db(&far).contains(&old) && db(&far).contains(&new));
}

#[test]
fn a_program_that_hoopy_has_no_other_copy_of_is_never_signed_for_a_machine() {
    let far = machine();
    let old = certificate(&far, "db");
    let there = far.read(EFI);
    finished(&far, &[(EFI, &there), ("EFI/BOOT/TOOL.EFI", &there)]);
    let (files, before) = (far.files(), far.read(EFI));
    let said = far.fails(&ENROLL);
    assert!(
        said.contains("EFI/BOOT/TOOL.EFI of far would not be started any more: it is signed by CN=s db,"),
        "{said}"
    );
    assert!(
        said.contains("nothing was changed") && said.contains("hint: put a copy there that you trust"),
        "{said}"
    );
    assert!(
        far.files() == files && far.read(EFI) == before && db(&far).contains(&old) && db(&far).len() == 6
    );
    fs::remove_file(far.esp("EFI/BOOT/TOOL.EFI")).unwrap();
    // Nor is anything changed where there is no boot loader to send, or no key that signs the list.
    fs::rename(far.home.path("s/hoopy.lock"), far.home.path("lock")).unwrap();
    let out = far.run(&ENROLL);
    assert!(!out.status.success() && String::from_utf8_lossy(&out.stderr).contains("there is no hoopy.lock"));
    fs::rename(far.home.path("lock"), far.home.path("s/hoopy.lock")).unwrap();
    fs::remove_file(far.home.path("s/secrets/trust/KEK.key.age")).unwrap();
    let said = far.fails(&ENROLL);
    assert!(said.contains("nothing is signed by KEK") && said.contains("hint: restore it"), "{said}");
    assert!(far.read(EFI) == before && db(&far).len() == 6);
}

#[test]
fn what_the_new_key_alone_has_signed_is_not_deployed_where_db_has_the_old_one() {
    let far = machine();
    let there = far.read(EFI);
    finished(&far, &[(EFI, &there)]);
    let (path, _) = signed(&far, "6");
    let files = far.files();
    let deploy = ["-C", "s", "deploy", "--image", &path];
    let said = far.fails(&deploy);
    assert!(
        said.contains("it is signed by CN=s db 2") && said.contains("db's certificates: CN=s db;"),
        "{said}"
    );
    assert_eq!(far.files(), files);
    far.ok(&ENROLL);
    far.ok(&deploy);
}

/// The owner of entries is the same for all systems of hoopy's.
#[test]
fn the_certificate_of_another_system_stays_in_db_and_is_named() {
    let far = machine();
    let key = hoopy_trust::key::PrivateKey::generate().unwrap();
    let other = Certificate::self_signed("attic db", "2026-11-28T00:00:00Z".parse().unwrap(), &key).unwrap();
    set(&far, Variable::Db, &[certificate(&far, "db"), other.clone()]);
    far.ok(&["-C", "s", "keys", "rotate"]);
    let out = far.run(&ENROLL);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success() && db(&far).contains(&other) && db(&far).len() == 8, "{said}");
    assert!(said.contains("far goes on trusting CN=attic db") && said.contains("trust/db.old.crt"), "{said}");
    // Where it was one of this system's, that file says so.
    fs::write(far.home.path("s/trust/db.old.crt"), other.to_pem().unwrap()).unwrap();
    far.ok(&ENROLL);
    assert!(!db(&far).contains(&other) && db(&far).len() == 7);
}

#[test]
fn a_machine_s_keys_are_shown_with_what_the_keys_of_trust_would_change() {
    let far = machine();
    let log = far.root("sys/kernel/security/tpm0");
    let status = ["-C", "s", "keys", "status", "far"];
    let said = far.ok(&status);
    assert!(said.starts_with("mode      Secure Boot is on\nPK        CN=s PK, yours\n"), "{said}");
    assert!(
        said.contains("started   unknown: the machine has no TPM")
            && said.contains("  by disk loses nothing\n"),
        "{said}"
    );

    fs::create_dir_all(&log).unwrap();
    let seed = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/event_log/new.bin");
    fs::copy(&seed, log.join("binary_bios_measurements")).unwrap();
    far.ok(&["-C", "s", "keys", "enroll", "--no-microsoft"]);
    let said = far.ok(&status);
    assert!(
        said.contains("started   PciRoot(0x0)/Pci(0x2,0x0)/\\EFI\\BOOT\\BOOTX64.EFI sha256 0404"),
        "{said}"
    );
    assert!(said.contains("ROMs      PciRoot(0x0)/Pci(0x2,0x0)/Offset(0x0,0x0) sha256 0101"), "{said}");
    assert!(
        said.contains("  by disk 1 option ROM may be refused: most are signed with Microsoft's keys"),
        "{said}"
    );
    assert!(said.contains("  by ssh  loses nothing\n"), "{said}");
    let said = json(&far.ok(&[&status[..], &["--json"]].concat()));
    assert_eq!((&said["mode"], &said["has_log"]), (&"enforcing".into(), &true.into()), "{said}");
    assert_eq!(said["option_roms"].as_array().unwrap().len(), 1);
    assert_eq!(said["enrolling"]["by_ssh"], serde_json::json!([]));

    // What stands before a fault is shown, with all that is not of the log.
    let whole = fs::read(&seed).unwrap();
    let with_fault = |bytes: &[u8], expected: &[&str]| {
        fs::write(log.join("binary_bios_measurements"), bytes).unwrap();
        let said = far.ok(&status);
        for text in [
            expected,
            &["mode      Secure Boot is on\nPK ", "cannot be read to its end: event ", "  by ssh  "],
        ]
        .concat()
        {
            assert!(said.contains(text), "{text}: {said}");
        }
    };
    with_fault(b"nonsense", &["started   none", "event 0 of the log, at byte 0"]);
    with_fault(
        &[&whole[..], &[1; 20]].concat(),
        &["\\EFI\\BOOT\\BOOTX64.EFI sha256 0404", "has 16843009 digests"],
    );
    let said = json(&far.ok(&[&status[..], &["--json"]].concat()));
    assert!(said["log_fault"].as_str().unwrap().contains("digests") && said["has_log"] == true, "{said}");
    fs::write(log.join("binary_bios_measurements"), [&whole[..], &[0xFF; 4096]].concat()).unwrap();
    assert!(!far.ok(&status).contains("cannot be read"));
}
