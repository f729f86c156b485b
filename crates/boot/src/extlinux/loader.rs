//! What syslinux and U-Boot make of a partition: a model of their documented rules.
//!
//! Source: doc/syslinux.txt of syslinux 6 (`DEFAULT`, `ONTIMEOUT`, `TIMEOUT`, `LABEL`, `CONFIG`), its libinstaller/setadv.c
//! for the block at the end of ldlinux.sys; doc/README.pxe of U-Boot, "pxe file format", for `sysboot`.

/// Bytes of one of the two blocks at the end of ldlinux.sys.
pub const BLOCK: usize = 512;

/// The kind of data in a block that is a command for one start.
const BOOT_ONCE: u8 = 1;

/// Beginning of a block, what its words add up to, its end.
const MAGIC: [u32; 3] = [0x5a2d_2fa5, 0xa304_1767, 0xdd28_bf64];

/// Which of them reads the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// A PC's.
    Syslinux,
    /// A board's.
    UBoot,
}

/// What is started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Started {
    /// The kernel's path.
    pub kernel: String,
    /// The initramfs.
    pub initramfs: Option<String>,
    /// The kernel's arguments.
    pub cmdline: String,
    /// Where device trees are taken from.
    pub trees: Option<String>,
}

/// Why nothing is started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("syslinux or U-Boot would start nothing: {0}")]
pub struct Stuck(pub String);

/// Reads a file of the partition.
pub type ReadFile<'a> = &'a dyn Fn(&str) -> Option<Vec<u8>>;

/// What the file `config` of the partition starts.
///
/// # Errors
/// [`Stuck`].
pub fn start(program: Program, config: &str, read: ReadFile<'_>) -> Result<Started, Stuck> {
    let text = read(config).ok_or_else(|| Stuck(format!("{config} is not there")))?;
    let menu = Menu::read(&String::from_utf8_lossy(&text));
    let named = match program {
        Program::Syslinux => [menu.default, menu.on_timeout],
        // The other word for the same: the last one counts.
        Program::UBoot => [menu.default_or_on_timeout, None],
    };
    let named = named.into_iter().flatten();
    // U-Boot goes on with all others.
    let rest = menu.labels.iter().map(|(name, _)| name.clone()).filter(|_| program == Program::UBoot);
    let usable = |name: String| {
        let (_, label) = menu.labels.iter().find(|(label, _)| *label == name)?;
        let has = |path: &str| read(path.trim_start_matches('/')).is_some();
        (has(&label.kernel) && label.initramfs.as_deref().is_none_or(has)).then(|| label.clone())
    };
    named.chain(rest).find_map(usable).ok_or_else(|| Stuck(format!("no label of {config} has its files")))
}

#[derive(Debug, Default)]
struct Menu {
    default: Option<String>,
    on_timeout: Option<String>,
    default_or_on_timeout: Option<String>,
    labels: Vec<(String, Started)>,
}

impl Menu {
    fn read(text: &str) -> Self {
        let mut menu = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            let value = rest.trim().to_owned();
            let label = menu.labels.last_mut().map(|(_, label)| label);
            match (word.to_ascii_lowercase().as_str(), label) {
                ("default", _) => {
                    menu.default = Some(value.clone());
                    menu.default_or_on_timeout = Some(value);
                }
                ("ontimeout", _) => {
                    menu.on_timeout = Some(value.clone());
                    menu.default_or_on_timeout = Some(value);
                }
                ("label", _) => menu.labels.push((value, Started::default())),
                ("linux", Some(label)) => label.kernel = value,
                ("initrd", Some(label)) => label.initramfs = Some(value),
                ("append", Some(label)) => label.cmdline = value,
                ("fdtdir", Some(label)) => label.trees = Some(value),
                _ => {}
            }
        }
        menu
    }
}

/// The command for one start that ldlinux.sys has at its end, where it has one.
pub fn once(ldlinux: &[u8]) -> Option<String> {
    let blocks = ldlinux.get(ldlinux.len().checked_sub(2 * BLOCK)?..)?;
    let block = blocks.chunks(BLOCK).find(|block| is_whole(block))?;
    let mut data = block.get(8..BLOCK - 4)?;
    while let [kind, length, rest @ ..] = data {
        let value = rest.get(..usize::from(*length));
        match (*kind, value) {
            (0, _) | (_, None) => return None,
            (BOOT_ONCE, Some(value)) => return Some(String::from_utf8_lossy(value).into_owned()),
            (_, Some(value)) => data = rest.get(value.len()..)?,
        }
    }
    None
}

/// Whether it ends with such blocks, both whole: as syslinux installs it.
pub fn has_blocks(ldlinux: &[u8]) -> bool {
    let start = ldlinux.len().checked_sub(2 * BLOCK);
    start.and_then(|start| ldlinux.get(start..)).is_some_and(|blocks| blocks.chunks(BLOCK).all(is_whole))
}

fn is_whole(block: &[u8]) -> bool {
    let words: Vec<u32> =
        block.chunks(4).filter_map(|word| Some(u32::from_le_bytes(word.try_into().ok()?))).collect();
    let [first, sum @ .., last] = words.as_slice() else { return false };
    let sum = sum.iter().fold(0_u32, |sum, word| sum.wrapping_add(*word));
    [*first, sum, *last] == MAGIC
}

/// A block with this command for one start, or with nothing.
pub fn block(command: &str) -> Vec<u8> {
    let mut data = Vec::new();
    if !command.is_empty() {
        data.extend([BOOT_ONCE, u8::try_from(command.len()).unwrap_or(u8::MAX)]);
        data.extend(command.bytes().take(usize::from(u8::MAX)));
    }
    data.resize(BLOCK - 12, 0);
    let words = data.chunks(4).filter_map(|word| Some(u32::from_le_bytes(word.try_into().ok()?)));
    let sum = words.fold(MAGIC[1], u32::wrapping_sub);
    [MAGIC[0].to_le_bytes().to_vec(), sum.to_le_bytes().to_vec(), data, MAGIC[2].to_le_bytes().to_vec()]
        .concat()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::extlinux::{CONFIG, Label, config};
    use crate::pair::SlotName;

    fn started(program: Program, files: &[&str]) -> Result<String, Stuck> {
        let label = |slot| Label { slot, cmdline: "quiet", has_trees: true };
        let text = config(&label(SlotName::B), Some(&label(SlotName::A)));
        let mut disk: BTreeMap<String, Vec<u8>> =
            files.iter().map(|path| ((*path).to_owned(), Vec::new())).collect();
        disk.insert(CONFIG.to_owned(), text.into_bytes());
        start(program, CONFIG, &|path| disk.get(path).cloned()).map(|started| started.kernel)
    }

    #[test]
    fn the_default_is_started_and_the_other_slot_where_its_files_are_gone() {
        for program in [Program::Syslinux, Program::UBoot] {
            let [a, b] = [["a/vmlinuz", "a/initramfs"], ["b/vmlinuz", "b/initramfs"]];
            assert_eq!(started(program, &[a, b].concat()).unwrap(), "/b/vmlinuz");
            assert_eq!(started(program, &[&a[..], &b[..1]].concat()).unwrap(), "/a/vmlinuz");
            assert!(started(program, &b[1..]).is_err());
        }
    }

    #[test]
    fn a_command_for_one_start_is_read_from_the_first_copy_that_is_whole() {
        let [trial, nothing] = ["trial", ""].map(block);
        let file = |first: &[u8], second: &[u8]| [&[7; 512], first, second].concat();
        let torn = [&trial[..9], &nothing[9..]].concat();
        assert_eq!(once(&file(&trial, &trial)).as_deref(), Some("trial"));
        assert_eq!(once(&file(&nothing, &trial)), None);
        assert_eq!(once(&file(&torn, &trial)).as_deref(), Some("trial"));
        assert_eq!(once(&file(&torn, &nothing)), None);
        assert_eq!(once(&file(&torn, &torn)), None);
        assert_eq!(once(&trial), None);
    }
}
