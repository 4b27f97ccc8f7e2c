//! The second try within a tick: of what ECS refused for a reason that may be gone.

use crate::act::{Acted, act};
use crate::aws::Aws;
use crate::config::Config;
use crate::decide::{Displaced, place_again, renew};
use crate::observe::{read_definitions, with_fresh_instances};
use crate::plan::{Action, LaunchPlan, Plan, WorkerPlan};
use crate::snapshot::Snapshot;

/// Somebody may have replaced a task definition since it was read. The calls that ECS refused are
/// made once again, on revisions of definitions read anew.
pub(super) async fn renew_stale(aws: &Aws, config: &Config, acted: &mut [Acted]) {
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
pub(super) async fn place_displaced(
    aws: &Aws,
    (config, snapshot): (&Config, &Snapshot),
    acted: &mut [Acted],
) {
    if acted.iter().all(|acted| acted.displaced_plan().is_none()) {
        return;
    }
    let mut fresh = snapshot.clone();
    for acted in acted.iter() {
        fresh.add_started(acted.cluster(), acted.tasks(snapshot));
    }
    let displaced = config.workers.iter().zip(acted.iter_mut()).filter_map(|(worker, acted)| {
        let (launch, charge) = acted.displaced_plan()?;
        let refused = acted.groups.iter().flat_map(|group| group.refused_by.clone()).collect();
        Some((Displaced { worker, launch, refused, charge }, acted))
    });
    let (mut displaced, acted): (Vec<_>, Vec<_>) = displaced.unzip();
    let workers = displaced.iter().map(|displaced| displaced.worker);
    let fresh = with_fresh_instances(&aws.read, fresh, workers).await;
    let placed = place_again(&mut displaced, &fresh);
    let mut again = Vec::new();
    for ((displaced, placed), acted) in displaced.into_iter().zip(placed).zip(acted) {
        match placed {
            Ok(()) => again.push((displaced.launch, acted)),
            Err(error) => acted.tell(error),
        }
    }
    carry_out(aws, again, Acted::replace_displaced).await;
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
    let plan = Plan { workers, order, troubles: None };
    for (acted, mut again) in acted.into_iter().zip(act(aws, plan).await) {
        again.settle(None);
        replace(acted, again);
    }
}
