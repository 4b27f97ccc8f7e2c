//! The second try within a tick: of what ECS refused for a reason that may be gone.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use crate::act::{Attempt, Executor, GroupAttempt};
use crate::observe::{read_definitions, with_fresh_instances};
use decision::config::{Config, Worker};
use decision::decide::{Displaced, place_again, renew};
use decision::outcome::WorkerOutcome;
use decision::plan::{Action, LaunchPlan, Plan, WorkerPlan};
use decision::snapshot::{ReadError, Snapshot};

/// All second tries of a tick. A panic in one must not lose what the first ones came to.
pub(super) async fn try_again(
    executor: &Executor<'_>,
    config: &Config,
    snapshot: &Snapshot,
    mut attempts: Vec<Attempt>,
) -> Vec<WorkerOutcome> {
    let tries = async {
        Box::pin(renew_stale(executor, config, &mut attempts)).await;
        Box::pin(place_displaced(executor, config, snapshot, &mut attempts)).await;
    };
    if AssertUnwindSafe(tries).catch_unwind().await.is_err() {
        let is_open = |attempt: &&mut Attempt| {
            !attempt.displaced().is_empty() || attempt.stale_plan().is_some()
        };
        for attempt in attempts.iter_mut().filter(is_open) {
            attempt.settle(None);
            attempt.report(ReadError::Panic);
        }
    }
    attempts.into_iter().map(Attempt::close).collect()
}

/// Somebody may have replaced a task definition since it was read. The calls that ECS refused are
/// made once again, on revisions of definitions read anew.
async fn renew_stale(executor: &Executor<'_>, config: &Config, attempts: &mut [Attempt]) {
    let stale: Vec<_> = config
        .workers
        .iter()
        .zip(attempts.iter_mut())
        .filter_map(|(worker, attempt)| Some((worker, attempt.stale_plan()?, attempt)))
        .collect();
    let names = stale.iter().map(|(worker, ..)| *worker);
    let definitions = read_definitions(&executor.cloud.read, names).await;
    let mut renewed = Vec::new();
    for (worker, plan, attempt) in stale {
        let definition = definitions.get(&worker.task_definition);
        match definition.map(|read| read.as_ref().map(|read| renew(worker, &plan, read))) {
            Some(Ok(Some(plan))) => renewed.push((plan, attempt)),
            Some(Err(error)) => attempt.settle(Some(error)),
            Some(Ok(None)) | None => attempt.settle(None),
        }
    }
    carry_out(executor, renewed, Attempt::replace_stale).await;
}

/// An instance may have changed since it was read. What it refused is placed once again, on the
/// instances as they are now and not on that one.
async fn place_displaced(
    executor: &Executor<'_>,
    config: &Config,
    snapshot: &Snapshot,
    attempts: &mut [Attempt],
) {
    let pairs = config.workers.iter().zip(&*attempts).enumerate();
    let displaced = pairs.filter_map(|(index, (w, attempt))| Some((index, displaced(w, attempt)?)));
    let (indices, displaced): (Vec<_>, Vec<_>) = displaced.unzip();
    if displaced.is_empty() {
        return;
    }
    let mut fresh = snapshot.clone();
    for attempt in &*attempts {
        let (Some(cluster), worker) = (attempt.plan.cluster(), &attempt.plan.worker) else {
            continue;
        };
        for GroupAttempt { done, .. } in &attempt.groups {
            let presumed = done.presumed(worker, snapshot);
            fresh.add_started(cluster, done.tasks(worker, snapshot), presumed);
        }
    }
    let workers = displaced.iter().map(|displaced| displaced.worker);
    let fresh = with_fresh_instances(&executor.cloud.read, fresh, workers).await;
    let placed = place_again(&displaced, &fresh);
    let mut placed: BTreeMap<_, _> = indices.into_iter().zip(placed).collect();
    let mut again = Vec::new();
    for (index, attempt) in attempts.iter_mut().enumerate() {
        match placed.remove(&index) {
            Some(Ok(launch)) => again.push((launch, attempt)),
            Some(Err(error)) => attempt.report(error),
            None => {}
        }
    }
    carry_out(executor, again, Attempt::replace_displaced).await;
}

fn displaced<'a>(worker: &'a Worker, attempt: &'a Attempt) -> Option<Displaced<'a>> {
    let Action::Launch(launch) = &attempt.plan.action else { return None };
    let groups = attempt.displaced();
    (!groups.is_empty()).then(|| Displaced {
        worker,
        launch,
        groups,
        refused: attempt.groups.iter().flat_map(|group| group.done.refused_by.clone()).collect(),
        has_tick: attempt.groups.iter().any(|group| !group.done.started.is_empty()),
    })
}

async fn carry_out(
    executor: &Executor<'_>,
    again: Vec<(LaunchPlan, &mut Attempt)>,
    replace: impl Fn(&mut Attempt, Attempt),
) {
    let again = again.into_iter().map(|(launch, attempt)| {
        let action = Action::Launch(Box::new(launch));
        (WorkerPlan { action, ..attempt.plan.clone() }, attempt)
    });
    let (workers, attempts): (Vec<_>, Vec<_>) = again.unzip();
    let order = (0..workers.len()).collect();
    let plan = Plan { workers, order, faults: None, hooks: Vec::new() };
    for (attempt, mut again) in attempts.into_iter().zip(executor.act(plan).await) {
        again.settle(None);
        replace(attempt, again);
    }
}
