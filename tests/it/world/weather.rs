//! What goes wrong, from a seed, until the world calms down.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;

use super::{Call, Executed, Fault, list, text};

/// What becomes of a task that was placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Runs,
    Crashes,
    FailsToStart,
    /// ECS has no capacity for it after all.
    Refused,
    Stuck,
    /// It runs, and takes nothing.
    Hangs,
    /// It was placed, and ECS says later that there is no capacity for it.
    FindsNoCapacity,
}

/// When ECS tells that it has no capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    AtOnce,
    Late,
}

/// How likely each kind of trouble is, for a call, a task or a tick.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Likely {
    pub(crate) throttled: f64,
    pub(crate) failed: f64,
    pub(crate) lost: f64,
    pub(crate) hung: f64,
    pub(crate) crashed: f64,
    pub(crate) partial: f64,
    pub(crate) stuck: f64,
    pub(crate) interrupted: f64,
}

/// Trouble of a kind for some time.
#[derive(Clone, Debug)]
pub(crate) struct Spell {
    pub(crate) kind: &'static str,
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// The worker or the rung that it is about.
    pub(crate) about: String,
}

/// The weather of a world.
#[derive(Debug)]
pub(crate) struct Weather {
    rng: Rng,
    pub(crate) calm_at: u64,
    pub(crate) likely: Likely,
    pub(crate) spells: Vec<Spell>,
    /// How late lists and descriptions may be, in milliseconds.
    pub(crate) lag: u64,
    /// What went wrong, and how often.
    pub(crate) faults: BTreeMap<&'static str, u64>,
    streaks: BTreeMap<String, u32>,
}

/// Trouble that passes is over at the third attempt.
const MOST_IN_A_ROW: u32 = 2;

const REASONS: [&str; 6] = [
    "RESOURCE:MEMORY",
    "AGENT",
    "RESOURCE:ENI",
    "Capacity is unavailable at this time. Please try again later or in a different availability zone",
    "LOCATION",
    "a word that nobody knows yet",
];

/// Source: `src/aws.rs`, with a little less for what comes before the call.
const LONGEST_WAIT: Duration = Duration::from_millis(4400);

/// The repetitions of one call.
fn streak(process: u32, call: &Call) -> String {
    format!("{process} {} {}", call.operation, call.input)
}

impl Weather {
    pub(crate) fn new(seed: u64, calm_at: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            calm_at,
            likely: Likely::default(),
            spells: Vec::new(),
            lag: 0,
            faults: BTreeMap::new(),
            streaks: BTreeMap::new(),
        }
    }

    /// Counts a fault.
    pub(crate) fn note(&mut self, kind: &'static str) {
        *self.faults.entry(kind).or_default() += 1;
    }

    /// What is said of a kind of trouble now, if there is any.
    pub(crate) fn spell(&self, kind: &str, now: u64) -> impl Iterator<Item = &str> {
        let now_on = self.spells.iter().filter(move |s| s.from <= now && now < s.to);
        now_on.filter(move |spell| spell.kind == kind).map(|spell| spell.about.as_str())
    }

    /// What goes wrong with a call, and how long its two ways take.
    pub(super) fn fate(
        &mut self,
        process: u32,
        call: &Call,
        now: u64,
    ) -> (Option<Fault>, Duration, Duration) {
        let slow = self.spell("slow", now).next().is_some();
        let usual = if starts_tasks(call) { 300..1100 } else { 4..40 };
        let way = |rng: &mut Rng| {
            let millis = rng.u64(usual.clone()) / 2 * if slow { 6 } else { 1 };
            Duration::from_millis(millis)
        };
        let ways = (way(&mut self.rng), way(&mut self.rng));
        if slow {
            self.note("slow call");
        }
        let fault = if now < self.calm_at { self.fault(process, call, now) } else { None };
        // The caller does not wait for so long: an attempt is gone, whatever comes of it.
        if LONGEST_WAIT <= ways.0 + ways.1 && fault.is_none() {
            *self.streaks.entry(streak(process, call)).or_default() += 1;
        }
        (fault, ways.0, ways.1)
    }

    fn fault(&mut self, process: u32, call: &Call, now: u64) -> Option<Fault> {
        let input = call.input.to_string();
        if self.spell("denied", now).any(|worker| input.contains(worker)) {
            self.note("denied");
            let message = format!("User is not authorized to perform: ecs:{}", call.operation);
            return Some(Fault::Error(400, "AccessDeniedException", message));
        }
        // A slow call may take longer than the caller waits: that is one attempt less.
        let slow = self.spell("slow", now).next().is_some();
        let Likely { throttled, failed, lost, hung, crashed, .. } = self.likely;
        let streak = streak(process, call);
        let executed = if self.rng.bool() { Executed::Yes } else { Executed::No };
        let draw = self.rng.f64();
        let kinds: [(&'static str, f64, Fault); 5] = [
            (
                "throttled",
                throttled,
                Fault::Error(400, "ThrottlingException", "Rate exceeded".into()),
            ),
            ("server error", failed, Fault::Error(500, "ServerException", "internal".into())),
            ("lost answer", lost, Fault::LostAnswer),
            ("hang", hung, Fault::Hang(executed)),
            ("crash", crashed, Fault::Crash(executed)),
        ];
        let mut reached = 0.0;
        for (kind, likely, fault) in kinds {
            reached += likely;
            if draw < reached {
                let in_a_row = self.streaks.entry(streak.clone()).or_default();
                if kind == "throttled" && (slow || MOST_IN_A_ROW <= *in_a_row) {
                    break;
                }
                *in_a_row += 1;
                self.note(kind);
                return Some(fault);
            }
        }
        self.streaks.remove(&streak);
        None
    }

    /// How many of a call's tasks find room, and what is said of the others; `None` where all do.
    pub(super) fn room(&mut self, input: &Value, now: u64) -> Option<(usize, &'static str)> {
        if self.calm_at <= now {
            return None;
        }
        let on = rung(input);
        if self.spell("quota", now).any(|rung| rung == on) {
            self.note("quota");
            return Some((0, "You've reached the limit on the number of vCPUs you can run"));
        }
        if self.has_none(on, now, Told::AtOnce) {
            self.note("no capacity");
            return Some((0, "Capacity is unavailable at this time. Please try again later"));
        }
        if self.rng.f64() < self.likely.partial {
            self.note("partial");
            let named = list(input, "containerInstances").len();
            let count =
                input["count"].as_u64().map_or(named.max(1), |n| usize::try_from(n).unwrap());
            return Some((self.rng.usize(0..count), REASONS[self.rng.usize(0..REASONS.len())]));
        }
        None
    }

    /// Whether a rung has no capacity. Every other spell is told only when the tasks are accepted.
    fn has_none(&self, on: &str, now: u64, told: Told) -> bool {
        let is_so = |spell: &Spell| {
            let late = if spell.from.is_multiple_of(2) { Told::AtOnce } else { Told::Late };
            spell.kind == "no capacity" && spell.about == on && late == told
        };
        self.spells.iter().filter(|s| s.from <= now && now < s.to).any(is_so)
    }

    pub(super) fn start(&mut self, on: &str, now: u64) -> Fate {
        if self.calm_at <= now {
            return Fate::Runs;
        }
        if self.has_none(on, now, Told::Late) {
            self.note("capacity that was refused late");
            return Fate::Refused;
        }
        if self.spell("bad image", now).next().is_some() {
            self.note("task that fails to start");
            return Fate::FailsToStart;
        }
        if self.spell("crash loop", now).next().is_some() {
            self.note("task that crashes");
            return Fate::Crashes;
        }
        if self.rng.f64() < self.likely.stuck {
            self.note("task that is stuck");
            return Fate::Stuck;
        }
        Fate::Runs
    }

    /// When a task is taken away, after its start.
    pub(super) fn interruption(&mut self, now: u64) -> Option<u64> {
        let interrupted = now < self.calm_at && self.rng.f64() < self.likely.interrupted;
        interrupted.then(|| {
            self.note("Spot interruption");
            self.rng.u64(1000..120_000)
        })
    }

    /// After how long a new task is listed, and described.
    pub(super) fn lags(&mut self, now: u64) -> (u64, u64) {
        if self.calm_at <= now || self.lag == 0 {
            return (0, 0);
        }
        self.note("task that is listed late");
        let listed = self.rng.u64(0..=self.lag);
        (listed, self.rng.u64(0..=listed / 2))
    }
}

/// Whether a call starts tasks.
pub(super) fn starts_tasks(call: &Call) -> bool {
    ["RunTask", "StartTask"].contains(&call.operation.as_str())
}

/// Where a `RunTask` asks for capacity.
pub(super) fn rung(input: &Value) -> &str {
    match list(input, "capacityProviderStrategy").first() {
        Some(item) => text(item, "capacityProvider"),
        None => text(input, "launchType"),
    }
}
