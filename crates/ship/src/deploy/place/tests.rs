#![expect(clippy::unwrap_used, reason = "tests")]

use hoopy_base::digest::ContentId;
use hoopy_boot::os_release::{OsRelease, SORT_KEY};

use super::*;

const MB: u64 = 1 << 20;

fn os_release(version: &str) -> OsRelease {
    OsRelease::parse(&format!("IMAGE_ID={SORT_KEY}\nIMAGE_VERSION={version}\n"))
}

fn image(path: &str, name: &str) -> RemoteImage {
    let version = name.rsplit_once('-').map_or("", |(_, version)| version);
    RemoteImage {
        path: path.to_owned(),
        size: 50 * MB,
        is_image: !name.is_empty(),
        name: Some(name.to_owned()).filter(|n| !n.is_empty()),
        os_release: os_release(version),
        pieces: Vec::new(),
    }
}

fn machine(runs: &str, free: u64) -> Machine {
    Machine { host: "nas".to_owned(), image: Some(runs.to_owned()), free, ..Machine::default() }
}

pub(super) fn new(name: &str) -> NewImage {
    let (system, version) = name.rsplit_once('-').unwrap();
    NewImage {
        path: "x".into(),
        size: 50 * MB,
        sha256: ContentId::of(b""),
        name: name.to_owned(),
        system: system.to_owned(),
        version: version.to_owned(),
        os_release: os_release(version),
        arch: Arch::X86_64,
        pieces: Vec::new(),
    }
}

const EFI: &str = "EFI/BOOT/BOOTX64.EFI";
const OLD: &str = "EFI/BOOT/BOOTX64.OLD";

fn on(machine: &Machine, images: &[RemoteImage], layout: Layout, name: &str) -> Result<Steps, DeployError> {
    place(&Partition { machine, arch: Arch::X86_64, images }, layout, &new(name), false)
}

fn texts(steps: &Steps) -> Vec<String> {
    steps.lines().lines().map(|l| l.replace('\t', " ").trim_end().to_owned()).collect()
}

#[test]
fn the_image_that_is_started_is_kept_before_the_new_one_takes_its_name() {
    let images = [image(EFI, "nas-2"), image(OLD, "nas-1")];
    let steps = on(&machine("nas-2", 200 * MB), &images, Layout::Single, "nas-3").unwrap();
    assert!(steps.first.is_empty());
    assert_eq!(
        texts(&steps),
        [
            "copy EFI/BOOT/BOOTX64.EFI EFI/BOOT/hoopy-old.part",
            "move EFI/BOOT/hoopy-old.part EFI/BOOT/BOOTX64.OLD",
            "move EFI/BOOT/hoopy-new.part EFI/BOOT/BOOTX64.EFI",
        ]
    );
}

#[test]
fn an_image_that_was_never_started_is_not_kept_in_place_of_the_one_that_runs() {
    let images = [image(EFI, "nas-2"), image(OLD, "nas-1")];
    let steps = on(&machine("nas-1", 60 * MB), &images, Layout::Single, "nas-3").unwrap();
    assert_eq!(texts(&steps), ["move EFI/BOOT/hoopy-new.part EFI/BOOT/BOOTX64.EFI"]);
    assert!(steps.first.is_empty());
}

#[test]
fn the_one_before_makes_room_as_late_as_can_be() {
    let images = [image("efi/boot/bootx64.efi", "nas-2"), image(OLD, "nas-1")];
    let late = on(&machine("nas-2", 60 * MB), &images, Layout::Single, "nas-3").unwrap();
    assert!(late.first.is_empty());
    assert_eq!(texts(&late)[0], "remove EFI/BOOT/BOOTX64.OLD");
    let early = on(&machine("nas-2", 52 * MB - 1), &images, Layout::Single, "nas-3");
    assert!(matches!(early, Ok(steps) if steps.first.is_empty()));
    let full = on(&machine("nas-2", 20 * MB), &images, Layout::Single, "nas-3").unwrap_err().to_string();
    assert!(full.contains("is too full: the new image needs "), "{full}");
}

#[test]
fn a_new_image_is_put_beside_the_good_ones_with_three_tries() {
    let images = [image(EFI, ""), image("EFI/Linux/nas-1.efi", "nas-1")];
    let steps = on(&machine("nas-1", 200 * MB), &images, Layout::Ab, "nas-2").unwrap();
    assert_eq!(texts(&steps), ["move EFI/Linux/hoopy-new.part EFI/Linux/nas-2+3.efi"]);
    assert!(steps.first.is_empty());
}

#[test]
fn an_image_of_a_machine_that_was_renamed_is_placed_and_is_the_next() {
    for name in ["attic-2", "zoo-2"] {
        let images = [image(EFI, ""), image("EFI/Linux/nas-1.efi", "nas-1")];
        let steps = on(&machine("nas-1", 200 * MB), &images, Layout::Ab, name).unwrap();
        assert_eq!(steps.becomes, format!("EFI/Linux/{name}+3.efi"));
        let [efi, old] = images;
        let images = [efi, old, image(&steps.becomes, name)];
        let machine = machine("nas-1", 200 * MB);
        let partition = Partition { machine: &machine, arch: Arch::X86_64, images: &images };
        assert_eq!(partition.slots()[0].slot.image, name);
    }
}

#[test]
fn room_is_made_of_what_was_given_up_then_of_the_oldest_and_never_of_what_is_needed() {
    let images = [
        image(EFI, ""),
        image("EFI/Linux/nas-1.efi", "nas-1"),
        image("EFI/Linux/nas-2.efi", "nas-2"),
        image("EFI/Linux/nas-3.efi", "nas-3"),
        image("EFI/Linux/nas-4+0-3.efi", "nas-4"),
    ];
    let first = |runs: &str, free: u64| {
        let steps = on(&machine(runs, free), &images, Layout::Ab, "nas-5")?;
        Ok::<_, DeployError>(steps.first.iter().map(|p| p.replace("EFI/Linux/", "")).collect::<Vec<_>>())
    };
    assert_eq!(first("nas-2", 10 * MB).unwrap(), ["nas-4+0-3.efi"]);
    let bigger: Vec<String> = {
        let mut large = new("nas-5");
        large.size = 120 * MB;
        let m = machine("nas-2", 10 * MB);
        let scene = Partition { machine: &m, arch: Arch::X86_64, images: &images };
        assert!(matches!(
            place(&scene, Layout::Ab, &NewImage { size: 200 * MB, ..large.clone() }, false),
            Err(DeployError::Full { .. })
        ));
        large.size = 100 * MB;
        place(&scene, Layout::Ab, &large, false).unwrap().first
    };
    assert_eq!(
        bigger,
        ["EFI/Linux/nas-4+0-3.efi", "EFI/Linux/nas-1.efi"],
        "nas-2 runs, nas-3 is the last good one"
    );
}

#[test]
fn a_name_is_never_there_with_a_counter_and_without() {
    let ab = |files: &[&str], runs: &str| {
        let mut images = vec![image(EFI, "")];
        images.extend(files.iter().map(|f| image(&format!("EFI/Linux/{f}"), "nas-2")));
        on(&machine(runs, 200 * MB), &images, Layout::Ab, "nas-2")
    };
    let steps = ab(&["nas-2+0-3.efi"], "nas-1").unwrap();
    assert_eq!(steps.first, ["EFI/Linux/nas-2+0-3.efi"]);
    assert!(matches!(ab(&["nas-2.efi"], "nas-1"), Err(DeployError::SameName { .. })));
    assert!(matches!(ab(&["nas-2+2-1.efi"], "nas-2"), Err(DeployError::SameName { .. })));
}

#[test]
fn an_image_that_would_not_be_started_is_refused() {
    let images = [image(EFI, ""), image("EFI/Linux/nas-10.efi", "nas-10")];
    let said = on(&machine("nas-10", 200 * MB), &images, Layout::Ab, "nas-9").unwrap_err().to_string();
    assert!(said.contains("nas-10, which is newer than nas-9"), "{said}");
}

#[test]
fn the_other_layout_is_refused() {
    let images = [image(EFI, "")];
    let said = on(&machine("nas-1", 200 * MB), &images, Layout::Single, "nas-2").unwrap_err().to_string();
    assert!(said.contains("starts systemd-boot, and hoopy.toml has `layout = \"single\"`"), "{said}");
}

#[test]
fn going_back_gives_up_what_is_started() {
    let slots = ["nas-1.efi", "nas-2.efi", "nas-3.efi", "nas-4+2-1.efi"];
    let back_from = |runs: &str, n: usize| {
        let mut images = vec![image(EFI, "")];
        for slot in &slots[..n] {
            let name = slot.split(['+', '.']).next().unwrap();
            images.push(image(&format!("EFI/Linux/{slot}"), name));
        }
        let m = machine(runs, 0);
        back(&Partition { machine: &m, arch: Arch::X86_64, images: &images }, PreviousSystem::Image)
            .map(|(s, name)| (texts(&s), name))
    };
    let (steps, name) = back_from("nas-3", 3).unwrap();
    assert_eq!(name, "nas-2");
    assert_eq!(steps, ["move EFI/Linux/nas-3.efi EFI/Linux/nas-3+0-3.efi"]);
    let (steps, name) = back_from("nas-3", 4).unwrap();
    assert_eq!(name, "nas-3", "what is staged is taken back");
    assert_eq!(steps, ["move EFI/Linux/nas-4+2-1.efi EFI/Linux/nas-4+0-3.efi"]);
    assert!(matches!(back_from("nas-1", 1), Err(DeployError::NothingBefore { .. })));
}

#[test]
fn going_back_copies_both_images_so_that_each_name_always_has_one() {
    let images = [image(EFI, "nas-2"), image(OLD, "nas-1")];
    let m = machine("nas-2", 200 * MB);
    let (steps, name) =
        back(&Partition { machine: &m, arch: Arch::X86_64, images: &images }, PreviousSystem::Image).unwrap();
    assert_eq!(name, "nas-1");
    assert_eq!(
        texts(&steps),
        [
            "copy EFI/BOOT/BOOTX64.OLD EFI/BOOT/hoopy-new.part",
            "copy EFI/BOOT/BOOTX64.EFI EFI/BOOT/hoopy-old.part",
            "move EFI/BOOT/hoopy-new.part EFI/BOOT/BOOTX64.EFI",
            "move EFI/BOOT/hoopy-old.part EFI/BOOT/BOOTX64.OLD",
        ]
    );
}

#[test]
fn alpine_that_was_there_before_is_returned_to_where_there_is_no_image() {
    let images =
        [image(EFI, ""), image("EFI/Linux/nas-1.efi", "nas-1"), image("EFI/Linux/nas-2+3.efi", "nas-2")];
    let back = |m: &Machine, to| back(&Partition { machine: m, arch: Arch::X86_64, images: &images }, to);
    let mut m = machine("nas-1", 0);
    assert!(back(&m, PreviousSystem::Diskless).unwrap_err().to_string().contains("ALPINE.EFI"));
    m.keeps_diskless = true;
    let (steps, name) = back(&m, PreviousSystem::Image).unwrap();
    assert_eq!((name.as_str(), steps.then.len()), ("nas-1", 1));
    let given_up = [
        "move EFI/Linux/nas-2+3.efi EFI/Linux/nas-2+0-3.efi",
        "move EFI/Linux/nas-1.efi EFI/Linux/nas-1+0-3.efi",
    ];
    let (steps, name) = back(&m, PreviousSystem::Diskless).unwrap();
    assert_eq!((name.as_str(), texts(&steps)), (diskless::NAME, given_up.map(str::to_owned).to_vec()));
    // It is what runs.
    m.image = None;
    let (steps, name) = back(&m, PreviousSystem::Image).unwrap();
    assert_eq!((name.as_str(), texts(&steps)), (diskless::NAME, given_up.map(str::to_owned).to_vec()));
}
