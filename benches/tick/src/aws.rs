//! SQS and ECS as far as a tick sees them: every worker's queue is empty or holds eight messages, a
//! busy worker has one task of four containers that runs on, and what was started in a tick is done
//! when the next one begins. So every tick owes the same, warm or cold.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::tally::{Tally, rows};

/// Messages in the queue of a busy worker.
pub const MESSAGES: u32 = 8;

/// Worker containers in a task.
pub const CONTAINERS: u32 = 4;

const ACCOUNT: &str = "123456789012";
const ARN: &str = "arn:aws:ecs:eu-central-1:123456789012";

/// How long an answer takes.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    /// Of any call but `RunTask`.
    pub call: Duration,
    /// Of `RunTask`.
    pub run: Duration,
}

/// The delays of the benchmark.
pub const USUAL: Delays =
    Delays { call: Duration::from_millis(10), run: Duration::from_millis(100) };

/// What there is.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many workers have messages, or tasks: the first ones.
    pub busy: usize,
    /// Tasks of each that run on.
    pub tasks: usize,
    /// Whether messages wait, beside those that the tasks hold.
    pub waits: bool,
}

impl Default for Load {
    fn default() -> Self {
        Self { busy: 0, tasks: 1, waits: true }
    }
}

/// The state behind the answers.
#[derive(Debug)]
pub struct Aws {
    load: Load,
    delays: Delays,
    tally: Tally,
    /// Registered in this run, by family: revision, definition and tags.
    registered: BTreeMap<String, (u64, Value, Value)>,
    /// Tasks that were started: how, and whether they run still.
    tasks: BTreeMap<String, (Value, bool)>,
    started: u64,
    open: u64,
    born: Instant,
}

impl Default for Aws {
    fn default() -> Self {
        Self {
            load: Load::default(),
            delays: USUAL,
            tally: Tally::default(),
            registered: BTreeMap::new(),
            tasks: BTreeMap::new(),
            started: 0,
            open: 0,
            born: Instant::now(),
        }
    }
}

/// A worker's name, which is also its queue's and its task definition's.
pub fn worker(index: usize) -> String {
    format!("worker-{index:04}")
}

/// The URL of a worker's queue.
pub fn queue_url(endpoint: &str, index: usize) -> String {
    format!("{endpoint}/{ACCOUNT}/{}", worker(index))
}

impl Aws {
    /// The process that asked is gone, and its tasks with it; what was registered stays.
    pub fn forget(&mut self) {
        self.tasks.clear();
    }

    /// A tick begins: what the last one started has done its work.
    pub fn begin(&mut self, busy: usize, delays: Delays) {
        self.load.busy = busy;
        self.look(delays);
        self.started = 0;
        for (_, runs) in self.tasks.values_mut() {
            *runs = false;
        }
    }

    /// From now on this is there.
    pub fn load(&mut self, load: Load) {
        self.load = load;
        self.tasks.clear();
    }

    /// Somebody looks, for whom nothing is done meanwhile.
    pub fn look(&mut self, delays: Delays) {
        self.delays = delays;
        self.tally = Tally::default();
    }

    /// What was asked since the tick began.
    pub fn tally(&self) -> Tally {
        self.tally.clone()
    }

    /// Tasks that were started since the tick began.
    pub fn started(&self) -> u64 {
        self.started
    }

    /// Connections that are open.
    pub fn open(&self) -> u64 {
        self.open
    }

    /// A connection was accepted.
    pub fn connected(&mut self) {
        self.open += 1;
        self.tally.opened += 1;
    }

    /// A connection was closed.
    pub fn disconnected(&mut self) {
        self.open -= 1;
    }

    /// A call has come in: its depth, its answer, and how long that takes.
    pub fn call(&mut self, target: &str, input: &Value) -> (u32, (u16, Value), Duration) {
        let operation = target.rsplit('.').next().unwrap_or_default();
        let tasks = input["count"].as_u64().unwrap_or(1);
        let rows = rows(operation, tasks, input["launchType"] == "FARGATE");
        let depth = self.tally.arrived(operation, &rows, self.born.elapsed());
        let run = operation == "RunTask";
        let delay = if run { self.delays.run } else { self.delays.call };
        (depth, self.answer(operation, input), delay)
    }

    /// A call's answer goes out.
    pub fn answered(&mut self, depth: u32) {
        self.tally.answered(depth);
    }

    fn answer(&mut self, operation: &str, input: &Value) -> (u16, Value) {
        let text = |member: &str| input[member].as_str().unwrap_or_default();
        match operation {
            "GetQueueAttributes" => (200, self.attributes(text("QueueUrl"))),
            "ListTasks" => (200, self.list(input)),
            "DescribeTasks" => (200, self.describe(input)),
            "DescribeTaskDefinition" => self.definition(text("taskDefinition")),
            "RegisterTaskDefinition" => (200, self.register(input)),
            "DeregisterTaskDefinition" => (200, json!({})),
            "RunTask" => (200, self.run(input)),
            "GetMetricData" => (200, ages(input)),
            other => refused(&format!("the fake does not know {other}")),
        }
    }

    fn attributes(&self, url: &str) -> Value {
        let index: usize = url.rsplit('-').next().unwrap_or_default().parse().unwrap_or(usize::MAX);
        let busy = index < self.load.busy;
        let (visible, in_flight) = match (busy, self.load.waits) {
            (true, true) => (MESSAGES, CONTAINERS),
            (true, false) => (0, CONTAINERS),
            (false, _) => (0, 0),
        };
        json!({"Attributes": {
            "ApproximateNumberOfMessages": visible.to_string(),
            "ApproximateNumberOfMessagesNotVisible": in_flight.to_string(),
            "ApproximateNumberOfMessagesDelayed": "0",
            "RedrivePolicy": "{\"deadLetterTargetArn\":\"arn:aws:sqs:eu-central-1:123456789012:dead\",\"maxReceiveCount\":3}",
        }})
    }

    /// A hundred a page, as ECS does.
    fn list(&self, input: &Value) -> Value {
        let stopped = input["desiredStatus"] == "STOPPED";
        let Load { busy, tasks, .. } = self.load;
        let running = (0..busy).flat_map(|index| (0..tasks).map(move |n| long_task(index, n)));
        let running = running.filter(|_| !stopped);
        let started = self.tasks.iter().filter(|(_, (_, runs))| *runs != stopped);
        let arns: Vec<String> = running.chain(started.map(|(arn, _)| arn.clone())).collect();
        let from: usize = input["nextToken"].as_str().and_then(|t| t.parse().ok()).unwrap_or(0);
        let page: Vec<_> = arns.iter().skip(from).take(100).collect();
        let mut answer = json!({"taskArns": page});
        if from + 100 < arns.len() {
            answer["nextToken"] = json!((from + 100).to_string());
        }
        answer
    }

    fn describe(&self, input: &Value) -> Value {
        let arns = input["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
        let described = arns.iter().filter_map(|arn| {
            let arn = arn.as_str()?;
            if let Some((request, runs)) = self.tasks.get(arn) {
                return Some(task(arn, request, *runs));
            }
            let (_, worker) = arn.rsplit_once("-of-")?;
            let request = json!({
                "taskDefinition": format!("{ARN}:task-definition/{worker}--x{CONTAINERS}:1"),
                "group": format!("worker:{worker}"), "startedBy": "ecs-queue-scaler",
            });
            Some(task(arn, &request, true))
        });
        json!({"tasks": described.collect::<Vec<_>>(), "failures": []})
    }

    fn definition(&self, name: &str) -> (u16, Value) {
        let family =
            name.rsplit('/').next().unwrap_or_default().split(':').next().unwrap_or_default();
        match self.registered.get(family) {
            Some((revision, document, tags)) => {
                let document = with_arn(document.clone(), family, *revision);
                (200, json!({"taskDefinition": document, "tags": tags}))
            }
            None if family.contains("--x") => refused("Unable to describe task definition."),
            None => (200, json!({"taskDefinition": with_arn(base(family), family, 7), "tags": []})),
        }
    }

    /// A base family is registered by those who clone it in place: it stays as it was, or its
    /// containers would grow from tick to tick.
    fn register(&mut self, input: &Value) -> Value {
        let family = input["family"].as_str().unwrap_or_default().to_owned();
        let mut document = input.clone();
        let tags = document.as_object_mut().and_then(|d| d.remove("tags")).unwrap_or(json!([]));
        let revision = self.registered.get(&family).map_or(1, |(revision, _, _)| revision + 1);
        let answer = with_arn(document.clone(), &family, revision);
        if family.contains("--x") {
            self.registered.insert(family, (revision, document, tags));
        }
        json!({"taskDefinition": answer})
    }

    fn run(&mut self, input: &Value) -> Value {
        let mut request = input.clone();
        let arn = request["taskDefinition"].as_str().unwrap_or_default();
        if !arn.starts_with("arn:") {
            request["taskDefinition"] = json!(format!("{ARN}:task-definition/{arn}"));
        }
        let count = input["count"].as_u64().unwrap_or(1);
        self.started += count;
        let tasks = (0..count).map(|_| {
            let arn = format!("{ARN}:task/jobs/{:032x}", self.tasks.len());
            let answer = task(&arn, &request, true);
            self.tasks.insert(arn, (request.clone(), true));
            answer
        });
        json!({"tasks": tasks.collect::<Vec<_>>(), "failures": []})
    }
}

fn long_task(index: usize, number: usize) -> String {
    format!("{ARN}:task/jobs/long-{number}-of-{}", worker(index))
}

/// As old as any.
fn ages(input: &Value) -> Value {
    let queries = input["MetricDataQueries"].as_array().map(Vec::as_slice).unwrap_or_default();
    let results = queries.iter().map(|query| json!({"Id": query["Id"], "Values": [42.0]}));
    json!({"MetricDataResults": results.collect::<Vec<_>>()})
}

fn refused(message: &str) -> (u16, Value) {
    (400, json!({"__type": "ClientException", "message": message}))
}

/// A task as `RunTask` and `DescribeTasks` tell it, about as long as theirs.
fn task(arn: &str, request: &Value, runs: bool) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let status = if runs { "RUNNING" } else { "STOPPED" };
    let containers = (1..=CONTAINERS).map(|number| {
        let name = if number == 1 { "worker".to_owned() } else { format!("worker-{number}") };
        let mut container = json!({
            "containerArn": format!("{ARN}:container/jobs/{number}"), "taskArn": arn, "name": name,
            "image": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/worker:1",
            "runtimeId": "6a5d3d9c-1234567890", "lastStatus": status, "networkBindings": [],
            "networkInterfaces": [{"attachmentId": "5b3b3d9c", "privateIpv4Address": "10.0.0.10"}],
            "healthStatus": "UNKNOWN", "cpu": "256", "memory": "512",
        });
        if !runs {
            container["exitCode"] = json!(0);
        }
        container
    });
    let mut task = json!({
        "taskArn": arn, "clusterArn": format!("{ARN}:cluster/jobs"),
        "taskDefinitionArn": request["taskDefinition"], "group": request["group"],
        "startedBy": request["startedBy"], "desiredStatus": status, "lastStatus": status,
        "containers": containers.collect::<Vec<_>>(), "createdAt": now - 300.0, "version": 3,
        "startedAt": now - 290.0, "connectivity": "CONNECTED", "healthStatus": "UNKNOWN",
        "cpu": "1024", "memory": "2048", "availabilityZone": "eu-central-1a", "attachments": [],
        "overrides": {"containerOverrides": [], "inferenceAcceleratorOverrides": []},
        "tags": request.get("tags").cloned().unwrap_or(json!([])),
    });
    if !runs {
        task["stoppedAt"] = json!(now - 1.0);
        task["stopCode"] = json!("EssentialContainerExited");
        task["stoppedReason"] = json!("Essential container in task exited");
    }
    task
}

fn with_arn(mut document: Value, family: &str, revision: u64) -> Value {
    document["taskDefinitionArn"] = json!(format!("{ARN}:task-definition/{family}:{revision}"));
    document["revision"] = json!(revision);
    document["status"] = json!("ACTIVE");
    document
}

/// What a team has registered: a job that reads a queue.
fn base(family: &str) -> Value {
    let queue = format!("https://sqs.eu-central-1.amazonaws.com/{ACCOUNT}/{family}");
    json!({
        "family": family, "networkMode": "awsvpc", "cpu": "256", "memory": "512",
        "requiresCompatibilities": ["EC2", "FARGATE"], "volumes": [], "placementConstraints": [],
        "taskRoleArn": "arn:aws:iam::123456789012:role/worker",
        "executionRoleArn": "arn:aws:iam::123456789012:role/execution",
        "compatibilities": ["EC2", "FARGATE"], "requiresAttributes": [
            {"name": "com.amazonaws.ecs.capability.task-iam-role"},
            {"name": "com.amazonaws.ecs.capability.logging-driver.awslogs"},
            {"name": "com.amazonaws.ecs.capability.docker-remote-api.1.19"}],
        "registeredAt": 1_763_000_000.0, "registeredBy": "arn:aws:iam::123456789012:role/deploy",
        "containerDefinitions": [{
            "name": "worker", "cpu": 256, "memory": 512, "essential": true,
            "image": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/worker:1",
            "environment": [
                {"name": "QUEUE_URL", "value": queue}, {"name": "TABLE", "value": "jobs"},
                {"name": "LOG_LEVEL", "value": "info"}, {"name": "STAGE", "value": "production"}],
            "secrets": [{"name": "TOKEN", "valueFrom":
                "arn:aws:secretsmanager:eu-central-1:123456789012:secret:token-AbCdEf"}],
            "logConfiguration": {"logDriver": "awslogs", "options": {
                "awslogs-group": format!("/ecs/{family}"), "awslogs-region": "eu-central-1",
                "awslogs-stream-prefix": "worker"}},
            "mountPoints": [], "portMappings": [], "volumesFrom": [], "systemControls": [],
        }],
    })
}
