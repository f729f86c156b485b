//! Reading the head of a request. Whatever two servers could understand differently is refused (RFC 9112, sections 6.3
//! and 11.2): bodies without one plain length, repeated lengths or hosts, other forms of the target.

use std::fmt;
use std::net::IpAddr;

use zeroize::Zeroizing;

/// The largest head: four times what browsers send.
pub const MAX_HEAD: usize = 8 << 10;

/// The most fields in a head.
const MAX_FIELDS: usize = 64;

/// The longest path: no name here is near it.
const MAX_PATH: usize = 256;

/// Below this path, a request may have a body.
pub const BODIES: &str = "/unlock/";

/// The largest body: what a passkey says, or the key of a volume, and a name.
pub const MAX_BODY: usize = 8 << 10;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// From where.
    pub address: IpAddr,
    /// Whether TLS is spoken.
    pub tls: bool,
}

impl Peer {
    /// Whether it is a program of this machine, or ssh, which encrypts.
    pub fn is_local(&self) -> bool {
        !self.tls && self.address.to_canonical().is_loopback()
    }
}

/// A request. What it sends may be a key: it is overwritten when it is dropped, and never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The path, `/` at its front, of letters, digits and `._-/` alone.
    pub path: String,
    /// Whether the answer is wanted without its body.
    pub head_only: bool,
    /// Whom it is meant for, as in `Host`, without a port.
    pub host: String,
    /// Whether the client reads HTML, and not just anything.
    pub accepts_html: bool,
    /// Whether it may ask again on this connection.
    pub keep_alive: bool,
    /// Whether it understands a body in chunks: HTTP/1.1.
    pub chunks: bool,
    /// `Authorization`: who it says it is.
    pub authorization: Option<Zeroizing<String>>,
    /// `Origin` and the whole of `Host`: what was sent from a page of another origin is not meant.
    pub origin: Option<(String, String)>,
    /// What it sends; none where it only asks.
    pub body: Option<Zeroizing<Vec<u8>>>,
    /// Who asks.
    pub peer: Peer,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("path", &self.path).field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl Request {
    /// Whether a page of this very site sent it. Browsers say so in `Origin` with every body.
    pub fn is_of_this_site(&self) -> bool {
        let scheme = if self.peer.tls { "https" } else { "http" };
        self.origin.as_ref().is_some_and(|(origin, host)| *origin == format!("{scheme}://{host}"))
    }
}

/// What the bytes so far are.
#[derive(Debug, PartialEq, Eq)]
pub enum Head {
    /// The start of one.
    Partial,
    /// A request, and how many bytes it takes.
    Whole(Request, usize),
    /// Nothing that can be answered but with this status.
    Refused(u16),
}

/// Reads a head.
pub fn parse(bytes: &[u8]) -> Head {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Head::Partial,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Head::Refused(431),
        Err(_) => return Head::Refused(400),
    };
    let (mut request, expected) = match request(&head) {
        Ok(request) => request,
        Err(status) => return Head::Refused(status),
    };
    let end = length + expected;
    let Some(body) = bytes.get(length..end) else { return Head::Partial };
    if let Some(own) = &mut request.body {
        own.extend(body);
    }
    Head::Whole(request, end)
}

/// The request, and how long its body is.
fn request(head: &httparse::Request<'_, '_>) -> Result<(Request, usize), u16> {
    let new = head.version == Some(1);
    let fields = Fields(head.headers);
    let sends = head.method == Some("POST") && head.path.is_some_and(|path| path.starts_with(BODIES));
    let digits = |n: &str| n.bytes().all(|byte| byte.is_ascii_digit());
    let expected = match fields.one("content-length")? {
        Some(n) if !digits(n) => return Err(400),
        Some(n) => n.parse().ok().filter(|n| *n == 0 || sends && *n <= MAX_BODY).ok_or(413_u16)?,
        None if sends => return Err(411),
        None => 0,
    };
    if fields.all("transfer-encoding").next().is_some() {
        return Err(413);
    }
    let head_only = match head.method {
        Some("GET") => false,
        Some("HEAD") => true,
        Some("POST") if sends => false,
        _ => return Err(405),
    };
    let host = match fields.one("host")? {
        Some(host) => host,
        None if new => return Err(400),
        None => "",
    };
    let connection = fields.joined("connection");
    let request = Request {
        path: path(head.path.unwrap_or_default())?,
        head_only,
        host: without_port(host).to_owned(),
        accepts_html: fields.joined("accept").contains("text/html"),
        keep_alive: new && !connection.contains("close"),
        chunks: new,
        authorization: fields.one("authorization")?.map(|text| Zeroizing::new(text.to_owned())),
        origin: fields.one("origin")?.map(|origin| (origin.to_owned(), host.to_owned())),
        // Room from the beginning: one that grows leaves a copy behind.
        body: sends.then(|| Zeroizing::new(Vec::with_capacity(expected))),
        peer: Peer { address: IpAddr::from([127, 0, 0, 1]), tls: false },
    };
    Ok((request, expected))
}

/// The path without what is asked of it. Nothing here has a name that would have to be encoded.
fn path(target: &str) -> Result<String, u16> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    if !path.starts_with('/') {
        return Err(400);
    }
    if target.len() > MAX_PATH {
        return Err(414);
    }
    if !path.bytes().all(plain) || path.split('/').any(|part| part == "..") {
        return Err(404);
    }
    Ok(path.to_owned())
}

/// The host of `host:port`, `[address]:port` or neither.
fn without_port(host: &str) -> &str {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

struct Fields<'a>(&'a [httparse::Header<'a>]);

impl<'a> Fields<'a> {
    fn all(&self, name: &'static str) -> impl Iterator<Item = Option<&'a str>> {
        let named = self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
        named.map(|field| std::str::from_utf8(field.value).ok().map(str::trim))
    }

    /// A field that may be there once.
    fn one(&self, name: &'static str) -> Result<Option<&'a str>, u16> {
        let mut all = self.all(name);
        match (all.next(), all.next()) {
            (None, _) => Ok(None),
            (Some(Some(value)), None) => Ok(Some(value)),
            _ => Err(400),
        }
    }

    /// All fields of a name, in small letters.
    fn joined(&self, name: &'static str) -> String {
        let values: Vec<&str> = self.all(name).flatten().collect();
        values.join(",").to_ascii_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(head: &str) -> u16 {
        match parse(head.as_bytes()) {
            Head::Refused(status) => status,
            Head::Whole(..) => 200,
            Head::Partial => 0,
        }
    }

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let text = "GET /index.sh?x=1 HTTP/1.1\r\nHost: nas:8080\r\nAccept: text/html,*/*\r\n\r\nGET";
        for end in 0..text.len() - 3 {
            assert_eq!(parse(&text.as_bytes()[..end]), Head::Partial, "{end}");
        }
        let Head::Whole(request, length) = parse(text.as_bytes()) else { unreachable!() };
        assert_eq!((&*request.path, &*request.host, length), ("/index.sh", "nas", text.len() - 3));
        assert!(request.accepts_html && request.keep_alive && !request.head_only);
    }

    #[test]
    fn what_two_servers_could_understand_differently_is_refused() {
        let get = |fields: &str| status(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        assert_eq!(get(""), 200);
        assert_eq!(get("Content-Length: 0\r\n"), 200);
        assert_eq!(get("Content-Length: 5\r\n"), 413);
        assert_eq!(get("Content-Length: 0\r\nContent-Length: 5\r\n"), 400);
        assert_eq!(get("Content-Length: 5\r\nContent-Length: 0\r\n"), 400);
        assert_eq!(get("Transfer-Encoding: chunked\r\n"), 413);
        assert_eq!(get("Host: b\r\n"), 400);
        assert_eq!(get("X : y\r\n"), 400);
        assert_eq!(get(" folded\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.0\r\n\r\n"), 200);
        assert_eq!(status("POST / HTTP/1.1\r\nHost: a\r\n\r\n"), 405);
        assert_eq!(status("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 400);
        let post = |fields: &str| status(&format!("POST /unlock/x HTTP/1.1\r\nHost: a\r\n{fields}\r\nabc"));
        assert_eq!(post("Content-Length: 3\r\n"), 200);
        assert_eq!(post("Content-Length: 4\r\n"), 0);
        assert_eq!(post(""), 411);
        assert_eq!(post("Content-Length: 3\r\nContent-Length: 3\r\n"), 400);
        assert_eq!(post("Content-Length: +3\r\n"), 400);
        assert_eq!(post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), 413);
        assert_eq!(post(&format!("Content-Length: {}\r\n", MAX_BODY + 1)), 413);
        assert_eq!(post(&format!("Content-Length: {}\r\n", u64::MAX)), 413);
        assert_eq!(status("\u{16}\u{3}\u{1}\u{2}nonsense"), 400);
    }

    #[test]
    fn no_path_leads_out() {
        let get = |target: &str| status(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        for target in
            ["/../etc/shadow", "/a/../b", "/%2e%2e/x", "/..", "/a%00b", "/a\\b", "/$(id).sh", "/;id.sh"]
        {
            assert_eq!(get(target), 404, "{target}");
        }
        for target in ["http://a/", "*", "index.sh"] {
            assert_eq!(get(target), 400, "{target}");
        }
        assert_eq!(get(&format!("/{}", "a".repeat(300))), 414);
        assert_eq!(get("/a b"), 400);
    }

    #[test]
    fn a_head_has_bounds() {
        let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(MAX_HEAD));
        assert_eq!(status(&long), 431);
        assert_eq!(status(&long[..MAX_HEAD]), 431);
        let many = "X: y\r\n".repeat(MAX_FIELDS + 1);
        assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n")), 431);
    }

    #[test]
    fn a_port_is_no_part_of_a_host() {
        let hosts = ["nas", "nas:1", "[::1]:80", "[::1]"].map(without_port);
        assert_eq!(hosts, ["nas", "nas", "::1", "::1"]);
    }
}
