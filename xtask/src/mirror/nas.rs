//! What `examples/nas` needs beside [`super::community`]: names of disks that stay the same.

use super::Target;
use super::package::Package;

/// BusyBox's mdev as a service, which fills `/dev/disk`. The program and its rules are in real packages of Alpine.
pub fn mdev(target: &Target) -> Package {
    let mut package = Package::new("busybox-mdev-openrc", "1.37.0-r30", target);
    package.depends("mdev-conf");
    package.text("etc/init.d", "mdev", 0o755, include_str!("mdev.initd"));
    package
}
