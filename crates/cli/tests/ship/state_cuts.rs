//! Power cuts over the first copy of state, over `hoopyd backup`, and over a restore: whatever the disk has then, its state is
//! the old one or the new one, whole, and so is each backup.
//!
//! ```text
//! a machine, whose writes are recorded:   first copy ─▶ backups ─▶ a restore is sent ─▶ boot: it is put in place
//! for each cut:   the record up to there ─▶ e2fsck, as a mount would ─▶ look ─▶ the agent's next boot ─▶ look again
//! ```
//!
//! Every second cut keeps the order of the writes, and the last one is torn. The others lose what a disk may lose that has a
//! cache: of all that was written since the last flush, some sectors are there and some are not.

mod found;
mod plug;
mod replay;

use std::fs;
use std::path::Path;

use hoopy_backup::{Manifest, Source, seal, write};
use hoopy_boot::state::{BEFORE, KEPT, RESTORE};
use hoopy_secrets::{Identities, NoPrompt, Secrets};

use crate::choice::Choice;
use crate::machine::{Machine, succeeds, toml};
use crate::power::Treated;
use crate::random::Random;
use crate::record::entries;
use found::{Files, Known, Partition, files};
use replay::Replay;

/// Cuts of each of the four phases, where all of it is proven, and in the short form.
const EACH: [usize; 2] = [100, 8];

/// Backups that the machine makes, and how many it keeps.
const BACKUPS: usize = 4;
const KEEP: usize = 2;

/// What is kept: the image has files of the first, and nothing of the second.
const DIRECTORIES: [&str; 2] = ["var/lib/app", "var/lib/more"];

/// Files of the first, and their sizes: some take one block, some many.
const FILES: usize = 60;
const LARGEST: usize = 60_000;

fn prepare(machine: &Machine) {
    machine.set("root/etc/fstab", "LABEL=persist /persist ext4 noatime 0 0\n", 0o644);
    machine.set("state", &DIRECTORIES.map(|path| format!("/{path}\n")).concat(), 0o644);
    let backup = format!("[backup]\nto = \"/persist/backups\"\nkeep = {KEEP}\n");
    machine.set("hoopy.toml", &(toml("single", "") + "[secrets]\nopen = \"owner\"\n" + &backup), 0o644);
    fill(&machine.home.path("hello/root/var/lib/app"), "image");
    succeeds(machine.command("secret", &["init"]), "");
}

/// Files that say whose they are in each of their blocks.
fn fill(dir: &Path, whose: &str) {
    fs::create_dir_all(dir.join("deep/er")).unwrap();
    for number in 0..FILES {
        let name = format!("{}{number}", if number % 3 == 0 { "deep/er/" } else { "" });
        let size = LARGEST * (number * number) / (FILES * FILES) + 1;
        let line = format!("{whose}, file {number}, {}\n", number * 7919);
        fs::write(dir.join(name), line.repeat(size / line.len() + 1)).unwrap();
    }
    std::os::unix::fs::symlink("deep/er/0", dir.join("link")).unwrap();
}

/// Writes the backup that is restored: its files belong to whoever runs this, who has to unpack it too.
fn saved(machine: &Machine, file: &Path) -> Files {
    let dirs = DIRECTORIES.map(|path| machine.home.path("saved").join(path));
    fill(&dirs[0], "saved");
    fs::create_dir_all(&dirs[1]).unwrap();
    let found = files(&dirs[0]);
    let recipients = Secrets::read(&machine.home.path("hello")).unwrap().unwrap().recipients;
    let manifest = Manifest::new("vm", "vm-2026112901", 0, DIRECTORIES.map(str::to_owned).to_vec());
    let paths = DIRECTORIES.map(str::to_owned).into_iter();
    let sources: Vec<Source> = paths.zip(dirs).map(|(path, dir)| Source { path, dir }).collect();
    seal(file, &recipients, &NoPrompt, |out| write(out, &manifest, &sources).map(|_| ())).unwrap();
    found
}

fn known(machine: &Machine) -> Known {
    let mut owner = Identities::default();
    let key = fs::read(machine.home.path(".config/age/hoopy.txt")).unwrap();
    owner.add_file(&key, "hoopy.txt", &NoPrompt).unwrap();
    let saved = saved(machine, &machine.home.path("saved.tar.zst.age"));
    Known { image: files(&machine.home.path("hello/root/var/lib/app")), saved, owner }
}

/// Where the record of a machine's writes is by now.
fn mark(machine: &Machine, record: &Path) -> usize {
    machine.asks("sync");
    fs::metadata(record).unwrap().len() as usize
}

#[test]
#[ignore = "boots a machine"]
fn a_power_cut_at_any_write_leaves_the_old_state_or_the_new_one() {
    let choice = Choice::from_environment();
    let each = EACH[usize::from(!choice.full)];
    let mut machine = Machine::with(choice.arch, "single", prepare);
    let known = known(&machine);
    let partition = Partition::of(&machine, "flushed");
    let records = ["first", "second"].map(|name| machine.home.path(name));
    machine.start_with(&Treated::Recorded(records[0].clone()));
    let mut marks = vec![mark(&machine, &records[0])];
    machine.asks("mkdir /persist/backups && sync");
    for _ in 0..BACKUPS {
        // Their names have seconds.
        machine.asks("sleep 1 && /usr/libexec/hoopy/hoopyd backup");
        marks.push(mark(&machine, &records[0]));
    }
    succeeds(machine.command("restore", &["vm", "../saved.tar.zst.age"]), "");
    marks.push(mark(&machine, &records[0]));
    machine.kill();
    machine.start_with(&Treated::Recorded(records[1].clone()));
    let last = mark(&machine, &records[1]);
    machine.kill();
    machine.say("its writes are recorded");
    let [first, second] = records.map(|record| fs::read(record).unwrap());
    let at: Vec<usize> = marks.iter().map(|mark| entries(&first[..*mark]).len()).collect();
    let (first, second) = (entries(&first), entries(&second[..last]));
    let cut = machine.home.path("cut.img");
    let mut replay =
        Replay { partition, random: Random(choice.seed), cache: Vec::new(), cut, cuts: 0, disordered: 0 };
    let image = machine.home.path("hello/root");
    let (old, new) = (&[&known.image][..], &[&known.image, &known.saved][..]);

    let mut began = [0; 2];
    replay.phase(&first[..at[0]], each, &mut |found, cut| {
        // What has its name is whole, at each instant.
        let there = found.state(KEPT, old, cut).map_or(0, |there| there.len());
        began[usize::from(there == DIRECTORIES.len())] += 1;
        assert_eq!(found.after_the_next_boot(&image, old, cut), 0);
    });
    machine.say(&format!("first copy: {each} cuts, {} of them before all of it was there", began[0]));

    let each_backup = each.div_ceil(BACKUPS);
    for n in 0..BACKUPS {
        replay.phase(&first[at[n]..at[n + 1]], each_backup, &mut |found, cut| {
            let backups = found.backups(&known, cut);
            assert!((n.min(KEEP)..=KEEP + 1).contains(&backups), "{cut}: {backups} backups after {n}");
            assert_eq!(found.state(KEPT, old, cut).unwrap().len(), DIRECTORIES.len());
        });
    }
    machine.say(&format!("{BACKUPS} backups: {} cuts", BACKUPS * each_backup));

    let mut sent = [0; 2];
    replay.phase(&first[at[BACKUPS]..at[BACKUPS + 1]], each, &mut |found, cut| {
        assert_eq!(found.state(KEPT, old, cut).unwrap().len(), DIRECTORIES.len());
        let is_there = found.home(RESTORE).exists();
        sent[usize::from(is_there)] += 1;
        assert_eq!(found.after_the_next_boot(&image, new, cut), usize::from(is_there), "{cut}");
    });
    machine.say(&format!("a restore is sent: {each} cuts, {} of them before it had arrived", sent[0]));

    replay.flush();
    let mut restored = [0; 3];
    replay.phase(&second, each, &mut |found, cut| {
        let state = found.state(KEPT, new, cut);
        let kind = |state: &[(String, usize)]| {
            assert_eq!(state.len(), DIRECTORIES.len(), "{cut}: {state:?}");
            state.iter().find(|(name, _)| name == "var-lib-app").unwrap().1
        };
        // Between two renames there is no state under its name: the unpacked one stands ready beside it.
        restored[state.as_deref().map_or(2, kind)] += 1;
        assert_eq!(found.after_the_next_boot(&image, new, cut), 1, "{cut}");
        let before = found.state(BEFORE, old, cut);
        assert_eq!(before.map(|state| state.len()), Some(DIRECTORIES.len()), "{cut}: the old state is gone");
    });
    let cut = replay.whole();
    assert_eq!(cut.state(KEPT, new, "the end").unwrap().len(), DIRECTORIES.len());
    assert_eq!(
        files(&cut.home(KEPT).join("var-lib-app")),
        known.saved,
        "the record is not all that was written"
    );
    let [before, after, between] = restored;
    machine
        .say(&format!("it is put in place: {each} cuts: {before} before, {between} between, {after} after"));
    let (cuts, disordered) = (replay.cuts, replay.disordered);
    machine.say(&format!(
        "seed {}: {cuts} cuts, {disordered} of them with writes lost out of order: nothing is lost",
        choice.seed
    ));
}
