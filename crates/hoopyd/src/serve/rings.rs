//! The last hour, in memory of a fixed size.

use hoopy_boot::status::{Interface, Status};

/// Seconds between two samples.
pub const EVERY: u64 = 10;

/// How many samples there are: an hour of them.
pub const SAMPLES: usize = 360;

/// A value over time, the newest last. It never grows.
#[derive(Debug, Clone)]
pub struct Ring {
    values: Box<[f32]>,
    begin: usize,
    length: usize,
}

impl Default for Ring {
    fn default() -> Self {
        Self { values: vec![0.0; SAMPLES].into_boxed_slice(), begin: 0, length: 0 }
    }
}

impl Ring {
    /// Adds a value, in place of the oldest once it is full.
    pub fn push(&mut self, value: f64) {
        #[expect(clippy::cast_possible_truncation, reason = "a chart shows three digits at most")]
        let value = value as f32;
        if self.length < SAMPLES {
            self.length += 1;
        } else {
            self.begin = (self.begin + 1) % SAMPLES;
        }
        let at = (self.begin + self.length - 1) % SAMPLES;
        if let Some(place) = self.values.get_mut(at) {
            *place = if value.is_finite() { value } else { 0.0 };
        }
    }

    /// All values, the oldest first.
    pub fn values(&self) -> impl ExactSizeIterator<Item = f32> + '_ {
        (0..self.length).map(|n| self.values.get((self.begin + n) % SAMPLES).copied().unwrap_or(0.0))
    }
}

/// What the charts show.
#[derive(Debug, Clone, Default)]
pub struct Rings {
    /// Memory in use, in percent.
    pub memory: Ring,
    /// The load of one minute.
    pub load: Ring,
    /// The hottest thermometer.
    pub temperature: Ring,
    /// Bytes a second, over all interfaces.
    pub received: Ring,
    /// Bytes a second, over all interfaces.
    pub sent: Ring,
    before: Option<(u64, u64, u64)>,
}

impl Rings {
    /// Takes a sample.
    pub fn push(&mut self, status: &Status) {
        self.memory.push(status.memory.used_percent());
        let [one, ..] = status.load;
        self.load.push(one);
        if let Some(hottest) = status.temperatures.iter().map(|t| t.celsius).max_by(f64::total_cmp) {
            self.temperature.push(hottest);
        }
        let sum = |of: fn(&Interface) -> u64| status.interfaces.iter().map(of).fold(0, u64::saturating_add);
        let now = (status.uptime, sum(|link| link.received), sum(|link| link.sent));
        if let Some(before) = self.before {
            let seconds = now.0.saturating_sub(before.0).max(1);
            // An interface that went away took its counters with it: that is no traffic.
            #[expect(clippy::cast_precision_loss, reason = "a chart shows three digits at most")]
            let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds as f64;
            self.received.push(rate(now.1, before.1));
            self.sent.push(rate(now.2, before.2));
        }
        self.before = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_keeps_the_newest_and_never_grows() {
        let mut ring = Ring::default();
        (0..1000).for_each(|n| ring.push(f64::from(n)));
        let values: Vec<f32> = ring.values().collect();
        assert_eq!(values.len(), SAMPLES);
        assert_eq!((values.first(), values.last()), (Some(&640.0), Some(&999.0)));
    }

    #[test]
    fn an_interface_that_goes_away_is_no_traffic() {
        let link = |received| Interface { name: "a".into(), up: true, received, sent: 0, errors: 0 };
        let mut rings = Rings::default();
        rings.push(&Status { uptime: 10, interfaces: vec![link(1000)], ..Status::default() });
        rings.push(&Status { uptime: 20, interfaces: vec![link(2000)], ..Status::default() });
        rings.push(&Status { uptime: 30, ..Status::default() });
        assert_eq!(rings.received.values().collect::<Vec<_>>(), [100.0, 0.0]);
    }
}
