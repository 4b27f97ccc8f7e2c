//! What a process knows of how a worker's queue moves, from one look at its tasks to the next. Pure data.
//!
//! Its arithmetic, and why it is so, is in `decide/progress.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::Depth;
use crate::units::{Containers, Credit, Messages, RevisionArn, TaskArn};

/// How a worker's queue moves, and what that leaves to start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The queue's messages at the last looks, the newest first.
    pub totals: Vec<Messages>,
    /// What the queue alone showed since, where nobody has looked at the tasks.
    pub glances: Vec<(Timestamp, Depth)>,
    /// Containers that could be holding a message at the last looks, the newest first.
    pub held: Vec<Containers>,
    /// Containers that the messages would occupy which were in flight then, and which nobody of ours
    /// could be holding.
    pub locked: Containers,
    /// What may be started; none for as much as is ever allowed.
    pub credit: Option<Credit>,
    /// How long nothing is tried after a launch.
    pub pause: Duration,
    /// When the pause that runs is over.
    pub resumes: Option<Timestamp>,
    /// The base revision at the last look at the tasks.
    pub base: Option<RevisionArn>,
    /// Containers that were started while the circuit breaker was open.
    pub canaries: Containers,
    /// The tasks that were seen alive, or were started since.
    pub tasks: BTreeMap<TaskArn, TaskSeen>,
    /// What was started ahead of messages.
    pub ahead: Ahead,
    /// What ran without a message.
    pub idling: Idling,
}

/// The worker containers of a task at the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskSeen {
    /// Those that ran.
    pub running: Containers,
    /// Those that had stopped.
    pub stopped: Containers,
    /// Of these, the ones that had stopped with exit code 0.
    pub done: Containers,
    /// Those of which a message in flight is known that they could have held.
    pub vouched: Containers,
}

/// What was started while no message could be received, for a minimum or for delayed messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ahead {
    /// How long nothing more is started so after such a launch: its containers end by themselves.
    pub pause: Duration,
    /// When something was started last.
    pub launched: Option<Timestamp>,
}

/// What ran for some time beyond what the messages in flight can occupy, while messages waited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Idling {
    /// Since when messages have waited at every look.
    pub since: Option<Timestamp>,
    /// How many containers that were, at the last looks.
    pub looks: Vec<(Timestamp, Containers)>,
    /// How many of them are idle.
    pub idle: Containers,
    /// When that was proved.
    pub proved: Option<Timestamp>,
    /// Whether others of the worker were alive beside them at the last look at the tasks.
    pub has_others: bool,
}

impl Idling {
    /// The same when no message waits. Whoever was alone has taken the last one.
    #[must_use]
    pub fn rested(&self) -> Self {
        let known = if self.has_others { self.clone() } else { Self::default() };
        Self { since: None, looks: Vec::new(), ..known }
    }
}

/// What a launch came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Started {
    /// Its tasks.
    pub tasks: Vec<TaskArn>,
    /// Their containers.
    pub containers: Containers,
    /// Of these, the ones that the minimum asked for.
    pub for_minimum: Containers,
}

/// At a tick a minute, as far back as ECS shows what ended.
const MOST_GLANCES: usize = 60;

impl Progress {
    /// The queue's messages at the last look; none before the first, and after an empty queue.
    pub fn total(&self) -> Messages {
        self.totals.first().copied().unwrap_or_default()
    }

    /// The same after a look at the queue alone. What it means is seen when the tasks are looked at.
    #[must_use]
    pub fn glanced(&self, now: Timestamp, depth: Depth) -> Self {
        let mut next = self.clone();
        next.glances.push((now, depth));
        if depth.total() == Messages::ZERO {
            next.glances.clear();
            next.is_all_done();
        }
        let surplus = next.glances.len().saturating_sub(MOST_GLANCES);
        next.glances.drain(..surplus);
        next.idling = self.idling.rested();
        next
    }

    /// The queue is empty: nothing that was asked is left to do.
    pub fn is_all_done(&mut self) {
        self.totals.clear();
        (self.credit, self.pause, self.resumes) = (None, Duration::ZERO, None);
    }

    /// Takes over what was started for messages that can be received. What a minimum asks for neither
    /// pays nor spends.
    pub fn started(&mut self, at: Timestamp, started: Started) {
        let Started { tasks, containers, for_minimum } = started;
        let spent = Credit::of(containers.minus(for_minimum));
        self.credit = self.credit.map(|credit| credit.minus(spent));
        if spent != Credit::ZERO {
            self.resumes = at.checked_add(self.pause).ok();
        }
        self.tasks.extend(tasks.into_iter().map(|task| (task, TaskSeen::default())));
    }

    /// Takes over what was started ahead of messages.
    pub fn started_ahead(&mut self, at: Timestamp, tasks: Vec<TaskArn>) {
        self.ahead.launched = Some(at);
        self.tasks.extend(tasks.into_iter().map(|task| (task, TaskSeen::default())));
    }

    /// The wall clock was set back: what it would put after now was just now.
    pub fn set_back(&mut self, now: Timestamp) {
        let Idling { since, looks, idle: _, proved, has_others: _ } = &mut self.idling;
        let times = looks.iter_mut().map(|(at, _)| at);
        let times = times.chain(self.glances.iter_mut().map(|(at, _)| at));
        for time in times.chain(since).chain(proved).chain(&mut self.ahead.launched) {
            *time = now.min(*time);
        }
        let latest = now.checked_add(self.pause).unwrap_or(now);
        self.resumes = self.resumes.map(|at| at.min(latest));
    }
}
