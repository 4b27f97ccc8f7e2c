//! What was before somebody looked, as the function has measured it.

use std::collections::BTreeMap;
use std::time::Duration;

use decision::snapshot::CallError;
use jiff::Timestamp;

use super::{Past, Point};
use crate::aws::{OfWorker, PastSeries, PastWorker, ReadCloud};
use crate::cli::deployment::Deployment;
use crate::cli::top::MICRO_DOLLARS_A_METRIC;
use crate::run::Invocation;
use crate::source::SourceError;

const MINUTE: Duration = Duration::from_mins(1);

/// What is to be read of it.
#[derive(Clone, Debug)]
pub struct ToRead {
    scaler: String,
    workers: Vec<PastWorker>,
    from: Timestamp,
    to: Timestamp,
}

impl ToRead {
    /// The workers of a deployment, for so long before now.
    ///
    /// # Errors
    /// Where there is no configuration to go by.
    pub async fn find(
        deployment: &Deployment,
        cloud: &ReadCloud,
        span: Duration,
        invocation: &Invocation,
    ) -> Result<Self, SourceError> {
        let scaler = &deployment.scaler;
        let in_force = scaler.config.current(cloud, invocation.now).await?;
        let workers = in_force.config.workers.iter().map(|worker| PastWorker {
            worker: worker.name.to_string(),
            queue: worker.queue.name().to_owned(),
        });
        let whole = |at: Timestamp| {
            Timestamp::from_second(at.as_second().div_euclid(60) * 60).unwrap_or(at)
        };
        let to = whole(invocation.now);
        let from = whole(to.checked_sub(span).unwrap_or(to));
        Ok(Self { scaler: scaler.name.to_string(), workers: workers.collect(), from, to })
    }

    /// Metrics that are read.
    pub fn metrics(&self) -> u64 {
        let metrics = self.workers.len().saturating_mul(OfWorker::ALL.len());
        u64::try_from(metrics).unwrap_or(u64::MAX)
    }

    /// What that costs, in millionths of a dollar.
    pub fn micro_dollars(&self) -> u64 {
        self.metrics().saturating_mul(MICRO_DOLLARS_A_METRIC)
    }

    /// Reads it. A minute of which nothing was measured is a gap.
    ///
    /// # Errors
    /// When CloudWatch may not be read.
    pub async fn read(&self, cloud: &ReadCloud) -> Result<Past, CallError> {
        let all = cloud.past(&self.scaler, &self.workers, &(self.from..self.to)).await?;
        Ok(self.past(&all))
    }

    fn past(&self, all: &[PastSeries]) -> Past {
        let mut times = Vec::new();
        let mut at = self.from;
        while at < self.to {
            times.push(at);
            let Ok(next) = at.checked_add(MINUTE) else { break };
            at = next;
        }
        let mut workers = BTreeMap::<_, Vec<Point>>::new();
        for PastSeries { worker, of, points } in all {
            let minutes = workers
                .entry(worker.clone())
                .or_insert_with(|| vec![Point::default(); times.len()]);
            for point in points {
                let since = point.at.duration_since(self.from).as_secs().div_euclid(60);
                let minute = usize::try_from(since).ok().and_then(|index| minutes.get_mut(index));
                if let Some(minute) = minute {
                    *minute.measured(*of) = Some(whole(point.value));
                }
            }
        }
        Past { times, workers }
    }
}

impl Point {
    fn measured(&mut self, of: OfWorker) -> &mut Option<u32> {
        match of {
            OfWorker::Visible => &mut self.waiting,
            OfWorker::InFlight => &mut self.in_flight,
            OfWorker::Running => &mut self.running,
            OfWorker::Starting => &mut self.starting,
            OfWorker::Launched => &mut self.launched,
            OfWorker::Oldest => &mut self.oldest,
        }
    }
}

/// What is counted is whole.
fn whole(value: f64) -> u32 {
    let value = Duration::try_from_secs_f64(value).map_or(u64::MAX, |value| value.as_secs());
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Measured;

    #[test]
    fn each_minute_has_what_was_measured_of_it_and_others_are_gaps() {
        let second = |second| Timestamp::from_second(second).unwrap();
        let asked = ToRead {
            scaler: "s".to_owned(),
            workers: vec![PastWorker { worker: "a".to_owned(), queue: "q".to_owned() }],
            from: second(600),
            to: second(840),
        };
        assert_eq!((asked.metrics(), asked.micro_dollars()), (6, 60));
        let points = |points: &[(i64, f64)]| {
            let points =
                points.iter().map(|(at, value)| Measured { at: second(*at), value: *value });
            points.collect::<Vec<_>>()
        };
        let series =
            |of, it: &[(i64, f64)]| PastSeries { worker: "a".to_owned(), of, points: points(it) };
        let all = [
            series(OfWorker::Visible, &[(780, 7.0), (600, 5.0), (540, 9.0), (840, 9.0)]),
            series(OfWorker::Launched, &[(660, -1.0), (720, 1e12)]),
        ];
        let past = asked.past(&all);
        assert_eq!(past.times, [600, 660, 720, 780].map(second));
        let minutes = past.workers.get("a").unwrap();
        let waiting: Vec<_> = minutes.iter().map(|point| point.waiting).collect();
        assert_eq!(waiting, [Some(5), None, None, Some(7)]);
        assert_eq!(minutes.get(2).unwrap().launched, Some(u32::MAX));
    }
}
