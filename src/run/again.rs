//! The second try within a tick: of what ECS refused for a reason that may be gone.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

use crate::act::{Acted, act};
use crate::aws::Aws;
use crate::observe::{read_definitions, with_fresh_instances};
use decision::config::{Config, Worker};
use decision::decide::{Displaced, place_again, renew};
use decision::plan::{Action, LaunchPlan, Plan, WorkerPlan};
use decision::snapshot::{ReadError, Snapshot};

/// All second tries of a tick. A panic in one must not lose what the first ones came to.
pub(super) async fn try_again(aws: &Aws, of_tick: (&Config, &Snapshot), acted: &mut [Acted]) {
    let tries = async {
        Box::pin(renew_stale(aws, of_tick.0, acted)).await;
        Box::pin(place_displaced(aws, of_tick, acted)).await;
    };
    if AssertUnwindSafe(tries).catch_unwind().await.is_err() {
        let open =
            |acted: &&mut Acted| !acted.displaced().is_empty() || acted.stale_plan().is_some();
        for acted in acted.iter_mut().filter(open) {
            acted.settle(None);
            acted.tell(ReadError::Panic);
        }
    }
}

/// Somebody may have replaced a task definition since it was read. The calls that ECS refused are
/// made once again, on revisions of definitions read anew.
async fn renew_stale(aws: &Aws, config: &Config, acted: &mut [Acted]) {
    let stale: Vec<_> = config
        .workers
        .iter()
        .zip(acted.iter_mut())
        .filter_map(|(worker, acted)| Some((worker, acted.stale_plan()?, acted)))
        .collect();
    let names = stale.iter().map(|(worker, ..)| *worker);
    let definitions = read_definitions(&aws.read, names).await;
    let mut renewed = Vec::new();
    for (worker, plan, acted) in stale {
        let definition = definitions.get(&worker.task_definition);
        match definition.map(|read| read.as_ref().map(|read| renew(worker, &plan, read))) {
            Some(Ok(Some(plan))) => renewed.push((plan, acted)),
            Some(Err(error)) => acted.settle(Some(error)),
            Some(Ok(None)) | None => acted.settle(None),
        }
    }
    carry_out(aws, renewed, Acted::replace_stale).await;
}

/// An instance may have changed since it was read. What it refused is placed once again, on the
/// instances as they are now and not on that one.
async fn place_displaced(aws: &Aws, (config, snapshot): (&Config, &Snapshot), acted: &mut [Acted]) {
    let pairs = config.workers.iter().zip(&*acted).enumerate();
    let displaced = pairs.filter_map(|(index, (w, acted))| Some((index, displaced(w, acted)?)));
    let (indices, displaced): (Vec<_>, Vec<_>) = displaced.unzip();
    if displaced.is_empty() {
        return;
    }
    let mut fresh = snapshot.clone();
    for acted in &*acted {
        fresh.add_started(acted.cluster(), acted.tasks(snapshot));
    }
    let workers = displaced.iter().map(|displaced| displaced.worker);
    let fresh = with_fresh_instances(&aws.read, fresh, workers).await;
    let placed = place_again(&displaced, &fresh);
    let mut placed: BTreeMap<_, _> = indices.into_iter().zip(placed).collect();
    let mut again = Vec::new();
    for (index, acted) in acted.iter_mut().enumerate() {
        match placed.remove(&index) {
            Some(Ok(launch)) => again.push((launch, acted)),
            Some(Err(error)) => acted.tell(error),
            None => {}
        }
    }
    carry_out(aws, again, Acted::replace_displaced).await;
}

fn displaced<'a>(worker: &'a Worker, acted: &'a Acted) -> Option<Displaced<'a>> {
    let Action::Launch(launch) = &acted.plan.action else { return None };
    let sizes = acted.displaced();
    (!sizes.is_empty()).then(|| Displaced {
        worker,
        launch,
        sizes,
        refused: acted.groups.iter().flat_map(|group| group.refused_by.clone()).collect(),
        has_tick: acted.groups.iter().any(|group| !group.started.is_empty()),
    })
}

async fn carry_out(
    aws: &Aws,
    again: Vec<(LaunchPlan, &mut Acted)>,
    replace: impl Fn(&mut Acted, Acted),
) {
    let again = again.into_iter().map(|(launch, acted)| {
        let action = Action::Launch(Box::new(launch));
        (WorkerPlan { action, ..acted.plan.clone() }, acted)
    });
    let (workers, acted): (Vec<_>, Vec<_>) = again.unzip();
    let order = (0..workers.len()).collect();
    let plan = Plan { workers, order, troubles: None, hooks: Vec::new() };
    for (acted, mut again) in acted.into_iter().zip(act(aws, plan).await) {
        again.settle(None);
        replace(acted, again);
    }
}
