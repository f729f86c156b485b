mod alerts;
mod authority;
mod browser;
mod clients;
mod content;
mod passkey;
mod scripts;
#[expect(dead_code, reason = "the tests of memory use all of it")]
mod server;
mod tls;
