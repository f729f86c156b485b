//! What the image says of itself: os-release and command line.

use hoopy_base::arch::Arch;
use hoopy_boot::layout::Layout;

use crate::stack::root_mount::INIT;

/// What an image is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The machine.
    pub name: String,
    /// `YYYYMMDDNN`.
    pub version: String,
}

impl Identity {
    /// `NAME-VERSION`: the file's name without its ending, and what is in `/etc/hoopy-release`.
    pub fn image(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

/// The `.osrel` section: os-release(5). systemd-boot lists an image by its name and version fields. What the
/// root's own `/etc/os-release` says of the distribution is kept.
pub fn os_release(root: Option<&[u8]>, branch: &str, identity: &Identity) -> Vec<u8> {
    let root = String::from_utf8_lossy(root.unwrap_or_default()).into_owned();
    let field = |key: &str| {
        let value = root.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='))?;
        Some(value.trim_matches('"').to_owned())
    };
    let fields = [
        ("ID", field("ID").unwrap_or_else(|| "alpine".to_owned())),
        ("NAME", field("NAME").unwrap_or_else(|| "Alpine Linux".to_owned())),
        ("VERSION_ID", field("VERSION_ID").unwrap_or_else(|| branch.to_owned())),
        ("PRETTY_NAME", format!("{} (Alpine Linux)", identity.image())),
        ("IMAGE_ID", identity.name.clone()),
        ("IMAGE_VERSION", identity.version.clone()),
    ];
    fields.iter().map(|(key, value)| format!("{key}=\"{value}\"\n")).collect::<String>().into_bytes()
}

/// The kernel's arguments: as written, or both consoles; with `rdinit=` and [`INIT`] where no `rdinit=`
/// is given, since the kernel's own default is `/init` (init/main.c).
///
/// With [`Layout::Ab`] a panic reboots after ten seconds, long enough to read or record it, where no `panic=` is
/// given: a kernel that stops for ever (its own default) would never get to the image before. An oops is left to
/// be one: it need not be the image's fault, and what it stops, the health check or the watchdog finds.
pub fn command_line(written: Option<&str>, arch: Arch, layout: Layout) -> String {
    let written = written.map_or_else(|| format!("console=tty1 console={}", arch.console()), str::to_owned);
    let words: Vec<&str> = written.split_whitespace().collect();
    let given = |key: &str| words.iter().any(|w| w.starts_with(key));
    let init = format!("rdinit={INIT}");
    let before = (!given("rdinit=")).then_some(init.as_str());
    let after = (layout == Layout::Ab && !given("panic=")).then_some("panic=10");
    let all: Vec<&str> = before.into_iter().chain(words.iter().copied()).chain(after).collect();
    all.join(" ")
}
