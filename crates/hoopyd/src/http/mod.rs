//! A small HTTP/1.1 server, for pages and for what programs say.
//!
//! ```text
//! accept ─▶ read a head (8 KiB, 10 s) ─▶ Site::answer ─▶ bytes ─────────────▶ write (60 s) ─▶ read the next, or close
//!                                                     └▶ a program ─▶ its output, as it comes
//! ```
//!
//! One thread waits for everything (poll(2)), so that a slow client costs a slot of a fixed table and nothing else:
//! where the table is full, the connection that has waited longest without asking for anything makes room. There are
//! no upgrades, and no state between two requests. Bodies of requests are small, and taken below [`request::BODIES`]
//! alone.

pub mod endpoint;
pub mod program;
pub mod request;
pub mod response;
pub mod server;

mod connection;
mod stream;

use std::path::PathBuf;

pub use endpoint::{Certificate, Endpoint};
pub use request::{Peer, Request};
pub use response::Response;

/// What there is to see.
pub trait Site {
    /// Answers a request, without waiting for anything.
    fn answer(&self, request: &Request) -> Answer;
}

/// What a request gets.
#[derive(Debug)]
pub enum Answer {
    /// This.
    Ready(Response),
    /// What a program says, as text.
    Program(PathBuf),
    /// A page in the middle of which is what a program says.
    Page {
        /// The page up to there.
        before: Vec<u8>,
        /// The program.
        program: PathBuf,
        /// The rest.
        after: &'static str,
    },
}
