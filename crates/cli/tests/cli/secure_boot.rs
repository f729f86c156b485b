//! Secure Boot for real: keys are enrolled by systemd-boot, the firmware starts what they sign and refuses the rest, and
//! a TPM measures what was predicted.
//!
//! Alpine's kernel for virtual machines has no driver for TPMs, so a program in the image reads PCR 11 by itself:
//! `secure_boot/pcr11.c`, for x86_64.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use data_encoding::HEXLOWER;
use hoopy_apk::tar::Kind;
use hoopy_testkit::maker::{Maker, record};
use hoopy_testkit::package::extended_mirror_with;
use hoopy_testkit::{Home, systemd_257};
use hoopy_trust::certificate::Certificate;
use hoopy_trust::firmware::{OWNER, SignatureLists, Variable, microsoft};
use hoopy_trust::key::PrivateKey;
use hoopy_vm::{Boot, Console, Platform, Vm, VmConfig};
use sha2::{Digest as _, Sha256};

/// Generous: emulation on a busy machine, and reboots of it.
pub const LONG: Duration = Duration::from_secs(900);
pub const SHORT: Duration = Duration::from_secs(120);

/// A system with keys, and the machine that it becomes: firmware variables, a TPM.
pub struct Machine {
    pub home: Home,
    keys: [Certificate; 3],
}

impl Machine {
    /// A system of the layout `ab` whose keys are files.
    pub fn new() -> Self {
        let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
        let nas = home.system(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/disk/system"), "nas");
        fs::create_dir_all(nas.join("trust")).unwrap();
        let time = "2026-11-28T00:00:00Z".parse().unwrap();
        let keys = ["PK", "KEK", "db"].map(|name| {
            let key = PrivateKey::generate().unwrap();
            let certificate = Certificate::self_signed(&format!("nas {name}"), time, &key).unwrap();
            fs::write(home.path(&format!("{name}.key")), key.to_pem().unwrap().as_bytes()).unwrap();
            fs::write(nas.join(format!("trust/{name}.crt")), certificate.to_pem().unwrap()).unwrap();
            certificate
        });
        let policy = PrivateKey::generate().unwrap();
        fs::write(home.path("pcr.key"), policy.to_pem().unwrap().as_bytes()).unwrap();
        fs::write(nas.join("trust/pcr.pub"), policy.public().to_pem().unwrap()).unwrap();
        let text = "name = \"nas\"\narch = \"x86_64\"\nlayout = \"ab\"\ncmdline = \"no_timer_check console=ttyS0\"\n\
                    [trust]\nsign = [\"openssl\", \"dgst\", \"-sha256\", \"-sign\", \"../{key}.key\"]\n";
        fs::write(nas.join("hoopy.toml"), text).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/secure_boot/pcr11.c");
        fs::create_dir_all(nas.join("root/usr/bin")).unwrap();
        let mut cc = Command::new("cc");
        cc.args(["-static", "-O1", "-o"]).arg(nas.join("root/usr/bin/pcr11")).arg(source);
        assert!(cc.status().unwrap().success());
        Self { home, keys }
    }

    pub fn build(&self, version: &str, more: &[&str]) -> PathBuf {
        let build = ["build", "nas", "--quiet", "--image-version", version];
        self.home.ok(&[&build, more].concat()).trim().into()
    }

    /// A disk on which systemd-boot is signed and has keys to enroll.
    pub fn disk(&self) -> PathBuf {
        self.home.ok(&["-C", "nas", "keys", "enroll"]);
        self.home.ok(&["disk", "nas", "-o", "nas.img", "--enroll"]);
        self.home.path("nas.img")
    }

    pub fn put(&self, disk: &Path, name: &str, bytes: &[u8]) {
        let file = self.home.path("file");
        fs::write(&file, bytes).unwrap();
        mtools(disk, "mcopy", &["-o", file.to_str().unwrap(), &format!("::{name}")]);
    }

    /// What the image is predicted to leave in PCR 11.
    fn predicted(&self, image: &Path) -> String {
        let json = self.home.ok(&["inspect", image.to_str().unwrap(), "--json"]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        json["measured"]["pcr-11"].as_str().unwrap().to_owned()
    }

    pub fn boot(&self, boot: Boot) -> Console {
        let platform =
            Platform { variables: Some(self.home.path("firmware")), tpm: Some(self.home.path("tpm")) };
        let config = VmConfig { platform, ..VmConfig::new("x86_64".parse().unwrap(), boot, 1 << 30) };
        let log = std::env::var_os("HOOPY_CONSOLE_LOG");
        let log = log.map(|path| {
            let file = fs::File::options().create(true).append(true).open(path).unwrap();
            Box::new(file) as Box<dyn std::io::Write + Send>
        });
        Vm::prepare(&config).unwrap().console(log).unwrap()
    }
}

/// A mirror whose EFI stub is that of systemd 257, and all else the stand-in's.
fn mirror_with_stub_257(home: &Home) -> PathBuf {
    let to = home.path("mirror-257");
    extended_mirror_with(&to, "x86_64", |dir, key| {
        let place = "usr/lib/systemd/boot/efi/linuxx64.efi.stub";
        let mut package = Maker::new(record("systemd-efistub", "257-r0", "x86_64"));
        package.add(place, Kind::File(0), 0o644, &fs::read(systemd_257().join(place)).unwrap());
        vec![package.write(dir, key)]
    });
    to
}

#[test]
fn the_stub_of_systemd_257_measures_what_was_predicted() {
    let machine = Machine::new();
    let mirror = mirror_with_stub_257(&machine.home);
    let image = machine.build("2026112101", &["--mirror", mirror.to_str().unwrap()]);
    let predicted = machine.predicted(&image);
    let mut console = machine.boot(Boot::Image(image));
    console.login("root", Some("nas"), LONG).unwrap();
    assert_eq!(asks(&mut console, "pcr11").trim(), predicted);
}

/// mtools on the first partition.
pub fn mtools(disk: &Path, program: &str, args: &[&str]) {
    let image = format!("{}@@1M", disk.display());
    let out = Command::new(program).args(["-i", &image]).args(args).output().expect("mtools is installed");
    assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

pub fn asks(console: &mut Console, command: &str) -> String {
    let (status, said) = console.run(command, SHORT).unwrap();
    assert_eq!(status, 0, "{command}: {said}");
    said
}

/// What the firmware has in a variable, less the attributes that Linux puts in front.
fn digest_of(console: &mut Console, variable: Variable) -> String {
    let file = format!("/sys/firmware/efi/efivars/{}", variable.file_name());
    asks(console, &format!("tail -c +5 {file} | sha256sum | cut -c1-64"))
}

#[test]
fn keys_are_enrolled_and_what_they_sign_is_started_and_measured_as_predicted() {
    let machine = Machine::new();
    let image = machine.build("2026112101", &[]);
    let predicted = machine.predicted(&image);
    let disk = machine.disk();
    let boot = || machine.boot(Boot::Disk(disk.clone()));

    // Firmware in setup mode: systemd-boot enrols, and resets the machine.
    let mut console = boot();
    console.wait(LONG).unwrap();

    let mut console = boot();
    console.login("root", Some("nas"), LONG).unwrap();
    let mount =
        "mountpoint -q /sys/firmware/efi/efivars || mount -t efivarfs efivarfs /sys/firmware/efi/efivars";
    asks(&mut console, mount);
    let secure_boot = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    assert_eq!(asks(&mut console, &format!("tail -c 1 {secure_boot} | od -An -tu1")).trim(), "1");
    let [pk, kek, db] = &machine.keys;
    for (variable, own, is_shared) in
        [(Variable::Pk, pk, false), (Variable::Kek, kek, true), (Variable::Db, db, true)]
    {
        let others = if is_shared { microsoft::of(variable).unwrap() } else { Vec::new() };
        let others = others.iter().map(|certificate| (microsoft::OWNER, certificate));
        let lists = SignatureLists::of(std::iter::once((OWNER, own)).chain(others)).to_bytes();
        let expected = HEXLOWER.encode(&Sha256::digest(lists));
        assert_eq!(digest_of(&mut console, variable).trim(), expected, "{}", variable.name());
    }
    assert_eq!(asks(&mut console, "pcr11").trim(), predicted);
    console.send("poweroff").unwrap();
    console.wait(LONG).unwrap();

    // The same image without a signature.
    fs::remove_file(&image).unwrap();
    let unsigned = machine.build("2026112101", &["--unsigned"]);
    machine.put(&disk, "EFI/Linux/nas-2026112101.efi", &fs::read(unsigned).unwrap());
    let mut console = boot();
    console.expect("Access", LONG).unwrap();
}
