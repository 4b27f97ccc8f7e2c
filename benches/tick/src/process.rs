//! A function as a process of its own, and what it costs: CPU by a cgroup of its own where the system
//! lets us make one, which can also hold it to a part of a CPU.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::runtime::Handle;

use crate::Error;
use crate::lambda::{Answer, RuntimeApi};

/// As short as on Lambda, so that a short piece of work waits as it does there.
const PERIOD: Duration = Duration::from_millis(20);

/// Longer than a function works on when its answer is there.
const SETTLES: Duration = Duration::from_millis(20);

/// A function under way.
#[derive(Debug)]
pub struct Process {
    /// When it was started.
    pub started: Instant,
    child: Child,
    api: RuntimeApi,
    group: Option<Group>,
}

/// How to start a function.
#[derive(Clone, Debug)]
pub struct Start {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Its whole environment beside what Lambda sets.
    pub environment: Vec<(String, String)>,
    /// Of one CPU, in percent; `None` is without a bound.
    pub cpu: Option<u32>,
}

impl Start {
    /// Starts the function.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self, on: &Handle) -> Result<Process, Error> {
        let api = RuntimeApi::listen(on)?;
        let group = Group::new(self.cpu);
        if self.cpu.is_some() && group.is_none() {
            return Err("the CPU cannot be bounded: no cgroup can be made here".into());
        }
        // A shell waits until it is in its group and then becomes the function, so that nothing of
        // the function's life is outside of it.
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "read -r _; exec \"$0\" \"$@\""]).args(&self.command);
        command.env_clear().envs(self.environment.iter().cloned());
        command.envs([
            ("AWS_LAMBDA_RUNTIME_API", api.address.to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", "ecs-queue-scaler".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/ecs-queue-scaler".to_owned()),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/21/[$LATEST]0".to_owned()),
            ("LAMBDA_TASK_ROOT", "/var/task".to_owned()),
        ]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        if let Some(group) = &group {
            group.add(child.id())?;
        }
        let mut stdin = child.stdin.take().ok_or("the function has no stdin")?;
        let started = Instant::now();
        stdin.write_all(b"go\n")?;
        Ok(Process { started, child, api, group })
    }
}

impl Process {
    /// Waits until it is initialized and asks for an event: when that was.
    ///
    /// # Errors
    /// When it does not.
    pub fn ready(&self) -> Result<Instant, Error> {
        self.api.ready()
    }

    /// Gives it an event.
    pub fn send(&self, event: &Value) {
        self.api.send(event);
    }

    /// Waits for the answer to the event.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn answer(&self) -> Result<Answer, Error> {
        self.api.answer()
    }

    /// CPU time since the start, of all threads. The system counts a slice of it when it is over,
    /// so that it waits until the function does.
    pub fn cpu(&self) -> Duration {
        std::thread::sleep(SETTLES);
        let of_group = self.group.as_ref().and_then(Group::cpu);
        of_group.unwrap_or_else(|| cpu_ticks(self.child.id()).unwrap_or_default())
    }

    /// The most memory that it ever held, in MB.
    pub fn peak_megabytes(&self) -> f64 {
        peak_megabytes(self.child.id())
    }
}

/// The same of any process that runs.
pub fn peak_megabytes(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(f64::NAN) * 1024.0 / 1e6
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `utime` and `stime` of `/proc/PID/stat`, in hundredths of a second.
fn cpu_ticks(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command may hold anything, so count from behind it.
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

/// A cgroup for one process: version 1's `cpu` and `cpuacct`, or version 2.
#[derive(Debug)]
struct Group {
    folders: Vec<PathBuf>,
}

impl Group {
    fn new(percent: Option<u32>) -> Option<Self> {
        let name = format!("tick-bench-{}-{}", std::process::id(), unique());
        let root = Path::new("/sys/fs/cgroup");
        let v2 = root.join("cgroup.controllers").exists();
        let hierarchies = if v2 { vec![""] } else { vec!["cpu", "cpuacct"] };
        let folders = hierarchies.into_iter().map(|part| root.join(part).join(&name)).collect();
        let group = Self { folders };
        for folder in &group.folders {
            fs::create_dir(folder).ok()?;
        }
        let (cpu, period) = (group.folders.first()?, PERIOD.as_micros());
        if let Some(percent) = percent {
            let quota = period * u128::from(percent) / 100;
            if v2 {
                fs::write(cpu.join("cpu.max"), format!("{quota} {period}")).ok()?;
            } else {
                fs::write(cpu.join("cpu.cfs_period_us"), period.to_string()).ok()?;
                fs::write(cpu.join("cpu.cfs_quota_us"), quota.to_string()).ok()?;
            }
        }
        Some(group)
    }

    fn add(&self, pid: u32) -> Result<(), Error> {
        for folder in &self.folders {
            fs::write(folder.join("cgroup.procs"), pid.to_string())?;
        }
        Ok(())
    }

    fn cpu(&self) -> Option<Duration> {
        let folder = self.folders.last()?;
        if let Ok(nanoseconds) = fs::read_to_string(folder.join("cpuacct.usage")) {
            return Some(Duration::from_nanos(nanoseconds.trim().parse().ok()?));
        }
        let stat = fs::read_to_string(folder.join("cpu.stat")).ok()?;
        let line = stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
        Some(Duration::from_micros(line.trim().parse().ok()?))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for folder in &self.folders {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// No other call of this process gives this number.
pub(crate) fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// How CPU time is read and bounded on this machine.
pub fn meter() -> &'static str {
    match Group::new(Some(7)) {
        Some(_) => "a cgroup's quota of every 20 ms, its own count of nanoseconds",
        None => "unbounded, /proc/PID/stat in units of 10 ms (no cgroup can be made here)",
    }
}
