//! Work cut in two that is done on two cores: one thread fills pieces, another takes them in order.
//!
//! No more than a few pieces are ever on their way, so that memory stays bounded, and a piece that was taken goes back to
//! be filled again: memory that is new costs as much as what is done with it.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// How many pieces may wait to be taken: enough for either side to be late for a while.
const WAITING: usize = 4;

/// Where pieces are put.
#[derive(Debug)]
pub struct Giver<T> {
    full: SyncSender<T>,
    used: Receiver<T>,
}

/// Where they are taken.
#[derive(Debug)]
pub struct Taker<T> {
    full: Receiver<T>,
    used: Sender<T>,
    taken: Option<T>,
}

/// The two ends.
pub fn handover<T>() -> (Giver<T>, Taker<T>) {
    let ((full, filled), (used, emptied)) = (sync_channel(WAITING), channel());
    (Giver { full, used: emptied }, Taker { full: filled, used, taken: None })
}

impl<T: Default> Giver<T> {
    /// A piece to fill: a used one, with what was in it, where there is one.
    pub fn piece(&self) -> T {
        self.used.try_recv().unwrap_or_default()
    }

    /// Hands a piece over; waits while too many are on their way. Whether anybody still takes them.
    pub fn give(&self, piece: T) -> bool {
        self.full.send(piece).is_ok()
    }
}

impl<T> Taker<T> {
    /// The next piece; `None` when there are no more.
    pub fn next_piece(&mut self) -> Option<&mut T> {
        if let Some(taken) = self.taken.take() {
            // Nobody fills it any more when the other side has made the last one.
            let _ = self.used.send(taken);
        }
        self.taken = self.full.recv().ok();
        self.taken.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_in_order_and_end_with_the_giver() {
        let (giver, mut taker) = handover::<Vec<u8>>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for number in 0..100 {
                    let mut piece = giver.piece();
                    piece.clear();
                    piece.push(number);
                    assert!(giver.give(piece));
                }
            });
            for number in 0..100 {
                assert_eq!(taker.next_piece(), Some(&mut vec![number]));
            }
            assert_eq!(taker.next_piece(), None);
        });
    }

    #[test]
    fn a_giver_is_told_that_nobody_takes() {
        let (giver, taker) = handover::<Vec<u8>>();
        drop(taker);
        assert!(!giver.give(Vec::new()));
    }
}
