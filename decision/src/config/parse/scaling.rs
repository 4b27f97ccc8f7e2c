//! The `scaling` and `packing` of a worker.

use std::time::Duration;

use serde_json::Value;

use super::super::reader::{Fields, boolean, one_of, text, whole};
use super::super::{
    Breaker, Completion, Delayed, Minimum, Packing, Policy, ProgressBrake, Scaling, Strategy,
};
use super::minimum::read_minimum;
use super::{Defaults, MOST_CONTAINERS, Registration, duration, duration_of, seconds};
use crate::units::{Containers, CpuUnits, Messages, Tasks};

/// Ten, because ECS takes no more containers in a task definition, nor more tasks in one call.
/// Source: ECS service quotas, "Containers per task definition", "Tasks launched per run-task".
const TEN: u32 = 10;

/// The cap of a worker that names none.
const DEFAULT_MAX_CONTAINERS: Containers = Containers(100);

/// One `RunTask` call.
const DEFAULT_MAX_TASKS: Tasks = Tasks(TEN);

/// Longer than large images take, and than an Auto Scaling group takes to bring an instance.
const DEFAULT_STUCK_AFTER: Duration = Duration::from_mins(15);

/// Long enough for a worker that receives now and then, and short beside most backlogs.
const DEFAULT_IDLE_AFTER: Duration = Duration::from_mins(5);

/// The largest Fargate task.
const LARGEST_CPU: u32 = 32_768;

/// A few megabytes of shell, `wget` and `awk`, from a registry without pull limits.
const DEFAULT_WATCHER_IMAGE: &str = "public.ecr.aws/docker/library/busybox:1.37";

/// What of the packing the operator wrote himself, and did not leave to us.
pub(super) struct Chosen {
    strategy: Strategy,
    max_tasks: Option<Tasks>,
    max_containers_per_task: Option<Containers>,
}

pub(super) fn read_packing(worker: &mut Fields<'_>, defaults: &Defaults) -> (Packing, Chosen) {
    let mut packing = Packing {
        strategy: Strategy::Spread,
        max_containers_per_task: None,
        registered_sizes: None,
        max_tasks: DEFAULT_MAX_TASKS,
        max_task_cpu: CpuUnits(LARGEST_CPU),
        completion: Completion::All,
        watcher_image: defaults
            .watcher_image
            .clone()
            .unwrap_or_else(|| DEFAULT_WATCHER_IMAGE.to_owned()),
    };
    let mut max_tasks = None;
    if let Some(mut fields) = worker.object("packing") {
        let strategies = one_of(&[
            ("spread", Strategy::Spread),
            ("dense", Strategy::Dense),
            ("cheapest", Strategy::Cheapest),
        ]);
        let completions = one_of(&[("all", Completion::All), ("any", Completion::Any)]);
        packing.strategy = fields.optional("strategy", strategies).unwrap_or(packing.strategy);
        packing.completion =
            fields.optional("completion", completions).unwrap_or(packing.completion);
        packing.max_containers_per_task =
            fields.optional("maxContainersPerTask", per_task(packing.completion)).map(Containers);
        packing.registered_sizes =
            read_sizes(&mut fields, packing.completion, defaults.registration);
        max_tasks = fields.optional("maxTasks", whole(1..=MOST_CONTAINERS)).map(Tasks);
        let cpu = fields.optional("maxTaskCpu", whole(256..=LARGEST_CPU)).map(CpuUnits);
        packing.max_task_cpu = cpu.unwrap_or(packing.max_task_cpu);
        let image = fields.optional("watcherImage", text(255));
        packing.watcher_image = image.unwrap_or(packing.watcher_image);
        fields.finish();
    }
    if defaults.registration == Registration::Off {
        packing = packing.of_registered_sizes();
    }
    let max_containers_per_task = packing.max_containers_per_task;
    let chosen = Chosen { strategy: packing.strategy, max_tasks, max_containers_per_task };
    (packing, chosen)
}

fn read_sizes(
    packing: &mut Fields<'_>,
    completion: Completion,
    registration: Registration,
) -> Option<Vec<Containers>> {
    let key = "registeredSizes";
    let members = packing.array(key, 1..=10)?;
    if registration == Registration::On {
        packing
            .problem(key, "is for `registration: off`, at the top of the file, which is not set");
    }
    let sizes = members.iter().filter_map(|(path, value)| {
        packing.member_as(value, path, per_task(completion)).map(Containers)
    });
    Some(sizes.collect())
}

/// With `all`, one of the ten is the watcher.
fn per_task(completion: Completion) -> impl Fn(&Value) -> Result<u32, String> {
    let most = match completion {
        Completion::All => TEN - 1,
        Completion::Any => TEN,
    };
    move |value| {
        whole(1..=most)(value).map_err(|allowed| match completion {
            Completion::All => format!(
                "{allowed} (ECS takes ten containers a task, one is the watcher of \
                 completion: all)"
            ),
            Completion::Any => format!("{allowed} (ECS takes ten containers a task)"),
        })
    }
}

impl Packing {
    /// Where nothing may be registered, there are the base itself and the listed sizes.
    fn of_registered_sizes(mut self) -> Self {
        let sizes = self.registered_sizes.get_or_insert_default();
        let largest = sizes.iter().copied().max().unwrap_or(Containers(1));
        let most = self.max_containers_per_task.map_or(largest, |most| most.min(largest));
        self.max_containers_per_task = Some(most);
        self
    }

    /// Steps of tasks say themselves how many tasks there are, unless `maxTasks` does.
    pub(super) fn for_policy(self, scaling: Option<&Scaling>, chosen: &Chosen) -> Self {
        let steps = scaling.and_then(|scaling| match &scaling.policy {
            Policy::StepsOfTasks(steps) => steps.iter().map(|(_, tasks)| *tasks).max(),
            _ => None,
        });
        let max_tasks = chosen.max_tasks.or(steps).unwrap_or(self.max_tasks);
        Self { max_tasks, ..self }
    }
}

pub(super) fn read_scaling(worker: &mut Fields<'_>, packing: &Chosen) -> Option<Scaling> {
    if !worker.has("scaling") {
        worker
            .problem("scaling", "is missing; it needs messagesPerContainer, steps or drainWithin");
    }
    let mut fields = worker.object("scaling")?;
    let policy = read_policy(&mut fields, packing);
    let min = read_minimum(&mut fields);
    let max = fields.optional("maxContainers", whole(1..=MOST_CONTAINERS)).map(Containers);
    let max_launch =
        fields.optional("maxLaunchPerTick", whole(1..=MOST_CONTAINERS)).map(Containers);
    let in_flight = fields.optional("inFlightPerContainer", whole(1..=MOST_CONTAINERS));
    let count_delayed = fields.optional("countDelayed", boolean);
    let stuck_after = fields.optional("stuckAfter", duration_of(120..=86_400));
    let idle_after = fields.optional("idleAfter", idle_after);
    let breaker = fields.optional("circuitBreaker", boolean);
    let brake = fields.optional("progressBrake", boolean);
    let max_is_written = max.is_some();
    let most = min.as_ref().map(Minimum::most).unwrap_or_default();
    let max = max.or_else(|| policy.as_ref().map(|policy| default_max(policy, packing)));
    if let Some(max) = max.filter(|max| *max < most) {
        fields.problem("minContainers", format!("is {most}, more than maxContainers, {max}"));
    }
    fields.finish();
    Some(Scaling {
        policy: policy?,
        min_containers: min?,
        max_containers: max?,
        max_is_written,
        max_launch_per_tick: max_launch,
        in_flight_per_container: Messages(u64::from(in_flight.unwrap_or(1))),
        delayed: if count_delayed == Some(true) { Delayed::Counted } else { Delayed::Ignored },
        stuck_after: stuck_after.unwrap_or(DEFAULT_STUCK_AFTER),
        idle_after: idle_after.unwrap_or(Some(DEFAULT_IDLE_AFTER)),
        breaker: if breaker == Some(false) { Breaker::Off } else { Breaker::On },
        progress_brake: if brake == Some(false) { ProgressBrake::Off } else { ProgressBrake::On },
    })
}

/// A duration, or `off`.
fn idle_after(value: &Value) -> Result<Option<Duration>, String> {
    if value == "off" {
        return Ok(None);
    }
    let duration = duration_of(120..=86_400)(value).map(Some);
    duration.map_err(|allowed| format!("{allowed}, or `off`"))
}

/// A worker's cap where it names none: what its steps ask for at most, else a hundred.
fn default_max(policy: &Policy, packing: &Chosen) -> Containers {
    match policy {
        Policy::StepsOfContainers(steps) => {
            steps.iter().map(|(_, containers)| *containers).max().unwrap_or_default()
        }
        Policy::StepsOfTasks(steps) => {
            let tasks = steps.iter().map(|(_, tasks)| *tasks).max().unwrap_or_default();
            let per_task = match packing.strategy {
                Strategy::Spread => Containers(1),
                _ => packing.max_containers_per_task.unwrap_or(Containers(TEN)),
            };
            tasks.containers(per_task)
        }
        Policy::MessagesPerContainer(_) | Policy::DrainWithin { .. } => DEFAULT_MAX_CONTAINERS,
    }
}

fn read_policy(fields: &mut Fields<'_>, packing: &Chosen) -> Option<Policy> {
    let keys = ["messagesPerContainer", "steps", "drainWithin"];
    let given: Vec<_> = keys.into_iter().filter(|key| fields.has(key)).collect();
    match given.as_slice() {
        ["messagesPerContainer"] => {
            let messages = fields.optional("messagesPerContainer", whole(1..=1_000_000))?;
            Some(Policy::MessagesPerContainer(Messages(u64::from(messages))))
        }
        ["steps"] => read_steps(fields, packing),
        ["drainWithin"] => read_drain(fields),
        [] => {
            let message = "is missing; exactly one of messagesPerContainer, steps and drainWithin";
            fields.problem("messagesPerContainer", message);
            None
        }
        several => {
            let message = format!("give exactly one, not {} together", several.join(" and "));
            fields.problem("messagesPerContainer", message);
            None
        }
    }
}

fn read_drain(fields: &mut Fields<'_>) -> Option<Policy> {
    let mut drain = fields.object("drainWithin")?;
    let target = drain.required("target", duration);
    let per_message = drain.required("secondsPerMessage", seconds);
    drain.finish();
    Some(Policy::DrainWithin { target: target?, per_message: per_message? })
}

fn read_steps(fields: &mut Fields<'_>, packing: &Chosen) -> Option<Policy> {
    let members = fields.array("steps", 1..=100)?;
    let mut tasks = Vec::new();
    let mut containers = Vec::new();
    for (path, value) in &members {
        let Some(mut step) = fields.member(value, path) else { continue };
        let depth = step.required("depth", whole(1..=u32::MAX)).map(|d| Messages(u64::from(d)));
        let of_tasks = step.optional("tasks", whole(1..=MOST_CONTAINERS)).map(Tasks);
        let of_containers = step.optional("containers", whole(1..=MOST_CONTAINERS)).map(Containers);
        if step.has("tasks") == step.has("containers") {
            step.problem("tasks", "a step has either tasks or containers");
        }
        step.finish();
        tasks.extend(depth.zip(of_tasks));
        containers.extend(depth.zip(of_containers));
    }
    let depths = || tasks.iter().map(|(d, _)| *d).chain(containers.iter().map(|(d, _)| *d));
    if !depths().is_sorted_by(|a, b| a < b) {
        fields.problem("steps", "the depths must ascend");
    }
    if !tasks.is_empty() && !containers.is_empty() {
        fields.problem("steps", "some count tasks and some containers; use one of the two");
    }
    if !tasks.is_empty() && packing.strategy == Strategy::Cheapest {
        fields.problem(
            "steps",
            "steps of tasks fix how many tasks there are, which packing.strategy `cheapest` \
             chooses; give the steps in containers",
        );
    }
    match (tasks.is_empty(), containers.is_empty()) {
        (false, true) => Some(Policy::StepsOfTasks(tasks)),
        (true, false) => Some(Policy::StepsOfContainers(containers)),
        _ => None,
    }
}
