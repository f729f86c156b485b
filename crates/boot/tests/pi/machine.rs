//! A machine with a card: `pi.sh` says what is changed, the model of FAT is what it is changed on.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::Mutex;

use hoopy_boot::pi::firmware::{BOARDS, start};
use hoopy_boot::pi::{MARK, SHELL, SlotName, config, slot_of};

use super::fat::{Cut, Disk};

/// What stands in for the commands that change the card: each does it, and writes it down.
const RECORD: &str = r#"
put() {
	set -- "$1" "$(ls "$LOG" | wc -l)"
	cat >"$LOG/$2"
	command cp "$LOG/$2" "$1"
	echo "put $2 $1" >>"$LOG/log"
}
rm() { for file; do [ "$file" = -f ] || { command rm -f "$file"; echo "rm $file" >>"$LOG/log"; }; done; }
mv() { command mv "$@"; echo "mv $2 $3" >>"$LOG/log"; }
find() { command find "$@"; }
sync() { :; }
"#;

/// Files of an image: their names begin the same, their contents say which image it is.
pub fn image(number: u32) -> BTreeMap<&'static str, Vec<u8>> {
    let content = |name: &str, lines: usize| format!("{name} of image {number}\n").repeat(lines).into_bytes();
    let names = ["nas.efi", "vmlinuz", "initramfs", "cmdline.txt", "bcm2837-rpi-3-b.dtb", "overlays/README"];
    names.into_iter().zip([60, 9, 50, 1, 4, 2]).map(|(name, lines)| (name, content(name, lines))).collect()
}

/// What a trial led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This image runs.
    Started(u32),
    /// The board hangs until its power is cut.
    Stuck,
    /// There was nothing to try.
    Nothing,
}

/// A change of the card.
#[derive(Debug, Clone)]
pub enum Change {
    Put(String, Vec<u8>),
    Remove(String),
    Move(String, String),
}

#[derive(Clone)]
pub struct Machine {
    pub disk: Disk,
    /// The image's own lines of config.txt.
    pub owner_of_image: Option<&'static str>,
}

impl Machine {
    /// As `hoopy disk` makes it.
    pub fn new(owner: &str) -> Self {
        let mut disk = Disk::new(1024);
        for name in ["bootcode.bin", "start.elf", "fixup.dat"] {
            disk.put(name, name.as_bytes()).unwrap();
        }
        disk.put("config.txt", config(owner, SlotName::A).as_bytes()).unwrap();
        for (name, content) in image(1) {
            disk.put(&format!("a/{name}"), &content).unwrap();
        }
        disk.put("a/hoopy.txt", b"1\n").unwrap();
        disk.put("a/good", b"good\n").unwrap();
        Self { disk, owner_of_image: None }
    }

    /// What these commands of the shell change. They are run once for each card that looks different to them: the parts of
    /// an image are only ever removed.
    pub fn script(&self, commands: &str, slot: &SlotName) -> Vec<Change> {
        static DONE: Mutex<BTreeMap<String, Vec<Change>>> = Mutex::new(BTreeMap::new());
        let is_part = |path: &String| image(1).keys().any(|name| path.ends_with(name));
        let seen = |path: &String| self.disk.text(path).filter(|_| !is_part(path));
        let files: Vec<_> = self.disk.paths().into_iter().map(|path| (seen(&path), path)).collect();
        let key = format!("{commands} {slot:?} {files:?}");
        if let Some(changes) = DONE.lock().unwrap().get(&key) {
            return changes.clone();
        }
        let changes = self.run_script(commands, *slot, &files);
        DONE.lock().unwrap().insert(key, changes.clone());
        changes
    }

    fn run_script(&self, commands: &str, slot: SlotName, files: &[(Option<String>, String)]) -> Vec<Change> {
        let home = tempfile::tempdir().unwrap();
        let (card, log) = (home.path().join("card"), home.path().join("log"));
        fs::create_dir_all(card.join("a")).unwrap();
        fs::create_dir_all(card.join("b")).unwrap();
        fs::create_dir_all(&log).unwrap();
        for (content, path) in files {
            fs::create_dir_all(card.join(path).parent().unwrap()).unwrap();
            fs::write(card.join(path), content.as_deref().unwrap_or("a part")).unwrap();
        }
        let text = format!("{SHELL}\n{RECORD}\nSLOT={}\n{commands}\n", slot.directory());
        let ran = Command::new("sh").args(["-uc", &text]).env("AT", &card).env("LOG", &log).output().unwrap();
        assert!(ran.stderr.is_empty(), "{commands}: {}", String::from_utf8_lossy(&ran.stderr));
        let prefix = format!("{}/", card.display());
        let lines = fs::read_to_string(log.join("log")).unwrap_or_default();
        let change = |line: &str| {
            let mut words = line.split(' ').map(|word| word.trim_start_matches(&prefix).to_owned());
            let mut next = || words.next().unwrap_or_default();
            match next().as_str() {
                "put" => {
                    let content = fs::read(log.join(next())).unwrap();
                    Change::Put(next(), content)
                }
                "rm" => Change::Remove(next()),
                _ => Change::Move(next(), next()),
            }
        };
        lines.lines().map(change).collect()
    }

    fn change(&mut self, changes: Vec<Change>) -> Result<(), Cut> {
        for change in changes {
            match change {
                Change::Put(path, content) => self.disk.put(&path, &content)?,
                Change::Remove(path) => self.disk.remove(&path)?,
                Change::Move(from, to) => self.disk.rename(&from, &to)?,
            }
            assert!(!self.disk.is_damaged, "Linux would make the card read-only:\n{}", self.disk.listing());
        }
        Ok(())
    }

    /// With the power gone after `fuse` writes.
    fn cut_after<T>(
        &mut self,
        fuse: Option<usize>,
        act: impl FnOnce(&mut Self) -> Result<T, Cut>,
    ) -> Result<T, Cut> {
        self.disk.fuse = fuse;
        let done = act(self);
        self.disk.fuse = None;
        done
    }

    fn run(&mut self, commands: &str, slot: SlotName) -> Result<(), Cut> {
        let changes = self.script(commands, &slot);
        self.change(changes)
    }

    fn started(&self) -> SlotName {
        slot_of(&self.disk.text("config.txt").unwrap()).unwrap()
    }

    /// As `hoopy deploy` does it: the slot is emptied, the image put together and taken apart, and then named.
    pub fn deploy(&mut self, number: u32, fuse: Option<usize>) -> Result<(), Cut> {
        let slot = self.started().other();
        self.cut_after(fuse, |machine| {
            machine.run("pi_clear $SLOT", slot)?;
            let files = image(number).into_iter().map(|(name, content)| (name.to_owned(), content));
            let owner =
                machine.owner_of_image.map(|text| ("config.txt".to_owned(), text.as_bytes().to_vec()));
            let put = |(name, content)| Change::Put(format!("{}/{name}", slot.directory()), content);
            let changes = files.chain(owner).map(put).collect();
            machine.change(changes)?;
            machine.run(&format!("pi_stage $SLOT {number}"), slot)
        })
    }

    /// What `hoopy deploy --reboot` does after the copy: it marks the slot as tried, then sets the firmware's flag and reboots.
    pub fn try_staged(&mut self, fuse: Option<usize>) -> Result<Outcome, Cut> {
        let slot = self.started().other();
        let whole =
            self.disk.text(&format!("{}/hoopy.txt", slot.directory())).filter(|text| !text.is_empty());
        let [tried, good] =
            ["tried", "good"].map(|name| self.disk.read(&format!("{}/{name}", slot.directory())));
        if whole.is_none() || tried.is_some() || good.is_some() {
            return Ok(Outcome::Nothing);
        }
        self.cut_after(fuse, |machine| machine.run("pi_try $SLOT", slot))?;
        Ok(self.boot(true).map_or(Outcome::Stuck, Outcome::Started))
    }

    /// As the service of the image that runs does it, which looks for its own name first.
    pub fn bless(&mut self, number: u32, fuse: Option<usize>) -> Result<(), Cut> {
        let own = |slot: &SlotName| {
            self.disk.text(&format!("{}/hoopy.txt", slot.directory())) == Some(format!("{number}\n"))
        };
        let Some(slot) = SlotName::ALL.into_iter().find(own) else { return Ok(()) };
        self.cut_after(fuse, |machine| machine.run("pi_bless $SLOT", slot))
    }

    pub fn rollback(&mut self, fuse: Option<usize>) -> Result<(), Cut> {
        let slot = self.started().other();
        self.cut_after(fuse, |machine| machine.run("pi_back $SLOT", slot))
    }

    /// What the firmware starts: the image whose files it is made of, every one of which is whole.
    pub fn boot(&self, tryboot: bool) -> Result<u32, String> {
        let started = start(&BOARDS[0], tryboot, &|path| self.disk.read(path)).map_err(|e| e.to_string())?;
        let (slot, _) = started.kernel.split_once('/').ok_or("a kernel outside of the slots")?;
        let read = |name: &str| self.disk.read(&format!("{slot}/{name}"));
        let kernel = self.disk.text(&started.kernel).unwrap_or_default();
        let words = kernel.lines().next().unwrap_or_default().rsplit(' ').next().unwrap_or_default();
        let number = words.parse().map_err(|_| format!("no kernel: {kernel:?}"))?;
        for (name, content) in image(number) {
            if read(name).as_ref() != Some(&content) {
                return Err(format!("{slot}/{name} is not that of image {number}"));
            }
        }
        Ok(number)
    }
}

#[test]
fn both_languages_write_the_same_config_txt() {
    assert!(SHELL.contains(&format!("PI_MARK='{MARK}'")));
    for owner in ["", "dtparam=audio=on\n", "[pi4]\nos_prefix=a/"] {
        for slot in SlotName::ALL {
            let mut machine = Machine::new("");
            machine.disk.put("config.txt", config(owner, SlotName::A).as_bytes()).unwrap();
            let said = machine.script("pi_config $SLOT | put $AT/out", &slot);
            let Some(Change::Put(_, text)) = said.first() else { panic!("{said:?}") };
            assert_eq!(String::from_utf8_lossy(text), config(owner, slot), "{owner:?}");
            machine.disk.put("config.txt", text).unwrap();
            let said = machine.script("pi_slot_of config.txt | put $AT/out", &slot);
            let Some(Change::Put(_, text)) = said.first() else { panic!("{said:?}") };
            assert_eq!(String::from_utf8_lossy(text).trim(), slot.directory());
        }
    }
}
