//! What a plan says to a person.

use std::fmt;

use super::{
    Bound, Decision, Deferred, Eager, HeldBack, Idle, Late, LaunchPlan, LeftOut, Price, Revision,
    Several, Target, TaskBound, Tripped, Unregistered,
};
use crate::config::{Policy, Problem};
use crate::limits;
use crate::units::{Containers, Messages, Tasks};

impl fmt::Display for Revision {
    /// The revision, or the family of one that act is to find or register.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registered(revision) => revision.fmt(f),
            Self::Derived(variant, _) => variant.family.fmt(f),
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { visible, in_flight, held, delayed, policy, .. } = self;
        write!(f, "{visible} visible + {held}")?;
        if held != in_flight {
            write!(f, " of {in_flight}")?;
        }
        write!(f, " in flight")?;
        if Messages::ZERO < *delayed {
            write!(f, " + {delayed} delayed")?;
        }
        write!(f, " = {}; ", self.backlog())?;
        match policy {
            Policy::MessagesPerContainer(messages) => write!(f, "/ {messages} per container")?,
            Policy::StepsOfTasks(_) | Policy::StepsOfContainers(_) => write!(f, "by steps")?,
            Policy::EmptyWithin { target, per_message } => {
                let (work, time) = (per_message.as_secs_f64(), target.as_secs());
                write!(f, "x {work} s per message / {time} s to empty it")?;
            }
        }
        self.write_launch(f)
    }
}

impl Decision {
    /// The second half of the sum: from the target to the launch.
    fn write_launch(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, alive, bounds, launch, launch_tasks, .. } = self;
        match target {
            Target::Containers(n) => {
                write!(f, " = {}; - {} alive", counted(n.0, "container"), alive.capacity())?;
            }
            Target::Tasks(n) => {
                let all = counted(self.target_containers().0, "container");
                let tasks = counted(n.0, "task");
                write!(f, " = {tasks} of {} = {all}; - {} alive", self.each, alive.capacity())?;
            }
        }
        let stuck = (Tasks::ZERO < alive.stuck_tasks)
            .then(|| format!("{} stuck", counted(alive.stuck_tasks.0, "task")));
        let idle = (Containers::ZERO < alive.idle)
            .then(|| format!("{} idle", counted(alive.idle.0, "container")));
        let apart: Vec<_> = stuck.into_iter().chain(idle).collect();
        if !apart.is_empty() {
            write!(f, " ({})", apart.join(", "))?;
        }
        for bound in bounds {
            write!(f, "; {bound}")?;
        }
        write!(f, " = launch {launch}")?;
        match launch_tasks {
            Some(tasks) if Tasks::ZERO < *tasks => write!(f, " in {}", counted(tasks.0, "task")),
            _ => Ok(()),
        }
    }
}

fn counted(n: u32, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MinContainers { containers, window } => {
                write!(f, "minContainers asks for {containers}")?;
                window.as_ref().map_or(Ok(()), |window| write!(f, " ({window})"))
            }
            Self::MaxContainers(n) => write!(f, "maxContainers leaves room for {n}"),
            Self::WaitingMessages(n) => write!(f, "only {n} messages are left for new ones"),
            Self::MaxTasks(n) => write!(f, "maxTasks allows {n}"),
            Self::MaxLaunchPerTick(n) => write!(f, "maxLaunchPerTick allows {n}"),
            Self::Canary(n) => write!(f, "the circuit breaker is open and allows {n}"),
            Self::Progress { by, .. } => {
                write!(f, "what moved since the last launches allows {by}")
            }
            Self::Ahead(wait) => write!(
                f,
                "the last ones ended by themselves, and the next are started in {} s",
                wait.as_secs()
            ),
            Self::Registry(wait) => write!(
                f,
                "a registry has too many pulls, the next launch waits {} s",
                wait.as_secs()
            ),
        }
    }
}

impl fmt::Display for HeldBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByCredit(n) => n.fmt(f),
            Self::ToOne => write!(f, "none, but one is tried"),
            Self::UntilJudged(n) => {
                write!(f, "none until it shows what {} will do", counted(n.0, "new container"))
            }
            Self::For(wait) => write!(f, "none, but one is tried in {} s", wait.as_secs()),
        }
    }
}

impl fmt::Display for Eager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minimum => write!(
                f,
                "the containers of minContainers end by themselves while no message can be \
                 received; let them wait for messages for as long as it takes, or leave \
                 minContainers out"
            ),
            Self::Delayed => write!(
                f,
                "the containers that are started for delayed messages end by themselves before \
                 these can be received; let them wait for longer than the longest delay, or leave \
                 countDelayed out"
            ),
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rung, cause, wait } = self;
        let wait = wait.as_secs();
        write!(
            f,
            "{rung} refused tasks after it had accepted them ({cause}), and is not asked for {wait} s"
        )
    }
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reported after {} had accepted it", self.on)
    }
}

impl fmt::Display for LaunchPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.decision)?;
        let tasks = tasks_in_words(self);
        if !tasks.is_empty() {
            write!(f, "; {tasks}")?;
        }
        if let Some(deferred) = &self.deferred {
            write!(f, "; {deferred}")?;
        }
        for left_out in &self.left_out {
            write!(f, "; {left_out}")?;
        }
        if let Some(placement) = self.placement.as_ref().filter(|placed| placed.is_short()) {
            write!(f, "; {placement}")?;
        }
        if let Some(several) = self.several {
            write!(f, "; {several}")?;
        }
        self.price.map_or(Ok(()), |price| write!(f, "; {price}"))
    }
}

/// Such as `7 tasks of 4 containers + 1 task of 2 containers`.
fn tasks_in_words(launch: &LaunchPlan) -> String {
    let sizes = launch
        .sizes()
        .into_iter()
        .map(|(n, tasks)| format!("{} of {}", counted(tasks.0, "task"), counted(n.0, "container")));
    sizes.collect::<Vec<_>>().join(" + ")
}

pub(super) fn in_short(launch: &LaunchPlan) -> String {
    let price = launch.price.map(|price| price.to_string());
    let parts =
        [Some(tasks_in_words(launch)), launch.deferred.as_ref().map(ToString::to_string), price];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hourly, region, singles } = self;
        write!(f, "about {hourly} an hour (Fargate On-Demand, {region}")?;
        match singles {
            Some(singles) => write!(f, "; {singles} in tasks of one container)"),
            None => write!(f, ")"),
        }
    }
}

impl fmt::Display for Several {
    /// A task of several is paid until its last worker ends, which no price list tells.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cheaper => write!(f, "several a task, as they cost at least a tenth less")?,
            Self::AtOnce(tasks) => write!(
                f,
                "several a task, as {tasks} tasks are more than this worker's share of the {} that \
                 Fargate starts at once",
                limits::FARGATE_AT_ONCE
            )?,
            Self::Bounded { tasks, most } => write!(
                f,
                "several a task, as {tasks} tasks are more than the {most} that may be started"
            )?,
            Self::Addresses => {
                write!(f, "several a task, as the subnets ran out of addresses for more tasks")?;
            }
        }
        write!(f, " (a task is paid until its last worker ends)")
    }
}

impl fmt::Display for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { containers, tasks, bound, per_task, obstacle } = self;
        write!(f, "{containers} wait for the next tick ({bound} {tasks} x {per_task} a task")?;
        match obstacle {
            Some(obstacle) => write!(f, ": {obstacle})"),
            None => write!(f, ")"),
        }
    }
}

impl fmt::Display for TaskBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MaxTasks => "maxTasks",
            Self::MaxTasksPerTick => "maxTasksPerTick leaves",
            Self::MaxTasksPerHour => "maxTasksPerHour leaves",
        })
    }
}

impl fmt::Display for Tripped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { failures, last } = self;
        write!(f, "{failures} tasks in a row ended without running well, the last one: {last}")
    }
}

impl fmt::Display for Unregistered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { family, newest, base } = self;
        let base = base.family_and_revision();
        match newest {
            Some(found) => {
                let found = found.family_and_revision();
                write!(f, "`{found}` is not derived from `{base}` as it is configured now")?;
            }
            None => write!(f, "family `{family}` has no ACTIVE revision")?,
        }
        write!(
            f,
            ", and registration is off: smaller tasks are started; run one tick with \
             registration: on where that is allowed, or take the size out of \
             packing.registeredSizes"
        )
    }
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "nothing waits"),
            Self::Answered(decision) => decision.fmt(f),
            Self::Superseded => {
                write!(f, "an earlier delivery of this tick or a later tick has started its tasks")
            }
            Self::Paused(pause) => pause.fmt(f),
        }
    }
}

pub(super) fn joined(problems: &[Problem]) -> String {
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    problems.join("; ")
}
