//! What goes back: the head of a response, the same protections on all of them, and bodies in chunks.

use std::sync::Arc;

/// A body that is there.
#[derive(Debug, Clone)]
pub struct Response {
    /// As RFC 9110 has it.
    pub status: u16,
    /// With its character set.
    pub content_type: &'static str,
    /// The body.
    pub body: Arc<[u8]>,
}

/// The kind of an answer in plain text.
pub const TEXT: &str = "text/plain; charset=utf-8";

/// The kind of a page.
pub const HTML: &str = "text/html; charset=utf-8";

/// Nothing comes from elsewhere or is sent there, nothing may frame it, and nothing that a script prints becomes one.
const PROTECTIONS: &str = "Content-Security-Policy: default-src 'none'; style-src 'self'; script-src 'self'; \
    connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
    X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\
    Cross-Origin-Resource-Policy: same-origin\r\nCache-Control: no-store\r\nVary: Accept\r\n";

/// How a body is bounded.
#[derive(Debug, Clone, Copy)]
pub enum Length {
    /// So many bytes.
    Known(usize),
    /// It comes in chunks.
    Chunks,
    /// It ends where the connection does.
    Close,
}

impl Response {
    /// A line of text.
    pub fn text(status: u16, text: &str) -> Self {
        Self { status, content_type: TEXT, body: format!("{text}\n").into_bytes().into() }
    }

    /// What is said where there is nothing better to say.
    pub fn plain(status: u16) -> Self {
        Self::text(status, reason(status))
    }
}

/// The head of a response.
pub fn head(status: u16, content_type: &str, length: Length, keep_alive: bool) -> Vec<u8> {
    let length = match length {
        Length::Known(bytes) => format!("Content-Length: {bytes}\r\n"),
        Length::Chunks => "Transfer-Encoding: chunked\r\n".to_owned(),
        Length::Close => String::new(),
    };
    let more = match status {
        401 => "WWW-Authenticate: Basic realm=\"this machine\", charset=\"UTF-8\"\r\n",
        405 => "Allow: GET, HEAD\r\n",
        429 => "Retry-After: 60\r\n",
        503 => "Retry-After: 2\r\n",
        _ => "",
    };
    let connection = if keep_alive { "keep-alive" } else { "close" };
    format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: {content_type}\r\n{length}Connection: {connection}\r\n{more}{PROTECTIONS}\r\n",
        reason(status)
    )
    .into_bytes()
}

/// Adds a chunk (RFC 9112, section 7.1). An empty one would be the last.
pub fn chunk(out: &mut Vec<u8>, bytes: &[u8]) {
    if !bytes.is_empty() {
        out.extend(format!("{:x}\r\n", bytes.len()).into_bytes());
        out.extend(bytes);
        out.extend(b"\r\n");
    }
}

/// The end of a body in chunks.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unknown",
    }
}
