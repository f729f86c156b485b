//! A hint to ext4: what is made in a directory has nothing to do with its neighbours (chattr(1), attribute `T`).
//!
//! Without it all of it goes next to the parent, and so next to whatever else was made and removed there. ext4 does
//! not give an inode away again in the first minutes after it was freed, and looks over each of them for every file
//! that it makes (fs/ext4/ialloc.c, `recently_deleted`): where thousands of files were removed just before, a store is
//! filled at a tenth of the speed.

use std::fs::File;
use std::path::Path;

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

/// Has each directory that is made in `dir` laid where there is room. Other filesystems know nothing of it, and
/// nothing depends on it.
pub fn spread(dir: &Path) {
    let Ok(dir) = File::open(dir) else { return };
    if let Ok(flags) = ioctl_getflags(&dir) {
        let _ = ioctl_setflags(&dir, flags | IFlags::TOPDIR);
    }
}
