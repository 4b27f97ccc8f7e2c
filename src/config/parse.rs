//! From a document to a checked [`Config`]: which keys there are and what each may hold.

mod launch;
mod minimum;
mod scaling;

use std::collections::BTreeMap;

use serde_json::Value;

use self::launch::LaunchPart;
use super::reader::{Fields, Problem, Problems, one_of, text, whole};
use super::{Completion, Config, ConfigError, Limits, Metrics, QueueRef, Refused, Worker};
use crate::units::{ClusterName, Containers, Family, TaskDefinitionRef, Tasks, WorkerName};

/// A configuration for a thousand workers is well below this.
const LARGEST: usize = 1 << 20;

/// Room in 255 characters for the longest ending of a derived name, `--x10`.
/// Source: ECS API, `RegisterTaskDefinitionRequest.family`, `ContainerDefinition.name`.
const LONGEST_FAMILY: usize = 250;

/// A slip of the keyboard stays affordable.
const MOST_TASKS: u32 = 100_000;

/// No worker may ask for more, for the same reason.
const MOST_CONTAINERS: u32 = 100_000;

/// What the file says once for all workers.
struct Defaults {
    cluster: Option<ClusterName>,
    watcher_image: Option<String>,
    registration: Registration,
    launch: LaunchPart,
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
        let broken = |message: String| ConfigError(vec![Problem { path: String::new(), message }]);
        if LARGEST < text.len() {
            return Err(broken(format!("it has {} bytes, at most {LARGEST} are read", text.len())));
        }
        if text.trim().is_empty() {
            return Err(broken("it is empty; it needs at least `workers`".to_owned()));
        }
        let document: Value = serde_saphyr::from_str(text)
            .map_err(|error| broken(format!("it is no YAML: {}", error.without_snippet())))?;
        Self::from_value(&document)
    }

    /// Reads a document that is parsed already, such as the `workers` of an event.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub fn from_value(document: &Value) -> Result<Self, ConfigError> {
        let shared = Problems::default();
        let (mut limits, mut metrics) = (Limits::default(), Metrics::default());
        let workers = Fields::of(document, "", &shared).and_then(|mut fields| {
            let defaults = Defaults::read(&mut fields);
            limits = read_limits(&mut fields);
            metrics = read_metrics(&mut fields);
            if !fields.has("workers") {
                fields.problem("workers", "is missing; it is the list of your workers");
            }
            let workers = fields.array("workers", 1..=usize::MAX);
            fields.finish();
            Some(workers?.into_iter().map(|(path, v)| read_worker(v, path, &defaults)).collect())
        });
        let mut workers: Vec<Draft> = workers.unwrap_or_default();
        refuse_conflicts(&mut workers);
        let shared = shared.into_vec();
        if !shared.is_empty() {
            let own = workers.into_iter().flat_map(|draft| draft.problems);
            return Err(ConfigError(shared.into_iter().chain(own).collect()));
        }
        let (good, bad): (Vec<_>, Vec<_>) =
            workers.into_iter().partition(|draft| draft.problems.is_empty());
        Ok(Self {
            workers: good.into_iter().filter_map(|draft| draft.worker).collect(),
            refused: bad.into_iter().map(Draft::refused).collect(),
            limits,
            metrics,
        })
    }
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
    }
}

fn read_metrics(fields: &mut Fields<'_>) -> Metrics {
    let choices = one_of(&[("all", Metrics::All), ("busy", Metrics::Busy), ("off", Metrics::Off)]);
    fields.optional("metrics", choices).unwrap_or_default()
}

/// A worker as far as it could be read.
struct Draft {
    path: String,
    name: Option<String>,
    worker: Option<Worker>,
    problems: Vec<Problem>,
}

impl Draft {
    fn refused(self) -> Refused {
        let name = self.name.unwrap_or(self.path);
        Refused { worker: WorkerName(name), problems: self.problems }
    }

    fn refuse(&mut self, key: &str, message: String) {
        self.problems.push(Problem { path: format!("{}.{key}", self.path), message });
    }
}

fn read_worker(value: &Value, path: String, defaults: &Defaults) -> Draft {
    let problems = Problems::default();
    let name = value.get("name").and_then(Value::as_str).map(str::to_owned);
    let worker =
        Fields::of(value, &path, &problems).and_then(|fields| read_worker_fields(fields, defaults));
    Draft { path, name, worker, problems: problems.into_vec() }
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
    })
}

/// Refuses workers that cannot live beside each other, each by the name of the other.
fn refuse_conflicts(drafts: &mut [Draft]) {
    let names = |draft: &Draft| draft.name.clone();
    refuse_equal(drafts, names, "name", |_| "is used by two workers".to_owned());
    let queues = |draft: &Draft| draft.worker.as_ref().map(|worker| worker.queue.clone());
    refuse_equal(drafts, queues, "queue", |other| {
        format!("is the queue of worker `{other}` too; both would answer the same messages")
    });
    refuse_shared_variants(drafts);
}

/// Refuses the drafts that are alike in `key`.
fn refuse_equal<K: Ord>(
    drafts: &mut [Draft],
    key: impl Fn(&Draft) -> Option<K>,
    field: &str,
    message: impl Fn(&str) -> String,
) {
    let mut alike: BTreeMap<K, Vec<usize>> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        if let Some(key) = key(draft) {
            alike.entry(key).or_default().push(index);
        }
    }
    for group in alike.into_values().filter(|group| 1 < group.len()) {
        for index in &group {
            let other = group.iter().find(|other| *other != index);
            let other = other.and_then(|other| drafts.get(*other)?.name.clone());
            if let Some(draft) = drafts.get_mut(*index) {
                draft.refuse(field, message(other.as_deref().unwrap_or("?")));
            }
        }
    }
}

/// What decides the derived definitions of a family beside the number of clones.
type VariantSettings = (TaskDefinitionRef, Option<String>, Completion, String);

/// Two workers that clone one family in different ways would replace each other's revisions at
/// every tick.
fn refuse_shared_variants(drafts: &mut [Draft]) {
    let mut families: BTreeMap<Family, Vec<(usize, VariantSettings)>> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        let clones = |w: &&Worker| w.packing.max_containers_per_task != Some(Containers(1));
        if let Some(worker) = draft.worker.as_ref().filter(clones) {
            let settings = (
                worker.task_definition.clone(),
                worker.container.clone(),
                worker.packing.completion,
                worker.packing.watcher_image.clone(),
            );
            let family = worker.task_definition.family();
            families.entry(family).or_default().push((index, settings));
        }
    }
    for (family, users) in families {
        for (index, settings) in &users {
            let other = users.iter().find(|(_, others)| others != settings);
            let other = other.and_then(|(other, _)| drafts.get(*other)?.name.clone());
            if let (Some(other), Some(draft)) = (other, drafts.get_mut(*index)) {
                draft.refuse(
                    "taskDefinition",
                    format!(
                        "clones family `{family}` in another way than worker `{other}`, and they \
                         would replace each other's derived revisions; give both the same \
                         taskDefinition, container, completion and watcherImage, or one of them \
                         packing.maxContainersPerTask: 1"
                    ),
                );
            }
        }
    }
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

fn cluster(value: &Value) -> Result<ClusterName, String> {
    let allowed = "it must be a cluster's name (letters, digits, `-`, `_`) or ARN";
    let text = value.as_str().ok_or(allowed)?;
    let name = match text.strip_prefix("arn:") {
        Some(arn) => match arn.splitn(5, ':').collect::<Vec<_>>().as_slice() {
            [_, "ecs", _, _, resource] => resource.strip_prefix("cluster/").ok_or(allowed)?,
            _ => return Err(allowed.to_owned()),
        },
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
    let tail = match text.strip_prefix("arn:") {
        Some(arn) => match arn.splitn(5, ':').collect::<Vec<_>>().as_slice() {
            [_, "ecs", _, _, resource] => resource.strip_prefix("task-definition/"),
            _ => None,
        },
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
    if let Some(arn) = text.strip_prefix("arn:") {
        return match arn.split(':').collect::<Vec<_>>().as_slice() {
            [_, "sqs", region, account, name]
                if !region.is_empty() && !account.is_empty() && is_name(name) =>
            {
                Ok(QueueRef::Arn {
                    region: (*region).to_owned(),
                    account: (*account).to_owned(),
                    name: (*name).to_owned(),
                })
            }
            _ => Err(allowed.to_owned()),
        };
    }
    is_name(text).then(|| QueueRef::Name(text.to_owned())).ok_or_else(|| allowed.to_owned())
}

/// `30s`, `10m` or `2h`, at most a day.
fn duration(value: &Value) -> Result<std::time::Duration, String> {
    let allowed = "it must be a duration such as `30s`, `10m` or `2h`, at most `24h`";
    any_duration(value).filter(|time| time.as_secs() <= 86_400).ok_or_else(|| allowed.to_owned())
}

/// A duration of some range of seconds.
fn duration_of(
    seconds: std::ops::RangeInclusive<u64>,
) -> impl Fn(&Value) -> Result<std::time::Duration, String> {
    move |value| {
        any_duration(value).filter(|time| seconds.contains(&time.as_secs())).ok_or_else(|| {
            let (least, most) = (seconds.start(), seconds.end());
            format!("it must be a duration such as `30s` or `10m`, from `{least}s` to `{most}s`")
        })
    }
}

fn any_duration(value: &Value) -> Option<std::time::Duration> {
    let text = value.as_str()?;
    let unit = text.chars().last()?;
    let number: u64 = text.trim_end_matches(unit).parse().ok()?;
    let seconds = match unit {
        's' => Some(number),
        'm' => number.checked_mul(60),
        'h' => number.checked_mul(3600),
        _ => None,
    };
    seconds.filter(|seconds| 0 < *seconds).map(std::time::Duration::from_secs)
}

/// A positive number of seconds, at most the twelve hours that SQS lets a message be in flight.
/// Source: SQS API, `VisibilityTimeout`.
fn seconds(value: &Value) -> Result<std::time::Duration, String> {
    let number = value.as_f64().filter(|n| (0.001..=43_200.0).contains(n));
    number
        .map(std::time::Duration::from_secs_f64)
        .ok_or_else(|| "it must be a number of seconds from 0.001 to 43200".to_owned())
}

#[cfg(test)]
mod tests;
