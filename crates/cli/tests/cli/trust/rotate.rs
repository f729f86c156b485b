//! `hoopy keys rotate`: its two steps, what each wants before it changes anything, and where it goes on.

use std::fs;
use std::path::{Path, PathBuf};

use hoopy_testkit::Home;
use hoopy_trust::certificate::Certificate;
use hoopy_trust::firmware::Update;

use super::{IMAGE, home, ok, run, system};

/// Whether `db.auth` has this certificate.
fn listed(dir: &Path, certificate: &[u8]) -> bool {
    let content = Update::content(&fs::read(dir.join("trust/db.auth")).unwrap()).unwrap();
    let wanted = Certificate::from_pem(certificate).unwrap();
    content.certificates().any(|known| *known == wanted)
}

#[test]
fn a_key_is_rotated_in_two_steps_and_both_sign_in_between() {
    let home = home();
    let dir = home.small("s");
    let toml = "name = \"small\"\nlayout = \"ab\"\n[trust]\nrequired = true\n";
    fs::write(dir.join("hoopy.toml"), toml).unwrap();
    assert!(
        home.fails(3, &["-C", "s", "keys", "rotate"]).contains("hint: make the keys with `hoopy keys new`")
    );
    home.ok(&["-C", "s", "secret", "init", "--open", "owner"]);
    home.ok(&["-C", "s", "keys", "new", "--no-microsoft"]);
    let refusal = home.fails(3, &["-C", "s", "keys", "rotate", "--finish"]);
    assert!(refusal.contains("no rotation to finish") && refusal.contains("hoopy keys rotate"), "{refusal}");
    home.ok(&["build", "s"]);
    let old = fs::read(dir.join("trust/db.crt")).unwrap();

    let said = home.ok(&["-C", "s", "keys", "rotate"]);
    assert!(said.contains("CN=small db is being replaced: from now on CN=small db 2"), "{said}");
    assert!(said.contains("1. hoopy deploy HOST") && said.contains("hoopy keys rotate --finish"), "{said}");
    let next = fs::read(dir.join("trust/db.next.crt")).unwrap();
    assert!(listed(&dir, &old) && listed(&dir, &next));
    let said = home.ok(&["-C", "s", "keys", "status"]);
    assert!(
        said.contains("db.next CN=small db 2") && said.contains("2 in trust/db.auth, with this key\n"),
        "{said}"
    );
    // The image that only the old key has signed does not do any more; it is built anew, though nothing else changed.
    home.fails(1, &["disk", "s", "-o", "disk.img", "--image", IMAGE]);
    let said = home.ok(&["build", "s"]);
    assert!(said.contains("signed    by CN=small db 2") && said.contains(" and CN=small db\n"), "{said}");
    fs::write(home.path("old.crt"), &old).unwrap();
    fs::write(home.path("next.crt"), &next).unwrap();
    let both = "s/images/small-2026092102.efi";
    for certificate in ["old", "next"] {
        ok(&home.path(""), "sbverify", &format!("--cert {certificate}.crt {both}"));
    }
    home.ok(&["disk", "s", "-o", "disk.img", "--enroll"]);

    // Run again, it changes nothing: also where the lists were not signed yet.
    let list = fs::read(dir.join("trust/db.auth")).unwrap();
    home.ok(&["-C", "s", "keys", "rotate"]);
    assert!(fs::read(dir.join("trust/db.next.crt")).unwrap() == next);
    assert!(fs::read(dir.join("trust/db.auth")).unwrap() == list);
    fs::remove_file(dir.join("trust/db.auth")).unwrap();
    home.ok(&["-C", "s", "keys", "rotate"]);
    assert!(listed(&dir, &old) && listed(&dir, &next));

    home.ok(&["-C", "s", "keys", "rotate", "--finish"]);
    assert!(fs::read(dir.join("trust/db.crt")).unwrap() == next && !dir.join("trust/db.next.crt").exists());
    assert!(fs::read(dir.join("trust/db.old.crt")).unwrap() == old);
    assert!(!listed(&dir, &old) && listed(&dir, &next));
    let said = home.ok(&["build", "s"]);
    let third = "s/images/small-2026092103.efi";
    assert!(said.contains("signed    by CN=small db 2") && !said.contains("CN=small db\n"), "{said}");
    assert!(!run(&home.path(""), "sbverify", &format!("--cert old.crt {third}")).0);
    ok(&home.path(""), "sbverify", &format!("--cert next.crt {third}"));
}

/// A system with all keys, whose private halves are age files.
fn with_keys(home: &Home) -> PathBuf {
    let dir = home.small("s");
    home.ok(&["-C", "s", "secret", "init", "--open", "owner"]);
    home.ok(&["-C", "s", "keys", "new", "--no-microsoft"]);
    dir
}

/// All files of `trust/` and `secrets/trust/`.
pub fn key_files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for directory in ["trust", "secrets/trust"] {
        for entry in fs::read_dir(dir.join(directory)).unwrap() {
            let path = entry.unwrap().path();
            files.push((path.clone(), fs::read(path).unwrap()));
        }
    }
    files.sort();
    files
}

#[test]
fn the_old_private_key_goes_only_when_the_next_one_has_been_opened_and_is_that_of_its_certificate() {
    let home = home();
    let dir = with_keys(&home);
    let said = home.ok(&["-C", "s", "keys", "rotate"]);
    assert!(said.contains("commit trust/ and secrets/ now"), "{said}");
    let next = dir.join("secrets/trust/db.next.key.age");
    let kept = fs::read(&next).unwrap();
    let refused = |expected: &str| {
        let before = key_files(&dir);
        let out = home.run(&["-C", "s", "keys", "rotate", "--finish"]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && said.contains(expected) && said.contains("hint: "), "{said}");
        assert!(said.contains("db.next.key.age") && !said.contains("--unsigned"), "{said}");
        assert!(key_files(&dir) == before, "nothing was changed: {said}");
    };
    fs::remove_file(&next).unwrap();
    refused("is lost: expected secrets/trust/db.next.key.age, found none");
    fs::write(&next, "garbage").unwrap();
    refused(
        "hint: where that file is damaged, restore it with `git checkout HEAD -- secrets/trust/db.next.key.age`",
    );
    fs::copy(dir.join("secrets/trust/db.key.age"), &next).unwrap();
    refused("the private key of db.next does not belong to its public half, trust/db.next.crt");
    fs::write(&next, kept).unwrap();
    let said = home.ok(&["-C", "s", "keys", "rotate", "--finish"]);
    assert!(said.contains("commit trust/ and secrets/ now"), "{said}");
    assert!(home.ok(&["build", "s"]).contains("signed    by CN=small db 2"));
    // Once more, it does not lead to another rotation.
    let said = home.fails(3, &["-C", "s", "keys", "rotate", "--finish"]);
    assert!(said.contains("the last one is finished") && !said.contains("begin one"), "{said}");
}

#[test]
fn a_rotation_is_finished_only_where_the_lists_can_be_signed() {
    let home = home();
    let dir = with_keys(&home);
    home.ok(&["-C", "s", "keys", "rotate"]);
    let refused = |expected: &[&str]| {
        let before = key_files(&dir);
        let out = home.run(&["-C", "s", "keys", "rotate", "--finish"]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && !said.contains("--unsigned"), "{said}");
        expected.iter().for_each(|text| assert!(said.contains(text), "{text}: {said}"));
        assert!(key_files(&dir) == before, "nothing was changed: {said}");
    };
    let kek = dir.join("secrets/trust/KEK.key.age");
    fs::rename(&kek, home.path("kek")).unwrap();
    refused(&["signed by KEK", "hint: restore it with `git checkout HEAD -- secrets/trust/KEK.key.age`"]);
    fs::rename(home.path("kek"), &kek).unwrap();
    let pk = dir.join("trust/PK.crt");
    fs::rename(&pk, home.path("pk")).unwrap();
    refused(&["no key PK", "trust/PK.crt"]);
    fs::rename(home.path("pk"), &pk).unwrap();
    fs::rename(home.path(".config/age"), home.path("gone")).unwrap();
    refused(&["db.next", "HOOPY_IDENTITY=FILE"]);
    fs::rename(home.path("gone"), home.path(".config/age")).unwrap();

    // Interrupted before the lists were written: that is no place to begin another rotation.
    let (old, list) =
        (fs::read(dir.join("trust/db.crt")).unwrap(), fs::read(dir.join("trust/db.auth")).unwrap());
    home.ok(&["-C", "s", "keys", "rotate", "--finish"]);
    fs::write(dir.join("trust/db.auth"), list).unwrap();
    let said = home.fails(3, &["-C", "s", "keys", "rotate"]);
    assert!(said.contains("is being finished") && said.contains("hoopy keys rotate --finish"), "{said}");
    assert!(!dir.join("trust/db.next.crt").exists());
    assert!(home.ok(&["-C", "s", "keys", "status"]).contains("next: `hoopy keys rotate --finish`\n"));
    home.ok(&["-C", "s", "keys", "rotate", "--finish"]);
    assert!(!listed(&dir, &old));
}

#[test]
fn while_a_key_is_rotated_both_are_exported_and_status_says_what_comes_next() {
    let home = home();
    with_keys(&home);
    assert!(!home.ok(&["-C", "s", "keys", "status"]).contains("being replaced"));
    home.ok(&["-C", "s", "keys", "rotate"]);
    home.ok(&["-C", "s", "keys", "export", "../out"]);
    for name in ["db", "db.next"] {
        ok(&home.path(""), "openssl", &format!("x509 -inform DER -in out/{name}.der -noout"));
    }
    let said = home.ok(&["-C", "s", "keys", "status"]);
    assert!(said.contains("db is being replaced: db and db.next sign\n"), "{said}");
    assert!(said.contains("then: `hoopy keys rotate --finish`\n"), "{said}");
}

#[test]
fn two_keys_of_one_day_have_different_names_and_one_key_does_not_replace_itself() {
    let home = home();
    let dir = with_keys(&home);
    home.ok(&["-C", "s", "keys", "rotate"]);
    home.ok(&["-C", "s", "keys", "rotate", "--finish"]);
    // A minute later.
    let mut command = home.command(&["-C", "s", "keys", "rotate"]);
    assert!(command.env("SOURCE_DATE_EPOCH", "1790000060").output().unwrap().status.success());
    let subject = |name: &str| {
        Certificate::from_pem(&fs::read(dir.join("trust").join(name)).unwrap()).unwrap().subject()
    };
    assert_ne!(subject("db.crt"), subject("db.next.crt"));
    fs::copy(dir.join("trust/db.crt"), dir.join("trust/db.next.crt")).unwrap();
    for step in [&["-C", "s", "keys", "rotate"][..], &["-C", "s", "keys", "rotate", "--finish"]] {
        let said = home.fails(3, step);
        assert!(said.contains("the certificate of another key, found that of trust/db.crt"), "{said}");
    }
}

#[test]
fn a_next_certificate_that_is_damaged_is_named_with_what_to_do() {
    let home = home();
    let dir = with_keys(&home);
    home.ok(&["-C", "s", "keys", "rotate"]);
    for content in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        fs::write(dir.join("trust/db.next.crt"), content).unwrap();
        let said = home.fails(3, &["-C", "s", "keys", "rotate", "--finish"]);
        assert!(
            said.contains("trust/db.next.crt: ") && said.contains("hint: restore it with `git"),
            "{said}"
        );
        assert!(said.contains("remove it: `hoopy keys rotate` makes another key"), "{said}");
    }
}

/// Whatever file a power cut keeps from getting its name, the same command goes on from there.
#[test]
fn a_rotation_that_was_interrupted_goes_on_with_the_same_command() {
    let home = home();
    let dir = home.small("s");
    home.ok(&["-C", "s", "secret", "init", "--open", "owner"]);
    home.ok(&["-C", "s", "keys", "new"]);
    // A private half without its certificate: nothing trusts it, so another is made.
    fs::write(dir.join("secrets/trust/db.next.key.age"), "half").unwrap();
    home.ok(&["-C", "s", "keys", "rotate"]);
    let old = fs::read(dir.join("trust/db.crt")).unwrap();
    let next = fs::read(dir.join("trust/db.next.crt")).unwrap();

    // The private key has been moved, the certificate has not.
    fs::rename(dir.join("secrets/trust/db.next.key.age"), dir.join("secrets/trust/db.key.age")).unwrap();
    let said = home.fails(3, &["-C", "s", "keys", "rotate"]);
    assert!(said.contains("is being finished") && said.contains("hoopy keys rotate --finish"), "{said}");
    let lists = fs::read(dir.join("trust/db.auth")).unwrap();
    home.ok(&["-C", "s", "keys", "rotate", "--finish"]);
    assert!(fs::read(dir.join("trust/db.crt")).unwrap() == next && !listed(&dir, &old));
    assert!(home.ok(&["build", "s"]).contains("signed    by CN=small db 2"));

    // Both have been moved, and the lists are still the old ones.
    fs::write(dir.join("trust/db.auth"), lists).unwrap();
    home.ok(&["-C", "s", "keys", "rotate", "--finish"]);
    assert!(listed(&dir, &next) && !listed(&dir, &old));
    assert!(home.fails(3, &["-C", "s", "keys", "rotate", "--finish"]).contains("no rotation to finish"));
}

#[test]
fn a_next_key_on_a_token_is_asked_for_by_its_name() {
    let home = home();
    let dir = system(&home);
    let toml = "name = \"small\"\n[trust]\nsign = [\"openssl\", \"dgst\", \"-sha256\", \"-sign\", \"../private/{key}.key\"]\n";
    fs::write(dir.join("hoopy.toml"), toml).unwrap();
    let said = home.fails(3, &["-C", "s", "keys", "rotate"]);
    assert!(said.contains("found no trust/db.next.crt") && said.contains("a key called db.next"), "{said}");
    let request = "req -x509 -newkey rsa:2048 -nodes -sha256 -days 30";
    for (name, to) in [("PK", "PK"), ("KEK", "KEK"), ("db.next", "db.next")] {
        let files = format!("-keyout private/{name}.key -out s/trust/{to}.crt");
        ok(&home.path(""), "openssl", &format!("{request} -subj /CN=Test-{name} {files}"));
    }
    home.ok(&["-C", "s", "keys", "rotate"]);
    assert!(home.ok(&["build", "s"]).contains("signed    by CN=Test-db.next and CN=Test-db\n"));
    // A command that does not sign for it ends the step before anything is changed.
    fs::rename(home.path("private/db.next.key"), home.path("private/away.key")).unwrap();
    let said = home.fails(4, &["-C", "s", "keys", "rotate", "--finish"]);
    assert!(said.contains("the key db.next") && !said.contains("--unsigned"), "{said}");
    assert!(dir.join("trust/db.next.crt").exists() && !dir.join("trust/db.old.crt").exists());
    fs::rename(home.path("private/away.key"), home.path("private/db.next.key")).unwrap();
    let said = home.ok(&["-C", "s", "keys", "rotate", "--finish"]);
    assert!(said.contains("must sign for `db` with the new key now"), "{said}");
    fs::rename(home.path("private/db.next.key"), home.path("private/db.key")).unwrap();
    assert!(home.ok(&["build", "s"]).contains("signed    by CN=Test-db.next\n"));
}

/// A key that is lost in the middle of a rotation is no dead end.
#[test]
fn a_rotation_whose_next_key_is_lost_is_abandoned_and_another_one_begun() {
    let home = home();
    let dir = with_keys(&home);
    let old = fs::read(dir.join("trust/db.crt")).unwrap();
    assert!(home.fails(3, &["-C", "s", "keys", "rotate", "--abandon"]).contains("no rotation to abandon"));
    home.ok(&["-C", "s", "keys", "rotate"]);
    let next = fs::read(dir.join("trust/db.next.crt")).unwrap();
    fs::remove_file(dir.join("secrets/trust/db.next.key.age")).unwrap();
    for step in [&["-C", "s", "keys", "rotate"][..], &["-C", "s", "keys", "rotate", "--finish"]] {
        assert!(home.fails(3, step).contains("`hoopy keys rotate --abandon`"), "{step:?}");
    }
    assert!(home.ok(&["-C", "s", "keys", "status"]).contains("`hoopy keys rotate --abandon`"));
    let said = home.ok(&["-C", "s", "keys", "rotate", "--abandon"]);
    assert!(
        said.contains("CN=small db signs alone, as before") && said.contains("hoopy keys enroll HOST"),
        "{said}"
    );
    assert!(listed(&dir, &old) && !listed(&dir, &next) && !dir.join("trust/db.next.crt").exists());
    assert_eq!(fs::read(dir.join("trust/db.crt")).unwrap(), old);
    assert!(home.ok(&["build", "s"]).contains("signed    by CN=small db\n"));
    // What machines may trust still is known: both the one that was abandoned, and the one that is replaced now.
    home.ok(&["-C", "s", "keys", "rotate"]);
    home.ok(&["-C", "s", "keys", "rotate", "--finish"]);
    let kept = Certificate::all_from_pem(&fs::read(dir.join("trust/db.old.crt")).unwrap()).unwrap();
    let expected = [old, next].map(|pem| Certificate::from_pem(&pem).unwrap());
    assert_eq!(kept, expected);
}

/// With the private key moved already, the old one is gone: there is only one way on.
#[test]
fn a_rotation_that_is_being_finished_is_not_abandoned() {
    let home = home();
    let dir = with_keys(&home);
    home.ok(&["-C", "s", "keys", "rotate"]);
    fs::rename(dir.join("secrets/trust/db.next.key.age"), dir.join("secrets/trust/db.key.age")).unwrap();
    let before = key_files(&dir);
    let said = home.fails(3, &["-C", "s", "keys", "rotate", "--abandon"]);
    assert!(said.contains("the old one is gone") && said.contains("hoopy keys rotate --finish"), "{said}");
    assert!(key_files(&dir) == before, "nothing was changed: {said}");
    home.ok(&["-C", "s", "keys", "rotate", "--finish"]);
}
