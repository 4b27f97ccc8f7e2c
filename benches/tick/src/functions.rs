//! Who is compared, each started as Lambda would.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::Error;
use crate::aws::{CONTAINERS, queue_url, worker};
use crate::http::{Fake, thread};
use crate::process::{Start, unique};

/// Threads of the baseline that has some; botocore's own pool has ten connections.
pub const THREADS: u32 = 32;

/// A function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Function {
    /// ecs-queue-scaler, from this binary.
    Scaler(PathBuf),
    /// `baseline.py`, one worker after the other.
    Sequential,
    /// The same with threads.
    Threads,
}

/// Where tasks are placed, which decides which rates of AWS a launch meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// A rate of 40 `RunTask` calls a second, a hundred at once.
    Ec2,
    /// 20 a second, twenty at once; and 20 tasks a second, a hundred at once.
    Fargate,
}

/// How a function talks to the fake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// As deployed.
    Https,
    /// To see what TLS costs.
    Http,
}

/// Where everything is.
#[derive(Debug)]
pub struct Place {
    /// The thread that serves.
    pub on: Handle,
    /// SQS and ECS.
    pub fake: Fake,
    /// What functions read.
    pub folder: PathBuf,
    /// The release binary.
    pub binary: PathBuf,
    /// A Python that has boto3.
    pub python: PathBuf,
}

impl Place {
    /// A fake of AWS, and a folder for what functions read.
    ///
    /// # Errors
    /// When the machine has no room for them.
    pub fn new(binary: PathBuf, python: PathBuf) -> Result<Self, Error> {
        let on = thread()?;
        let fake = Fake::listen(&on)?;
        let name = format!("tick-bench-{}-{}", std::process::id(), unique());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder)?;
        fake.write_trust(&folder.join("trust.pem"))?;
        Ok(Self { on, fake, folder, binary, python })
    }

    /// How a function is started for so many workers.
    ///
    /// # Errors
    /// When what it reads cannot be written.
    pub fn start(
        &self,
        function: &Function,
        workers: usize,
        (on, wire): (On, Wire),
    ) -> Result<Start, Error> {
        let endpoint = if wire == Wire::Https { &self.fake.tls } else { &self.fake.plain };
        let file = self.folder.join(format!("{workers}-{on:?}-{wire:?}.json"));
        let trust = self.folder.join("trust.pem").display().to_string();
        let mut environment = vec![
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            ("AWS_REGION", "eu-central-1".to_owned()),
            ("AWS_DEFAULT_REGION", "eu-central-1".to_owned()),
            ("AWS_ENDPOINT_URL", endpoint.clone()),
        ];
        let command = if let Function::Scaler(binary) = function {
            let file = file.with_extension("yaml");
            fs::write(&file, config(endpoint, workers, on).to_string())?;
            environment.push(("SSL_CERT_FILE", trust));
            environment.push(("SCALER_CONFIG", format!("file:{}", file.display())));
            vec![binary.display().to_string()]
        } else {
            fs::write(&file, queues(endpoint, workers, on).to_string())?;
            let threads = if *function == Function::Threads { THREADS } else { 1 };
            environment.push(("AWS_CA_BUNDLE", trust));
            environment.push(("WORKERS", file.display().to_string()));
            environment.push(("THREADS", threads.to_string()));
            let bootstrap = concat!(env!("CARGO_MANIFEST_DIR"), "/bootstrap.py");
            vec![self.python.display().to_string(), bootstrap.to_owned()]
        };
        let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value));
        Ok(Start { command, environment: environment.collect(), cpu: None })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Every worker has a queue and a task definition of its own: nothing can be shared.
fn config(endpoint: &str, workers: usize, on: On) -> Value {
    let workers = (0..workers).map(|index| {
        json!({
            "name": worker(index), "queue": queue_url(endpoint, index),
            "taskDefinition": worker(index), "container": "worker",
            // As many messages wait at every tick, whatever was launched for them.
            "scaling": {"messagesPerContainer": 1, "progressBrake": false},
            "packing": {"strategy": "dense", "maxContainersPerTask": CONTAINERS},
        })
    });
    json!({
        "cluster": "jobs", "maxTasksPerTick": 100_000, "maxTasksPerHour": 100_000,
        "launch": {"launchType": launch_type(on), "networkConfiguration": {
            "awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}}},
        "workers": workers.collect::<Vec<_>>(),
    })
}

/// The same for the baseline.
fn queues(endpoint: &str, workers: usize, on: On) -> Value {
    let workers = (0..workers).map(|index| {
        json!({
            "queue": queue_url(endpoint, index), "taskDefinition": worker(index),
            "launchType": launch_type(on),
        })
    });
    workers.collect()
}

fn launch_type(on: On) -> &'static str {
    match on {
        On::Ec2 => "EC2",
        On::Fargate => "FARGATE",
    }
}
