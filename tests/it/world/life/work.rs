//! What a worker's queue holds, what its jobs are like, and what its containers do with them.

use std::collections::{BTreeMap, VecDeque};

use fastrand::Rng;

/// What a worker's containers do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Takes messages until the queue is empty.
    #[default]
    Loops,
    /// Takes one message, and ends.
    OneShot,
    /// Takes messages, and never ends.
    Stays,
    /// Takes so many messages at once, does one after the other, and ends when the queue is empty.
    Prefetches(usize),
    /// Deletes a message when it takes it, and works then.
    DeletesFirst,
    /// Ends with exit code 0 and has taken nothing.
    ExitsAtOnce,
    /// Runs, and never takes anything.
    Hangs,
}

impl Habit {
    /// Whether it processes messages at all.
    pub(crate) fn works(self) -> bool {
        !matches!(self, Self::ExitsAtOnce | Self::Hangs)
    }
}

/// What a worker's queue and its jobs are like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jobs {
    /// Shortest and longest, in milliseconds.
    pub(crate) lasts: (u64, u64),
    /// How long a received message stays invisible, in milliseconds.
    pub(crate) visibility: u64,
    /// `maxReceiveCount`, where there is a dead-letter queue.
    pub(crate) redrive: Option<u32>,
    /// From creation to RUNNING, shortest and longest, in milliseconds.
    pub(crate) startup: (u64, u64),
    pub(crate) habit: Habit,
    /// How many of a thousand containers hang, whatever the habit.
    pub(crate) hanging: u32,
    /// How many of a thousand crash in the middle of a job.
    pub(crate) crashing: u32,
    /// Into how many groups messages are put in turn; 0 where the queue is not FIFO.
    pub(crate) groups: u64,
    /// Until when each job that is done sends the next message.
    pub(crate) closed_until: u64,
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            lasts: (5_000, 60_000),
            visibility: 150_000,
            redrive: Some(3),
            startup: (20_000, 40_000),
            habit: Habit::Loops,
            hanging: 0,
            crashing: 0,
            groups: 0,
            closed_until: 0,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub(crate) poison: bool,
    pub(crate) receives: u32,
    /// When it could be received for the first time, and the last time.
    pub(crate) sent: u64,
    pub(crate) visible: u64,
    pub(crate) group: u64,
}

#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) jobs: Jobs,
    pub(crate) waiting: VecDeque<Message>,
    pub(crate) in_flight: u64,
    pub(crate) delayed: u64,
    pub(crate) healthy_left: u64,
    /// Whether there was a message that nobody can process.
    pub(crate) is_poisoned: bool,
    /// Visible and in flight from then on.
    pub(crate) log: Vec<(u64, u64, u64)>,
    /// Messages that were processed.
    pub(crate) done: u64,
    /// Containers that ended by themselves, and those of them that had no message.
    pub(crate) ended: (u64, u64),
    /// Messages that only SQS's numbers know.
    pub(crate) ghosts: u64,
    /// The messages in flight of a group, and since when it has none.
    locked: BTreeMap<u64, (u64, u64)>,
    sent: u64,
    /// How long each message waited for its first receive, and when it was sent.
    pub(crate) waits: Vec<(u64, u64)>,
}

impl Work {
    pub(crate) fn new(jobs: Jobs) -> Self {
        Self {
            jobs,
            waiting: VecDeque::new(),
            in_flight: 0,
            delayed: 0,
            healthy_left: 0,
            is_poisoned: false,
            log: vec![(0, 0, 0)],
            done: 0,
            ended: (0, 0),
            ghosts: 0,
            locked: BTreeMap::new(),
            sent: 0,
            waits: Vec::new(),
        }
    }

    pub(crate) fn at(&self, time: u64) -> (u64, u64) {
        let later = self.log.partition_point(|(at, ..)| *at <= time);
        let (_, visible, in_flight) = self.log[later.saturating_sub(1)];
        (visible + self.ghosts, in_flight)
    }

    pub(crate) fn note(&mut self, at: u64) {
        self.log.push((at, u64::try_from(self.waiting.len()).unwrap(), self.in_flight));
    }

    pub(crate) fn send(&mut self, at: u64, (messages, poison): (u64, bool)) {
        for _ in 0..messages {
            let group = if self.jobs.groups == 0 { 0 } else { self.sent % self.jobs.groups };
            self.sent += 1;
            self.waiting.push_back(Message { poison, receives: 0, sent: at, visible: at, group });
        }
        self.healthy_left += if poison { 0 } else { messages };
        self.is_poisoned |= poison;
        self.note(at);
    }

    /// Whether a message's group has none in flight.
    fn is_open(&self, message: &Message) -> bool {
        self.jobs.groups == 0 || self.locked.get(&message.group).is_none_or(|(held, _)| *held == 0)
    }

    /// A message is received, if there is one to receive.
    pub(crate) fn take(&mut self, rng: &mut Rng, at: u64) -> Option<Message> {
        let index = if self.jobs.groups == 0 {
            (!self.waiting.is_empty()).then(|| rng.usize(0..self.waiting.len()))
        } else {
            self.waiting.iter().position(|message| self.is_open(message))
        };
        let mut message = self.waiting.remove(index?)?;
        if message.receives == 0 && !message.poison {
            self.waits.push((message.sent, at - message.sent));
        }
        message.receives += 1;
        self.in_flight += 1;
        self.locked.entry(message.group).or_default().0 += 1;
        self.note(at);
        Some(message)
    }

    /// A message is in flight no more.
    fn land(&mut self, at: u64, message: &Message) {
        self.in_flight -= 1;
        let (held, since) = self.locked.entry(message.group).or_default();
        *held -= 1;
        *since = at;
    }

    /// A message is deleted.
    pub(crate) fn delete(&mut self, at: u64, message: &Message) {
        self.land(at, message);
        self.healthy_left -= 1;
        self.note(at);
    }

    /// A message comes back, or goes to the dead-letter queue.
    pub(crate) fn give_back(&mut self, at: u64, message: Message) {
        self.land(at, &message);
        if self.jobs.redrive.is_none_or(|most| message.receives < most) {
            let message = Message { visible: at, ..message };
            if self.jobs.groups == 0 {
                self.waiting.push_back(message);
            } else {
                self.waiting.push_front(message);
            }
        } else if !message.poison {
            self.healthy_left -= 1;
        }
        self.note(at);
    }

    /// Messages that a container could receive now, and since when the oldest of them can be.
    pub(crate) fn receivable(&self) -> (u64, Option<u64>) {
        let since = |message: &Message| {
            let open = self.locked.get(&message.group).map_or(0, |(_, since)| *since);
            if self.jobs.groups == 0 { message.visible } else { message.visible.max(open) }
        };
        if self.jobs.groups == 0 {
            let oldest = self.waiting.iter().map(since).min();
            return (u64::try_from(self.waiting.len()).unwrap(), oldest);
        }
        let mut first: BTreeMap<u64, u64> = BTreeMap::new();
        for message in self.waiting.iter().filter(|message| self.is_open(message)) {
            first.entry(message.group).or_insert_with(|| since(message));
        }
        (u64::try_from(first.len()).unwrap(), first.into_values().min())
    }
}

/// What a worker container has done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deeds {
    pub(crate) taken: u64,
    pub(crate) deleted: u64,
    pub(crate) hangs: bool,
    pub(crate) ended: Option<u64>,
}
