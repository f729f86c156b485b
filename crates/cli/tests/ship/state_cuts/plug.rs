//! The same with plugs that are pulled: QEMU is killed at random instants.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hoopy_boot::state::KEPT;

use super::found::{Found, Partition};
use super::{DIRECTORIES, KEEP, known, prepare};
use crate::choice::Choice;
use crate::machine::Machine;
use crate::power::{Hardware, Plug, Treated};
use crate::random::Random;

/// Between two looks at the console.
const PAUSE: Duration = Duration::from_millis(20);

/// Longer than the first copy takes, emulated on a busy machine: some cuts come after it.
const WINDOW: Duration = Duration::from_millis(700);

/// No boot takes as long.
const LONGEST: Duration = Duration::from_secs(700);

#[test]
#[ignore = "boots a machine"]
fn a_plug_pulled_during_the_first_copy_or_a_backup_loses_nothing() {
    let choice = Choice::from_environment();
    let mut random = Random(choice.seed);
    let mut machine = Machine::with(choice.arch, "single", prepare);
    let known = known(&machine);
    let mut partition = Partition::of(&machine, "found");
    let pristine = machine.home.path("pristine");
    let copy = |from: &Path, to: &Path| {
        assert!(Command::new("cp").arg("--sparse=always").arg(from).arg(to).status().unwrap().success());
    };
    copy(machine.disk(), &pristine);
    let (image, old) = (machine.home.path("hello/root"), &[&known.image][..]);
    for n in 0..choice.kills {
        let first = n % 2 == 0;
        let wait = if first {
            copy(&pristine, machine.disk());
            during_the_first_copy(&machine, &choice, &mut random)
        } else {
            during_a_backup(&mut machine, &mut random)
        };
        partition.copy(machine.disk());
        let found = Found::of(&partition.path);
        let what = if first { "the first copy" } else { "a backup" };
        let at = format!("cut {n}, {wait:.2?} into {what}");
        let there = found.state(KEPT, old, &at).map_or(0, |there| there.len());
        let backups = found.backups(&known, &at);
        if !first {
            assert!((1..=KEEP + 1).contains(&backups), "{at}: {backups} backups");
            assert_eq!(there, DIRECTORIES.len(), "{at}");
        }
        assert_eq!(found.after_the_next_boot(&image, old, &at), 0);
        machine.say(&format!("{at}: {there} directories and {backups} backups, all whole"));
    }
    machine.start();
    assert_eq!(
        machine.asks("/etc/hoopy/health.d/hoopy-state"),
        "state is there: /var/lib/app, /var/lib/more"
    );
    machine.kill();
    machine.say(&format!("seed {}: {} power cuts, no data lost", choice.seed, choice.kills));
}

/// Switches the machine on, and pulls its plug from the moment on that its service begins; how long after that.
fn during_the_first_copy(machine: &Machine, choice: &Choice, random: &mut Random) -> Duration {
    let log = machine.home.path("console-cut.log");
    let _ = fs::remove_file(&log);
    let plug = Plug::new(choice.arch, machine.disk(), &Treated::Plainly, &Hardware::default(), log.clone());
    let begun = Instant::now();
    let said = || fs::read(&log).is_ok_and(|said| memchr::memmem::find(&said, b"Binding state").is_some());
    while !said() && begun.elapsed() < LONGEST {
        std::thread::sleep(PAUSE);
    }
    assert!(said(), "the service of the state did not start");
    let wait = random.within(WINDOW);
    std::thread::sleep(wait);
    drop(plug);
    wait
}

/// Lets the machine make a backup, and pulls its plug while it makes the next one, or just after that.
fn during_a_backup(machine: &mut Machine, random: &mut Random) -> Duration {
    const BACKUP: &str = "/usr/libexec/hoopy/hoopyd backup";
    machine.start();
    machine.asks("mkdir -p /persist/backups && sync");
    let begun = Instant::now();
    machine.asks(BACKUP);
    let wait = random.within(begun.elapsed().mul_f64(1.2));
    machine.asks("sync && sleep 1");
    let ssh = machine.home.path("bin/ssh");
    let mut command = machine.home.command_of(&ssh, &["-o", "BatchMode=yes", "vm", BACKUP]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(wait);
    machine.kill();
    let _ = child.wait();
    wait
}
