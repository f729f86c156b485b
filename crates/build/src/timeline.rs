//! The timeline of a build as one HTML file: a row of steps, then a row for each thread that worked at a time.
//!
//! It needs no network and no script, and is readable as text: bars are placed in percent by a style sheet, details
//! show on hovering (`title`), and a table has all there is to read. Light or dark as the reader's system is.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use hoopy_base::digest::LayerId;
use hoopy_base::markup::escaped;

use self::recorder::{Span, What, Work};

mod recorder;

pub use self::recorder::{Recorder, Recording};

/// How many of the longest pieces of work are in the table.
const LONGEST: usize = 40;

/// A bar is labelled when it takes this part of the width: shorter ones have no room.
const LABELLED: f64 = 0.02;

const STYLE: &str = include_str!("timeline.css");

/// The file of all that was recorded. `layer` says what a layer is called.
pub fn html(title: &str, recording: &Recording, layer: &dyn Fn(LayerId) -> Option<String>) -> String {
    let (spans, took) = recording.take();
    page(title, &spans, took, layer)
}

fn page(title: &str, spans: &[Span], took: Duration, layer: &dyn Fn(LayerId) -> Option<String>) -> String {
    let page = Page { spans, took: took.as_secs_f64().max(f64::MIN_POSITIVE), layer };
    let title = escaped(title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n\
         <h1>{title}</h1>\n<p>{} in all. Hover over a bar for what it is.</p>\n",
        seconds(took)
    );
    page.legend(&mut out);
    page.chart(&mut out);
    page.table(&mut out);
    out
}

struct Page<'a> {
    spans: &'a [Span],
    took: f64,
    layer: &'a dyn Fn(LayerId) -> Option<String>,
}

impl Page<'_> {
    fn legend(&self, out: &mut String) {
        *out += "<p class=\"legend\">";
        for work in Work::ALL {
            let own = || self.spans.iter().filter(move |span| span.work == work);
            let total: Duration = own().map(|span| span.end.saturating_sub(span.start)).sum();
            if own().next().is_some() {
                let (name, count) = (work.name(), own().count());
                let _ = write!(
                    out,
                    "<span class=\"key {name}\">{name}</span> {count}, {} &ensp;",
                    seconds(total)
                );
            }
        }
        *out += "</p>\n";
    }

    fn chart(&self, out: &mut String) {
        *out += "<div class=\"chart\">\n";
        self.axis(out);
        self.row(out, "steps", self.spans.iter().filter(|span| span.work == Work::Step));
        let lanes = lanes(self.spans);
        let count = lanes.values().max().map_or(0, |last| last + 1);
        for lane in 0..count {
            let own = |span: &&Span| span.work != Work::Step && lanes.get(&span.thread) == Some(&lane);
            self.row(out, &format!("thread {}", lane + 1), self.spans.iter().filter(own));
        }
        *out += "</div>\n";
    }

    /// Where whole parts of the time are: about ten.
    fn axis(&self, out: &mut String) {
        let rough = self.took / 10.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].map(|n| n * power).into_iter().find(|s| *s >= rough).unwrap_or(rough);
        *out += "<div class=\"row axis\"><b></b><div>";
        let mut at = 0.0;
        while at <= self.took {
            let _ = write!(
                out,
                "<i style=\"left:{:.3}%\">{}</i>",
                at / self.took * 100.0,
                seconds(Duration::from_secs_f64(at))
            );
            at += step;
        }
        *out += "</div></div>\n";
    }

    fn row<'s>(&self, out: &mut String, name: &str, spans: impl Iterator<Item = &'s Span>) {
        let _ = write!(out, "<div class=\"row\"><b>{name}</b><div>");
        let mut spans: Vec<&Span> = spans.collect();
        // What holds others comes first, and so lies below them.
        spans.sort_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
        for span in spans {
            let (start, end) = (span.start.as_secs_f64() / self.took, span.end.as_secs_f64() / self.took);
            let name = escaped(&self.name(span));
            let label = if end - start >= LABELLED { name.as_str() } else { "" };
            let _ = write!(
                out,
                "\n<span class=\"bar {}\" style=\"left:{:.3}%;width:{:.3}%\" title=\"{}: {name}&#10;{}, from {} on\">{label}</span>",
                span.work.name(),
                start * 100.0,
                (end - start) * 100.0,
                span.work.name(),
                seconds(span.end.saturating_sub(span.start)),
                seconds(span.start),
            );
        }
        *out += "</div></div>\n";
    }

    fn table(&self, out: &mut String) {
        let mut longest: Vec<&Span> = self.spans.iter().collect();
        longest.sort_by_key(|span| {
            (span.work != Work::Step, std::cmp::Reverse(span.end.saturating_sub(span.start)))
        });
        *out += "<table>\n<tr><th>work<th>on<th>took<th>from\n";
        for span in longest.into_iter().take(LONGEST) {
            let _ = writeln!(
                out,
                "<tr><td>{}<td>{}<td>{}<td>{}",
                span.work.name(),
                escaped(&self.name(span)),
                seconds(span.end.saturating_sub(span.start)),
                seconds(span.start)
            );
        }
        *out += "</table>\n</html>\n";
    }

    fn name(&self, span: &Span) -> String {
        match &span.what {
            What::Named(name) => name.clone(),
            What::Layers(ids) => {
                let name = |id: &LayerId| (self.layer)(*id).unwrap_or_else(|| format!("layer {id}"));
                ids.iter().map(name).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// Which row each thread is in: one whose threads ended before it began, since a pool's threads come and go.
fn lanes(spans: &[Span]) -> BTreeMap<u64, usize> {
    let mut lives: BTreeMap<u64, (Duration, Duration)> = BTreeMap::new();
    for span in spans.iter().filter(|span| span.work != Work::Step) {
        let life = lives.entry(span.thread).or_insert((span.start, span.end));
        *life = (life.0.min(span.start), life.1.max(span.end));
    }
    let mut threads: Vec<_> = lives.into_iter().collect();
    threads.sort_by_key(|(thread, life)| (life.0, *thread));
    let (mut ends, mut lanes) = (Vec::new(), BTreeMap::new());
    for (thread, (start, end)) in threads {
        let free = ends.iter().position(|last| *last <= start);
        let lane = free.unwrap_or(ends.len());
        match ends.get_mut(lane) {
            Some(last) => *last = end,
            None => ends.push(end),
        }
        lanes.insert(thread, lane);
    }
    lanes
}

fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds >= 1.0 { format!("{seconds:.2} s") } else { format!("{:.1} ms", seconds * 1000.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(work: Work, name: &str, thread: u64, from: u64, to: u64) -> Span {
        let (start, end) = (Duration::from_millis(from), Duration::from_millis(to));
        Span { work, what: What::Named(name.into()), thread, start, end }
    }

    #[test]
    fn threads_that_follow_each_other_share_a_row() {
        let spans = [
            span(Work::Import, "a", 1, 0, 10),
            span(Work::Import, "b", 2, 0, 5),
            span(Work::Segment, "c", 3, 6, 12),
            span(Work::Segment, "d", 4, 7, 9),
        ];
        let rows: Vec<usize> = lanes(&spans).into_values().collect();
        assert_eq!(rows, [0, 1, 1, 2]);
    }

    #[test]
    fn every_piece_of_work_is_there_and_nothing_of_its_name_is_markup() {
        let spans = [span(Work::Step, "import", 0, 0, 100), span(Work::Script, "<b>\"x\"&\u{1b}", 0, 20, 60)];
        let page = page("nas <1>", &spans, Duration::from_millis(100), &|_| None);
        assert!(page.contains("&lt;b&gt;&quot;x&quot;&amp;\u{fffd}") && !page.contains("<b>\"x"));
        assert!(page.contains("left:20.000%;width:40.000%") && page.contains("<title>nas &lt;1&gt;</title>"));
        assert!(!page.contains("http") && !page.contains("<script"));
    }

    #[test]
    fn a_build_without_work_has_a_page_too() {
        assert!(page("empty", &[], Duration::ZERO, &|_| None).ends_with("</html>\n"));
    }
}
