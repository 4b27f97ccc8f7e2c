//! A day of workers that nobody has: to look at the screen, to take pictures of it, and to test it. The same seed
//! gives the same day.

mod closely;

use decision::fargate::{Architecture, OperatingSystem, Platform, PriceList, TaskSize};
use decision::units::{CpuUnits, MebiBytes, Region};
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

use crate::cli::result::ConfigResult;
use crate::cli::status::{LastLaunch, Row, StatusView, Urgency};
use crate::cli::status::{SCHEMA, VERSION};

/// What the workers do, and with what: each does each.
const JOBS: [&str; 13] = [
    "convert",
    "export",
    "import",
    "index",
    "invoice",
    "mail",
    "ocr",
    "report",
    "resize",
    "scan",
    "sync",
    "thumbnail",
    "transcode",
];
const THINGS: [&str; 4] = ["documents", "images", "orders", "videos"];

/// Time that goes by between two refreshes.
const STEP: SignedDuration = SignedDuration::from_secs(20);

/// When the day begins: in the morning, before work does.
const BEGINS: &str = "2026-11-20T08:30:00Z";

/// Half a vCPU and 1 GB.
const SIZE: TaskSize = TaskSize { cpu: CpuUnits(512), memory: MebiBytes(1024) };

const REGION: &str = "eu-central-1";

/// Tasks that have failed within the hour, of the worker whose tasks fail.
const FAILED: u64 = 7;

const PLATFORM: Platform =
    Platform { system: OperatingSystem::Linux, architecture: Architecture::X86 };

/// What is the matter with a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Matter {
    None,
    /// Its tasks end badly.
    Fails,
    /// Its queue may not be read.
    Denied,
    /// Its tasks do not start.
    Stuck,
    /// Somebody has paused it.
    Paused,
}

#[derive(Clone, Debug)]
struct Worker {
    name: String,
    matter: Matter,
    cap: u64,
    /// Messages that a container deletes in a step, in hundredths.
    speed: u64,
    waiting: u64,
    running: u64,
    starting: u64,
    /// Hundredths of a message that are done.
    begun: u64,
    /// Steps for which the oldest message has waited.
    waits: u64,
    /// Steps that it has gone.
    steps: u64,
    /// Steps since the last launch, and its containers.
    launch: Option<(u64, u64)>,
    /// Steps until the next burst, and its messages.
    burst: (u64, u64),
}

/// The day.
#[derive(Clone, Debug)]
pub struct Demo {
    rng: Rng,
    at: Timestamp,
    workers: Vec<Worker>,
}

impl Demo {
    /// The day of this seed, at its beginning.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let names = THINGS.iter().flat_map(|thing| JOBS.map(|job| format!("{job}-{thing}")));
        let mut workers: Vec<_> = names.map(|name| Worker::new(name, &mut rng)).collect();
        rng.shuffle(&mut workers);
        let matters = [Matter::Fails, Matter::Denied, Matter::Stuck, Matter::Paused];
        for (worker, matter) in workers.iter_mut().zip(matters) {
            *worker = Worker { matter, burst: (1, rng.u64(20..200)), ..worker.clone() };
        }
        let at = BEGINS.parse().unwrap_or_default();
        Self { rng, at, workers }
    }

    /// What is seen next.
    pub fn refresh(&mut self) -> (StatusView, Timestamp) {
        self.at = self.at.checked_add(STEP).unwrap_or(self.at);
        for worker in &mut self.workers {
            worker.step(&mut self.rng);
        }
        (self.view(), self.at)
    }

    /// What time it is there.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    fn view(&self) -> StatusView {
        let rows = self.workers.iter().map(Worker::row);
        let view = StatusView {
            schema: SCHEMA.to_owned(),
            version: VERSION,
            scaler: "demo".to_owned(),
            function: None,
            region: REGION.to_owned(),
            at: self.at.to_string(),
            tasks_at: None,
            config: ConfigResult::default(),
            workers: Vec::new(),
            notes: Vec::new(),
            calls: 0,
        };
        view.of(rows.collect())
    }
}

impl Worker {
    fn new(name: String, rng: &mut Rng) -> Self {
        Self {
            name,
            matter: Matter::None,
            cap: rng.u64(1..=20) * 10,
            speed: rng.u64(5..120),
            waiting: 0,
            running: 0,
            starting: 0,
            begun: 0,
            waits: 0,
            steps: 0,
            launch: None,
            burst: (rng.u64(1..400), rng.u64(5..600)),
        }
    }

    fn step(&mut self, rng: &mut Rng) {
        self.steps = self.steps.saturating_add(1);
        let (until, messages) = self.burst;
        if until == 0 {
            self.waiting = self.waiting.saturating_add(messages);
            self.burst = (rng.u64(60..600), rng.u64(5..600));
        } else {
            self.burst = (until.saturating_sub(1), messages);
        }
        if self.matter == Matter::None {
            self.work();
        }
        self.waits = if self.waiting == 0 { 0 } else { self.waits.saturating_add(1) };
    }

    fn work(&mut self) {
        self.running = self.running.saturating_add(self.starting);
        self.begun = self.begun.saturating_add(self.running.saturating_mul(self.speed));
        let done = (self.begun / 100).min(self.waiting);
        self.begun %= 100;
        self.waiting = self.waiting.saturating_sub(done);
        self.waits = if done == 0 { self.waits } else { self.waits.min(3) };
        let target = self.waiting.min(self.cap);
        self.starting = target.saturating_sub(self.running);
        self.running = self.running.min(target.saturating_add(self.starting));
        self.launch = match self.launch {
            _ if self.starting != 0 => Some((0, self.starting)),
            Some((steps, containers)) => Some((steps.saturating_add(1), containers)),
            None => None,
        };
    }

    fn state(&self) -> (Urgency, String) {
        match self.matter {
            Matter::Denied => (Urgency::Denied, "GetQueueAttributes".to_owned()),
            Matter::Fails if self.waiting != 0 => {
                (Urgency::Breaker, "exit code 137: OutOfMemoryError".to_owned())
            }
            Matter::Stuck if self.waiting != 0 => {
                (Urgency::Stuck, "2 tasks do not start".to_owned())
            }
            Matter::Paused => (Urgency::Paused, "until 2026-11-20T18:00:00Z".to_owned()),
            _ if self.cap < self.waiting => {
                let more = self.waiting.saturating_sub(self.cap);
                (Urgency::AtCap, format!("{more} wait for room"))
            }
            _ if self.starting != 0 => (Urgency::Launching, self.starting.to_string()),
            _ if self.waiting != 0 || self.running != 0 => (Urgency::Ok, String::new()),
            _ => (Urgency::Idle, String::new()),
        }
    }

    fn row(&self) -> Row {
        let (urgency, note) = self.state();
        let is_read = self.matter != Matter::Denied;
        let known = |number: u64| Some(number).filter(|_| is_read);
        let stuck = self.stuck();
        let containers = self.running.saturating_add(self.starting).saturating_add(stuck);
        let price = PriceList::of(&Region::from(REGION), PLATFORM).hourly(SIZE);
        let seconds = STEP.as_secs().unsigned_abs();
        let launch = self.launch.map(|(steps, containers)| LastLaunch {
            at: String::new(),
            seconds_ago: steps.saturating_mul(seconds),
            containers,
            tick: self.steps.saturating_sub(steps).to_string(),
        });
        Row {
            worker: self.name.clone(),
            waiting: known(self.waiting),
            in_flight: known(self.running.min(self.waiting)),
            oldest_seconds: known(self.waits.saturating_mul(seconds)).filter(|age| *age != 0),
            is_age_unread: !is_read,
            tasks: known(containers),
            running: known(self.running),
            starting: known(self.starting.saturating_add(stuck)),
            target: known(self.waiting),
            cap: Some(self.cap),
            launches: self.starting,
            last_launch: launch,
            hourly_micro_dollars: known(price.0.saturating_mul(containers)),
            urgency,
            note,
            error: (!is_read).then(|| self.denied()),
            why: if is_read { self.why() } else { format!("held: {}", self.denied()) },
            cluster: Some("jobs".to_owned()),
            empty_in_seconds: self.empty_in(),
            is_rate_unread: !is_read,
            failed: known(if self.matter == Matter::Fails { FAILED } else { 0 }),
        }
    }

    fn empty_in(&self) -> Option<u64> {
        let hundredths = self
            .waiting
            .saturating_mul(100)
            .checked_div(self.running.saturating_mul(self.speed))?;
        Some(hundredths.saturating_mul(STEP.as_secs().unsigned_abs())).filter(|_| self.waiting != 0)
    }

    fn stuck(&self) -> u64 {
        if self.matter == Matter::Stuck { 2 } else { 0 }
    }

    fn denied(&self) -> String {
        format!("GetQueueAttributes of {} failed: AccessDenied", self.name)
    }

    fn why(&self) -> String {
        let Self { waiting, running, starting, cap, .. } = self;
        let held = *running.min(waiting);
        format!(
            "{} visible + {held} in flight = {waiting}; / 1 per container = {waiting} containers; - {running} alive \
             = launch {starting} (at most {cap} containers)",
            waiting.saturating_sub(held)
        )
    }
}
