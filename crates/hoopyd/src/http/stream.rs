//! A client's bytes, with or without TLS around them, on a socket that never makes anyone wait.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

/// The bytes of a client.
#[derive(Debug)]
pub struct Stream {
    socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
    /// How much was decrypted and not read: the socket does not tell of it.
    decrypted: usize,
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Stream {
    /// Without a configuration, what the socket says is what the client says.
    pub fn new(socket: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let _ = socket.set_nodelay(true);
        let tls = tls.map(ServerConnection::new).transpose().map_err(io::Error::other)?.map(Box::new);
        Ok(Self { socket, tls, decrypted: 0 })
    }

    /// Whether TLS is around it.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether there is something to read that the socket does not tell of.
    pub fn has_decrypted(&self) -> bool {
        self.decrypted > 0
    }

    /// Whether something waits until the socket takes it: of a handshake, or what [`Stream::write`] took.
    pub fn has_more(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Reads what is there.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.read(buffer) };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => {
                    self.decrypted = self.decrypted.saturating_sub(*read.as_ref().unwrap_or(&0));
                    return read;
                }
            }
            if tls.read_tls(&mut self.socket)? == 0 {
                return Ok(0);
            }
            let state = tls.process_new_packets();
            // The alert about a failed handshake goes to the client, if its socket takes it.
            flush(tls, &mut self.socket)?;
            self.decrypted = state.map_err(io::Error::other)?.plaintext_bytes_to_read();
        }
    }

    /// Takes bytes for the client.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.write(bytes) };
        flush(tls, &mut self.socket)?;
        // Of what the socket does not take, only so much is encrypted ahead.
        if tls.wants_write() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let written = tls.writer().write(bytes.get(..bytes.len().min(AHEAD)).unwrap_or_default())?;
        flush(tls, &mut self.socket)?;
        Ok(written)
    }

    /// Sends what waits. Whether anything is left is in [`Stream::has_more`].
    pub fn flush(&mut self) -> io::Result<()> {
        self.tls.as_mut().map_or(Ok(()), |tls| flush(tls, &mut self.socket))
    }

    /// Sends TLS's own end: without it, a client cannot tell the end from a connection that somebody cut.
    pub fn close(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = flush(tls, &mut self.socket);
        }
    }
}

/// One record of TLS.
const AHEAD: usize = 16 << 10;

fn flush(tls: &mut ServerConnection, socket: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        match tls.write_tls(socket) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
