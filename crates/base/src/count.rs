//! Numbers of things in sentences.

use std::fmt::Display;

/// A number of things, by what one of them is called: `1 file`, `2 files`.
pub fn counted<N: Display + PartialEq + From<u8>>(number: N, one: &str) -> String {
    let ending = if number == N::from(1) { "" } else { "s" };
    format!("{number} {one}{ending}")
}
