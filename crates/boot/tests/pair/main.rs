//! The power is cut at every write of a deploy, a first boot and a rollback on a partition with two directories, and its loader
//! starts a whole image each time: a Raspberry Pi's firmware, syslinux, U-Boot.
//!
//! What is done to the partition is what `pair.sh` does: it runs, and each of its changes is written down. These are done again
//! to a model of FAT, as Linux writes them (`fat.rs`), up to the cut. Then the model of the loader (`hoopy_boot::pi::firmware`,
//! `hoopy_boot::extlinux::loader`) says what is started, which must be an image with every file as it was built.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod fat;
mod machine;

use fat::Disk;
use hoopy_boot::pair::SlotName;
use machine::{Kind, Machine, Outcome, image};
use proptest::prelude::*;

/// A machine whose slot `a` has the image 1.
fn machine(kind: Kind) -> Machine {
    Machine::new(kind, "# the owner's\ndtparam=audio=on\n")
}

/// What is started where the flag of the reboot is not set.
fn starts(machine: &mut Machine) -> u32 {
    machine.boot(false).unwrap_or_else(|stuck| panic!("{stuck}\n{}", machine.disk.listing()))
}

#[test]
fn a_deploy_is_tried_once_and_kept_once_it_is_good() {
    for kind in Kind::ALL {
        let mut machine = machine(kind);
        machine.deploy(2, None).unwrap();
        assert_eq!(starts(&mut machine), 1, "it starts with the flag alone");
        assert_eq!(machine.try_staged(None).unwrap(), Outcome::Started(2));
        assert_eq!(starts(&mut machine), 1, "a machine that panics comes back");
        machine.bless(2, None).unwrap();
        assert_eq!(starts(&mut machine), 2);
        machine.rollback(None).unwrap();
        assert_eq!(starts(&mut machine), 1);
    }
}

#[test]
fn the_owners_lines_of_the_card_stay() {
    let mut machine = machine(Kind::Pi);
    machine.deploy(2, None).unwrap();
    machine.try_staged(None).unwrap();
    machine.bless(2, None).unwrap();
    assert!(machine.disk.text("config.txt").unwrap().starts_with("# the owner's\ndtparam=audio=on\n"));
}

#[test]
fn the_slot_that_is_started_is_never_emptied() {
    for kind in Kind::ALL {
        let mut machine = machine(kind);
        let refused = machine.script("pair_clear a", &SlotName::A);
        assert!(refused.is_empty(), "{refused:?}");
        assert_eq!(starts(&mut machine), 1);
    }
}

#[test]
fn a_slot_whose_kernel_is_gone_is_passed_over_by_syslinux_and_u_boot() {
    for kind in [Kind::Syslinux, Kind::UBoot] {
        let mut machine = machine(kind);
        machine.deploy(2, None).unwrap();
        machine.try_staged(None).unwrap();
        machine.bless(2, None).unwrap();
        machine.disk.remove("b/vmlinuz").unwrap();
        assert_eq!(starts(&mut machine), 1);
    }
}

#[test]
fn a_wish_for_a_trial_is_taken_back_before_the_slot_is_written_to() {
    for kind in [Kind::Syslinux, Kind::UBoot] {
        let mut armed = machine(kind);
        armed.deploy(2, None).unwrap();
        armed.ask_for_trial(None).unwrap();
        for fuse in 0.. {
            let mut machine = armed.clone();
            let cut = machine.deploy(3, Some(fuse)).is_err();
            assert!([1, 2].contains(&starts(&mut machine)), "{kind:?}, write {fuse}");
            if !cut {
                break;
            }
        }
    }
}

#[test]
fn the_owners_lines_are_those_of_the_image_where_it_has_some() {
    let mut machine = machine(Kind::Pi);
    machine.owner_of_image = Some("hdmi_safe=1");
    machine.deploy(2, None).unwrap();
    machine.try_staged(None).unwrap();
    machine.bless(2, None).unwrap();
    let config = machine.disk.text("config.txt").unwrap();
    assert!(config.starts_with("hdmi_safe=1\n# hoopy: all from this line on"), "{config}");
}

#[test]
fn a_cut_at_any_write_leaves_a_raspberry_pi_that_starts_and_takes_the_next_deploy() {
    cut_everywhere(Kind::Pi);
}

#[test]
fn a_cut_at_any_write_leaves_a_pc_with_syslinux_that_starts_and_takes_the_next_deploy() {
    cut_everywhere(Kind::Syslinux);
}

#[test]
fn a_cut_at_any_write_leaves_a_board_with_u_boot_that_starts_and_takes_the_next_deploy() {
    cut_everywhere(Kind::UBoot);
}

/// Every write of one round, one cut after the other; after each the machine goes on: it boots, gets another deploy, and
/// that is whole.
fn cut_everywhere(kind: Kind) {
    let mut staged = machine(kind);
    staged.deploy(2, None).unwrap();
    let mut on_trial = machine(kind);
    on_trial.deploy(2, None).unwrap();
    on_trial.try_staged(None).unwrap();
    let mut good = on_trial.clone();
    good.bless(2, None).unwrap();
    type Step = fn(&mut Machine, usize) -> Result<(), fat::Cut>;
    let steps: [(&Machine, Step); 5] = [
        (&staged, |machine, fuse| machine.ask_for_trial(Some(fuse)).map(drop)),
        (&on_trial, |machine, fuse| machine.bless(2, Some(fuse))),
        (&on_trial, |machine, fuse| machine.deploy(3, Some(fuse))),
        (&good, |machine, fuse| machine.deploy(3, Some(fuse))),
        (&good, |machine, fuse| machine.rollback(Some(fuse))),
    ];
    let mut cuts = 0;
    for (step, (before, act)) in steps.into_iter().enumerate() {
        for fuse in 0.. {
            let mut machine = before.clone();
            let cut = act(&mut machine, fuse).is_err();
            let running = starts(&mut machine);
            assert!([1, 2].contains(&running), "{kind:?}, step {step}, write {fuse}: {running}");
            machine.bless(running, None).unwrap();
            machine.deploy(4, None).unwrap();
            assert_eq!(machine.try_staged(None).unwrap(), Outcome::Started(4), "step {step}, write {fuse}");
            machine.bless(4, None).unwrap();
            assert_eq!(starts(&mut machine), 4, "step {step}, write {fuse}");
            if !cut {
                break;
            }
            cuts += 1;
        }
    }
    assert!(cuts >= 500, "{kind:?}: {cuts} cuts");
}

/// What happens to a machine, and after how many writes its power goes.
#[derive(Debug, Clone, Copy)]
enum Event {
    Deploy(u16),
    Try { cut: u16, is_well: bool },
    PlainReboot,
    Rollback(u16),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (0_u16..300).prop_map(Event::Deploy),
        4 => ((0_u16..40), any::<bool>()).prop_map(|(cut, is_well)| Event::Try { cut, is_well }),
        1 => Just(Event::PlainReboot),
        2 => (0_u16..40).prop_map(Event::Rollback),
    ];
    proptest::collection::vec(event, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order, and however often the power goes: power on, and an image starts.
    #[test]
    fn no_row_of_deploys_trials_and_rollbacks_with_cuts_makes_a_disk_that_starts_nothing(
        events in events(),
        kind in proptest::sample::select(&Kind::ALL[..]),
    ) {
        let mut machine = machine(kind);
        let mut next = 2;
        for event in events {
            let before = starts(&mut machine);
            let _ = match event {
                Event::Deploy(cut) => {
                    next += 1;
                    machine.deploy(next, Some(cut.into())).map(drop)
                }
                Event::Try { cut, is_well } => match machine.try_staged(Some(cut.into())) {
                    Ok(Outcome::Started(image)) if is_well => machine.bless(image, Some(cut.into())),
                    _ => Ok(()),
                },
                Event::PlainReboot => machine.bless(before, None),
                Event::Rollback(cut) => machine.rollback(Some(cut.into())),
            };
            let now = starts(&mut machine);
            let Event::Deploy(_) = event else { continue };
            prop_assert_eq!(before, now, "a deploy alone changes nothing");
        }
    }
}

#[test]
fn the_model_finds_what_two_names_for_one_file_lead_to() {
    // What a cut in the middle of a rename leaves, and a removal that takes it for a leftover.
    let mut disk = Disk::new(64);
    disk.put("hoopy-new.part", &image(1)["vmlinuz"]).unwrap();
    disk.put("x", b"old").unwrap();
    disk.fuse = Some(1);
    disk.rename("hoopy-new.part", "x").unwrap_err();
    disk.fuse = None;
    assert_eq!(disk.read("x").unwrap(), image(1)["vmlinuz"]);
    disk.remove("hoopy-new.part").unwrap();
    disk.put("other", &image(2)["vmlinuz"]).unwrap();
    assert_ne!(disk.read("x"), Some(image(1)["vmlinuz"].clone()));
}
