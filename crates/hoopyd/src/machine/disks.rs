//! Filesystems, and pools of several disks: what the kernel says of them, without waking one.

use std::collections::HashSet;
use std::path::Path;

use hoopy_base::octal::unescape;
use hoopy_boot::status::{Filesystem, Pool};

use super::{line, names, text};

/// Filesystems on another computer: asking for their size may never end.
const REMOTE: [&str; 9] = ["nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "ceph", "afs", "fuse.sshfs"];

/// Filesystems in memory that are of use to nobody as a row of their own.
const INTERNAL: [&str; 3] = ["devtmpfs", "ramfs", "efivarfs"];

/// Mount points that tell nothing: below them the system keeps its own.
const SYSTEM: [&str; 4] = ["/proc", "/sys", "/dev", "/run"];

/// Filesystems that have a size, each once.
pub fn filesystems(root: &Path) -> Vec<Filesystem> {
    let mut seen = HashSet::new();
    let mut found: Vec<Filesystem> = Vec::new();
    for mount in text(root, "proc/self/mountinfo").lines() {
        let Some((device_number, entry)) = mount_of(mount) else { continue };
        let hidden = SYSTEM.iter().any(|top| {
            entry.mount.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        let is_remote = REMOTE.contains(&&*entry.kind) || entry.kind.starts_with("fuse");
        if hidden || is_remote || INTERNAL.contains(&&*entry.kind) || !seen.insert(device_number) {
            continue;
        }
        found.extend(sized(root, entry));
    }
    found
}

/// A line of mountinfo (proc(5)): the device's number, and the filesystem without its sizes.
fn mount_of(line: &str) -> Option<(String, Filesystem)> {
    let (front, back) = line.split_once(" - ")?;
    let mut front = front.split(' ');
    let number = front.nth(2)?.to_owned();
    let mount = unescape(front.nth(1)?);
    let options = front.next()?;
    let mut back = back.split(' ');
    let (kind, device) = (back.next()?.to_owned(), unescape(back.next()?));
    // Read-only for this mount, or as a whole.
    let read_only = [Some(options), back.next()].iter().flatten().any(|o| o.split(',').any(|o| o == "ro"));
    let entry = Filesystem { mount, device, kind, size: 0, free: 0, files: 0, files_free: 0, read_only };
    Some((number, entry))
}

/// With its sizes; nothing where it has none.
fn sized(root: &Path, entry: Filesystem) -> Option<Filesystem> {
    let at = root.join(entry.mount.trim_start_matches('/'));
    let stat = rustix::fs::statvfs(at).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    (stat.f_blocks > 0).then(|| Filesystem {
        size: bytes(stat.f_blocks),
        free: bytes(stat.f_bavail),
        files: stat.f_files,
        files_free: stat.f_ffree,
        ..entry
    })
}

/// Pools of ZFS, arrays of md, and filesystems of Btrfs on several devices.
pub fn pools(root: &Path) -> Vec<Pool> {
    let mut pools = zfs(root);
    pools.extend(arrays(&text(root, "proc/mdstat")));
    pools.extend(btrfs(root));
    pools
}

fn zfs(root: &Path) -> Vec<Pool> {
    let top = "proc/spl/kstat/zfs";
    let pool = |name: String| {
        let state = line(root, &format!("{top}/{name}/state"));
        let healthy = state == "ONLINE";
        (!state.is_empty()).then(|| Pool { name, kind: "zfs".to_owned(), state, healthy })
    };
    names(root, top).into_iter().filter_map(pool).collect()
}

/// `/proc/mdstat`: a line that starts with the array's name, and one with `[UU_]` where it has copies.
fn arrays(text: &str) -> Vec<Pool> {
    let mut pools: Vec<Pool> = Vec::new();
    for line in text.lines() {
        if let Some((name, rest)) = line.split_once(" : ").filter(|(name, _)| name.starts_with("md")) {
            let active = rest.starts_with("active");
            let state = if active { "active" } else { "inactive" }.to_owned();
            pools.push(Pool { name: name.to_owned(), kind: "md".to_owned(), state, healthy: active });
        } else if let (Some(members), Some(pool)) = (members(line), pools.last_mut()) {
            let missing = members.matches('_').count();
            if missing > 0 {
                pool.state = format!("degraded, {missing} of {} disks missing", members.len());
                pool.healthy = false;
            }
        }
    }
    pools
}

fn members(line: &str) -> Option<&str> {
    let word = line.split_whitespace().last()?;
    let inside = word.strip_prefix('[')?.strip_suffix(']')?;
    (!inside.is_empty() && inside.chars().all(|c| c == 'U' || c == '_')).then_some(inside)
}

fn btrfs(root: &Path) -> Vec<Pool> {
    let top = "sys/fs/btrfs";
    let mut pools = Vec::new();
    for id in names(root, top) {
        let devices = names(root, &format!("{top}/{id}/devinfo"));
        if devices.len() < 2 {
            continue;
        }
        let missing = |n: &&String| line(root, &format!("{top}/{id}/devinfo/{n}/missing")) == "1";
        let missing = devices.iter().filter(missing).count();
        let label = line(root, &format!("{top}/{id}/label"));
        let state = if missing == 0 {
            "complete".to_owned()
        } else {
            format!("{missing} of {} disks missing", devices.len())
        };
        let name = if label.is_empty() { id } else { label };
        pools.push(Pool { name, kind: "btrfs".to_owned(), state, healthy: missing == 0 });
    }
    pools
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_without_one_of_its_disks_is_degraded() {
        let text = "Personalities : [raid1]\n\
            md0 : active raid1 sdb1[1] sda1[0]\n      1046528 blocks super 1.2 [2/2] [UU]\n\n\
            md1 : active raid1 sdd1[1]\n      1046528 blocks super 1.2 [2/1] [_U]\n\nunused devices: <none>\n";
        let pools = arrays(text);
        let told: Vec<_> = pools.iter().map(|p| (&*p.name, &*p.state, p.healthy)).collect();
        assert_eq!(told, [("md0", "active", true), ("md1", "degraded, 1 of 2 disks missing", false)]);
    }

    #[test]
    fn a_mount_point_with_blanks_is_read() {
        let line = r"36 35 98:0 /mnt1 /mnt\040two rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        let (number, entry) = mount_of(line).unwrap_or_else(|| unreachable!());
        assert_eq!((&*number, &*entry.mount, &*entry.kind), ("98:0", "/mnt two", "ext3"));
        assert!(!entry.read_only);
        assert!(mount_of("36 35 nonsense").is_none());
    }
}
