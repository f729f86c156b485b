//! A film of a terminal as one SVG: no script, so that it plays inside an `<img>`. Who has asked for less motion sees
//! its last picture.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::screen::{Frame, Run};

/// Pixels of a cell of the terminal, and around all of them.
const CELL: f64 = 7.8;
const LINE: usize = 17;
const MARGIN: usize = 14;

/// Colours of a terminal that stand out from dark, in its own order from black to white.
const COLORS: [&str; 8] =
    ["#8b949e", "#ff7b72", "#7ee787", "#e3b341", "#79c0ff", "#d2a8ff", "#76e3ea", "#f0f6fc"];

/// The pictures of `frames`, one after the other, for ever.
pub fn draw(title: &str, frames: Vec<Frame>) -> String {
    let rows = frames.iter().map(|frame| frame.rows.len()).max().unwrap_or(1);
    let columns = super::COLUMNS;
    let width = (f64::from(columns) * CELL) as usize + 2 * MARGIN;
    let height = rows * LINE + 2 * MARGIN;
    let mut lines = Lines::default();
    let mut film = String::new();
    let mut style = String::new();
    let total: f64 = frames.iter().map(|frame| frame.duration.as_secs_f64()).sum();
    let mut start = 0.0;
    let last = frames.len().saturating_sub(1);
    for (number, frame) in frames.iter().enumerate() {
        let end = start + frame.duration.as_secs_f64();
        // Writing to a string does not fail, here and below
        let _ = write!(
            film,
            "<g class=\"f\" style=\"animation-name:f{number}\"{}>",
            if number == last { " id=\"last\"" } else { "" }
        );
        for (row, runs) in frame.rows.iter().enumerate().filter(|(_, runs)| !runs.is_empty()) {
            let _ = write!(
                film,
                "<use href=\"#l{}\" y=\"{}\"/>",
                lines.number(runs),
                MARGIN + (row + 1) * LINE - 4
            );
        }
        film.push_str("</g>\n");
        style.push_str(&keyframes(number, start / total * 100.0, end / total * 100.0));
        start = end;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" aria-label=\"{title}\" font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" \
         font-size=\"13\">\n<style>text{{fill:#c9d1d9;white-space:pre}}.b{{font-weight:700}}.f{{visibility:hidden;\
         animation:{total:.2}s step-end infinite}}\n@media(prefers-reduced-motion:reduce){{.f{{animation:none}}\
         #last{{visibility:visible}}}}\n{style}</style>\n<rect width=\"100%\" height=\"100%\" rx=\"8\" \
         fill=\"#0d1117\"/>\n<defs>\n{}</defs>\n{film}</svg>\n",
        lines.definitions
    )
}

/// When picture `number` is seen, in hundredths of the film.
fn keyframes(number: usize, start: f64, end: f64) -> String {
    let before = if start > 0.0 { "0%{visibility:hidden}" } else { "" };
    format!(
        "@keyframes f{number}{{{before}{start:.3}%{{visibility:visible}}{end:.3}%{{visibility:hidden}}}}\n"
    )
}

/// Every row that differs, once: most pictures repeat those of the picture before.
#[derive(Default)]
struct Lines {
    numbers: BTreeMap<Vec<Run>, usize>,
    definitions: String,
}

impl Lines {
    fn number(&mut self, runs: &[Run]) -> usize {
        if let Some(number) = self.numbers.get(runs) {
            return *number;
        }
        let number = self.numbers.len();
        let _ = write!(self.definitions, "<text id=\"l{number}\">");
        for run in runs {
            let x = MARGIN as f64 + f64::from(run.column) * CELL;
            let color = run.color.and_then(|color| COLORS.get(usize::from(color)));
            let fill =
                color.map(|color| format!(" fill=\"{color}\" style=\"fill:{color}\"")).unwrap_or_default();
            let bold = if run.bold { " class=\"b\"" } else { "" };
            let _ =
                write!(self.definitions, "<tspan x=\"{x:.1}\"{fill}{bold}>{}</tspan>", escaped(&run.text));
        }
        self.definitions.push_str("</text>\n");
        self.numbers.insert(runs.to_vec(), number);
        number
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(text: &str) -> Frame {
        let run = Run { column: 0, text: text.to_owned(), color: None, bold: false };
        Frame { rows: vec![vec![run]], duration: Duration::from_secs(1) }
    }

    #[test]
    fn a_row_of_two_pictures_is_defined_once() {
        let svg = draw("t", vec![frame("same"), frame("same"), frame("other")]);
        assert_eq!(svg.matches("same").count(), 1);
        assert_eq!(svg.matches("<use ").count(), 3);
    }

    #[test]
    fn text_cannot_become_markup() {
        assert!(draw("t", vec![frame("<script>&")]).contains("&lt;script&gt;&amp;"));
    }
}
