//! One client: what it has sent, what it still gets, and the program that it waits for.

use std::io;
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustls::ServerConfig;
use zeroize::Zeroize as _;

use super::program::{End, Running};
use super::request::{Head, MAX_BODY, MAX_HEAD, Peer, Request, parse};
use super::response::{self, HTML, LAST_CHUNK, Length, Response, TEXT, head};
use super::stream::Stream;

/// How long a head may take from its first byte, and how long a client may be silent before it asks.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a client may take to read a response, from the last that was added to it.
pub const WRITING: Duration = Duration::from_secs(60);

/// How much of a program's output is kept until its exit status is known, for the head of the answer.
const HELD: usize = 16 << 10;

/// How much output may wait for a client before no more is read from its program.
const AHEAD: usize = 64 << 10;

/// After so many requests a client connects anew.
const MAX_REQUESTS: u32 = 1000;

/// A client.
#[derive(Debug)]
pub struct Connection {
    pub stream: Stream,
    peer: Peer,
    pub deadline: Instant,
    /// Since when it has been asking for nothing; none while it gets a response.
    pub idle_since: Option<Instant>,
    pub closed: bool,
    input: Vec<u8>,
    output: Vec<u8>,
    sent: usize,
    keep_alive: bool,
    requests: u32,
    streamed: Option<Streamed>,
}

/// A response that a program writes.
#[derive(Debug)]
struct Streamed {
    running: Running,
    chunks: bool,
    /// What stands behind it in a page, in which it is text; none where it is the response.
    after: Option<&'static str>,
    /// What it said so far; none once the head was sent.
    held: Option<Vec<u8>>,
}

impl Connection {
    pub fn new(socket: TcpStream, address: IpAddr, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        let stream = Stream::new(socket, tls)?;
        Ok(Self {
            peer: Peer { address, tls: stream.is_tls() },
            stream,
            deadline: Instant::now() + PATIENCE,
            idle_since: Some(Instant::now()),
            closed: false,
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
            keep_alive: true,
            requests: 0,
            streamed: None,
        })
    }

    /// What to wait for at the socket.
    pub fn interest(&self) -> PollFlags {
        if self.sent < self.output.len() || self.stream.has_more() {
            PollFlags::OUT
        } else if self.streamed.is_some() {
            // Whoever leaves is noticed; what it sends meanwhile can wait.
            PollFlags::RDHUP
        } else {
            PollFlags::IN
        }
    }

    /// The program whose output is waited for.
    pub fn running(&self) -> Option<&Running> {
        let streamed = self.streamed.as_ref()?;
        (self.output.len() - self.sent < AHEAD).then_some(&streamed.running)
    }

    pub fn has_program(&self) -> bool {
        self.streamed.is_some()
    }

    /// When this connection has to be looked at again, whatever happens.
    pub fn next_look(&self) -> Instant {
        let program = self.streamed.as_ref().map(|streamed| streamed.running.until);
        program.map_or(self.deadline, |until| until.min(self.deadline))
    }

    /// Reads what is there; gives the next request.
    pub fn read(&mut self) -> Option<Request> {
        self.fill();
        self.next()
    }

    fn fill(&mut self) {
        let mut buffer = [0; 4096];
        while self.input.len() < MAX_HEAD + MAX_BODY {
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    self.closed = true;
                    break;
                }
                Ok(read) => {
                    if self.input.is_empty() {
                        self.deadline = Instant::now() + PATIENCE;
                    }
                    self.input.extend(buffer.get(..read).unwrap_or_default());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.closed = true;
                    break;
                }
            }
        }
        buffer.zeroize();
    }

    /// The next request of what was read, once the response before it is out.
    pub fn next(&mut self) -> Option<Request> {
        if self.idle_since.is_some() && !self.closed && self.stream.has_decrypted() {
            self.fill();
        }
        if self.idle_since.is_none() || self.closed || self.input.is_empty() {
            return None;
        }
        match parse(&self.input) {
            Head::Partial => None,
            Head::Whole(mut request, length) => {
                request.peer = self.peer;
                let rest = self.input.split_off(length.min(self.input.len()));
                // A body may have been a key.
                self.input.zeroize();
                self.input = rest;
                self.requests += 1;
                self.keep_alive = request.keep_alive && self.requests < MAX_REQUESTS;
                self.begin();
                Some(request)
            }
            Head::Refused(status) => {
                self.input.clear();
                self.keep_alive = false;
                self.begin();
                self.respond(&Response::plain(status), false);
                None
            }
        }
    }

    fn begin(&mut self) {
        self.idle_since = None;
        self.deadline = Instant::now() + WRITING;
    }

    /// Answers with this.
    pub fn respond(&mut self, response: &Response, head_only: bool) {
        let length = Length::Known(response.body.len());
        self.output = head(response.status, response.content_type, length, self.keep_alive);
        if !head_only {
            self.output.extend(response.body.iter());
        }
        self.write();
    }

    /// Answers with what a program says.
    pub fn stream(&mut self, running: Running, chunks: bool) {
        self.streamed = Some(Streamed { running, chunks, after: None, held: Some(Vec::new()) });
    }

    /// Answers with a page that a program has a part in.
    pub fn stream_within(&mut self, running: Running, chunks: bool, before: &[u8], after: &'static str) {
        let streamed = Streamed { running, chunks, after: Some(after), held: None };
        self.output = self.head_of(&streamed, 200);
        streamed.add(&mut self.output, before);
        self.streamed = Some(streamed);
        self.write();
    }

    fn head_of(&mut self, streamed: &Streamed, status: u16) -> Vec<u8> {
        let length = if streamed.chunks { Length::Chunks } else { Length::Close };
        self.keep_alive &= streamed.chunks;
        let content_type = if streamed.after.is_some() { HTML } else { TEXT };
        head(status, content_type, length, self.keep_alive)
    }

    /// Passes on what the program says.
    pub fn turn_program(&mut self) {
        let Some(mut streamed) = self.streamed.take() else { return };
        let mut said = Vec::new();
        let room = AHEAD.saturating_sub(self.output.len() - self.sent);
        let end = streamed.running.turn(&mut said, room);
        if !said.is_empty() || end.is_some() {
            self.deadline = Instant::now() + WRITING;
        }
        if let Some(held) = &mut streamed.held {
            held.append(&mut said);
            if let Some(end) = end {
                let mut body = std::mem::take(held);
                body.extend(end.remark().into_bytes());
                let response = Response { status: end.status(), content_type: TEXT, body: body.into() };
                return self.respond(&response, false);
            }
            if held.len() < HELD {
                self.streamed = Some(streamed);
                return;
            }
            said = std::mem::take(held);
            streamed.held = None;
            let head = self.head_of(&streamed, 200);
            self.output.extend(head);
        }
        streamed.say(&mut self.output, &said);
        match end {
            None => self.streamed = Some(streamed),
            Some(end) => streamed.finish(&mut self.output, end),
        }
        self.write();
    }

    /// Writes what the client takes now.
    pub fn write(&mut self) {
        if self.stream.flush().is_err() {
            return self.closed = true;
        }
        while self.sent < self.output.len() {
            match self.stream.write(self.output.get(self.sent..).unwrap_or_default()) {
                Ok(0) => return self.closed = true,
                Ok(written) => self.sent += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.closed = true,
            }
        }
        // Of a handshake there is more to come in, and no response is out.
        if self.stream.has_more() || self.idle_since.is_some() {
            return;
        }
        // The memory goes back with it.
        (self.output, self.sent) = (Vec::new(), 0);
        if self.streamed.is_some() {
            return;
        }
        if !self.keep_alive {
            self.stream.close();
            return self.closed = true;
        }
        self.idle_since = Some(Instant::now());
        self.deadline = Instant::now() + PATIENCE;
    }
}

impl Streamed {
    fn add(&self, out: &mut Vec<u8>, bytes: &[u8]) {
        if self.chunks { response::chunk(out, bytes) } else { out.extend(bytes) }
    }

    /// Adds what the program said; in a page, as text.
    fn say(&self, out: &mut Vec<u8>, said: &[u8]) {
        match self.after {
            None => self.add(out, said),
            Some(_) => self.add(out, &escaped(said)),
        }
    }

    fn finish(&self, out: &mut Vec<u8>, end: End) {
        self.say(out, end.remark().as_bytes());
        self.add(out, self.after.unwrap_or_default().as_bytes());
        if self.chunks {
            out.extend(LAST_CHUNK);
        }
    }
}

/// Bytes as text of a page. A character may be cut in two here; it is whole again where it is read.
fn escaped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'&' => out.extend(b"&amp;"),
            b'<' => out.extend(b"&lt;"),
            b'>' => out.extend(b"&gt;"),
            b'\n' | b'\t' | b' '..=b'~' | 0x80.. => out.push(byte),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_a_script_prints_is_never_markup() {
        let shown = super::escaped("<script>é\u{1b}[1m&\0".as_bytes());
        assert_eq!(String::from_utf8_lossy(&shown), "&lt;script&gt;é[1m&amp;");
    }
}
