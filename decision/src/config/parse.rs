//! From a document to a checked [`Config`]: which keys there are and what each may hold.

mod conflicts;
mod draining;
mod launch;
mod minimum;
mod placement;
mod scaling;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use self::conflicts::refuse_conflicts;
use self::draining::{DrainingPart, read_on_drain};
use self::launch::LaunchPart;
use super::discovery::{DEFAULT_TAG, Discover, TaggedQueue};
use super::reader::{Fields, Problem, Problems, one_of, text, whole};
use super::{Config, ConfigError, LARGEST, Limits, Metrics, OnDrain, QueueRef, Refused, Worker};
use crate::units::{
    Arn, ClusterName, Family, Partition, ScalerName, TaskDefinitionRef, Tasks, WorkerName,
};

/// Room in 255 characters for the longest ending of a derived name, `--x10`.
/// Source: ECS API, `RegisterTaskDefinitionRequest.family`, `ContainerDefinition.name`.
const LONGEST_FAMILY: usize = 250;

/// A slip of the keyboard stays affordable.
const MOST_TASKS: u32 = 100_000;

/// No worker may ask for more, for the same reason.
const MOST_CONTAINERS: u32 = 100_000;

/// A result that tells of more workers would be larger than Lambda allows.
/// Source: Lambda quotas, "Invocation payload": 6 MB.
const MOST_WORKERS: usize = 5000;

/// What the file says once for all workers.
struct Defaults {
    cluster: Option<ClusterName>,
    watcher_image: Option<String>,
    registration: Registration,
    launch: LaunchPart,
    on_drain: OnDrain,
}

/// Whether derived task definitions may be registered.
#[derive(Clone, Copy, Default, PartialEq)]
enum Registration {
    #[default]
    On,
    Off,
}

impl Config {
    /// Reads YAML, of which JSON is a part.
    ///
    /// # Errors
    /// Every mistake of the file, when it has one outside of its workers.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        Self::from_value(&document(text)?)
    }

    /// Reads a document that is parsed already, such as the `workers` of an event.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub fn from_value(document: &Value) -> Result<Self, ConfigError> {
        Self::with_discovered(document, &[])
    }

    /// The same, and the workers that the tags of some queues describe, after the file's and in the
    /// order of the queues' ARNs. What is wrong with one of them refuses that one only, and never a
    /// worker of the file.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub fn with_discovered(document: &Value, queues: &[TaggedQueue]) -> Result<Self, ConfigError> {
        let shared = Problems::default();
        let whole = Fields::of(document, "", &shared).map(|fields| read_whole(fields, queues));
        let shared = shared.into_vec();
        let Some((whole, mut drafts)) = whole else { return Err(ConfigError(shared)) };
        refuse_conflicts(&mut drafts);
        if !shared.is_empty() {
            let own = drafts.into_iter().flat_map(|draft| draft.problems);
            return Err(ConfigError(Problem::first(shared.into_iter().chain(own))));
        }
        let (good, bad): (Vec<_>, Vec<_>) =
            drafts.into_iter().partition(|draft| draft.problems.is_empty());
        let discovered = good.iter().filter(|draft| draft.origin == Origin::Discovered);
        let discovered = discovered.filter_map(|draft| draft.worker.as_ref());
        Ok(Self {
            discovered: discovered.map(|worker| worker.name.clone()).collect(),
            workers: good.into_iter().filter_map(|draft| draft.worker).collect(),
            refused: bad.into_iter().map(Draft::refused).collect(),
            ..whole
        })
    }
}

/// What YAML says.
///
/// # Errors
/// When it is none.
pub fn document(text: &str) -> Result<Value, ConfigError> {
    let broken = |message: String| ConfigError(vec![Problem::new("", &message)]);
    if LARGEST < text.len() {
        return Err(broken(format!("it has {} bytes, at most {LARGEST} are read", text.len())));
    }
    if text.trim().is_empty() {
        return Err(broken("it is empty; it needs at least `workers`".to_owned()));
    }
    serde_saphyr::from_str(text)
        .map_err(|error| broken(format!("it is no YAML: {}", error.without_snippet())))
}

/// The file: what it says for all workers, and each worker as far as it could be read.
fn read_whole(mut fields: Fields<'_>, queues: &[TaggedQueue]) -> (Config, Vec<Draft>) {
    let DrainingPart { on_drain, draining } = DrainingPart::read(&mut fields);
    let defaults = Defaults { on_drain, ..Defaults::read(&mut fields) };
    let config = Config {
        workers: Vec::new(),
        discovered: BTreeSet::new(),
        refused: Vec::new(),
        limits: read_limits(&mut fields),
        metrics: read_metrics(&mut fields),
        refresh: fields.optional("configRefresh", refresh).unwrap_or(DEFAULT_REFRESH),
        discover: read_discover(&mut fields),
        draining,
        previous_names: read_names(&mut fields, scaler_name),
    };
    let least = usize::from(!fields.has("discover"));
    if !fields.has("workers") && 0 < least {
        fields.problem("workers", "is missing; it is the list of your workers");
    }
    let workers = fields.array("workers", least..=MOST_WORKERS);
    fields.finish();
    let mut drafts: Vec<_> = workers
        .unwrap_or_default()
        .into_iter()
        .map(|(path, value)| read_worker(value, path, &defaults))
        .collect();
    if let Some(by) = &config.discover {
        let mut queues: Vec<_> = queues.iter().collect();
        queues.sort_by_key(|queue| &queue.arn);
        drafts.extend(queues.into_iter().map(|queue| read_tags(queue, by, &defaults)));
    }
    (config, drafts)
}

/// Source of the limits: SQS developer guide, "Tag restrictions", less what our tags end with.
fn read_discover(fields: &mut Fields<'_>) -> Option<Discover> {
    let mut fields = fields.object("discover")?;
    let tag = fields.optional("tag", tag_text(1..=100)).unwrap_or_else(|| DEFAULT_TAG.to_owned());
    let value = fields.optional("value", tag_text(0..=256));
    fields.finish();
    Some(Discover { tag, value })
}

impl Defaults {
    fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            cluster: fields.optional("cluster", cluster),
            watcher_image: fields.optional("watcherImage", text(255)),
            registration: fields
                .optional(
                    "registration",
                    one_of(&[("on", Registration::On), ("off", Registration::Off)]),
                )
                .unwrap_or_default(),
            launch: LaunchPart::read(fields),
            on_drain: OnDrain::default(),
        }
    }
}

fn read_limits(fields: &mut Fields<'_>) -> Limits {
    let tasks = whole(1..=MOST_TASKS);
    // The last call may take as long as the least margin. Source: `aws.rs`, the timeouts.
    let margin = duration_of(5..=300);
    let least = Limits::default();
    Limits {
        tasks_per_tick: fields
            .optional("maxTasksPerTick", &tasks)
            .map_or(least.tasks_per_tick, Tasks),
        tasks_per_hour: fields
            .optional("maxTasksPerHour", &tasks)
            .map_or(least.tasks_per_hour, Tasks),
        deadline_margin: fields.optional("deadlineMargin", margin).unwrap_or(least.deadline_margin),
        max_event_age: fields
            .optional("maxEventAge", duration_of(60..=86_400))
            .unwrap_or(least.max_event_age),
        poll_every: fields.optional("pollEvery", duration_of(1..=30)),
    }
}

fn read_metrics(fields: &mut Fields<'_>) -> Metrics {
    let choices = one_of(&[("all", Metrics::All), ("busy", Metrics::Busy), ("off", Metrics::Off)]);
    fields.optional("metrics", choices).unwrap_or_default()
}

/// Who describes a worker. Who comes later gives way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    File,
    Discovered,
}

/// A worker as far as it could be read.
struct Draft {
    origin: Origin,
    /// Its place in the file, or the ARN of its queue.
    path: String,
    name: Option<String>,
    previous_names: Vec<WorkerName>,
    worker: Option<Worker>,
    problems: Vec<Problem>,
}

impl Draft {
    fn refused(self) -> Refused {
        let name = self.name.filter(|_| self.origin == Origin::File).unwrap_or(self.path);
        let previous_names = self.previous_names;
        Refused { worker: WorkerName(name), previous_names, problems: self.problems }
    }

    fn refuse(&mut self, key: &str, message: &str) {
        let path = match self.origin {
            Origin::File => format!("{}.{key}", self.path),
            Origin::Discovered => key.to_owned(),
        };
        self.problems.push(Problem::new(&path, message));
    }
}

fn read_worker(value: &Value, path: String, defaults: &Defaults) -> Draft {
    let problems = Problems::default();
    let name = value.get("name").and_then(Value::as_str).map(str::to_owned);
    let before = value.get("previousNames").and_then(Value::as_array).into_iter().flatten();
    let previous_names =
        before.filter_map(|name| Some(WorkerName(name.as_str()?.to_owned()))).collect();
    let worker =
        Fields::of(value, &path, &problems).and_then(|fields| read_worker_fields(fields, defaults));
    let (origin, problems) = (Origin::File, problems.into_vec());
    Draft { origin, path, name, previous_names, worker, problems }
}

fn read_tags(queue: &TaggedQueue, by: &Discover, defaults: &Defaults) -> Draft {
    let (document, mut own) = queue.document(by);
    let read = read_worker(&document, String::new(), defaults);
    let told: Vec<_> =
        read.problems.into_iter().filter_map(|problem| queue.told(by, problem, &own)).collect();
    own.extend(told);
    // What is malformed is in nobody's way.
    let worker = read.worker.filter(|_| own.is_empty());
    let (origin, path) = (Origin::Discovered, queue.arn.clone());
    Draft { origin, path, worker, problems: own, ..read }
}

fn read_worker_fields(mut fields: Fields<'_>, defaults: &Defaults) -> Option<Worker> {
    let name = fields.required("name", identifier(128)).map(WorkerName);
    let queue = fields.required("queue", queue);
    let task_definition = fields.required("taskDefinition", task_definition);
    let container = fields.optional("container", identifier(LONGEST_FAMILY));
    let cluster = fields.optional("cluster", cluster).or_else(|| defaults.cluster.clone());
    if cluster.is_none() && !fields.has("cluster") {
        fields.problem("cluster", "is missing, here and as the default of the file");
    }
    let (packing, chosen) = scaling::read_packing(&mut fields, defaults);
    let scaling = scaling::read_scaling(&mut fields, &chosen);
    let launch = LaunchPart::read(&mut fields).over(&defaults.launch).checked(&fields);
    let packing = packing.for_policy(scaling.as_ref(), &chosen);
    let on_drain = read_on_drain(&mut fields).unwrap_or(defaults.on_drain);
    let previous_names = read_names(&mut fields, |value| identifier(128)(value).map(WorkerName));
    fields.finish();
    Some(Worker {
        name: name?,
        queue: queue?,
        cluster: cluster?,
        task_definition: task_definition?,
        container,
        scaling: scaling?,
        packing,
        launch: launch?,
        on_drain,
        previous_names,
    })
}

/// Each name of the scaler costs a `ListTasks` a cluster.
const MOST_PREVIOUS_NAMES: usize = 10;

fn read_names<T>(fields: &mut Fields<'_>, parse: impl Fn(&Value) -> Result<T, String>) -> Vec<T> {
    let names = fields.array("previousNames", 1..=MOST_PREVIOUS_NAMES).unwrap_or_default();
    names.iter().filter_map(|(path, name)| fields.member_as(name, path, &parse)).collect()
}

fn scaler_name(value: &Value) -> Result<ScalerName, String> {
    ScalerName::parse(value.as_str().unwrap_or_default()).map_err(|_| {
        "it must be what SCALER_NAME was: 1 to 36 letters, digits, `-`, `_` or `/`".to_owned()
    })
}

fn is_identifier(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// Letters, digits, `-` and `_`: what ECS allows in the names of families and containers.
fn identifier(longest: usize) -> impl Fn(&Value) -> Result<String, String> {
    move |value| {
        let name = value.as_str().filter(|t| (1..=longest).contains(&t.len()) && is_identifier(t));
        name.map(str::to_owned).ok_or_else(|| {
            format!("it must be text of 1 to {longest} letters, digits, `-` and `_`")
        })
    }
}

/// The parts of an ARN, where a text may be one. Its Region has to be in its partition.
fn arn(text: &str) -> Result<Option<Arn<'_>>, String> {
    let Some(arn) = Arn::parse(text) else { return Ok(None) };
    if arn.is_consistent() {
        return Ok(Some(arn));
    }
    let partition = Partition::of(arn.region).name;
    Err(format!(
        "which is in partition `{}`, and {} is in `{partition}`",
        arn.partition, arn.region
    ))
}

fn cluster(value: &Value) -> Result<ClusterName, String> {
    let allowed = "it must be a cluster's name (letters, digits, `-`, `_`) or ARN";
    let text = value.as_str().ok_or(allowed)?;
    let name = match arn(text)? {
        Some(arn) if arn.service == "ecs" => {
            arn.resource.strip_prefix("cluster/").ok_or(allowed)?
        }
        Some(_) => return Err(allowed.to_owned()),
        None => text,
    };
    let legal = (1..=255).contains(&name.len()) && is_identifier(name);
    legal.then(|| ClusterName(text.to_owned())).ok_or_else(|| allowed.to_owned())
}

fn task_definition(value: &Value) -> Result<TaskDefinitionRef, String> {
    let allowed = format!(
        "it must be a family of at most {LONGEST_FAMILY} letters, digits, `-` and `_`, \
         `family:revision`, or the ARN of a revision"
    );
    let text = value.as_str().ok_or_else(|| allowed.clone())?;
    let tail = match arn(text)? {
        Some(arn) if arn.service == "ecs" => arn.resource.strip_prefix("task-definition/"),
        Some(_) => None,
        None => Some(text),
    };
    let (family, revision) = match tail.map(|tail| tail.split_once(':')) {
        Some(Some((family, revision))) => (family, Some(revision)),
        Some(None) => (tail.unwrap_or_default(), None),
        None => return Err(allowed),
    };
    let revision_is_legal = revision.is_none_or(|r| r.parse::<u32>().is_ok_and(|r| 0 < r));
    let family_is_legal = (1..=LONGEST_FAMILY).contains(&family.len()) && is_identifier(family);
    if !(family_is_legal && revision_is_legal) {
        return Err(allowed);
    }
    if 1 < Family::from(family).worker_containers().0 {
        return Err("`--x` and a number end the names of our own derived families; \
                    name the base family"
            .to_owned());
    }
    Ok(TaskDefinitionRef(text.to_owned()))
}

/// Source of the limits: SQS API, `CreateQueueRequest.QueueName`.
fn queue(value: &Value) -> Result<QueueRef, String> {
    let allowed = "it must be a queue's name (1 to 80 letters, digits, `-`, `_`, and `.fifo`), \
                   its https URL, or its ARN";
    let text = value.as_str().ok_or(allowed)?;
    let is_name = |name: &str| {
        let plain = name.strip_suffix(".fifo").unwrap_or(name);
        (1..=80).contains(&name.len()) && !plain.is_empty() && is_identifier(plain)
    };
    if let Some((scheme, rest)) = text.split_once("://") {
        let parts: Vec<_> = rest.split('/').collect();
        let legal = matches!(parts.as_slice(), [host, account, name]
            if !host.is_empty() && !account.is_empty() && is_name(name));
        let legal = legal && ["https", "http"].contains(&scheme);
        return legal.then(|| QueueRef::Url(text.to_owned())).ok_or_else(|| allowed.to_owned());
    }
    if let Some(arn) = arn(text)? {
        let queue = QueueRef::of_arn(&arn).filter(|queue| is_name(queue.name()));
        return queue.ok_or_else(|| allowed.to_owned());
    }
    is_name(text).then(|| QueueRef::Name(text.to_owned())).ok_or_else(|| allowed.to_owned())
}

/// `30s`, `10m` or `2h`, at most a day.
fn duration(value: &Value) -> Result<Duration, String> {
    let allowed = "it must be a duration such as `30s`, `10m` or `2h`, at most `24h`";
    any_duration(value).filter(|time| time.as_secs() <= 86_400).ok_or_else(|| allowed.to_owned())
}

/// A duration of some range of seconds.
fn duration_of(
    seconds: std::ops::RangeInclusive<u64>,
) -> impl Fn(&Value) -> Result<Duration, String> {
    move |value| {
        any_duration(value).filter(|time| seconds.contains(&time.as_secs())).ok_or_else(|| {
            let (least, most) = (seconds.start(), seconds.end());
            format!("it must be a duration such as `30s` or `10m`, from `{least}s` to `{most}s`")
        })
    }
}

/// How long a configuration is used before its source is asked; `0s`: not at all.
const DEFAULT_REFRESH: Duration = Duration::from_mins(5);

fn refresh(value: &Value) -> Result<Duration, String> {
    match value.as_str() {
        Some("0s") => Ok(Duration::ZERO),
        _ => duration(value).map_err(|allowed| format!("{allowed}, or `0s` for every tick")),
    }
}

/// The key or the value of a tag.
/// Source: SQS developer guide, "Tag restrictions".
fn tag_text(length: std::ops::RangeInclusive<usize>) -> impl Fn(&Value) -> Result<String, String> {
    move |value| {
        let legal = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
        let text = value.as_str().filter(|text| {
            length.contains(&text.chars().count())
                && text.chars().all(legal)
                && !text.starts_with("aws:")
        });
        text.map(str::to_owned).ok_or_else(|| {
            let (least, most) = (length.start(), length.end());
            format!(
                "it must be {least} to {most} letters, digits, spaces and `_.:/=+-@`, and not \
                 begin with `aws:`"
            )
        })
    }
}

fn any_duration(value: &Value) -> Option<Duration> {
    let text = value.as_str()?;
    let unit = text.chars().last()?;
    let number: u64 = text.trim_end_matches(unit).parse().ok()?;
    let seconds = match unit {
        's' => Some(number),
        'm' => number.checked_mul(60),
        'h' => number.checked_mul(3600),
        _ => None,
    };
    seconds.filter(|seconds| 0 < *seconds).map(Duration::from_secs)
}

/// A positive number of seconds, at most the twelve hours that SQS lets a message be in flight.
/// Source: SQS API, `VisibilityTimeout`.
fn seconds(value: &Value) -> Result<Duration, String> {
    let number = value.as_f64().filter(|n| (0.001..=43_200.0).contains(n));
    number
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "it must be a number of seconds from 0.001 to 43200".to_owned())
}

#[cfg(test)]
mod tests;
