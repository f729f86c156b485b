//! `hoopy secret`, and what becomes of secrets in a build. tests/ship/secrets.rs boots machines with them.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use hoopy_testkit::Home;

/// What a secret holds; it must be nowhere but where it belongs.
const CANARY: &str = "CANARY-2b9e61f0";

struct System {
    home: Home,
}

impl System {
    fn new() -> Self {
        let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
        home.example("hello");
        home.command_of(Path::new("git"), &["init", "-q", "hello"]).status().unwrap();
        Self { home }
    }

    /// A system with secrets that are opened so.
    fn with(open: &str) -> Self {
        let system = Self::new();
        system.write("root/etc/fstab", "LABEL=persist /persist ext4 noatime 0 0\n");
        system.ok(&["secret", "init", "--open", open]);
        system.set("/etc/app/token", CANARY);
        system
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn path(&self, path: &str) -> PathBuf {
        self.home.path("hello").join(path)
    }

    fn run(&self, args: &[&str], input: &str) -> Output {
        let mut command = self.home.command(&[&["-C", "hello"], args].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that reads none of it ends first.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args, "");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn fails(&self, args: &[&str], input: &str) -> String {
        let output = self.run(args, input);
        assert!(!output.status.success(), "{args:?} went well");
        String::from_utf8(output.stderr).unwrap()
    }

    fn set(&self, path: &str, secret: &str) {
        let output = self.run(&["secret", "set", path], secret);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn check(&self) -> String {
        String::from_utf8(self.run(&["check"], "").stdout).unwrap()
    }
}

/// Every file below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(next) = dirs.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                dirs.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(bytes, part).is_some()
}

/// The files below `dir` that hold the canary or a digest of it, as text or as bytes.
fn leaks(dir: &Path) -> Vec<PathBuf> {
    let digest = hoopy_base::digest::ContentId::of(CANARY.as_bytes());
    let text = digest.to_string();
    let signs: [&[u8]; 3] = [CANARY.as_bytes(), text.as_bytes(), digest.as_bytes()];
    let leaks = |file: &PathBuf| fs::read(file).is_ok_and(|bytes| signs.iter().any(|sign| has(&bytes, sign)));
    files(dir).into_iter().filter(leaks).collect()
}

#[test]
fn a_secret_is_set_shown_listed_edited_and_removed() {
    let system = System::with("disk");
    assert_eq!(system.ok(&["secret", "show", "/etc/app/token"]), CANARY);
    assert_eq!(system.ok(&["secret", "show", "secrets/etc/app/token.age"]), CANARY);
    system.set("unlock/tank", "key");
    assert_eq!(
        system.ok(&["secret", "list"]),
        "/etc/app/token  owner and machine\nunlock/tank     owner and machine\n"
    );
    let editor = system.home.path("editor");
    fs::write(&editor, "#!/bin/sh\n[ \"$(stat -c %a \"${1%/*}\")\" = 700 ] && printf ' more' >>\"$1\"\n")
        .unwrap();
    fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
    let mut edit = system.home.command(&["-C", "hello", "secret", "edit", "/etc/app/token"]);
    assert!(edit.env("EDITOR", &editor).status().unwrap().success());
    assert_eq!(system.ok(&["secret", "show", "/etc/app/token"]), format!("{CANARY} more"));
    system.ok(&["secret", "rm", "/etc/app/token"]);
    assert!(!system.path("secrets/etc").exists());
    let said = system.fails(&["secret", "show", "/etc/app/token"], "");
    assert!(said.contains("no secret /etc/app/token"), "{said}");
}

#[test]
fn age_itself_opens_a_secret_and_writes_one_that_check_accepts() {
    let system = System::with("disk");
    let key = system.home.path(".config/age/hoopy.txt");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let file = system.path("secrets/etc/app/token.age");
    let age = |args: &[&str]| system.home.command_of(Path::new("age"), args).output().unwrap();
    let opened = age(&["-d", "-i", key.to_str().unwrap(), file.to_str().unwrap()]);
    assert_eq!(String::from_utf8(opened.stdout).unwrap(), CANARY);
    let [recipients, machine] = ["recipients", "machine.pub"].map(|name| system.path("secrets").join(name));
    let sealed = age(&[
        "-R",
        recipients.to_str().unwrap(),
        "-R",
        machine.to_str().unwrap(),
        "-o",
        file.to_str().unwrap(),
        key.to_str().unwrap(),
    ]);
    assert!(sealed.status.success());
    assert!(!system.check().contains("secrets/"), "{}", system.check());
}

#[test]
fn a_file_of_root_is_moved_and_git_is_told_of() {
    let system = System::with("disk");
    system.write("root/etc/a.key", "one");
    system.write("root/etc/b.key", "two");
    let git = |args: &[&str]| {
        assert!(
            system
                .home
                .command_of(Path::new("git"), &[&["-C", "hello"], args].concat())
                .status()
                .unwrap()
                .success()
        )
    };
    git(&["add", "root/etc/b.key"]);
    let output = system.run(&["secret", "import", "root/etc/a.key", "/etc/b.key"], "");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("git has root/etc/b.key in its history") && !said.contains("git has root/etc/a.key"),
        "{said}"
    );
    assert!(!system.path("root/etc/a.key").exists());
    assert_eq!(system.ok(&["secret", "show", "/etc/b.key"]), "two");
}

#[test]
fn check_names_what_is_wrong_with_secrets_and_how_it_is_mended() {
    let system = System::with("disk");
    system.write("root/etc/app/token", "plain");
    let said = system.check();
    assert!(said.contains("root/etc/app/token: secrets/etc/app/token.age is there too"), "{said}");
    fs::remove_file(system.path("root/etc/app/token")).unwrap();
    let recipients = system.path("secrets/recipients");
    let before = fs::read_to_string(&recipients).unwrap();
    fs::write(&recipients, before + "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa\n")
        .unwrap();
    let said = system.check();
    assert!(
        said.contains("secrets/etc/app/token.age: it is encrypted for other recipients")
            && said.contains("hoopy secret rekey"),
        "{said}"
    );
    system.ok(&["secret", "rekey"]);
    assert!(!system.check().contains("recipients"), "{}", system.check());
    system.write("root/etc/ssl/site.key", "-----BEGIN PRIVATE KEY-----\n");
    system.home.command_of(Path::new("git"), &["-C", "hello", "add", "root"]).status().unwrap();
    let said = system.check();
    assert!(said.contains("hoopy secret import root/etc/ssl/site.key"), "{said}");
    system.write(".gitignore", "images/\nroot/etc/gone.key\n");
    let said = system.check();
    assert!(said.contains(".gitignore:2: root/etc/gone.key is missing"), "{said}");
}

#[test]
fn a_locked_machine_must_be_reachable() {
    let system = System::with("owner");
    system.set("/etc/dropbear/dropbear_ed25519_host_key", "key");
    let output = system.run(&["check"], "");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("error: secrets/etc/dropbear/dropbear_ed25519_host_key.age: a locked machine needs it"),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(3));
}

fn a_policy_key_that_not_every_tpm_takes_is_refused(system: &System) {
    let file = system.path("trust/pcr.pub");
    let ours = fs::read_to_string(&file).unwrap();
    for options in [["-pkeyopt", "rsa_keygen_bits:3072"], ["-pkeyopt", "rsa_keygen_pubexp:3"]] {
        let key = system.home.path("pcr.pem");
        let openssl = |args: &[&str]| {
            let done = Command::new("openssl").args(args).arg(&key).stderr(Stdio::null()).status();
            assert!(done.unwrap().success());
        };
        openssl(&["genpkey", "-algorithm", "RSA", options[0], options[1], "-out"]);
        openssl(&["rsa", "-pubout", "-out", file.to_str().unwrap(), "-in"]);
        let said = system.check();
        assert!(
            said.contains("error: trust/pcr.pub: open = \"tpm\" needs an RSA key of 2048 bits"),
            "{said}"
        );
        let said = system.fails(&["build", ".", "--unsigned"], "");
        assert!(
            said.contains("trust/pcr.pub: expected an RSA key of 2048 bits")
                && said.contains("hoopy keys new"),
            "{said}"
        );
    }
    fs::write(&file, ours).unwrap();
}

#[test]
fn with_a_tpm_the_image_names_the_keys_that_its_identity_is_sealed_under() {
    let system = System::with("tpm");
    let said = system.fails(&["build", "."], "");
    assert!(
        said.contains("trust/db.crt is not there") && said.contains("hint: make them with `hoopy keys new`"),
        "{said}"
    );
    let said = system.check();
    for key in ["trust/db.crt", "trust/pcr.pub"] {
        assert!(
            said.contains(&format!("seals the machine's identity under {key}, which is not there")),
            "{said}"
        );
    }
    assert!(said.contains("error: packages: open = \"tpm\" needs a driver for TPMs"), "{said}");
    let toml = fs::read_to_string(system.path("hoopy.toml")).unwrap();
    system.write("hoopy.toml", &format!("layout = \"extlinux\"\n{toml}"));
    let said = system.check();
    assert!(said.contains("open = \"tpm\" needs firmware that checks and measures images"), "{said}");
    system.write("hoopy.toml", &toml);
    let packages = fs::read_to_string(system.path("packages")).unwrap();
    system.write("packages", &packages.replace("linux-virt", "linux-lts"));
    system.set("/etc/dropbear/dropbear_ed25519_host_key", "key");
    system.ok(&["keys", "new"]);
    system.ok(&["update"]);
    a_policy_key_that_not_every_tpm_takes_is_refused(&system);
    system.ok(&["build", "."]);
    let said = system.check();
    assert!(!said.contains("driver for TPMs") && !said.contains("error: "), "{said}");
    assert!(
        said.contains(
            "warning: secrets/etc/dropbear/dropbear_ed25519_host_key.age: a locked machine needs it"
        ),
        "{said}"
    );
    let mut images = fs::read_dir(system.path("images")).unwrap().map(|entry| entry.unwrap().path());
    let image = images.find(|path| path.extension().is_some_and(|end| end == "efi")).unwrap();
    let map = system.home.ok(&["inspect", "cat", image.to_str().unwrap(), "/usr/libexec/hoopy/secrets.json"]);
    let map: hoopy_boot::secrets::Map = serde_json::from_str(&map).unwrap();
    let sealing = map.sealing.unwrap();
    assert_eq!(sealing.policy_key, fs::read_to_string(system.path("trust/pcr.pub")).unwrap());
    let der = Command::new("openssl")
        .args(["x509", "-outform", "DER", "-in"])
        .arg(system.path("trust/db.crt"))
        .output()
        .unwrap();
    use sha2::Digest as _;
    assert_eq!(sealing.certificate, data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(der.stdout)));
    assert_eq!(map.device.unwrap().spec, "LABEL=persist");
    let said = system.fails(&["deploy", "vm", "--kexec"], "");
    assert!(said.contains("--kexec: with open = \"tpm\" the machine would come up locked"), "{said}");
}

#[test]
fn what_a_machine_opens_itself_is_nowhere_in_the_clear_after_a_build() {
    let system = System::with("disk");
    let timings = system.home.path("timings.html");
    let timings = format!("--timings={}", timings.display());
    let output = system.run(&["build", "-vv", &timings, "--json"], "");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
    assert!(!has(&said, CANARY.as_bytes()));
    let image = fs::read_dir(system.path("images")).unwrap().map(|e| e.unwrap().path()).next().unwrap();
    // Unpacked, so that nothing hides behind compression.
    system.home.ok(&["inspect", "extract", image.to_str().unwrap(), "-o", "unpacked"]);
    let unpacked = system.home.path("unpacked");
    for path in ["usr/libexec/hoopy/hoopyd", "usr/libexec/hoopy/secrets/etc/app/token.age"] {
        assert!(unpacked.join(path).is_file(), "{path}");
    }
    assert!(unpacked.join("etc/runlevels/sysinit/hoopy-secrets").is_symlink());
    assert!(!unpacked.join("etc/app/token").exists());
    assert_eq!(leaks(&system.home.path("")), Vec::<PathBuf>::new());
}

#[test]
fn what_is_opened_at_build_lies_in_the_image_and_nowhere_else() {
    let system = System::with("build");
    system.ok(&["build", "."]);
    let image = fs::read_dir(system.path("images")).unwrap().map(|e| e.unwrap().path()).next().unwrap();
    assert_eq!(
        fs::metadata(&image).unwrap().permissions().mode() & 0o777,
        0o600,
        "it is for its owner alone"
    );
    let cat = |path: &str| system.home.run(&["inspect", "cat", image.to_str().unwrap(), path]);
    assert_eq!(String::from_utf8(cat("etc/app/token").stdout).unwrap(), CANARY);
    assert!(!cat("usr/libexec/hoopy/hoopyd").status.success(), "nothing is left to do on the machine");
    assert_eq!(leaks(&system.home.path("")), std::slice::from_ref(&image), "it is in the image alone");
    // The same again is up to date, and a new secret makes a new image.
    system.ok(&["build", "."]);
    assert_eq!(fs::read_dir(system.path("images")).unwrap().count(), 1);
    system.set("/etc/app/token", CANARY);
    system.ok(&["build", "."]);
    assert_eq!(fs::read_dir(system.path("images")).unwrap().count(), 2);
}

#[test]
fn a_build_without_the_owners_key_says_which_key_it_wants() {
    let system = System::with("build");
    fs::remove_dir_all(system.home.path(".config")).unwrap();
    let said = system.fails(&["build", "."], "");
    assert!(said.contains("HOOPY_IDENTITY"), "{said}");
}

#[test]
fn a_build_says_which_named_key_it_could_not_read() {
    let system = System::with("build");
    let mut command = system.home.command(&["build", "hello"]);
    let output = command.env("HOOPY_IDENTITY", "nowhere/key").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("cannot read nowhere/key"), "{said}");
}

/// Runs hoopy on a terminal of its own, by script(1), and types this when it asks for a passphrase. What it said, and whether
/// it went well.
fn typing(home: &Home, command: &str, passphrase: &str) -> (String, bool) {
    let line = format!("{} {command}", env!("CARGO_BIN_EXE_hoopy"));
    let mut command = home.command_of(Path::new("timeout"), &["600", "script", "-qefc", &line, "/dev/null"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut said, mut asked) = (Vec::new(), false);
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = output.read(&mut buffer) {
        said.extend(&buffer[..count]);
        if !asked && has(&said.to_ascii_lowercase(), b"passphrase") && said.ends_with(b": ") {
            asked = true;
            input.write_all(format!("{passphrase}\r").as_bytes()).unwrap();
        }
    }
    drop(input);
    (String::from_utf8_lossy(&said).into_owned(), child.wait().unwrap().success())
}

#[test]
fn the_recovery_passphrase_opens_the_secrets_of_a_system_in_another_directory() {
    if Command::new("script").arg("--version").output().is_err() {
        hoopy_testkit::skip("no script(1), which makes a terminal");
        return;
    }
    let (system, _) = behind_a_passphrase();
    let (said, went_well) = typing(&system.home, "build hello", "open sesame");
    assert!(went_well, "{said}");
}

/// A system whose only identity is behind a passphrase, and what asks for that: hoopy's arguments.
fn behind_a_passphrase() -> (System, &'static str) {
    let system = System::with("build");
    let (key, recipient) = hoopy_secrets::owner::generate();
    let recipients = fs::read_to_string(system.path("secrets/recipients")).unwrap();
    system.write("secrets/recipients", &format!("{recipients}{}\n", recipient.as_str()));
    system.ok(&["secret", "rekey"]);
    let passphrase = hoopy_secrets::SecretString::from("open sesame".to_owned());
    let sealed = hoopy_secrets::cipher::encrypt_with_passphrase(&key, passphrase).unwrap();
    fs::write(system.path("secrets/recovery.age"), sealed).unwrap();
    fs::remove_dir_all(system.home.path(".config")).unwrap();
    (system, "-C hello secret show /etc/app/token")
}

#[test]
fn a_wrong_passphrase_an_empty_one_and_no_terminal_are_told_apart() {
    let (system, show) = behind_a_passphrase();
    for (typed, expected) in [("sesame", "wrong passphrase"), ("", "the passphrase is empty")] {
        let (said, went_well) = typing(&system.home, show, typed);
        assert!(!went_well && said.contains(expected), "{typed:?}: {said}");
        assert!(!said.contains(['\u{2068}', '\u{2069}']), "{said:?}");
    }
    let mut command = system.home.command_of(Path::new("setsid"), &["--wait", env!("CARGO_BIN_EXE_hoopy")]);
    let output = command.args(show.split(' ')).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("without a terminal, name an identity that needs none"), "{said}");
}

#[test]
fn a_signal_at_the_question_for_a_passphrase_leaves_the_terminal_with_its_echo() {
    let (system, show) = behind_a_passphrase();
    let hoopy = env!("CARGO_BIN_EXE_hoopy");
    for signal in ["INT", "TERM"] {
        // What is asked goes to the terminal, although standard error does not.
        let line = format!(
            "sh -c 'trap : INT; {hoopy} {show} 2>log & pid=$!; (read x; kill -{signal} $pid) <go; wait $pid; stty -a'"
        );
        let fifo = system.home.path("go");
        let _ = fs::remove_file(&fifo);
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let mut command =
            system.home.command_of(Path::new("timeout"), &["100", "script", "-qefc", &line, "/dev/null"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (mut said, mut asked) = (Vec::new(), false);
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = output.read(&mut buffer) {
            said.extend(&buffer[..count]);
            if !asked && has(&said, b"passphrase") {
                asked = true;
                fs::write(&fifo, "now\n").unwrap();
            }
        }
        drop(input);
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(
            child.wait().is_ok() && said.contains(" echo ") && !said.contains("-echo "),
            "{signal}: {said}"
        );
    }
}

#[test]
fn a_build_without_the_agent_says_how_to_get_it() {
    let system = System::with("disk");
    // A copy of the program, away from where the agent is.
    let program = system.home.path("bin/hoopy");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_hoopy"), &program).unwrap();
    let output = system.home.command_of(&program, &["build", "hello"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("cargo xtask hoopyd"), "{said}");
}

#[test]
fn an_owner_that_the_image_does_not_have_is_refused() {
    let system = System::with("disk");
    let toml = fs::read_to_string(system.path("hoopy.toml")).unwrap();
    system.write("hoopy.toml", &(toml + "owners = { \"/etc/app/token\" = \"nobodyatall\" }\n"));
    let said = system.fails(&["build", "."], "");
    assert!(said.contains("no user \"nobodyatall\""), "{said}");
}

/// The image is the one that would be deployed; the identity comes on a disk in memory.
#[test]
fn a_machine_under_test_has_its_secrets_and_says_what_is_untested_without() {
    let system = System::with("owner");
    system.write(
        "tests/15-secret.sh",
        &format!("test \"$(cat /etc/app/token)\" = {CANARY} && test \"$(stat -c %a:%U /etc/app/token)\" = 600:root\n"),
    );
    let tested =
        system.home.run(&["test", "hello", "--arch", "x86_64", "--only", "15-secret", "--logs", "logs"]);
    let said = String::from_utf8_lossy(&tested.stdout).into_owned();
    let passed = said.lines().any(|line| line.starts_with("ok ") && line.ends_with("15-secret"));
    assert!(passed, "{said}\n{}", String::from_utf8_lossy(&tested.stderr));
    assert!(!has(&fs::read(system.home.path("logs/console.log")).unwrap(), CANARY.as_bytes()));
    fs::remove_dir_all(system.home.path(".config")).unwrap();
    let said = system.home.fails(1, &["test", "hello", "--arch", "x86_64", "--only", "15-secret"]);
    assert!(said.contains("--without-secrets"), "{said}");
}
