//! Contents of files, unpacked again when they are asked for: each segment once, however many files are wanted.

use std::io::{self, BufReader, Read};

use super::root::{Content, Kind, Node};
use super::source::Source;
use super::{Image, InspectError};

/// The most that is read into memory at once: far more than any text.
const MAX_WHOLE: u64 = 256 << 20;

impl Image {
    /// Hands the contents of `wanted` to `sink`, in the order in which they are in the image. `T` is whatever the
    /// caller knows a file by. Each content may be wanted once: hard links are for the caller to make.
    ///
    /// # Errors
    /// When the file cannot be read or decompressed, and what `sink` fails with.
    pub fn contents<T>(
        &self,
        mut wanted: Vec<(Content, T)>,
        sink: &mut dyn FnMut(&T, &mut dyn Read) -> io::Result<()>,
    ) -> io::Result<()> {
        wanted.sort_by_key(|(content, _)| *content);
        for of_one in wanted.chunk_by(|a, b| a.0.segment == b.0.segment) {
            self.of_segment(of_one, sink)?;
        }
        Ok(())
    }

    fn of_segment<T>(
        &self,
        wanted: &[(Content, T)],
        sink: &mut dyn FnMut(&T, &mut dyn Read) -> io::Result<()>,
    ) -> io::Result<()> {
        let index = wanted.first().map_or(0, |(content, _)| content.segment);
        let gone = || io::Error::new(io::ErrorKind::NotFound, "its segment is not there");
        let segment = self.segments.get(index as usize).ok_or_else(gone)?;
        let source = Source::new(self.reader(segment.offset..segment.offset + segment.size)?, false);
        let mut reader = BufReader::with_capacity(64 << 10, segment.codec.decode(source)?);
        let mut at = 0;
        for (content, what) in wanted {
            let gap = content.offset.saturating_sub(at);
            io::copy(&mut reader.by_ref().take(gap), &mut io::sink())?;
            let mut file = Exact { inner: &mut reader, left: content.size };
            sink(what, &mut file)?;
            let left = file.left;
            io::copy(&mut reader.by_ref().take(left), &mut io::sink())?;
            at = content.offset + content.size;
        }
        Ok(())
    }

    /// A file's content, whole.
    ///
    /// # Errors
    /// When it cannot be read, or is no file, or has over 256 MiB.
    pub fn read(&self, path: &[u8]) -> Result<Vec<u8>, InspectError> {
        let content = self.content(path)?;
        if content.size > MAX_WHOLE {
            return Err(self.io(io::ErrorKind::FileTooLarge.into()));
        }
        let mut bytes = Vec::new();
        self.contents(vec![(content, ())], &mut |(), reader| reader.read_to_end(&mut bytes).map(drop))
            .map_err(|e| self.io(e))?;
        Ok(bytes)
    }

    /// A file's content, where there is one of at most so many bytes.
    pub fn read_small(&self, path: &[u8], most: u64) -> Option<Vec<u8>> {
        self.content(path).ok().filter(|content| content.size <= most)?;
        self.read(path).ok()
    }

    /// Where the content of the file at `path` is, symbolic links followed.
    ///
    /// # Errors
    /// When there is none, or it is no regular file.
    pub fn content(&self, path: &[u8]) -> Result<Content, InspectError> {
        let gone = || InspectError::NoSuchPath { image: self.path.clone(), path: path.to_vec() };
        let node = self.root.find(path).and_then(|id| self.root.node(id)).ok_or_else(gone)?;
        match node {
            Node { kind: Kind::File(content), .. } => Ok(*content),
            other => Err(InspectError::NotAFile {
                image: self.path.clone(),
                path: path.to_vec(),
                what: other.kind.file_type(),
            }),
        }
    }
}

/// So many bytes of a stream, and an error where they are not there.
struct Exact<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Exact<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).map_or(into.len(), |left| left.min(into.len()));
        let read = self.inner.read(into.get_mut(..want).unwrap_or_default())?;
        if read == 0 && want > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        Ok(read)
    }
}
