//! What may be logged, and how: JSON lines, and nothing that an SDK prints of its own.

use std::any::Any;
use std::fmt::{Debug, Result};
use std::io::{Write, stderr};
use std::panic::{self, Location};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

/// The target of events whose field `line` is JSON already, and is written as it stands: CloudWatch
/// finds metrics only in lines of their own. No level keeps them out.
pub const VERBATIM: &str = "verbatim";

/// A subscriber for the level that Lambda's `LoggingConfig` asks for. The SDK's own events stay
/// out: they print requests and answers, and with them task definitions and credentials. What goes
/// wrong there comes back as an error and is in the report.
pub fn subscriber<W>(level: &str, writer: W) -> impl Subscriber + Send + Sync + 'static
where
    W: for<'a> MakeWriter<'a, Writer: Write> + Clone + Send + Sync + 'static,
{
    let level = level.parse().unwrap_or(LevelFilter::INFO);
    let targets = Targets::new()
        .with_target("ecs_queue_scaler", level)
        .with_target("lambda_runtime", LevelFilter::ERROR.min(level))
        // It prints the error of every invocation that fails, in Rust's own notation; the report and
        // `RunError::log` have logged it.
        .with_target("lambda_runtime::layers::panic", LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_writer(writer.clone());
    let verbatim = Targets::new().with_target(VERBATIM, LevelFilter::INFO);
    let metrics = tracing_subscriber::fmt::layer().event_format(Verbatim).with_writer(writer);
    tracing_subscriber::registry()
        .with(lines.with_filter(targets))
        .with(metrics.with_filter(verbatim))
}

/// From now on a panic is written to standard error without what may be a value.
pub fn keep_values_out_of_panics() {
    panic::set_hook(Box::new(|panic| {
        let line = of_panic(panic.payload(), panic.location());
        // Who closes standard error wants no error about it.
        drop(writeln!(stderr(), "{line}"));
    }));
}

/// What is written of a panic: where it was, and its message where that stands in the source so. One that was made
/// while the program ran may quote whatever the program had at hand, such as a task definition.
pub fn of_panic(message: &(dyn Any + Send), place: Option<&Location<'_>>) -> String {
    let place = place.map(|place| format!(" at {place}")).unwrap_or_default();
    let message = message.downcast_ref::<&'static str>().map(|message| format!(": {message}"));
    format!("panicked{place}{}", message.unwrap_or_default())
}

/// Writes the field `line` and nothing else.
struct Verbatim;

impl<S, N> FormatEvent<S, N> for Verbatim
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> Result {
        let mut line = Line { writer, written: Ok(()) };
        event.record(&mut line);
        line.written
    }
}

struct Line<'a> {
    writer: Writer<'a>,
    written: Result,
}

impl Visit for Line<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "line" {
            self.written = writeln!(self.writer, "{value}");
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn Debug) {}
}
