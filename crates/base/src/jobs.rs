//! Work spread over the cores.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// `work` over all of `items` on as many threads as there are cores, in the items' order; results in that
/// order too. After the first failure nothing new is begun.
///
/// # Errors
/// The failure of the first item, in order, that failed.
pub fn map<'i, T: Sync, R: Send, E: Send>(
    items: &'i [T],
    work: impl Fn(&'i T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(items.len().max(1));
    map_on(threads, items, work)
}

/// The same, but the largest are begun first: the last to be done is then no large one, for which other cores wait.
///
/// # Errors
/// The failure of the largest item that failed.
pub fn map_largest_first<T: Sync, R: Send, E: Send>(
    items: &[T],
    size: impl Fn(&T) -> u64,
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let mut order: Vec<(usize, &T)> = items.iter().enumerate().collect();
    order.sort_by_key(|(_, item)| std::cmp::Reverse(size(item)));
    let mut results = map(&order, |&(index, item)| Ok((index, work(item)?)))?;
    results.sort_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// The same on this many threads.
///
/// # Errors
/// The failure of the first item, in order, that failed.
pub fn map_on<'i, T: Sync, R: Send, E: Send>(
    threads: usize,
    items: &'i [T],
    work: impl Fn(&'i T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let results: Mutex<Vec<(usize, Result<R, E>)>> = Mutex::new(Vec::with_capacity(items.len()));
    let worker = || {
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { break };
            let result = work(item);
            if result.is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(worker);
        }
        worker();
    });
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_results_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..100).collect();
        let doubled = map_on(4, &items, |&n| Ok::<_, ()>(n * 2));
        assert_eq!(doubled, Ok((0..200).step_by(2).collect()));
    }

    #[test]
    fn begins_with_the_largest_and_keeps_the_order() {
        let begun = Mutex::new(Vec::new());
        let note = |&n: &u64| {
            begun.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(n);
            Ok::<_, ()>(n)
        };
        assert_eq!(map_largest_first(&[2, 9, 4], |&n| n, note), Ok(vec![2, 9, 4]));
        let first = begun.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)[0];
        assert!(first == 9 || std::thread::available_parallelism().is_ok_and(|n| n.get() > 1));
    }

    #[test]
    fn begins_nothing_after_a_failure() {
        let begun = AtomicUsize::new(0);
        let result = map_on(1, &[1, 2, 3], |&n| {
            begun.fetch_add(1, Ordering::Relaxed);
            if n == 2 { Err(n) } else { Ok(n) }
        });
        assert_eq!((result, begun.into_inner()), (Err(2), 2));
    }
}
