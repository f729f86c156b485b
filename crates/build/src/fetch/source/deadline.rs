//! A time limit that bytes below HTTP cannot put off.
//!
//! ureq asks the socket again as long as anything comes, and gives each such read its whole time anew. What comes may be
//! framing alone: the digits of a chunk's size, its extensions, trailers, the pieces of a TLS record, one redirect after
//! another. A mirror that sends one such byte now and then would be waited for without an end. So the limit is enforced
//! where bytes leave the socket, below TLS and HTTP.
//!
//! Which request a socket serves is not known there, since connections are kept and used again. ureq reads on the thread
//! that asks, so the limit is this thread's ([`within`]).

use std::cell::Cell;
use std::time::Instant;

use ureq::unversioned::transport::time::Duration;
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, NextTimeout, RustlsConnector, TcpConnector,
    Transport,
};
use ureq::{Error, Timeout};

thread_local! {
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Puts back the deadline that was there before, also where what had this one panics.
struct Restore(Option<Instant>);

impl Drop for Restore {
    fn drop(&mut self) {
        DEADLINE.set(self.0);
    }
}

/// Runs `what`; until `deadline`, this thread waits for bytes of sockets made by [`connector`].
pub fn within<T>(deadline: Instant, what: impl FnOnce() -> T) -> T {
    let _restore = Restore(DEADLINE.replace(Some(deadline)));
    what()
}

/// What ureq connects with when nothing is said, with the deadline put between TCP and TLS.
pub fn connector() -> impl Connector {
    ().chain(ConnectProxyConnector::default())
        .chain(TcpConnector::default())
        .chain(TimedConnector)
        .chain(RustlsConnector::default())
}

#[derive(Debug)]
struct TimedConnector;

impl<In: Transport> Connector<In> for TimedConnector {
    type Out = Timed<In>;

    fn connect(&self, _: &ConnectionDetails<'_>, socket: Option<In>) -> Result<Option<Self::Out>, Error> {
        Ok(socket.map(Timed))
    }
}

/// A socket that is not waited for beyond the deadline.
#[derive(Debug)]
struct Timed<T>(T);

/// The time that is left, of what ureq gives and of the deadline.
fn cut(mut timeout: NextTimeout) -> Result<NextTimeout, Error> {
    let Some(deadline) = DEADLINE.get() else { return Ok(timeout) };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Error::Timeout(Timeout::PerRead));
    }
    timeout.after = timeout.after.min(Duration::Exact(left));
    Ok(timeout)
}

impl<T: Transport> Transport for Timed<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.0.transmit_output(amount, cut(timeout)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.0.await_input(cut(timeout)?)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}
