//! The command line, as a person starts it: each run is a process of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Error;
use crate::aws::{Load, USUAL};
use crate::functions::{Function, On, Place, Wire};
use crate::tally::Tally;

/// Workers in the file that is validated.
const VALIDATED: usize = 1000;

/// Workers of which a plan is made, all busy.
pub const PLANNED: usize = 50;

/// Workers of which the status is shown.
const SHOWN: usize = 500;

/// Tasks of each.
const TASKS: usize = 10;

/// How often the memory of a process is looked at.
const GLANCE: Duration = Duration::from_millis(2);

/// What was measured of one command.
#[derive(Clone, Debug)]
pub struct Run {
    /// The command, in words.
    pub what: &'static str,
    /// From its start to its end, each time.
    pub walls: Vec<Duration>,
    /// The most memory that it ever held.
    pub megabytes: f64,
    /// What it asked, the last time.
    pub tally: Tally,
}

impl Run {
    /// The wall time in the middle.
    pub fn median(&self) -> Duration {
        let mut walls = self.walls.clone();
        walls.sort();
        walls.get(walls.len() / 2).copied().unwrap_or_default()
    }
}

/// All of them: the start of the process, a validation, a plan, and a status.
///
/// # Errors
/// When a command fails, or does not say what it has to.
pub fn run(place: &Place, binary: &Path, quick: bool) -> Result<[Run; 4], Error> {
    let times = if quick { 3 } else { 9 };
    let large = place.folder.join("validated.yaml");
    fs::write(&large, validated().to_string())?;
    let large = large.display().to_string();
    let terminal = Terminal { place, binary };
    let version = terminal.run("`--version`", &[], (&["--version"], 2 * times))?;
    let validate = ["validate", &large];
    let validate = terminal.run("`validate` of 1,000 workers", &[], (&validate, times))?;
    let busy = Load { busy: PLANNED, ..Load::default() };
    let (environment, file) = terminal.account(PLANNED)?;
    let plan = ["plan", "--json", "--config", &file];
    place.fake.aws().load(busy);
    let plan = terminal.run("`plan` of 50 busy workers", &environment, (&plan, times))?;
    let load = Load { busy: SHOWN, tasks: TASKS, waits: false };
    let (environment, file) = terminal.account(SHOWN)?;
    place.fake.aws().load(load);
    let status = ["status", "--all", "--config", &file];
    let status =
        terminal.run("`status` of 500 workers with 5,000 tasks", &environment, (&status, 3))?;
    place.fake.aws().load(Load::default());
    Ok([version, validate, plan, status])
}

/// A file as large teams have.
fn validated() -> Value {
    let workers = (0..VALIDATED).map(|index| {
        json!({
            "name": format!("worker-{index:04}"), "queue": format!("queue-{index:04}"),
            "taskDefinition": format!("worker-{index:04}"), "container": "worker",
            "scaling": {"messagesPerContainer": 1, "maxContainers": 40},
            "packing": {"strategy": "dense", "maxContainersPerTask": 4},
        })
    });
    json!({
        "cluster": "jobs", "launch": {"launchType": "EC2"}, "workers": workers.collect::<Vec<_>>(),
    })
}

/// A terminal at the fake.
struct Terminal<'a> {
    place: &'a Place,
    binary: &'a Path,
}

impl Terminal<'_> {
    /// What a command needs of so many workers: its environment, and their file.
    fn account(&self, workers: usize) -> Result<(Vec<(String, String)>, String), Error> {
        let function = Function::Scaler(self.place.binary.clone());
        let start = self.place.start(&function, workers, (On::Ec2, Wire::Https))?;
        let source = start.environment.iter().find(|(name, _)| name == "SCALER_CONFIG");
        let file = source.and_then(|(_, source)| source.strip_prefix("file:"));
        let file = file.ok_or("the function has no file")?.to_owned();
        Ok((start.environment, file))
    }

    fn run(
        &self,
        what: &'static str,
        environment: &[(String, String)],
        (arguments, times): (&[&str], usize),
    ) -> Result<Run, Error> {
        let command = || {
            let mut command = Command::new(self.binary);
            command.args(arguments).env_clear().envs(environment.iter().cloned());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        let mut walls = Vec::new();
        for _ in 0..times {
            self.place.fake.aws().look(USUAL);
            let began = Instant::now();
            let ended = command().stderr(Stdio::piped()).output()?;
            walls.push(began.elapsed());
            if !ended.status.success() {
                let said = String::from_utf8_lossy(&ended.stderr).into_owned();
                return Err(format!("{what} ended with {}: {said}", ended.status).into());
            }
        }
        let tally = self.place.fake.aws().tally();
        Ok(Run { what, walls, megabytes: peak(&mut command())?, tally })
    }
}

/// The most memory that a process holds until its end, in MB.
fn peak(command: &mut Command) -> Result<f64, Error> {
    let mut child = command.spawn()?;
    let mut peak = f64::NAN;
    while child.try_wait()?.is_none() {
        let now = crate::process::peak_megabytes(child.id());
        peak = peak.max(now);
        sleep(GLANCE);
    }
    Ok(peak)
}
