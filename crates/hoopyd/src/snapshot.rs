//! A snapshot of the filesystem that keeps the state, where it is btrfs or ZFS: a backup is then of one instant, and programs of
//! `backup.d` have to keep still only while the snapshot is made.
//!
//! | filesystem | made | read at | removed |
//! |---|---|---|---|
//! | btrfs | `btrfs subvolume snapshot -r ON ON/hoopy/snapshot` | `ON/hoopy/snapshot` | `btrfs subvolume delete` |
//! | ZFS | `zfs snapshot DATASET@hoopy-backup` | `ON/.zfs/snapshot/hoopy-backup` | `zfs destroy` |
//!
//! One that a power cut left is removed by the next backup. A machine without the program (`btrfs-progs`, `zfs`) has no
//! snapshots, and neither has a btrfs that is mounted from a directory which is no subvolume.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use hoopy_boot::state::HOME;
use rustix::fs::{FlockOperation, flock};

use crate::error::AgentError;
use crate::mounts::{self, Mount};
use crate::unlock::run;

/// Where the programs may be, below the root.
const PROGRAMS: [&str; 4] = ["sbin", "usr/sbin", "bin", "usr/bin"];

/// The snapshot's name: in hoopy's directory, and of a ZFS dataset.
const BTRFS_NAME: &str = "snapshot";
const ZFS_NAME: &str = "hoopy-backup";

/// The inode of a btrfs subvolume's root (btrfs(5)).
const SUBVOLUME: u64 = 256;

/// How the filesystem of the state makes snapshots.
#[derive(Debug)]
pub struct Snapshotter {
    program: PathBuf,
    make: Vec<String>,
    remove: Vec<String>,
    /// Where the files of the snapshot are.
    dir: PathBuf,
    /// One backup at a time: the next one waits for the snapshot's name.
    lock: File,
}

/// A snapshot; dropped, it is removed.
#[derive(Debug)]
pub struct Snapshot(Option<Snapshotter>);

impl Snapshotter {
    /// Those of the filesystem that is mounted at `on`, if it has any.
    ///
    /// # Errors
    /// [`AgentError::Io`] where another backup cannot be waited for.
    pub fn of(root: &Path, on: &str) -> Result<Option<Self>, AgentError> {
        let at = root.join(on.trim_start_matches('/'));
        let failed = || AgentError::io("lock", at.join(HOME));
        let text = |path: PathBuf| path.into_os_string().into_string().ok();
        let Some(Mount { source, kind }) = mounts::at(root, on) else { return Ok(None) };
        let commands = match kind.as_str() {
            "btrfs" if fs::metadata(&at).is_ok_and(|meta| meta.ino() == SUBVOLUME) => {
                let dir = at.join(HOME).join(BTRFS_NAME);
                text(at.clone()).zip(text(dir.clone())).map(|(from, to)| {
                    (
                        ["subvolume", "snapshot", "-r", &from, &to].map(str::to_owned).to_vec(),
                        ["subvolume", "delete", &to].map(str::to_owned).to_vec(),
                        dir,
                    )
                })
            }
            "zfs" => {
                let name = format!("{source}@{ZFS_NAME}");
                let dir = at.join(".zfs/snapshot").join(ZFS_NAME);
                Some((vec!["snapshot".to_owned(), name.clone()], vec!["destroy".to_owned(), name], dir))
            }
            _ => None,
        };
        let program = PROGRAMS.map(|dir| root.join(dir).join(&kind)).into_iter().find(|path| path.is_file());
        let (Some((make, remove, dir)), Some(program)) = (commands, program) else { return Ok(None) };
        let lock = File::open(at.join(HOME)).map_err(failed())?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| failed()(error.into()))?;
        Ok(Some(Self { program, make, remove, dir, lock }))
    }

    /// Makes one.
    ///
    /// # Errors
    /// [`AgentError::Snapshot`] with what the program says.
    pub fn take(self) -> Result<Snapshot, AgentError> {
        if self.dir.exists() {
            // Left by a backup that was cut short.
            self.run(&self.remove)?;
        }
        self.run(&self.make)?;
        let snapshot = Snapshot(Some(self));
        // The state was there a moment ago. The kernel mounts a snapshot of ZFS when it is looked at, and cannot where the
        // dataset was mounted by BusyBox's mount: it gives an error then, which must not look like a machine without state.
        let home = snapshot.dir().join(HOME);
        match fs::read_dir(&home) {
            Ok(_) => Ok(snapshot),
            Err(error) => Err(AgentError::Snapshot {
                command: format!("read {}", home.display()),
                reason: format!("{error}; on ZFS, the dataset has to be mounted by `zfs mount` or mount.zfs"),
            }),
        }
    }

    fn run(&self, args: &[String]) -> Result<(), AgentError> {
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        run(&self.program, &words, None).map_err(|reason| {
            let program = self.program.file_name().unwrap_or_default().to_string_lossy();
            AgentError::Snapshot { command: format!("{program} {}", words.join(" ")), reason }
        })
    }
}

impl Snapshot {
    /// What was at the mount point.
    pub fn dir(&self) -> PathBuf {
        self.0.as_ref().map(|snapshotter| snapshotter.dir.clone()).unwrap_or_default()
    }

    /// Removes it.
    ///
    /// # Errors
    /// [`AgentError::Snapshot`] with what the program says.
    pub fn remove(mut self) -> Result<(), AgentError> {
        match self.0.take() {
            Some(snapshotter) => {
                let removed = snapshotter.run(&snapshotter.remove);
                drop(snapshotter.lock);
                removed
            }
            None => Ok(()),
        }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // The backup has failed already, and says why.
        if let Some(snapshotter) = self.0.take() {
            let _ = snapshotter.run(&snapshotter.remove);
        }
    }
}
