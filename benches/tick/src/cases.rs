//! Ticks of one size and load, by one function, cold and warm.

use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use crate::Error;
use crate::aws::{CONTAINERS, Delays, MESSAGES, USUAL, worker};
use crate::functions::{Function, On, Place, Wire};
use crate::process::Process;
use crate::tally::Tally;

/// So slow that calls which do not wait for each other's answers all come before the first one.
const SLOW: Delays = Delays { call: Duration::from_millis(250), run: Duration::from_millis(250) };

/// The time in which AWS's rates are full again (100 at 20 a second): a minute's ticks always find
/// them so.
const RATES_REFILL: Duration = Duration::from_millis(5200);

/// How many derived definitions a new process registers without a wait.
const REGISTER_AT_ONCE: usize = 18;

/// What is asked of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// Workers in the configuration.
    pub workers: usize,
    /// How many of them have messages.
    pub busy: usize,
    /// Where their tasks go.
    pub on: On,
    /// Ticks of new processes.
    pub cold: usize,
    /// Ticks of a process that had one.
    pub warm: usize,
}

/// One tick.
#[derive(Clone, Debug)]
pub struct Tick {
    /// From the event to the answer; of a cold one, from the start of the process.
    pub wall: Duration,
    /// Of all threads, in the same time.
    pub cpu: Duration,
    /// What was asked.
    pub tally: Tally,
    /// Connections that are open at its end.
    pub open: u64,
    /// The most memory of the process until its end.
    pub megabytes: f64,
}

/// Ticks of one kind.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was asked of it.
    pub case: Case,
    /// Who was asked.
    pub function: Function,
    /// Whether the process was new.
    pub cold: bool,
    /// What was measured.
    pub ticks: Vec<Tick>,
    /// The longest chain of dependent calls, where it could be seen with slow answers.
    pub chain: Option<u32>,
}

impl Case {
    /// The least time of the tick: each call's answer is needed for the next. Depths; the pages of
    /// the task list, a hundred a page, one after the other; descriptions; `RunTask`.
    pub fn floor(&self) -> Duration {
        if self.busy == 0 {
            return USUAL.call;
        }
        let pages = u32::try_from(self.busy.div_ceil(100)).unwrap_or(u32::MAX);
        USUAL.call * (2 + pages) + USUAL.run
    }

    /// Whether AWS's rates do not reach into the tick of a function that stays under them.
    fn is_below_rates(&self) -> bool {
        self.busy <= 50 && self.on == On::Ec2
    }

    /// Two tasks a busy worker: eight messages, four containers a task.
    fn owed(&self) -> u64 {
        let tasks = u64::from(MESSAGES / CONTAINERS);
        tasks * self.busy as u64
    }
}

/// Has the derived definitions of all workers registered, as they are after the first minutes of a
/// deployment. A process registers twenty at once and one a second, so that many are started.
///
/// # Errors
/// When a tick fails.
pub fn register_all(place: &Place, workers: usize) -> Result<(), Error> {
    let scaler = Function::Scaler(place.binary.clone());
    let start = place.start(&scaler, workers, (On::Ec2, Wire::Http))?;
    let quick = Delays { call: Duration::ZERO, run: Duration::ZERO };
    let names: Vec<String> = (0..workers).map(worker).collect();
    for names in names.chunks(REGISTER_AT_ONCE) {
        place.fake.aws().forget();
        place.fake.aws().begin(workers, quick);
        let process = start.run(&place.on)?;
        process.send(&json!({"dryRun": false, "only": names}));
        process.answer()?.body?;
    }
    Ok(())
}

/// All ticks of a case by one function: first the cold ones, each of a new process, then the warm
/// ones of the last.
///
/// # Errors
/// When a tick fails, or does not start what is owed.
pub fn run(place: &Place, case: Case, function: &Function) -> Result<[Row; 2], Error> {
    let mut cold = Row::new(case, function, true);
    let mut warm = Row::new(case, function, false);
    let start = place.start(function, case.workers, (case.on, Wire::Https))?;
    let stays_under_rates = matches!(function, Function::Scaler(_));
    let rest = if stays_under_rates && 10 < case.busy { RATES_REFILL } else { Duration::ZERO };
    let mut last = None;
    for _ in 0..case.cold {
        drop(last.take()); // One function at a time.
        let (process, tick) = first_tick(place, case, (&start, USUAL))?;
        cold.ticks.push(tick);
        last = Some(process);
    }
    let process = last.ok_or("a case has at least one cold tick")?;
    for _ in 0..case.warm {
        sleep(rest);
        warm.ticks.push(next_tick(place, case, (&process, USUAL))?);
    }
    if stays_under_rates && case.is_below_rates() {
        sleep(rest);
        warm.chain = Some(next_tick(place, case, (&process, SLOW))?.tally.chain);
        drop(process);
        let (_, tick) = first_tick(place, case, (&start, SLOW))?;
        cold.chain = Some(tick.tally.chain);
    }
    Ok([cold, warm])
}

fn first_tick(
    place: &Place,
    case: Case,
    (start, delays): (&crate::process::Start, Delays),
) -> Result<(Process, Tick), Error> {
    place.fake.aws().forget();
    place.fake.aws().begin(case.busy, delays);
    let process = start.run(&place.on)?;
    process.send(&json!({"dryRun": false}));
    let answer = process.answer()?;
    answer.body?;
    let (wall, cpu) = (answer.ended - process.started, process.cpu());
    let tick = observed(place, case, (&process, wall, cpu))?;
    Ok((process, tick))
}

fn next_tick(
    place: &Place,
    case: Case,
    (process, delays): (&Process, Delays),
) -> Result<Tick, Error> {
    place.fake.aws().begin(case.busy, delays);
    let before = process.cpu();
    process.send(&json!({"dryRun": false}));
    let answer = process.answer()?;
    answer.body?;
    let (wall, cpu) = (answer.ended - answer.begun, process.cpu().saturating_sub(before));
    observed(place, case, (process, wall, cpu))
}

fn observed(
    place: &Place,
    case: Case,
    (process, wall, cpu): (&Process, Duration, Duration),
) -> Result<Tick, Error> {
    let aws = place.fake.aws();
    if aws.started() != case.owed() {
        return Err(format!("{} tasks were started, not {}", aws.started(), case.owed()).into());
    }
    let (tally, open) = (aws.tally(), aws.open());
    Ok(Tick { wall, cpu, tally, open, megabytes: process.peak_megabytes() })
}

impl Row {
    fn new(case: Case, function: &Function, cold: bool) -> Self {
        Self { case, function: function.clone(), cold, ticks: Vec::new(), chain: None }
    }

    /// The tick in the middle, by wall time.
    pub fn median(&self) -> Option<&Tick> {
        let mut ticks: Vec<_> = self.ticks.iter().collect();
        ticks.sort_by_key(|tick| tick.wall);
        ticks.get(ticks.len() / 2).copied()
    }

    /// Its time over the least possible, if there were no rates.
    pub fn over_floor(&self) -> f64 {
        let Some(tick) = self.median() else { return f64::NAN };
        tick.wall.as_secs_f64() / self.case.floor().as_secs_f64()
    }

    /// Its time over the least that AWS's rates allow for the calls that it made. Below one, it
    /// has made more calls than AWS would have let pass.
    pub fn over_rates(&self) -> f64 {
        let Some(tick) = self.median() else { return f64::NAN };
        let least = self.case.floor() + tick.tally.wait_for_rates();
        tick.wall.as_secs_f64() / least.as_secs_f64()
    }
}
