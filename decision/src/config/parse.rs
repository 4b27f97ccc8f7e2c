//! From a document to a checked [`Config`]: which keys there are and what each may hold.

mod conflicts;
mod draining;
mod ecs_placement;
mod launch;
mod minimum;
mod network;
mod overrides;
mod pause;
mod placement;
mod regions;
mod policy;
mod scaling;
mod volumes;
mod worker;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use self::conflicts::refuse_conflicts;
use self::draining::DrainingPart;
use self::launch::LaunchPart;
use self::regions::warn_of_regions;
use self::worker::{Draft, Origin, read_queues, read_workers};
use super::discovery::{DEFAULT_TAG, Discover, TaggedQueue};
use super::form::names::{CLUSTER, IMAGE, SCALER, TagText};
use super::form::time::Time;
use super::form::{OneOf, Whole};
use super::reader::{Fields, ListOf, Reading};
use super::shape::about;
use super::{Config, ConfigError, LARGEST, Limits, Metrics, OnDrain};
use crate::document::{Document, Problem};
use crate::units::{ClusterName, ScalerName, Tasks};

/// A slip of the keyboard stays affordable.
const MOST_TASKS: u32 = 100_000;

/// No worker may ask for more, for the same reason.
pub(crate) const MOST_CONTAINERS: u32 = 100_000;

/// A result about more workers would be larger than Lambda allows.
/// Source: Lambda quotas, "Invocation payload": 6 MB.
pub(crate) const WORKERS: std::ops::RangeInclusive<usize> = 1..=5000;

/// What the file says once for all workers.
struct Defaults {
    cluster: Option<ClusterName>,
    /// Whether it is there and wrong, which is not reported again for each worker.
    cluster_is_wrong: bool,
    watcher_image: Option<String>,
    /// `None` where it is wrong.
    registration: Option<Registration>,
    launch: LaunchPart,
    on_drain: OnDrain,
}

/// Whether derived task definitions may be registered.
#[derive(Clone, Copy, PartialEq)]
enum Registration {
    On,
    Off,
}

impl Config {
    /// Reads YAML, of which JSON is a part.
    ///
    /// # Errors
    /// Every mistake of the file, when it has one outside of its workers.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        Self::of(&document("", text)?)
    }

    /// Reads a document that is parsed already.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub fn from_value(document: &Value) -> Result<Self, ConfigError> {
        Self::of(&Document::of_value("", document))
    }

    /// The same of a document that an event has brought.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub fn of_event(document: &Value) -> Result<Self, ConfigError> {
        Self::of(&Document::of_value("event", document))
    }

    /// Reads a document that knows the position of every value.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub fn of(document: &Document) -> Result<Self, ConfigError> {
        Self::with_discovered(document, &[])
    }

    /// The same, and the workers that the tags of some queues describe, after the file's and in the
    /// order of the queues' ARNs. What is wrong with one of them refuses that one only, and never a
    /// worker of the file.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub fn with_discovered(
        document: &Document,
        queues: &[TaggedQueue],
    ) -> Result<Self, ConfigError> {
        let shared = Reading::of(document);
        let whole = read_all(document, &shared);
        let warnings = shared.take_warnings();
        let shared = shared.take_problems();
        let Some(ReadFile { config, mut drafts, defaults }) = whole else {
            return Err(ConfigError(shared));
        };
        if let Some(by) = &config.discover {
            drafts.extend(read_queues(queues, by, &defaults));
        }
        refuse_conflicts(&mut drafts);
        let config = Self { warnings, ..config };
        if shared.is_empty() { Ok(config.with(drafts)) } else { Err(refused(shared, drafts)) }
    }

    fn with(self, drafts: Vec<Draft<'_>>) -> Self {
        let (good, bad): (Vec<_>, Vec<_>) =
            drafts.into_iter().partition(|draft| draft.problems.is_empty());
        let discovered = good.iter().filter(|draft| draft.origin == Origin::Discovered);
        let discovered = discovered.filter_map(|draft| draft.worker.as_ref());
        Self {
            discovered: discovered.map(|worker| worker.name.clone()).collect(),
            workers: good.into_iter().filter_map(|draft| draft.worker).collect(),
            refused: bad.into_iter().map(Draft::refused).collect(),
            ..self
        }
    }
}

fn refused(shared: Vec<Problem>, drafts: Vec<Draft<'_>>) -> ConfigError {
    let own = drafts.into_iter().flat_map(|draft| draft.problems);
    let mut all: Vec<_> = shared.into_iter().chain(own).collect();
    all.sort_by_key(|problem| (problem.count, problem.position));
    ConfigError(Problem::first(all))
}

/// What YAML says; mistakes are reported with `source` before them.
///
/// # Errors
/// When it is not one.
pub fn document(source: &str, text: &str) -> Result<Document, ConfigError> {
    let whole = |message: &str| ConfigError(vec![Problem::new("", message).of_source(source)]);
    if LARGEST < text.len() {
        return Err(whole(&format!("it has {} bytes, at most {LARGEST} are read", text.len())));
    }
    if text.trim().is_empty() {
        return Err(whole("it is empty; it needs at least `workers`"));
    }
    Document::parse(source, text).map_err(ConfigError)
}

/// A file as far as it could be read.
pub(super) struct ReadFile<'a> {
    config: Config,
    defaults: Defaults,
    drafts: Vec<Draft<'a>>,
}

/// What a document says for all workers, and each worker of it; `None` where it is not an object.
pub(super) fn read_all<'a>(document: &'a Document, shared: &'a Reading) -> Option<ReadFile<'a>> {
    let mut fields = shared.fields(&document.root, "")?;
    let DrainingPart { on_drain, draining } = DrainingPart::read(&mut fields);
    let defaults = Defaults { on_drain, ..Defaults::read(&mut fields) };
    let config = Config {
        workers: Vec::new(),
        discovered: BTreeSet::new(),
        refused: Vec::new(),
        warnings: Vec::new(),
        limits: read_limits(&mut fields),
        metrics: read_metrics(&mut fields),
        refresh: read_refresh(&mut fields),
        discover: read_discover(&mut fields),
        draining,
        previous_names: read_scaler_names(&mut fields),
    };
    let drafts = read_workers(&mut fields, &defaults);
    fields.finish();
    warn_of_regions(&drafts, shared);
    Some(ReadFile { config, defaults, drafts })
}

fn read_refresh(fields: &mut Fields<'_>) -> Duration {
    let what = about(
        "so long a configuration is used before its source is asked whether it changed; `0s`: at \
         every tick",
    );
    let refresh = fields.optional("configRefresh", Time(0..=86_400), what.defaults_to("`5m`"));
    refresh.unwrap_or(DEFAULT_REFRESH)
}

/// How long a configuration is used before its source is asked; `0s`: not at all.
const DEFAULT_REFRESH: Duration = Duration::from_mins(5);

/// Source of the limits: SQS developer guide, "Tag restrictions", less what our tags end with.
fn read_discover(fields: &mut Fields<'_>) -> Option<Discover> {
    let what = about("queues with a tag are workers too, which their tags describe");
    let mut fields = fields.object("discover", what.defaults_to("none"))?;
    let tag = about("the key of that tag, and the prefix of the others");
    let tag = fields.optional("tag", TagText(1..=100), tag.defaults_to("`ecs-queue-scaler`"));
    let value = about("the value that the tag must have").defaults_to("any");
    let value = fields.optional("value", TagText(0..=256), value);
    fields.finish();
    Some(Discover { tag: tag.unwrap_or_else(|| DEFAULT_TAG.to_owned()), value })
}

impl Defaults {
    fn read(fields: &mut Fields<'_>) -> Self {
        let cluster = about("where tasks run, unless a worker says otherwise");
        let cluster = fields.optional(
            "cluster",
            CLUSTER,
            cluster.defaults_to("needed by each worker without its own"),
        );
        let image = about(
            "a busybox image for the watcher of tasks with several worker containers, or `worker`",
        );
        let image = image.defaults_to("a public one");
        let registration = about("`off`: no task definition is registered or deregistered");
        let choices = OneOf(&[("on", Registration::On), ("off", Registration::Off)]);
        let watcher_image = fields.optional("watcherImage", IMAGE, image);
        let registered = fields.optional("registration", choices, registration.defaults_to("`on`"));
        let is_absent = !fields.has("registration");
        Self {
            cluster_is_wrong: cluster.is_none() && fields.has("cluster"),
            cluster,
            watcher_image,
            registration: registered.or(is_absent.then_some(Registration::On)),
            launch: LaunchPart::read(fields),
            on_drain: OnDrain::default(),
        }
    }
}

fn read_limits(fields: &mut Fields<'_>) -> Limits {
    let default = Limits::default();
    let per_tick = about("tasks that one tick may start, over all workers").defaults_to("`1000`");
    let per_tick = fields.optional("maxTasksPerTick", Whole(1..=MOST_TASKS), per_tick);
    let per_hour = about("tasks that may be started within an hour, over all workers");
    let per_hour =
        fields.optional("maxTasksPerHour", Whole(1..=MOST_TASKS), per_hour.defaults_to("`30000`"));
    let age = about("a schedule's event that is older is refused").defaults_to("`5m`");
    let age = fields.optional("maxEventAge", Time(60..=86_400), age);
    let poll = about("a schedule's invocation looks again after so long, until its time is up");
    let poll =
        fields.optional("pollEvery", Time(1..=30), poll.defaults_to("one tick an invocation"));
    Limits {
        tasks_per_tick: per_tick.map_or(default.tasks_per_tick, Tasks),
        tasks_per_hour: per_hour.map_or(default.tasks_per_hour, Tasks),
        deadline_margin: read_margin(fields).unwrap_or(default.deadline_margin),
        max_event_age: age.unwrap_or(default.max_event_age),
        poll_every: poll,
    }
}

/// The function's time where nobody has changed it. Source: `template.yaml`, `Timeout`.
const USUAL_TIMEOUT: Duration = Duration::from_mins(1);

/// The last call may take as long as the least margin. Source: `aws.rs`, the timeouts.
fn read_margin(fields: &mut Fields<'_>) -> Option<Duration> {
    let what = about("with less than this left of the function's time, no call is started");
    let margin = fields.optional("deadlineMargin", Time(5..=300), what.defaults_to("`5s`"))?;
    if USUAL_TIMEOUT <= margin {
        let message = "is as long as the function may run, unless its timeout was raised: then no \
                       call would ever be started";
        fields.warn("deadlineMargin", message);
    }
    Some(margin)
}

const METRICS: OneOf<Metrics> =
    OneOf(&[("all", Metrics::All), ("busy", Metrics::Busy), ("off", Metrics::Off)]);

fn read_metrics(fields: &mut Fields<'_>) -> Metrics {
    let what = about(
        "`all`: every worker at every tick; `busy`: a worker while it has messages or tasks, or \
         failed; `off`: none",
    );
    fields.optional("metrics", METRICS, what.defaults_to("`busy`")).unwrap_or_default()
}

/// Each name of the scaler costs a `ListTasks` a cluster.
const PREVIOUS_NAMES: std::ops::RangeInclusive<usize> = 1..=10;

fn read_scaler_names(file: &mut Fields<'_>) -> Vec<ScalerName> {
    let names = ListOf { length: PREVIOUS_NAMES, of: SCALER };
    let what = about(
        "what `SCALER_NAME` was before: tasks that were started under it are ours; each costs one \
         `ListTasks` a cluster and tick",
    );
    file.list("previousNames", &names, what.defaults_to("none")).unwrap_or_default()
}

#[cfg(test)]
mod tests;
