//! Sockets to listen on.

use std::net::{SocketAddr, TcpListener};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

use crate::error::AgentError;

/// How many clients may wait to be accepted.
const BACKLOG: i32 = 128;

/// Listens on every address. One that the machine does not have yet is listened on too, for when its interface appears
/// (ip(7), `IP_FREEBIND`): a tunnel's.
pub fn all(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, AgentError> {
    let one = |address: &SocketAddr| one(*address).map_err(AgentError::io("listen on", address.to_string()));
    addresses.iter().map(one).collect()
}

fn one(address: SocketAddr) -> std::io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv4() {
        sockopt::set_ip_freebind(&socket, true)?;
    } else {
        sockopt::set_ipv6_freebind(&socket, true)?;
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}
