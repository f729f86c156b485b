//! Every instant of a deploy, not some: all that the machine writes to its disk is recorded, then written again to a
//! copy, sector by sector, and after each sector the copy is looked at, as if the power had gone just then.
//!
//! It has the order in which the machine gave its writes to the disk; a disk that keeps another order between two flushes
//! is not tried here.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::process::Command;

use crate::choice::Choice;
use crate::esp::{Esp, digests};
use crate::machine::{Machine, succeeds};
use crate::power::Treated;
use crate::record::{Entry, SECTOR, entries};

/// SHA-256 of nothing.
const NOTHING: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A deploy, and a rollback.
pub fn every_sector_that_is_written_leaves_an_image_to_start(machine: &mut Machine, _: &Choice) {
    machine.kill();
    let (copy, record) = (machine.home.path("copy.img"), machine.home.path("writes"));
    let copied = Command::new("cp").arg("--sparse=always").args([machine.disk(), copy.as_path()]).status();
    assert!(copied.unwrap().success());
    machine.start_with(&Treated::Recorded(record.clone()));
    machine.is_well();
    machine.set("root/etc/motd", "every sector\n", 0o644);
    let new = machine.build();
    succeeds(machine.command("deploy", &["--quiet"]), "");
    assert!(machine.starts(&new.name, &new.digest, &machine.esp().images()));
    succeeds(machine.command("rollback", &["--quiet"]), "");
    machine.kill();
    let loader = machine.loader();
    let mut known = digests(&machine.home.path("hello/images"));
    known.extend(loader.iter().map(|file| Esp::of(&copy).digest(file)));
    let mut replay = Replay::new(machine, &copy, known);
    for entry in entries(&fs::read(&record).unwrap()) {
        if let Entry::Write { offset, data, .. } = entry {
            replay.write(offset, data);
        }
    }
    let now = Esp::of(&copy).images();
    assert_eq!(now, machine.esp().images(), "the record is not all that was written");
    let Replay { entries, looks, digested, empty, .. } = replay;
    machine.say(&format!(
        "{entries} writes of a deploy and a rollback: at each of {looks} instants an image is there to start, and no \
         file is anything but a whole image ({digested} were read), or empty ({empty} times)"
    ));
    an_empty_file_is_passed_over(machine);
}

/// As a cut in the middle of a rename leaves it: under a name that would be the first to be started.
fn an_empty_file_is_passed_over(machine: &mut Machine) {
    if machine.layout != "ab" {
        // The firmware starts one name, which is never new.
        return machine.start();
    }
    let name = "EFI/Linux/vm-9999123199+3.efi";
    machine.esp().put(name, 0);
    machine.start();
    machine.kill();
    machine.esp().remove(name);
    machine.start();
}

/// A copy of the disk that is written to again.
struct Replay<'a> {
    machine: &'a Machine,
    disk: File,
    esp: Esp,
    known: BTreeSet<String>,
    /// Where the partition's data begins on the disk, and how long a cluster is.
    data: u64,
    cluster: u64,
    /// Where the directories lie.
    directories: Vec<Range<u64>>,
    /// Whole images, by where they lie and how long they are: whatever is written there makes the answer void.
    whole: HashMap<(Vec<Range<u64>>, u64), String>,
    entries: u64,
    looks: u64,
    digested: u64,
    /// How often a file was empty: Linux writes a name that is new on FAT with no clusters first, and with the file's
    /// then (fs/fat/namei_vfat.c, `vfat_rename`).
    empty: u64,
}

impl<'a> Replay<'a> {
    fn new(machine: &'a Machine, copy: &std::path::Path, known: BTreeSet<String>) -> Self {
        let disk = File::options().read(true).write(true).open(copy).unwrap();
        let esp = Esp::of(copy);
        let (data, cluster) = esp.geometry(&disk);
        let (directories, whole) = (Vec::new(), HashMap::new());
        let (entries, looks, digested, empty) = (0, 0, 0, 0);
        let mut replay = Self {
            machine,
            disk,
            esp,
            known,
            data,
            cluster,
            directories,
            whole,
            entries,
            looks,
            digested,
            empty,
        };
        replay.look();
        replay
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        self.entries += 1;
        let end = offset + data.len() as u64;
        let touched = |places: &[Range<u64>]| places.iter().any(|p| p.start < end && offset < p.end);
        let before = self.whole.len();
        self.whole.retain(|(places, _), _| !touched(places));
        if offset >= self.data && !touched(&self.directories) {
            self.disk.write_all_at(data, offset).unwrap();
            // Contents of a file: where it has no name that something could be started by, nothing is another than before.
            return if self.whole.len() < before { self.look() } else { self.looks += 1 };
        }
        let mut before = vec![0; SECTOR];
        for (n, sector) in data.chunks(SECTOR).enumerate() {
            let at = offset + (n * SECTOR) as u64;
            self.disk.read_exact_at(&mut before, at).unwrap();
            if before != sector {
                self.disk.write_all_at(sector, at).unwrap();
                self.look();
            }
        }
    }

    /// What would be found if the power had gone now.
    fn look(&mut self) {
        self.looks += 1;
        let mut files = BTreeMap::new();
        let bytes = |clusters: &[Range<u64>]| -> Vec<Range<u64>> {
            let at = |cluster: u64| self.data + (cluster - 2) * self.cluster;
            clusters.iter().map(|range| at(range.start)..at(range.end)).collect()
        };
        let directories = bytes(&self.esp.directories());
        let found: Vec<_> = self.esp.places().into_iter().map(|(path, at)| (path, bytes(&at))).collect();
        self.directories = directories;
        for (path, places) in found {
            if places.is_empty() {
                assert_eq!(self.esp.digest(&path), NOTHING, "write {}: {path} has no clusters", self.entries);
                self.empty += 1;
                continue;
            }
            let lies = (places, self.esp.size(&path));
            let digest = self.whole.get(&lies).cloned().unwrap_or_else(|| {
                self.digested += 1;
                self.esp.digest(&path)
            });
            assert!(
                self.known.contains(&digest),
                "write {}, look {}: {path} is no whole image",
                self.entries,
                self.looks
            );
            self.whole.insert(lies, digest.clone());
            files.insert(path, digest);
        }
        let (efi, _) = self.machine.single_names();
        assert!(files.contains_key(&efi), "write {}: there is no {efi}: {:?}", self.entries, files.keys());
        let is_image = |path: &String| self.machine.layout == "single" || path.starts_with("EFI/Linux/");
        let starts = |path: &String| is_image(path) && !path.contains("+0-");
        assert!(files.keys().any(starts), "write {}: nothing to start: {:?}", self.entries, files.keys());
    }
}
