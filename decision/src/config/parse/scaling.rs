//! The `scaling` and `packing` of a worker.

use std::time::Duration;

use serde_json::Value;

use super::super::form::names::IMAGE;
use super::super::form::time::{Time, TimeOrOff};
use super::super::form::{Boolean, Form, OneOf, Whole, Wrong};
use super::super::reader::{Fields, ListOf};
use super::super::shape::about;
use super::super::{
    Breaker, Completion, Delayed, Minimum, Packing, Policy, ProgressBrake, Scaling, Strategy,
    Watcher,
};
use super::minimum::read_minimum;
use super::policy::read_policy;
use super::{Defaults, MOST_CONTAINERS, Registration};
use crate::document::Node;
use crate::fargate::TaskSize;
use crate::limits;
use crate::units::{Containers, CpuUnits, MebiBytes, Messages, Tasks};

/// With the watcher beside them, one less.
const PER_TASK: u32 = limits::CONTAINERS_PER_TASK.0;

/// The cap of a worker that names none.
const DEFAULT_MAX_CONTAINERS: Containers = Containers(100);

/// One `RunTask` call, where the strategy makes tasks large so as to start few.
const DEFAULT_MAX_TASKS: Tasks = limits::TASKS_PER_RUN_TASK;

/// Longer than large images take, and than an Auto Scaling group takes to bring an instance.
const DEFAULT_STUCK_AFTER: Duration = Duration::from_mins(15);

/// Long enough for a worker that receives now and then, and short beside most backlogs.
const DEFAULT_IDLE_AFTER: Duration = Duration::from_mins(5);

/// The largest Fargate task.
const LARGEST_CPU: u32 = 32_768;

/// In MiB.
const LARGEST_MEMORY: u32 = 249_856;

/// What of the packing the operator wrote himself, and did not leave to us.
pub(super) struct Chosen {
    strategy: Option<Strategy>,
    max_tasks: Option<Tasks>,
    max_containers_per_task: Option<Containers>,
}

const STRATEGIES: OneOf<Strategy> = OneOf(&[
    ("spread", Strategy::Spread),
    ("dense", Strategy::Dense),
    ("cheapest", Strategy::Cheapest),
]);

const COMPLETIONS: OneOf<Completion> = OneOf(&[("all", Completion::All), ("any", Completion::Any)]);

pub(super) fn read_packing(worker: &mut Fields<'_>, defaults: &Defaults) -> (Packing, Chosen) {
    let image = defaults.watcher_image.clone();
    let mut packing = Packing {
        strategy: Strategy::Cheapest,
        max_containers_per_task: None,
        registered_sizes: None,
        max_tasks: None,
        max_task_cpu: CpuUnits(LARGEST_CPU),
        completion: Completion::All,
        watcher: image.unwrap_or_else(|| Watcher::DEFAULT.to_owned()).into(),
        reserve: NOTHING,
        drop_port_mappings: false,
    };
    let mut chosen = Chosen { strategy: None, max_tasks: None, max_containers_per_task: None };
    if let Some(mut fields) = worker.object("packing", "how containers become tasks") {
        chosen.strategy = read_strategy(&mut fields);
        read_tasks(&mut fields, &mut packing);
        read_room(&mut fields, &mut packing);
        read_registered(&mut fields, &mut packing, defaults.registration);
        let what = about("tasks that one tick may start; more than ten go in several calls");
        let what = what.defaults_to(
            "what `steps` say; else none with `cheapest`, and 10 with the other strategies",
        );
        let what = what.tag("max-tasks");
        chosen.max_tasks = fields.optional("maxTasks", Whole(1..=MOST_CONTAINERS), what).map(Tasks);
        fields.finish();
    }
    if defaults.registration == Some(Registration::Off) {
        packing = packing.of_registered_sizes();
    }
    chosen.max_containers_per_task = packing.max_containers_per_task;
    (packing, chosen)
}

fn read_strategy(fields: &mut Fields<'_>) -> Option<Strategy> {
    let what = about(
        "`cheapest`: one container a task, unless several cost a tenth less a container and hour; \
         `spread`: as few a task as `maxTasks` allows; `dense`: as many as there may be",
    );
    let what = what.defaults_to("`cheapest`, and `spread` where `steps` count tasks");
    fields.optional("strategy", STRATEGIES, what.tag("strategy"))
}

const NOTHING: TaskSize = TaskSize { cpu: CpuUnits::ZERO, memory: MebiBytes::ZERO };

/// What clones take of a task and what they do not.
fn read_room(fields: &mut Fields<'_>, packing: &mut Packing) {
    let what = about("whether clones map no ports, where those of the definition are left over");
    let dropped = fields.optional("dropPortMappings", Boolean, what.defaults_to("`false`"));
    packing.drop_port_mappings = dropped.unwrap_or_default();
    let what = about("what others put into every task beside the definition, such as an agent");
    let Some(mut reserve) = fields.object("reserve", what.defaults_to("none")) else { return };
    let cpu = about("CPU units").defaults_to("`0`");
    let cpu = reserve.optional("cpu", Whole(0..=LARGEST_CPU), cpu);
    let memory = about("MiB").defaults_to("`0`");
    let memory = reserve.optional("memory", Whole(0..=LARGEST_MEMORY), memory);
    reserve.finish();
    packing.reserve = TaskSize {
        cpu: CpuUnits(cpu.unwrap_or_default()),
        memory: MebiBytes(memory.unwrap_or_default()),
    };
}

/// What tasks are like.
fn read_tasks(fields: &mut Fields<'_>, packing: &mut Packing) {
    let what = about("`all`: a task ends with its last worker container; `any`: with its first");
    let what = what.defaults_to("`all`").tag("completion");
    let completion = fields.optional("completion", COMPLETIONS, what);
    // Where it is wrong, a count that either allows is not refused.
    let most = if fields.has("completion") { Completion::Any } else { Completion::All };
    let per_task = PerTask(completion.unwrap_or(most));
    packing.completion = completion.unwrap_or(packing.completion);
    let what = about("the most containers in a task");
    let what = what.defaults_to("what ECS and Fargate allow").tag("max-containers-per-task");
    packing.max_containers_per_task =
        fields.optional("maxContainersPerTask", per_task, what).map(Containers);
    let what = about("the largest Fargate task to derive, in CPU units");
    let what = what.defaults_to("`32768`").tag("max-task-cpu");
    let cpu = fields.optional("maxTaskCpu", Whole(256..=LARGEST_CPU), what).map(CpuUnits);
    packing.max_task_cpu = cpu.unwrap_or(packing.max_task_cpu);
    let what = about(
        "a busybox image for the watcher of this worker's tasks; `worker`: its own, which has \
         `sh`, `wget`, `awk` and `timeout`",
    );
    let image = fields.optional("watcherImage", IMAGE, what.defaults_to("the file's"));
    packing.watcher = image.map_or_else(|| packing.watcher.clone(), Watcher::from);
}

fn read_registered(
    fields: &mut Fields<'_>,
    packing: &mut Packing,
    registration: Option<Registration>,
) {
    let key = "registeredSizes";
    let what = "with `registration: off`: the containers that a task may have beside one";
    let counts = ListOf { length: 1..=10, of: PerTask(packing.completion) };
    let counts = fields.list(key, &counts, about(what).defaults_to("none"));
    if registration == Some(Registration::On) && fields.has(key) {
        fields.problem(key, "is for `registration: off`, at the top of the file, which is not set");
    }
    packing.registered_sizes = counts.map(|counts| counts.into_iter().map(Containers).collect());
}

/// Containers in a task. With `all`, one of the ten is the watcher.
struct PerTask(Completion);

impl PerTask {
    fn range(&self) -> Whole {
        match self.0 {
            Completion::All => Whole(1..=PER_TASK - 1),
            Completion::Any => Whole(1..=PER_TASK),
        }
    }
}

impl Form for PerTask {
    type Value = u32;

    fn read(&self, node: &Node) -> Result<u32, Wrong> {
        self.range().read(node)
    }

    fn allowed(&self) -> String {
        let why = match self.0 {
            Completion::All => {
                "ECS takes ten containers a task, and with `completion: all` one is the watcher"
            }
            Completion::Any => "ECS takes ten containers a task",
        };
        format!("{} ({why})", self.range().allowed())
    }

    fn schema(&self) -> Value {
        Whole(1..=PER_TASK).schema()
    }
}

impl Chosen {
    /// The strategy where the operator names none: what tasks cost decides, unless the rule itself
    /// counts tasks.
    fn strategy_with(&self, policy: Option<&Policy>) -> Strategy {
        let counts_tasks = matches!(policy, Some(Policy::StepsOfTasks(_)));
        self.strategy.unwrap_or(if counts_tasks { Strategy::Spread } else { Strategy::Cheapest })
    }
}

impl Packing {
    /// Where nothing may be registered, there are the base itself and the listed counts.
    fn of_registered_sizes(mut self) -> Self {
        let counts = self.registered_sizes.get_or_insert_default();
        let largest = counts.iter().copied().max().unwrap_or(Containers(1));
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
        let strategy = chosen.strategy_with(scaling.map(|scaling| &scaling.policy));
        let of_strategy = match strategy {
            Strategy::Cheapest => None,
            Strategy::Spread | Strategy::Dense => Some(DEFAULT_MAX_TASKS),
        };
        let max_tasks = chosen.max_tasks.or(steps).or(of_strategy);
        Self { strategy, max_tasks, ..self }
    }
}

/// A cap of none is a pause.
struct MaxContainers;

impl Form for MaxContainers {
    type Value = u32;

    fn read(&self, node: &Node) -> Result<u32, Wrong> {
        if node.as_u64() == Some(0) {
            return Err("to start nothing, give the worker `paused: true`".into());
        }
        Whole(1..=MOST_CONTAINERS).read(node)
    }

    fn allowed(&self) -> String {
        Whole(1..=MOST_CONTAINERS).allowed()
    }

    fn schema(&self) -> Value {
        Whole(1..=MOST_CONTAINERS).schema()
    }
}

pub(super) fn read_scaling(worker: &mut Fields<'_>, packing: &Chosen) -> Option<Scaling> {
    if !worker.has("scaling") {
        let message = "is missing; it needs messagesPerContainer, steps or drainWithin";
        worker.problem("scaling", message);
    }
    let mut fields =
        worker.object("scaling", about("how many containers a backlog asks for").required())?;
    let policy = read_policy(&mut fields, packing.strategy.unwrap_or(Strategy::Spread));
    let min = read_minimum(&mut fields);
    let what = about("containers that are never exceeded").tag("max-containers");
    let what = what.defaults_to("what `steps` ask for at most, else 100");
    let max = fields.optional("maxContainers", MaxContainers, what).map(Containers);
    let max_is_written = max.is_some();
    let default = || policy.as_ref().map(|policy| default_max(policy, packing));
    let max = max.or_else(|| default().filter(|_| !fields.has("maxContainers")));
    let most = min.as_ref().map(Minimum::most).unwrap_or_default();
    if let Some(max) = max.filter(|max| *max < most) {
        fields.problem("minContainers", &format!("is {most}, more than maxContainers, {max}"));
    }
    let scaling = read_rest(&mut fields);
    fields.finish();
    Some(Scaling {
        policy: policy?,
        min_containers: min?,
        max_containers: max?,
        max_is_written,
        ..scaling
    })
}

/// What is the same for all policies.
fn read_rest(fields: &mut Fields<'_>) -> Scaling {
    let launch = about("containers that one tick may start").tag("max-launch-per-tick");
    let launch = launch.defaults_to("no bound of its own");
    let launch = fields.optional("maxLaunchPerTick", Whole(1..=MOST_CONTAINERS), launch);
    let held = about("messages that one container holds at once").tag("in-flight-per-container");
    let held = fields.optional(
        "inFlightPerContainer",
        Whole(1..=MOST_CONTAINERS),
        held.defaults_to("`1`"),
    );
    let delayed =
        about("whether delayed messages count").defaults_to("`false`").tag("count-delayed");
    let delayed = fields.optional("countDelayed", Boolean, delayed);
    let stuck =
        about("a task of which no worker container runs by then no longer counts as capacity");
    let stuck = stuck.defaults_to("`15m`").tag("stuck-after");
    let stuck = fields.optional("stuckAfter", Time(PATIENCE), stuck);
    let idle = about(
        "a container that has run for so long without a message, while messages wait, no \
         longer counts as capacity; `off`: it always counts",
    );
    let idle = idle.defaults_to("`5m`").tag("idle-after");
    let idle = fields.optional("idleAfter", TimeOrOff(PATIENCE), idle);
    let wait =
        about("how long a message should wait at most: `queue-scaler alarms` makes an alarm of it");
    let wait = wait.defaults_to("no such wish");
    let wait_within = fields.optional("waitWithin", WISH, wait);
    let breaker = about("after three tasks in a row that did not run well, one canary at a time");
    let breaker = breaker.defaults_to("`true`").tag("circuit-breaker");
    let breaker = fields.optional("circuitBreaker", Boolean, breaker);
    let brake = about("whether launches after which no message moves become fewer");
    let brake = brake.defaults_to("`true`").tag("progress-brake");
    let brake = fields.optional("progressBrake", Boolean, brake);
    Scaling {
        policy: Policy::MessagesPerContainer(Messages(1)),
        min_containers: Minimum::default(),
        max_containers: DEFAULT_MAX_CONTAINERS,
        max_is_written: false,
        max_launch_per_tick: launch.map(Containers),
        in_flight_per_container: Messages(u64::from(held.unwrap_or(1))),
        delayed: if delayed == Some(true) { Delayed::Counted } else { Delayed::Ignored },
        stuck_after: stuck.unwrap_or(DEFAULT_STUCK_AFTER),
        idle_after: idle.unwrap_or(Some(DEFAULT_IDLE_AFTER)),
        wait_within,
        breaker: if breaker == Some(false) { Breaker::Off } else { Breaker::On },
        progress_brake: if brake == Some(false) { ProgressBrake::Off } else { ProgressBrake::On },
    }
}

/// From what a task needs to start and ECS to show it, to a day.
const PATIENCE: std::ops::RangeInclusive<u64> = 120..=86_400;

/// At least a tick, and no longer than SQS keeps a message. Source: SQS API, `MessageRetentionPeriod`.
const WISH: Time = Time(60..=1_209_600);

/// A worker's cap where it names none: what its steps ask for at most, else a hundred.
fn default_max(policy: &Policy, packing: &Chosen) -> Containers {
    match policy {
        Policy::StepsOfContainers(steps) => {
            steps.iter().map(|(_, containers)| *containers).max().unwrap_or_default()
        }
        Policy::StepsOfTasks(steps) => {
            let tasks = steps.iter().map(|(_, tasks)| *tasks).max().unwrap_or_default();
            let per_task = match packing.strategy_with(Some(policy)) {
                Strategy::Spread => Containers(1),
                _ => packing.max_containers_per_task.unwrap_or(limits::CONTAINERS_PER_TASK),
            };
            tasks.containers(per_task)
        }
        Policy::MessagesPerContainer(_) | Policy::EmptyWithin { .. } => DEFAULT_MAX_CONTAINERS,
    }
}
