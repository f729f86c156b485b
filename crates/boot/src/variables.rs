//! Variables of the boot loader (systemd, "The Boot Loader Interface").

/// The vendor GUID of the variables.
pub const VENDOR: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

/// The partition that the boot loader was started from.
pub const DEVICE_PART_UUID: &str = "LoaderDevicePartUUID";

/// The file of the image that was started, where its boots are counted. After a kexec it is still that of the boot
/// before.
pub const BOOT_COUNT_PATH: &str = "LoaderBootCountPath";
