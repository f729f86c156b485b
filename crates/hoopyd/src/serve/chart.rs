//! A ring as a small picture: SVG within the page, with what it shows as text for whoever does not see it.

use std::fmt::Write as _;

use super::rings::{Ring, SAMPLES};

/// The size of a picture in its own units; a page stretches it.
const WIDTH: f32 = 360.0;
const HEIGHT: f32 = 64.0;

/// How many samples make one point, which is the highest of them.
const STEP: usize = 3;

/// A line of a chart.
pub struct Line<'a> {
    /// What the style sheet calls it.
    pub class: &'static str,
    /// Its values.
    pub ring: &'a Ring,
}

/// A chart.
pub struct Chart<'a> {
    /// Its title.
    pub title: &'a str,
    /// What is shown now.
    pub now: String,
    /// What it shows, in a sentence.
    pub description: String,
    /// Its lines.
    pub lines: &'a [Line<'a>],
    /// What the top stands for at least.
    pub at_least: f32,
}

impl Chart<'_> {
    /// As a figure of the page.
    pub fn html(&self) -> String {
        let Self { title, now, description, .. } = self;
        let lines: String = self.lines.iter().map(|line| line.svg(self.top())).collect();
        format!(
            "<figure><figcaption><span>{title}</span> <b>{now}</b></figcaption>\
            <svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" \
            aria-label=\"{description}\">{lines}</svg></figure>\n"
        )
    }

    fn top(&self) -> f32 {
        let all = self.lines.iter().flat_map(|line| line.ring.values());
        all.fold(self.at_least, f32::max).max(f32::MIN_POSITIVE) * 1.05
    }
}

impl Line<'_> {
    fn svg(&self, top: f32) -> String {
        let values: Vec<f32> = self.ring.values().collect();
        // Counted from the newest, so that a point does not change while it moves to the left.
        let points: Vec<f32> =
            values.rchunks(STEP).map(|part| part.iter().copied().fold(0.0, f32::max)).collect();
        let count = SAMPLES / STEP;
        #[expect(clippy::cast_precision_loss, reason = "no more than a few hundred points")]
        let place = |(n, value): (usize, &f32)| {
            let x = WIDTH * (1.0 - n as f32 / (count - 1) as f32);
            (x.max(0.0), HEIGHT * (1.0 - (value / top).clamp(0.0, 1.0)))
        };
        let mut line = String::new();
        let places: Vec<(f32, f32)> = points.iter().enumerate().map(place).collect();
        for (x, y) in &places {
            let _ = write!(line, "{x:.0},{y:.1} ");
        }
        let (Some((first, _)), Some((last, _))) = (places.first(), places.last()) else {
            return String::new();
        };
        let line = line.trim_end();
        let area = format!("{line} {last:.0},{HEIGHT} {first:.0},{HEIGHT}");
        let class = self.class;
        format!(
            "<polygon class=\"{class}\" points=\"{area}\"/><polyline class=\"{class}\" points=\"{line}\"/>"
        )
    }
}

/// The lowest and the highest value; nothing where there is none.
pub fn range(ring: &Ring) -> Option<(f32, f32)> {
    let first = ring.values().next()?;
    Some(ring.values().fold((first, first), |(low, high), value| (low.min(value), high.max(value))))
}
