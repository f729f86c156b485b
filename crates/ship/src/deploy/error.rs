//! What can go wrong on the machine, and what to do about it.

use std::io;
use std::path::PathBuf;

use hoopy_base::size;
use hoopy_uki::manifest::ManifestError;

use super::booted::error::BootedError;
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
    #[error("{} is no image that hoopy built: {reason}", .path.display())]
    NotAnImage {
        /// The file.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// The machine said something that it does not say.
    #[error("{host} answered what hoopy does not understand: {found:?}")]
    Answer {
        /// The machine.
        host: String,
        /// The line, or the end of what it said.
        found: String,
    },
    /// Programs that BusyBox has are not there.
    #[error("{host} has no {tools}: hoopy needs what BusyBox brings")]
    Lacks {
        /// The machine.
        host: String,
        /// Which.
        tools: String,
    },
    /// The user on the machine may not mount.
    #[error("on {host} you are {user}, and only root can change what it boots: deploy to root@{host}")]
    NotRoot {
        /// The machine.
        host: String,
        /// Who.
        user: String,
    },
    /// It runs something else.
    #[error(
        "{host} does not run hoopy: there is no /etc/hoopy-release on it. Write its first stick or disk with `hoopy \
         flash` or `hoopy disk`, or say --anyway to put the image beside what is there"
    )]
    NotHoopy {
        /// The machine.
        host: String,
    },
    /// It runs another system.
    #[error(
        "{host} runs {found}, and this is {wanted}: is it the right machine? --anyway deploys all the same"
    )]
    OtherSystem {
        /// The machine.
        host: String,
        /// What runs.
        found: String,
        /// What was to be deployed.
        wanted: String,
    },
    /// It is for another machine.
    #[error("{host} is {found}, and the image is for {wanted}: build it with --arch {found}")]
    OtherArch {
        /// The machine.
        host: String,
        /// Its architecture.
        found: String,
        /// The image's.
        wanted: String,
    },
    /// No EFI system partition.
    #[error(
        "no EFI system partition with an image was found on {host}{}. Is the stick that it booted from still in it? \
         `deploy.esp` in hoopy.toml, or --esp, says where it is mounted",
        told(.words)
    )]
    NoEsp {
        /// The machine.
        host: String,
        /// More.
        words: String,
    },
    /// More than one.
    #[error(
        "{host} has more than one EFI system partition with an image, none of which it runs: {places}. Say which with \
         `deploy.esp` in hoopy.toml, or --esp"
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
    #[error(
        "the EFI system partition of {host} cannot be written{}. Is the stick locked by a switch, or worn out? Nothing \
         was changed",
        told(.words)
    )]
    ReadOnly {
        /// The machine.
        host: String,
        /// What was said.
        words: String,
    },
    /// It is full.
    #[error(
        "the EFI system partition of {host} is too full: {wanted} are needed for a new image, with the ones kept that \
         it may have to fall back to, and {free} are free{}",
        told(.words)
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
    /// Somebody else is at it.
    #[error("somebody else is changing the EFI system partition of {0}: try again in a minute")]
    Busy(String),
    /// A file of the partition is not there any more, a moment after it was told of.
    #[error(
        "{file} on the EFI system partition of {host} was given another name, or removed, while it was looked at: run it again"
    )]
    Gone {
        /// The machine.
        host: String,
        /// On the partition.
        file: String,
    },
    /// Not all that was sent arrived.
    #[error("the transfer to {0} was cut short; nothing was switched: run it again")]
    Short(String),
    /// The file that was put together is not the image.
    #[error(
        "{host} put together another file than the image, with SHA-256 {found}: its memory or medium is failing"
    )]
    Digest {
        /// The machine.
        host: String,
        /// Its digest.
        found: String,
    },
    /// The machine is laid out otherwise.
    #[error(
        "{host} starts {found}, and hoopy.toml says `layout = \"{wanted}\"`: a layout is chosen when the disk is \
         written, with `hoopy disk` or `hoopy flash`"
    )]
    OtherLayout {
        /// The machine.
        host: String,
        /// What it starts.
        found: &'static str,
        /// `single` or `ab`.
        wanted: &'static str,
    },
    /// Another image of that name is there.
    #[error("{host} has an image {image} with other content, which it runs: build anew, for a new version")]
    SameName {
        /// The machine.
        host: String,
        /// Its name.
        image: String,
    },
    /// A newer one is there, which would be started instead.
    #[error(
        "{host} has {newer}, which is newer than {image} and would be started instead: `hoopy rollback` goes back to \
         the last good one; to deploy this system, build it anew"
    )]
    Older {
        /// The machine.
        host: String,
        /// To be deployed.
        image: String,
        /// What is there.
        newer: String,
    },
    /// Nothing to go back to.
    #[error("{host} has nothing to go back to: {reason}")]
    NothingBefore {
        /// The machine.
        host: String,
        /// What was looked for.
        reason: String,
    },
    /// The image that it booted cannot be had.
    #[error(transparent)]
    Booted(#[from] BootedError),
    /// It cannot start an image without its firmware.
    #[error("{host} cannot do --kexec: {reason}. Nothing was changed; --reboot goes through its firmware")]
    NoKexec {
        /// The machine.
        host: String,
        /// What it lacks.
        reason: String,
    },
    /// It would not take the kernel of the image.
    #[error("{host} did not load the image: {words}. It is in its place, and starts with the next boot")]
    NotLoaded {
        /// The machine.
        host: String,
        /// Why.
        words: String,
    },
    /// The machine runs the image before, not the new one.
    #[error("{host} fell back: it runs {running}, not {wanted}{}", last_words(.log))]
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
    #[error("{host} runs {image}, and it is not well: {reason}{}", excerpt(.log))]
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
    #[error("{host} did not come back within {seconds} s; the last that was heard:\n{words}")]
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
            "which" => Self::WhichEsp { host, places: words },
            "mount" => Self::Mount { host, words },
            "readonly" => Self::ReadOnly { host, words },
            "full" => Self::Full { host, wanted: "more bytes".to_owned(), free: "too few".to_owned(), words },
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
        let words = "a larger one can be written with `hoopy disk`".to_owned();
        Self::Full { host: host.to_owned(), wanted: size::show(wanted), free: size::show(free), words }
    }
}

fn told(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(" ({words})") }
}

/// What panics, and what is not started at all, writes nothing (docs/boot.md).
fn last_words(log: &str) -> String {
    if !log.is_empty() {
        return excerpt(log);
    }
    "; it left no word: it panicked, hung before its services ran, or the firmware refused it. Its console tells more, \
     as `hoopy run` does with the same image"
        .to_owned()
}

fn excerpt(log: &str) -> String {
    if log.is_empty() { String::new() } else { format!("; what it says about it:\n{log}") }
}
