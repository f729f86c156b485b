//! From a system directory to an image.

use hoopy_apk::index::IndexError;
use hoopy_apk::signature::SignatureError;
use hoopy_base::arch::Arch;
use hoopy_base::size::BadSize;
use hoopy_boot::layout::Layout;
use hoopy_build::check::CheckError;
use hoopy_build::config::ConfigError;
use hoopy_build::config::edit::EditError;
use hoopy_build::config::world::BadPackage;
use hoopy_build::fetch::FetchError;
use hoopy_build::image::ImageError;
use hoopy_build::init::InitError;
use hoopy_build::locking::{MakeError, Older};
use hoopy_build::programs::ProgramError;
use hoopy_build::query::QueryError;
use hoopy_build::reproduce::ReproduceError;
use hoopy_build::road::BuildError;
use hoopy_build::segment::SegmentError;
use hoopy_build::stack::StackError;
use hoopy_build::stack::containers::ContainerError;
use hoopy_build::target::TargetError;
use hoopy_build::vendor::VendorError;
use hoopy_build::watch::WatchError;
use hoopy_trust::epoch::EpochError;

use super::ErrorKind::{Failed, Fetch, Script, System, Usage};
use super::store::{of_output, of_store};
use super::{Class, Classify};

const NETWORK: &str = "check the network, or name another mirror with --mirror: an address or a directory";
const NO_REPOSITORY: &str =
    "check `branch` and `repositories` in hoopy.toml, and --mirror: the mirror does not have this repository";
const NO_PACKAGE: &str = "mirrors drop a version when a newer one is out: lock the new one with `hoopy update`, or \
                          build from packages that `hoopy vendor` kept, with --mirror";
const BAD_MIRROR: &str = "try again later, or name another mirror with --mirror";
const KEYS: &str = "trust the mirror's key: put its public key into keys/, or name a directory with --keys";
const LOCK: &str = "write one with `hoopy lock`";
const DOWNGRADE: &str = "a mirror that gives old indexes withholds repairs: name another one with --mirror; where it is \
                         right, as after a package was taken back, run `hoopy update --allow-downgrade`";
const OPTIONAL: &str = "copy them from where you keep them, or list those that an image may lack in hoopy.toml: \
                        `optional = [\"etc/...\"]`";
const COVERS: &str = "make it a directory, with only what it adds or replaces in it";
const COVERS_FILE: &str = "rename the directory, or leave the package out of `packages`";
const RELOCK: &str = "update the lock, and see what changes, with `hoopy update`";

const RELOCK_IMAGES: &str = "lock the image that its registry has, with `hoopy lock`";

impl Classify for BadSize {
    fn class(&self) -> Class {
        Usage.into()
    }
}

impl Classify for BadPackage {
    fn class(&self) -> Class {
        System.into()
    }
}

impl Classify for ConfigError {
    fn class(&self) -> Class {
        match self {
            Self::NotASystem(_) => {
                System.hint("name the system directory, as in `hoopy build DIR` or `hoopy -C DIR status`; `hoopy init DIR` writes one")
            }
            Self::Read { .. } | Self::Value { .. } => System.into(),
            Self::Toml { .. } => System.hint("`hoopy schema` prints every key of hoopy.toml"),
            Self::Package(error) => error.class(),
            Self::State(_) => System.hint("docs/state.md says what `state` may list"),
            Self::Epoch(EpochError::Read { .. }) => System.into(),
            Self::Epoch(EpochError::NotANumber { .. }) => {
                System.hint("restore it with `git checkout HEAD -- trust/epoch`; where git does not have it, write the number of your newest \
                    image into it, or a later one: `hoopy inspect IMAGE` shows that as its epoch, and an image without has 0: remove the file then")
            }
        }
    }
}

impl Classify for BuildError {
    fn class(&self) -> Class {
        match self {
            Self::NoStubLocked => System.into(),
            Self::Missing(_) => System.hint(OPTIONAL),
            Self::NoLock(_) => System.hint(LOCK),
            Self::NoRepository(_) => System.hint("add the repository to hoopy.toml, or run `hoopy update`"),
            Self::Mismatch { mismatch, .. } if mismatch.is_images_alone() => System.hint(RELOCK_IMAGES),
            Self::Mismatch { .. } => System.hint(RELOCK),
            Self::Inconsistent(_) => System.hint("lock a whole new set with `hoopy update`"),
            Self::Lock(error) => error.class(),
            Self::Make(error) => error.class(),
            Self::Fetch(error) => error.class(),
            Self::Import(error) => error.class(),
            Self::Program(error) => error.class(),
            Self::Stack(error) => error.class(),
            Self::Image(error) => error.class(),
            Self::Store(error) => error.class(),
            Self::Path(error) => error.class(),
        }
    }
}

impl Classify for EditError {
    fn class(&self) -> Class {
        System.hint("write the new branch there yourself, and run `hoopy update`")
    }
}

impl Classify for TargetError {
    fn class(&self) -> Class {
        match self {
            Self::NoArch => System.hint("set `arch` in hoopy.toml, or name one with --arch: x86_64, aarch64, armv7 or armhf"),
            Self::WrongArch { .. } => System.hint(
                "lock its packages anew with `hoopy update`; --arch builds for another architecture beside it",
            ),
            Self::Lock(error) => error.class(),
        }
    }
}

impl Classify for Older {
    fn class(&self) -> Class {
        Fetch.hint(DOWNGRADE)
    }
}

impl Classify for MakeError {
    fn class(&self) -> Class {
        match self {
            Self::Fetch(error) => error.class(),
            Self::Index { source, .. } => of_index(source),
            Self::NoLatest(_) => Fetch.hint("name a branch by its number, as --branch 3.24"),
            Self::Unsatisfiable(_) | Self::Universe(_) | Self::NoStub(_) | Self::NoLoader(_) => System.into(),
            Self::NoFirmware(Arch::Aarch64) => System.into(),
            Self::NoFirmware(_) => System.hint("leave out --arch: a Raspberry Pi is aarch64"),
            Self::Store(error) => error.class(),
        }
    }
}

/// hoopy-apk knows nothing of mirrors.
fn of_index(error: &IndexError) -> Class {
    match error {
        IndexError::Signature(error) => of_signature(error),
        IndexError::Tar(_)
        | IndexError::Adb(_)
        | IndexError::NoIndex
        | IndexError::TooLarge
        | IndexError::Line { .. }
        | IndexError::Encoding => Fetch.hint(BAD_MIRROR),
    }
}

fn of_signature(error: &SignatureError) -> Class {
    match error {
        SignatureError::Untrusted { .. } => Fetch.hint(KEYS),
        SignatureError::Key { .. } => System.into(),
        SignatureError::Dsa(_) => Fetch.into(),
        SignatureError::Unsigned
        | SignatureError::Wrong(_)
        | SignatureError::Member(_)
        | SignatureError::TooMuch => Fetch.hint(BAD_MIRROR),
    }
}

const NO_IMAGE: &str = "check the name in Image=, or write the digest of the image, which no registry is asked for: Image=NAME@sha256:DIGEST";
const NO_REGISTRY: &str = "check the network, or name the image by its digest, which no registry is asked for: Image=NAME@sha256:DIGEST";

impl Classify for FetchError {
    fn class(&self) -> Class {
        match self {
            Self::Missing { place, .. } if place.ends_with(".apk") => Fetch.hint(NO_PACKAGE),
            Self::Missing { .. } => Fetch.hint(NO_REPOSITORY),
            Self::Unreachable { .. } | Self::Answer { .. } | Self::Stalled { .. } => Fetch.hint(NETWORK),
            Self::Image { .. } => Fetch.hint(NO_IMAGE),
            Self::Registry { .. } => Fetch.hint(NO_REGISTRY),
            Self::WrongSize { .. } | Self::TooLarge { .. } | Self::Package { .. } => Fetch.hint(BAD_MIRROR),
            Self::Key { .. } => System.into(),
            // What is being downloaded grows in the store.
            Self::Io { source, .. } => of_store(source),
            Self::Store(error) => error.class(),
        }
    }
}

impl Classify for ProgramError {
    fn class(&self) -> Class {
        match self {
            Self::Failed { .. } | Self::Missing { .. } => Script.into(),
        }
    }
}

impl Classify for ContainerError {
    fn class(&self) -> Class {
        match self {
            Self::File { fix, .. } => System.hint(fix.clone()),
            Self::Missing { .. } => System.hint("add `podman` and `alpine-base` to `packages`"),
        }
    }
}

impl Classify for StackError {
    fn class(&self) -> Class {
        match self {
            Self::Store(error) => error.class(),
            Self::Layer(error) => error.class(),
            Self::Package(error) => error.class(),
            Self::Sandbox(error) | Self::Unpack { source: error, .. } => error.class(),
            Self::Files(error) => error.class(),
            Self::Lost { source, .. } => source.class(),
            Self::Conflict(_) => {
                System.hint("leave one of them out of `packages`: apk would refuse them too")
            }
            Self::State(error) => error.class(),
            Self::Container(error) => error.class(),
            Self::Secrets(error) => error.class(),
            Self::Covers { .. } => System.hint(COVERS),
            Self::CoversFile { .. } => System.hint(COVERS_FILE),
            Self::NoOpenrc | Self::NoSuchMode(_) => System.into(),
            Self::NoOpenrcForMonitor => System.hint("add `openrc` or `alpine-base` to `packages`"),
            Self::Io(_) => Failed.into(),
            Self::Path(error) => error.class(),
        }
    }
}

impl Classify for ImageError {
    fn class(&self) -> Class {
        match self {
            Self::NoUki(_) => System.hint(
                "build what its boot loader reads, with `hoopy build --output kernel+initramfs`, or a root to unpack, with \
                 --output tar",
            ),
            Self::NoKernel | Self::TwoKernels(_) | Self::Codec { .. } => System.into(),
            Self::PackedKernel { layout: Layout::Extlinux, .. } => System.hint(
                "set `layout = \"ab\"` in hoopy.toml: U-Boot starts EFI programs, systemd-boot among them",
            ),
            Self::NoDeviceTrees | Self::PackedKernel { .. } => {
                System.hint("take `linux-rpi` in `packages`, and no other kernel")
            }
            Self::BoardLine(_) => System.hint("put the file there, or take the line out"),
            Self::BoardName { .. } => System.hint("rename the file, and the lines of config.txt that name it"),
            Self::CommandLine(_) => {
                System.hint("shorten `cmdline`: what the kernel would cut is the end of it")
            }
            Self::NoEfi { .. } | Self::Uki(_) | Self::DoesNotFit(_) | Self::Archive(_) => Failed.into(),
            Self::Io { source, .. } => of_output(source),
            Self::Sign(error) => error.class(),
            Self::Layer(error) => error.class(),
            Self::Secrets(error) => error.class(),
            Self::NoOwner(_) => Failed
                .hint("name the file with your key in HOOPY_IDENTITY: an age identity, or a private ssh key"),
            Self::Segment(error) => error.class(),
            Self::Store(error) => error.class(),
        }
    }
}

impl Classify for SegmentError {
    fn class(&self) -> Class {
        match self {
            Self::Layer(error) => error.class(),
            Self::Store(error) => error.class(),
            Self::Write(source) => of_store(source),
        }
    }
}

impl Classify for QueryError {
    fn class(&self) -> Class {
        match self {
            Self::Make(error) => error.class(),
            Self::Keys(error) => error.class(),
            Self::Gone { .. } => Fetch.hint(
                "lock what there is now with `hoopy update`, or name packages that `hoopy vendor` kept with --mirror",
            ),
            Self::NotLocked { held: Some(_), .. } => {
                Failed.hint("`hoopy info PKG` describes packages that are not locked")
            }
            Self::NotLocked { held: None, .. } | Self::NotThere { .. } => {
                Failed.hint("`hoopy search TEXT` finds packages by part of a name or description")
            }
        }
    }
}

impl Classify for CheckError {
    fn class(&self) -> Class {
        match self {
            Self::Io { .. } => System.into(),
            Self::Import(error) => error.class(),
            Self::Layer(error) => error.class(),
            Self::Lost(error) => error.class(),
        }
    }
}

impl Classify for ReproduceError {
    fn class(&self) -> Class {
        match self {
            Self::Io { .. } => Failed.into(),
            Self::Lock(error) => error.class(),
            Self::Store(error) => error.class(),
            Self::Layer(error) => error.class(),
        }
    }
}

impl Classify for VendorError {
    fn class(&self) -> Class {
        match self {
            Self::NoLock(_) => System.hint(LOCK),
            Self::Fetch(error) => error.class(),
            Self::NoRepository { .. } => {
                System.hint("add the repository to hoopy.toml, or run `hoopy update`")
            }
            Self::NoIndex { .. } => System.into(),
            Self::Io { .. } => Failed.into(),
        }
    }
}

impl Classify for InitError {
    fn class(&self) -> Class {
        match self {
            Self::Exists(_) => Failed.hint("name another directory, or remove the file"),
            Self::NoTemplate(_) => Usage.into(),
            Self::OtherArch { .. } => Usage.hint("leave out --arch"),
            Self::NoUki { .. } => {
                Usage.hint("leave out --template: the minimal one is for all architectures")
            }
            Self::NotAKey(_) => {
                Usage.hint("make a key with `ssh-keygen -t ed25519`, and give the file that ends in .pub")
            }
            Self::Password(_) | Self::Io { .. } => Failed.into(),
        }
    }
}

impl Classify for WatchError {
    fn class(&self) -> Class {
        match self {
            Self::Io { .. } => Failed.into(),
            Self::TooMany(_) => {
                Failed.hint("raise the limit: sudo sysctl fs.inotify.max_user_watches=524288")
            }
        }
    }
}
