//! A command that signs, and does not: a token that is not plugged in.

use std::fs;
use std::path::Path;

use super::{IMAGE, home, ok, sbverify, sign_with, system};

/// The directory signs with this script of the shell; `$0` is the key.
fn sign_by(dir: &Path, script: &str, more: &str) {
    let toml = format!(
        "name = \"small\"\nlayout = \"ab\"\n{more}[trust]\nsign = [\"sh\", \"-c\", '{script}', \"{{key}}\"]\n"
    );
    fs::write(dir.join("hoopy.toml"), toml).unwrap();
}

const SIGNS: &str = "exec openssl dgst -sha256 -sign ../private/$0.key";

#[test]
fn without_its_token_the_image_is_not_signed_and_the_next_build_with_it_signs() {
    let home = home();
    let dir = system(&home);
    // Whichever key it is that does not sign: the policy's comes first.
    for (index, script) in [
        "echo no token >&2; exit 1".to_owned(),
        format!("[ $0 != db ] || {{ echo no token >&2; exit 1; }}; {SIGNS}"),
    ]
    .into_iter()
    .enumerate()
    {
        sign_by(&dir, &script, "");
        let out = home.run(&["build", "s"]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success(), "{said}");
        for text in
            ["no token", "the image is not signed", "the command that signs failed: sh: exit status: 1"]
        {
            assert!(said.contains(text), "{text}: {said}");
        }
        let image = format!("s/images/small-202609210{}.efi", index + 1);
        let said = home.ok(&["inspect", &image]);
        assert!(said.contains("signed    no\n") && !said.contains("policy"), "{said}");
        // As long as that is so, there is no other one.
        home.ok(&["build", "s"]);
        assert_eq!(fs::read_dir(dir.join("images")).unwrap().count(), index + 1);
        fs::write(dir.join("root/etc/motd"), "changed\n").unwrap();
    }
    fs::write(
        dir.join("hoopy.toml"),
        "name = \"small\"\nlayout = \"ab\"\n[trust]\nsign = [\"/nonexistent\"]\n",
    )
    .unwrap();
    let out = home.run(&["build", "s"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        out.status.success() && said.contains("the image is not signed") && said.contains("/nonexistent"),
        "{said}"
    );

    // What wants a signature does not do without.
    sign_by(&dir, "exit 1", "");
    let said = home.fails(4, &["-C", "s", "sign", "images/small-2026092101.efi"]);
    assert!(said.contains("the command that signs failed") && !said.contains("--unsigned"), "{said}");
    let out = home.run(&["disk", "s", "-o", "disk.img"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        out.status.success() && said.contains("the boot loader is not signed: the command that signs failed"),
        "{said}"
    );
    fs::write(
        dir.join("hoopy.toml"),
        fs::read_to_string(dir.join("hoopy.toml")).unwrap() + "required = true\n",
    )
    .unwrap();
    home.fails(1, &["disk", "s", "-o", "disk.img"]);

    sign_by(&dir, SIGNS, "");
    let said = home.ok(&["build", "s"]);
    assert!(said.contains("signed    by CN=Test-db\n"), "{said}");
}

/// A disk that enrolls keys starts nothing that they have not signed.
#[test]
fn a_disk_that_enrolls_keys_has_nothing_that_is_not_signed() {
    let home = home();
    let dir = system(&home);
    sign_by(&dir, SIGNS, "");
    for name in ["PK", "KEK"] {
        let files = format!("-keyout private/{name}.key -out s/trust/{name}.crt");
        ok(
            &home.path(""),
            "openssl",
            &format!("req -x509 -newkey rsa:2048 -nodes -sha256 -days 30 -subj /CN=Test-{name} {files}"),
        );
    }
    home.ok(&["-C", "s", "keys", "enroll"]);
    home.ok(&["build", "s", "--unsigned"]);
    let said = home.fails(1, &["disk", "s", "-o", "disk.img", "--enroll", "--image", IMAGE]);
    assert!(said.contains("expected a signature under CN=Test-db, found none"), "{said}");
    home.ok(&["-C", "s", "sign", "images/small-2026092101.efi"]);
    sign_by(&dir, "exit 1", "");
    home.fails(4, &["disk", "s", "-o", "disk.img", "--enroll", "--image", IMAGE]);
    sign_by(&dir, SIGNS, "");
    home.ok(&["disk", "s", "-o", "disk.img", "--enroll", "--image", IMAGE]);
}

#[test]
fn a_command_whose_agent_goes_on_signs_and_is_not_waited_for() {
    let home = home();
    let dir = system(&home);
    let (script, begun) =
        ("openssl dgst -sha256 -sign ../private/$0.key; sleep 100 & exit 0", std::time::Instant::now());
    sign_by(&dir, script, "");
    let loader = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi";
    let loader = if cfg!(target_arch = "aarch64") { &loader.replace("x64", "aa64") } else { loader };
    let log = fs::File::create(home.path("log")).unwrap();
    let mut command = home.command(&["-C", "s", "sign", loader, "-o", "../loader.efi"]);
    assert!(command.stdout(log.try_clone().unwrap()).stderr(log).status().unwrap().success());
    assert!(begun.elapsed().as_secs() < 60 && sbverify(&home, "db", "loader.efi"));
    sign_with(&dir, "other");
    let said = home.fails(4, &["-C", "s", "sign", loader, "-o", "../loader.efi"]);
    assert!(said.contains("not a signature by db (trust/db.crt): expected 256 bytes"), "{said}");
    sign_by(&dir, "yes", "");
    let said = home.fails(4, &["-C", "s", "sign", loader, "-o", "../loader.efi"]);
    assert!(said.contains("printed more than 64 KiB"), "{said}");
}
