//! What a search knows of the names and packages that it has come by: of an index of many thousands, a world reaches
//! some hundreds, and making ready for all of them would cost more than the search.

/// Values by number, made when they are first written to.
#[derive(Debug)]
pub(super) struct Touched<T> {
    /// For each number, 0 or one more than its place. Zeroed memory comes from the system for nothing.
    places: Vec<u32>,
    values: Vec<T>,
}

impl<T> Touched<T> {
    /// For numbers below `count`.
    pub fn new(count: usize) -> Self {
        Self { places: vec![0; count], values: Vec::new() }
    }

    fn place(&self, number: u32) -> Option<u32> {
        self.places.get(number as usize).copied().unwrap_or(0).checked_sub(1)
    }

    pub fn get(&self, number: u32) -> Option<&T> {
        self.values.get(self.place(number)? as usize)
    }

    // A number comes from the stock, which gives none that it has not counted.
    pub fn get_mut(&mut self, number: u32, new: impl FnOnce() -> T) -> &mut T {
        let place = &mut self.places[number as usize];
        if *place == 0 {
            self.values.push(new());
            *place = self.values.len() as u32;
        }
        &mut self.values[*place as usize - 1]
    }
}
