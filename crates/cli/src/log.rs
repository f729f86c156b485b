//! The log of what hoopy does, on standard error: `-v` for the steps, `-vv` for each piece of work, or what the
//! filter in `HOOPY_LOG` lets through, as `hoopy_build=debug` (the syntax of tracing-subscriber's `EnvFilter`). The
//! timeline of a build is recorded from the same spans.
//!
//! Where nothing of this is asked for there is no subscriber, and a span costs one look at a number.

use std::sync::atomic::{AtomicBool, Ordering};

use hoopy_build::timeline::Recording;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

use crate::args::{Args, Command};
use crate::error::{CommandError, Result};
use crate::output::LogLines;

static LINES: AtomicBool = AtomicBool::new(false);

/// Begins to log, and to record where a timeline is asked for.
pub fn begin(args: &Args) -> Result<Option<Recording>> {
    let filter = filter(args.global.verbose)?;
    let recorded = matches!(&args.command, Command::Build(build) if build.timings.is_some());
    if filter.is_none() && !recorded {
        return Ok(None);
    }
    LINES.store(filter.is_some(), Ordering::Relaxed);
    let lines = filter.map(|filter| {
        let lines = tracing_subscriber::fmt::layer().without_time().with_ansi(false);
        lines.with_writer(|| LogLines).with_span_events(FmtSpan::CLOSE).with_filter(filter)
    });
    let (recording, recorder) = recorded.then(Recording::begin).unzip();
    let subscriber = tracing_subscriber::registry().with(lines).with(recorder);
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|e| CommandError::failed(format!("cannot log: {e}")))?;
    Ok(recording)
}

/// Whether lines are logged, which a line of progress would be in the way of.
pub fn is_on() -> bool {
    LINES.load(Ordering::Relaxed)
}

fn filter(verbose: u8) -> Result<Option<EnvFilter>> {
    let written = std::env::var("HOOPY_LOG").ok().filter(|filter| !filter.is_empty());
    let text = match (written, verbose) {
        (Some(written), _) => written,
        (None, 0) => return Ok(None),
        // It is the beginning of the name of each crate of hoopy's.
        (None, 1) => "hoopy=info".to_owned(),
        (None, _) => "hoopy=debug".to_owned(),
    };
    EnvFilter::builder().parse(&text).map(Some).map_err(|_| {
        CommandError::usage(format!("HOOPY_LOG is {text:?}: expected a filter such as hoopy_build=debug"))
    })
}
