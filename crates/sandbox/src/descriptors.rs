//! Open files on their way from hoopy to a helper (unix(7), SCM_RIGHTS): what hoopy may open, a helper may not. They go
//! against the direction of the answers, one byte each, in the order of the messages that they belong to.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

/// Hands `file` over.
pub(super) fn send(to: impl AsFd, file: BorrowedFd<'_>) -> io::Result<()> {
    let files = [file];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&files));
    match sendmsg(to, &[IoSlice::new(b"f")], &mut control, SendFlags::NOSIGNAL)? {
        1 => Ok(()),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}

/// Takes the next one.
pub(super) fn receive(from: impl AsFd) -> io::Result<OwnedFd> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    loop {
        match recvmsg(&from, &mut [IoSliceMut::new(&mut byte)], &mut control, flags) {
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
            Ok(_) => break,
        };
    }
    let files = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(files) => Some(files),
        _ => None,
    });
    let missing = || io::Error::new(io::ErrorKind::InvalidData, "no file was handed over");
    files.flatten().next().ok_or_else(missing)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn files_are_handed_over_in_order() {
        let (here, mut there) = UnixStream::pair().unwrap();
        for content in ["one", "two"] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(content.as_bytes()).unwrap();
            std::io::Seek::rewind(&mut file).unwrap();
            send(&here, file.as_fd()).unwrap();
        }
        for expected in ["one", "two"] {
            let mut content = String::new();
            File::from(receive(&there).unwrap()).read_to_string(&mut content).unwrap();
            assert_eq!(content, expected);
        }
        (&here).write_all(b"x").unwrap();
        assert!(receive(&there).is_err());
        drop(here);
        assert!(receive(&there).is_err());
        let _ = there.flush();
    }
}
