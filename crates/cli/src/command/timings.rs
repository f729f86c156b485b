//! `hoopy build --timings`.

use std::collections::HashMap;
use std::path::Path;

use hoopy_base::atomic::Readers;
use hoopy_base::destination;
use hoopy_base::digest::LayerId;
use hoopy_build::built::Built;
use hoopy_build::stack::Stack;
use hoopy_build::timeline::{self, Recording};

use crate::error::{Context as _, Result};

/// Writes what was recorded of a build, as a page.
pub fn write(file: &Path, built: &Built, stack: &Stack, recording: &Recording) -> Result<()> {
    let names: HashMap<LayerId, String> =
        stack.iter().map(|(layer, origin)| (layer.id, origin.label())).collect();
    let title = built.path.file_name().unwrap_or_default().to_string_lossy();
    let page = timeline::html(&title, recording, &|id| names.get(&id).cloned());
    Readers::of_file(&built.path)
        .and_then(|readers| destination::write(file, page.as_bytes(), readers))
        .context(format!("cannot write {}", file.display()))
}
