//! Asking the page from the machine itself, for `hoopy status` and `hoopy open`, which come over ssh.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use hoopy_boot::monitor::{Place, Settings};
use hoopy_boot::status::{Problem, Severity};

use super::settings;
use crate::error::AgentError;
use crate::machine::{self, Slow, problems};

/// How long the page may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The largest answer that is read: no status is as long.
const MAX_ANSWER: u64 = 4 << 20;

/// Where the page can be reached from here, without TLS.
fn address(settings: &Settings) -> Option<SocketAddr> {
    let plain = settings.listen.iter().filter(|listen| !listen.tls);
    let addresses = plain.filter_map(|listen| match listen.place {
        Place::Address(address) => Some(address),
        Place::Interface { .. } => None,
    });
    let loopback = addresses.clone().find(|address| address.ip().is_loopback());
    let mut address = loopback.or(addresses.clone().next())?;
    if address.ip().is_unspecified() {
        let here = if address.is_ipv4() {
            IpAddr::from(Ipv4Addr::LOCALHOST)
        } else {
            IpAddr::from(Ipv6Addr::LOCALHOST)
        };
        address.set_ip(here);
    }
    Some(address)
}

fn dial(settings: &Settings) -> io::Result<TcpStream> {
    let address = address(settings).ok_or(io::ErrorKind::AddrNotAvailable)?;
    TcpStream::connect_timeout(&address, PATIENCE)
}

/// `status.json` from the page. If the page does not answer, looks at the machine itself and adds that as a problem.
///
/// # Errors
/// [`AgentError`] where the image has no settings.
pub fn status(root: &Path) -> Result<Vec<u8>, AgentError> {
    let settings = settings(root)?;
    if let Ok(answer) = fetch(&settings) {
        return Ok(answer);
    }
    let slow = Slow::look(root, &machine::expected_changes(root, &settings));
    let mut status = machine::look(root, &settings, &slow);
    let problem = Problem {
        id: "agent".to_owned(),
        severity: Severity::Warning,
        what: "The machine's page does not answer".to_owned(),
        remedy: "run rc-service hoopy-serve restart".to_owned(),
    };
    problems::add(&mut status, vec![problem]);
    let mut text = serde_json::to_vec_pretty(&status).unwrap_or_default();
    text.push(b'\n');
    Ok(text)
}

fn fetch(settings: &Settings) -> io::Result<Vec<u8>> {
    let mut page = dial(settings)?;
    page.set_read_timeout(Some(PATIENCE))?;
    page.write_all(b"GET /status.json HTTP/1.0\r\n\r\n")?;
    let mut answer = Vec::new();
    page.take(MAX_ANSWER).read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|at| at == b"\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    let good = answer.starts_with(b"HTTP/1.1 200 ");
    let body = answer.split_off(end + 4);
    if good { Ok(body) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Connects `input` and `output` to the page, until the page closes the connection.
///
/// # Errors
/// [`AgentError`] where the page does not answer.
pub fn connect(
    root: &Path,
    mut input: impl Read + Send + 'static,
    output: &mut impl Write,
) -> Result<(), AgentError> {
    let settings = settings(root)?;
    let dialled = dial(&settings).and_then(|page| Ok((page.try_clone()?, page)));
    let (mut to, mut from) =
        dialled.map_err(AgentError::io("reach", "the page (rc-service hoopy-serve status)"))?;
    // If the page closes first, this thread ends with the process.
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = input.read(&mut buffer) {
            if to.write_all(buffer.get(..read).unwrap_or_default()).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
    // Passes on every part as it arrives, without waiting for a full buffer.
    let mut buffer = [0; 16 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) | Err(_) => return Ok(()),
            Ok(read) => {
                let written = output.write_all(buffer.get(..read).unwrap_or_default());
                written.and_then(|()| output.flush()).map_err(AgentError::io("write", "standard output"))?;
            }
        }
    }
}
