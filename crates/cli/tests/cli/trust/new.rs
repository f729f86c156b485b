//! `hoopy keys new`, `enroll` and `export`: which lists are signed when, and who else is trusted.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{home, run};

fn lists(dir: &Path) -> Vec<Vec<u8>> {
    ["PK", "KEK", "db"]
        .map(|name| fs::read(dir.join(format!("trust/{name}.auth"))).unwrap_or_default())
        .into()
}

#[test]
fn a_new_key_of_policies_needs_no_other_key_and_changes_no_list() {
    let home = home();
    let dir = home.small("s");
    home.ok(&["-C", "s", "secret", "init", "--open", "owner"]);
    home.ok(&["-C", "s", "keys", "new", "--no-microsoft"]);
    let before = lists(&dir);
    // PK and KEK are offline.
    for name in ["PK", "KEK"] {
        fs::rename(dir.join(format!("secrets/trust/{name}.key.age")), home.path(name)).unwrap();
    }
    for file in ["trust/pcr.pub", "secrets/trust/pcr.key.age"] {
        fs::remove_file(dir.join(file)).unwrap();
    }
    home.ok(&["-C", "s", "keys", "new"]);
    assert!(dir.join("trust/pcr.pub").exists() && lists(&dir) == before);
    for name in ["PK", "KEK"] {
        fs::rename(home.path(name), dir.join(format!("secrets/trust/{name}.key.age"))).unwrap();
    }
    // Microsoft stays out until it is asked for, and then stays in.
    let status = || home.ok(&["-C", "s", "keys", "status"]);
    for (more, has) in
        [(&[][..], false), (&["--microsoft"], true), (&[], true), (&["--no-microsoft"], false), (&[], false)]
    {
        home.ok(&[&["-C", "s", "keys", "enroll"], more].concat());
        assert_eq!(status().contains("and with Microsoft's"), has, "{more:?}");
    }
    fs::remove_file(dir.join("trust/db.auth")).unwrap();
    fs::remove_file(dir.join("trust/PK.auth")).unwrap();
    home.ok(&["-C", "s", "keys", "new"]);
    assert!(lists(&dir).iter().all(|list| !list.is_empty()) && !status().contains("Microsoft"));
    for name in ["PK", "KEK", "db"] {
        fs::remove_file(dir.join(format!("trust/{name}.auth"))).unwrap();
    }
    home.ok(&["-C", "s", "keys", "new"]);
    assert!(lists(&dir).iter().all(|list| !list.is_empty()), "all keys are there, and no list was");
}

#[test]
fn a_system_with_a_long_name_has_keys() {
    let home = home();
    let dir = home.small("s");
    fs::write(dir.join("hoopy.toml"), format!("name = \"{}\"\n", "n".repeat(63))).unwrap();
    home.ok(&["-C", "s", "secret", "init", "--open", "owner"]);
    home.ok(&["-C", "s", "keys", "new"]);
    assert!(home.ok(&["-C", "s", "keys", "status"]).contains(&format!("CN={} KEK", "n".repeat(40))));
}

#[test]
fn microsofts_certificates_are_exported_one_by_one_and_what_is_not_trusted_any_more_is_not_left() {
    let home = home();
    home.small("s");
    home.ok(&["-C", "s", "secret", "init", "--open", "owner"]);
    home.ok(&["-C", "s", "keys", "new"]);
    home.ok(&["-C", "s", "keys", "rotate"]);
    home.ok(&["-C", "s", "keys", "export", "../out"]);
    let names = || {
        let entries =
            fs::read_dir(home.path("out")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = entries.filter(|name| name.ends_with(".der")).collect();
        names.sort();
        names
    };
    let theirs = |names: &[String]| names.iter().filter(|name| name.contains('-')).count();
    assert!(names().contains(&"db-Microsoft-Corporation-UEFI-CA-2011.der".to_owned()), "{:?}", names());
    assert_eq!((names().len(), theirs(&names())), (4 + 7, 7), "{:?}", names());
    for name in names() {
        let said = run(&home.path("out"), "openssl", &format!("x509 -inform DER -noout -subject -in {name}"));
        assert!(said.0 && said.1.contains("Microsoft") == name.contains('-'), "{said:?}");
    }
    home.ok(&["-C", "s", "keys", "rotate", "--finish"]);
    home.ok(&["-C", "s", "keys", "enroll", "--no-microsoft"]);
    fs::write(home.path("out/mine.der"), "somebody else's").unwrap();
    home.ok(&["-C", "s", "keys", "export", "../out"]);
    assert_eq!(names(), ["KEK.der", "PK.der", "db.der", "mine.der"]);
}

/// With the next certificate there, both have to sign: it comes only where the rest can be done.
#[test]
fn a_rotation_is_begun_only_where_the_lists_can_be_signed() {
    let home = home();
    let dir = home.small("s");
    home.ok(&["-C", "s", "secret", "init", "--open", "owner"]);
    home.ok(&["-C", "s", "keys", "new"]);
    let refused = |expected: &str| {
        let before = super::rotate::key_files(&dir);
        let out = home.run(&["-C", "s", "keys", "rotate"]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && said.contains(expected) && said.contains("hint: "), "{said}");
        assert!(super::rotate::key_files(&dir) == before, "nothing was changed: {said}");
    };
    fs::rename(home.path(".config/age"), home.path("gone")).unwrap();
    refused("nothing is signed by KEK");
    fs::rename(home.path("gone"), home.path(".config/age")).unwrap();
    for name in ["PK", "KEK"] {
        let key = dir.join(format!("secrets/trust/{name}.key.age"));
        fs::rename(&key, home.path("key")).unwrap();
        refused(&format!("nothing is signed by {name}"));
        fs::rename(home.path("key"), &key).unwrap();
    }
    let list = dir.join("trust/db.auth");
    let whole = fs::read(&list).unwrap();
    fs::write(&list, &whole[..20]).unwrap();
    refused("trust/db.auth: not an update of a variable");
    fs::write(&list, whole).unwrap();
    home.ok(&["-C", "s", "keys", "rotate"]);
}

/// As an owner has one who uses their key of ssh, and no agent.
#[test]
fn a_key_of_ssh_with_a_passphrase_is_named_where_nobody_can_type_it_and_asked_for_once_where_somebody_can() {
    let home = home();
    let dir = home.small("s");
    fs::create_dir_all(home.path(".ssh")).unwrap();
    let key = home.path(".ssh/id_ed25519");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "correct horse", "-f"])
        .arg(&key)
        .status();
    assert!(made.unwrap().success());
    let _ = fs::remove_dir_all(home.path(".config/age"));
    let public = fs::read_to_string(home.path(".ssh/id_ed25519.pub")).unwrap();
    fs::create_dir_all(dir.join("secrets")).unwrap();
    home.ok(&["-C", "s", "secret", "init", "--open", "owner"]);
    assert!(
        fs::read_to_string(dir.join("secrets/recipients"))
            .unwrap()
            .contains(public.split(' ').nth(1).unwrap())
    );
    // Making the keys signs the lists, for which those of PK and KEK are opened.
    let typed = |answer: &str, arguments: &str| {
        let hoopy = env!("CARGO_BIN_EXE_hoopy");
        let script = format!(
            "import os, pty, sys, time\n\
             os.environ.pop('HOOPY_IDENTITY', None)\n\
             asked = 0\n\
             pid, fd = pty.fork()\n\
             if pid == 0: os.execvp('{hoopy}', ['{hoopy}'] + '{arguments}'.split())\n\
             said = b''\n\
             while True:\n\
             \x20   try: piece = os.read(fd, 4096)\n\
             \x20   except OSError: break\n\
             \x20   if not piece: break\n\
             \x20   said += piece\n\
             \x20   if said.lower().count(b'passphrase') > asked and said.rstrip().endswith(b':'):\n\
             \x20       asked = said.lower().count(b'passphrase'); time.sleep(0.2); os.write(fd, b'{answer}\\n')\n\
             _, status = os.waitpid(pid, 0)\n\
             print(os.waitstatus_to_exitcode(status), said.decode(errors='replace').lower().count('passphrase for'), said.decode(errors='replace'))\n"
        );
        let mut python = Command::new("python3");
        python.args(["-c", &script]).current_dir(home.path("")).env("HOME", home.path(""));
        let out = python.output().unwrap();
        String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
    };
    let said = typed("correct horse", "-C s keys new");
    assert!(said.starts_with("0 1 "), "asked once for all keys: {said}");
    let said = typed("wrong", "-C s keys enroll");
    assert!(!said.starts_with("0 ") && said.contains("wrong passphrase"), "{said}");
    let mut command = Command::new("setsid");
    command.args(["-w", env!("CARGO_BIN_EXE_hoopy"), "-C", "s", "keys", "enroll"]).current_dir(home.path(""));
    let out = command
        .env("HOME", home.path(""))
        .env_remove("HOOPY_IDENTITY")
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        !out.status.success()
            && said.contains("id_ed25519: its passphrase was not given: without a terminal"),
        "{said}"
    );
}
