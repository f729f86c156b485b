//! What the guest is sent: the script with all around it, what its tree lacks, and the directory for `/mnt`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use hoopy_base::shell::quoted_bytes;
use hoopy_cpio::codec::Codec;
use hoopy_cpio::{Header, WriteError, Writer, file_type};
use hoopy_sandbox::Script;
use hoopy_store::Store;
use hoopy_store::layer::files::MAX_DEPTH;
use hoopy_store::layer::{Entry, EntryPath, Kind};
use hoopy_store::tree::Tree;

use super::error::MachineError;
use crate::segment;

/// What turns one tree into another.
pub(super) struct Delta {
    /// Paths to remove, whatever is there.
    pub(super) gone: Vec<EntryPath>,
    /// The layers to unpack after that, each without what does not show.
    pub(super) plans: Vec<segment::Plan>,
}

/// What a guest that has `old` needs to have `new`.
pub(super) fn delta(old: &Tree, new: &Tree) -> Delta {
    let same = old.layers().iter().zip(new.layers()).take_while(|(a, b)| a.id == b.id).count();
    let extends = same == old.layers().len();
    let gone =
        |(path, entry, at): &(&EntryPath, &Entry, hoopy_store::tree::At)| match (new.at(path), new.get(path))
        {
            (Some(there), Some(_)) if extends && there == *at => false,
            (Some(_), Some(there)) if extends => !(entry.is_dir() && there.is_dir()),
            _ => true,
        };
    let gone = old.iter().filter(gone).map(|(path, ..)| path.clone()).collect();
    let first = if extends { same } else { 0 };
    let plans = (first..new.layers().len()).map(|index| {
        let layer = new.layers()[index].clone();
        let mut masked = new.masked(index, &|_| false);
        // Scripts have a /dev of their own, and no other device nodes below them in the sandbox either
        let device = |e: &Entry| matches!(e.kind, Kind::Char { .. } | Kind::Block { .. });
        masked.extend(layer.entries.iter().enumerate().filter(|(_, e)| device(e)).map(|(i, _)| i));
        masked.sort_unstable();
        masked.dedup();
        segment::Plan::of(layer, masked, Codec::None)
    });
    let plans = plans.filter(|plan| !plan.is_empty()).collect();
    Delta { gone, plans }
}

impl Delta {
    /// Sends the layers, an archive each.
    pub(super) fn send(&self, store: &Store, to: &mut impl Write) -> Result<(), MachineError> {
        self.plans.iter().try_for_each(|plan| Ok(segment::write_archive(plan, store, &mut *to)?))
    }
}

/// Sends the archive that describes the job.
pub(super) fn send(script: &Script, gone: &[EntryPath], to: &mut impl Write) -> Result<(), WriteError> {
    let gone: Vec<u8> = gone.iter().flat_map(|path| path.as_bytes().iter().copied().chain([0])).collect();
    let program = [b"dev/.hoopy/", script.file_name().as_bytes()].concat();
    let files: [(&[u8], u32, &[u8]); 4] = [
        (b"remove", 0o644, &gone),
        (b"vars", 0o644, &vars(script)),
        (b"dev/.hoopy/.tools/start", 0o644, &start(script)),
        (&program, 0o755, &script.body),
    ];
    let mut archive = Writer::new(to);
    for name in [&b"dev"[..], b"dev/.hoopy", b"dev/.hoopy/.tools"] {
        archive.entry(&Header { name, mode: file_type::DIR | 0o755, nlink: 2, ..Header::default() }, 0)?;
    }
    for (name, mode, content) in files {
        let mode = file_type::FILE | mode;
        archive.entry(&Header { name, mode, nlink: 1, ..Header::default() }, content.len() as u64)?;
        archive.write_all(content)?;
    }
    archive.finish().map(drop)
}

/// What the guest's own scripts need to know.
fn vars(script: &Script) -> Vec<u8> {
    let said = |yes: bool| if yes { "yes" } else { "no" };
    let mut vars = b"name=".to_vec();
    vars.extend(quoted_bytes(script.file_name().as_bytes()));
    vars.extend(
        format!("\nbind={}\nnetwork={}\n", said(script.bind.is_some()), said(script.network)).bytes(),
    );
    vars
}

/// Run inside, by a BusyBox that the image knows nothing of: enters the directory and starts the program that it is
/// given, with the script's arguments and nothing but its environment.
fn start(script: &Script) -> Vec<u8> {
    let mut text = b"cd ".to_vec();
    text.extend(quoted_bytes(script.cwd.as_os_str().as_bytes()));
    text.extend(b" || exit 125\nexec /dev/.hoopy/.tools/ld /dev/.hoopy/.tools/busybox env -i");
    for (key, value) in &script.env {
        text.push(b' ');
        text.extend(quoted_bytes(format!("{key}={value}").as_bytes()));
    }
    text.extend(b" \"$1\"");
    for arg in &script.args {
        text.push(b' ');
        text.extend(quoted_bytes(arg));
    }
    text.push(b'\n');
    text
}

/// Sends the directory `dir` as an archive. What is `hidden` of it is an empty directory.
pub(super) fn send_directory(
    dir: &Path,
    hidden: &[PathBuf],
    to: &mut impl Write,
) -> Result<(), MachineError> {
    let mut walk = Walk { archive: Writer::new(to), top: dir, hidden };
    walk.directory(dir, 0)?;
    walk.archive.finish().map(drop).map_err(|e| failed(dir, e))
}

struct Walk<'a, W: Write> {
    archive: Writer<W>,
    top: &'a Path,
    hidden: &'a [PathBuf],
}

impl<W: Write> Walk<'_, W> {
    fn directory(&mut self, dir: &Path, depth: usize) -> Result<(), MachineError> {
        if depth > MAX_DEPTH {
            return Err(failed(dir, io::Error::other("more than 128 directories deep").into()));
        }
        let names = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut names = names.map_err(|e| failed(dir, e.into()))?;
        names.sort_by_key(fs::DirEntry::file_name);
        for name in names {
            let path = name.path();
            let is_dir = self.entry(&path).map_err(|e| failed(&path, e))?;
            let inside = path.strip_prefix(self.top).unwrap_or(&path);
            if is_dir && !self.hidden.iter().any(|hidden| hidden == inside) {
                self.directory(&path, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Whether it is a directory.
    fn entry(&mut self, path: &Path) -> Result<bool, WriteError> {
        let meta = fs::symlink_metadata(path)?;
        let name = path.strip_prefix(self.top).unwrap_or(path).as_os_str().as_bytes();
        let mtime = u32::try_from(meta.mtime()).unwrap_or(0);
        let header = Header { name, mode: meta.mode(), nlink: 1, mtime, ..Header::default() };
        if meta.is_symlink() {
            let target = fs::read_link(path)?;
            let target = target.as_os_str().as_bytes();
            self.archive.entry(&header, target.len() as u64)?;
            self.archive.write_all(target)?;
        } else if meta.is_file() {
            let mut file = File::open(path)?;
            self.archive.entry(&header, meta.len())?;
            io::copy(&mut io::Read::take(&mut file, meta.len()), &mut self.archive)?;
        } else if meta.is_dir() {
            self.archive.entry(&header, 0)?;
        }
        Ok(meta.is_dir())
    }
}

fn failed(path: &Path, error: WriteError) -> MachineError {
    let source = match error {
        WriteError::Io(e) => e,
        other => io::Error::other(other),
    };
    MachineError::Io { what: format!("send {} to the machine", path.display()), source }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::process::Command;

    use hoopy_base::digest::LayerId;
    use hoopy_store::layer::Layer;

    use super::*;

    fn layer(id: &[u8], entries: &[(&str, Kind)]) -> Layer {
        let entry =
            |(path, kind): &(&str, Kind)| Entry::new(EntryPath::new(path).unwrap(), kind.clone(), 0o755);
        Layer::whole(LayerId::of(id), entries.iter().map(entry).collect())
    }

    fn tree(layers: &[Layer]) -> Tree {
        let mut tree = Tree::default();
        layers.iter().for_each(|l| tree.push(l.clone()));
        tree
    }

    const DIR: Kind = Kind::Dir { opaque: false };

    fn shown(delta: &Delta) -> (Vec<String>, Vec<usize>) {
        let gone = delta.gone.iter().map(ToString::to_string).collect();
        let left = |m: &segment::Member| m.layer.entries.len() - m.masked.len();
        (gone, delta.plans.iter().map(|plan| plan.members.iter().map(left).sum()).collect())
    }

    #[test]
    fn only_what_changed_is_removed_and_sent() {
        let a = layer(b"a", &[("etc", DIR), ("etc/x", Kind::Fifo), ("etc/y", Kind::Fifo)]);
        let b = layer(b"b", &[("etc", DIR), ("etc/x", Kind::Whiteout), ("etc/z", Kind::Fifo)]);
        let c = layer(b"c", &[("etc", DIR), ("etc/z", Kind::Symlink(b"y".to_vec()))]);
        let (one, three) = (tree(std::slice::from_ref(&a)), tree(&[a.clone(), b, c.clone()]));
        assert_eq!(shown(&delta(&Tree::default(), &one)), (vec![], vec![3]));
        assert_eq!(shown(&delta(&one, &three)), (vec!["etc/x".to_owned()], vec![1, 2]));
        assert_eq!(shown(&delta(&three, &tree(&[a, c]))).0, ["etc", "etc/y", "etc/z"]);
    }

    #[test]
    fn a_shell_takes_quoted_words_as_they_were() {
        let word = b"a 'b' \"$c\" \\ `d`\n*";
        let script = [b"printf %s ".as_slice(), &quoted_bytes(word)].concat();
        let out = Command::new("sh").arg("-c").arg(std::ffi::OsStr::from_bytes(&script)).output().unwrap();
        assert_eq!(out.stdout, word);
    }
}
