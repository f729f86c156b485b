//! What builds use of the store, so that `gc` knows what to keep.
//!
//! Times of last access say nothing where a filesystem does not keep them (`noatime`, `relatime`), and cannot be set
//! by hand: that changes a file's change time, which seals rely on (see [`super::seal`]). So a build notes the names
//! of all that it used, in one file under `used/` that is called after the image's path; the file's own time says
//! when. A build that finds its image up to date only sets that time, and so keeps all that made the image. What a
//! build that failed, or another command, used is noted under the digest of that list.
//!
//! Notes are made as well as they can be: where one cannot be written (a store that is read-only), or is torn by a
//! power cut, something may be collected too early, and is made again.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use hoopy_base::digest::{ContentId, RecipeId};

use super::{Part, Store};

/// A note lists at most so many files; a build of 2,000 packages uses some 20,000.
const MAX_NOTE: u64 = 64 << 20;

/// A file of the store: its part, and the digest that is its name.
pub(super) type Name = (Part, [u8; 32]);

/// What was used since the store was opened, and not noted yet.
#[derive(Debug, Default)]
pub(super) struct Used(Mutex<HashSet<Name>>);

impl Used {
    pub(super) fn mark(&self, part: Part, id: &[u8; 32]) {
        self.lock().insert((part, *id));
    }

    fn take(&self) -> HashSet<Name> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Name>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Notes that what was used since the store was opened is what the file `image` is made of.
    pub fn note_used(&self, image: &Path) {
        let used = self.used.take();
        if !used.is_empty() {
            let _ = self.put(&self.note(&of_image(image)), text(&used).as_bytes());
        }
    }

    /// Notes that the file `image` was wanted again, and is up to date.
    pub fn note_up_to_date(&self, image: &Path) {
        let path = self.note(&of_image(image));
        if touch(&path).is_ok() {
            self.used.take();
        } else {
            self.note_used(image);
        }
    }

    fn note(&self, name: &str) -> std::path::PathBuf {
        self.root.join("used").join(name)
    }
}

impl Drop for Store {
    /// Of a build that failed, and of other commands.
    fn drop(&mut self) {
        let used = self.used.take();
        if used.is_empty() {
            return;
        }
        let text = text(&used);
        let path = self.note(&ContentId::of(text.as_bytes()).to_string());
        if touch(&path).is_err() {
            let _ = self.put(&path, text.as_bytes());
        }
    }
}

fn of_image(image: &Path) -> String {
    RecipeId::of_fields("hoopy uses of an image 1", &[image.as_os_str().as_encoded_bytes()]).to_string()
}

fn touch(path: &Path) -> std::io::Result<()> {
    File::options().write(true).open(path)?.set_modified(SystemTime::now())
}

/// One name a line, sorted, so that equal lists are equal bytes.
fn text(used: &HashSet<Name>) -> String {
    let mut names: Vec<_> = used.iter().collect();
    names.sort_unstable();
    names.iter().fold(String::new(), |mut text, (part, id)| {
        let _ = writeln!(text, "{}/{}", part.dir(), ContentId::from_bytes(*id));
        text
    })
}

/// The names in the note at `path`; lines that are none are passed over.
pub(super) fn read(path: &Path) -> Vec<Name> {
    let fits = fs::metadata(path).is_ok_and(|meta| meta.len() <= MAX_NOTE);
    let text = if fits { fs::read_to_string(path).unwrap_or_default() } else { String::new() };
    text.lines().filter_map(name).collect()
}

fn name(line: &str) -> Option<Name> {
    let (dir, id) = line.split_once('/')?;
    let part = Part::ALL.into_iter().find(|part| part.dir() == dir)?;
    Some((part, *id.parse::<ContentId>().ok()?.as_bytes()))
}
