use super::*;

fn why(finding: &Finding) -> &str {
    match &finding.verdict {
        Verdict::Passed => "",
        Verdict::Failed(why) | Verdict::Skipped(why) => why,
    }
}

#[test]
fn a_runlevel_that_is_not_reached_is_told_with_where_it_stands() {
    let at = |text: &str| runlevel("default", &facts::Progress::read(text), Duration::from_secs(9));
    assert_eq!(at("default||9.0").verdict, Verdict::Passed);
    assert_eq!(why(&at("default|starting|9.0")), "the runlevel default was still being started after 9 s");
    assert_eq!(why(&at("boot||9.0")), "the runlevel was boot after 9 s");
    assert_eq!(why(&at("||9.0")), "OpenRC was not started after 9 s");
    assert_eq!(at("none||9.0").verdict, Verdict::Skipped("the image has no OpenRC".to_owned()));
}

#[test]
fn services_that_are_not_up_are_named() {
    let finding =
        services("sysinit devfs started\nboot networking inactive\ndefault sshd failed\ndefault x stopped\n");
    assert_eq!(why(&finding), "not up: sshd, x");
    assert_eq!(finding.output, "sshd (runlevel default): failed\nx (runlevel default): stopped\n");
    assert_eq!(services("boot hostname started\n").output, "1 services\n");
    assert_eq!(crashed("").verdict, Verdict::Passed);
    assert_eq!(why(&crashed("dropbear\n chronyd\n")), "crashed: dropbear, chronyd");
}

#[test]
fn what_fstab_mounts_at_boot_must_be_mounted() {
    let mounted = "rootfs / rootfs rw 0 0\n/dev/vdb /srv/my\\040data ext4 rw 0 0\n";
    let table = "UUID=1 /srv/my\\040data ext4\nUUID=2 /gone ext4\nLABEL=x /later ext4 noauto\nLABEL=y none swap\n\
                 nas:/s /nfs nfs\n/dev/sda1 /usb vfat\nUUID=3 /maybe ext4 nofail\n";
    let finding = mounts(table, mounted, "Filename Type\n", &["/dev/sda1".to_owned()]);
    assert_eq!(why(&finding), "not mounted: /gone, none");
    assert_eq!(
        finding.output,
        "UUID=1 on /srv/my data: mounted\nUUID=2 on /gone: not mounted\nLABEL=y on none: not mounted\n\
         nas:/s on /nfs: not mounted, and skipped: there is no server for it here\n\
         /dev/sda1 on /usb: not mounted, and passed over: the machine has no disk for it\n\
         UUID=3 on /maybe: not mounted, as nofail allows\n"
    );
    assert_eq!(mounts("LABEL=y none swap", mounted, "Filename\n/dev/vda\n", &[]).verdict, Verdict::Passed);
}

#[test]
fn a_clock_may_be_off_by_what_a_busy_host_takes() {
    let now = UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    assert_eq!(clock("1789999990\n", now).verdict, Verdict::Passed);
    assert_eq!(why(&clock("40\n", now)), "the clock is 1789999960 s behind");
    assert_eq!(why(&clock("1790001000\n", now)), "the clock is 1000 s ahead");
    assert_eq!(why(&clock("date: not found\n", now)), "no time: \"date: not found\\n\"");
}

#[test]
fn a_root_on_a_disk_is_found() {
    assert_eq!(root("none / rootfs rw 0 0\nproc /proc proc rw 0 0\n").verdict, Verdict::Passed);
    let finding = root("rootfs / rootfs rw 0 0\n/dev/sda2 / ext4 rw 0 0\n");
    assert_eq!(why(&finding), "/ is ext4 on /dev/sda2");
}

#[test]
fn memory_is_shown_beside_what_was_given() {
    let said = |available: u64| format!("MemTotal: 480000 kB\nMemAvailable: {available} kB\n");
    let finding = memory(&said(300 << 10), 512 << 20);
    assert_eq!((finding.verdict, finding.output.as_str()), (Verdict::Passed, "212 of 512 MiB used\n"));
    assert!(matches!(memory(&said(20 << 10), 512 << 20).verdict, Verdict::Failed(_)));
    assert_eq!(why(&memory("", 1)), "no MemAvailable in /proc/meminfo");
}

#[test]
fn secrets_that_a_tpm_left_closed_are_a_failure_with_its_reason() {
    assert_eq!(secrets("secrets are open\n").verdict, Verdict::Passed);
    let finding = secrets("secrets are locked\nno TPM 2.0: /dev/tpmrm0\n");
    assert_eq!((why(&finding), &*finding.output), ("secrets are locked", "no TPM 2.0: /dev/tpmrm0\n"));
    let waiting = secrets("secrets are locked until the owner unlocks this machine\n");
    assert!(why(&waiting).contains("until the owner"));
    assert!(matches!(secrets("").verdict, Verdict::Skipped(_)));
}
