//! Signed images: `hoopy build` with keys, `hoopy sign`, what `inspect` says of them, and what is refused. sbverify
//! and OpenSSL are asked.

mod command;
mod epoch;
mod new;
mod rotate;
mod sign;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use hoopy_testkit::Home;

fn run(directory: &Path, program: &str, arguments: &str) -> (bool, String) {
    let mut command = Command::new(program);
    let out = command.args(arguments.split_whitespace()).current_dir(directory).output();
    let out = out.unwrap_or_else(|e| panic!("{program}: {e}: run `cargo xtask setup`"));
    (out.status.success(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
}

fn ok(directory: &Path, program: &str, arguments: &str) {
    let (success, said) = run(directory, program, arguments);
    assert!(success, "{program} {arguments}: {said}");
}

/// A system with the keys `db` and `pcr`, made by OpenSSL; their private halves are in `private/` of the home.
fn system(home: &Home) -> PathBuf {
    let dir = home.small("s");
    fs::create_dir_all(dir.join("trust")).unwrap();
    fs::create_dir_all(home.path("private")).unwrap();
    let request = "req -x509 -newkey rsa:2048 -nodes -sha256 -days 30";
    for name in ["db", "other"] {
        let files = format!("-keyout private/{name}.key -out private/{name}.crt");
        ok(&home.path(""), "openssl", &format!("{request} -subj /CN=Test-{name} {files}"));
    }
    fs::copy(home.path("private/db.crt"), dir.join("trust/db.crt")).unwrap();
    ok(&home.path(""), "openssl", "genrsa -out private/pcr.key 2048");
    ok(&home.path(""), "openssl", "rsa -in private/pcr.key -pubout -out s/trust/pcr.pub");
    dir
}

/// The directory signs with the keys of this name.
fn sign_with(dir: &Path, keys: &str) {
    let command = format!("[\"openssl\", \"dgst\", \"-sha256\", \"-sign\", \"../private/{keys}.key\"]");
    fs::write(dir.join("hoopy.toml"), format!("name = \"small\"\n[trust]\nsign = {command}\n")).unwrap();
}

fn sbverify(home: &Home, certificate: &str, image: &str) -> bool {
    run(&home.path(""), "sbverify", &format!("--cert private/{certificate}.crt {image}")).0
}

const IMAGE: &str = "s/images/small-2026092101.efi";

fn home() -> Home {
    Home::new(env!("CARGO_BIN_EXE_hoopy"))
}

#[test]
fn a_system_with_keys_builds_signed_images_that_come_out_the_same() {
    let home = home();
    let dir = system(&home);
    sign_with(&dir, "{key}");
    let said = home.ok(&["build", "s"]);
    assert!(said.contains("signed    by CN=Test-db\n"), "{said}");
    assert!(sbverify(&home, "db", IMAGE) && !sbverify(&home, "other", IMAGE));
    assert!(home.ok(&["build", "s"]).contains("up to date"));

    let said = home.ok(&["inspect", IMAGE]);
    assert!(said.contains("signed    by CN=Test-db\n"), "{said}");
    assert!(said.contains("policy    signed by key "), "{said}");
    let json: serde_json::Value = serde_json::from_str(&home.ok(&["inspect", IMAGE, "--json"])).unwrap();
    assert_eq!(json["measured"]["pcr-11"].as_str().unwrap().len(), 64);
    assert_eq!(json["signatures"][0]["problem"], serde_json::Value::Null);

    let first = fs::read(home.path(IMAGE)).unwrap();
    fs::remove_dir_all(dir.join("images")).unwrap();
    home.ok(&["build", "s", "--store", "other-store"]);
    assert!(fs::read(home.path(IMAGE)).unwrap() == first, "the same image, signed the same");
    home.ok(&["build", "s", "--check"]);
}

#[test]
fn pcr_11_is_what_systemd_measures_of_the_sections() {
    let home = home();
    let dir = system(&home);
    sign_with(&dir, "{key}");
    home.ok(&["build", "s"]);
    let json: serde_json::Value = serde_json::from_str(&home.ok(&["inspect", IMAGE, "--json"])).unwrap();
    let image = fs::read(home.path(IMAGE)).unwrap();
    let mut arguments = "calculate --bank=sha256 --phase=hoopy".to_owned();
    for section in json["sections"].as_array().unwrap() {
        let name = section["name"].as_str().unwrap().trim_start_matches('.');
        if ["linux", "osrel", "cmdline", "initrd", "pcrpkey"].contains(&name) {
            let [offset, size] = ["offset", "size"].map(|key| section[key].as_u64().unwrap() as usize);
            fs::write(home.path(name), &image[offset..offset + size]).unwrap();
            arguments += &format!(" --{name}={name}");
        }
    }
    let (success, measured) = run(&home.path(""), "/usr/lib/systemd/systemd-measure", &arguments);
    assert!(success, "{measured}");
    let value: [u8; 32] = data_encoding::HEXLOWER
        .decode(json["measured"]["pcr-11"].as_str().unwrap().as_bytes())
        .unwrap()
        .try_into()
        .unwrap();
    // The older systemd-measure wants a phase, whose word it adds.
    let value = hoopy_trust::measure::PcrValue::from_bytes(value).measured(b"hoopy");
    assert!(measured.contains(&format!("11:sha256={value}\n")), "{value}\n{measured}");
}

#[test]
fn without_the_key_the_image_is_not_signed_and_the_next_build_with_it_signs() {
    let home = home();
    let dir = system(&home);
    let out = home.run(&["build", "s"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        out.status.success() && said.contains("the image is not signed: the private key of db"),
        "{said}"
    );
    assert!(home.ok(&["inspect", IMAGE]).contains("signed    no\n"));

    fs::write(dir.join("hoopy.toml"), "name = \"small\"\n[trust]\nrequired = true\n").unwrap();
    let said = home.fails(1, &["disk", "s", "-o", "disk.img"]);
    assert!(said.contains("expected a signature under CN=Test-db, found none"), "{said}");
    assert!(said.contains("hint: "), "{said}");
    assert!(!home.path("disk.img").exists());

    home.ok(&["sign", IMAGE, "--key", "private/other.key", "--certificate", "private/other.crt"]);
    let said = home.fails(1, &["disk", "s", "-o", "disk.img"]);
    assert!(said.contains("found one by CN=Test-other"), "{said}");
    home.ok(&["sign", IMAGE, "--key", "private/db.key", "--certificate", "private/db.crt"]);
    home.ok(&["disk", "s", "-o", "disk.img"]);
    assert!(sbverify(&home, "db", IMAGE) && sbverify(&home, "other", IMAGE));

    sign_with(&dir, "{key}");
    let said = home.ok(&["build", "s"]);
    assert!(said.contains("small-2026092102.efi") && said.contains("signed    by CN=Test-db"), "{said}");
}

#[test]
fn a_command_that_signs_with_another_key_ends_the_build() {
    let home = home();
    let dir = system(&home);
    sign_with(&dir, "other");
    let said = home.fails(4, &["build", "s"]);
    assert!(
        said.contains("the command openssl gave 256 bytes that are not a signature by pcr (trust/pcr.pub)"),
        "{said}"
    );
    assert!(!home.path(IMAGE).exists());
    home.ok(&["build", "s", "--unsigned"]);
    assert!(home.ok(&["inspect", IMAGE]).contains("signed    no\n"));
}

#[test]
fn keys_are_listed_signed_and_put_on_the_disk_with_a_signed_boot_loader() {
    let home = home();
    let dir = system(&home);
    let toml = "name = \"small\"\nlayout = \"ab\"\n[trust]\nsign = [\"openssl\", \"dgst\", \"-sha256\", \"-sign\", \
                \"../private/{key}.key\"]\n";
    fs::write(dir.join("hoopy.toml"), toml).unwrap();
    let said = home.fails(3, &["-C", "s", "keys", "enroll"]);
    assert!(said.contains("no key PK: expected a certificate, found no ./trust/PK.crt"), "{said}");
    for name in ["PK", "KEK"] {
        let files = format!("-keyout private/{name}.key -out s/trust/{name}.crt");
        let request = "req -x509 -newkey rsa:2048 -nodes -sha256 -days 30";
        ok(&home.path(""), "openssl", &format!("{request} -subj /CN=Test-{name} {files}"));
    }
    home.ok(&["build", "s"]);
    let said = home.fails(3, &["disk", "s", "-o", "disk.img", "--enroll"]);
    assert!(said.contains("no keys to enroll") && said.contains("hoopy keys enroll"), "{said}");
    home.ok(&["-C", "s", "keys", "enroll"]);
    let said = home.ok(&["-C", "s", "keys", "status"]);
    assert!(said.contains("to enroll: 6 in trust/db.auth, with this key, and with Microsoft's\n"), "{said}");
    assert!(said.contains("to enroll: 1 in trust/PK.auth, with this key\n"), "{said}");

    home.ok(&["disk", "s", "-o", "disk.img", "--enroll"]);
    let read = |path: &str, name: &str| {
        ok(&home.path(""), "mcopy", &format!("-n -i disk.img@@1M ::{path} {name}"));
        fs::read(home.path(name)).unwrap()
    };
    read(
        if cfg!(target_arch = "aarch64") { "EFI/BOOT/BOOTAA64.EFI" } else { "EFI/BOOT/BOOTX64.EFI" },
        "loader.efi",
    );
    assert!(sbverify(&home, "db", "loader.efi"));
    for name in ["PK", "KEK", "db"] {
        let list = fs::read(dir.join(format!("trust/{name}.auth"))).unwrap();
        assert!(read(&format!("loader/keys/auto/{name}.auth"), name) == list, "{name}");
    }
    let conf = String::from_utf8(read("loader/loader.conf", "loader.conf")).unwrap();
    assert!(conf.contains("\nsecure-boot-enroll force\n"), "{conf}");

    home.ok(&["-C", "s", "keys", "export", "../out"]);
    ok(&home.path(""), "openssl", "x509 -inform DER -in out/db.der -noout");
    ok(&home.path(""), "sig-list-to-certs", "out/KEK.esl out/KEK");
    home.ok(&["-C", "s", "keys", "enroll", "--no-microsoft"]);
    assert!(home.ok(&["-C", "s", "keys", "status"]).contains("1 in trust/db.auth, with this key\n"));
}

#[test]
fn secure_boot_is_tested_with_the_keys_of_the_system_and_with_no_others() {
    let home = home();
    let dir = home.small("s");
    home.ok(&["build", "s"]);
    let test = ["test", "s", "--secure-boot", "--image", IMAGE];
    let said = home.fails(3, &test);
    assert!(said.contains("--secure-boot: expected the keys of the system in trust/, found none"), "{said}");
    assert!(said.contains("hint: make them with `hoopy keys new`"), "{said}");
    fs::remove_dir_all(&dir).unwrap();
    system(&home);
    sign_with(&dir, "{key}");
    home.ok(&["build", "s"]);
    let said = home.fails(3, &test);
    assert!(said.contains("no keys to enroll"), "{said}");
}

#[test]
fn keys_are_made_once_and_their_private_halves_are_age_files_of_the_owner() {
    let home = home();
    let dir = home.small("s");
    let said = home.fails(3, &["-C", "s", "keys", "new"]);
    assert!(said.contains("expected secrets/, found none") && said.contains("hoopy secret init"), "{said}");
    home.ok(&["-C", "s", "secret", "init", "--open", "owner"]);
    home.ok(&["-C", "s", "keys", "new"]);
    let said = home.ok(&["-C", "s", "keys", "status"]);
    for line in [
        "db   CN=small db, until 2046-09-21\n",
        "     private half in secrets/trust/db.key.age\n",
        "pcr  public key\n",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let certificate = fs::read(dir.join("trust/db.crt")).unwrap();
    let age = fs::read(dir.join("secrets/trust/db.key.age")).unwrap();
    assert!(age.starts_with(b"age-encryption.org/v1\n"));
    home.ok(&["-C", "s", "keys", "new"]);
    assert!(fs::read(dir.join("trust/db.crt")).unwrap() == certificate, "made once");

    let said = home.ok(&["build", "s"]);
    assert!(said.contains("signed    by CN=small db\n"), "{said}");
    fs::copy(dir.join("trust/db.crt"), home.path("private.crt")).unwrap();
    ok(&home.path(""), "sbverify", &format!("--cert private.crt {IMAGE}"));
    // No image has anything of the keys.
    assert!(!home.ok(&["inspect", "ls", "-R", IMAGE]).contains("trust"));

    // Another owner's computer.
    fs::rename(home.path(".config/age"), home.path("gone")).unwrap();
    fs::write(dir.join("root/etc/motd"), "changed\n").unwrap();
    let out = home.run(&["build", "s"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        out.status.success()
            && said.contains("the image is not signed: the private key of db is not at hand"),
        "{said}"
    );
    fs::remove_file(dir.join("trust/KEK.crt")).unwrap();
    let said = home.ok(&["-C", "s", "keys", "status"]);
    assert!(
        said.contains("KEK  none: the private half is in secrets/trust/KEK.key.age, and its public"),
        "{said}"
    );
    assert!(home.fails(3, &["-C", "s", "keys", "new"]).contains("half of the key KEK"));
}
