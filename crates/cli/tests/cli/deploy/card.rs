//! Deploys to the card of a Raspberry Pi, and to the disk of a PC with syslinux: a directory, changed by the real BusyBox, and
//! read as the firmware or syslinux would.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use hoopy_base::digest::ContentId;
use hoopy_boot::extlinux::loader::{self, Program, block, once};
use hoopy_boot::extlinux::{self, Label};
use hoopy_boot::pair::SlotName;
use hoopy_boot::pi::config;
use hoopy_boot::pi::firmware::{BOARDS, Started, start};
use hoopy_uki::pe::Image;
use hoopy_uki::{Section, SectionData};

use super::json;
use super::remote::{Remote, image_with, kill_every, segments};

const OWNER: &str = "# mine\ndtparam=audio=on\n";

const TREE: &str = "bcm2837-rpi-3-b.dtb";

/// In place of `reboot`: the machine comes up in a new boot, with the image whose trial was asked for, or else the same.
const REBOOT: &str = r#"#!/bin/sh
[ ! -e /etc/runlevels/shutdown/hoopy-tryboot ] || cp /etc/init.d/hoopy-tryboot /service
cp /next-release /etc/hoopy-release
echo other-boot >/boot-id
"#;

/// In place of `cat`: a boot that a test can end.
const CAT: &str = r#"#!/bin/sh
case $1 in */boot_id) set -- /boot-id ;; esac
exec busybox cat "$@"
"#;

struct Card {
    far: Remote,
    is_pi: bool,
}

impl Card {
    /// A machine that runs `s-1` from the slot `a`.
    fn new() -> Self {
        Self::of("pi")
    }

    /// The same with this layout.
    fn of(layout: &str) -> Self {
        let far = Remote::new(layout);
        for dir in [
            "sbin",
            "sys/class",
            "usr/libexec/hoopy",
            "etc/init.d",
            "etc/runlevels/shutdown",
            "esp/a/overlays",
        ] {
            fs::create_dir_all(far.root(dir)).unwrap();
        }
        for (name, text) in [
            ("bin/reboot", REBOOT),
            ("bin/cat", CAT),
            ("bin/rc-update", "#!/bin/sh\n"),
            ("sbin/openrc-run", "#!/bin/sh\n"),
            ("usr/libexec/hoopy/tryboot", "#!/bin/sh\n"),
        ] {
            let _ = fs::remove_file(far.root(name));
            far.program(&format!("far/{name}"), text);
        }
        fs::write(far.root("boot-id"), "first-boot\n").unwrap();
        let card = Self { far, is_pi: layout == "pi" };
        let (_, one) = card.image("1", 10, None);
        let image = Image::parse(&one).unwrap();
        let section = |section| image.section_data(section).unwrap();
        let label = Label { slot: SlotName::A, cmdline: "of one", has_trees: false };
        let (config, conf) = (config(OWNER, SlotName::A), extlinux::config(&label, None));
        let ldlinux = [vec![7; 1024], block(""), block("")].concat();
        let loader: &[(&str, &[u8])] = match card.is_pi {
            true => &[
                ("bootcode.bin", b"firmware"),
                ("start.elf", b"firmware"),
                ("fixup.dat", b"firmware"),
                ("config.txt", config.as_bytes()),
            ],
            false => &[("ldlinux.sys", &ldlinux), ("extlinux.conf", conf.as_bytes())],
        };
        let files: [(&str, &[u8]); 8] = [
            ("a/s-1.efi", &one),
            ("a/vmlinuz", section(Section::Linux)),
            ("a/initramfs", section(Section::Initrd)),
            ("a/cmdline.txt", section(Section::Cmdline)),
            (&format!("a/{TREE}"), b"tree of 1"),
            ("a/overlays/README", b""),
            ("a/good", b"good\n"),
            ("a/hoopy.txt", b"s-1\n"),
        ];
        card.far.lay("s-1", &[loader, &files].concat());
        card
    }

    /// An image of this system; gives its path and its bytes.
    fn image(&self, version: &str, changed: u64, owner: Option<&str>) -> (String, Vec<u8>) {
        let board = self.archive(version, owner);
        let more = vec![(Section::Board, SectionData::Bytes(board))];
        let bytes = image_with("s", version, &segments(changed), more);
        let path = self.far.home.path(&format!("s-{version}.efi"));
        fs::write(&path, &bytes).unwrap();
        (path.to_str().unwrap().to_owned(), bytes)
    }

    /// What `hoopy build` puts beside the kernel, made by BusyBox.
    fn archive(&self, version: &str, owner: Option<&str>) -> Vec<u8> {
        let dir = self.far.home.path(&format!("board-{version}"));
        fs::create_dir_all(dir.join("overlays")).unwrap();
        let mut files = vec![(TREE, format!("tree of {version}")), ("overlays/README", "read me".to_owned())];
        files.extend(owner.map(|text| ("config.txt", text.to_owned())));
        let sum = |(name, text): &(&str, String)| format!("{}  {name}\n", ContentId::of(text.as_bytes()));
        let sums: String = files.iter().map(sum).collect();
        files.push(("SHA256SUMS", sums));
        let mut names = String::new();
        for (name, text) in &files {
            fs::write(dir.join(name), text).unwrap();
            names += &format!("{name}\n");
        }
        let loader = self.far.root(&format!("lib/ld-musl-{}.so.1", std::env::consts::ARCH));
        let mut cpio = Command::new(loader)
            .arg(self.far.root("bin/busybox"))
            .args(["cpio", "-o", "-H", "newc", "--quiet"])
            .current_dir(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        cpio.stdin.take().unwrap().write_all(names.as_bytes()).unwrap();
        cpio.wait_with_output().unwrap().stdout
    }

    /// The kernel that the firmware starts, after its image was found to be whole.
    fn starts(&self, tryboot: bool) -> String {
        let read = |path: &str| fs::read(self.far.esp(path.trim_start_matches('/'))).ok();
        let started = match self.is_pi {
            true => start(&BOARDS[0], tryboot, &read).unwrap(),
            false => {
                let file = if tryboot { extlinux::TRIAL } else { extlinux::CONFIG };
                let started = loader::start(Program::Syslinux, file, &read).unwrap();
                let slot = started.kernel[1..2].to_owned();
                Started {
                    kernel: started.kernel[1..].to_owned(),
                    initramfs: started.initramfs.map(|path| path[1..].to_owned()),
                    cmdline: format!("{slot}/cmdline.txt"),
                    tree: format!("{slot}/{TREE}"),
                    overlays: String::new(),
                }
            }
        };
        let slot = started.kernel.split('/').next().unwrap();
        let name = String::from_utf8(self.far.read(&format!("{slot}/hoopy.txt"))).unwrap();
        let image = fs::read(self.far.home.path(&format!("{}.efi", name.trim()))).unwrap();
        let image = Image::parse(&image).unwrap();
        let part = |name: &str, section| {
            assert!(self.far.read(name) == image.section_data(section).unwrap(), "{name} is not whole");
        };
        part(&started.kernel, Section::Linux);
        part(started.initramfs.as_ref().unwrap(), Section::Initrd);
        part(&started.cmdline, Section::Cmdline);
        let version = name.trim().rsplit('-').next().unwrap();
        assert_eq!(self.far.read(&started.tree), format!("tree of {version}").as_bytes());
        name.trim().to_owned()
    }

    fn config(&self, file: &str) -> String {
        String::from_utf8(self.far.read(file)).unwrap()
    }

    fn deploy(&self, path: &str, more: &[&str]) -> String {
        self.far.ok(&[&["-C", "s", "deploy", "--image", path], more].concat())
    }
}

#[test]
fn a_changed_file_is_all_that_is_sent_and_waits_in_the_other_slot() {
    let card = Card::new();
    let (path, two) = card.image("2", 20, None);
    let before = card.config("config.txt");
    let said = json(&card.deploy(&path, &["--json"]));
    assert!(said["sent"].as_u64().unwrap() < 64 << 10, "{said}");
    assert!(card.far.read("b/s-2.efi") == two);
    assert_eq!((card.starts(false), card.starts(true)), ("s-1".to_owned(), "s-2".to_owned()));
    assert_eq!(card.config("config.txt"), before);
    assert_eq!(card.config("tryboot.txt"), config(OWNER, SlotName::B));
    assert_eq!(card.far.read("b/overlays/README"), b"read me");
    let again = card.deploy(&path, &[]);
    assert!(again.contains("s-2 is in place already: waits for `hoopy deploy --reboot`"), "{again}");
    let status = json(&card.far.ok(&["-C", "s", "status", "--json"]));
    assert_eq!((status["layout"].as_str(), status["staged"].as_str()), (Some("pi"), Some("s-2")), "{status}");
    assert_eq!(status["slot"], "a/s-1.efi");
    assert_eq!(status["images"][1]["tries_left"], 1);
}

#[test]
fn a_trial_is_asked_for_once_and_what_fails_it_falls_back() {
    let card = Card::new();
    let (path, _) = card.image("2", 20, Some("hdmi_safe=1\n"));
    fs::write(card.far.root("next-release"), "IMAGE=s-2\n").unwrap();
    let said = card.deploy(&path, &["--reboot"]);
    assert!(said.contains("s-2: rebooting") && said.contains("far runs s-2"), "{said}");
    let service = fs::read_to_string(card.far.root("service")).unwrap();
    assert!(service.contains("after killprocs savecache mount-ro"), "{service}");
    assert!(
        service.contains("\t/usr/libexec/hoopy/tryboot\n") && service.contains("umount \"$point\""),
        "{service}"
    );
    assert_eq!(card.config("tryboot.txt"), config("hdmi_safe=1\n", SlotName::B));
    assert_eq!(card.far.read("b/tried"), b"tried\n");

    // It came up with what was there before: the trial is over.
    card.far.runs("s-1");
    let status = json(&card.far.ok(&["-C", "s", "status", "--json"]));
    assert_eq!(
        (&status["staged"], &status["images"][1]["tries_left"]),
        (&serde_json::Value::Null, &0.into())
    );
    let said = card.far.fails(&["-C", "s", "rollback"]);
    assert!(said.contains("the image in the other slot of its partition was never found well"), "{said}");
    fs::write(card.far.root("next-release"), "IMAGE=s-1\n").unwrap();
    fs::write(card.far.root("boot-id"), "third-boot\n").unwrap();
    let out = card.far.run(&["-C", "s", "deploy", "--image", &path, "--reboot"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(9), "{said}");
    assert!(said.contains("far fell back to s-1: s-2 did not start"), "{said}");
}

#[test]
fn a_rollback_takes_back_what_waits_or_starts_the_other_slot() {
    let card = Card::new();
    let (path, _) = card.image("2", 20, None);
    card.deploy(&path, &[]);
    let said = card.far.ok(&["-C", "s", "rollback"]);
    assert!(said.contains("s-1: starts with the next boot"), "{said}");
    assert_eq!(card.far.read("b/tried"), b"tried\n");
    // The machine's own service found the image well: it did these two things.
    card.deploy(&path, &[]);
    fs::write(card.far.esp("config.txt"), config(OWNER, SlotName::B)).unwrap();
    fs::write(card.far.esp("b/good"), "good\n").unwrap();
    card.far.runs("s-2");
    let said = card.far.ok(&["-C", "s", "rollback"]);
    assert!(said.contains("start     a/ from now on\ns-1: starts with the next boot"), "{said}");
    assert_eq!(
        (card.starts(false), card.config("config.txt")),
        ("s-1".to_owned(), config(OWNER, SlotName::A))
    );
    assert!(!card.far.esp("b/good").exists() && !card.far.esp("hoopy-1.txt").exists());
}

#[test]
fn what_is_not_for_this_machine_is_refused_before_anything_is_changed() {
    let card = Card::new();
    let (path, _) = card.image("2", 20, None);
    let toml = card.far.home.path("s/hoopy.toml");
    let text = fs::read_to_string(&toml).unwrap();
    fs::write(&toml, text.replace("\"pi\"", "\"ab\"")).unwrap();
    let said = card.far.fails(&["-C", "s", "deploy", "--image", &path]);
    assert!(
        said.contains("far starts from the card of a Raspberry Pi, and hoopy.toml has `layout = \"ab\"`"),
        "{said}"
    );
    fs::write(&toml, text).unwrap();
    let (other, _) = card.far.image("3", &segments(1));
    let said = card.far.fails(&["-C", "s", "deploy", "--image", &other]);
    assert!(said.contains("it has no files for the boot loader: it was built for another layout"), "{said}");
    let said = card.far.fails(&["-C", "s", "deploy", "--image", &path, "--kexec"]);
    assert!(
        said.contains(
            "far cannot do --kexec: a machine with two directories tries a new image through its boot loader"
        ),
        "{said}"
    );
    assert!(!card.far.esp("b").exists() && !card.far.esp("tryboot.txt").exists());
}

#[test]
fn a_pc_has_its_new_image_in_the_other_slot_and_syslinux_is_asked_for_one_trial() {
    let card = Card::of("extlinux");
    let before = card.config("extlinux.conf");
    let (path, two) = card.image("2", 20, None);
    let said = json(&card.deploy(&path, &["--json"]));
    assert!(said["sent"].as_u64().unwrap() < 64 << 10, "{said}");
    assert!(card.far.read("b/s-2.efi") == two);
    assert_eq!((card.starts(false), card.starts(true)), ("s-1".to_owned(), "s-2".to_owned()));
    assert_eq!(card.config("extlinux.conf"), before);
    assert_eq!(once(&card.far.read("ldlinux.sys")), None);
    let status = json(&card.far.ok(&["-C", "s", "status", "--json"]));
    assert_eq!(
        (status["layout"].as_str(), status["staged"].as_str()),
        (Some("extlinux"), Some("s-2")),
        "{status}"
    );

    fs::write(card.far.root("next-release"), "IMAGE=s-2\n").unwrap();
    let said = card.deploy(&path, &["--reboot"]);
    assert!(said.contains("far runs s-2"), "{said}");
    let ldlinux = card.far.read("ldlinux.sys");
    assert!(ldlinux == [vec![7; 1024], block("trial"), block("trial")].concat(), "{:?}", once(&ldlinux));
    assert!(!card.far.root("service").exists(), "a plain reboot is enough");
    assert_eq!(card.far.read("b/tried"), b"tried\n");

    // Not started yet, and not wanted any more.
    card.far.runs("s-1");
    let (path, _) = card.image("3", 30, None);
    card.deploy(&path, &[]);
    assert_eq!(once(&card.far.read("ldlinux.sys")), None, "the slot was written to");
    let said = card.far.ok(&["-C", "s", "rollback"]);
    assert!(said.contains("start     a/ from now on\ns-1: starts with the next boot"), "{said}");
    let said = card.far.fails(&["-C", "s", "deploy", "--image", &path, "--kexec"]);
    assert!(said.contains("tries a new image through its boot loader"), "{said}");
}

#[test]
fn what_lies_in_the_place_of_syslinux_is_not_written_to() {
    let card = Card::of("extlinux");
    fs::write(card.far.esp("ldlinux.sys"), [7; 2048]).unwrap();
    let (path, _) = card.image("2", 20, None);
    let said = card.far.fails(&["-C", "s", "deploy", "--image", &path]);
    assert!(said.contains("ldlinux.sys is not what syslinux installs"), "{said}");
    assert_eq!((card.far.read("ldlinux.sys"), card.starts(false)), (vec![7; 2048], "s-1".to_owned()));
}

#[test]
fn killed_at_any_point_a_card_has_an_image_to_start_and_the_deploy_can_be_run_again() {
    killed_at_any_point("pi", 23);
}

#[test]
fn killed_at_any_point_the_disk_of_a_pc_has_an_image_to_start_and_the_deploy_can_be_run_again() {
    killed_at_any_point("extlinux", 31);
}

fn killed_at_any_point(layout: &str, step: usize) {
    let mut killed = 0;
    for n in (1..).step_by(kill_every(step)) {
        let card = Card::of(layout);
        let far = card.far.counting();
        let card = Card { far, is_pi: card.is_pi };
        let (zero, _) = card.image("0", 5, None);
        card.far.kill_at(100_000);
        card.deploy(&zero, &[]);
        let (path, _) = card.image("2", 20, None);
        card.far.kill_at(n);
        let out = card.far.run(&["-C", "s", "deploy", "--image", &path]);
        assert_eq!(card.starts(false), "s-1", "killed at {n}");
        if !card.far.was_killed() {
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            break;
        }
        killed += 1;
        card.far.kill_at(100_000);
        card.deploy(&path, &[]);
        assert_eq!(
            (card.starts(false), card.starts(true)),
            ("s-1".to_owned(), "s-2".to_owned()),
            "killed at {n}"
        );
    }
    println!("killed {killed} times");
    assert!(killed > 3, "killed only {killed} times");
}
