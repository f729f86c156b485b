//! Sockets to listen on. One that cannot be had keeps no other from being listened on: it is tried again, and told.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hoopy_boot::monitor::{Listen, Place};
use rustix::net::netdevice::name_to_index;
use socket2::{Domain, Socket, Type};

use crate::http::{Certificate, Endpoint};
use crate::log;

/// How many clients may wait to be accepted.
const BACKLOG: i32 = 128;

/// An interface that has not appeared after so long is told: the name of a host is easily taken for one.
const APPEARS: Duration = Duration::from_secs(60);

/// What cannot be listened on, and why.
#[derive(Debug, Clone, Default)]
pub struct Unheard(Arc<Mutex<BTreeMap<String, String>>>);

impl Unheard {
    /// All of it.
    pub fn all(&self) -> BTreeMap<String, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes how it is with one place, and logs what is new.
    fn note(&self, place: &str, reason: Option<String>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(reason) = reason else {
            if all.remove(place).is_some() {
                log::line(&format!("page: listening on {place}"));
            }
            return;
        };
        if all.get(place) != Some(&reason) {
            log::line(&format!("page: cannot listen on {place}: {reason}"));
            all.insert(place.to_owned(), reason);
        }
    }
}

/// Listens everywhere. An address that the machine does not have yet is listened on too, for when its interface appears
/// (ip(7), `IP_FREEBIND`); an interface is waited for by its name.
pub fn all(places: &[Listen], certificate: &Certificate, unheard: &Unheard) -> Vec<Endpoint> {
    // Addresses and an interface share a port only where all of their sockets say so (socket(7), `SO_REUSEPORT`).
    let is_shared = |port| {
        places
            .iter()
            .any(|other| matches!(&other.place, Place::Interface { port: taken, .. } if *taken == port))
    };
    let one = |listen: &Listen| {
        let certificate = listen.tls.then(|| certificate.clone());
        let (place, unheard) = (listen.to_string(), unheard.clone());
        match &listen.place {
            Place::Address(address) => {
                let (address, shared) = (*address, is_shared(listen.port()));
                let renew = move |listener: &mut Option<TcpListener>| {
                    if listener.is_none() {
                        let bound = bind(address, None, shared);
                        unheard.note(&place, bound.as_ref().err().map(ToString::to_string));
                        *listener = bound.ok();
                    }
                };
                let mut listener = None;
                renew(&mut listener);
                // Who listens has nothing to wake up for.
                let renew = listener.is_none().then_some(Box::new(renew) as _);
                Endpoint { listener, certificate, renew }
            }
            Place::Interface { name, port } => {
                let mut interface = Interface::new(name, *port);
                let renew = Box::new(move |listener: &mut Option<TcpListener>| {
                    unheard.note(&place, interface.renew(listener, Instant::now()));
                });
                Endpoint { listener: None, certificate, renew: Some(renew) }
            }
        }
    };
    places.iter().map(one).collect()
}

/// An interface that comes and goes. A socket is bound to its number, and one that comes back has another.
struct Interface {
    name: String,
    port: u16,
    index: Option<u32>,
    /// Since when it is waited for; none once it was there.
    since: Option<Instant>,
}

impl Interface {
    fn new(name: &str, port: u16) -> Self {
        Self { name: name.to_owned(), port, index: None, since: Some(Instant::now()) }
    }

    /// Gives why it is not listened on, where somebody should know.
    fn renew(&mut self, listener: &mut Option<TcpListener>, now: Instant) -> Option<String> {
        let index = self.now();
        if index.is_some() {
            self.since = None;
        }
        if index == self.index && index.is_some() == listener.is_some() {
            let late = |since| now.saturating_duration_since(since) >= APPEARS;
            let told = format!("no interface {} has appeared", self.name);
            return self.since.is_some_and(late).then_some(told);
        }
        // The old one goes first: two cannot listen on one port.
        *listener = None;
        self.index = index;
        match index.map(|_| self.bind()) {
            Some(Ok(bound)) => *listener = Some(bound),
            Some(Err(error)) => return Some(error.to_string()),
            None => {}
        }
        None
    }

    fn now(&self) -> Option<u32> {
        let any = Socket::new(Domain::IPV4, Type::DGRAM, None).ok()?;
        name_to_index(&any, &self.name).ok()
    }

    /// Both families at once, whatever addresses the interface gets and loses.
    fn bind(&self) -> io::Result<TcpListener> {
        bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, self.port)), Some(&self.name), true).or_else(|_| {
            // Without IPv6 in the kernel.
            bind(SocketAddr::from(([0, 0, 0, 0], self.port)), Some(&self.name), true)
        })
    }
}

fn bind(address: SocketAddr, interface: Option<&str>, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if shared {
        rustix::net::sockopt::set_socket_reuseport(&socket, true)?;
    }
    if let Some(name) = interface {
        socket.bind_device(Some(name.as_bytes()))?;
    } else if address.is_ipv4() {
        socket.set_freebind_v4(true)?;
    } else {
        socket.set_freebind_v6(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(interface.is_none())?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_taken_keeps_no_other_from_being_listened_on_and_is_tried_again() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let place = taken.local_addr().unwrap();
        let (unheard, places) = (Unheard::default(), [place, free].map(|at| at.to_string().parse().unwrap()));
        let mut endpoints = all(&places, &Certificate::default(), &unheard);
        let first = endpoints.first_mut().unwrap();
        assert!(first.listener.is_none());
        assert!(unheard.all().get(&place.to_string()).unwrap().contains("in use"), "{unheard:?}");
        drop(taken);
        first.renew.as_mut().unwrap()(&mut first.listener);
        assert!(first.listener.is_some() && unheard.all().is_empty(), "{unheard:?}");
        assert!(endpoints.iter().all(|endpoint| endpoint.listener.is_some()));
    }

    #[test]
    fn an_interface_that_does_not_appear_is_told_after_a_minute() {
        let mut interface = Interface::new("nas", 8080);
        let now = Instant::now();
        assert_eq!(interface.renew(&mut None, now), None);
        let told = interface.renew(&mut None, now + APPEARS).unwrap();
        assert_eq!(told, "no interface nas has appeared");
    }
}
