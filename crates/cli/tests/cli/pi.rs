//! The card of a Raspberry Pi: read as the firmware would, and started in QEMU's board of a Raspberry Pi 3B.
//!
//! QEMU has no firmware of such a board: which files that would take off the card is what its model says
//! (`hoopy_boot::pi::firmware`), and QEMU gets those.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hoopy_boot::pair::SlotName;
use hoopy_boot::pi::config;
use hoopy_boot::pi::firmware::{BOARDS, Started, start};
use hoopy_testkit::{Home, mirror_with_boards, soon};

/// Generous: emulation on a busy machine.
const LONG: Duration = Duration::from_secs(600);

/// A home with the system `nas` and its card.
pub struct Pi {
    home: Home,
}

impl Pi {
    fn new(toml: &str) -> Self {
        Self::with(&format!("layout = \"pi\"\n{toml}"))
    }

    /// The same with these lines.
    pub fn with(toml: &str) -> Self {
        let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
        home.system(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/pi/system"), "nas");
        fs::write(home.path("nas/hoopy.toml"), format!("name = \"nas\"\n{toml}\n")).unwrap();
        Self { home }
    }

    fn set(&self, path: &str, text: &str) {
        let path = self.home.path("nas").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn build(&self) -> PathBuf {
        self.home.ok(&["build", "nas", "--quiet"]).trim().into()
    }

    pub fn card(&self) -> Card {
        self.home.ok(&["disk", "nas", "-o", "card.img"]);
        Card { file: self.home.path("card.img"), at: self.home.path("") }
    }
}

/// A card, changed and looked at with mtools.
pub struct Card {
    pub file: PathBuf,
    at: PathBuf,
}

impl Card {
    pub fn mtools(&self, program: &str, args: &[&str]) -> Option<Vec<u8>> {
        let image = format!("{}@@1M", self.file.display());
        let out =
            Command::new(program).args(["-i", &image]).args(args).output().expect("mtools is installed");
        out.status.success().then_some(out.stdout)
    }

    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.mtools("mtype", &[&format!("::{path}")])
    }

    pub fn text(&self, path: &str) -> String {
        String::from_utf8(self.read(path).unwrap_or_default()).unwrap()
    }

    pub fn put(&self, path: &str, content: &[u8]) {
        let from = self.at.join("put");
        fs::write(&from, content).unwrap();
        let done = self.mtools("mcopy", &["-o", from.to_str().unwrap(), &format!("::{path}")]);
        assert!(done.is_some(), "{path}");
    }

    /// What the board `n` of the model starts.
    fn starts(&self, n: usize, tryboot: bool) -> Started {
        start(&BOARDS[n], tryboot, &|path| self.read(path)).unwrap()
    }

    /// A file, where QEMU can read it.
    fn copied(&self, path: &str) -> PathBuf {
        let to = self.at.join(path.replace('/', "-"));
        fs::write(&to, self.read(path).unwrap()).unwrap();
        to
    }
}

/// A machine in QEMU, whose console is QEMU's standard input and output.
pub struct Board {
    qemu: Child,
    heard: Arc<Mutex<String>>,
}

impl Board {
    /// A Raspberry Pi 3B. Its second serial port is the console.
    fn start(card: &Card, started: &Started) -> Self {
        let mut command = Command::new("qemu-system-aarch64");
        command.args([
            "-M",
            "raspi3b",
            "-display",
            "none",
            "-no-reboot",
            "-serial",
            "null",
            "-serial",
            "stdio",
        ]);
        command.arg("-kernel").arg(card.copied(&started.kernel));
        command.arg("-initrd").arg(card.copied(started.initramfs.as_ref().unwrap()));
        command.arg("-dtb").arg(card.copied(&started.tree));
        command.arg("-append").arg(card.text(&started.cmdline));
        command.arg("-drive").arg(format!("if=sd,format=raw,file={}", card.file.display()));
        Self::of(command)
    }

    pub fn of(mut command: Command) -> Self {
        let mut qemu =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("QEMU is installed");
        let (heard, mut said) = (Arc::new(Mutex::new(String::new())), qemu.stdout.take().unwrap());
        let into = Arc::clone(&heard);
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = said.read(&mut chunk) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&chunk[..read]));
            }
        });
        Self { qemu, heard }
    }

    pub fn waits_for(&self, words: &str) {
        let found = soon(LONG, || self.heard.lock().unwrap().contains(words));
        assert!(found, "expected {words:?}, found:\n{}", self.heard.lock().unwrap());
    }

    pub fn types(&mut self, line: &str) {
        self.qemu.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

#[test]
fn every_board_starts_the_image_of_a_new_card() {
    let pi = Pi::new("");
    pi.set("root/boot/config.txt", "[pi4]\narm_boost=1");
    pi.set("root/boot/overlays/mine.dtbo", "an overlay");
    // Debian 12 has no device tree of a Raspberry Pi 5, and its own of a Raspberry Pi 4.
    pi.set("root/boot/bcm2712-rpi-5-b.dtb", "a tree");
    pi.set("root/boot/bcm2711-rpi-4-b.dtb", "a tree of mine");
    pi.build();
    let lock = fs::read_to_string(pi.home.path("nas/hoopy.lock")).unwrap();
    assert!(lock.contains("arch = \"aarch64\""), "{lock}");
    for name in ["raspberrypi-bootloader", "raspberrypi-bootloader-common"] {
        assert!(lock.contains(&format!("name = \"{name}\"")), "{lock}");
    }
    let card = pi.card();
    assert!(fs::metadata(&card.file).unwrap().len().is_power_of_two());
    let trees = ["bcm2837-rpi-3-b", "bcm2837-rpi-3-b-plus", "bcm2711-rpi-4-b", "bcm2712-rpi-5-b"];
    for (n, tree) in trees.into_iter().enumerate() {
        let started = card.starts(n, false);
        assert_eq!(started.tree, format!("a/{tree}.dtb"));
        assert_eq!((started.kernel.as_str(), started.overlays.as_str()), ("a/vmlinuz", "a/overlays/"));
    }
    assert_eq!(card.text("a/overlays/mine.dtbo"), "an overlay");
    assert_eq!(card.text("a/bcm2711-rpi-4-b.dtb"), "a tree of mine");
    assert!(
        card.text("config.txt").starts_with("[pi4]\narm_boost=1\n# hoopy:"),
        "{}",
        card.text("config.txt")
    );
    assert!(card.text("a/cmdline.txt").ends_with("panic=10 console=serial0,115200 console=tty1"));
    let name = card.text("a/hoopy.txt");
    let image = card.read(&format!("a/{}.efi", name.trim())).unwrap();
    assert!(image == fs::read(pi.home.path(&format!("nas/images/{}.efi", name.trim()))).unwrap());
    let sums = card.text("a/SHA256SUMS");
    for line in sums.lines() {
        let (sum, file) = line.split_once("  ").unwrap();
        let bytes = card.read(&format!("a/{file}")).unwrap();
        assert_eq!(hoopy_base::digest::ContentId::of(&bytes).to_string(), sum, "{file}");
    }
    assert!(sums.lines().count() > 8, "{sums}");
}

#[test]
fn what_init_writes_for_a_raspberry_pi_is_clean_builds_at_once_and_starts_on_every_board() {
    let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
    fs::write(home.path("id.pub"), "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me\n").unwrap();
    let said = home.run(&["init", "nas", "--for", "pi", "--key", "id.pub"]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("next: hoopy build nas && hoopy -C nas flash"), "{said}");
    assert_eq!(home.ok(&["check", "nas"]), "");
    let pi = Pi { home };
    pi.build();
    let again = pi.home.run(&["check", "nas"]);
    assert!(again.status.success() && again.stdout.is_empty() && again.stderr.is_empty(), "{again:?}");
    let card = pi.card();
    for n in 0..3 {
        assert_eq!(card.starts(n, false).kernel, "a/vmlinuz");
    }
    assert!(card.text("a/cmdline.txt").ends_with("panic=10 console=tty1 console=serial0,115200"));
    let said = pi.home.fails(2, &["init", "other", "--for", "pi", "--arch", "x86_64"]);
    assert!(said.contains("wrong architecture: expected aarch64"), "{said}");
}

/// They need the community packages of aarch64, which CI does not fetch: `cargo xtask mirror --boards`, `cargo xtask prove`.
#[test]
#[ignore = "needs the community packages of aarch64"]
fn templates_for_a_raspberry_pi_are_clean_build_and_start_on_every_board() {
    let mirror = mirror_with_boards().expect("run `cargo xtask mirror --boards`");
    let mirror = mirror.alpine.to_str().unwrap();
    for template in ["nas", "homelab"] {
        let home = Home::new(env!("CARGO_BIN_EXE_hoopy"));
        fs::write(home.path("id.pub"), "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me\n").unwrap();
        let init = ["init", "nas", "--for", "pi", "--key", "id.pub", "--template", template];
        assert!(home.run(&init).status.success());
        assert_eq!(home.ok(&["check", "nas", "--mirror", mirror]), "");
        home.ok(&["build", "nas", "--mirror", mirror, "--quiet"]);
        let again = home.run(&["check", "nas", "--mirror", mirror]);
        let said =
            String::from_utf8_lossy(&again.stdout).into_owned() + &String::from_utf8_lossy(&again.stderr);
        assert!(again.status.success() && said.is_empty(), "{template}: {said}");
        home.ok(&["disk", "nas", "-o", "card.img", "--no-persist", "--mirror", mirror]);
        let card = Card { file: home.path("card.img"), at: home.path("") };
        for n in 0..3 {
            assert_eq!(card.starts(n, false).kernel, "a/vmlinuz", "{template}");
        }
    }
}

#[test]
fn what_no_board_would_start_is_refused() {
    let pi = Pi::new("");
    pi.set("packages", "alpine-base\nlinux-virt\n");
    let found = pi.home.ok(&["check", "nas"]);
    assert!(
        found.contains("warning: packages:2: linux-virt does not ask the firmware to try an image"),
        "{found}"
    );
    let said = pi.home.fails(3, &["build", "nas"]);
    assert!(said.contains("linux-virt") && said.contains("take `linux-rpi` in `packages`"), "{said}");
    pi.set("hoopy.toml", "name = \"nas\"\nlayout = \"pi\"\narch = \"x86_64\"\n");
    let said = pi.home.fails(3, &["build", "nas"]);
    assert!(said.contains("x86_64 with `layout = \"pi\"`: expected aarch64"), "{said}");
    pi.set("hoopy.toml", "name = \"nas\"\narch = \"aarch64\"\n");
    pi.set("packages", "alpine-base\nlinux-rpi\nkmod\n");
    fs::remove_file(pi.home.path("nas/hoopy.lock")).unwrap();
    let image = pi.build();
    pi.set("hoopy.toml", "name = \"nas\"\nlayout = \"pi\"\n");
    let said = pi.home.fails(3, &["disk", "nas", "-o", "card.img", "--image", image.to_str().unwrap()]);
    assert!(said.contains("not an image for layout = \"pi\": it was built for another layout"), "{said}");
}

/// The one boot: an image on trial, in the slot beside the one that is started, comes up from what lies on the card, finds
/// itself well, becomes the one that is started; and the program that asks for a trial asks the kernel what it should.
#[test]
fn an_image_on_trial_boots_from_the_card_and_is_kept() {
    let pi = Pi::new("cmdline = \"console=ttyS1,115200\"");
    pi.build();
    let card = pi.card();
    card.mtools("mmd", &["::b", "::b/overlays"]).unwrap();
    let started = card.starts(0, false);
    for path in [&started.kernel, started.initramfs.as_ref().unwrap(), &started.cmdline, &started.tree] {
        card.put(&path.replacen("a/", "b/", 1), &card.read(path).unwrap());
    }
    card.put("b/overlays/README", b"");
    card.put("b/hoopy.txt", card.text("a/hoopy.txt").as_bytes());
    card.put("a/hoopy.txt", b"nas-1\n");
    card.put("b/tried", b"tried\n");
    card.put("tryboot.txt", config("enable_uart=1\n", SlotName::B).as_bytes());
    assert_eq!(card.starts(0, false).kernel, "a/vmlinuz");
    let trial = card.starts(0, true);
    assert_eq!(trial.kernel, "b/vmlinuz");

    let mut board = Board::start(&card, &trial);
    board.waits_for(" login: ");
    board.types("root");
    board.waits_for("Password: ");
    board.types("nas");
    board.waits_for("~#");
    board.types(
        "until grep -qE '^STATE=(good|failed)' /run/hoopy/health; do sleep 1; done; cat /run/hoopy/health",
    );
    board.waits_for("\nACTION=blessed");
    board.waits_for("\nSLOT=b");
    board.types("/usr/libexec/hoopy/tryboot");
    board.waits_for("reboot: Restarting system with command '0 tryboot'");
    drop(board);
    assert_eq!(card.starts(0, false).kernel, "b/vmlinuz", "{}", card.text("config.txt"));
    assert_eq!(card.text("config.txt"), config("enable_uart=1\n", SlotName::B));
    assert!(card.read("b/good").is_some() && card.read("hoopy-1.txt").is_none());
}
