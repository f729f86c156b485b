//! The power is cut at every write of a deploy, a first boot and a rollback on the card of a Raspberry Pi, and the firmware
//! starts a whole image each time.
//!
//! What is done to the card is what `pi.sh` does: it runs, and each of its changes is written down. These are done again to a
//! model of FAT, as Linux writes them (`fat.rs`), up to the cut. Then the model of the firmware (`hoopy_boot::pi::firmware`)
//! says what is started, which must be an image with every file as it was built.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod fat;
mod machine;

use fat::Disk;
use hoopy_boot::pi::SlotName;
use machine::{Machine, Outcome, image};
use proptest::prelude::*;

/// A machine whose slot `a` has the image 1.
fn machine() -> Machine {
    Machine::new("# the owner's\ndtparam=audio=on\n")
}

/// What is started where the flag of the reboot is not set.
fn starts(machine: &Machine) -> u32 {
    machine.boot(false).unwrap_or_else(|stuck| panic!("{stuck}\n{}", machine.disk.listing()))
}

#[test]
fn a_deploy_is_tried_once_and_kept_once_it_is_good() {
    let mut machine = machine();
    machine.deploy(2, None).unwrap();
    assert_eq!(starts(&machine), 1, "it starts with the flag alone");
    assert_eq!(machine.try_staged(None).unwrap(), Outcome::Started(2));
    assert_eq!(starts(&machine), 1, "a machine that panics comes back");
    machine.bless(2, None).unwrap();
    assert_eq!(starts(&machine), 2);
    machine.rollback(None).unwrap();
    assert_eq!(starts(&machine), 1);
    assert!(machine.disk.text("config.txt").unwrap().starts_with("# the owner's\ndtparam=audio=on\n"));
}

#[test]
fn the_slot_that_is_started_is_never_emptied() {
    let machine = machine();
    let refused = machine.script("pi_clear a", &SlotName::A);
    assert!(refused.is_empty(), "{refused:?}");
    assert_eq!(starts(&machine), 1);
}

#[test]
fn the_owners_lines_are_those_of_the_image_where_it_has_some() {
    let mut machine = machine();
    machine.owner_of_image = Some("hdmi_safe=1");
    machine.deploy(2, None).unwrap();
    machine.try_staged(None).unwrap();
    machine.bless(2, None).unwrap();
    let config = machine.disk.text("config.txt").unwrap();
    assert!(config.starts_with("hdmi_safe=1\n# hoopy: all from this line on"), "{config}");
}

/// Every write of one round, one cut after the other; after each the machine goes on: it boots, gets another deploy, and
/// that is whole.
#[test]
fn a_cut_at_any_write_leaves_a_machine_that_starts_and_takes_the_next_deploy() {
    let mut on_trial = machine();
    on_trial.deploy(2, None).unwrap();
    on_trial.try_staged(None).unwrap();
    let mut good = on_trial.clone();
    good.bless(2, None).unwrap();
    type Step = fn(&mut Machine, usize) -> Result<(), fat::Cut>;
    let steps: [(&Machine, Step); 4] = [
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
            let running = starts(&machine);
            assert!([1, 2].contains(&running), "step {step}, write {fuse}: {running}");
            machine.bless(running, None).unwrap();
            machine.deploy(4, None).unwrap();
            assert_eq!(machine.try_staged(None).unwrap(), Outcome::Started(4), "step {step}, write {fuse}");
            machine.bless(4, None).unwrap();
            assert_eq!(starts(&machine), 4, "step {step}, write {fuse}");
            if !cut {
                break;
            }
            cuts += 1;
        }
    }
    println!("{cuts} cuts");
    assert!(cuts >= 500, "{cuts}");
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
    fn no_row_of_deploys_trials_and_rollbacks_with_cuts_makes_a_card_that_starts_nothing(events in events()) {
        let mut machine = machine();
        let mut next = 2;
        for event in events {
            let before = starts(&machine);
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
            let now = starts(&machine);
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
