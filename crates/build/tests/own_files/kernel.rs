//! Modules of another kernel.

use crate::system::Directory;

const KERNEL: &str = "package linux-virt 1-r0\ndir boot 755 0:0\nfile boot/vmlinuz-virt 644 0:0 one\ndir lib 755 0:0\ndir lib/modules 755 0:0\ndir lib/modules/6.1-0-virt 755 0:0\nfile lib/modules/6.1-0-virt/a.ko 644 0:0 one\n";

#[test]
fn modules_for_another_kernel_are_found_wherever_they_come_from() {
    let dir = Directory::new();
    dir.write("root/lib/modules/6.2/extra/mine.ko.gz", "x");
    let zfs = "package zfs 1-r0\ndir lib 755 0:0\ndir lib/modules 755 0:0\ndir lib/modules/6.0-5-virt 755 0:0\nfile lib/modules/6.0-5-virt/zfs.ko 644 0:0 one\n";
    let built = dir.build(&format!("{KERNEL}{zfs}")).unwrap();
    let findings = dir.findings(&built);
    let expected = [
        "packages: zfs-1-r0 has modules for kernel 6.0-5-virt, and the kernel of linux-virt-1-r0 is 6.1-0-virt",
        "root/lib/modules/6.2: root/ has modules for kernel 6.2, and the kernel of linux-virt-1-r0 is 6.1-0-virt",
    ];
    for expected in expected {
        assert!(findings.iter().any(|finding| finding.starts_with(expected)), "{findings:#?}");
    }
}

#[test]
fn modules_for_the_same_kernel_are_not() {
    let dir = Directory::new();
    dir.write("root/lib/modules/6.1-0-virt/extra/mine.ko", "x");
    let built = dir.build(KERNEL).unwrap();
    assert!(!dir.findings(&built).iter().any(|finding| finding.contains("modules for kernel")));
}
