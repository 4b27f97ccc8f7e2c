//! Carries out what is planned for instances that are about to go away, and answers the lifecycle hooks
//! that hold them. Makes no choice of policy.
//!
//! Everything in here can be done again: an event may come twice, and a tick may repeat another's answer.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::join_all;

use crate::aws::{Answered, Aws, Drained};
use decision::definition::Tag;
use decision::plan::{
    DrainPlan, DrainStep, Emptying, HookAnswer, HookOwner, HookPlan, Leaving, Reply, StopPlan,
    TaskStep,
};
use decision::snapshot::{CallError, ReadError};
use decision::units::{InstanceArn, TaskArn};

/// What came of the first half of a notice.
#[derive(Clone, Debug, PartialEq)]
pub struct DrainOutcome {
    /// The plan that was carried out.
    pub plan: DrainPlan,
    /// The calls that were made, by what they were about.
    pub calls: BTreeMap<InstanceArn, DrainCalls>,
}

/// The calls about one container instance, as far as they were made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DrainCalls {
    /// What ECS made of the wish to drain it.
    pub drained: Option<Result<Drained, CallError>>,
    /// Whether it carries the tags for the ticks.
    pub marked: Option<Result<(), CallError>>,
}

/// What came of the second half of a notice.
#[derive(Clone, Debug, PartialEq)]
pub struct StopOutcome {
    /// The plan that was carried out.
    pub plan: StopPlan,
    /// The calls that were made, by what they were about.
    pub calls: BTreeMap<TaskArn, Result<(), CallError>>,
}

/// What came of a tick's plan for a hook.
#[derive(Clone, Debug, PartialEq)]
pub struct AnswerOutcome {
    /// The plan that was carried out.
    pub plan: HookPlan,
    /// What Auto Scaling said, if it was asked.
    pub answered: Option<Result<Answered, ReadError>>,
    /// Whether its tag says that nobody has to look at it any more, where that is so.
    pub settled: Option<Result<(), CallError>>,
}

impl DrainOutcome {
    /// A plan that was not carried out.
    pub fn not(plan: DrainPlan) -> Self {
        Self { plan, calls: BTreeMap::new() }
    }

    /// The container instances that are there still: tasks may stand on them.
    pub fn there(&self) -> impl Iterator<Item = &Leaving> {
        self.plan.instances.iter().filter(|leaving| {
            let calls = self.calls.get(&leaving.instance);
            leaving.step != DrainStep::Leaves && !calls.is_some_and(DrainCalls::is_gone)
        })
    }
}

impl DrainCalls {
    fn is_gone(&self) -> bool {
        matches!(self.drained, Some(Ok(Drained::Gone(_))))
    }
}

impl StopOutcome {
    /// A plan that was not carried out.
    pub fn not(plan: StopPlan) -> Self {
        Self { plan, calls: BTreeMap::new() }
    }
}

impl AnswerOutcome {
    /// A plan that was not carried out.
    pub fn not(plan: HookPlan) -> Self {
        Self { plan, answered: None, settled: None }
    }
}

/// Drains the container instances of a machine, and marks them for the ticks.
pub async fn drain(cloud: &Aws, plan: DrainPlan) -> DrainOutcome {
    let tags = match &plan.hook {
        Some(HookOwner::Ours { tags: Ok(tags), .. }) => Some(tags.as_slice()),
        _ => None,
    };
    let calls = join_all(plan.instances.iter().map(async |leaving| {
        let calls = Box::pin(drain_one(cloud, leaving, tags)).await;
        (leaving.instance.clone(), calls)
    }));
    let calls = calls.await.into_iter().collect();
    DrainOutcome { plan, calls }
}

async fn drain_one(cloud: &Aws, leaving: &Leaving, tags: Option<&[Tag]>) -> DrainCalls {
    let Leaving { cluster, instance, status: _, step } = leaving;
    let mut calls = DrainCalls::default();
    match step {
        DrainStep::Leaves => return calls,
        DrainStep::Drain => calls.drained = Some(cloud.write.drain(cluster, instance).await),
        DrainStep::IsDraining | DrainStep::NotYet => {}
    }
    if let Some(tags) = tags.filter(|_| !calls.is_gone()) {
        calls.marked = Some(cloud.write.tag(instance, tags).await);
    }
    calls
}

/// Stops the tasks that are planned to be, each for itself.
pub async fn stop(cloud: &Aws, plan: StopPlan) -> StopOutcome {
    let calls = join_all(plan.instances.iter().map(async |emptying| {
        let Emptying { cluster, instance: _, tasks } = emptying;
        let stopped = tasks.iter().flatten().filter(|task| task.step == TaskStep::Stop);
        join_all(stopped.map(async |task| {
            let stopped = cloud.write.stop(cluster, &task.arn, &plan.reason).await;
            (task.arn.clone(), stopped)
        }))
        .await
    }));
    let calls = calls.await.into_iter().flatten().collect();
    StopOutcome { plan, calls }
}

/// Answers the hooks of a tick, each for itself: a panic must not end what is launched beside it.
pub async fn answer(cloud: &Aws, plans: Vec<HookPlan>) -> Vec<AnswerOutcome> {
    join_all(plans.into_iter().map(async |plan| {
        let acted = AssertUnwindSafe(Box::pin(answer_one(cloud, &plan))).catch_unwind().await;
        acted.unwrap_or_else(|_| AnswerOutcome {
            answered: Some(Err(ReadError::Panic)),
            ..AnswerOutcome::not(plan)
        })
    }))
    .await
}

async fn answer_one(cloud: &Aws, plan: &HookPlan) -> AnswerOutcome {
    let not = AnswerOutcome::not(plan.clone());
    let HookPlan::Answer(HookAnswer { instance, ec2, hook, reply, settled, .. }) = plan else {
        return not;
    };
    let answered = match reply {
        Reply::Hold(_) => cloud.write.heartbeat(hook, ec2).await,
        Reply::LetGo => cloud.write.complete(hook, ec2).await,
    };
    let is_over = match &answered {
        Ok(Answered::Done) => *reply == Reply::LetGo,
        Ok(Answered::Over(_)) => true,
        Err(_) => false,
    };
    let settled = if is_over {
        Some(cloud.write.tag(instance, std::slice::from_ref(settled)).await)
    } else {
        None
    };
    AnswerOutcome { answered: Some(answered.map_err(ReadError::from)), settled, ..not }
}
