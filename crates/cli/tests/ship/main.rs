//! Deploys to a machine for real: QEMU, firmware, systemd-boot, dropbear, the user's own ssh.
//!
//! ```text
//! main     what is proven, in which order, and which of it is chosen
//! machine  a system directory, its disk, and the commands that are tried on it
//! power    the machine's plug: QEMU, started anew whenever the machine reboots
//! esp      its EFI system partition, as one sees it who pulls the stick out and looks
//! good     what goes well         refused  what is refused, with nothing changed
//! falls    what is fallen back from    cut  what is cut short, at some instants
//! alpine   a machine that runs diskless Alpine Linux, and returns to it
//! bios     a PC with a BIOS and syslinux, layout "extlinux"
//! kexec    starts without the firmware     writes  the same at every sector that is written
//! record   what a machine wrote to its disk
//! state    state and backups               state_cuts  what power cuts leave of both
//! nas      examples/nas, from an empty disk to a lost boot card     nas_zfs  the same with ZFS
//! chain    Secure Boot and a TPM: deploys, a fallback, and a rotated key
//! ```
//!
//! Boots are slow where they are emulated, so one machine of each layout goes through everything that was chosen, one
//! after the other. CI runs the short form; `cargo xtask prove` runs all of it, and sets what `choice` reads.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "tests")]

mod alpine;
mod bios;
mod chain;
mod choice;
mod cut;
mod esp;
mod falls;
mod good;
mod kexec;
mod machine;
mod nas;
mod nas_zfs;
mod power;
mod random;
mod record;
mod refused;
mod secrets;
mod state;
mod state_cuts;
mod writes;

use std::time::Instant;

use choice::Choice;
use machine::Machine;

/// One thing that is proven of a machine, which is up afterwards.
struct Scenario {
    name: &'static str,
    layouts: &'static [&'static str],
    length: Length,
    from: Before,
    run: fn(&mut Machine, &Choice),
}

/// How a scenario finds its machine.
#[derive(PartialEq, Eq)]
enum Before {
    /// Up.
    Up,
    /// Up, or not switched on yet.
    Any,
}

/// What of it CI can afford.
#[derive(PartialEq, Eq)]
enum Length {
    /// It costs few boots, or none.
    Short,
    /// It is left to the whole proof.
    Long,
}

use Before::{Any, Up};
use Length::{Long, Short};

macro_rules! scenario {
    ($module:ident :: $name:ident, $layouts:expr, $length:expr, $from:expr) => {
        Scenario {
            name: stringify!($name),
            layouts: &$layouts,
            length: $length,
            from: $from,
            run: $module::$name,
        }
    };
}

/// A partition can be filled only while no old images are on it, which would make room: so that
/// comes first, and fills it while the machine is still off.
const SCENARIOS: &[Scenario] = &[
    scenario!(refused::a_partition_that_is_full_is_told_before_anything_is_written, ["ab"], Short, Any),
    scenario!(refused::another_host_key_is_refused, ["ab"], Short, Up),
    scenario!(refused::a_disk_that_is_locked_is_told_and_nothing_is_changed, ["ab"], Short, Up),
    scenario!(refused::a_stick_that_was_locked_from_the_start_is_told_too, ["ab", "single"], Long, Up),
    scenario!(good::each_of_many_deploys_comes_up_well, ["ab"], Short, Up),
    scenario!(good::a_deploy_keeps_the_image_before_and_rollback_swaps_them, ["single"], Short, Up),
    scenario!(falls::an_image_whose_check_fails_is_fallen_back_from, ["ab"], Short, Up),
    scenario!(falls::an_image_that_panics_is_fallen_back_from, ["ab"], Long, Up),
    scenario!(
        falls::an_image_that_panics_while_services_start_leaves_the_kernels_last_words,
        ["ab"],
        Long,
        Up
    ),
    scenario!(falls::an_image_that_hangs_is_fallen_back_from, ["ab"], Long, Up),
    scenario!(writes::every_sector_that_is_written_leaves_an_image_to_start, ["ab", "single"], Long, Any),
    scenario!(cut::a_network_that_is_cut_is_told_and_the_deploy_can_be_run_again, ["ab", "single"], Long, Up),
    scenario!(
        cut::a_second_name_that_a_power_cut_left_takes_nothing_from_its_image,
        ["ab", "single"],
        Long,
        Up
    ),
    scenario!(cut::a_plug_pulled_at_any_instant_leaves_an_image_to_start, ["ab"], Short, Up),
    scenario!(cut::a_plug_pulled_at_any_instant_leaves_an_image_to_start, ["single"], Long, Up),
];

#[test]
#[ignore = "long: `cargo xtask test` runs it beside the others, `cargo xtask prove` in full"]
fn machines_are_deployed_to_fall_back_and_survive_power_cuts() {
    let choice = Choice::from_environment();
    println!("{choice}");
    let mut count = 0;
    for layout in ["ab", "single"].into_iter().filter(|layout| choice.takes_layout(layout)) {
        let of_layout = SCENARIOS.iter().filter(|s| s.layouts.contains(&layout));
        let chosen: Vec<&Scenario> = of_layout.filter(|s| choice.takes(s.name, s.length == Short)).collect();
        if chosen.is_empty() {
            continue;
        }
        let mut machine = Machine::new(choice.arch, layout);
        machine.say("its disk is written");
        for scenario in chosen {
            let began = Instant::now();
            if scenario.from == Up {
                machine.is_up();
            }
            (scenario.run)(&mut machine, &choice);
            let name = scenario.name.replace('_', " ");
            machine.say(&format!("PROVEN: {name} ({} s)", began.elapsed().as_secs()));
            count += 1;
        }
    }
    assert!(count > 0, "nothing is proven by that choice");
}
