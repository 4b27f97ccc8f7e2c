//! What is to be done for an instance that is about to go away: decisions, all of them pure.

use jiff::{SignedDuration, Timestamp};

use crate::aws::{OnInstance, Registration};
use decision::config::{Config, OnDrain, Worker};
use decision::event::{Hook, Notice, NoticeKind};
use decision::units::{ScalerName, WorkerName};

/// What the status of a container instance asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It takes tasks, and must not any more.
    Takes,
    /// It takes none already.
    Draining,
    /// It will take tasks, and ECS does not let it drain yet.
    NotYet,
    /// It is on its way out by itself.
    Leaves,
}

impl State {
    /// Source: ECS API, `UpdateContainerInstancesState`: only an ACTIVE instance can be set to
    /// DRAINING.
    pub(super) fn of(registration: &Registration) -> Self {
        match registration.status.as_str() {
            "ACTIVE" => Self::Takes,
            "DRAINING" => Self::Draining,
            "REGISTERING" => Self::NotYet,
            _ => Self::Leaves,
        }
    }
}

/// Whether a worker's tasks are stopped on an instance that goes. A recommendation may never come
/// true: nothing is stopped for it.
pub(super) fn stops(config: &Config, kind: NoticeKind, worker: &WorkerName) -> bool {
    let is_certain = match kind {
        NoticeKind::SpotInterruption | NoticeKind::LifecycleTermination => true,
        NoticeKind::RebalanceRecommendation => false,
    };
    let is_its = |known: &&Worker| known.name == *worker || known.previous_names.contains(worker);
    let of_worker = config.workers.iter().find(is_its);
    is_certain && of_worker.is_some_and(|known| known.on_drain == OnDrain::StopTasks)
}

/// What the hook of a notice asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HookStep<'a> {
    /// There is none.
    None,
    /// The ticks are to answer it.
    Watch(&'a Hook),
    /// It is not ours to answer.
    Leave(&'a Hook, String),
}

pub(super) fn hook_step<'a>(config: &Config, notice: &'a Notice) -> HookStep<'a> {
    let Some(hook) = &notice.hook else { return HookStep::None };
    match &config.draining.hook {
        Some(ours) if *ours == hook.name => HookStep::Watch(hook),
        Some(ours) => HookStep::Leave(
            hook,
            format!("it is somebody else's: draining.lifecycleHook names `{ours}`"),
        ),
        None => {
            let why = "draining.lifecycleHook names none, so that it is left to its own timeout";
            HookStep::Leave(hook, why.to_owned())
        }
    }
}

/// What the tags of a container instance tell the ticks. Each deployment has its own, as each may
/// have a hook of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) hook: Hook,
    /// Since when no task is placed there; `None` where somebody has changed it.
    pub(super) since: Option<Timestamp>,
}

impl Mark {
    pub(super) fn keys(scaler: &ScalerName) -> [String; 3] {
        ["hook", "group", "draining"].map(|what| format!("ecs-queue-scaler:{scaler}:{what}"))
    }

    /// What takes the place of a mark that nobody has to look at any more. The tags go with their
    /// instance.
    pub(super) fn settled(scaler: &ScalerName) -> (String, String) {
        let [hook, ..] = Self::keys(scaler);
        (hook, String::new())
    }

    /// The mark that a container instance carries.
    pub(super) fn of(registration: &Registration, scaler: &ScalerName) -> Option<Self> {
        let [name, group, since] = Self::keys(scaler).map(|key| registration.tags.get(&key));
        let name = name.filter(|name| !name.is_empty())?;
        let hook = Hook { group: group?.clone(), name: name.clone() };
        Some(Self { hook, since: since.and_then(|since| since.parse().ok()) })
    }

    /// # Errors
    /// When a name can be no tag's value.
    /// Source: ECS developer guide, "Tag restrictions".
    pub(super) fn tags(&self, scaler: &ScalerName) -> Result<Vec<(String, String)>, String> {
        let since = self.since.as_ref().map(ToString::to_string).unwrap_or_default();
        let values = [self.hook.name.clone(), self.hook.group.clone(), since];
        let legal = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
        let is_legal = |t: &String| t.chars().count() <= 256 && t.chars().all(legal);
        if let Some(value) = values.iter().find(|value| !is_legal(value)) {
            return Err(format!(
                "`{value}` cannot be the value of a tag (at most 256 letters, digits, spaces and \
                 `_.:/=+-@`), so that the ticks cannot answer the hook; it ends by its own timeout"
            ));
        }
        Ok(Self::keys(scaler).into_iter().zip(values).collect())
    }
}

/// So long nobody believes that there is no task: ECS's lists lag, and a task may have been placed
/// at the same moment.
const LISTS_LAG: SignedDuration = SignedDuration::from_mins(1);

/// Whether a task that nobody has seen may stand there: one that was started later does not.
pub(super) fn may_stand(created: Option<Timestamp>, mark: &Mark) -> bool {
    let (Some(created), Some(since)) = (created, mark.since) else { return true };
    created.duration_since(since) < LISTS_LAG
}

/// What stands on an instance that a hook holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// So many tasks of ours.
    Tasks(usize),
    /// None is seen, and a call without an answer may have started some.
    Perhaps,
    /// It could not be read.
    Unknown,
}

impl Standing {
    pub(super) fn of(tasks: &[OnInstance]) -> Self {
        Self::Tasks(tasks.len())
    }
}

/// How a hook is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The instance is still needed.
    Hold(Because),
    /// It can go.
    LetGo,
}

/// Why an instance is still needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Because {
    TasksRun(usize),
    TasksMayStart,
    NotRead,
    JustDrained,
}

impl std::fmt::Display for Because {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TasksRun(1) => f.write_str("1 task of ours has not ended"),
            Self::TasksRun(tasks) => write!(f, "{tasks} tasks of ours have not ended"),
            Self::TasksMayStart => {
                f.write_str("a RunTask call without an answer may have started tasks there")
            }
            Self::NotRead => f.write_str("what runs there could not be read"),
            Self::JustDrained => f.write_str("it drains for less than a minute"),
        }
    }
}

/// A failed read holds: it never means that nothing runs there.
pub(super) fn reply(standing: &Standing, mark: &Mark, now: Timestamp) -> Reply {
    let is_new = mark.since.is_some_and(|since| now.duration_since(since) < LISTS_LAG);
    match standing {
        Standing::Unknown => Reply::Hold(Because::NotRead),
        Standing::Perhaps => Reply::Hold(Because::TasksMayStart),
        Standing::Tasks(0) if is_new => Reply::Hold(Because::JustDrained),
        Standing::Tasks(0) => Reply::LetGo,
        Standing::Tasks(tasks) => Reply::Hold(Because::TasksRun(*tasks)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(group: &str) -> Mark {
        let hook = Hook { group: group.to_owned(), name: "drain-workers".to_owned() };
        Mark { hook, since: Some("2026-11-20T21:00:00Z".parse().unwrap()) }
    }

    #[test]
    fn an_instance_is_let_go_only_when_nothing_of_ours_can_be_there() {
        let at = |time: &str| -> Timestamp { format!("2026-11-20T{time}Z").parse().unwrap() };
        let reply = |standing, time| reply(&standing, &mark("jobs"), at(time));
        assert_eq!(reply(Standing::Tasks(0), "21:01:00"), Reply::LetGo);
        assert_eq!(reply(Standing::Tasks(0), "21:00:59"), Reply::Hold(Because::JustDrained));
        assert_eq!(reply(Standing::Tasks(0), "20:59:00"), Reply::Hold(Because::JustDrained));
        assert_eq!(reply(Standing::Tasks(2), "22:00:00"), Reply::Hold(Because::TasksRun(2)));
        assert_eq!(reply(Standing::Perhaps, "22:00:00"), Reply::Hold(Because::TasksMayStart));
        assert_eq!(reply(Standing::Unknown, "22:00:00"), Reply::Hold(Because::NotRead));
    }

    #[test]
    fn what_is_written_into_tags_is_read_back_by_the_same_deployment_only() {
        let (ours, theirs) = (ScalerName("a/b".to_owned()), ScalerName("b".to_owned()));
        let tags = mark("jobs of @ll").tags(&ours).unwrap().into_iter().collect();
        let registration = Registration {
            arn: "arn".into(),
            ec2: "i-1".into(),
            status: "DRAINING".to_owned(),
            tags,
        };
        assert_eq!(Mark::of(&registration, &ours), Some(mark("jobs of @ll")));
        let mut settled = registration.clone();
        settled.tags.extend([Mark::settled(&ours)]);
        assert_eq!(Mark::of(&settled, &ours), None);
        assert_eq!(Mark::of(&registration, &theirs), None);
        assert!(mark("jobs & more").tags(&ours).unwrap_err().contains("`jobs & more`"));
    }
}
