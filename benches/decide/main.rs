//! How long a decision takes, for 50 and for 1,000 busy workers, and for 10,000 tasks that our own
//! scheduler places on 1,000 instances: the snapshot is there, the plan is made. No file is read, no
//! call is made.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot begin stops")]

use decision::config::Config;
use decision::decide::decide;
use decision::definition::TaskDefinition;
use decision::event::Tick;
use decision::plan::{Action, Group, Plan};
use decision::snapshot::{
    Capacity, ClusterTasks, ContainerStatus, Depth, Instance, Instances, Queue, Redrive, Resources,
    Snapshot, Task, TickContext,
};
use decision::units::{
    ClusterName, CpuUnits, Ec2InstanceId, InstanceArn, MebiBytes, Messages, Region, RevisionArn,
    ScalerName, ServiceName, TaskArn, TaskDefinitionRef, Tasks, WorkerName,
};
use divan::Bencher;
use jiff::Timestamp;
use serde_json::{Value, json};

fn main() {
    divan::main();
}

/// Every worker has a queue and a definition of its own, a task that runs, and two tasks of four
/// containers to be launched: a definition is cloned for each.
#[divan::bench(args = [50, 1000])]
fn decision(bencher: Bencher<'_, '_>, workers: u32) {
    let (config, snapshot) = (config(workers), snapshot(workers));
    assert_eq!(tasks(&decide(&config, &snapshot)), Tasks(2 * workers));
    bencher.bench_local(|| decide(divan::black_box(&config), divan::black_box(&snapshot)));
}

/// One worker, 10,000 tasks, 1,000 instances of three zones with room for twelve each.
#[divan::bench(args = ["leastTasks", "binpack", "spread"])]
fn placement(bencher: Bencher<'_, '_>, scheduler: &str) {
    let (config, snapshot) = (placing(scheduler), cluster());
    assert_eq!(tasks(&decide(&config, &snapshot)), Tasks(10_000));
    bencher.bench_local(|| decide(divan::black_box(&config), divan::black_box(&snapshot)));
}

/// As many workers, each with ten tasks, on the same instances, which all have a daemon to run.
#[divan::bench(args = [50, 1000])]
fn placement_of_workers(bencher: Bencher<'_, '_>, workers: u32) {
    let (config, snapshot) = (many(workers), shared(workers));
    assert_eq!(tasks(&decide(&config, &snapshot)), Tasks(10 * workers));
    bencher.bench_local(|| decide(divan::black_box(&config), divan::black_box(&snapshot)));
}

fn many(workers: u32) -> Config {
    let workers = (0..workers).map(|index| {
        json!({
            "name": name(index), "queue": name(index), "taskDefinition": name(index),
            "scaling": {"messagesPerContainer": 1}, "packing": {"maxContainersPerTask": 1},
        })
    });
    let document = json!({
        "cluster": "jobs", "maxTasksPerTick": 100_000, "maxTasksPerHour": 100_000,
        "launch": {
            "launchType": "EC2", "networkConfiguration": network(),
            "placement": {"scheduler": "leastTasks", "requireDaemons": ["log-agent"]},
        },
        "workers": workers.collect::<Vec<_>>(),
    });
    Config::from_value(&document).unwrap()
}

fn shared(workers: u32) -> Snapshot {
    let mut whole = cluster();
    let queue = Queue {
        depth: Depth { visible: Messages(10), ..Depth::default() },
        redrive: Redrive::Bounded,
    };
    whole.queues = (0..workers).map(|index| (WorkerName(name(index)), Ok(queue))).collect();
    whole.definitions = snapshot(workers).definitions;
    for cluster in whole.instances.values_mut().flatten() {
        let all = cluster.active.iter().map(|instance| instance.arn.clone()).collect();
        cluster.daemons.insert(ServiceName::from("log-agent"), Ok(all));
    }
    whole
}

/// What a plan starts.
fn tasks(plan: &Plan) -> Tasks {
    let groups = plan.workers.iter().flat_map(|worker| match &worker.action {
        Action::Launch(launch) => launch.groups.as_slice(),
        _ => &[],
    });
    groups.map(Group::tasks).sum()
}

fn placing(scheduler: &str) -> Config {
    let document = json!({
        "cluster": "jobs", "maxTasksPerTick": 100_000, "maxTasksPerHour": 100_000,
        "launch": {"launchType": "EC2", "placement": {"scheduler": scheduler}, "networkConfiguration": network()},
        "workers": [{
            "name": name(0), "queue": name(0), "taskDefinition": name(0),
            "scaling": {"messagesPerContainer": 1, "maxContainers": 10_000},
            "packing": {"maxContainersPerTask": 1, "maxTasks": 10_000},
        }],
    });
    Config::from_value(&document).unwrap()
}

fn network() -> Value {
    json!({"awsvpcConfiguration": {"subnets": ["subnet-1"]}})
}

fn cluster() -> Snapshot {
    let zones = ["a", "b", "c"].into_iter().cycle();
    let whole =
        Resources { cpu: CpuUnits(12 * 256), memory: MebiBytes(12 * 512), ..Resources::default() };
    let instance = |(index, zone): (u32, &str)| Instance {
        arn: InstanceArn(format!(
            "arn:aws:ecs:eu-central-1:123456789012:container-instance/jobs/{index:032x}"
        )),
        ec2: Ec2InstanceId(format!("i-{index:017x}")),
        connected: true,
        whole: whole.clone(),
        remaining: whole.clone(),
        attributes: [("ecs.availability-zone".to_owned(), Some(zone.to_owned()))].into(),
        tasks: Tasks(index % 3),
        registered: None,
        provider: None,
    };
    let active = (0..1000).zip(zones).map(instance).collect();
    let instances = Instances { active, ..Instances::default() };
    let depth = Depth { visible: Messages(10_000), ..Depth::default() };
    let queue = Queue { depth, redrive: Redrive::Bounded };
    Snapshot {
        queues: [(WorkerName(name(0)), Ok(queue))].into(),
        tasks: [(ClusterName("jobs".to_owned()), Ok(ClusterTasks::default()))].into(),
        instances: [(ClusterName("jobs".to_owned()), Ok(instances))].into(),
        ..snapshot(1)
    }
}

fn name(index: u32) -> String {
    format!("worker-{index:04}")
}

fn config(workers: u32) -> Config {
    let workers = (0..workers).map(|index| {
        json!({
            "name": name(index), "queue": name(index), "taskDefinition": name(index),
            "scaling": {"messagesPerContainer": 1},
            "packing": {"strategy": "dense", "maxContainersPerTask": 4},
        })
    });
    let document = json!({
        "cluster": "jobs", "maxTasksPerTick": 100_000, "maxTasksPerHour": 100_000,
        "launch": {"launchType": "EC2", "networkConfiguration": network()}, "workers": workers.collect::<Vec<_>>(),
    });
    Config::from_value(&document).unwrap()
}

fn snapshot(workers: u32) -> Snapshot {
    let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    let depth = Depth { visible: Messages(8), in_flight: Messages(4), delayed: Messages(0) };
    let queue = Queue { depth, redrive: Redrive::Bounded };
    let tasks = ClusterTasks { alive: (0..workers).map(task).collect(), ..ClusterTasks::default() };
    let definition = |index| TaskDefinition::parse(&document(&name(index)), &json!([])).unwrap();
    let (scaler, tick) = (&ScalerName::parse("ecs-queue-scaler").unwrap(), &Tick::Scheduled(now));
    let context = TickContext {
        scaler,
        tick,
        delivery: "request",
        now,
        answers_hooks: false,
        function: "scaler",
        checks: false,
        may_overlap: false,
    };
    Snapshot {
        queues: (0..workers).map(|index| (WorkerName(name(index)), Ok(queue))).collect(),
        tasks: [(ClusterName("jobs".to_owned()), Ok(tasks))].into(),
        definitions: (0..workers)
            .map(|index| (TaskDefinitionRef(name(index)), Ok(definition(index))))
            .collect(),
        ..Snapshot::unread(context, Region::from("eu-central-1"))
    }
}

fn task(index: u32) -> Task {
    let began: Timestamp = "2026-11-21T11:50:00Z".parse().unwrap();
    let clones = ["worker", "worker-2", "worker-3", "worker-4"];
    let running = |clone: &str| (clone.to_owned(), ContainerStatus::Running);
    Task {
        arn: TaskArn(format!("arn:aws:ecs:eu-central-1:123456789012:task/jobs/{index:032x}")),
        worker: WorkerName(name(index)),
        revision: RevisionArn(format!(
            "arn:aws:ecs:eu-central-1:123456789012:task-definition/{}--x4:1",
            name(index)
        )),
        containers: clones.map(running).into(),
        created: Some(began),
        started: Some(began),
        tick: None,
        container: None,
        instance: None,
        capacity: Capacity::default(),
        function: None,
        provisioning: false,
        shape: None,
    }
}

fn document(family: &str) -> Value {
    json!({
        "taskDefinitionArn": format!("arn:aws:ecs:eu-central-1:123456789012:task-definition/{family}:7"),
        "family": family, "revision": 7, "status": "ACTIVE", "networkMode": "awsvpc",
        "requiresCompatibilities": ["EC2", "FARGATE"], "cpu": "256", "memory": "512",
        "executionRoleArn": "arn:aws:iam::123456789012:role/execution",
        "containerDefinitions": [{
            "name": "worker", "image": "worker:1", "cpu": 256, "memory": 512, "essential": true,
            "environment": [
                {"name": "QUEUE", "value": family}, {"name": "TABLE", "value": "jobs"},
                {"name": "LOG_LEVEL", "value": "info"}, {"name": "STAGE", "value": "production"}],
            "logConfiguration": {"logDriver": "awslogs", "options": {
                "awslogs-group": format!("/ecs/{family}"), "awslogs-region": "eu-central-1",
                "awslogs-stream-prefix": "worker"}},
        }],
    })
}
