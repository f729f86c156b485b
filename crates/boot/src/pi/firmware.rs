//! What the firmware of a Raspberry Pi makes of a card: a model of its documented rules.
//!
//! Source: Raspberry Pi's documentation, "config.txt": "Conditional filters", "Boot options" (`os_prefix`,
//! `overlay_prefix`, `initramfs`), "autoboot.txt", and "Fail-safe OS updates (TRYBOOT)". QEMU has no such firmware, so this
//! is what a card is checked against before anybody carries it to a board. Where the documentation is silent, the model
//! takes the case that starts nothing.

/// Characters of a line that are read.
const LINE: usize = 98;

/// How deep files may include others.
const INCLUDES: usize = 8;

/// A board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Board {
    /// As people call it.
    pub name: &'static str,
    /// The filters that hold for it: a 3B+ sees `[pi3]` and `[pi3+]`.
    pub filters: &'static [&'static str],
    /// Files that it needs besides, whichever slot is started.
    pub needs: &'static [&'static str],
    /// The device trees that it looks for: Raspberry Pi's name, and the mainline kernel's.
    pub trees: [&'static str; 2],
}

/// Boards that a 64-bit kernel runs on.
pub const BOARDS: [Board; 4] = [
    Board {
        name: "Raspberry Pi 3B",
        filters: &["pi3"],
        needs: &["bootcode.bin", "start.elf", "fixup.dat"],
        trees: ["bcm2710-rpi-3-b.dtb", "bcm2837-rpi-3-b.dtb"],
    },
    Board {
        name: "Raspberry Pi 3B+",
        filters: &["pi3", "pi3+"],
        needs: &["bootcode.bin", "start.elf", "fixup.dat"],
        trees: ["bcm2710-rpi-3-b-plus.dtb", "bcm2837-rpi-3-b-plus.dtb"],
    },
    Board {
        name: "Raspberry Pi 4B",
        filters: &["pi4"],
        needs: &["start4.elf", "fixup4.dat"],
        trees: ["bcm2711-rpi-4-b.dtb", "bcm2711-rpi-4-b.dtb"],
    },
    Board {
        name: "Raspberry Pi 5",
        filters: &["pi5"],
        needs: &["config.txt"],
        trees: ["bcm2712-rpi-5-b.dtb", "bcm2712-rpi-5-b.dtb"],
    },
];

/// What config.txt says of what is started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// In front of the names of all that belongs to the system.
    pub os_prefix: String,
    /// In front of the names of overlays, behind that.
    pub overlay_prefix: Option<String>,
    /// The kernel.
    pub kernel: Option<String>,
    /// The initramfs.
    pub initramfs: Option<String>,
    /// The file with the command line.
    pub cmdline: Option<String>,
    /// Whether the kernel is a 64-bit one.
    pub is_64bit: bool,
}

/// What is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// The kernel's path on the card.
    pub kernel: String,
    /// The initramfs, where one is named.
    pub initramfs: Option<String>,
    /// The file with the command line.
    pub cmdline: String,
    /// The device tree.
    pub tree: String,
    /// Where overlays are taken from.
    pub overlays: String,
}

/// Why a board starts nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {board} would not start: {lacks} is not on the card")]
pub struct Stuck {
    /// The board.
    pub board: &'static str,
    /// The file that is missing.
    pub lacks: String,
}

/// Reads a file of the card.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> Option<Vec<u8>>;

/// What `board` starts from this card; `tryboot` is the flag of the reboot that led here.
///
/// # Errors
/// [`Stuck`].
pub fn start(board: &Board, tryboot: bool, read: ReadFile<'_>) -> Result<Started, Stuck> {
    let stuck = |lacks: String| Stuck { board: board.name, lacks };
    let has = |path: &str| read(path).is_some();
    if let Some(lacks) = board.needs.iter().find(|path| !has(path)) {
        return Err(stuck((*lacks).to_owned()));
    }
    let text = |path: &str| read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let autoboot = Reader::new(board, tryboot).lines(&text("autoboot.txt").unwrap_or_default());
    let whole_partitions = autoboot.iter().any(|line| line.replace(' ', "") == "tryboot_a_b=1");
    let file = if tryboot && !whole_partitions { "tryboot.txt" } else { "config.txt" };
    let config = text(file).ok_or_else(|| stuck(file.to_owned()))?;
    let settings = settings(&config, board, tryboot, read);
    let kernel = settings.kernel.clone();
    let kernel =
        kernel.unwrap_or_else(|| if settings.is_64bit { "kernel8.img" } else { "kernel7.img" }.to_owned());
    // A prefix under which there is no kernel and no device tree is passed over.
    let tree = |prefix: &str| board.trees.iter().map(|name| format!("{prefix}{name}")).find(|path| has(path));
    let is_viable = |prefix: &str| has(&under(prefix, &kernel)) && tree(prefix).is_some();
    let prefix = if is_viable(&settings.os_prefix) { settings.os_prefix.as_str() } else { "" };
    let need = |name: &str| {
        Some(under(prefix, name)).filter(|path| has(path)).ok_or_else(|| stuck(under(prefix, name)))
    };
    let overlay_prefix = settings.overlay_prefix.as_deref().unwrap_or("overlays/");
    let own = has(&format!("{prefix}{overlay_prefix}README"));
    Ok(Started {
        kernel: need(&kernel)?,
        initramfs: settings.initramfs.as_deref().map(need).transpose()?,
        cmdline: need(settings.cmdline.as_deref().unwrap_or("cmdline.txt"))?,
        tree: tree(prefix).ok_or_else(|| stuck(format!("{prefix}{}", board.trees.join(" or "))))?,
        overlays: format!("{}{overlay_prefix}", if own { prefix } else { "" }),
    })
}

/// A path that begins with a slash has no prefix.
fn under(prefix: &str, name: &str) -> String {
    name.strip_prefix('/').map_or_else(|| format!("{prefix}{name}"), str::to_owned)
}

/// What this text says to `board`.
pub fn settings(config: &str, board: &Board, tryboot: bool, read: ReadFile<'_>) -> Settings {
    let mut settings = Settings::default();
    let mut reader = Reader::new(board, tryboot);
    take(config, &mut reader, &mut settings, read, 0);
    settings
}

fn take(text: &str, reader: &mut Reader<'_>, settings: &mut Settings, read: ReadFile<'_>, depth: usize) {
    for line in reader.lines(text) {
        let word = |name: &str| line.strip_prefix(name).filter(|rest| rest.starts_with(' ')).map(str::trim);
        if let Some(file) = word("include") {
            if let Some(bytes) = read(file).filter(|_| depth < INCLUDES) {
                take(&String::from_utf8_lossy(&bytes), reader, settings, read, depth + 1);
            }
        } else if let Some(initramfs) = word("initramfs") {
            settings.initramfs = initramfs.split_whitespace().next().map(str::to_owned);
        } else if let Some((key, value)) = line.split_once('=') {
            let value = value.trim().to_owned();
            match key.trim() {
                "os_prefix" => settings.os_prefix = value,
                "overlay_prefix" => settings.overlay_prefix = Some(value),
                "kernel" => settings.kernel = Some(value),
                "ramfsfile" => settings.initramfs = Some(value),
                "cmdline" => settings.cmdline = Some(value),
                "arm_64bit" => settings.is_64bit = value != "0",
                _ => {}
            }
        }
    }
}

/// Which lines count.
struct Reader<'a> {
    board: &'a Board,
    tryboot: bool,
    /// Of each kind of filter, whether the last one holds.
    filters: Vec<(Filter, bool)>,
}

/// Filters of one kind take each other's place, those of several add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    Model,
    None,
    Tryboot,
    /// A monitor, a serial number, a pin: what only the board itself knows.
    Other,
}

impl<'a> Reader<'a> {
    const fn new(board: &'a Board, tryboot: bool) -> Self {
        Self { board, tryboot, filters: Vec::new() }
    }

    /// The lines of `text` that hold for the board, without comments.
    fn lines(&mut self, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for line in text.lines() {
            let line: String = line.chars().take(LINE).collect();
            let line = line.trim();
            if let Some(filter) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                self.filter(filter.0.trim());
            } else if !line.is_empty()
                && !line.starts_with('#')
                && self.filters.iter().all(|(_, holds)| *holds)
            {
                lines.push(line.to_owned());
            }
        }
        lines
    }

    fn filter(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        let (kind, holds) = match name.as_str() {
            "all" => return self.filters.clear(),
            "none" => (Filter::None, false),
            "tryboot" => (Filter::Tryboot, self.tryboot),
            model if is_model(model) => (Filter::Model, self.board.filters.contains(&model)),
            _ => (Filter::Other, false),
        };
        self.filters.retain(|(other, _)| *other != kind);
        self.filters.push((kind, holds));
    }
}

fn is_model(name: &str) -> bool {
    ["pi", "cm"].iter().any(|family| {
        name.strip_prefix(family).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn card(files: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        let all =
            ["bootcode.bin", "start.elf", "fixup.dat", "start4.elf", "fixup4.dat"].map(|name| (name, "x"));
        all.iter().chain(files).map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec())).collect()
    }

    fn started(board: &Board, tryboot: bool, files: &[(&str, &str)]) -> Result<Started, Stuck> {
        let card = card(files);
        start(board, tryboot, &|path| card.get(path).cloned())
    }

    const SLOT: [(&str, &str); 5] = [
        ("a/vmlinuz", "k"),
        ("a/initramfs", "i"),
        ("a/cmdline.txt", "c"),
        ("a/bcm2837-rpi-3-b.dtb", "t"),
        ("a/bcm2711-rpi-4-b.dtb", "t"),
    ];

    #[test]
    fn a_prefix_without_a_kernel_or_a_device_tree_is_passed_over() {
        let config = "os_prefix=a/\nkernel=vmlinuz\ninitramfs initramfs followkernel\n";
        let [pi3, _, pi4, _] = &BOARDS;
        let with = |files: &[(&'static str, &'static str)]| [files, &[("config.txt", config)]].concat();
        let whole = started(pi3, false, &with(&SLOT)).unwrap();
        assert_eq!((whole.kernel.as_str(), whole.overlays.as_str()), ("a/vmlinuz", "overlays/"));
        let own = [&SLOT[..], &[("a/overlays/README", "")]].concat();
        assert_eq!(started(pi4, false, &with(&own)).unwrap().overlays, "a/overlays/");
        let stuck = started(pi4, false, &with(&SLOT[..4])).unwrap_err();
        assert_eq!(stuck.to_string(), "a Raspberry Pi 4B would not start: vmlinuz is not on the card");
        let fallen = [&SLOT[..4], &[("vmlinuz", ""), ("initramfs", ""), ("cmdline.txt", "")]].concat();
        let fallen = [&fallen[..], &[("bcm2711-rpi-4-b.dtb", "")]].concat();
        assert_eq!(started(pi4, false, &with(&fallen)).unwrap().kernel, "vmlinuz");
    }

    #[test]
    fn filters_of_one_kind_replace_each_other_and_others_add_up() {
        let settings =
            |config: &str, board: &Board, tryboot| settings(config, board, tryboot, &|_| None).kernel;
        let [_, plus, pi4, _] = &BOARDS;
        let config = "[pi4]\nkernel=four\n[pi3]\nkernel=three\n[pi3+]\nkernel=plus\n";
        assert_eq!(settings(config, plus, false).as_deref(), Some("plus"));
        assert_eq!(settings(config, pi4, false).as_deref(), Some("four"));
        let both = "kernel=x\n[tryboot]\n[pi4]\nkernel=y\n[all]\n[none]\nkernel=z\n";
        assert_eq!(settings(both, pi4, true).as_deref(), Some("y"));
        assert_eq!(settings(both, pi4, false).as_deref(), Some("x"));
        assert_eq!(settings("[0x1234]\nkernel=x\n# [all]\n[pi4]\nkernel=y\n", pi4, false), None);
        let long = format!("{}kernel=x\n", " ".repeat(LINE));
        assert_eq!(settings(&long, pi4, false), None, "the firmware reads no further");
    }

    #[test]
    fn tryboot_txt_is_read_once_and_instead_of_config_txt() {
        let config = |prefix: &str| format!("os_prefix={prefix}\nkernel=vmlinuz\n");
        let (a, b) = (config("a/"), config("b/"));
        let other = [("b/vmlinuz", "k"), ("b/cmdline.txt", "c"), ("b/bcm2837-rpi-3-b.dtb", "t")];
        let files = [&SLOT[..], &other, &[("config.txt", &a), ("tryboot.txt", &b)]].concat();
        let kernel = |tryboot, files: &[(&str, &str)]| started(&BOARDS[0], tryboot, files).map(|s| s.kernel);
        assert_eq!(kernel(false, &files).unwrap(), "a/vmlinuz");
        assert_eq!(kernel(true, &files).unwrap(), "b/vmlinuz");
        let whole = [&files[..], &[("autoboot.txt", "[all]\ntryboot_a_b=1\n")]].concat();
        assert_eq!(kernel(true, &whole).unwrap(), "a/vmlinuz");
        assert!(kernel(true, &files[..files.len() - 1]).is_err());
    }

    #[test]
    fn a_file_that_is_included_counts_where_it_is_included() {
        let read = |path: &str| (path == "more.txt").then(|| b"kernel=more\ninclude more.txt\n".to_vec());
        let said = settings("kernel=one\n[pi5]\ninclude more.txt\n", &BOARDS[3], false, &read);
        assert_eq!(said.kernel.as_deref(), Some("more"));
        assert_eq!(settings("[pi5]\ninclude more.txt\n", &BOARDS[0], false, &read).kernel, None);
    }
}
