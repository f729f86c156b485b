//! A chart of bars as SVG, for the README: no script, no font of its own, legible on light and on dark pages.

use std::fmt::Write as _;

/// Pixels.
const WIDTH: usize = 720;
const ROW: usize = 30;
const TOP: usize = 44;
/// Where bars begin, and what they leave free for the number behind them.
const LEFT: usize = 170;
const RIGHT: usize = 90;

/// Of names starting so the bar is another colour: they are no work of ours, but the least that there could be.
const LIMIT: &str = "limit";

/// The bars `(name, seconds)` below `title`, from the top down; the first is what the others are compared with.
pub fn draw(title: &str, bars: &[(&str, f64)]) -> String {
    let height = TOP + bars.len() * ROW + 12;
    let longest = bars.iter().map(|(_, seconds)| *seconds).fold(f64::MIN_POSITIVE, f64::max);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\" aria-label=\"{title}\" font-family=\"system-ui, sans-serif\" \
         font-size=\"14\">\n\
         <style>text{{fill:#24292f}}.p{{fill:#8c959f}}.h{{fill:#0969da}}.l{{fill:#bf8700}}\
         @media(prefers-color-scheme:dark){{text{{fill:#e6edf3}}.p{{fill:#6e7681}}.h{{fill:#58a6ff}}.l{{fill:#d29922}}}}\
         </style>\n<text x=\"0\" y=\"20\" font-weight=\"600\">{title}</text>\n"
    );
    for (row, (name, seconds)) in bars.iter().enumerate() {
        let y = TOP + row * ROW;
        let width = (seconds / longest * (WIDTH - LEFT - RIGHT) as f64).max(1.0);
        let class = match row {
            0 => 'p',
            _ if name.starts_with(LIMIT) => 'l',
            _ => 'h',
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>\
             <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"20\" rx=\"2\"/>\
             <text x=\"{:.1}\" y=\"{}\">{}</text>",
            LEFT - 10,
            y + 15,
            LEFT as f64 + width + 8.0,
            y + 15,
            shown(*seconds)
        );
    }
    svg + "</svg>\n"
}

/// Three digits.
fn shown(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1e3) } else { format!("{seconds:.2} s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_fills_the_width_and_every_bar_has_its_number() {
        let svg = draw("t", &[("pipeline", 4.0), ("cold", 1.0), ("limit: copy", 0.05)]);
        assert!(svg.contains("class=\"p\" x=\"170\" y=\"44\" width=\"460.0\""), "{svg}");
        assert!(svg.contains(">4.00 s<") && svg.contains(">50 ms<"), "{svg}");
        assert!(svg.contains("class=\"l\"") && svg.ends_with("</svg>\n"), "{svg}");
    }
}
