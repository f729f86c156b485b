//! The user's own files over made-up packages: modes, owners, what they cover, what runs again because of them.

#![allow(clippy::unwrap_used, reason = "tests")]

mod kernel;
mod modes;
mod passwords;
mod place;
#[path = "../apk_tree/script.rs"]
mod script;
mod system;
mod triggers;
#[path = "../apk_tree/world.rs"]
mod world;
