//! A command that signs: of a token, an HSM, a service.

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::{Signer, SignerError};
use crate::key::PublicKey;
use crate::keys::KeyName;

/// A signature of 4096 bits has 512 bytes; a command that prints more than this is ended.
pub(super) const MAX_OUTPUT: usize = 64 << 10;

/// How long to wait for output after the command has ended, if a process that it started still holds the pipe: an agent, a tunnel.
/// What the command has printed is in the pipe by then.
const GRACE: Duration = Duration::from_secs(1);

/// How often is looked whether a command has ended that has not closed its output.
const TICK: Duration = Duration::from_millis(20);

/// A command that signs what it reads. It gets the message on standard input and answers with the signature alone on
/// standard output; standard error and the terminal stay the user's, who may have to type a PIN.
///
/// It is not run through a shell. In each argument, `{key}` stands for the name of the key: `PK`, `KEK`, `db`, `db.next` or `pcr`.
#[derive(Debug, Clone)]
pub struct CommandSigner {
    directory: PathBuf,
    program: PathBuf,
    arguments: Vec<String>,
    key: KeyName,
    public: PublicKey,
}

impl CommandSigner {
    /// The command in `words`, run in `directory`, for the key called `key`, whose public half is `public`.
    ///
    /// # Errors
    /// [`SignerError::EmptyCommand`].
    pub fn new(
        words: &[String],
        key: KeyName,
        public: PublicKey,
        directory: PathBuf,
    ) -> Result<Self, SignerError> {
        let mut words = words.iter().map(|word| word.replace("{key}", key.as_str()));
        let program = words.next().filter(|program| !program.is_empty()).ok_or(SignerError::EmptyCommand)?;
        Ok(Self { directory, program: program.into(), arguments: words.collect(), key, public })
    }

    fn name(&self) -> String {
        self.program.display().to_string()
    }
}

impl Signer for CommandSigner {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn describe(&self) -> String {
        format!("the command {}", self.name())
    }

    fn key_name(&self) -> String {
        format!("{} ({})", self.key, self.key.public_file())
    }

    fn raw_signature(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let failed = |source| SignerError::Run { program: self.name(), source };
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.directory);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        // A message has some hundred bytes, which a pipe takes at once: writing does not wait for the reader.
        let written = child.stdin.take().map_or(Ok(()), |mut input| input.write_all(message));
        let pieces = child.stdout.take().map(pieces);
        let mut signature = Vec::new();
        let status = match pieces.map(|pieces| self.collect(&mut child, &pieces, message, &mut signature)) {
            Some(Ok(Some(status))) => status,
            Some(Ok(None)) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(SignerError::TooMuch { program: self.name() });
            }
            Some(Err(error)) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(error));
            }
            None => child.wait().map_err(failed)?,
        };
        if !status.success() {
            return Err(SignerError::Failed { program: self.name(), status });
        }
        match written {
            // It ended well without reading its input, so it has signed something else, as is seen next.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(failed(error)),
            _ => Ok(signature),
        }
    }
}

impl CommandSigner {
    /// Collects what the command prints until its end, and gives how it ended; nothing where it prints too much. It may take as
    /// long as it likes: a PIN has to be typed, a token to be touched.
    fn collect(
        &self,
        child: &mut Child,
        pieces: &Receiver<io::Result<Vec<u8>>>,
        message: &[u8],
        signature: &mut Vec<u8>,
    ) -> io::Result<Option<ExitStatus>> {
        let mut ended: Option<(ExitStatus, Instant)> = None;
        loop {
            match pieces.recv_timeout(TICK) {
                Ok(piece) => signature.extend(piece?),
                Err(RecvTimeoutError::Disconnected) => return child.wait().map(Some),
                Err(RecvTimeoutError::Timeout) => {
                    if let Some((status, at)) = ended
                        && (at.elapsed() >= GRACE
                            || !status.success()
                            || self.public.verifies(message, signature))
                    {
                        return Ok(Some(status));
                    }
                    if ended.is_none() {
                        ended = child.try_wait()?.map(|status| (status, Instant::now()));
                    }
                }
            }
            if signature.len() > MAX_OUTPUT {
                return Ok(None);
            }
        }
    }
}

/// What is read from the output of a command, piece by piece, a little more than is taken. The thread may outlive the command, where
/// something else has the other end of the pipe; it holds nothing else.
fn pieces(mut output: ChildStdout) -> Receiver<io::Result<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut room, mut total) = (vec![0; 4096], 0);
        while total <= MAX_OUTPUT {
            let piece = match output.read(&mut room) {
                Ok(0) => break,
                Ok(len) => Ok(room.get(..len).unwrap_or_default().to_vec()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            total += piece.as_ref().map_or(MAX_OUTPUT + 1, Vec::len);
            if sender.send(piece).is_err() {
                break;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::super::sign;
    use super::*;
    use crate::key::PrivateKey;

    fn command(script: &str, public: &PublicKey) -> CommandSigner {
        let words = ["sh", "-c", script, "{key}"].map(str::to_owned);
        CommandSigner::new(&words, KeyName::Db, public.clone(), "/".into()).unwrap()
    }

    #[test]
    fn a_command_signs_what_it_reads_with_the_key_it_was_named() {
        let dir = tempfile::tempdir().unwrap();
        let key = PrivateKey::generate().unwrap();
        std::fs::write(dir.path().join("db"), key.to_pem().unwrap().as_bytes()).unwrap();
        let script = format!("exec openssl dgst -sha256 -sign '{}'/$0", dir.path().display());
        let signer = command(&script, key.public());
        assert_eq!(sign(&signer, b"message").unwrap(), key.sign(b"message").unwrap());
    }

    #[test]
    fn a_signature_by_another_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let [key, other] = [PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap()];
        std::fs::write(dir.path().join("db"), other.to_pem().unwrap().as_bytes()).unwrap();
        let script = format!("exec openssl dgst -sha256 -sign '{}'/$0", dir.path().display());
        let refusal = sign(&command(&script, key.public()), b"message").unwrap_err().to_string();
        assert!(
            refusal
                .starts_with("the command sh gave 256 bytes that are not a signature by db (trust/db.crt):"),
            "{refusal}"
        );
    }

    /// A wrapper may start an agent, which keeps the output open.
    #[test]
    fn a_command_whose_child_goes_on_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let key = PrivateKey::generate().unwrap();
        std::fs::write(dir.path().join("db"), key.to_pem().unwrap().as_bytes()).unwrap();
        let begun = Instant::now();
        let script = format!(
            "openssl dgst -sha256 -sign '{}'/$0; sleep 60 2>/dev/null & exit 0",
            dir.path().display()
        );
        assert_eq!(sign(&command(&script, key.public()), b"m").unwrap(), key.sign(b"m").unwrap());
        let refusal = |script: &str| sign(&command(script, key.public()), b"m").unwrap_err().to_string();
        assert!(refusal("cat >/dev/null; sleep 60 2>/dev/null & exit 7").ends_with("exit status: 7"));
        assert!(refusal("cat >/dev/null; echo x; sleep 60 2>/dev/null & exit 0").contains("gave 2 bytes"));
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    }

    #[test]
    fn a_command_that_prints_without_end_is_ended_and_told_of() {
        let key = PrivateKey::generate().unwrap();
        let refusal = |script: &str| sign(&command(script, key.public()), b"m").unwrap_err().to_string();
        let expected =
            "the command that signs printed more than 64 KiB: sh: expected a signature, 256 to 512 bytes";
        for script in
            ["yes", "trap '' PIPE; yes; sleep 60", "head -c 70000 /dev/zero; cat >/dev/null; exit 3"]
        {
            assert_eq!(refusal(script), expected, "{script}");
        }
        assert!(refusal("cat >/dev/null; head -c 65536 /dev/zero").contains("gave 65536 bytes"));
    }

    #[test]
    fn a_command_that_fails_or_says_nothing_is_refused() {
        let key = PrivateKey::generate().unwrap();
        let refusal = |script: &str| sign(&command(script, key.public()), b"m").unwrap_err().to_string();
        assert_eq!(refusal("cat >&-; exit 3"), "the command that signs failed: sh: exit status: 3");
        for silent in ["cat >/dev/null", "exec <&-; sleep 0.2", "true"] {
            assert!(refusal(silent).contains("gave 0 bytes"), "{silent}");
        }
        let none = CommandSigner::new(&[], KeyName::Db, key.public().clone(), "/".into());
        assert!(matches!(none, Err(SignerError::EmptyCommand)));
        let absent =
            CommandSigner::new(&["/nonexistent".to_owned()], KeyName::Db, key.public().clone(), "/".into())
                .unwrap();
        assert!(matches!(sign(&absent, b"m"), Err(SignerError::Run { .. })));
    }
}
