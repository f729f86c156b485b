//! What can go wrong on the machine, and what to do about it.

use std::io;
use std::path::PathBuf;

use hoopy_base::size;
use hoopy_boot::layout::Layout;
use hoopy_uki::manifest::ManifestError;

use super::booted::error::BootedError;
use super::diskless_system::Obstacle;
use super::ssh::SshError;

/// Something was not deployed, not rolled back, or does not run.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The connection.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// The image at hand cannot be read.
    #[error("{}: {source}", .path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What it says it is made of makes no sense.
    #[error("{}: {source}", .path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ManifestError,
    },
    /// A file that hoopy did not build.
    #[error("{}: not an image that hoopy built: {reason}", .path.display())]
    NotAnImage {
        /// The file.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A script answered something that it never answers.
    #[error("unexpected response from {host}: {found:?}")]
    Answer {
        /// The machine.
        host: String,
        /// The line, or the end of what it said.
        found: String,
    },
    /// Programs that BusyBox has are not there.
    #[error("{host} has no {tools}: hoopy needs the programs of BusyBox")]
    Lacks {
        /// The machine.
        host: String,
        /// Which.
        tools: String,
    },
    /// The user on the machine may not mount.
    #[error("logged in to {host} as {user}: expected root, who alone can change what the machine boots")]
    NotRoot {
        /// The machine.
        host: String,
        /// Who.
        user: String,
    },
    /// It runs something else.
    #[error("{host} does not run hoopy: it has no /etc/hoopy-release")]
    NotHoopy {
        /// The machine.
        host: String,
    },
    /// It runs diskless Alpine Linux, and nothing was said of that.
    #[error("{host} runs diskless Alpine Linux from {medium}")]
    IsDiskless {
        /// The machine.
        host: String,
        /// Where its medium is.
        medium: String,
    },
    /// It does not, and something was said of it.
    #[error(
        "{host} does not run diskless Alpine Linux: it needs a root filesystem in memory and /etc/alpine-release"
    )]
    NotDiskless {
        /// The machine.
        host: String,
    },
    /// The image cannot be put beside it.
    #[error("no image can be put beside the diskless Alpine Linux of {host}: {reason}; nothing was changed")]
    NotBeside {
        /// The machine.
        host: String,
        /// Why.
        reason: Obstacle,
    },
    /// It runs another system.
    #[error("{host} runs another system: expected {wanted}, found {found}")]
    OtherSystem {
        /// The machine.
        host: String,
        /// What runs.
        found: String,
        /// What was to be deployed.
        wanted: String,
    },
    /// It is for another machine.
    #[error("the image is for {wanted}, but {host} is {found}")]
    OtherArch {
        /// The machine.
        host: String,
        /// Its architecture.
        found: String,
        /// The image's.
        wanted: String,
    },
    /// The machine's firmware would refuse the image.
    #[error("the firmware of {host} would not start {image}: {why}")]
    Unaccepted {
        /// The machine.
        host: String,
        /// The image.
        image: String,
        /// Why.
        why: String,
    },
    /// Its lists make no sense.
    #[error("the firmware of {host} checks signatures, and its variable {variable} cannot be read: {why}")]
    Lists {
        /// The machine.
        host: String,
        /// Which one.
        variable: &'static str,
        /// What is wrong.
        why: String,
    },
    /// Its firmware is not UEFI's, or shows no variables.
    #[error("the firmware of {host} has no UEFI variables about Secure Boot")]
    NoVariables {
        /// The machine.
        host: String,
    },
    /// A variable makes no sense.
    #[error("the firmware of {host}: its variable {variable} cannot be read: {why}")]
    Variable {
        /// The machine.
        host: String,
        /// Which one.
        variable: String,
        /// What is wrong.
        why: String,
    },
    /// It did not take the keys.
    #[error("the firmware of {host} did not accept the keys: {words}")]
    NotEnrolled {
        /// The machine.
        host: String,
        /// What was said.
        words: String,
    },
    /// No EFI system partition.
    #[error("no EFI system partition with an image was found on {host}{}", detail(.words))]
    NoEsp {
        /// The machine.
        host: String,
        /// More.
        words: String,
    },
    /// More than one.
    #[error(
        "{host} has several EFI system partitions with an image, and runs none of these images: {places}"
    )]
    WhichEsp {
        /// The machine.
        host: String,
        /// Where.
        places: String,
    },
    /// It cannot be mounted.
    #[error("the EFI system partition of {host} cannot be mounted: {words}")]
    Mount {
        /// The machine.
        host: String,
        /// What mount said.
        words: String,
    },
    /// It cannot be written.
    #[error("the EFI system partition of {host} is read-only{}; nothing was changed", detail(.words))]
    ReadOnly {
        /// The machine.
        host: String,
        /// What was said.
        words: String,
    },
    /// It is full.
    #[error(
        "the EFI system partition of {host} is too full: the new image needs {wanted} beside the previous one, and {free} \
         are free{}",
        detail(.words)
    )]
    Full {
        /// The machine.
        host: String,
        /// Needed.
        wanted: String,
        /// Free, with all gone that may go.
        free: String,
        /// More.
        words: String,
    },
    /// Writing failed.
    #[error("{host} could not write {words}")]
    Write {
        /// The machine.
        host: String,
        /// What was said.
        words: String,
    },
    /// Another hoopy is changing it.
    #[error("another hoopy is changing the EFI system partition of {0}")]
    Busy(String),
    /// A file of the partition is not there any more, a moment after it was told of.
    #[error("{file} on the EFI system partition of {host} was renamed or removed while it was read")]
    Gone {
        /// The machine.
        host: String,
        /// On the partition.
        file: String,
    },
    /// Not all that was sent arrived.
    #[error("the transfer to {0} was interrupted; {0} still starts the image that it did")]
    Short(String),
    /// The file that was put together is not the image.
    #[error(
        "checksum mismatch: the image that {host} put together from what it had and what was sent has SHA-256 {found}"
    )]
    Digest {
        /// The machine.
        host: String,
        /// Its digest.
        found: String,
    },
    /// The machine is laid out otherwise.
    #[error(
        "{host} starts {found}, and hoopy.toml has `layout = \"{wanted}\"`: the layout of a disk is chosen when it is written"
    )]
    OtherLayout {
        /// The machine.
        host: String,
        /// What it starts.
        found: &'static str,
        /// What `hoopy.toml` has.
        wanted: Layout,
    },
    /// Another image of that name is there.
    #[error("{host} runs an image {image} with other contents")]
    SameName {
        /// The machine.
        host: String,
        /// Its name.
        image: String,
    },
    /// A newer one is there, which would be started instead.
    #[error("{host} has {newer}, which is newer than {image} and would start instead of it")]
    Older {
        /// The machine.
        host: String,
        /// To be deployed.
        image: String,
        /// What is there.
        newer: String,
    },
    /// No previous image.
    #[error("{host} has no previous image to return to: {reason}")]
    NothingBefore {
        /// The machine.
        host: String,
        /// What was looked for.
        reason: String,
    },
    /// The image that it booted cannot be had.
    #[error(transparent)]
    Booted(#[from] BootedError),
    /// No syslog daemon keeps a log.
    #[error("{host} has no system log: expected /var/log/messages or output of logread, found neither")]
    NoLog {
        /// The machine.
        host: String,
    },
    /// It cannot start an image without its firmware.
    #[error("{host} cannot do --kexec: {reason}; nothing was changed")]
    NoKexec {
        /// The machine.
        host: String,
        /// What it lacks.
        reason: String,
    },
    /// It would not take the kernel of the image.
    #[error("{host} could not load the image with kexec: {words}")]
    NotLoaded {
        /// The machine.
        host: String,
        /// Why.
        words: String,
    },
    /// The machine runs its previous image, not the new one.
    #[error("{host} fell back to {running}: {wanted} did not start, or failed its health check{}", last_words(.log))]
    FellBack {
        /// The machine.
        host: String,
        /// What it runs.
        running: String,
        /// What was deployed.
        wanted: String,
        /// What the machine says about it.
        log: String,
    },
    /// The new image runs, and its checks fail.
    #[error("{host} runs {image}, but its health check failed: {reason}{}", excerpt(.log))]
    Unwell {
        /// The machine.
        host: String,
        /// What it runs.
        image: String,
        /// The check that fails.
        reason: String,
        /// What the machine says about it.
        log: String,
    },
    /// It did not come back.
    #[error("{host} did not come back within {seconds} s; last response:\n{words}")]
    NotBack {
        /// The machine.
        host: String,
        /// How long it was waited for.
        seconds: u64,
        /// What ssh said.
        words: String,
    },
}

impl DeployError {
    /// What a script that says `error KIND WORDS` means.
    pub(super) fn of(host: &str, kind: &str, words: &str) -> Self {
        let (host, words) = (host.to_owned(), words.trim().to_owned());
        match kind {
            "user" => Self::NotRoot { host, user: words },
            "noesp" | "esp" => Self::NoEsp { host, words },
            "firmware" => Self::NoVariables { host },
            "enroll" => Self::NotEnrolled { host, words },
            "medium" => Self::NotBeside { reason: Obstacle::Other(no_medium(&words)), host },
            "which" => Self::WhichEsp { host, places: words },
            "mount" => Self::Mount { host, words },
            "readonly" => Self::ReadOnly { host, words },
            "full" => {
                Self::Full { host, wanted: "more space".to_owned(), free: "too few bytes".to_owned(), words }
            }
            "write" => Self::Write { host, words },
            "busy" => Self::Busy(host),
            "gone" => Self::Gone { host, file: words },
            "kexec" => Self::NoKexec { host, reason: words },
            "refused" | "load" => Self::NotLoaded { host, words },
            "cut" => Self::Short(host),
            "digest" => Self::Digest { host, found: words },
            _ => Self::Answer { host, found: format!("{kind} {words}") },
        }
    }

    pub(super) fn full(host: &str, wanted: u64, free: u64) -> Self {
        let (wanted, free) = (size::show(wanted), size::show(free));
        Self::Full { host: host.to_owned(), wanted, free, words: String::new() }
    }
}

fn no_medium(found: &str) -> String {
    let expected = "expected a FAT filesystem with the directories apks and boot, found";
    if found.is_empty() { format!("{expected} no such medium") } else { format!("{expected} that {found}") }
}

fn detail(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(" ({words})") }
}

/// What panics, and what is not started at all, writes nothing (docs/boot.md).
fn last_words(log: &str) -> String {
    if !log.is_empty() {
        return excerpt(log);
    }
    "; it left no log: it panicked or hung before its services started, or the firmware refused it".to_owned()
}

fn excerpt(log: &str) -> String {
    if log.is_empty() { String::new() } else { format!("; its log:\n{log}") }
}
