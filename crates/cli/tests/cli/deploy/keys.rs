//! `hoopy keys enroll HOST` and `hoopy keys status HOST`, against a far side whose firmware is a directory of variables.

use std::fs;

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
    assert!(said.contains("signed EFI/BOOT/BOOTX64.EFI of far"), "{said}");
    assert!(
        said.contains(
            "removed from far, since it would not start any more: EFI/Linux/s-1.efi, EFI/Linux/s-2.efi"
        ),
        "{said}"
    );
    assert!(!db(&far).contains(&old) && db(&far).contains(&new) && db(&far).len() == 6);
    assert_eq!(far.files(), [EFI, "EFI/Linux/s-3.efi", "EFI/Linux/s-4+3.efi"]);
    assert!(far.read("EFI/Linux/s-3.efi") == three && far.read("EFI/Linux/s-4+3.efi") == four);
    fs::write(far.home.path("again.efi"), far.read(EFI)).unwrap();
    let said = far.ok(&["inspect", "again.efi"]);
    assert!(said.contains("by CN=s db\n") && said.contains("by CN=s db 2"), "{said}");
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

#[test]
fn a_boot_loader_that_the_owner_has_not_signed_is_never_signed_for_a_machine() {
    let far = machine();
    let old = certificate(&far, "db");
    let (_, three) = signed(&far, "3");
    far.ok(&["-C", "s", "keys", "rotate"]);
    far.ok(&["-C", "s", "keys", "rotate", "--finish"]);
    let [four, five] = ["4", "5"].map(|version| signed(&far, version).1);
    // A signature of the owner's that is of another program, as whoever has root on the machine could put there.
    let mut forged = far.read(EFI);
    let at = forged.len() / 2;
    forged[at] ^= 1;
    far.lay(
        "s-4",
        &[
            (EFI, &forged),
            ("EFI/Linux/s-4.efi", &four),
            ("EFI/Linux/s-5.efi", &five),
            ("EFI/Linux/s-3.efi", &three),
        ],
    );
    let said = far.fails(&ENROLL);
    assert!(
        said.contains("expected a signature by your old key") && said.contains("nothing was changed"),
        "{said}"
    );
    assert!(far.read(EFI) == forged && db(&far).contains(&old) && far.files().len() == 4);
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

    fs::write(log.join("binary_bios_measurements"), b"nonsense").unwrap();
    let said = far.fails(&status);
    assert!(said.contains("the TPM's event log of far cannot be read: event 0 of the log"), "{said}");
}
