//! Sockets to listen on.

use std::io;
use std::net::{Ipv6Addr, SocketAddr, TcpListener};

use hoopy_boot::monitor::{Listen, Place};
use rustix::net::netdevice::name_to_index;
use socket2::{Domain, Socket, Type};

use crate::error::AgentError;
use crate::http::{Certificate, Door};

/// How many clients may wait to be accepted.
const BACKLOG: i32 = 128;

/// Listens everywhere. An address that the machine does not have yet is listened on too, for when its interface appears
/// (ip(7), `IP_FREEBIND`); an interface is waited for by its name.
pub fn all(places: &[Listen], certificate: &Certificate) -> Result<Vec<Door>, AgentError> {
    let one = |listen: &Listen| {
        let certificate = listen.tls.then(|| certificate.clone());
        match &listen.place {
            Place::Address(address) => {
                let bound = bind(*address, None).map_err(AgentError::io("listen on", listen.to_string()));
                bound.map(|listener| Door { listener: Some(listener), certificate, renew: None })
            }
            Place::Interface { name, port } => {
                let mut interface = Interface { name: name.clone(), port: *port, index: None };
                let renew = Box::new(move |listener: &mut Option<TcpListener>| interface.renew(listener));
                Ok(Door { listener: None, certificate, renew: Some(renew) })
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
}

impl Interface {
    fn renew(&mut self, listener: &mut Option<TcpListener>) {
        let index = self.now();
        if index != self.index {
            // The old one goes first: two cannot listen on one port.
            *listener = None;
            *listener = index.and_then(|_| self.bind().ok());
            self.index = index.filter(|_| listener.is_some());
        }
    }

    fn now(&self) -> Option<u32> {
        let any = Socket::new(Domain::IPV4, Type::DGRAM, None).ok()?;
        name_to_index(&any, &self.name).ok()
    }

    /// Both families at once, whatever addresses the interface gets and loses.
    fn bind(&self) -> io::Result<TcpListener> {
        bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, self.port)), Some(&self.name)).or_else(|_| {
            // Without IPv6 in the kernel.
            bind(SocketAddr::from(([0, 0, 0, 0], self.port)), Some(&self.name))
        })
    }
}

fn bind(address: SocketAddr, interface: Option<&str>) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
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
