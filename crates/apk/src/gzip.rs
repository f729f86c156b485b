//! gzip members laid end to end: where each ends in the compressed stream, and the digest of its compressed
//! bytes. A v2 package is three of them, an index two.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha512};

/// Which digests a member's compressed bytes are put through.
#[derive(Debug, Clone, Default)]
pub struct Digests {
    sha1: Option<Sha1>,
    sha256: Option<Sha256>,
    sha512: Option<Sha512>,
}

/// The digests of a member's compressed bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digested {
    /// SHA-1, where it was asked for.
    pub sha1: [u8; 20],
    /// SHA-256, where it was asked for.
    pub sha256: [u8; 32],
    /// SHA-512, where it was asked for.
    pub sha512: [u8; 64],
}

impl Digests {
    /// All three: what a signature may be over.
    pub fn all() -> Self {
        Self { sha1: Some(Sha1::new()), sha256: Some(Sha256::new()), sha512: Some(Sha512::new()) }
    }

    /// Those that are asked for.
    pub fn of(sha1: bool, sha256: bool, sha512: bool) -> Self {
        Self {
            sha1: sha1.then(Sha1::new),
            sha256: sha256.then(Sha256::new),
            sha512: sha512.then(Sha512::new),
        }
    }

    /// Only SHA-256: what the data member is known by.
    pub fn sha256() -> Self {
        Self { sha256: Some(Sha256::new()), ..Self::default() }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha1.iter_mut().for_each(|h| h.update(bytes));
        self.sha256.iter_mut().for_each(|h| h.update(bytes));
        self.sha512.iter_mut().for_each(|h| h.update(bytes));
    }

    /// The digests; zero where not asked for.
    pub fn finish(self) -> Digested {
        Digested {
            sha1: self.sha1.map_or([0; 20], |h| h.finalize().into()),
            sha256: self.sha256.map_or([0; 32], |h| h.finalize().into()),
            sha512: self.sha512.map_or([0; 64], |h| h.finalize().into()),
        }
    }
}

/// Digests what is consumed of `R`, no more: what lies beyond a member's end stays undigested in the buffer.
#[derive(Debug)]
struct Digesting<R> {
    inner: R,
    digests: Digests,
}

impl<R: BufRead> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

impl<R: BufRead> BufRead for Digesting<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        // Asked again without reading, a BufRead gives the same bytes.
        if let Ok(buffer) = self.inner.fill_buf() {
            self.digests.update(&buffer[..amount.min(buffer.len())]);
        }
        self.inner.consume(amount);
    }
}

/// One member, inflated as it is read. It ends where the member ends.
#[derive(Debug)]
pub struct Member<R: BufRead>(GzDecoder<Digesting<R>>);

impl<R: BufRead> Member<R> {
    /// The member that begins where `inner` is.
    pub fn new(inner: R, digests: Digests) -> Self {
        Self(GzDecoder::new(Digesting { inner, digests }))
    }

    /// Reads to the member's end; gives the stream behind it and the digests.
    ///
    /// # Errors
    /// When the member is damaged or cut short.
    pub fn finish(mut self) -> io::Result<(R, Digested)> {
        io::copy(&mut self.0, &mut io::sink())?;
        let Digesting { inner, digests } = self.0.into_inner();
        Ok((inner, digests.finish()))
    }
}

impl<R: BufRead> Read for Member<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}
