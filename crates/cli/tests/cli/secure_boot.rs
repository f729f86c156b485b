//! Secure Boot for real: keys are enrolled by systemd-boot, the firmware starts what they sign and refuses the rest, and
//! a TPM measures what was predicted.
//!
//! Alpine's kernel for virtual machines has no driver for TPMs, so PCR 11 is read by hand: [`PCR_11`] speaks to the
//! device's registers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use data_encoding::HEXLOWER;
use hoopy_testkit::Home;
use hoopy_trust::CertifiedSigner;
use hoopy_trust::certificate::Certificate;
use hoopy_trust::enrolment::{Enrolment, Others};
use hoopy_trust::firmware::{OWNER, SignatureLists, Variable, microsoft};
use hoopy_trust::key::PrivateKey;
use hoopy_vm::{Acceleration, Boot, Console, Places, Platform, Vm, VmConfig};
use sha2::{Digest as _, Sha256};

/// Generous: emulation on a busy machine, and reboots of it.
const LONG: Duration = Duration::from_secs(900);
const SHORT: Duration = Duration::from_secs(120);

/// Boots without a menu, and enrols without a question; only firmware in setup mode lets it.
const LOADER_CONF: &str = "timeout 0\nsecure-boot-enroll force\n";

/// `TPM2_PCR_Read` of PCR 11 over the registers of the device (TCG, "PC Client Platform TPM Profile", FIFO interface).
const PCR_11: &str = "t() { devmem $((0xFED40000 + $1)) 8 $2; }; t 0 2; t 24 0x40; \
    for b in 80 01 00 00 00 14 00 00 01 7E 00 00 00 01 00 0B 03 00 08 00; do t 36 0x$b; done; t 24 0x20; \
    n=0; while [ $(($(t 24) & 0x10)) = 0 ] && [ $n -lt 100 ]; do n=$((n+1)); done; \
    n=0; while [ $n -lt 62 ]; do printf %02x $(t 36); n=$((n+1)); done; t 24 0x40; t 0 0x20; echo";

/// Where the value is in what that prints: behind header, counter, selection, number of values, and length.
const VALUE: std::ops::Range<usize> = 60..124;

struct Machine {
    home: Home,
    keys: [(PrivateKey, Certificate); 3],
}

impl Machine {
    /// A system of the layout `ab` whose keys are files.
    fn new() -> Self {
        let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
        let nas = home.system(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/disk/system"), "nas");
        fs::create_dir_all(nas.join("trust")).unwrap();
        let time = "2026-11-28T00:00:00Z".parse().unwrap();
        let keys = ["PK", "KEK", "db"].map(|name| {
            let key = PrivateKey::generate().unwrap();
            let certificate = Certificate::self_signed(&format!("nas {name}"), time, &key).unwrap();
            fs::write(home.path(&format!("{name}.key")), key.to_pem().unwrap().as_bytes()).unwrap();
            fs::write(nas.join(format!("trust/{name}.crt")), certificate.to_pem().unwrap()).unwrap();
            (key, certificate)
        });
        let policy = PrivateKey::generate().unwrap();
        fs::write(home.path("pcr.key"), policy.to_pem().unwrap().as_bytes()).unwrap();
        fs::write(nas.join("trust/pcr.pub"), policy.public().to_pem().unwrap()).unwrap();
        let text = "name = \"nas\"\narch = \"x86_64\"\nlayout = \"ab\"\ncmdline = \"no_timer_check console=ttyS0\"\n\
                    [trust]\nsign = [\"openssl\", \"dgst\", \"-sha256\", \"-sign\", \"../{key}.key\"]\n";
        fs::write(nas.join("hoopy.toml"), text).unwrap();
        Self { home, keys }
    }

    fn build(&self, version: &str, more: &[&str]) -> PathBuf {
        let build = ["build", "nas", "--quiet", "--image-version", version];
        self.home.ok(&[&build, more].concat()).trim().into()
    }

    /// A disk on which systemd-boot is signed and has keys to enrol.
    fn disk(&self) -> PathBuf {
        self.home.ok(&["disk", "nas", "-o", "nas.img"]);
        let disk = self.home.path("nas.img");
        let loader = self.home.path("loader.efi");
        let place = "::EFI/BOOT/BOOTX64.EFI";
        mtools(&disk, "mcopy", &[place, loader.to_str().unwrap()]);
        self.home.ok(&["-C", "nas", "sign", "../loader.efi"]);
        mtools(&disk, "mcopy", &["-o", loader.to_str().unwrap(), place]);
        self.put(&disk, "loader/loader.conf", LOADER_CONF.as_bytes());
        mtools(&disk, "mmd", &["::loader/keys", "::loader/keys/auto"]);
        let [pk, kek, db] = &self.keys;
        let own = [db.1.clone()];
        let enrolment = Enrolment {
            pk: CertifiedSigner::new(&pk.1, &pk.0).unwrap(),
            kek: CertifiedSigner::new(&kek.1, &kek.0).unwrap(),
            db: &own,
            others: Others::Microsoft,
            time: "2026-11-28T00:00:00Z".parse().unwrap(),
        };
        for (variable, bytes) in enrolment.files().unwrap() {
            self.put(&disk, &format!("loader/keys/auto/{}.auth", variable.name()), &bytes);
        }
        disk
    }

    fn put(&self, disk: &Path, name: &str, bytes: &[u8]) {
        let file = self.home.path("file");
        fs::write(&file, bytes).unwrap();
        mtools(disk, "mcopy", &["-o", file.to_str().unwrap(), &format!("::{name}")]);
    }

    fn boot(&self, disk: &Path) -> Console {
        let platform =
            Platform { variables: Some(self.home.path("firmware")), tpm: Some(self.home.path("tpm")) };
        let config = VmConfig {
            arch: "x86_64".parse().unwrap(),
            boot: Boot::Disk(disk.to_owned()),
            memory: 1 << 30,
            cpus: None,
            forwards: vec![],
            network: Default::default(),
            disks: vec![],
            platform,
            acceleration: Acceleration::Auto,
            places: Places::default(),
            temp: std::env::temp_dir(),
        };
        let log = std::env::var_os("HOOPY_CONSOLE_LOG");
        let log = log.map(|path| fs::File::options().create(true).append(true).open(path).unwrap());
        Vm::prepare(&config).unwrap().console(log).unwrap()
    }
}

/// mtools on the first partition.
fn mtools(disk: &Path, program: &str, args: &[&str]) {
    let image = format!("{}@@1M", disk.display());
    let out = Command::new(program).args(["-i", &image]).args(args).output().expect("mtools is installed");
    assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
}

fn asks(console: &mut Console, command: &str) -> String {
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
    let json = machine.home.ok(&["inspect", image.to_str().unwrap(), "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let disk = machine.disk();

    // Firmware in setup mode: systemd-boot enrols, and resets the machine.
    let mut console = machine.boot(&disk);
    console.wait(LONG).unwrap();

    let mut console = machine.boot(&disk);
    console.login("root", Some("nas"), LONG).unwrap();
    let mount =
        "mountpoint -q /sys/firmware/efi/efivars || mount -t efivarfs efivarfs /sys/firmware/efi/efivars";
    asks(&mut console, mount);
    let secure_boot = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    assert_eq!(asks(&mut console, &format!("tail -c 1 {secure_boot} | od -An -tu1")).trim(), "1");
    let [pk, kek, db] = &machine.keys;
    for (variable, own, is_shared) in
        [(Variable::Pk, &pk.1, false), (Variable::Kek, &kek.1, true), (Variable::Db, &db.1, true)]
    {
        let others = if is_shared { microsoft::of(variable).unwrap() } else { Vec::new() };
        let others = others.iter().map(|certificate| (microsoft::OWNER, certificate));
        let lists = SignatureLists::of(std::iter::once((OWNER, own)).chain(others)).to_bytes();
        let expected = HEXLOWER.encode(&Sha256::digest(lists));
        assert_eq!(digest_of(&mut console, variable).trim(), expected, "{}", variable.name());
    }
    let answer = asks(&mut console, PCR_11);
    let answer = answer.trim().rsplit('\n').next().unwrap();
    assert_eq!(answer.get(VALUE), json["measured"]["pcr-11"].as_str(), "{answer}");
    console.send("poweroff").unwrap();
    console.wait(LONG).unwrap();

    // The same image without a signature.
    fs::remove_file(&image).unwrap();
    let unsigned = machine.build("2026112101", &["--unsigned"]);
    machine.put(&disk, "EFI/Linux/nas-2026112101.efi", &fs::read(unsigned).unwrap());
    let mut console = machine.boot(&disk);
    console.expect("Access", LONG).unwrap();
}
