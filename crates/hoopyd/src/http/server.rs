//! The loop that waits for everything.

use std::io;
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::ServerConfig;

use super::connection::Connection;
use super::endpoint::{Certificate, Endpoint};
use super::program::{AT_ONCE, Running};
use super::request::Request;
use super::response::Response;
use super::{Answer, Site};

/// How many clients there are at once.
pub const MAX_CONNECTIONS: usize = 64;

/// How long nothing is accepted after that failed: the reason is not gone in a moment.
const PAUSE: Duration = Duration::from_millis(100);

/// How often to check whether a program has ended that has not closed its output.
const PROGRAM_PAUSE: Duration = Duration::from_millis(100);

/// How often to look whether an interface has come or gone.
const RENEW: Duration = Duration::from_secs(5);

/// A client that got no further for so long may have to make room for another.
const STUCK: Duration = Duration::from_secs(5);

/// Serves for ever.
///
/// # Errors
/// Where waiting fails, which it does not.
pub fn serve(endpoints: Vec<Endpoint>, site: &dyn Site) -> io::Result<()> {
    let mut server = Server { endpoints, site, connections: Vec::new(), renewed: None };
    loop {
        server.turn()?;
    }
}

struct Server<'a> {
    endpoints: Vec<Endpoint>,
    site: &'a dyn Site,
    connections: Vec<Connection>,
    renewed: Option<Instant>,
}

/// What is waited for.
#[derive(Clone, Copy)]
enum Source {
    Listener,
    Socket(usize),
    Pipe(usize),
}

impl Server<'_> {
    fn turn(&mut self) -> io::Result<()> {
        self.renew()?;
        // Newcomers come last: they may take the place of others.
        for (source, events) in self.wait()? {
            match source {
                Source::Socket(index) => self.socket(index, events),
                Source::Pipe(index) => self.with(index, Connection::turn_program),
                Source::Listener => {}
            }
        }
        self.look_at_clocks();
        self.connections.retain(|connection| !connection.closed);
        for index in 0..self.endpoints.len() {
            self.accept(index);
        }
        Ok(())
    }

    /// Looks after interfaces that come and go.
    fn renew(&mut self) -> io::Result<()> {
        if self.renewed.is_none_or(|renewed| renewed.elapsed() >= RENEW) {
            for endpoint in &mut self.endpoints {
                if let Some(renew) = &mut endpoint.renew {
                    renew(&mut endpoint.listener);
                }
                endpoint.listener.iter().try_for_each(|listener| listener.set_nonblocking(true))?;
            }
            self.renewed = Some(Instant::now());
        }
        Ok(())
    }

    fn wait(&self) -> io::Result<Vec<(Source, PollFlags)>> {
        let mut sources = Vec::new();
        let mut fds = Vec::new();
        for listener in self.endpoints.iter().filter_map(|endpoint| endpoint.listener.as_ref()) {
            sources.push(Source::Listener);
            fds.push(PollFd::new(listener, PollFlags::IN));
        }
        for (index, connection) in self.connections.iter().enumerate() {
            sources.push(Source::Socket(index));
            fds.push(PollFd::new(&connection.stream, connection.interest()));
            if let Some(pipe) = connection.running().and_then(Running::pipe) {
                sources.push(Source::Pipe(index));
                fds.push(PollFd::new(pipe, PollFlags::IN));
            }
        }
        match poll(&mut fds, self.timeout().as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = sources.into_iter().zip(fds.iter().map(PollFd::revents));
        Ok(ready.filter(|(_, events)| !events.is_empty()).collect())
    }

    /// How long until a connection or an interface is due; none where nothing is.
    fn timeout(&self) -> Option<Timespec> {
        let renews = self.endpoints.iter().any(|endpoint| endpoint.renew.is_some());
        let renew = self.renewed.filter(|_| renews).map(|renewed| renewed + RENEW);
        let first = self.connections.iter().map(Connection::next_look).chain(renew).min()?;
        let mut wait = first.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        if self.connections.iter().any(Connection::has_program) {
            wait = wait.min(PROGRAM_PAUSE);
        }
        Timespec::try_from(wait).ok()
    }

    fn with(&mut self, index: usize, what: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.connections.get_mut(index).filter(|connection| !connection.closed) {
            what(connection);
        }
        // What was sent ahead is answered once the response before it is out.
        while let Some(request) = self.connections.get_mut(index).and_then(Connection::next) {
            self.answer(index, &request);
        }
    }

    fn socket(&mut self, index: usize, events: PollFlags) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        let interest = connection.interest();
        if events.intersects(PollFlags::ERR | PollFlags::NVAL | PollFlags::HUP)
            || events.contains(PollFlags::RDHUP) && interest == PollFlags::RDHUP
        {
            connection.closed = true;
        } else if interest == PollFlags::OUT {
            self.with(index, Connection::write);
        } else if let Some(request) = connection.read() {
            self.answer(index, &request);
            self.with(index, |_| {});
        }
    }

    fn answer(&mut self, index: usize, request: &Request) {
        let running = self.connections.iter().filter(|connection| connection.has_program()).count();
        let answer = self.site.answer(request);
        let Some(connection) = self.connections.get_mut(index) else { return };
        let path = match &answer {
            Answer::Ready(response) => return connection.respond(response, request.head_only),
            Answer::Program(path) | Answer::Page { program: path, .. } => path,
        };
        let busy = "as many scripts as may run at once are running: try again in a moment";
        let started = match running < AT_ONCE && !request.head_only {
            true => {
                Running::start(path).map_err(|error| (500, format!("the script cannot be started: {error}")))
            }
            false if request.head_only => Err((200, String::new())),
            false => Err((503, busy.to_owned())),
        };
        match (answer, started) {
            (Answer::Page { before, after, .. }, Ok(running)) => {
                connection.stream_within(running, request.chunks, &before, after);
            }
            // The page is there, whatever its script does.
            (Answer::Page { before, after, .. }, Err((_, reason))) => {
                let reason = hoopy_base::markup::escaped(&reason).into_bytes();
                let body = [before, reason, after.as_bytes().to_vec()].concat();
                let response =
                    Response { status: 200, content_type: super::response::HTML, body: body.into() };
                connection.respond(&response, request.head_only);
            }
            (_, Ok(running)) => connection.stream(running, request.chunks),
            (_, Err((status, reason))) => {
                connection.respond(&Response::text(status, &reason), request.head_only);
            }
        }
    }

    fn look_at_clocks(&mut self) {
        let now = Instant::now();
        for index in 0..self.connections.len() {
            self.with(index, |connection| {
                // The time of a program ends whether or not its client reads.
                connection.turn_program();
                connection.closed |= now >= connection.deadline;
            });
        }
    }

    fn accept(&mut self, index: usize) {
        // So many at a time, so that those who are there get their turn.
        for _ in 0..MAX_CONNECTIONS {
            let Some(endpoint) = self.endpoints.get(index) else { return };
            let Some(listener) = &endpoint.listener else { return };
            match listener.accept() {
                Ok((socket, peer)) => {
                    let tls = endpoint.certificate.as_ref().map(Certificate::current);
                    // Without a certificate there is nothing to say to anybody.
                    if !matches!(tls, Some(None)) {
                        self.take(socket, peer.ip(), tls.flatten());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => return std::thread::sleep(PAUSE),
            }
        }
    }

    /// Takes a client, in the place of another where there is no room. Without any, it is left to try again.
    fn take(&mut self, socket: TcpStream, peer: IpAddr, tls: Option<Arc<ServerConfig>>) {
        if self.connections.len() >= MAX_CONNECTIONS {
            let now = Instant::now();
            let stuck = |c: &Connection| {
                c.deadline.saturating_duration_since(now) + STUCK < super::connection::WRITING
            };
            let waiting = self.connections.iter().enumerate();
            let oldest = waiting.clone().filter_map(|(index, c)| Some((c.idle_since?, index))).min();
            let slowest = || waiting.filter(|(_, c)| stuck(c)).map(|(index, c)| (c.deadline, index)).min();
            let Some((_, index)) = oldest.or_else(slowest) else { return };
            self.connections.swap_remove(index);
        }
        self.connections.extend(Connection::new(socket, peer, tls));
    }
}
