//! The machine's page, over real sockets: what it shows, and what hostile clients and scripts get from it.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod page;
