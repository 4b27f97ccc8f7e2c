//! One worker of the day that nobody has, closely.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{Demo, FAILED, Matter, REGION, SIZE, STEP, Worker};
use crate::cli::status::{
    BaseRevision, ContainerRow, DeadLetters, DecisionRow, EndedRow, TaskRow, WorkerView,
};

const ACCOUNT: &str = "123456789012";

/// Decisions that are shown.
const DECISIONS: i64 = 4;

impl Demo {
    /// One worker closely.
    pub fn worker(&self, name: &str) -> Option<WorkerView> {
        let worker = self.workers.iter().find(|worker| worker.name == name)?;
        let view = WorkerView::of_tasks(worker.row(), self.at, worker.tasks());
        Some(WorkerView {
            ended: worker.ended().into_iter().collect(),
            decisions: worker.decisions(self.at),
            dead_letters: Some(worker.dead_letters()),
            logs: vec![format!("aws logs tail /ecs/{name} --since 1h --follow")],
            log_group: Some(format!("/ecs/{name}")),
            queue: Some(name.to_owned()),
            queue_url: Some(format!("https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}")),
            base: Some(worker.base(self.at)),
            settings: Some(worker.settings()),
            ..view
        })
    }
}

impl Worker {
    fn ended(&self) -> Option<EndedRow> {
        (self.matter == Matter::Fails).then(|| EndedRow {
            tasks: FAILED,
            code: "EssentialContainerExited".to_owned(),
            reason: "Essential container in task exited".to_owned(),
            exits: vec![
                "exit 137 OutOfMemoryError: Container killed due to memory usage".to_owned(),
            ],
            seconds_ago: 240,
        })
    }

    /// Of the last minutes, the newest last: what waits now has waited then.
    fn decisions(&self, now: Timestamp) -> Vec<DecisionRow> {
        let is_read = self.matter != Matter::Denied;
        let minute = now.as_second().div_euclid(60) * 60;
        let ticks = (0..DECISIONS).rev().filter_map(|ago| {
            Timestamp::from_second(minute).ok()?.checked_sub(SignedDuration::from_mins(ago)).ok()
        });
        let row = |tick: Timestamp| DecisionRow {
            tick: tick.to_string(),
            outcome: if is_read { "idle" } else { "failed" }.to_owned(),
            started: 0,
            why: if is_read { self.why() } else { self.denied() },
        };
        ticks.map(row).collect()
    }

    fn dead_letters(&self) -> DeadLetters {
        let messages = if self.matter == Matter::Fails { FAILED } else { 0 };
        let queue = format!("{}-dead", self.name);
        DeadLetters { queue, messages: Some(messages), max_receive_count: 5 }
    }

    /// Of the one that fails somebody has just registered a revision.
    fn base(&self, now: Timestamp) -> BaseRevision {
        let registered = match self.matter {
            Matter::Fails => "2026-11-20T08:20:00Z",
            _ => "2026-10-21T09:00:00Z",
        };
        BaseRevision::new(&format!("{}:7", self.name), registered.parse().ok(), now)
    }

    fn settings(&self) -> serde_json::Value {
        json!({
            "queue": self.name,
            "cluster": "jobs",
            "taskDefinition": self.name,
            "capacity": ["FARGATE_SPOT", "FARGATE"],
            "scaling": {"messagesPerContainer": 1, "maxContainers": self.cap},
        })
    }

    fn tasks(&self) -> Vec<TaskRow> {
        let states = [("running", self.running), ("starting", self.starting.max(self.stuck()))];
        let all = states.into_iter().flat_map(|(state, count)| (0..count).map(move |_| state));
        let id =
            |n: u64| format!("{:08x}", n.wrapping_add(1).wrapping_mul(2_654_435_761) % (1 << 32));
        let tasks = (0_u64..).zip(all).map(|(number, state)| TaskRow {
            task: id(number),
            arn: format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task/jobs/{}", id(number)),
            state,
            age_seconds: Some(self.waits.saturating_mul(STEP.as_secs().unsigned_abs())),
            containers: 1,
            running: u64::from(state == "running"),
            stopped: 0,
            states: ["worker", "log-router"]
                .map(|name| ContainerRow { name: name.to_owned(), state, exit_code: None })
                .to_vec(),
            cpu: Some(u64::from(SIZE.cpu.0)),
            memory: Some(u64::from(SIZE.memory.0)),
            capacity: "FARGATE_SPOT".to_owned(),
            instance: None,
            revision: format!("{}:7", self.name),
        });
        tasks.collect()
    }
}
