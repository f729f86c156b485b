//! Where a file that the user names is to be written: a file is written whole and renamed into its place, and what is no
//! file is written into. A rename over `/dev/stdout` would take it away from every program of the machine.
//!
//! - `-` is standard output;
//! - a link is followed, to a file that need not be there yet;
//! - a pipe, a device and a descriptor (`/dev/fd/3`, `/proc/self/fd/3`) are written into.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use crate::atomic::{Pending, Readers, directory_of, replace_file};

/// As many as Linux follows (include/linux/namei.h, MAXSYMLINKS).
const MAX_LINKS: usize = 40;

/// What stands for standard output.
const STANDARD_OUTPUT: &str = "-";

/// Where something is to be written.
#[derive(Debug)]
pub enum Destination {
    /// A file of this name, at the end of all links: there or not.
    File(PathBuf),
    /// What is written into.
    Stream(File),
}

impl Destination {
    /// What `path` names.
    ///
    /// # Errors
    /// A directory, links that go round in a circle, and what the system says of a pipe or device.
    pub fn of(path: &Path) -> io::Result<Self> {
        match End::of(path)? {
            End::Descriptor(number) => descriptor_again(number),
            End::Path(path) => at_end(path),
        }
    }

    /// Whether it is a block device: a disk.
    pub fn is_disk(&self) -> bool {
        match self {
            Self::File(_) => false,
            Self::Stream(file) => file.metadata().is_ok_and(|meta| meta.file_type().is_block_device()),
        }
    }
}

/// What is at the end of all links.
enum End {
    /// A descriptor of this process. What it is open on must not be opened anew: a file would be written from its beginning
    /// again.
    Descriptor(i32),
    Path(PathBuf),
}

impl End {
    fn of(path: &Path) -> io::Result<Self> {
        if path == Path::new(STANDARD_OUTPUT) {
            return Ok(Self::Descriptor(1));
        }
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            if let Some(number) = descriptor(&path) {
                return Ok(Self::Descriptor(number));
            }
            let Ok(target) = fs::read_link(&path) else { return Ok(Self::Path(path)) };
            // A link's target is relative to the directory of the link.
            path = directory_of(&path).join(target);
        }
        Err(io::Error::other("too many levels of symbolic links"))
    }
}

/// Whether what is written to `path` comes out of standard output.
pub fn is_standard_output(path: &Path) -> bool {
    matches!(End::of(path), Ok(End::Descriptor(1)))
}

/// Something large that is written whole before it gets to where it is to be.
#[derive(Debug)]
pub struct OutputFile {
    pending: Pending,
    to: Destination,
}

impl OutputFile {
    /// One that is to be at `path`.
    ///
    /// # Errors
    /// As [`Destination::of`], and where no file can be made.
    pub fn new(path: &Path) -> io::Result<Self> {
        let to = Destination::of(path)?;
        let pending = match &to {
            Destination::File(path) => Pending::new_in(directory_of(path))?,
            Destination::Stream(_) => Pending::new_in(&std::env::temp_dir())?,
        };
        Ok(Self { pending, to })
    }

    /// Where it will be.
    pub fn to(&self) -> &Destination {
        &self.to
    }

    /// The file, to write to.
    pub fn file(&mut self) -> &mut File {
        self.pending.file()
    }

    /// The directory in which it is written: with room for as much again.
    pub fn directory(&self) -> PathBuf {
        match &self.to {
            Destination::File(path) => directory_of(path).to_owned(),
            Destination::Stream(_) => std::env::temp_dir(),
        }
    }

    /// Brings it there; a file for `readers`.
    ///
    /// # Errors
    /// What the system says.
    pub fn finish(mut self, readers: Readers) -> io::Result<()> {
        match self.to {
            Destination::File(path) => self.pending.keep(&path, readers),
            Destination::Stream(mut stream) => {
                let file = self.pending.file();
                file.rewind()?;
                enough(io::copy(file, &mut stream).and_then(|_| stream.flush()))
            }
        }
    }
}

/// Whoever reads may have enough before the end.
fn enough(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes `bytes` to what `path` names; a file for `readers`.
///
/// # Errors
/// As [`Destination::of`], and what writing says.
pub fn write(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    match Destination::of(path)? {
        Destination::File(path) => replace_file(&path, bytes, readers),
        Destination::Stream(mut stream) => enough(stream.write_all(bytes).and_then(|()| stream.flush())),
    }
}

fn at_end(path: PathBuf) -> io::Result<Destination> {
    match fs::metadata(&path).map(|meta| meta.file_type()) {
        Ok(kind) if kind.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(kind) if !kind.is_file() => Ok(Destination::Stream(OpenOptions::new().write(true).open(&path)?)),
        _ => Ok(Destination::File(path)),
    }
}

/// The number of the descriptor of this process that `path` stands for.
fn descriptor(path: &Path) -> Option<i32> {
    let process = format!("/proc/{}/fd", std::process::id());
    let dirs = ["/dev/fd", "/proc/self/fd", "/proc/thread-self/fd", process.as_str()];
    let dir = path.parent()?;
    if !dirs.iter().any(|known| dir == Path::new(known)) {
        return None;
    }
    path.file_name()?.to_str()?.parse().ok()
}

/// The descriptor `number`, once more.
fn descriptor_again(number: i32) -> io::Result<Destination> {
    let copy = match number {
        1 => io::stdout().as_fd().try_clone_to_owned()?.into(),
        2 => io::stderr().as_fd().try_clone_to_owned()?.into(),
        // A kernel before Linux 5.6 copies no descriptor by its number.
        _ => copy_of(number).or_else(|_| OpenOptions::new().write(true).open(format!("/dev/fd/{number}")))?,
    };
    Ok(Destination::Stream(copy))
}

/// A copy of the descriptor `number` of this process, which shares its position in the file and whether it appends. Asked
/// of the kernel: a number alone says nothing of who owns the descriptor or how long it stays open.
fn copy_of(number: i32) -> io::Result<File> {
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    Ok(pidfd_getfd(own, number, PidfdGetfdFlags::empty())?.into())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use super::*;
    fn put(path: &Path, text: &str) -> io::Result<()> {
        write(path, text.as_bytes(), Readers::Umask)
    }

    #[test]
    fn a_link_stays_and_what_it_leads_to_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("sub")).unwrap();
        fs::write(path("sub/old"), "old").unwrap();
        symlink("sub/old", path("link")).unwrap();
        symlink("link", path("link to link")).unwrap();
        symlink(path("sub/new"), path("to nothing yet")).unwrap();
        put(&path("link to link"), "new").unwrap();
        put(&path("to nothing yet"), "made").unwrap();
        assert_eq!(fs::read_to_string(path("sub/old")).unwrap(), "new");
        assert_eq!(fs::read_to_string(path("sub/new")).unwrap(), "made");
        assert!(
            path("link").is_symlink()
                && path("link to link").is_symlink()
                && path("to nothing yet").is_symlink()
        );
    }

    #[test]
    fn a_pipe_is_written_into_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || {
                let mut text = String::new();
                File::open(pipe).unwrap().read_to_string(&mut text).unwrap();
                text
            }
        });
        put(&pipe, "through").unwrap();
        assert_eq!(reader.join().unwrap(), "through");
        assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo());
    }

    #[test]
    fn a_device_is_written_into_and_stays() {
        put(Path::new("/dev/null"), "x").unwrap();
        assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
        let full = put(Path::new("/dev/full"), "x").unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_file_that_a_descriptor_appends_to_keeps_what_it_had() {
        use std::os::fd::AsRawFd as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "first\n").unwrap();
        let open = OpenOptions::new().append(true).open(&path).unwrap();
        put(Path::new(&format!("/dev/fd/{}", open.as_raw_fd())), "second\n").unwrap();
        put(Path::new(&format!("/proc/self/fd/{}", open.as_raw_fd())), "third\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "first\nsecond\nthird\n");
    }

    #[test]
    fn a_descriptor_goes_on_where_it_stands() {
        use std::os::fd::AsRawFd as _;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"one ").unwrap();
        put(Path::new(&format!("/dev/fd/{}", file.as_raw_fd())), "two ").unwrap();
        file.write_all(b"three").unwrap();
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one two three");
    }

    #[test]
    fn directories_and_circles_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        assert_eq!(put(dir.path(), "x").unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert!(put(&dir.path().join("a"), "x").is_err());
        assert!(dir.path().join("a").is_symlink());
    }
}
