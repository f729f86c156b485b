//! Files of any size, encrypted and decrypted while they stream.

use std::cell::RefCell;
use std::io::{self, Cursor, Read, Write};
use std::rc::Rc;

use age::Encryptor;
use age::stream::StreamWriter;

use crate::cipher::{DecryptError, EncryptError, MAX_HEADER, encrypt_error, opened};
use crate::{Identities, Prompt, Recipients};

/// What the last line of a header begins with.
const MAC: &[u8] = b"--- ";

/// What comes behind the header and before the payload (C2SP age.md, "Payload").
const NONCE: usize = 16;

/// Encrypts for `to` what is written to it. [`StreamWriter::finish`] ends the file; one without its end is damaged.
///
/// # Errors
/// [`EncryptError`].
pub fn encrypting<W: Write>(
    to: &Recipients,
    prompt: &impl Prompt,
    out: W,
) -> Result<StreamWriter<W>, EncryptError> {
    let to = to.encryptor(prompt).map_err(encrypt_error)?;
    let one: &dyn age::Recipient = &to;
    let encryptor = Encryptor::with_recipients(std::iter::once(one)).map_err(encrypt_error)?;
    encryptor.wrap_output(out).map_err(|error| EncryptError::Age(error.to_string()))
}

/// Decrypts `input`, which is not armoured, with the first of the identities that can. What is read is authentic, and the
/// end is only told where the file has its own.
///
/// # Errors
/// [`DecryptError`] of the header; reading tells what is wrong with the payload.
pub fn decrypting<'a, R: Read + 'a>(
    mut input: R,
    with: &Identities,
) -> Result<Box<dyn Read + 'a>, DecryptError> {
    let head = head(&mut input)?;
    let input = Shared(Rc::new(RefCell::new(input)));
    let payload = opened(with, || Cursor::new(head.clone()).chain(input.clone()))?;
    Ok(Box::new(payload))
}

/// The header and the nonce behind it, so that several identities can be tried.
fn head(input: &mut impl Read) -> Result<Vec<u8>, DecryptError> {
    let (mut head, mut line) = (Vec::new(), 0);
    loop {
        let mut byte = [0];
        input.read_exact(&mut byte).map_err(|_| DecryptError::Header)?;
        head.extend(byte);
        if head.len() > MAX_HEADER {
            return Err(DecryptError::Header);
        }
        if byte == *b"\n" {
            if head.get(line..).is_some_and(|last| last.starts_with(MAC)) {
                break;
            }
            line = head.len();
        }
    }
    let mut nonce = [0; NONCE];
    input.read_exact(&mut nonce).map_err(|_| DecryptError::Payload)?;
    head.extend(nonce);
    Ok(head)
}

/// A reader that several decryptors are begun on, one after the other; only the one that succeeds reads of it.
struct Shared<R>(Rc<RefCell<R>>);

impl<R> Clone for Shared<R> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<R: Read> Read for Shared<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}
