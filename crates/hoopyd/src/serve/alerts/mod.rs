//! Alerts: every program of `/etc/hoopy/alert.d` is told once when something begins to need doing, and once when it is
//! over.
//!
//! ```text
//! Status ─▶ book: what is known, and what is new ─▶ a queue for each program ─▶ deliver, again later where that failed
//! ```
//!
//! The book and the queue lie in `/var/lib/hoopy/alerts.json`, and so outlive a boot where that directory does.

pub mod book;
mod deliver;

use std::path::Path;
use std::thread;
use std::time::Duration;

use hoopy_base::{atomic, input};
use hoopy_boot::monitor::{ALERT_STATE, ALERTS};

use super::collector::Shared;
use super::rings::EVERY;
use crate::machine;
use book::Book;

/// More than a full book has.
const MAX_BOOK: u64 = 1 << 20;

/// Watches for ever. Where there is no program, there is nothing to do, and nothing is written.
pub fn watch(root: &Path, shared: &Shared) {
    if machine::names(root, ALERTS).is_empty() {
        return;
    }
    let mut book = read(root);
    loop {
        let seen = shared.seen();
        turn(root, &mut book, &seen.status, machine::now());
        drop(seen);
        thread::sleep(Duration::from_secs(EVERY));
    }
}

/// One turn: what is new goes into the book and to the programs.
pub fn turn(root: &Path, book: &mut Book, status: &hoopy_boot::status::Status, now: u64) {
    let before = book.clone();
    let programs = deliver::programs(root);
    book.observe(status, &programs, now);
    // Written down before anybody is told: what is told twice after a power cut is better than what is lost.
    if *book != before {
        write(root, book);
    }
    deliver::due(root, book, now, &mut |book| write(root, book));
}

/// The book of the boot before; an empty one where there is none that can be read.
pub fn read(root: &Path) -> Book {
    let bytes = input::read_up_to(&root.join(ALERT_STATE), MAX_BOOK).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

fn write(root: &Path, book: &Book) {
    let path = root.join(ALERT_STATE);
    let text = serde_json::to_vec(book).unwrap_or_default();
    let made = std::fs::create_dir_all(atomic::directory_of(&path));
    // A disk that is full or gone is a problem of its own, which the book has: it stays right in memory.
    let _ = made.and_then(|()| atomic::replace_file(&path, &text, atomic::Readers::Owner));
}
