//! Which names several lists have in common, without comparing each with each.

/// A count for each name; between uses all are zero.
#[derive(Debug)]
pub(super) struct Marks(Vec<u32>);

impl Marks {
    pub fn new(names: usize) -> Self {
        Self(vec![0; names])
    }

    /// The names that all lists have, in the order of the first, each once.
    pub fn common<I: Iterator<Item = u32>>(&mut self, lists: impl Iterator<Item = I>) -> Vec<u32> {
        let mut first = Vec::new();
        let mut count = 0;
        for list in lists {
            for name in list {
                let Some(mark) = self.0.get_mut(name as usize) else { continue };
                if *mark == count {
                    *mark = count + 1;
                    if count == 0 {
                        first.push(name);
                    }
                }
            }
            count += 1;
        }
        first.retain(|name| self.0.get_mut(*name as usize).is_some_and(|mark| std::mem::take(mark) == count));
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_lists_have_is_found_once_and_nothing_stays_marked() {
        let mut marks = Marks::new(10);
        for _ in 0..2 {
            let lists = [vec![3, 1, 4, 1, 5], vec![4, 4, 1, 2], vec![1, 4, 3, 5]];
            assert_eq!(marks.common(lists.iter().map(|list| list.iter().copied())), [1, 4]);
        }
    }
}
