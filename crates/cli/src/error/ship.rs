//! Disks, devices and machines.

use hoopy_disk::esp::EspError;
use hoopy_disk::mbr::MbrError;
use hoopy_ship::deploy::{BootedError, DeployError, Obstacle, SshError};
use hoopy_ship::disk::DiskError;
use hoopy_ship::flash::FlashError;

use super::ErrorKind::{Failed, FellBack, NoReturn, System, Usage};
use super::{Class, Classify};

const ESP: &str = "name where it is mounted with `deploy.esp` in hoopy.toml, or --esp";
const AGAIN: &str = "run the command again";

impl Classify for DeployError {
    fn class(&self) -> Class {
        match self {
            Self::Ssh(error) => error.class(),
            Self::Booted(error) => error.class(),
            Self::Image { .. } | Self::Manifest { .. } | Self::Answer { .. } | Self::Lacks { .. } => {
                Failed.into()
            }
            Self::NotAnImage { .. } => Failed.hint("build one with `hoopy build`"),
            Self::NotRoot { host, .. } => {
                let name = host.rsplit('@').next().unwrap_or(host);
                Failed.hint(format!("connect as root: root@{name}"))
            }
            Self::NotHoopy { .. } => Failed.hint(
                "write the machine's first disk with `hoopy flash` or `hoopy disk`, or add the image to what is there \
                 with --force",
            ),
            Self::IsDiskless { .. } => Failed.hint(
                "put the image beside it, and keep Alpine as what is fallen back to: --from-diskless; docs/from-diskless.md \
                 tells what is written",
            ),
            Self::NotDiskless { .. } => Failed.hint("deploy without --from-diskless"),
            // What is written for layout = "ab" starts there as little as beside Alpine.
            Self::NotBeside { reason: Obstacle::Bios, .. } => Failed.hint(
                "write another stick for it: layout = \"extlinux\" in hoopy.toml, `hoopy update`, `hoopy flash`; \
                 docs/extlinux.md. Keep the old medium as it is",
            ),
            Self::NotBeside { reason: Obstacle::Uefi32, .. } => Failed.hint(
                "start the machine in the BIOS mode of its firmware, if it has one, from another stick: \
                 layout = \"extlinux\" in hoopy.toml, `hoopy update`, `hoopy flash`; without that mode, no image starts on it",
            ),
            Self::NotBeside { reason: Obstacle::Layout(_), .. } => {
                Failed.hint("set layout = \"ab\" in hoopy.toml, then run `hoopy update`, which locks the boot loader")
            }
            Self::NotBeside { reason: Obstacle::Other(_), .. } => Failed.hint(
                "write another stick with `hoopy flash`, boot from that, and keep the old medium as it is",
            ),
            Self::OtherSystem { .. } => Failed.hint("replace that system with this one with --force"),
            Self::Unaccepted { .. } => Failed.hint(
                "build it where the key is at hand, or sign it with `hoopy sign FILE`; nothing was written to the machine",
            ),
            Self::Lists { .. } | Self::Variable { .. } => Failed.into(),
            Self::NoVariables { .. } => {
                Failed.hint("Secure Boot needs UEFI firmware, and a kernel with efivarfs")
            }
            Self::NotEnrolled { .. } => Failed.hint(
                "firmware takes lists that its KEK signed, and that are newer than its own: compare `hoopy keys status HOST`; \
                 the machine starts what it did",
            ),
            Self::OtherArch { found, .. } => Failed.hint(format!("build the image with --arch {found}")),
            Self::NoEsp { .. } => Failed.hint(ESP).and("plug in the stick that it booted from, if that was removed"),
            Self::WhichEsp { .. } => Failed.hint(ESP),
            Self::Mount { .. } | Self::Write { .. } => Failed.into(),
            Self::ReadOnly { .. } => Failed.hint("look for a write-protect switch; a worn-out stick is read-only, too"),
            Self::Full { .. } => Failed.hint("write a larger disk with `hoopy disk --size SIZE`"),
            Self::Busy(_) => Failed.hint("try again in a minute"),
            Self::Gone { .. } => Failed.hint(AGAIN),
            Self::Short(_) => Failed.hint(AGAIN),
            Self::Digest { .. } => Failed.hint("check the machine's memory and disk for errors"),
            Self::OtherLayout { .. } => Failed.hint(
                "set `layout` to what the machine has, or write its disk anew with `hoopy disk` or `hoopy flash`",
            ),
            Self::SameName { .. } => Failed.hint("build again, for an image with a new version"),
            Self::Older { .. } => {
                Failed.hint("build again, for a newer version; `hoopy rollback` returns to the previous image")
            }
            Self::NothingBefore { .. } => Failed.into(),
            Self::NoLog { .. } => {
                Failed.hint("start a syslog daemon on the machine: add `rc-update add syslog boot` to setup.sh")
            }
            Self::NoKexec { .. } => Failed.hint("reboot through the firmware instead, with --reboot"),
            Self::NotLoaded { .. } => Failed.hint("the image is in place, and starts with the next boot"),
            Self::FellBack { log, .. } if log.is_empty() => FellBack.hint(
                "watch the same image boot on the console, with `hoopy run`",
            ),
            Self::FellBack { .. } | Self::Unwell { .. } => FellBack.into(),
            Self::NotBack { .. } => NoReturn.hint("look at the machine's console, and its power and network"),
        }
    }
}

impl Classify for SshError {
    fn class(&self) -> Class {
        match self {
            Self::NoHost(_) => Usage.hint("write the machine as ssh does: nas, or root@10.0.0.2"),
            Self::Start { .. } => Failed.hint("install OpenSSH's client: hoopy connects with your own ssh"),
            Self::HostKey { host, .. } => {
                let name = host.rsplit('@').next().unwrap_or(host);
                Failed
                    .hint(format!("for a new machine, connect once by hand and accept its key: ssh {host}"))
                    .and(format!("for one that was installed again, remove the old key first: ssh-keygen -R {name}"))
            }
            Self::NoRoute { .. } => Failed.hint("check that the machine is up, and its name or address"),
            Self::NotAllowed { .. } => Failed.hint(
                "put your public key into root/root/.ssh/authorized_keys of the system, or load your key with ssh-add",
            ),
            Self::Cut { .. } => Failed.hint(AGAIN),
            Self::NoLogin { host, .. } => Failed.hint(format!("check whether `ssh {host}` gets in")),
            Self::NoGreeting { host } => Failed.hint(format!("look at what `ssh {host} true` prints, which should be nothing")),
            Self::Silent { host, .. } | Self::Slow { host, .. } => {
                Failed.hint(format!("check whether `ssh {host} true` answers, then run the command again"))
            }
            Self::Late(_) | Self::Words { .. } | Self::Io(_) => Failed.into(),
        }
    }
}

impl Classify for BootedError {
    fn class(&self) -> Class {
        match self {
            Self::Gone { .. } | Self::Undescribed { .. } => Failed.into(),
            Self::Spoilt { .. } => Failed.hint("check the machine's disk for errors"),
            Self::Store(error) => error.class(),
        }
    }
}

impl Classify for DiskError {
    fn class(&self) -> Class {
        match self {
            Self::TooSmall { needed, .. } => Failed.hint(format!("make it larger: --size {}M", needed >> 20)),
            Self::Which { first, .. } => {
                Usage.hint(format!("name each of them, as --persist {first}, or none with --no-persist"))
            }
            Self::IsDisk(_) => Usage.hint("write to a disk with `hoopy flash`, which looks what is on it first"),
            Self::NoSuchMount { .. } => Usage.into(),
            Self::NothingEnrolls(_) => System.hint(
                "write the keys to files with `hoopy keys export DIR`, and take them in the firmware's own menu",
            ),
            Self::NoMaker { .. } | Self::EspSpec { .. } => System.into(),
            Self::WrongArch { found, .. } => {
                Failed.hint(format!("name the architecture of the image with --arch {found}"))
            }
            Self::NoLoader => System.hint("lock it with `hoopy update`"),
            Self::OtherLayout { layout, .. } => {
                System.hint(format!("build it again: `hoopy build` with layout = \"{layout}\" in hoopy.toml"))
            }
            Self::NothingStarts(_) => System.hint("build the image again"),
            Self::NoSyslinux => Failed.hint("install it: `apt install syslinux` or `apk add syslinux mtools`"),
            Self::NotSyslinux { .. } => Failed.hint(
                "install the package syslinux anew, or take another program of that name out of PATH; nothing was replaced",
            ),
            Self::Syslinux(_) => Failed.hint("it needs mtools, and room in /tmp"),
            Self::Stuck(_) => System.hint("lock the firmware again with `hoopy update`, and build the image again"),
            Self::Elsewhere { .. } => System.hint("take `kernel`, `os_prefix` and `[tryboot]` out of root/boot/config.txt"),
            Self::Mbr(MbrError::TooMany(_)) => Usage.hint("name fewer filesystems with --persist"),
            Self::Mbr(_) => Failed.into(),
            Self::Mkfs(error) => error.class(),
            Self::Esp(error) => error.class(),
            Self::TooMany { .. }
            | Self::Name(_)
            | Self::NoEsp
            | Self::Gpt(_)
            | Self::Write(_)
            | Self::Io { .. } => Failed.into(),
        }
    }
}

impl Classify for EspError {
    fn class(&self) -> Class {
        match self {
            Self::BadPath { .. }
            | Self::BadLabel(_)
            | Self::TooLarge { .. }
            | Self::TooSmall { .. }
            | Self::TooMany(_)
            | Self::WrongSize { .. }
            | Self::Read { .. }
            | Self::Write(_)
            | Self::Fat { .. } => Failed.into(),
        }
    }
}

impl Classify for FlashError {
    fn class(&self) -> Class {
        match self {
            Self::NotADevice(_) => Failed.hint("name the whole device, such as /dev/sdb; `lsblk` lists them"),
            Self::Partition { disk, .. } => Failed.hint(format!("name the whole disk: /dev/{disk}")),
            Self::System { .. } | Self::Sectors { .. } => Failed.into(),
            Self::Busy { .. } => Failed.hint("unmount it first"),
            Self::Fixed { .. } => Failed.hint("check that it is the right disk, then add --fixed-disk"),
            Self::ReadOnly(_) => Failed.hint("look for a write-protect switch"),
            Self::Empty(_) => Failed.hint("check that there is a card in the reader"),
            Self::TooLarge { .. } => Failed.hint("choose a smaller --size, or a larger device"),
            Self::Disk(error) => error.class(),
            Self::Differs { .. } => Failed.hint("do not use this device"),
            Self::Stopped(_) => Failed.hint("flash the device again, or give it a new partition table"),
            Self::Device { .. } | Self::Io { .. } => Failed.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_machine_that_stops_answering_is_to_be_asked_by_hand() {
        let (host, waited) = ("nas".to_owned(), Duration::from_secs(60));
        let class = SshError::Silent { host, waited }.class();
        assert_eq!(class.kind, Failed);
        assert_eq!(class.hints, ["check whether `ssh nas true` answers, then run the command again"]);
    }
}
