//! Puts a file that belongs to root into a new filesystem, without root and without mounting it: by `debugfs`, which e2fsprogs bring. Other
//! filesystems have no such tool.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use hoopy_base::programs::Programs;

use super::mkfs::{MkfsError, TIME};

/// The tool, and the package that brings it.
const TOOL: (&str, &str) = ("debugfs", "e2fsprogs");

/// Filesystems that it knows.
const KNOWN: [&str; 4] = ["ext2", "ext3", "ext4", "auto"];

/// Whether files can be put into a new filesystem of this kind.
pub fn is_possible(filesystem: &str) -> bool {
    KNOWN.contains(&filesystem)
}

/// Puts the file `from` to `DIR/NAME` of the filesystem in the file `image`, for root alone. `DIR` is made.
///
/// # Errors
/// [`MkfsError`].
pub fn put(image: &Path, from: &Path, to: (&str, &str), programs: &Programs) -> Result<(), MkfsError> {
    let (dir, name) = to;
    let path = format!("/{dir}/{name}");
    let failed = |message: String| MkfsError::Failed { tool: TOOL.0, spec: path.clone(), message };
    let script = format!(
        "mkdir /{dir}\nsif /{dir} mode 040700\nsif /{dir} uid 0\nsif /{dir} gid 0\n\
         write {} {path}\nsif {path} mode 0100600\nsif {path} uid 0\nsif {path} gid 0\n",
        from.display()
    );
    debugfs(image, &["-w", "-f", "/dev/stdin"], &script, programs).map_err(failed)?;
    // It ends with success whatever happened.
    let stat = debugfs(image, &["-R", &format!("stat {path}")], "", programs).map_err(failed)?;
    let fields: Vec<&str> = stat.split_whitespace().collect();
    let has = |name: &str, value: &str| fields.windows(2).any(|pair| pair == [name, value]);
    let size = std::fs::metadata(from).map_err(|error| failed(error.to_string()))?.len().to_string();
    if has("Mode:", "0600") && has("User:", "0") && has("Group:", "0") {
        return match has("Size:", &size) {
            true => Ok(()),
            false => Err(failed(format!("expected room for {size} bytes, found less: make the disk larger"))),
        };
    }
    Err(failed(format!("expected a file of root's with mode 0600, found {:?}", stat.lines().next())))
}

fn debugfs(image: &Path, args: &[&str], input: &str, programs: &Programs) -> Result<String, String> {
    let tool = programs.find(TOOL.0);
    let tool = tool.ok_or_else(|| format!("it is not installed: it is in the package {}", TOOL.1))?;
    let mut command = Command::new(tool);
    command.args(args).arg(image).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("E2FSPROGS_FAKE_TIME", TIME).env("SOURCE_DATE_EPOCH", TIME).env("DEBUGFS_PAGER", "cat");
    let mut child = command.spawn().map_err(|error| format!("it does not start: {error}"))?;
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(input.as_bytes()).map_err(|error| error.to_string())?;
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs::{self, File};

    use super::*;
    use crate::fstab;
    use crate::mkfs::Maker;

    #[test]
    fn a_file_is_roots_alone_and_the_filesystem_is_sound() {
        let dir = tempfile::tempdir().unwrap();
        let (image, from) = (dir.path().join("image"), dir.path().join("from"));
        File::create(&image).unwrap().set_len(64 << 20).unwrap();
        let mount = fstab::parse(b"LABEL=persist /persist ext4\n").remove(0);
        let programs = Programs::default();
        Maker::of("ext4").unwrap().make(&image, &mount, &programs).unwrap();
        fs::write(&from, "a key\n").unwrap();
        put(&image, &from, ("hoopy", "identity"), &programs).unwrap();
        let read = debugfs(&image, &["-R", "cat /hoopy/identity"], "", &programs).unwrap();
        assert_eq!(read, "a key\n");
        let checked = Command::new("/usr/sbin/e2fsck").args(["-fn"]).arg(&image).output().unwrap();
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    }
}
