//! `hoopy deploy`, `status` and `rollback`, against a far side that is a directory with the real BusyBox in it.

mod alpine;
mod card;
mod kexec;
mod keys;
mod page;
mod remote;

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use remote::{EFI, OLD, Remote, image, image_of_epoch, kill_every, loader, noise, segments};

/// The JSON that a command prints.
fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn a_changed_file_is_all_that_is_sent_and_the_image_before_is_kept() {
    let far = Remote::new("single");
    let (_, one) = far.image("1", &segments(10));
    let (path, two) = far.image("2", &segments(20));
    far.lay("s-1", &[(EFI, &one)]);
    let dry = far.ok(&["-C", "s", "deploy", "--image", &path, "--dry-run"]);
    assert!(dry.contains("root/ 777 B") && !dry.contains("musl-1"), "{dry}");
    assert_eq!(far.files(), [EFI]);
    let said = json(&far.ok(&["-C", "s", "deploy", "--image", &path, "--json"]));
    assert!(said["sent"].as_u64().unwrap() < 40_000, "{said}");
    assert!(far.read(EFI) == two && far.read(OLD) == one);
    assert_eq!(far.files(), [EFI, OLD]);
    let again = far.ok(&["-C", "s", "deploy", "--image", &path]);
    assert!(again.contains("s-2 is in place already: starts with the next boot"), "{again}");
    far.runs("s-2");
    assert!(far.ok(&["-C", "s", "deploy", "--image", &path]).contains("s-2 runs already"));
}

/// A variable of the far side's firmware, behind its attributes.
fn variable(far: &Remote, name: &str, content: &[u8]) {
    let dir = far.root("sys/firmware/efi/efivars");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(name), [&[6, 0, 0, 0], content].concat()).unwrap();
}

#[test]
fn an_image_that_the_firmware_would_refuse_is_not_written() {
    use hoopy_trust::certificate::Certificate;
    use hoopy_trust::firmware::{OWNER, SignatureLists, Variable};
    let far = Remote::new("single");
    let (_, one) = far.image("1", &segments(10));
    let (path, _) = far.image("2", &segments(20));
    far.lay("s-1", &[(EFI, &one)]);
    let key = hoopy_trust::key::PrivateKey::generate().unwrap();
    let certificate =
        Certificate::self_signed("nas db", "2026-11-28T00:00:00Z".parse().unwrap(), &key).unwrap();
    fs::write(far.home.path("db.key"), key.to_pem().unwrap().as_bytes()).unwrap();
    fs::write(far.home.path("db.crt"), certificate.to_pem().unwrap()).unwrap();
    let lists = SignatureLists::of([(OWNER, &certificate)]).to_bytes();
    variable(&far, &Variable::Db.file_name(), &lists);
    let secure_boot = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

    variable(&far, secure_boot, &[1]);
    let said = far.fails(&["-C", "s", "deploy", "--image", &path, "--force"]);
    assert!(said.contains("the firmware of far would not start s-2: it has no signature"), "{said}");
    assert_eq!(far.files(), [EFI]);
    // Switched off: whatever the lists say.
    variable(&far, secure_boot, &[0]);
    far.ok(&["-C", "s", "deploy", "--image", &path, "--dry-run"]);
    variable(&far, secure_boot, &[1]);
    far.ok(&["sign", &path, "--key", "db.key", "--certificate", "db.crt"]);
    far.ok(&["-C", "s", "deploy", "--image", &path]);
    assert!(far.read(EFI) == fs::read(&path).unwrap());

    variable(&far, &Variable::Dbx.file_name(), &lists);
    let (path, _) = far.image("3", &segments(30));
    far.ok(&["sign", &path, "--key", "db.key", "--certificate", "db.crt"]);
    let said = far.fails(&["-C", "s", "deploy", "--image", &path]);
    assert!(said.contains("its signature by CN=nas db is revoked"), "{said}");
    variable(&far, &Variable::Dbx.file_name(), b"nonsense");
    let said = far.fails(&["-C", "s", "deploy", "--image", &path]);
    assert!(said.contains("its variable dbx cannot be read"), "{said}");
}

#[test]
fn a_far_image_that_lies_about_itself_costs_a_second_transfer() {
    let far = Remote::new("single");
    let (_, mut one) = far.image("1", &segments(10));
    let (path, two) = far.image("2", &segments(20));
    let inside = &noise(1, 2000)[1000..1008];
    let at = one.windows(8).position(|w| w == inside).unwrap();
    one[at] ^= 1;
    far.lay("s-1", &[(EFI, &one)]);
    let out = far.run(&["-C", "s", "deploy", "--image", &path]);
    let told = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        out.status.success() && told.contains("differs from its list of contents: sending everything"),
        "{told}"
    );
    assert!(far.read(EFI) == two);
}

#[test]
fn an_image_without_a_description_is_replaced_all_the_same() {
    let far = Remote::new("single");
    let (path, two) = far.image("2", &segments(20));
    far.lay("s-1", &[(EFI, &loader())]);
    let said = far.fails(&["-C", "s", "deploy", "--image", &path]);
    assert!(said.contains("starts systemd-boot, and hoopy.toml has `layout = \"single\"`"), "{said}");
    far.lay("s-1", &[]);
    far.ok(&["-C", "s", "deploy", "--image", &path]);
    assert!(far.read(EFI) == two);
}

/// Linux writes a name that is new on FAT with no clusters first (fs/fat/namei_vfat.c, `vfat_rename`): a power cut can
/// leave it so.
#[test]
fn an_empty_file_under_a_new_name_is_no_image() {
    let far = Remote::new("ab");
    let (_, one) = far.image("1", &segments(10));
    let (path, two) = far.image("2", &segments(20));
    let empty = ["EFI/Linux/s-0+3.efi", "EFI/Linux/s-2+3.efi"].map(|name| (name, &b""[..]));
    let files = [(EFI, &loader()[..]), ("EFI/Linux/s-1.efi", &one)];
    far.lay("s-1", &[files, empty].concat());
    let status = json(&far.ok(&["-C", "s", "status", "--json"]));
    assert_eq!(status["staged"], serde_json::Value::Null, "{status}");
    far.ok(&["-C", "s", "deploy", "--image", &path]);
    assert!(far.read("EFI/Linux/s-2+3.efi") == two);
    assert_eq!(far.files(), [EFI, "EFI/Linux/s-1.efi", "EFI/Linux/s-2+3.efi"]);

    let far = Remote::new("single");
    let (path, two) = far.image("2", &segments(20));
    far.lay("s-1", &[(EFI, &one), (OLD, b"")]);
    let said = far.fails(&["-C", "s", "rollback"]);
    assert!(far.read(EFI) == one, "{said}");
    far.ok(&["-C", "s", "deploy", "--image", &path]);
    assert!(far.read(EFI) == two && far.read(OLD) == one);
}

/// In place of `flock`, which a script calls before it looks at the partition: at the nth time, the machine has just
/// found the image good that it runs.
const BLESSING: &str = r#"#!/bin/busybox sh
n=$(($(busybox cat /count 2>/dev/null) + 1))
echo $n >/count
[ $n != "$(busybox cat /bless)" ] || busybox mv /esp/EFI/Linux/s-2+2-1.efi /esp/EFI/Linux/s-2.efi
exec busybox flock "$@"
"#;

#[test]
fn an_image_may_be_found_good_at_any_moment_of_a_deploy() {
    let far = Remote::new("ab");
    let (_, one) = far.image("1", &segments(10));
    let (second, two) = far.image("2", &segments(20));
    let (third, three) = far.image("3", &segments(30));
    fs::remove_file(far.root("bin/flock")).unwrap();
    far.program("far/bin/flock", BLESSING);
    for (path, image, name) in [(&third, &three, "s-3+3.efi"), (&second, &two, "s-2.efi")] {
        for n in 1.. {
            far.lay("s-2", &[(EFI, &loader()), ("EFI/Linux/s-1.efi", &one), ("EFI/Linux/s-2+2-1.efi", &two)]);
            fs::write(far.root("count"), "0").unwrap();
            fs::write(far.root("bless"), n.to_string()).unwrap();
            let said = json(&far.ok(&["-C", "s", "deploy", "--image", path, "--json"]));
            assert!(said["sent"].as_u64().unwrap() < 100_000, "at {n}: {said}");
            if far.files().contains(&"EFI/Linux/s-2+2-1.efi".to_owned()) {
                assert!(n > 4, "it was found good at no moment: {:?}", far.files());
                break;
            }
            assert!(far.read(&format!("EFI/Linux/{name}")) == *image, "at {n}: {:?}", far.files());
            assert!(far.read("EFI/Linux/s-2.efi") == two, "at {n}");
        }
    }
}

/// Kills the far side at every program that it starts, each time from the same state; then deploys again.
fn killed_everywhere(layout: &str, check: impl Fn(&Remote, &[u8], &[u8]), done: impl Fn(&Remote, &[u8])) {
    let far = Remote::new(layout).counting();
    let (_, zero) = far.image("0", &segments(5));
    let (_, one) = far.image("1", &segments(10));
    let (path, two) = far.image("2", &segments(20));
    let step = kill_every(11);
    let mut killed = 0;
    for n in (1..1000).step_by(step) {
        if layout == "single" {
            far.lay("s-1", &[(EFI, &one), (OLD, &zero)]);
        } else {
            let files: [(&str, &[u8]); 3] =
                [(EFI, &loader()), ("EFI/Linux/s-0.efi", &zero), ("EFI/Linux/s-1.efi", &one)];
            far.lay("s-1", &files);
        }
        far.kill_at(n);
        let out = far.run(&["-C", "s", "deploy", "--image", &path]);
        if !far.was_killed() {
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            break;
        }
        killed += 1;
        check(&far, &one, &two);
        far.kill_at(100_000);
        let out = far.run(&["-C", "s", "deploy", "--image", &path]);
        assert!(out.status.success(), "after a kill at {n}: {}", String::from_utf8_lossy(&out.stderr));
        done(&far, &two);
    }
    println!("{layout}: killed {killed} times");
    assert!(killed > 20 / step, "killed only {killed} times");
}

#[test]
fn killed_at_any_point_single_has_an_image_to_start_and_can_be_run_again() {
    let starts = |far: &Remote, one: &[u8], two: &[u8]| {
        let efi = far.read(EFI);
        assert!(efi == one || efi == two, "what firmware starts is no image: {:?}", far.files());
    };
    let done = |far: &Remote, two: &[u8]| {
        assert!(far.read(EFI) == two);
        assert_eq!(far.files(), [EFI, OLD]);
    };
    killed_everywhere("single", starts, done);
}

#[test]
fn killed_at_any_point_ab_has_its_good_image_and_can_be_run_again() {
    let starts = |far: &Remote, one: &[u8], two: &[u8]| {
        assert!(far.read("EFI/Linux/s-1.efi") == one);
        let new = far.read("EFI/Linux/s-2+3.efi");
        assert!(new.is_empty() || new == two, "{:?}", far.files());
    };
    let done = |far: &Remote, two: &[u8]| {
        assert!(far.read("EFI/Linux/s-2+3.efi") == two);
        let files = [EFI, "EFI/Linux/s-0.efi", "EFI/Linux/s-1.efi", "EFI/Linux/s-2+3.efi"];
        assert_eq!(far.files(), files);
    };
    killed_everywhere("ab", starts, done);
}

#[test]
fn a_client_that_is_killed_leaves_a_far_side_that_puts_itself_back() {
    let far = Remote::new("single");
    let (_, one) = far.image("1", &segments(10));
    let (path, two) = far.image("2", &[("x", noise(77, 3_000_000))]);
    for delay in [5, 60, 120, 180, 240, 300, 400, 500] {
        far.lay("s-1", &[(EFI, &one)]);
        let mut command = far.command(&["-C", "s", "deploy", "--image", &path]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        let _ = child.kill();
        child.wait().unwrap();
        let gone = || far.files().iter().all(|f| !f.ends_with(".part"));
        assert!(hoopy_testkit::soon(Duration::from_secs(30), gone), "{:?}", far.files());
        let efi = far.read(EFI);
        assert!(efi == one || efi == two, "killed after {delay} ms");
        far.ok(&["-C", "s", "deploy", "--image", &path]);
        assert!(far.read(EFI) == two, "again, after {delay} ms");
    }
}

#[test]
fn what_is_not_for_this_machine_is_refused() {
    let far = Remote::new("single");
    let (path, _) = far.image("2", &segments(20));
    let (_, one) = far.image("1", &segments(10));
    far.lay("other-1", &[(EFI, &one)]);
    let deploy = ["-C", "s", "deploy", "--image", &path];
    let said = far.fails(&deploy);
    assert!(said.contains("far runs another system: expected s, found other-1"), "{said}");
    fs::remove_file(far.root("etc/hoopy-release")).unwrap();
    assert!(far.fails(&deploy).contains("far does not run hoopy"));
    far.ok(&[&deploy[..], &["--force"]].concat());
    far.runs("s-1");
    fs::remove_file(far.root("bin/uname")).unwrap();
    fs::write(far.root("bin/uname"), "#!/bin/sh\necho aarch64\n").unwrap();
    std::os::unix::fs::PermissionsExt::set_mode(
        &mut fs::metadata(far.root("bin/uname")).unwrap().permissions(),
        0o755,
    );
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(far.root("bin/uname"), mode).unwrap();
    let said = far.fails(&deploy);
    assert!(
        said.contains(
            "the image is for x86_64, but far is aarch64\nhint: build the image with --arch aarch64"
        ),
        "{said}"
    );
    fs::remove_file(far.root("bin/cmp")).unwrap();
    assert!(far.fails(&deploy).contains("far has no cmp"));
    let said = far.fails(&["-C", "s", "deploy", "--image", "/etc/passwd"]);
    assert!(said.contains("/etc/passwd: not an image that hoopy built"), "{said}");
}

#[test]
fn errors_of_ssh_are_shown_with_a_hint() {
    let far = Remote::new("single");
    let (path, _) = far.image("2", &segments(20));
    for (says, hint) in [
        ("Host key verification failed.", "ssh-keygen -R far"),
        ("ssh: Could not resolve hostname far: Name or service not known", "cannot connect to far"),
        ("ssh: connect to host far port 22: No route to host", "cannot connect to far"),
        ("root@far: Permission denied (publickey).", "authorized_keys"),
    ] {
        fs::write(far.home.path("ssh-says"), format!("{says}\n")).unwrap();
        let said = far.fails(&["-C", "s", "deploy", "--image", &path]);
        assert!(said.contains(hint) && said.contains(says), "{said}");
    }
    let out = far.run(&["-C", "s", "deploy", "--image", &path, "--", "-oProxyCommand=x"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("\"-oProxyCommand=x\" is not the name of a machine"), "{said}");
}

#[test]
fn rollback_goes_back_and_forth_on_single() {
    let far = Remote::new("single");
    let (one, two) = (far.image("1", &segments(10)).1, far.image("2", &segments(20)).1);
    far.lay("s-2", &[(EFI, &two), (OLD, &one)]);
    assert!(far.ok(&["-C", "s", "rollback", "--dry-run"]).contains("s-1: would start"));
    assert!(far.read(EFI) == two);
    assert!(far.ok(&["-C", "s", "rollback"]).contains("s-1: starts with the next boot"));
    assert!(far.read(EFI) == one && far.read(OLD) == two);
    far.ok(&["-C", "s", "rollback"]);
    assert!(far.read(EFI) == two && far.read(OLD) == one);
    assert_eq!(far.files(), [EFI, OLD]);
}

#[test]
fn the_temporary_name_of_an_image_that_a_power_cut_left_is_not_removed() {
    let far = Remote::new("ab");
    let [one, two, three] = ["1", "2", "3"].map(|v| far.image(v, &segments(10)).1);
    let part = "EFI/Linux/hoopy-new.part";
    let files: [(&str, &[u8]); 4] =
        [(EFI, &loader()), ("EFI/Linux/s-1.efi", &one), ("EFI/Linux/s-2+3.efi", &two), (part, &two)];
    far.lay("s-1", &files);
    let path = far.home.path("s-3.efi");
    far.ok(&["-C", "s", "deploy", "--image", path.to_str().unwrap()]);
    assert!(far.read("EFI/Linux/hoopy-1.left") == two && far.read("EFI/Linux/s-2+3.efi") == two);
    assert!(far.read("EFI/Linux/s-3+3.efi") == three);
    // What was never renamed goes.
    far.lay("s-1", &[(EFI, &loader()), ("EFI/Linux/s-1.efi", &one), (part, &two)]);
    far.ok(&["-C", "s", "deploy", "--image", path.to_str().unwrap()]);
    assert_eq!(far.files(), [EFI, "EFI/Linux/s-1.efi", "EFI/Linux/s-3+3.efi"]);
}

#[test]
fn status_tells_what_runs_and_what_is_next_and_rollback_takes_it_back() {
    let far = Remote::new("ab");
    let [one, two] = ["1", "2"].map(|v| far.image(v, &segments(10)).1);
    let files: [(&str, &[u8]); 3] =
        [(EFI, &loader()), ("EFI/Linux/s-1.efi", &one), ("EFI/Linux/s-2+3.efi", &two)];
    far.lay("s-1", &files);
    let said = json(&far.ok(&["-C", "s", "status", "--json"]));
    assert_eq!((said["image"].as_str(), said["staged"].as_str()), (Some("s-1"), Some("s-2")));
    assert_eq!((said["layout"].as_str(), said["commit"].as_str()), (Some("ab"), Some("0123abc")));
    let text = far.ok(&["-C", "s", "status"]);
    assert!(text.contains("next       s-2") && text.contains("EFI/Linux/s-2+3.efi (s-2, "), "{text}");
    far.ok(&["-C", "s", "rollback"]);
    assert_eq!(far.files(), [EFI, "EFI/Linux/s-1.efi", "EFI/Linux/s-2+0-3.efi"]);
    assert!(json(&far.ok(&["-C", "s", "status", "--json"]))["staged"].is_null());
    let told = || fs::read_to_string(far.root("run/hoopy/staged")).unwrap();
    assert_eq!(told(), "s-1\n", "the machine's agent tells what the next boot starts");
    assert!(far.fails(&["-C", "s", "rollback"]).contains("has no previous image to return to"));
    let path = far.home.path("s-2.efi");
    far.ok(&["-C", "s", "deploy", "--image", path.to_str().unwrap()]);
    assert_eq!(far.files(), [EFI, "EFI/Linux/s-1.efi", "EFI/Linux/s-2+3.efi"], "it is tried again");
    assert_eq!(told(), "s-2\n");
}

#[test]
fn an_image_of_an_earlier_epoch_is_said_to_come_up_locked() {
    let far = Remote::new("ab");
    let (early, late) = (image_of_epoch("s", "1", 1), image_of_epoch("s", "2", 2));
    far.lay("s-2", &[(EFI, &loader()), ("EFI/Linux/s-1.efi", &early), ("EFI/Linux/s-2.efi", &late)]);
    let warning = |args: &[&str]| {
        let out = far.run(&[&["-C", "s"], args].concat());
        assert!(out.status.success(), "{args:?}");
        let said = String::from_utf8(out.stderr).unwrap();
        said.lines().find(|line| line.starts_with("warning: ")).unwrap_or_default().to_owned()
    };
    let told = "is of epoch 1, and s-2, which runs, of epoch 2: its secrets may stay locked in the TPM";
    let said = warning(&["rollback", "--dry-run"]);
    assert!(said.contains(&format!("s-1 {told}")), "{said}");
    for (epoch, is_told) in [(1, true), (2, false), (3, false)] {
        let path = far.home.path("new.efi");
        fs::write(&path, image_of_epoch("s", "3", epoch)).unwrap();
        let said = warning(&["deploy", "--dry-run", "--image", path.to_str().unwrap()]);
        assert_eq!(said.contains(&format!("s-3 {told}")), is_told, "{epoch}: {said}");
    }
    far.runs("s-1");
    let path = far.home.path("new.efi");
    fs::write(&path, image_of_epoch("s", "3", 1)).unwrap();
    assert_eq!(warning(&["deploy", "--dry-run", "--image", path.to_str().unwrap()]), "");
}

#[test]
fn a_partition_that_was_read_only_is_so_again_however_it_ends() {
    let Some(far) = Remote::new("single").fat(8, "loop") else { return };
    let (_, one) = far.image("1", &segments(10));
    let (path, two) = far.image("2", &segments(20));
    let (large, _) = far.image("3", &[("x", noise(7, 9 << 20))]);
    far.lay("s-1", &[(EFI, &one)]);
    let remount = |options: &str| {
        let at = far.home.path("esp");
        let done = std::process::Command::new("mount").args(["-o", options]).arg(at).status().unwrap();
        assert!(done.success());
    };
    remount("remount,ro");
    let before = far.options();
    let said = far.fails(&["-C", "s", "deploy", "--image", &large]);
    assert!(said.contains("is too full: the new image needs 9.") && said.contains("are free"), "{said}");
    assert_eq!(far.options(), before);
    far.ok(&["-C", "s", "deploy", "--image", &path]);
    assert_eq!(far.options(), before);
    assert!(far.read(EFI) == two && far.read(OLD) == one);
    let mut command = far.command(&["-C", "s", "deploy", "--image", path.as_str(), "--force"]);
    far.runs("x-1");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let _ = child.kill();
    child.wait().unwrap();
    assert!(hoopy_testkit::soon(Duration::from_secs(30), || far.options() == before), "{}", far.options());
}

#[test]
fn a_partition_that_is_fuller_than_it_says_and_one_that_is_locked_are_told() {
    let Some(far) = Remote::new("single").fat(8, "loop") else { return };
    let (path, _) = far.image("2", &[("x", noise(7, 4 << 20))]);
    let (_, one) = far.image("1", &segments(10));
    far.lay("s-1", &[(EFI, &one)]);
    // Somebody fills it while the deploy goes on: df says what was true a moment ago.
    fs::remove_file(far.root("bin/df")).unwrap();
    let lying = "#!/bin/busybox sh\nbusybox df \"$@\" | busybox awk 'NR == 2 { $4 = 900000 } { print }'\n";
    fs::write(far.root("bin/df"), lying).unwrap();
    fs::set_permissions(far.root("bin/df"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    fs::write(far.esp("filler"), noise(3, 4 << 20)).unwrap();
    let said = far.fails(&["-C", "s", "deploy", "--image", &path]);
    assert!(said.contains("is too full"), "{said}");
    assert!(far.read(EFI) == one);
    assert_eq!(far.files(), [EFI]);
    drop(far);

    let Some(far) = Remote::new("single").fat(8, "loop") else { return };
    let one = image("s", "1", &segments(10));
    far.lay("s-1", &[(EFI, &one)]);
    let (at, img) = (far.home.path("esp"), far.home.path("esp.img"));
    let mount = |program: &str, args: &[&str]| {
        let path = "/usr/sbin:/usr/bin:/sbin:/bin";
        assert!(std::process::Command::new(program).args(args).env("PATH", path).status().unwrap().success());
    };
    mount("umount", &[at.to_str().unwrap()]);
    // What a stick with its switch on is to the kernel: a block device that cannot be written.
    mount("mount", &["-o", "loop,ro", img.to_str().unwrap(), at.to_str().unwrap()]);
    let said = far.fails(&["-C", "s", "deploy", "--image", &path_of(&far)]);
    assert!(said.contains("cannot be written") && said.contains("locked by a switch"), "{said}");
}

fn path_of(far: &Remote) -> String {
    far.image("2", &segments(20)).0
}
