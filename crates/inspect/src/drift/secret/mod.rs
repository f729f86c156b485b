//! Recognising what must not lie in git in the clear. A guess, on the careful side: `--secrets` overrides it.
//!
//! The questions, the cheapest first:
//!
//! - is the file one that by its name holds a secret ([`names`]),
//! - does its text have a mark of one: a private key, a token, a hash ([`marks`]),
//! - does a line give a value to a key that is called a password ([`lines`]), as an argument of a command
//!   ([`commands`]), or as one program alone writes it ([`programs`])?

mod commands;
mod keys;
mod lines;
mod marks;
mod names;
mod programs;
mod values;

use values::Careful;

/// Why a file with this path and content looks secret; nothing where it does not.
pub fn secret(path: &[u8], content: &[u8]) -> Option<&'static str> {
    let path = String::from_utf8_lossy(path).to_lowercase();
    let text = String::from_utf8_lossy(content);
    let by_name = names::secret(&path, &text);
    let by_mark = || marks::secret(&text);
    // What is no text has no lines: compiled programs are full of words like `password=`.
    let by_line = || if content.contains(&0) { None } else { by_line(&path, &text) };
    by_name.or_else(by_mark).or_else(by_line)
}

fn by_line(path: &str, text: &str) -> Option<&'static str> {
    let careful = if names::holds_passwords(path) { Careful::Very } else { Careful::Usual };
    text.lines().find_map(|line| lines::secret(line, careful).or_else(|| programs::secret(path, line)))
}

#[cfg(test)]
mod tests;
