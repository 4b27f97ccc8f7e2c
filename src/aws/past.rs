//! What the function itself has measured of its workers, for a terminal that was not there.

use std::ops::Range;

use jiff::Timestamp;

use super::ReadCloud;
use super::measured::{Measured, Metric};
use super::oldest::AGE;
use decision::snapshot::CallError;

/// What was measured of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfWorker {
    /// Messages that wait.
    Visible,
    /// Messages that were received and not deleted yet.
    InFlight,
    /// Worker containers that run.
    Running,
    /// Worker containers that are on their way.
    Starting,
    /// Worker containers that were launched.
    Launched,
    /// The age of the oldest message, in seconds.
    Oldest,
}

impl OfWorker {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Visible,
        Self::InFlight,
        Self::Running,
        Self::Starting,
        Self::Launched,
        Self::Oldest,
    ];
}

/// A worker, and where its messages come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastWorker {
    /// Its name.
    pub worker: String,
    /// Its queue's name.
    pub queue: String,
}

/// One metric of one worker.
#[derive(Clone, Debug, PartialEq)]
pub struct PastSeries {
    /// Whose it is.
    pub worker: String,
    /// What was measured.
    pub of: OfWorker,
    /// A point a minute, the newest first.
    pub points: Vec<Measured>,
}

impl ReadCloud {
    /// What a scaler's ticks have measured within a time, and the ages that SQS has.
    ///
    /// # Errors
    /// When CloudWatch may not be read.
    pub async fn past(
        &self,
        scaler: &str,
        workers: &[PastWorker],
        within: &Range<Timestamp>,
    ) -> Result<Vec<PastSeries>, CallError> {
        let each = || workers.iter().flat_map(|it| OfWorker::ALL.map(|of| (it, of)));
        let metrics: Vec<_> = each().map(|(it, of)| metric(scaler, it, of)).collect();
        let points = self.measured(&metrics, within).await?;
        let series = each().zip(points);
        let series =
            series.map(|((it, of), points)| PastSeries { worker: it.worker.clone(), of, points });
        Ok(series.collect())
    }
}

/// As `report/metrics.rs` names them.
fn metric<'a>(scaler: &'a str, of: &'a PastWorker, what: OfWorker) -> Metric<'a> {
    let (name, stat) = match what {
        OfWorker::Visible => ("QueueVisible", "Maximum"),
        OfWorker::InFlight => ("QueueInFlight", "Maximum"),
        OfWorker::Running => ("ContainersRunning", "Maximum"),
        OfWorker::Starting => ("ContainersStarting", "Maximum"),
        OfWorker::Launched => ("ContainersLaunched", "Sum"),
        OfWorker::Oldest => return AGE.of(&of.queue),
    };
    let dimensions = vec![("Scaler", scaler), ("Worker", of.worker.as_str())];
    Metric { namespace: "EcsQueueScaler", name, stat, dimensions }
}
