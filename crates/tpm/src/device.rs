//! One command and its answer, over a stream.

use std::io::{Read, Write};

use zeroize::Zeroizing;

use crate::error::{ResponseCode, TpmError};
use crate::wire::{Put as _, Take};

/// The most bytes of an answer: the kernel's buffer for a TPM has as many.
pub const MAX_ANSWER: usize = 4096;

/// Tag, size, code.
const HEADER: usize = 10;

const TAG_PLAIN: u16 = 0x8001;
const TAG_SESSIONS: u16 = 0x8002;

/// The empty password, which owner hierarchy, storage key and PCRs have.
const EMPTY_PASSWORD: [u8; 9] = [0x40, 0, 0, 9, 0, 0, 0, 0, 0];

pub(crate) const ALG_SHA256: u16 = 0x000B;
pub(crate) const ALG_NULL: u16 = 0x0010;
pub(crate) const HANDLE_OWNER: u32 = 0x4000_0001;

/// A command: its code and its name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Command(pub u32, pub &'static str);

const FLUSH_CONTEXT: Command = Command(0x165, "TPM2_FlushContext");
const PCR_READ: Command = Command(0x17E, "TPM2_PCR_Read");
const PCR_EXTEND: Command = Command(0x182, "TPM2_PCR_Extend");

/// The value of a PCR in the bank of SHA-256.
pub type PcrValue = [u8; 32];

/// A TPM behind a stream: `/dev/tpmrm0`, or a socket. A stream that blocks for ever blocks the caller: set its time limits.
#[derive(Debug)]
pub struct Tpm<S> {
    stream: S,
}

impl<S: Read + Write> Tpm<S> {
    /// Commands go to this stream. Nothing is sent yet.
    pub const fn new(stream: S) -> Self {
        Self { stream }
    }

    /// The stream.
    pub fn into_stream(self) -> S {
        self.stream
    }

    /// The value of a PCR.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn pcr(&mut self, pcr: u32) -> Result<PcrValue, TpmError> {
        let answer = self.plain(PCR_READ, &pcr_selection(pcr))?;
        let mut take = Take::new(&answer);
        take.bytes(4)?;
        if take.bytes(pcr_selection(pcr).len())? != pcr_selection(pcr) {
            return Err(TpmError::NoBank);
        }
        if take.u32()? != 1 || take.u16()? != 32 {
            return Err(TpmError::Malformed("expected one value of 32 bytes"));
        }
        let value = take.array()?;
        take.end()?;
        Ok(value)
    }

    /// Extends a PCR by a digest.
    ///
    /// # Errors
    /// [`TpmError`].
    pub fn extend(&mut self, pcr: u32, digest: &[u8; 32]) -> Result<(), TpmError> {
        let mut values = Vec::new();
        values.u32(1);
        values.u16(ALG_SHA256);
        values.extend(digest);
        self.with_empty_password(PCR_EXTEND, &[pcr], &values, 0).map(drop)
    }

    /// Frees an object or a session of the TPM. A failure has no consequence that the caller could mend.
    pub(crate) fn flush(&mut self, handle: u32) {
        let _ = self.plain(FLUSH_CONTEXT, &handle.to_be_bytes());
    }

    /// A command without authorization; `body` is handles and parameters. Gives what follows the answer's header.
    pub(crate) fn plain(&mut self, command: Command, body: &[u8]) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let (tag, answer) = self.exchange(TAG_PLAIN, command, body)?;
        if tag == TAG_PLAIN { Ok(answer) } else { Err(TpmError::Malformed("unexpected tag")) }
    }

    /// A command that the empty password authorizes, for an answer with `handles` handles. Gives handles and parameters.
    pub(crate) fn with_empty_password(
        &mut self,
        command: Command,
        on: &[u32],
        parameters: &[u8],
        handles: usize,
    ) -> Result<(Vec<u32>, Zeroizing<Vec<u8>>), TpmError> {
        let (handles, parameters, _) = self.authorized(command, on, &EMPTY_PASSWORD, parameters, handles)?;
        Ok((handles, parameters))
    }

    /// A command with one authorization. Gives the answer's handles, parameters and authorization.
    #[expect(clippy::type_complexity, reason = "three parts, each taken apart at once")]
    pub(crate) fn authorized(
        &mut self,
        command: Command,
        on: &[u32],
        authorization: &[u8],
        parameters: &[u8],
        handles: usize,
    ) -> Result<(Vec<u32>, Zeroizing<Vec<u8>>, Vec<u8>), TpmError> {
        let mut body = Zeroizing::new(Vec::with_capacity(MAX_ANSWER));
        on.iter().for_each(|handle| body.u32(*handle));
        body.u32(u32::try_from(authorization.len()).unwrap_or(u32::MAX));
        body.extend(authorization);
        body.extend(parameters);
        let (tag, answer) = self.exchange(TAG_SESSIONS, command, &body)?;
        if tag != TAG_SESSIONS {
            return Err(TpmError::Malformed("unexpected tag"));
        }
        let mut take = Take::new(&answer);
        let handles = (0..handles).map(|_| take.u32()).collect::<Result<_, _>>()?;
        let size = usize::try_from(take.u32()?).unwrap_or(usize::MAX);
        let parameters = Zeroizing::new(take.bytes(size)?.to_vec());
        Ok((handles, parameters, take.rest().to_vec()))
    }

    fn exchange(
        &mut self,
        tag: u16,
        command: Command,
        body: &[u8],
    ) -> Result<(u16, Zeroizing<Vec<u8>>), TpmError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(HEADER + body.len()));
        bytes.u16(tag);
        bytes.u32(u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX));
        bytes.u32(command.0);
        bytes.extend(body);
        // The kernel takes a command in one write.
        self.stream.write_all(&bytes)?;
        self.stream.flush()?;
        let answer = self.answer()?;
        let mut take = Take::new(&answer);
        let (tag, _, code) = (take.u16()?, take.u32()?, take.u32()?);
        match code {
            0 => Ok((tag, Zeroizing::new(take.rest().to_vec()))),
            code => Err(TpmError::Refused { command: command.1, code: ResponseCode(code) }),
        }
    }

    /// One whole answer. The device gives it in one read; a socket may give it in pieces.
    fn answer(&mut self) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let mut buffer = Zeroizing::new(vec![0; MAX_ANSWER]);
        let mut have = 0;
        let mut size = None;
        loop {
            if have >= HEADER && size.is_none() {
                size = Some(said_size(&buffer)?);
            }
            match size {
                Some(size) if have > size => return Err(TpmError::Malformed("bytes follow its end")),
                Some(size) if have == size => {
                    buffer.truncate(size);
                    return Ok(buffer);
                }
                _ => {}
            }
            match self.stream.read(buffer.get_mut(have..).unwrap_or_default()) {
                Ok(0) => return Err(TpmError::Malformed("it ends too early")),
                Ok(count) => have += count,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

/// The size that an answer's header says.
fn said_size(header: &[u8]) -> Result<usize, TpmError> {
    let mut take = Take::new(header);
    take.u16()?;
    let size = usize::try_from(take.u32()?).unwrap_or(usize::MAX);
    if (HEADER..=MAX_ANSWER).contains(&size) {
        Ok(size)
    } else {
        Err(TpmError::Malformed("it says a size that no answer has"))
    }
}

/// `TPML_PCR_SELECTION` of one PCR in the bank of SHA-256.
pub(crate) fn pcr_selection(pcr: u32) -> Vec<u8> {
    let mut selection = Vec::new();
    selection.u32(1);
    selection.u16(ALG_SHA256);
    selection.u8(3);
    selection.extend(1_u32.checked_shl(pcr).unwrap_or(0).to_le_bytes().get(..3).unwrap_or_default());
    selection
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::io;

    use super::*;

    /// Answers in pieces of a size, whatever was asked.
    struct Canned(Vec<u8>, usize);

    impl Write for Canned {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Read for Canned {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0.drain(..count);
            Ok(count)
        }
    }

    fn answer_with(value: &[u8]) -> Vec<u8> {
        let mut body = vec![0; 4];
        body.extend(pcr_selection(11));
        body.u32(1);
        body.sized(value);
        let mut answer = Vec::new();
        answer.u16(TAG_PLAIN);
        answer.u32(u32::try_from(HEADER + body.len()).unwrap());
        answer.u32(0);
        answer.extend(body);
        answer
    }

    #[test]
    fn an_answer_that_comes_in_pieces_is_read_whole() {
        for piece in [1, 7, 10, 11, 4096] {
            assert_eq!(Tpm::new(Canned(answer_with(&[9; 32]), piece)).pcr(11).unwrap(), [9; 32]);
        }
    }

    #[test]
    fn an_answer_that_is_cut_or_too_long_or_wrong_is_an_error() {
        let whole = answer_with(&[9; 32]);
        for end in 0..whole.len() {
            let cut = Tpm::new(Canned(whole[..end].to_vec(), 4096)).pcr(11);
            assert!(matches!(cut, Err(TpmError::Malformed(_))), "{end}");
        }
        for at in (0..6).chain(14..whole.len() - 32) {
            let mut changed = whole.clone();
            changed[at] ^= 0x80;
            assert!(Tpm::new(Canned(changed, 4096)).pcr(11).is_err(), "{at}");
        }
        let longer = [&whole[..], &[0]].concat();
        assert!(Tpm::new(Canned(longer, 4096)).pcr(11).is_err());
        assert!(Tpm::new(Canned(answer_with(&[9; 31]), 4096)).pcr(11).is_err());
    }
}
