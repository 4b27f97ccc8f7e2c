//! The log: one line for each worker that is not quiet, one for the tick, and those of the metrics.

use super::{InstanceReport, Origin, Outcome, Report, Totals, WorkerReport, word};
use crate::log::VERBATIM;

impl Report {
    /// One line a worker and one for the tick, and the metrics in lines of their own.
    pub fn log(&self) {
        for line in self.metrics() {
            tracing::info!(target: VERBATIM, line);
        }
        let origin = Origin { tick: &self.tick, request_id: &self.request_id };
        let Origin { tick, request_id } = origin;
        // Of one that is not busy a line would say only that, every minute.
        let busy = self.workers.iter().filter(|worker| worker.is_busy());
        busy.for_each(|worker| worker.log(origin));
        for InstanceReport { cluster, instance, trouble, why, .. } in
            self.instances.iter().flatten()
        {
            let (cluster, instance) = (cluster.as_str(), instance.as_str());
            tracing::warn!(tick, request_id, cluster, instance, trouble, "{why}");
        }
        self.draining.iter().for_each(|hook| hook.log(origin));
        for unowned in &self.unowned {
            let (worker, cluster) = (unowned.worker.as_str(), unowned.cluster.as_str());
            tracing::warn!(
                tick,
                request_id,
                worker.name = worker,
                cluster,
                tasks.unowned = unowned.tasks.0,
                "{unowned}"
            );
        }
        if !self.config.warnings.is_empty() {
            let (source, warnings) = (&self.config.source, self.config.warnings.join("; "));
            tracing::warn!(tick, request_id, config.source = source, "configuration: {warnings}");
        }
        let Totals { workers, launched_tasks, launched_containers, .. } = self.totals;
        tracing::info!(
            tick,
            request_id,
            scaler.name = self.name.as_str(),
            version = self.version,
            dry_run = self.dry_run,
            workers,
            tasks.launched = launched_tasks.0,
            containers.launched = launched_containers.0,
            workers.failed = self.totals.failed_workers,
            api_calls = self.totals.api_calls,
            api_calls.throttled = self.totals.throttles,
            duration_ms = self.totals.milliseconds,
            config.source = self.config.source,
            config.version = self.config.version,
            config.error = self.config.failure(),
            "tick done: {launched_tasks} tasks with {launched_containers} containers started"
        );
    }
}

impl WorkerReport {
    /// Its line.
    fn log(&self, Origin { tick, request_id }: Origin<'_>) {
        // What was not read or did not happen has no field: it must not look like zero.
        let Self { depth, alive, .. } = self;
        let facts = self.facts.as_ref().map(|facts| facts.line());
        let why = self.decision.as_ref().map(|decision| decision.why.as_str());
        let joined = |texts: &[String]| (!texts.is_empty()).then(|| texts.join("; "));
        let (errors, warnings) = (joined(&self.errors), joined(&self.warnings));
        let words: Vec<_> = self.waits_for.iter().map(|word| word.word()).collect();
        let waits_for = (!words.is_empty()).then(|| words.join(", "));
        let failures: Vec<_> = self.failures.iter().map(ToString::to_string).collect();
        let short = self.placement.iter().flat_map(|placement| &placement.short);
        let short: Vec<_> = short.map(ToString::to_string).collect();
        let (failures, short, outcome) = (joined(&failures), joined(&short), word(&self.outcome));
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    tick,
                    request_id,
                    worker.name = self.worker.as_str(),
                    outcome,
                    queue.visible = depth.map(|depth| depth.visible.0),
                    queue.in_flight = depth.map(|depth| depth.in_flight.0),
                    queue.delayed = depth.map(|depth| depth.delayed.0),
                    tasks.alive = alive.map(|alive| alive.tasks.0),
                    containers.alive = alive.map(|alive| alive.containers.0),
                    containers.running = alive.map(|alive| alive.running.0),
                    containers.idle = alive.map(|alive| alive.idle.0),
                    tasks.launched = self.launched.iter().map(|l| l.tasks.len()).sum::<usize>(),
                    containers.deferred = self.deferred.0,
                    tasks.stuck = self.stuck.len(),
                    tasks.outlived = Some(self.outlived.len()).filter(|tasks| *tasks != 0),
                    breaker = self.breaker.as_deref(),
                    paused = self.paused.as_ref().map(ToString::to_string),
                    waits_for = waits_for.as_deref(),
                    plan.reason = why,
                    facts = facts.as_deref(),
                    placement.short = short.as_deref(),
                    failures = failures.as_deref(),
                    warnings = warnings.as_deref(),
                    error = errors.as_deref(),
                    "worker {}: {outcome}",
                    self.worker
                )
            };
        }
        match self.outcome {
            _ if self.has_failed() => line!(error),
            Outcome::Partial | Outcome::Deferred => line!(warn),
            _ if self.breaker.is_some() || !self.stuck.is_empty() => line!(warn),
            _ if !self.warnings.is_empty() => line!(warn),
            _ => line!(info),
        }
    }
}
