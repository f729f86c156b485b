//! Images of earlier epochs: shut out after a good boot, by the owner, and with the power gone at every step.

use std::fs;
use std::path::PathBuf;
use std::rc::Rc;

use hoopy_boot::secrets::SEALED_NEXT;
use hoopy_secrets::MachineIdentity;
use hoopy_tpm::Tpm;
use hoopyd::error::AgentError;
use hoopyd::tpm::Kept;

use super::{DBX_UPDATED, ENFORCED, IMAGE, NEXT_IMAGE, Scene};

const OLD: &str = "this image is of epoch 1, and the secret was sealed for epoch 2 or later";

#[test]
fn a_good_boot_of_a_later_epoch_shuts_older_images_out_and_old_copies_too() {
    let mut scene = Scene::new();
    scene.of_epoch(1).boots_well(IMAGE);
    assert!(!scene.is_good(), "there is nothing to shut out");
    let copy = fs::read(scene.sealed_file()).unwrap();
    scene.of_epoch(2).boots_well(NEXT_IMAGE);
    // It has not been found good: the machine can fall back, as often as it likes.
    scene.of_epoch(1).boots_well(IMAGE);
    scene.of_epoch(2).boots_well(NEXT_IMAGE);
    assert!(scene.is_good());
    assert!(!scene.is_good(), "once is enough");
    assert_eq!(Kept::read(scene.persist.path()).unwrap().sealed.len(), 1);
    let refused = scene.of_epoch(1).boots(IMAGE, ENFORCED).unwrap_err();
    assert!(refused.contains(OLD) && refused.contains("start an image of epoch 2"), "{refused}");
    // Whoever has copied the disk before has what was sealed for the old image.
    let current = fs::read(scene.sealed_file()).unwrap();
    fs::write(scene.sealed_file(), copy).unwrap();
    let refused = scene.boots(IMAGE, ENFORCED).unwrap_err();
    assert!(
        refused.contains("another one was sealed since") && refused.contains("hoopy secret enroll HOST"),
        "{refused}"
    );
    fs::write(scene.sealed_file(), current).unwrap();
    scene.of_epoch(2).boots_well(NEXT_IMAGE);
    scene.of_epoch(3).boots_well(NEXT_IMAGE);
}

#[test]
fn the_power_may_go_at_every_step_of_shutting_images_out() {
    let mut scene = Scene::new();
    scene.of_epoch(1).boots_well(IMAGE);
    let old = Kept::read(scene.persist.path()).unwrap();
    scene.of_epoch(2).boots_well(IMAGE);
    let next_file = scene.root.path().join(SEALED_NEXT);
    let next = Kept::read_file(&next_file).unwrap().unwrap();
    // Both are written, and the counter is as it was.
    next.beside(&old).write(scene.persist.path()).unwrap();
    scene.of_epoch(1).boots_well(IMAGE);
    scene.of_epoch(2).boots_well(IMAGE);
    // The counter was raised, and nothing was removed.
    Tpm::new(scene.swtpm.connect()).raise_counter().unwrap();
    scene.of_epoch(2).boots_well(IMAGE);
    assert!(scene.of_epoch(1).boots(IMAGE, ENFORCED).is_err());
    // What was prepared for a value that is over is not taken.
    next.write_file(&next_file).unwrap();
    scene.of_epoch(2).boots_well(IMAGE);
    assert!(!scene.is_good());
    scene.boots_well(IMAGE);
}

#[test]
fn where_shutting_out_fails_it_can_be_tried_again_and_dead_entries_do_not_pile_up() {
    let mut scene = Scene::new();
    scene.of_epoch(1).boots_well(IMAGE);
    for _ in 0..3 {
        scene.of_epoch(2).boots_well(NEXT_IMAGE);
        let machine = |scene: &Scene| scene.machine(Tpm::new(scene.swtpm.connect())).raise(scene.mount());
        // As a power cut before the counter goes up
        let fails = |_| Err::<PathBuf, _>(AgentError::Locked("read-only".to_owned()));
        assert!(scene.machine(Tpm::new(scene.swtpm.connect())).raise(fails).is_err());
        assert!(scene.root.path().join(SEALED_NEXT).exists());
        assert!(machine(&scene).unwrap());
        assert!(!scene.root.path().join(SEALED_NEXT).exists());
        assert_eq!(Kept::read(scene.persist.path()).unwrap().sealed.len(), 1);
        scene.enroll(&scene.identity, false).unwrap();
        scene.map.sealing.as_mut().unwrap().epoch = 0;
        scene.enroll(&scene.identity, false).unwrap();
    }
}

/// `hoopy secret rekey --machine` and `enroll`, while the running image has not been found good.
#[test]
fn a_new_identity_before_older_images_are_shut_out_leaves_the_one_that_the_image_needs() {
    let mut scene = Scene::new();
    scene.of_epoch(1).boots_well(IMAGE);
    scene.of_epoch(2).boots_well(NEXT_IMAGE);
    let other = MachineIdentity::generate();
    scene.enroll(&other, false).unwrap();
    scene.of_epoch(2).boots_well(NEXT_IMAGE);
    scene.map.recipient = other.recipient().as_str().to_owned();
    let tpm = {
        let policy = Rc::clone(&scene.policy);
        scene.start(NEXT_IMAGE, ENFORCED, Some(&policy))
    };
    assert_eq!(scene.opens(tpm), Ok(other.recipient().as_str().to_owned()));
}

#[test]
fn a_raise_that_the_power_ended_leaves_no_copy_once_all_is_forgotten() {
    let mut scene = Scene::new();
    scene.of_epoch(1).boots_well(IMAGE);
    let old = Kept::read(scene.persist.path()).unwrap();
    scene.of_epoch(2).boots_well(IMAGE);
    let next = Kept::read_file(&scene.root.path().join(SEALED_NEXT)).unwrap().unwrap();
    let copy = next.beside(&old);
    scene.enroll(&scene.identity, true).unwrap();
    scene.boots_well(IMAGE);
    copy.write(scene.persist.path()).unwrap();
    let refused = scene.boots(IMAGE, ENFORCED).unwrap_err();
    assert!(refused.contains("another one was sealed since"), "{refused}");
}

#[test]
fn an_image_without_a_signature_for_its_epoch_shuts_no_image_out() {
    let mut scene = Scene::new();
    scene.of_epoch(1).boots_well(IMAGE);
    let policy = Rc::clone(&scene.policy);
    let tpm = scene.start(IMAGE, ENFORCED, Some(&policy));
    scene.map.sealing.as_mut().unwrap().epoch = 2;
    let opened = scene.machine(tpm).at_boot(&scene.map, None, scene.mount()).unwrap();
    let reason = opened.not_raised.unwrap().to_string();
    assert!(reason.contains("of epoch 2, and has no signature for that: build it again"), "{reason}");
    assert!(!scene.root.path().join(SEALED_NEXT).exists());
}

#[test]
fn a_disk_with_a_hundred_identities_costs_the_tpm_nothing() {
    let mut scene = Scene::new();
    scene.boots_well(IMAGE);
    let mut kept = Kept::read(scene.persist.path()).unwrap();
    kept.sealed = vec![kept.sealed[0].clone(); 100];
    kept.write(scene.persist.path()).unwrap();
    let refused = scene.boots(IMAGE, ENFORCED).unwrap_err();
    assert!(refused.contains("100 identities: expected at most 16: hoopy secret enroll HOST"), "{refused}");
}

#[test]
fn the_owner_opens_an_older_image_again_on_purpose() {
    let mut scene = Scene::new();
    scene.of_epoch(2).boots_well(IMAGE);
    assert!(scene.of_epoch(1).boots(IMAGE, ENFORCED).is_err());
    scene.enroll(&scene.identity, false).unwrap();
    scene.of_epoch(1).boots_well(IMAGE);
    // And the next good boot of the later one shuts it out again.
    scene.of_epoch(2).boots_well(NEXT_IMAGE);
    assert!(scene.is_good());
    assert!(scene.of_epoch(1).boots(IMAGE, ENFORCED).is_err());
}

#[test]
fn enrolling_shuts_older_images_out_at_once_and_forgetting_makes_copies_worthless() {
    let mut scene = Scene::new();
    scene.of_epoch(1).boots_well(IMAGE);
    assert!(scene.of_epoch(2).boots(IMAGE, DBX_UPDATED).is_err());
    let copy = fs::read(scene.sealed_file()).unwrap();
    scene.enroll(&scene.identity, false).unwrap();
    fs::write(scene.sealed_file(), copy).unwrap();
    assert!(scene.of_epoch(1).boots(IMAGE, ENFORCED).is_err());
    scene.enroll(&scene.identity, false).unwrap();
    scene.boots_well(IMAGE);
    let copy = fs::read(scene.sealed_file()).unwrap();
    scene.enroll(&scene.identity, true).unwrap();
    scene.boots_well(IMAGE);
    fs::write(scene.sealed_file(), copy).unwrap();
    let refused = scene.boots(IMAGE, ENFORCED).unwrap_err();
    assert!(refused.contains("another one was sealed since"), "{refused}");
}

#[test]
fn an_image_too_many_epochs_ahead_comes_up_locked_until_it_is_enrolled() {
    let mut scene = Scene::new();
    scene.of_epoch(1).boots_well(IMAGE);
    let refused = scene.of_epoch(9).boots(IMAGE, ENFORCED).unwrap_err();
    assert!(refused.contains("expected an image of 1 to 8: hoopy secret enroll HOST"), "{refused}");
    scene.enroll(&scene.identity, false).unwrap();
    scene.boots_well(IMAGE);
}

/// Machines that were set up before there were epochs.
#[test]
fn what_was_sealed_without_an_epoch_opens_and_is_shut_out_with_the_first_one() {
    let mut scene = Scene::new();
    scene.boots_well(IMAGE);
    let key =
        hoopy_tpm::PolicyKey::from_pem(scene.map.sealing.as_ref().unwrap().policy_key.as_bytes()).unwrap();
    let mut tpm = scene.start(IMAGE, ENFORCED, None);
    let sealed = tpm.seal(scene.identity.line().as_bytes(), &key, None).unwrap();
    tpm.remove_counter().unwrap();
    drop(tpm);
    let mut before = Kept::default();
    before.push(&scene.identity, &sealed);
    before.write(scene.persist.path()).unwrap();
    scene.boots_well(IMAGE);
    assert!(!scene.is_good());
    scene.of_epoch(1).boots_well(NEXT_IMAGE);
    scene.of_epoch(0).boots_well(IMAGE);
    scene.of_epoch(1).boots_well(NEXT_IMAGE);
    assert!(scene.is_good());
    let refused = scene.of_epoch(0).boots(IMAGE, ENFORCED).unwrap_err();
    assert!(refused.contains("this image is of epoch 0"), "{refused}");
    scene.of_epoch(1).boots_well(NEXT_IMAGE);
}

#[test]
fn something_else_in_the_counters_place_is_named_and_removed_on_demand() {
    let mut scene = Scene::new();
    scene.boots_well(IMAGE);
    let mut tpm = Tpm::new(scene.swtpm.connect());
    tpm.remove_counter().unwrap();
    drop(tpm);
    scene.swtpm.tool("tpm2_nvdefine", &["0x1824859", "-C", "o", "-s", "16"]);
    let refused = scene.boots(IMAGE, ENFORCED).unwrap_err();
    assert!(refused.contains("hoopy secret enroll --forget HOST removes that"), "{refused}");
    assert_eq!(scene.enroll(&scene.identity, false), Err(refused));
    scene.enroll(&scene.identity, true).unwrap();
    scene.boots_well(IMAGE);
}
