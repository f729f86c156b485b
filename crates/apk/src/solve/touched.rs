//! What a search knows of the names and packages that it has come by: of an index of many thousands, a world reaches
//! some hundreds, and making ready for all of them would cost more than the search.

/// No place. It is not 0, so that places are written before they are read: memory that is zeroed and read first is made
/// ready twice.
const NOWHERE: u32 = u32::MAX;

/// Values by number, made when they are first written to.
#[derive(Debug)]
pub(super) struct Touched<T> {
    /// For each number, its place or [`NOWHERE`].
    places: Vec<u32>,
    values: Vec<T>,
}

impl<T> Touched<T> {
    /// For numbers below `count`.
    pub fn new(count: usize) -> Self {
        Self { places: vec![NOWHERE; count], values: Vec::new() }
    }

    pub fn get(&self, number: u32) -> Option<&T> {
        // There are never so many values that one is at that place.
        self.values.get(*self.places.get(number as usize)? as usize)
    }

    // A number comes from the stock, which gives none that it has not counted.
    pub fn get_mut(&mut self, number: u32, new: impl FnOnce() -> T) -> &mut T {
        let place = &mut self.places[number as usize];
        if *place == NOWHERE {
            *place = self.values.len() as u32;
            self.values.push(new());
        }
        &mut self.values[*place as usize]
    }
}
