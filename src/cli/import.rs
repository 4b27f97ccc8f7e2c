//! `import keda`: `ScaledJob` and `ScaledObject` manifests with an SQS trigger as workers. What has no
//! counterpart, and what means something else here, is in comments.
//!
//! Source: KEDA documentation, "Scaling Jobs", "Scaling Deployments", "AWS SQS Queue".

use decision::redaction::cut;
use serde_json::Value;

use super::page::plain;
use super::yaml::quoted;

/// KEDA's own, where a manifest says none.
const QUEUE_LENGTH: u64 = 5;
const MAX_REPLICAS: u64 = 100;

/// As much of a text of somebody's as a comment shows, in bytes.
const LONGEST: usize = 200;

/// Manifests that were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The file.
    pub text: String,
    /// Workers in it.
    pub workers: usize,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// Why a manifest is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{source_name}: it is no YAML: {why}")]
pub struct NoManifest {
    source_name: String,
    why: String,
}

/// A worker as lines of the file.
struct Converted {
    name: String,
    lines: Vec<String>,
}

/// Makes a configuration of manifests. Each text may have several documents.
///
/// # Errors
/// When one is no YAML.
pub fn keda(manifests: &[(String, String)]) -> Result<Imported, NoManifest> {
    let mut notes = Vec::new();
    let mut workers: Vec<Converted> = Vec::new();
    for (source_name, text) in manifests {
        let documents: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| {
            let why =
                cut(&error.to_string(), LONGEST).0.lines().next().unwrap_or_default().to_owned();
            NoManifest { source_name: source_name.clone(), why }
        })?;
        if documents.iter().all(Value::is_null) {
            notes.push(format!("{source_name}: there is no manifest in it"));
        }
        for document in documents.iter().flat_map(listed) {
            convert(document, source_name, &mut workers, &mut notes);
        }
    }
    let mut lines = vec![
        "# Made by `queue-scaler import keda`. What a comment says has no counterpart here, or means something else."
            .to_owned(),
        "# Each taskDefinition has to exist in ECS: `queue-scaler validate --aws` says what is missing.".to_owned(),
        "cluster: default     # the ECS cluster".to_owned(),
        "launch:".to_owned(),
        "  launchType: FARGATE".to_owned(),
        "  # networkConfiguration:".to_owned(),
        "  #   awsvpcConfiguration: {subnets: [subnet-...], securityGroups: [sg-...]}".to_owned(),
        "workers:".to_owned(),
    ];
    if workers.is_empty() {
        lines.push("  []".to_owned());
    }
    let count = workers.len();
    lines.extend(workers.into_iter().flat_map(|worker| worker.lines));
    lines.push(String::new());
    Ok(Imported { text: lines.join("\n"), workers: count, notes })
}

/// The manifests of a `List`, or the one.
fn listed(document: &Value) -> Vec<&Value> {
    let items = document.get("items").and_then(Value::as_array);
    items.map_or_else(|| vec![document], |items| items.iter().collect())
}

fn convert(
    document: &Value,
    source_name: &str,
    workers: &mut Vec<Converted>,
    notes: &mut Vec<String>,
) {
    let kind = text(document, "/kind").unwrap_or_default();
    let name = text(document, "/metadata/name").unwrap_or_default();
    if !["ScaledJob", "ScaledObject"].contains(&kind) {
        if !document.is_null() {
            let what = if kind.is_empty() { "a document without a kind" } else { kind };
            notes.push(format!("{source_name}: {} was left out", cut(what, LONGEST).0));
        }
        return;
    }
    let triggers = document.pointer("/spec/triggers").and_then(Value::as_array);
    let triggers: Vec<_> = triggers.into_iter().flatten().collect();
    let is_sqs = |trigger: &&&Value| text(trigger, "/type") == Some("aws-sqs-queue");
    let of_sqs: Vec<_> = triggers.iter().filter(is_sqs).collect();
    if of_sqs.is_empty() {
        notes.push(format!(
            "{source_name}: {kind} {name} has no trigger aws-sqs-queue, and was left out"
        ));
    }
    for trigger in triggers.iter().filter(|trigger| !is_sqs(trigger)) {
        let what = cut(text(trigger, "/type").unwrap_or("no type"), LONGEST).0;
        if !of_sqs.is_empty() {
            notes.push(format!(
                "{source_name}: the trigger {what} of {kind} {name} was left out: only its queue starts containers"
            ));
        }
    }
    // Kubernetes allows a dot.
    let family = &name.replace('.', "-");
    for (index, trigger) in of_sqs.iter().enumerate() {
        let name = if index == 0 {
            family.to_owned()
        } else {
            format!("{family}-{}", index.saturating_add(1))
        };
        if workers.iter().any(|worker| worker.name == name) {
            notes.push(format!("{source_name}: there is a second {name}, which was left out"));
            continue;
        }
        let manifest = Manifest { document, trigger, is_job: kind == "ScaledJob" };
        workers.push(Converted { lines: manifest.lines(&name, family), name });
    }
}

/// One trigger of a manifest.
struct Manifest<'a> {
    document: &'a Value,
    trigger: &'a Value,
    is_job: bool,
}

impl Manifest<'_> {
    /// All triggers of a manifest start the same.
    fn lines(&self, name: &str, family: &str) -> Vec<String> {
        let mut lines = vec![format!("  - name: {}", quoted(name))];
        match self.queue() {
            Some(queue) => lines.push(format!("    queue: {}", quoted(&queue))),
            None => {
                lines.push("    queue: QUEUE     # queueURLFromEnv: the value is in the container's environment".to_owned());
            }
        }
        let image = self.containers().find_map(|container| text(container, "/image"));
        let image =
            image.map(|image| format!("     # with image {}", plain(cut(image, LONGEST).0)));
        lines.push(format!("    taskDefinition: {}{}", quoted(family), image.unwrap_or_default()));
        let mut containers = self.containers();
        if let (Some(first), Some(_)) = (containers.next(), containers.next()) {
            let first = text(first, "/name").unwrap_or("worker");
            lines.push(format!("    container: {}     # the first of several", quoted(first)));
        }
        if self.is_paused() {
            lines.push("    paused: true     # as it is there".to_owned());
        }
        lines.extend(self.scaling());
        lines.extend(self.comments().into_iter().map(|comment| format!("    # {comment}")));
        lines
    }

    /// By URL, or by the name alone, as KEDA takes both.
    fn queue(&self) -> Option<String> {
        text(self.trigger, "/metadata/queueURL").map(str::to_owned)
    }

    /// By the annotation, or by a bound that lets nothing run.
    fn is_paused(&self) -> bool {
        let annotation = "/metadata/annotations/autoscaling.keda.sh~1paused";
        let most = self.document.pointer("/spec/maxReplicaCount").and_then(whole);
        flag(self.document, annotation) == Some(true) || most == Some(0)
    }

    fn containers(&self) -> impl Iterator<Item = &Value> {
        let path = "/spec/jobTargetRef/template/spec/containers";
        self.document.pointer(path).and_then(Value::as_array).into_iter().flatten()
    }

    fn scaling(&self) -> Vec<String> {
        let number = |pointer: &str| self.document.pointer(pointer).and_then(whole);
        let length = self.trigger.pointer("/metadata/queueLength").and_then(whole);
        let most = number("/spec/maxReplicaCount").filter(|most| *most != 0);
        let least = number("/spec/minReplicaCount").filter(|least| *least != 0);
        let most = most.unwrap_or(MAX_REPLICAS.max(least.unwrap_or_default()));
        let mut lines = vec!["    scaling:".to_owned()];
        let of_keda = if length.is_none() { "     # KEDA's default" } else { "" };
        let messages = length.unwrap_or(QUEUE_LENGTH).max(1);
        lines.push(format!("      messagesPerContainer: {messages}{of_keda}"));
        lines.push(format!("      maxContainers: {most}"));
        if let Some(least) = least {
            lines.push(format!("      minContainers: {}", least.min(most)));
        }
        if flag(self.trigger, "/metadata/scaleOnDelayed") == Some(true) {
            lines.push("      countDelayed: true".to_owned());
        }
        lines
    }

    /// What changes its meaning, and what there is not.
    fn comments(&self) -> Vec<String> {
        let spec = |key: &str| self.document.pointer(&format!("/spec/{key}"));
        let shown = |value: &Value| cut(&value.to_string(), LONGEST).0.to_owned();
        let mut comments = Vec::new();
        if flag(self.trigger, "/metadata/scaleOnInFlight") == Some(false) {
            comments.push(
                "scaleOnInFlight: false: here messages in flight count as far as running containers hold them; those \
                 of a crashed one come back as visible",
            );
        }
        let mut comments: Vec<_> = comments.into_iter().map(str::to_owned).collect();
        if !self.is_job {
            comments.push(
                "A ScaledObject's replicas never end: a container here takes messages until the queue is empty, and \
                 exits"
                    .to_owned(),
            );
        }
        if spec("minReplicaCount").and_then(whole).is_some_and(|least| least != 0) {
            comments.push(
                "minReplicaCount: such containers are started again whenever they end".to_owned(),
            );
        }
        for (key, instead) in OTHERS {
            // One of each is what there is here.
            let is_of_one = key.ends_with("parallelism") || key.ends_with("completions");
            let is_said = |value: &&Value| !(is_of_one && value.as_u64() == Some(1));
            if let Some(value) = spec(key).filter(is_said) {
                let path = key.replace('/', ".");
                comments.push(format!("{path}: {}: {instead}", shown(value)));
            }
        }
        comments.extend(self.comments_of_trigger());
        comments
    }

    fn comments_of_trigger(&self) -> Vec<String> {
        let said = |pointer: &str| {
            let value = self.trigger.pointer(pointer).filter(|value| value.as_str() != Some(""))?;
            // KEDA's texts are numbers, too, and are shown as they stand.
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Some(plain(cut(&text, LONGEST).0).into_owned())
        };
        let of_trigger = OF_TRIGGER.iter().filter_map(|(pointer, instead)| {
            let name = pointer.split('/').find(|part| !["", "metadata"].contains(part))?;
            Some(format!("{name}: {}: {instead}", said(pointer)?))
        });
        of_trigger.collect()
    }
}

/// Members of a trigger that are no key here, and what there is instead.
const OF_TRIGGER: [(&str, &str); 4] = [
    ("/metadata/awsRegion", "a scaler serves the queues of its own Region"),
    ("/metadata/awsEndpoint", "a scaler asks the endpoints of its own Region"),
    (
        "/authenticationRef/name",
        "the scaler reads the queue by its own role, and a container by that of its task",
    ),
    ("/metadata/activationQueueLength", "one message starts a container here"),
];

const ROLLOUT: &str = "no deployment ends what runs: it goes on with what it was started with";

const HISTORY: &str = "ECS remembers for an hour what has ended";

/// Keys of a manifest that are no key here, and what there is instead.
const OTHERS: [(&str, &str); 15] = [
    ("pollingInterval", "the schedule's period, a minute at least, or pollEvery within it"),
    ("cooldownPeriod", "a container ends by itself when the queue is empty"),
    ("idleReplicaCount", "minContainers, also for windows of time"),
    (
        "scalingStrategy/strategy",
        "one way of counting here, in which nothing is started twice for a message",
    ),
    ("scalingStrategy/multipleScalersCalculation", "each queue is a worker with bounds of its own"),
    ("rolloutStrategy", ROLLOUT),
    ("rollout/strategy", ROLLOUT),
    ("successfulJobsHistoryLimit", HISTORY),
    ("failedJobsHistoryLimit", HISTORY),
    ("jobTargetRef/activeDeadlineSeconds", "ECS ends no task for its age: let the worker do it"),
    ("jobTargetRef/backoffLimit", "the queue's maxReceiveCount says how often a message is tried"),
    (
        "jobTargetRef/parallelism",
        "packing.maxContainersPerTask puts several containers into a task",
    ),
    ("jobTargetRef/completions", "a container is one of as many as the queue asks for"),
    ("fallback", "a queue that cannot be read starts nothing, and is reported"),
    ("advanced", "there is no autoscaler between: each tick counts anew"),
];

fn text<'a>(of: &'a Value, pointer: &str) -> Option<&'a str> {
    of.pointer(pointer).and_then(Value::as_str)
}

/// KEDA's metadata are texts.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn flag(of: &Value, pointer: &str) -> Option<bool> {
    let value = of.pointer(pointer)?;
    value.as_bool().or_else(|| value.as_str()?.trim().parse().ok())
}
