//! The hoopy command.
fn main() {}
