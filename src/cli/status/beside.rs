//! What stands beside one worker's tasks: its last decisions, its dead letters, and where its logs are.

use decision::config::{QueueRef, Worker};
use decision::definition::TaskDefinition;
use decision::units::Arn;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::aws::{LogLines, Logged, ReadCloud};
use crate::cli::deployment::Deployment;
use crate::cli::explain::records;
use crate::cli::page::quoted;

/// So far back its decisions are looked for.
const LOOKED_BACK: SignedDuration = SignedDuration::from_hours(1);

/// For so long a revision is new.
const NEW: SignedDuration = SignedDuration::from_hours(24);

/// As many of its last decisions are shown.
const MOST_DECISIONS: usize = 5;

/// What a tick has decided for a worker, by the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionRow {
    /// The tick, as the result names it.
    pub tick: String,
    /// What came of it, in one word of the result.
    pub outcome: String,
    /// Tasks that were started.
    pub started: u64,
    /// The arithmetic, or what went wrong.
    pub why: String,
}

/// The queue of messages that nobody could process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetters {
    /// Its name.
    pub queue: String,
    /// Messages in it; absent where it could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<u64>,
    /// A message comes there after so many receives.
    pub max_receive_count: u64,
}

/// What the next task is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BaseRevision {
    /// As `family:revision`.
    pub revision: String,
    /// When it was registered, in UTC, where ECS says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered: Option<String>,
    /// Whether that was within a day: what goes wrong now may come from it.
    pub is_new: bool,
}

impl BaseRevision {
    pub(in crate::cli) fn new(
        revision: &str,
        registered: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        Self {
            revision: revision.to_owned(),
            registered: registered.map(|at| at.to_string()),
            is_new: registered.is_some_and(|at| now.duration_since(at) < NEW),
        }
    }

    fn of(definition: &TaskDefinition, now: Timestamp) -> Self {
        let registered = definition.document.get("registeredAt").and_then(Value::as_f64);
        let registered = registered.and_then(|since| SignedDuration::try_from_secs_f64(since).ok());
        let registered = registered.and_then(|since| Timestamp::from_duration(since).ok());
        Self::new(definition.arn.family_and_revision(), registered, now)
    }
}

/// What stands beside a worker's tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Beside {
    pub(super) decisions: Vec<DecisionRow>,
    pub(super) dead_letters: Option<DeadLetters>,
    pub(super) logs: Vec<String>,
    pub(super) log_group: Option<String>,
    pub(super) queue_url: Option<String>,
    pub(super) base: Option<BaseRevision>,
    pub(super) notes: Vec<String>,
}

impl DecisionRow {
    /// The last ones that lines of the log have.
    fn last(logged: &Logged, worker: &str) -> Vec<Self> {
        let found = logged.lines.iter().flat_map(|line| records(&line.text, Some(worker)));
        let rows = found.flatten().map(|record| Self {
            why: record.sentence().to_owned(),
            tick: record.tick,
            outcome: record.outcome,
            started: record.started,
        });
        let rows: Vec<_> = rows.collect();
        let older = rows.len().saturating_sub(MOST_DECISIONS);
        rows.into_iter().skip(older).collect()
    }
}

impl Beside {
    /// What cannot be read is a note.
    pub(super) async fn of(
        worker: &Worker,
        deployment: &Deployment,
        cloud: &ReadCloud,
        now: Timestamp,
    ) -> Self {
        let mut beside = Self::default();
        Box::pin(beside.read_dead_letters(worker, cloud)).await;
        beside.queue_url = cloud.queue_url(&worker.queue).await.ok();
        match cloud.definition(&worker.task_definition).await {
            Ok(definition) => {
                beside.base = Some(BaseRevision::of(&definition, now));
                if let Some(Log { group, region, command }) = Log::of(worker, &definition) {
                    beside.logs.push(command);
                    let is_here = region.is_none_or(|region| region == cloud.region().as_str());
                    beside.log_group = Some(group).filter(|_| is_here);
                }
            }
            Err(error) => beside.notes.push(format!("where its log is, is not known: {error}")),
        }
        let function = deployment.function.as_ref();
        beside.logs.extend(function.map(|function| {
            format!("queue-scaler explain {} --since 6h --function {function}", worker.name)
        }));
        // Last, as the log of many workers takes what time there is.
        if let Some(group) = &deployment.log_group {
            let pattern = format!("{{ $.message = \"worker {}: *\" }}", worker.name);
            let from = now.checked_sub(LOOKED_BACK).unwrap_or(now);
            let asked = LogLines { group, pattern: &pattern, from, to: now };
            Box::pin(beside.read_decisions(worker.name.as_str(), cloud, asked)).await;
        }
        beside
    }

    async fn read_decisions(&mut self, worker: &str, cloud: &ReadCloud, asked: LogLines<'_>) {
        match Box::pin(cloud.logged(asked)).await {
            // The oldest lines come first: what a part ends with is not what was decided last.
            Ok(Logged { is_cut: true, .. }) => {
                let why = "its last decisions are not shown: the log has too many lines";
                self.notes.push(format!("{why}; `queue-scaler explain` takes a shorter --since"));
            }
            Ok(logged) => self.decisions = DecisionRow::last(&logged, worker),
            Err(error) => self.notes.push(format!("its decisions are not known: {error}")),
        }
    }

    async fn read_dead_letters(&mut self, worker: &Worker, cloud: &ReadCloud) {
        let settings = match cloud.queue_settings(&worker.queue).await {
            Ok(settings) => settings,
            Err(error) => {
                return self.notes.push(format!("its dead letters are not known: {error}"));
            }
        };
        let Some(redrive) = settings.redrive else { return };
        let Some(queue) = Arn::parse(&redrive.target).and_then(|arn| QueueRef::of_arn(&arn)) else {
            return;
        };
        let read = cloud.queue(&queue).await;
        let messages = read.as_ref().ok().map(|read| read.queue.depth.total().0);
        let error = read.err().map(|error| format!("its dead letters are not known: {error}"));
        self.notes.extend(error);
        self.dead_letters = Some(DeadLetters {
            queue: queue.name().to_owned(),
            messages,
            max_receive_count: redrive.max_receive_count,
        });
    }
}

/// Where the log of a worker container is, where CloudWatch has it.
struct Log {
    group: String,
    /// Where that is, where it is said.
    region: Option<String>,
    /// What shows it.
    command: String,
}

impl Log {
    /// Source: ECS developer guide, "Send Amazon ECS logs to CloudWatch": streams are PREFIX/CONTAINER/TASK.
    fn of(worker: &Worker, definition: &TaskDefinition) -> Option<Self> {
        let name =
            |container: &Value| container.get("name").and_then(Value::as_str).map(str::to_owned);
        let is_it = |container: &&Value| match &worker.container {
            Some(wanted) => name(container).as_ref() == Some(wanted),
            None => true,
        };
        let container = definition.containers().find(is_it)?;
        let log = container.get("logConfiguration")?;
        if log.get("logDriver").and_then(Value::as_str) != Some("awslogs") {
            return None;
        }
        let option = |key: &str| log.pointer(&format!("/options/{key}")).and_then(Value::as_str);
        let group = option("awslogs-group")?;
        let streams = option("awslogs-stream-prefix").zip(name(container));
        let streams = streams.map(|(prefix, name)| {
            format!(" --log-stream-name-prefix {}", quoted(&format!("{prefix}/{name}")))
        });
        let region = option("awslogs-region");
        let by_region = region.map(|region| format!(" --region {}", quoted(region)));
        let (streams, by_region) = (streams.unwrap_or_default(), by_region.unwrap_or_default());
        let command =
            format!("aws logs tail {}{streams}{by_region} --since 1h --follow", quoted(group));
        Some(Self { group: group.to_owned(), region: region.map(str::to_owned), command })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_new_for_a_day() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let registered = at("2026-11-20T10:20:00Z");
        let is_new = |registered, now| BaseRevision::new("encode:18", registered, at(now)).is_new;
        assert!(is_new(Some(registered), "2026-11-21T10:19:59Z"));
        assert!(!is_new(Some(registered), "2026-11-21T10:20:00Z"));
        assert!(!is_new(None, "2026-11-21T10:19:59Z"));
    }
}
