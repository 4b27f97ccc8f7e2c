//! What may be logged, and how: JSON lines, and nothing that an SDK prints of its own.

use std::io::Write;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;

/// A subscriber for the level that Lambda's `LoggingConfig` asks for. The SDK's own events stay
/// out: they print requests and answers, and with them task definitions and credentials. What goes
/// wrong there comes back as an error and is told by the report.
pub fn subscriber<W>(level: &str, writer: W) -> impl Subscriber + Send + Sync + 'static
where
    W: for<'a> MakeWriter<'a, Writer: Write> + Send + Sync + 'static,
{
    let level = level.parse().unwrap_or(LevelFilter::INFO);
    let targets = Targets::new()
        .with_target("ecs_queue_scaler", level)
        .with_target("lambda_runtime", LevelFilter::ERROR.min(level));
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_writer(writer);
    tracing_subscriber::registry().with(lines.with_filter(targets))
}
