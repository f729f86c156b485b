//! What a machine reaches: never this computer's own services, the outside only where the system asks for it, and its
//! forwarded ports always.
//!
//! QEMU's user network (slirp) gives the machine this computer's loopback: what it sends to the gateway 10.0.2.2, to
//! fec0::2 or to 127.0.0.1 itself arrives at 127.0.0.1 here, where databases and agents listen that trust whoever
//! reaches them. libslirp can leave that out (`disable_host_loopback`), but QEMU has no option for it. So:
//!
//! - Without the outside, `restrict=on`: slirp drops whatever does not answer a forwarded connection.
//! - With it, every frame on its way from the machine to slirp goes through a filter of ours first:
//!
//! ```text
//! machine ─ virtio ─▶ filter-redirector ─ out.sock ─▶ [allows] ─ in.sock ─▶ filter-redirector ─▶ slirp ─▶ outside
//! machine ◀─ virtio ───────────────────────────────────────────────────────────────────────────── slirp
//! ```
//!
//! What the filter does not know it drops, and where this process ends, nothing passes any more. What was tried else is
//! told in docs/security-machines.md.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Forward;
use super::error::VmError;
use super::escape::escaped;

/// The network that slirp makes up: 10.0.2.0/24.
const NET: [u8; 3] = [10, 0, 2];
/// The gateway, from which forwarded connections come, and where DHCP is answered.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// Passes on questions to the name servers of this computer.
const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

const DHCP: u16 = 67;
const DNS: u16 = 53;

/// The largest frame that QEMU hands on (`NET_BUFSIZE`, net/net.h).
const MAX_FRAME: usize = (4 << 10) + (64 << 10);

/// How often to check whether the machine is gone.
const TICK: Duration = Duration::from_millis(100);

/// What a machine reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    /// Nothing: its forwarded ports are reached, and it answers.
    #[default]
    Forwards,
    /// Other computers too, but not this one.
    Outside,
}

/// Arguments for a machine with so many network cards, and these ports forwarded to the first, which alone has `network`. The
/// others are given an address by DHCP, each in a network of its own, without a gateway. For [`Network::Outside`], the
/// filter begins to wait in `dir`, and ends when that is gone.
///
/// # Errors
/// [`VmError::Io`], [`VmError::PathNotUtf8`].
pub fn args(network: Network, nics: u32, forwards: &[Forward], dir: &Path) -> Result<Vec<String>, VmError> {
    let mut user = match network {
        Network::Forwards => "user,id=net,restrict=on".to_owned(),
        // The filter reads IPv4 alone.
        Network::Outside => "user,id=net,ipv6=off".to_owned(),
    };
    for forward in forwards {
        user += &format!(",hostfwd=tcp:127.0.0.1:{}-:{}", forward.host, forward.guest);
    }
    // No boot ROM: firmware has its own drivers, and must not try the network first.
    let mut args =
        ["-netdev", &user, "-device", "virtio-net-pci,netdev=net,romfile="].map(str::to_owned).to_vec();
    if network == Network::Outside {
        for (id, path) in [("filter-out", dir.join("out.sock")), ("filter-in", dir.join("in.sock"))] {
            let path = path.to_str().ok_or_else(|| VmError::PathNotUtf8(path.clone()))?;
            args.extend(["-chardev".to_owned(), format!("socket,id={id},path={}", escaped(path))]);
        }
        let filter = "filter-redirector,id=filter,netdev=net,queue=rx,outdev=filter-out,indev=filter-in";
        args.extend(["-object", filter].map(str::to_owned));
        Filter::start(dir)?;
    }
    // Bus addresses go up with the order here, and so do the kernel's names: the first is eth0.
    args.extend((1..nics).flat_map(|n| {
        let user = format!("user,id=net{n},restrict=on,net=10.0.{}.0/24", u32::from(NET[2]) + n);
        ["-netdev".to_owned(), user, "-device".to_owned(), format!("virtio-net-pci,netdev=net{n},romfile=")]
    }));
    Ok(args)
}

/// Passes on frames that are allowed.
struct Filter {
    out: UnixListener,
    back: UnixListener,
    /// Gone with the machine.
    socket: PathBuf,
    own: HashSet<Ipv4Addr>,
}

impl Filter {
    fn start(dir: &Path) -> Result<(), VmError> {
        let listen = |name: &str| {
            let path = dir.join(name);
            let listener = UnixListener::bind(&path).map_err(VmError::io("listen at", &path))?;
            listener.set_nonblocking(true).map_err(VmError::io("listen at", &path))?;
            Ok::<_, VmError>(listener)
        };
        let table = std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
        let filter = Self {
            out: listen("out.sock")?,
            back: listen("in.sock")?,
            socket: dir.join("out.sock"),
            own: own_addresses(&table),
        };
        std::thread::spawn(move || {
            // A machine that is reset connects anew.
            while let (Some(from), Some(to)) = (filter.accept(&filter.out), filter.accept(&filter.back)) {
                let _ = filter.pass(from, to);
            }
        });
        Ok(())
    }

    /// Waits for QEMU, as long as the machine's directory is there.
    fn accept(&self, listener: &UnixListener) -> Option<UnixStream> {
        while self.socket.exists() {
            match listener.accept() {
                Ok((stream, _)) => return stream.set_nonblocking(false).ok().map(|()| stream),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(TICK),
                Err(_) => return None,
            }
        }
        None
    }

    /// A frame is its length, in four bytes, and what it has.
    fn pass(&self, mut from: UnixStream, mut to: UnixStream) -> io::Result<()> {
        let mut frame = vec![0; 4 + MAX_FRAME];
        loop {
            let mut length = [0; 4];
            from.read_exact(&mut length)?;
            let end = 4 + u32::from_be_bytes(length) as usize;
            let whole = frame.get_mut(..end).ok_or(io::ErrorKind::InvalidData)?;
            let (head, body) = whole.split_at_mut(4);
            head.copy_from_slice(&length);
            from.read_exact(body)?;
            if allows(body, &self.own) {
                to.write_all(whole)?;
            }
        }
    }
}

/// Addresses of this computer, out of `/proc/net/fib_trie`: a line `|-- ADDRESS`, and below it `/32 host LOCAL`.
fn own_addresses(table: &str) -> HashSet<Ipv4Addr> {
    let mut own = HashSet::new();
    let mut last: Option<Ipv4Addr> = None;
    for line in table.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line.starts_with("/32 host LOCAL") {
            own.extend(last);
        }
    }
    own
}

/// Whether the machine may send this Ethernet frame.
fn allows(frame: &[u8], own: &HashSet<Ipv4Addr>) -> bool {
    match number(frame, 12) {
        Some(0x0806) => true,
        Some(0x0800) => frame.get(14..).and_then(|packet| allows_packet(packet, own)).unwrap_or(false),
        _ => false,
    }
}

/// None where it is no whole packet.
fn allows_packet(packet: &[u8], own: &HashSet<Ipv4Addr>) -> Option<bool> {
    let first = packet.first()?;
    let header = usize::from(first & 0xf) * 4;
    if first >> 4 != 4 || header < 20 {
        return None;
    }
    let to = Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(16..20)?).ok()?);
    let fragment = number(packet, 6)? & 0x3fff != 0;
    let length = usize::from(number(packet, 2)?);
    let inside = packet.get(header..length.min(packet.len()))?;
    let protocol = packet.get(9)?;
    let is_virtual = to.octets().starts_with(&NET);
    let is_this_computer = is_virtual
        || to.is_loopback()
        || to.octets()[0] == 0
        || to.is_multicast()
        || to.is_broadcast()
        || own.contains(&to);
    if !is_this_computer {
        return Some(true);
    }
    if fragment {
        return Some(false);
    }
    let port = || number(inside, 2);
    Some(match protocol {
        // ICMP: slirp itself answers an echo to these two.
        1 => to == GATEWAY || to == NAME_SERVER,
        6 if to == NAME_SERVER => port()? == DNS,
        // The machine answers forwarded connections; it begins none. SYN without ACK begins one.
        6 if to == GATEWAY => inside.get(13)? & 0b1_0010 != 0b0_0010,
        17 if to == NAME_SERVER => port()? == DNS,
        17 => port()? == DHCP && (to == GATEWAY || to.is_broadcast()),
        _ => false,
    })
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const SYN: u8 = 2;
    const ACK: u8 = 16;

    /// A frame of IPv4 with ports and TCP's flags.
    fn frame(protocol: u8, to: &str, port: u16, flags: u8) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 2, 15]);
        frame.extend(to.parse::<Ipv4Addr>().unwrap().octets());
        frame.extend([0x9c, 0x40]);
        frame.extend(port.to_be_bytes());
        frame.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0]);
        frame
    }

    fn own() -> HashSet<Ipv4Addr> {
        own_addresses(
            "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 192.0.2.0\n        /24 link UNICAST\n     |-- 192.0.2.2\n        \
             /32 host LOCAL\n     |-- 192.0.2.255\n        /32 link BROADCAST\n",
        )
    }

    #[test]
    fn ports_are_forwarded_to_this_computer_alone() {
        let dir = tempfile::tempdir().unwrap();
        let forwards = [Forward { name: "SSH".to_owned(), guest: 22, host: 40022 }];
        let line = |network| args(network, 1, &forwards, dir.path()).unwrap().join(" ");
        let closed = "-netdev user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:40022-:22 -device virtio-net-pci";
        assert!(line(Network::Forwards).starts_with(closed), "{}", line(Network::Forwards));
        let open = line(Network::Outside);
        assert!(open.starts_with("-netdev user,id=net,ipv6=off,hostfwd=tcp:127.0.0.1:40022-:22 "), "{open}");
        assert!(open.contains("-object filter-redirector,id=filter,netdev=net,queue=rx"), "{open}");
    }

    #[test]
    fn further_network_cards_reach_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let line = args(Network::Outside, 3, &[], dir.path()).unwrap().join(" ");
        for n in [1, 2] {
            let card = format!("-netdev user,id=net{n},restrict=on,net=10.0.{}.0/24 ", 2 + n);
            assert!(
                line.contains(&(card + &format!("-device virtio-net-pci,netdev=net{n},romfile="))),
                "{line}"
            );
        }
        assert_eq!(line.matches("-netdev").count(), 3, "{line}");
    }

    #[test]
    fn nothing_of_this_computer_is_reached() {
        for to in [
            "10.0.2.2",
            "10.0.2.3",
            "10.0.2.77",
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "192.0.2.2",
            "224.0.0.251",
        ] {
            assert!(!allows(&frame(6, to, 5432, SYN), &own()), "TCP {to}");
            assert!(!allows(&frame(17, to, 5432, 0), &own()), "UDP {to}");
        }
        assert!(!allows(&frame(6, "192.0.2.2", 22, ACK), &own()), "an address of its own forwards nothing");
        assert!(!allows(&frame(1, "127.0.0.1", 0, 0), &own()), "ICMP");
        let mut fragment = frame(6, "10.0.2.2", 5432, ACK);
        fragment[14 + 6] = 0x20;
        assert!(!allows(&fragment, &own()), "what it begins is in another fragment");
    }

    #[test]
    fn the_outside_names_and_forwarded_ports_are() {
        for (protocol, to, port, flags) in [
            (6, "198.51.100.2", 443, SYN),
            (17, "198.51.100.2", 123, 0),
            (6, "192.0.2.1", 22, SYN),
            (17, "10.0.2.3", 53, 0),
            (6, "10.0.2.3", 53, SYN),
            (6, "10.0.2.2", 40000, SYN | ACK),
            (6, "10.0.2.2", 40000, ACK),
            (17, "255.255.255.255", 67, 0),
            (17, "10.0.2.2", 67, 0),
            (1, "10.0.2.2", 0, 0),
        ] {
            assert!(allows(&frame(protocol, to, port, flags), &own()), "{protocol} {to}:{port}");
        }
        let arp = [&[0; 12][..], &[8, 6], &[0; 28]].concat();
        assert!(allows(&arp, &own()));
    }

    #[test]
    fn what_is_no_packet_is_dropped() {
        let whole = frame(6, "10.0.2.2", 40000, ACK);
        for end in 0..14 + 20 + 14 {
            assert!(!allows(&whole[..end], &own()), "{end} bytes");
        }
        for (at, byte) in [(12, 0x86), (13, 0x1), (14, 0x65), (14, 0x44)] {
            let mut other = frame(6, "198.51.100.2", 443, SYN);
            other[at] = byte;
            assert!(!allows(&other, &own()), "byte {at} is {byte}");
        }
    }

    #[test]
    fn frames_pass_through_the_filter_and_it_ends_with_the_machine() {
        let dir = tempfile::tempdir().unwrap();
        args(Network::Outside, 1, &[], dir.path()).unwrap();
        let mut out = UnixStream::connect(dir.path().join("out.sock")).unwrap();
        let mut back = UnixStream::connect(dir.path().join("in.sock")).unwrap();
        let framed = |frame: &[u8]| [&(frame.len() as u32).to_be_bytes()[..], frame].concat();
        let (good, bad) = (frame(6, "198.51.100.2", 443, SYN), frame(6, "10.0.2.2", 443, SYN));
        out.write_all(&[framed(&bad), framed(&good)].concat()).unwrap();
        let mut came = vec![0; 4 + good.len()];
        back.read_exact(&mut came).unwrap();
        assert_eq!(came, framed(&good));
        out.write_all(&u32::MAX.to_be_bytes()).unwrap();
        assert_eq!(back.read(&mut [0]).unwrap(), 0, "what no frame can have ends it");
    }
}
