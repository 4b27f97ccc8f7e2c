//! One worker, closely: its tasks, and what became of those of the last hour.

use std::collections::BTreeMap;
use std::time::Duration;

use decision::config::Worker;
use decision::decide::TaskContainers;
use decision::snapshot::{ContainerStatus, Task};
use decision::units::elapsed;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::beside::Beside;
use super::{Asked, BaseRevision, DeadLetters, DecisionRow, EndedTask, HelpPage, Row};
use crate::cli::explain::came_to;
use crate::cli::page::{Clock, Meaning, Page, age, counted, grouped, plain, short_id};
use crate::cli::table::{Column, fitted};

/// The name of this shape.
const SCHEMA: &str = "queue-scaler.worker";

/// Grows when a field gets another meaning or goes away, never when one is added.
const VERSION: u32 = 1;

/// As many tasks as a person reads.
const MOST_SHOWN: usize = 50;

/// As many ways to end.
const MOST_REASONS: usize = 10;

/// One worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkerView {
    /// `queue-scaler.worker`
    pub schema: String,
    /// Which version of this shape it is.
    pub version: u32,
    /// When, in UTC.
    pub at: String,
    /// As among all workers.
    #[serde(flatten)]
    pub row: Row,
    /// Its tasks that have not come to their end, the oldest first.
    pub alive: Vec<TaskRow>,
    /// Those that ended within the last hour, by how, what was last first.
    pub ended: Vec<EndedRow>,
    /// Those that ended badly before that, as far as they are remembered.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub ended_before: Vec<EndedRow>,
    /// What the function has logged of its last decisions, the newest last; none without a function.
    pub decisions: Vec<DecisionRow>,
    /// The dead-letter queue of its queue, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<DeadLetters>,
    /// Commands that show its logs.
    pub logs: Vec<String>,
    /// The log group of its worker container, where CloudWatch has its log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_group: Option<String>,
    /// Its queue, as the configuration names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Where that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_url: Option<String>,
    /// The revision that its next task is made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseRevision>,
    /// Its settings, as the configuration has them: what is run where, and what its arithmetic goes by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<Value>,
    /// What else somebody should know.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<String>,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskRow {
    /// Its id: the end of its ARN.
    pub task: String,
    /// Its ARN.
    pub arn: String,
    /// How far it is: `provisioning`, `starting`, `running` or `stopping`.
    pub state: &'static str,
    /// Since when it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age_seconds: Option<u64>,
    /// Its worker containers.
    pub containers: u64,
    /// Of these, the ones that run.
    pub running: u64,
    /// Of these, the ones that have stopped.
    pub stopped: u64,
    /// All of its containers, sidecars too, as far as ECS shows them.
    pub states: Vec<ContainerRow>,
    /// CPU units that it has, where ECS gives them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u64>,
    /// MiB that it has, where ECS gives them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// By which capacity it was started.
    pub capacity: String,
    /// The container instance that it stands on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// What it runs, as `family:revision`.
    pub revision: String,
}

/// A container of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerRow {
    /// Its name.
    pub name: String,
    /// `starting`, `running` or `stopped`.
    pub state: &'static str,
    /// Of one that has stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
}

/// Tasks that ended alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndedRow {
    /// How many.
    pub tasks: u64,
    /// ECS's `stopCode`.
    pub code: String,
    /// ECS's `stoppedReason`.
    pub reason: String,
    /// The exit codes of their containers, such as `exit 0`, and ECS's words for them.
    pub exits: Vec<String>,
    /// How long ago the last of them ended.
    pub seconds_ago: u64,
}

/// What is added to a row.
pub(super) struct Closely {
    pub(super) at: String,
    pub(super) tasks: Vec<TaskRow>,
    pub(super) ended: Vec<EndedRow>,
    pub(super) notes: Vec<String>,
}

impl TaskRow {
    pub(super) fn of(task: &Task, container: Option<&str>, now: Timestamp) -> Self {
        let TaskContainers { all, running, stopped } = TaskContainers::of(task, container, now);
        Self {
            task: short_id(task.arn.as_str()).to_owned(),
            arn: task.arn.to_string(),
            state: state_of(task),
            age_seconds: task.created.map(|created| elapsed(created, now).as_secs()),
            containers: u64::from(all.0),
            running: u64::from(running.0),
            stopped: u64::from(stopped.0),
            states: task.containers.iter().map(|(name, is)| ContainerRow::of(name, *is)).collect(),
            cpu: task.shape.map(|shape| u64::from(shape.size.cpu.0)),
            memory: task.shape.map(|shape| u64::from(shape.size.memory.0)),
            capacity: task.capacity.to_string(),
            instance: task.instance.as_ref().map(|on| short_id(on.as_str()).to_owned()),
            revision: task.revision.family_and_revision().to_owned(),
        }
    }

    pub(super) fn leaving(task: &Task, container: Option<&str>, now: Timestamp) -> Self {
        Self { state: "stopping", ..Self::of(task, container, now) }
    }
}

/// What is run where, and how. Overrides may hold secrets, and are none of it.
fn settings_of(worker: &Worker) -> Value {
    let capacity: Vec<_> = worker.launch.rungs.iter().map(ToString::to_string).collect();
    let written = worker.settings();
    let written = written.as_ref().and_then(Value::as_object).into_iter().flatten();
    let written = written.map(|(section, value)| (section.as_str(), value.clone()));
    let named = worker.container.iter().map(|name| ("container", json!(name)));
    let first = [
        ("queue", json!(worker.queue.to_string())),
        ("cluster", json!(worker.cluster)),
        ("taskDefinition", json!(worker.task_definition)),
        ("capacity", json!(capacity)),
    ];
    first.into_iter().chain(named).chain(written).collect()
}

/// How far a task is that is not on its way out.
pub(in crate::cli) fn state_of(task: &Task) -> &'static str {
    match task.started {
        Some(_) => "running",
        None if task.provisioning => "provisioning",
        None => "starting",
    }
}

impl ContainerRow {
    pub(in crate::cli) fn of(name: &str, status: ContainerStatus) -> Self {
        let (state, exit_code) = match status {
            ContainerStatus::Starting => ("starting", None),
            ContainerStatus::Running => ("running", None),
            ContainerStatus::Stopped(code) => ("stopped", code),
        };
        Self { name: name.to_owned(), state, exit_code }
    }
}

impl EndedRow {
    /// Tasks by how they ended, what was last first.
    pub(super) fn counted(ended: impl Iterator<Item = EndedTask>, now: Timestamp) -> Vec<Self> {
        let mut rows = BTreeMap::<_, Self>::new();
        for EndedTask { stopped, code, reason, exits, .. } in ended {
            let ago = elapsed(stopped, now).as_secs();
            let key = (code.clone(), reason.clone(), exits.clone());
            let row = Self { tasks: 0, code, reason, exits, seconds_ago: ago };
            let row = rows.entry(key).or_insert(row);
            row.tasks = row.tasks.saturating_add(1);
            row.seconds_ago = row.seconds_ago.min(ago);
        }
        let mut rows: Vec<_> = rows.into_values().collect();
        rows.sort_by_key(|row| row.seconds_ago);
        rows
    }
}

impl WorkerView {
    pub(super) fn new(row: Row, closely: Closely) -> Self {
        let Closely { at, tasks, ended, notes } = closely;
        Self {
            schema: SCHEMA.to_owned(),
            version: VERSION,
            at,
            row,
            alive: tasks,
            ended,
            ended_before: Vec::new(),
            decisions: Vec::new(),
            dead_letters: None,
            logs: Vec::new(),
            log_group: None,
            queue: None,
            queue_url: None,
            base: None,
            settings: None,
            notes,
        }
    }

    /// One of these tasks, of which no more is known.
    pub fn of_tasks(row: Row, now: Timestamp, tasks: Vec<TaskRow>) -> Self {
        let closely = Closely { at: now.to_string(), tasks, ended: Vec::new(), notes: Vec::new() };
        Self::new(row, closely)
    }

    pub(super) fn add(&mut self, worker: &Worker, beside: Beside) {
        let Beside { decisions, dead_letters, logs, log_group, queue_url, base, notes } = beside;
        self.queue = Some(worker.queue.to_string());
        self.queue_url = queue_url;
        self.settings = Some(settings_of(worker));
        self.log_group = log_group;
        self.base = base;
        self.decisions = decisions;
        self.dead_letters = dead_letters;
        self.logs = logs;
        self.notes.extend(notes);
    }

    /// The whole page.
    pub fn page(&self, asked: &Asked) -> String {
        let mut page = Page::new(asked.width);
        self.write_state(&mut page, &asked.clock);
        if let Some(HelpPage { path, .. }) = self.row.urgency.page() {
            page.entry("", &format!("what to do: {path}"));
        }
        if !self.alive.is_empty() {
            page.gap();
            for line in self.tasks(asked.width, MOST_SHOWN) {
                page.line(Meaning::Plain, &line);
            }
        }
        if let Some(more) = self.alive.len().checked_sub(MOST_SHOWN).filter(|more| *more != 0) {
            page.entry("", &format!("and {more} more, in --json"));
        }
        self.write_rest(&mut page, &asked.clock);
        page.text()
    }

    /// How it is, and why.
    pub fn write_state(&self, page: &mut Page, clock: &Clock) {
        let row = &self.row;
        let state = format!("{} {}", row.urgency.words(), row.note);
        page.entry_of(row.urgency.meaning(), &format!("{}  ", row.worker), state.trim_end());
        page.entry("", &row.why);
        if let Some(oldest) = row.oldest_seconds {
            let oldest = age(Duration::from_secs(oldest));
            page.entry("", &format!("the oldest message has waited for {oldest}"));
        }
        let new = self.base.as_ref().filter(|base| base.is_new);
        if let Some(BaseRevision { revision, registered: Some(since), .. }) = new {
            page.entry("", &format!("{revision} is new since {}", clock.shown(since)));
        }
        self.write_dead_letters(page);
    }

    /// What stands below its tasks.
    pub fn write_rest(&self, page: &mut Page, clock: &Clock) {
        write_ended("ended within the hour that ECS remembers:", &self.ended, page);
        write_ended("ended badly before that:", &self.ended_before, page);
        self.write_decisions(page, clock);
        if !self.logs.is_empty() {
            page.gap();
            self.logs.iter().for_each(|command| page.line(Meaning::Aside, &format!("$ {command}")));
        }
        for note in &self.notes {
            page.entry_of(Meaning::Warning, "! ", note);
        }
        page.entry("", &format!("read {}", clock.shown(&self.at)));
    }

    /// Its tasks as rows below a head, and no more than so many.
    pub fn tasks(&self, width: usize, most: usize) -> Vec<String> {
        let shown = self.alive.get(..most).unwrap_or(&self.alive);
        table(shown, width).lines().map(|line| line.trim_end().to_owned()).collect()
    }

    fn write_dead_letters(&self, page: &mut Page) {
        let Some(DeadLetters { queue, messages, max_receive_count }) = &self.dead_letters else {
            return;
        };
        let after = format!("where a message comes after {max_receive_count} receives");
        match messages {
            Some(0) => page.entry("", &format!("no dead letters in {queue}, {after}")),
            Some(n) => {
                let text = format!("{} in {queue}, {after}", counted(*n, "dead letter"));
                page.entry_of(Meaning::Warning, "! ", &text);
            }
            None => {}
        }
    }

    fn write_decisions(&self, page: &mut Page, clock: &Clock) {
        if self.decisions.is_empty() {
            return;
        }
        page.gap();
        page.entry("", "decided within the last hour:");
        for DecisionRow { tick, outcome, started, why } in &self.decisions {
            let started = match started {
                0 => String::new(),
                n => format!(", {}", came_to(outcome, *n)),
            };
            let colon = if why.is_empty() { "" } else { ": " };
            let head = format!("{}  ", clock.shown(tick));
            page.entry(&head, &format!("{outcome}{started}{colon}{why}"));
        }
    }
}

fn write_ended(head: &str, ended: &[EndedRow], page: &mut Page) {
    if ended.is_empty() {
        return;
    }
    page.gap();
    page.entry("", head);
    ended.iter().take(MOST_REASONS).for_each(|ended| ended.write(page));
    if let Some(more) = ended.len().checked_sub(MOST_REASONS).filter(|more| *more != 0) {
        page.entry("", &format!("and {more} other ways before"));
    }
}

impl EndedRow {
    fn write(&self, page: &mut Page) {
        let Self { tasks, code, reason, exits, seconds_ago } = self;
        let ago = age(Duration::from_secs(*seconds_ago));
        let parts = [code.as_str(), reason.as_str()].into_iter().filter(|part| !part.is_empty());
        let parts: Vec<_> =
            std::iter::once(exits.join(", ")).chain(parts.map(str::to_owned)).collect();
        page.entry(&format!("{tasks:>5} x "), &format!("{}; the last {ago} ago", parts.join("; ")));
    }
}

/// The columns of its tasks.
const COLUMNS: [Column; 10] = [
    ("TASK", 0, false),
    ("STATE", 0, false),
    ("AGE", 2, true),
    ("RUNNING", 0, true),
    ("STOPPED", 4, true),
    ("OF", 3, true),
    ("CPU", 6, true),
    ("MEMORY", 5, true),
    ("ON", 7, false),
    ("REVISION", 1, false),
];

fn table(tasks: &[TaskRow], width: usize) -> String {
    let known = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), grouped);
    let mut rows = Vec::new();
    for task in tasks {
        let on = match &task.instance {
            Some(instance) => format!("{} {instance}", task.capacity),
            None => task.capacity.clone(),
        };
        let since =
            task.age_seconds.map_or_else(|| "-".to_owned(), |s| age(Duration::from_secs(s)));
        rows.push(vec![
            plain(task.task.get(..8).unwrap_or(&task.task)).into_owned(),
            task.state.to_owned(),
            since,
            task.running.to_string(),
            task.stopped.to_string(),
            task.containers.to_string(),
            known(task.cpu),
            known(task.memory),
            plain(&on).into_owned(),
            plain(&task.revision).into_owned(),
        ]);
    }
    fitted(&COLUMNS, &rows, width)
}
