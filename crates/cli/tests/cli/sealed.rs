//! A machine whose TPM opens its secrets: keys are enrolled, the first boot seals, every signed image opens, and whatever is
//! not as it was leaves it locked. `crates/hoopyd/tests/tpm/` has each refusal without a machine.
//!
//! CI runs a short form; `cargo xtask prove` sets `HOOPY_PROVE_FULL`, and all of it runs.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use data_encoding::HEXLOWER;
use hoopy_secrets::{Identities, NoPrompt};
use hoopy_trust::measure::Stub;
use hoopy_uki::Section;
use hoopy_uki::pe::Image;
use hoopy_vm::{Boot, Console};
use sha2::{Digest as _, Sha256};

use crate::secure_boot::{LONG, Machine, SHORT, asks, mtools};

/// What the secret holds.
const CANARY: &str = "CANARY-90d2f7";

/// The agent's word on the secrets, with its exit status.
const STATUS: &str = "/usr/libexec/hoopy/hoopyd status; echo \"status $?\"";

struct Sealed {
    machine: Machine,
    disk: PathBuf,
}

impl Sealed {
    /// A machine that was flashed: its disk has the keys to enroll, the identity in the clear, and this image.
    fn new(version: &str) -> Self {
        let machine = Machine::new();
        let nas = machine.home.path("nas");
        let packages = fs::read_to_string(nas.join("packages")).unwrap();
        fs::write(nas.join("packages"), packages.replace("linux-virt", "linux-lts")).unwrap();
        machine.home.ok(&["-C", "nas", "secret", "init", "--open", "tpm"]);
        let mut set = machine.home.command(&["-C", "nas", "secret", "set", "/etc/app/token"]);
        let mut child = set.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(CANARY.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        machine.build(version, &[]);
        let disk = machine.disk();
        Self { machine, disk }
    }

    /// Switches the machine on, and logs in. An emulated TPM that gets no processor time for a second is a broken one for the
    /// kernel: such a boot tells nothing, and another one is made.
    fn boot(&self) -> Console {
        for _ in 0..4 {
            let mut console = self.machine.boot(Boot::Disk(self.disk.clone()));
            console.login("root", Some("nas"), LONG).unwrap();
            if asks(&mut console, "test -e /dev/tpmrm0 || echo none").is_empty() {
                return console;
            }
            println!("the TPM was too slow for the kernel: {}", asks(&mut console, "dmesg | grep -i tpm"));
            power_off(console);
        }
        panic!("the TPM was too slow for the kernel, four times");
    }

    /// Firmware in setup mode: systemd-boot enrols, and resets the machine.
    fn enrolls(&self) {
        self.machine.boot(Boot::Disk(self.disk.clone())).wait(LONG).unwrap();
    }

    /// Firmware that has forgotten all keys.
    fn forgets_keys(&self) {
        fs::remove_dir_all(self.machine.home.path("firmware")).unwrap();
    }

    /// The machine's identity, as its owner decrypts it.
    fn identity(&self) -> String {
        let secrets = hoopy_secrets::Secrets::read(&self.machine.home.path("nas")).unwrap().unwrap();
        let key = fs::read(self.machine.home.path(".config/age/hoopy.txt")).unwrap();
        let mut owner = Identities::default();
        owner.add_file(&key, "hoopy.txt", &NoPrompt).unwrap();
        let identity = secrets.machine_identity(&owner).unwrap();
        String::from_utf8(identity.line().as_bytes().to_vec()).unwrap()
    }

    /// An image by its name on the EFI system partition.
    fn add(&self, version: &str) {
        let image = self.machine.build(version, &[]);
        let name = format!("EFI/Linux/nas-{version}.efi");
        self.machine.put(&self.disk, &name, &fs::read(image).unwrap());
    }
}

fn power_off(mut console: Console) {
    console.send("sync; poweroff").unwrap();
    console.wait(LONG).unwrap();
}

fn is_open(console: &mut Console) {
    let said = asks(console, STATUS);
    assert_eq!(
        said,
        "secrets are open\nstatus 0",
        "{}",
        asks(console, "dmesg | tail -n 20; ls -la /dev/tpm* /data/hoopy")
    );
    assert_eq!(asks(console, "cat /etc/app/token"), CANARY);
    assert_eq!(asks(console, "echo /data/hoopy/*"), "/data/hoopy/identity.tpm");
    assert_eq!(asks(console, "test ! -e /.extra && echo gone"), "gone");
}

fn is_locked(console: &mut Console, why: &str) {
    let said = asks(console, STATUS);
    assert!(
        said.starts_with("secrets are locked\n") && said.contains(why) && said.ends_with("status 1"),
        "{said}"
    );
    assert_eq!(asks(console, "test -e /etc/app/token || echo none"), "none");
}

#[test]
fn a_tpm_opens_the_secrets_for_every_signed_image_and_for_nothing_else() {
    let whole = std::env::var_os("HOOPY_PROVE_FULL").is_some();
    let sealed = Sealed::new("2026112101");
    sealed.enrolls();

    // The first boot seals.
    let mut console = sealed.boot();
    is_open(&mut console);
    println!("sealing: {}", asks(&mut console, "cat /run/hoopy/secrets.json"));
    // It was given once: whoever has root now gets nothing of the TPM, not even with the agent's help.
    asks(&mut console, "rm /run/hoopy/secrets.json; ! unshare -m /usr/libexec/hoopy/hoopyd secrets");
    is_locked_by(&mut console, "the image has no signature for PCR 11");
    power_off(console);

    if whole {
        let console = &mut sealed.boot();
        is_open(console);
        println!("opening: {}", asks(console, "cat /run/hoopy/secrets.json"));
        asks(console, "sync");
    }

    // Another image, signed: nobody touches the machine.
    let motd = sealed.machine.home.path("nas/root/etc/motd");
    fs::write(motd, "the next image\n").unwrap();
    sealed.add("2026112102");
    let mut console = sealed.boot();
    assert_eq!(asks(&mut console, "cat /etc/motd"), "the next image");
    is_open(&mut console);
    power_off(console);

    if whole {
        an_image_that_its_owner_unlocks_ends_the_phase_too(&sealed);
        changed_keys_lock_it_and_one_command_opens_it(&sealed);
    }
    secure_boot_off_locks_it(&sealed);
    a_replay_of_pcr_11_is_refused(&sealed);
}

/// What boots at home is what is rehearsed here: the first boot seals, the second one opens.
#[test]
#[ignore = "boots a machine three times: cargo xtask prove"]
fn hoopy_test_rehearses_sealing_and_opening_with_secure_boot_and_a_tpm() {
    let sealed = Sealed::new("2026112101");
    let home = &sealed.machine.home;
    let tests = home.path("nas/tests");
    fs::create_dir_all(&tests).unwrap();
    let secret = format!("test \"$(cat /etc/app/token)\" = {CANARY} && test ! -e /data/hoopy/identity\n");
    fs::write(tests.join("secret.sh"), secret + "test -e /data/hoopy/identity.tpm\n").unwrap();
    let args = ["test", "nas", "--secure-boot", "--tpm", "--logs", "logs", "--memory", "1G"];
    let run = home.run(&[&args[..], &["--boot-timeout", "900"]].concat());
    let said = String::from_utf8_lossy(&[run.stdout, run.stderr].concat()).into_owned();
    for expected in
        ["secrets are open", "secrets are open (after a reboot)", "secret", "secret (after a reboot)"]
    {
        let passed =
            said.lines().any(|line| line.starts_with("ok ") && line.ends_with(&format!(" s  {expected}")));
        assert!(
            passed,
            "{expected}: {said}\n{}",
            fs::read_to_string(home.path("logs/console.log")).unwrap_or_default()
        );
    }
}

/// The outcome is another one, while the secrets that were opened are there.
fn is_locked_by(console: &mut Console, why: &str) {
    let said = asks(console, STATUS);
    assert!(said.starts_with("secrets are locked\n") && said.contains(why), "{said}");
}

/// Its policy is signed like that of the others, so that what the TPM has sealed for them would open for it as well.
fn an_image_that_its_owner_unlocks_ends_the_phase_too(sealed: &Sealed) {
    let toml = sealed.machine.home.path("nas/hoopy.toml");
    let with_tpm = fs::read_to_string(&toml).unwrap();
    fs::write(&toml, with_tpm.replace("\"tpm\"", "\"owner\"")).unwrap();
    sealed.add("2026112103");
    fs::write(&toml, with_tpm).unwrap();
    let image = sealed.machine.home.path("nas/images/nas-2026112103.efi");
    let json = sealed.machine.home.ok(&["inspect", image.to_str().unwrap(), "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let mut console = sealed.boot();
    let waits = "secrets are locked until the owner unlocks this machine\nstatus 0";
    assert_eq!(asks(&mut console, STATUS), waits);
    let predicted = HEXLOWER.decode(json["measured"]["pcr-11"].as_str().unwrap().as_bytes()).unwrap();
    let word = Sha256::digest(b"hoopy:after-secrets");
    let after = Sha256::new().chain_update(predicted).chain_update(word).finalize();
    assert_eq!(asks(&mut console, PCR_11), HEXLOWER.encode(&after));
    assert_eq!(asks(&mut console, "test ! -e /.extra && echo gone"), "gone");
    power_off(console);
    mtools(&sealed.disk, "mdel", &["::EFI/Linux/nas-2026112103*.efi"]);
}

/// As after an update of dbx: PCR 7 is another, and Secure Boot is on.
fn changed_keys_lock_it_and_one_command_opens_it(sealed: &Sealed) {
    sealed.forgets_keys();
    sealed.machine.home.ok(&["-C", "nas", "keys", "enroll", "--no-microsoft"]);
    for name in ["PK", "KEK", "db"] {
        let list = fs::read(sealed.machine.home.path(&format!("nas/trust/{name}.auth"))).unwrap();
        sealed.machine.put(&sealed.disk, &format!("loader/keys/auto/{name}.auth"), &list);
    }
    sealed.enrolls();
    let mut console = sealed.boot();
    is_locked(&mut console, "Secure Boot is not as it was when the secret was sealed");
    let identity = sealed.identity();
    // What `hoopy secret enroll HOST` sends over ssh.
    let agent = "unshare -m /usr/libexec/hoopy/hoopyd";
    let chain = format!("{agent} enroll && {agent} secrets && rc-service -q hoopy-secrets start");
    asks(&mut console, &format!("echo {identity} | {{ {chain}; }}"));
    assert!(asks(&mut console, "rc-service hoopy-secrets status").contains("started"));
    is_open_again(&mut console);
    power_off(console);
    let mut console = sealed.boot();
    is_open(&mut console);
    power_off(console);
}

fn is_open_again(console: &mut Console) {
    assert_eq!(asks(console, STATUS), "secrets are open\nstatus 0");
    assert_eq!(asks(console, "cat /etc/app/token"), CANARY);
}

/// The same image, measured as ever, on firmware without keys.
fn secure_boot_off_locks_it(sealed: &Sealed) {
    sealed.forgets_keys();
    mtools(&sealed.disk, "mdeltree", &["::loader/keys"]);
    let mut console = sealed.boot();
    is_locked(&mut console, "the firmware is in setup mode");
    asks(&mut console, "test -e /data/hoopy/identity.tpm");
    power_off(console);
}

/// Secure Boot is off, the attacker's own command line starts a shell, and PCR 11 is extended by hand to what the image leaves
/// there: its digests are public, and so is its signature.
fn a_replay_of_pcr_11_is_refused(sealed: &Sealed) {
    let path = sealed.machine.home.path("nas/images/nas-2026112102.efi");
    let bytes = fs::read(&path).unwrap();
    let image = Image::parse(&bytes).unwrap();
    let section = |section| image.section_data(section).unwrap();
    let put = |name: &str, bytes: &[u8]| sealed.machine.put(&sealed.disk, name, bytes);
    put("vmlinuz", section(Section::Linux));
    put("initrd", section(Section::Initrd));
    let entry =
        "title attack\nlinux /vmlinuz\ninitrd /initrd\noptions rdinit=/bin/sh no_timer_check console=ttyS0\n";
    let _ = std::process::Command::new("mmd")
        .args(["-i", &format!("{}@@1M", sealed.disk.display()), "::loader/entries"])
        .status();
    put("loader/entries/attack.conf", entry.as_bytes());
    put("loader/loader.conf", b"timeout 0\ndefault attack.conf\n");

    let json = sealed.machine.home.ok(&["inspect", path.to_str().unwrap(), "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let extended = (0..4).find_map(|_| replayed(sealed, &image));
    let mut console = extended.expect("the TPM was too slow for the kernel, four times");
    let pcr_11 = json["measured"]["pcr-11"].as_str().unwrap();
    assert_eq!(asks(&mut console, PCR_11), pcr_11, "the replay itself works");
    let signature = String::from_utf8(section(Section::Pcrsig).to_vec()).unwrap();
    asks(
        &mut console,
        &format!("echo '{}' >/.extra/tpm2-pcr-signature.json", signature.trim_end_matches('\0')),
    );
    asks(&mut console, "exec 3>&-; ! /usr/libexec/hoopy/hoopyd secrets");
    is_locked(&mut console, "the firmware is in setup mode");
}

/// Prints PCR 11.
const PCR_11: &str = "cat /sys/class/tpm/tpm0/pcr-sha256/11 | tr A-F a-f";

/// Gives the TPM to its driver again, where it did not answer that in time; says so where that does not help.
const BIND: &str = "n=0; until [ -e /dev/tpm0 ] || [ $n = 10 ]; do sleep 1; n=$((n+1)); \
     for d in /sys/bus/*/drivers/tpm_tis; do echo MSFT0101:00 >$d/bind; done 2>/dev/null; done; \
     test -e /dev/tpm0 || echo none";

/// The attacker's shell, PCR 11 extended with what the stub would have measured. None where the TPM did not answer in time, which
/// happens on a busy computer and tells nothing.
fn replayed(sealed: &Sealed, image: &Image<'_>) -> Option<Console> {
    let mut console = sealed.machine.boot(Boot::Disk(sealed.disk.clone()));
    console.expect(" # ", LONG).unwrap();
    console.run("stty -echo; PS1=; PS2=", SHORT).unwrap();
    asks(
        &mut console,
        "mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; dmesg -n 1",
    );
    asks(&mut console, "modprobe -a virtio_pci virtio_blk; mkdir -p /run /.extra");
    if !asks(&mut console, BIND).is_empty() {
        println!("the TPM was too slow for the kernel: {}", asks(&mut console, "dmesg | grep -i tpm"));
        return None;
    }
    asks(&mut console, "exec 3<>/dev/tpm0");
    assert_eq!(asks(&mut console, PCR_11), "0".repeat(64), "no stub has measured anything");
    for &measured in Stub::V252.measured() {
        let Some(data) = image.section_data(measured) else { continue };
        let name = [measured.name().as_bytes(), b"\0"].concat();
        for digest in [Sha256::digest(&name), Sha256::digest(data)] {
            let answer = extend(&mut console, digest.into());
            if answer.is_empty() {
                println!(
                    "the TPM was too slow for the kernel: {}",
                    asks(&mut console, "dmesg | grep -i tpm")
                );
                return None;
            }
            assert_eq!(answer, "00 00 00 00", "the TPM refused");
        }
    }
    Some(console)
}

/// `TPM2_PCR_Extend` of PCR 11, written to the TPM with nothing but a shell: the answer's code, or nothing.
fn extend(console: &mut Console, digest: [u8; 32]) -> String {
    let head = [
        &[0x80, 0x02, 0, 0, 0, 0x41, 0, 0, 0x01, 0x82, 0, 0, 0, 11][..],
        &[0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0],
        &[0, 0, 0, 1, 0, 0x0B],
    ];
    let command = [head.concat(), digest.to_vec()].concat();
    assert_eq!(command.len(), 0x41);
    let escaped: String = command.iter().map(|byte| format!("\\{byte:03o}")).collect();
    // In one write, as the kernel wants it: the shell's own would end at each byte that is a line end.
    let send = format!("printf '{escaped}' >/run/command; dd bs=4096 count=1 </run/command >&3 2>/dev/null");
    let said =
        asks(console, &format!("{send}; dd bs=4096 count=1 <&3 2>/dev/null | od -An -tx1 -j6 -N4 || true"));
    // Where there is no answer, od says that there is nothing to pass over.
    if said.contains("od:") { String::new() } else { said.trim().to_owned() }
}
