//! A machine with two directories: `pair.sh` says what is changed, the model of FAT is what it is changed on.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::Mutex;

use hoopy_boot::extlinux::loader::{self, Program, block, once};
use hoopy_boot::extlinux::{self, Label, ONCE, TRIAL};
use hoopy_boot::pair::{SHELL, SlotName};
use hoopy_boot::pi::firmware::{BOARDS, start};
use hoopy_boot::pi::{self, MARK};

use super::fat::{Cut, Disk};

/// What stands in for the commands that change the card: each does it, and writes it down.
const RECORD: &str = r#"
put() {
	set -- "$1" "$(ls "$LOG" | wc -l)"
	cat >"$LOG/$2"
	command cp "$LOG/$2" "$1"
	echo "put $2 $1" >>"$LOG/log"
}
put_sector() {
	set -- "$1" "$2" "$(ls "$LOG" | wc -l)"
	cat >"$LOG/$3"
	command dd if="$LOG/$3" of="$1" bs=512 seek="$2" conv=notrunc 2>/dev/null
	echo "sector $3 $1 $2" >>"$LOG/log"
}
rm() { for file; do [ "$file" = -f ] || { command rm -f "$file"; echo "rm $file" >>"$LOG/log"; }; done; }
mv() { command mv "$@"; echo "mv $2 $3" >>"$LOG/log"; }
find() { command find "$@"; }
sync() { :; }
"#;

/// Who starts the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Pi,
    Syslinux,
    UBoot,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Pi, Self::Syslinux, Self::UBoot];

    const fn config(self) -> &'static str {
        match self {
            Self::Pi => pi::CONFIG,
            Self::Syslinux | Self::UBoot => extlinux::CONFIG,
        }
    }
}

/// syslinux' own file: something, and its two blocks.
const LDLINUX: &str = "ldlinux.sys";

/// Files of an image: their names begin the same, their contents say which image it is.
pub fn image(number: u32) -> BTreeMap<&'static str, Vec<u8>> {
    let content = |name: &str, lines: usize| format!("{name} of image {number}\n").repeat(lines).into_bytes();
    let names = [
        "nas.efi",
        "vmlinuz",
        "initramfs",
        "cmdline.txt",
        "bcm2837-rpi-3-b.dtb",
        "overlays/README",
        "dtbs/x/board.dtb",
    ];
    names.into_iter().zip([60, 9, 50, 1, 4, 2, 3]).map(|(name, lines)| (name, content(name, lines))).collect()
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
    Sector(String, usize, Vec<u8>),
}

#[derive(Clone)]
pub struct Machine {
    pub kind: Kind,
    pub disk: Disk,
    /// The image's own lines of config.txt.
    pub owner_of_image: Option<&'static str>,
}

impl Machine {
    /// As `hoopy disk` makes it.
    pub fn new(kind: Kind, owner: &str) -> Self {
        let mut disk = Disk::new(1024);
        match kind {
            Kind::Pi => {
                for name in ["bootcode.bin", "start.elf", "fixup.dat"] {
                    disk.put(name, name.as_bytes()).unwrap();
                }
                disk.put(pi::CONFIG, pi::config(owner, SlotName::A).as_bytes()).unwrap();
            }
            Kind::Syslinux | Kind::UBoot => {
                if kind == Kind::Syslinux {
                    disk.put(LDLINUX, &[vec![7; 512], block(""), block("")].concat()).unwrap();
                }
                let cmdline = String::from_utf8(image(1)["cmdline.txt"].clone()).unwrap();
                let label = Label { slot: SlotName::A, cmdline: cmdline.trim_end(), has_trees: true };
                disk.put(extlinux::CONFIG, extlinux::config(&label, None).as_bytes()).unwrap();
            }
        }
        for (name, content) in image(1) {
            disk.put(&format!("a/{name}"), &content).unwrap();
        }
        disk.put("a/hoopy.txt", b"1\n").unwrap();
        disk.put("a/good", b"good\n").unwrap();
        Self { kind, disk, owner_of_image: None }
    }

    /// What these commands of the shell change. They are run once for each card that looks different to them: the parts of
    /// an image are only ever removed.
    pub fn script(&self, commands: &str, slot: &SlotName) -> Vec<Change> {
        static DONE: Mutex<BTreeMap<String, Vec<Change>>> = Mutex::new(BTreeMap::new());
        let is_part = |path: &String| image(1).keys().any(|name| path.ends_with(name));
        // The command line becomes a part of extlinux.conf.
        let is_read = |path: &String| !is_part(path) || path.ends_with("/cmdline.txt");
        let seen = |path: &String| self.disk.read(path).filter(|_| is_read(path));
        let files: Vec<_> = self.disk.paths().into_iter().map(|path| (seen(&path), path)).collect();
        let key = format!("{commands} {slot:?} {files:?}");
        if let Some(changes) = DONE.lock().unwrap().get(&key) {
            return changes.clone();
        }
        let changes = self.run_script(commands, *slot, &files);
        DONE.lock().unwrap().insert(key, changes.clone());
        changes
    }

    fn run_script(&self, commands: &str, slot: SlotName, files: &[(Option<Vec<u8>>, String)]) -> Vec<Change> {
        let home = tempfile::tempdir().unwrap();
        let (card, log) = (home.path().join("card"), home.path().join("log"));
        fs::create_dir_all(card.join("a")).unwrap();
        fs::create_dir_all(card.join("b")).unwrap();
        fs::create_dir_all(&log).unwrap();
        for (content, path) in files {
            fs::create_dir_all(card.join(path).parent().unwrap()).unwrap();
            fs::write(card.join(path), content.as_deref().unwrap_or(b"a part")).unwrap();
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
                "sector" => {
                    let content = fs::read(log.join(next())).unwrap();
                    Change::Sector(next(), next().parse().unwrap(), content)
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
                Change::Sector(path, sector, content) => {
                    self.disk.overwrite(&path, 512 * sector, &content)?
                }
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
        let text = self.disk.text(self.kind.config()).unwrap();
        match self.kind {
            Kind::Pi => pi::slot_of(&text).unwrap(),
            Kind::Syslinux | Kind::UBoot => extlinux::slot_of(&text).unwrap(),
        }
    }

    /// As `hoopy deploy` does it: the slot is emptied, the image put together and taken apart, and then named.
    pub fn deploy(&mut self, number: u32, fuse: Option<usize>) -> Result<(), Cut> {
        let slot = self.started().other();
        self.cut_after(fuse, |machine| {
            machine.run("pair_clear $SLOT", slot)?;
            let files = image(number).into_iter().map(|(name, content)| (name.to_owned(), content));
            let owner =
                machine.owner_of_image.map(|text| ("config.txt".to_owned(), text.as_bytes().to_vec()));
            let put = |(name, content)| Change::Put(format!("{}/{name}", slot.directory()), content);
            let changes = files.chain(owner).map(put).collect();
            machine.change(changes)?;
            machine.run(&format!("pair_stage $SLOT {number}"), slot)
        })
    }

    /// What `hoopy deploy --reboot` does after the copy: it marks the slot as tried, asks the loader for a trial, and reboots; the
    /// flag of a Raspberry Pi's firmware is in the board.
    pub fn try_staged(&mut self, fuse: Option<usize>) -> Result<Outcome, Cut> {
        if !self.ask_for_trial(fuse)? {
            return Ok(Outcome::Nothing);
        }
        Ok(self.boot(true).map_or(Outcome::Stuck, Outcome::Started))
    }

    /// All of that but the reboot; whether there was something to try.
    pub fn ask_for_trial(&mut self, fuse: Option<usize>) -> Result<bool, Cut> {
        let slot = self.started().other();
        let whole =
            self.disk.text(&format!("{}/hoopy.txt", slot.directory())).filter(|text| !text.is_empty());
        let [tried, good] =
            ["tried", "good"].map(|name| self.disk.read(&format!("{}/{name}", slot.directory())));
        if whole.is_none() || tried.is_some() || good.is_some() {
            return Ok(false);
        }
        self.cut_after(fuse, |machine| machine.run("pair_try $SLOT", slot))?;
        Ok(true)
    }

    /// As the service of the image that runs does it, which looks for its own name first.
    pub fn bless(&mut self, number: u32, fuse: Option<usize>) -> Result<(), Cut> {
        let own = |slot: &SlotName| {
            self.disk.text(&format!("{}/hoopy.txt", slot.directory())) == Some(format!("{number}\n"))
        };
        let Some(slot) = SlotName::ALL.into_iter().find(own) else { return Ok(()) };
        self.cut_after(fuse, |machine| machine.run("pair_bless $SLOT", slot))
    }

    pub fn rollback(&mut self, fuse: Option<usize>) -> Result<(), Cut> {
        let slot = self.started().other();
        self.cut_after(fuse, |machine| machine.run("pair_back $SLOT", slot))
    }

    /// The kernel that the loader starts. syslinux and U-Boot take the wish for a trial back first.
    fn kernel(&mut self, tryboot: bool) -> Result<String, String> {
        let (program, is_trial) = match self.kind {
            Kind::Pi => {
                let started = start(&BOARDS[0], tryboot, &|path| self.disk.read(path));
                return started.map(|started| started.kernel).map_err(|e| e.to_string());
            }
            Kind::Syslinux => {
                let file = self.disk.read(LDLINUX).unwrap();
                let wish = once(&file);
                if wish.is_some() {
                    let nothing = [block(""), block("")].concat();
                    self.disk.overwrite(LDLINUX, file.len() - nothing.len(), &nothing).unwrap();
                }
                (Program::Syslinux, wish.as_deref() == Some("trial"))
            }
            Kind::UBoot => {
                let wish = self.disk.read(ONCE).is_some();
                self.disk.remove(ONCE).unwrap();
                (Program::UBoot, wish)
            }
        };
        let file = if is_trial { TRIAL } else { extlinux::CONFIG };
        let started = loader::start(program, file, &|path| self.disk.read(path.trim_start_matches('/')));
        let started = started.map_err(|e| e.to_string())?;
        let slot = started.kernel.trim_start_matches('/').split('/').next().unwrap_or_default();
        let line = self.disk.text(&format!("{slot}/cmdline.txt")).unwrap_or_default();
        let expected = format!("hoopy.slot={slot} {}", line.trim_end());
        if started.cmdline != expected {
            return Err(format!("expected the arguments {expected:?}, found {:?}", started.cmdline));
        }
        Ok(started.kernel.trim_start_matches('/').to_owned())
    }

    /// What the loader starts: the image whose files it is made of, every one of which is whole.
    pub fn boot(&mut self, tryboot: bool) -> Result<u32, String> {
        let started = self.kernel(tryboot)?;
        let (slot, _) = started.split_once('/').ok_or("a kernel outside of the slots")?;
        let read = |name: &str| self.disk.read(&format!("{slot}/{name}"));
        let kernel = self.disk.text(&started).unwrap_or_default();
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
            let mut machine = Machine::new(Kind::Pi, "");
            machine.disk.put("config.txt", pi::config(owner, SlotName::A).as_bytes()).unwrap();
            let said = machine.script("pi_text $SLOT | put $AT/out", &slot);
            let Some(Change::Put(_, text)) = said.first() else { panic!("{said:?}") };
            assert_eq!(String::from_utf8_lossy(text), pi::config(owner, slot), "{owner:?}");
            machine.disk.put("config.txt", text).unwrap();
            let said = machine.script("pair_started | put $AT/out", &slot);
            let Some(Change::Put(_, text)) = said.first() else { panic!("{said:?}") };
            assert_eq!(String::from_utf8_lossy(text).trim(), slot.directory());
        }
    }
}

#[test]
fn both_languages_write_the_same_extlinux_conf_and_the_same_block_of_syslinux() {
    let line = String::from_utf8(image(1)["cmdline.txt"].clone()).unwrap();
    let label = |slot| Label { slot, cmdline: line.trim_end(), has_trees: true };
    for (slot, other) in [(SlotName::A, None), (SlotName::B, Some(SlotName::A))] {
        let mut machine = Machine::new(Kind::Syslinux, "");
        machine.disk.put("b/cmdline.txt", line.as_bytes()).unwrap();
        machine.disk.put("b/dtbs/x.dtb", b"tree").unwrap();
        let said = machine.script("extlinux_text $SLOT | put $AT/out", &slot);
        let Some(Change::Put(_, text)) = said.first() else { panic!("{said:?}") };
        let expected = extlinux::config(&label(slot), other.map(label).as_ref());
        assert_eq!(String::from_utf8_lossy(text), expected);
        machine.disk.put(extlinux::CONFIG, text).unwrap();
        assert_eq!(machine.started(), slot);
    }
    for command in ["trial", ""] {
        let machine = Machine::new(Kind::Syslinux, "");
        let said = machine.script(&format!("once_block '{command}' | put $AT/out"), &SlotName::A);
        let Some(Change::Put(_, bytes)) = said.first() else { panic!("{said:?}") };
        assert_eq!(*bytes, block(command), "{command:?}");
    }
}
