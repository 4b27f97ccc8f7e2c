//! `queue-scaler room` and `start` in the in-process AWS.

use std::collections::BTreeMap;

use decision::config::Config;
use decision::decide::{decide, fitting};
use decision::definition::TaskDefinition;
use decision::event::Tick;
use decision::plan::{Action, Way};
use decision::snapshot::{
    ClusterTasks, Depth, Instance, Instances, Queue, Resources, Snapshot, TickContext,
};
use decision::units::{
    ClusterName, Containers, CpuUnits, Ec2InstanceId, Gpus, InstanceArn, MebiBytes, Messages,
    Region, ScalerName, TaskDefinitionRef, Tasks, WorkerName,
};
use ecs_queue_scaler::aws::{Aws, Halt};
use ecs_queue_scaler::cli::room::{Asked, Fits, RoomView, State, room};
use ecs_queue_scaler::cli::start::{self, StartError, ToStart, prepare};
use jiff::Timestamp;
use proptest::prelude::{
    ProptestConfig, any, prop, prop_assert, prop_assert_eq, prop_compose, proptest,
};
use serde_json::{Value, json};

use super::changes::denied;
use super::plan::{cloud, deployment};
use crate::tick::{config, invocation, scaler, tick, worker, world_with};
use crate::world::{Fault, World};

/// A task of 512 units and 1024 MiB.
fn definition(family: &str) -> Value {
    json!({
        "family": family, "networkMode": "bridge", "requiresCompatibilities": ["EC2"],
        "containerDefinitions": [{"name": "worker", "image": "i", "cpu": 512, "memory": 1024}],
    })
}

/// Workers of our own scheduler, of ECS's, and of Fargate's, and instances in all states.
fn cluster() -> (World, Value) {
    let world = world_with(&["a", "b", "big", "spot"], definition);
    world.register(&crate::tick::definition("spot"));
    let mut big = definition("big");
    big["containerDefinitions"][0]["memory"] = json!(60_000);
    world.register(&big);
    let first =
        world.instance("jobs", json!({"ec2InstanceId": "i-1", "cpu": 4096, "memory": 8192}));
    world.instance("jobs", json!({"ec2InstanceId": "i-2", "cpu": 1024, "memory": 1500, "gpus": 1}));
    let third = world.instance("jobs", json!({"ec2InstanceId": "i-3"}));
    world.change_instance(&third, json!({"agentConnected": false}));
    let fourth = world.instance("jobs", json!({"ec2InstanceId": "i-4"}));
    world.change_instance(&fourth, json!({"status": "DRAINING"}));
    world.daemon("jobs", "log-agent", (&first, "RUNNING"));
    let one = json!({"messagesPerContainer": 1});
    let by_four = json!({"strategy": "dense", "maxContainersPerTask": 2});
    let mut config = config(&[
        worker("a", &one, &by_four),
        worker("b", &one, &json!({})),
        worker("big", &one, &json!({})),
        worker("spot", &one, &json!({})),
    ]);
    config["launch"] = json!({});
    for (index, launch) in [
        json!({"launchType": "EC2", "placement": {"scheduler": "leastTasks", "requireDaemons": ["log-agent"]}}),
        json!({"launchType": "EC2"}),
        json!({"launchType": "EC2"}),
        json!({"launchType": "FARGATE", "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}}),
    ]
    .into_iter()
    .enumerate()
    {
        config["workers"][index]["launch"] = launch;
    }
    (world, config)
}

async fn seen(world: &World, config: &Value, asked: &Asked) -> RoomView {
    let deployment = deployment(world, config).await;
    Box::pin(room(&deployment, &cloud(world), asked, &invocation(world))).await.unwrap()
}

fn page(view: &RoomView, width: usize) -> String {
    anstream::adapter::strip_str(&view.page(width)).to_string()
}

#[tokio::test(start_paused = true)]
async fn what_is_left_and_what_would_fit_is_shown() {
    let (world, config) = cluster();
    world.queue("b").visible(2);
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    world.take_calls();
    let view = seen(&world, &config, &Asked::default()).await;
    assert_eq!(world.changes(), 0);
    assert_eq!(world.count("GetQueueAttributes"), 0, "room has nothing to do with queues");
    insta::assert_snapshot!("page_120", page(&view, 120));
    insta::assert_snapshot!("page_80", page(&view, 80));
    insta::assert_snapshot!("json", format!("{:#}", json!(view)));
    let documented = include_str!("../../../docs/cli.md");
    assert!(documented.contains(&page(&view, 100)), "{}", page(&view, 100));
    let schema: Value =
        serde_json::from_str(include_str!("../../../docs/schema/room.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(&json!(view)).map(|e| e.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    let (_, made, _) = super::seen(&["schema", "--of", "room"], "");
    assert!(made == include_str!("../../../docs/schema/room.json"), "make docs");
}

#[tokio::test(start_paused = true)]
async fn only_instances_that_have_so_much_are_listed() {
    let (world, config) = cluster();
    let with = async |fits: &str| {
        let fits = Some(fits.parse().unwrap());
        let view = seen(&world, &config, &Asked { fits, ..Asked::default() }).await;
        assert!(view.workers.is_empty());
        view.clusters[0].instances.iter().map(|row| row.ec2.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        with("cpu=1").await,
        ["i-1", "i-2"],
        "neither without an agent nor one that goes away"
    );
    assert_eq!(with("cpu=1025").await, ["i-1"]);
    assert_eq!(with("memory=1500").await, ["i-1", "i-2"]);
    assert_eq!(with("cpu=512,memory=1024,gpu=1").await, ["i-2"]);
    assert_eq!(with("port=22").await, Vec::<String>::new(), "ECS has it");
    assert_eq!(with("memory=99999").await, Vec::<String>::new());
    for (wrong, why) in [
        ("cpu", "`cpu`: expected cpu= and a whole number"),
        ("cpu=1.5", "`cpu=1.5`: expected cpu= and a whole number"),
        ("disk=1", "`disk` is none of cpu (units), memory (MiB), gpu and port"),
        ("port=70000", "`port=70000` is no port"),
    ] {
        assert_eq!(wrong.parse::<Fits>(), Err(why.to_owned()));
    }
}

/// Of a cluster that no worker has, too; and without any configuration.
#[tokio::test(start_paused = true)]
async fn a_cluster_can_be_named() {
    let (world, config) = cluster();
    world.cluster("other");
    world.instance("other", json!({"ec2InstanceId": "i-9"}));
    let asked = Asked { cluster: Some(ClusterName::from("other")), ..Asked::default() };
    let view = seen(&world, &config, &asked).await;
    let [other] = view.clusters.as_slice() else { panic!("{view:?}") };
    assert_eq!((other.active, view.workers.len(), view.notes.len()), (1, 0, 0));
    let view = seen(&world, &json!({"workers": []}), &asked).await;
    assert_eq!(view.clusters[0].active, 1);
    assert!(view.notes[0].starts_with("no worker is counted: "), "{:?}", view.notes);
    let view = seen(&world, &json!({}), &Asked { no_config: true, ..asked }).await;
    assert_eq!(view.notes, ["no configuration is named, and so no worker is counted"]);
    let nothing = deployment(&world, &json!({"workers": []})).await;
    let all = Asked::default();
    assert!(Box::pin(room(&nothing, &cloud(&world), &all, &invocation(&world))).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_read_is_said_and_is_not_no_room() {
    let (world, config) = cluster();
    world.fail("ListContainerInstances", 99, denied());
    let view = seen(&world, &config, &Asked::default()).await;
    assert!(view.is_incomplete() && view.clusters[0].errors.len() == 2, "{view:?}");
    assert!(view.workers.iter().all(|worker| worker.error.is_some()), "{:?}", view.workers);
    let page = page(&view, 100);
    assert!(page.contains("AccessDenied") && !page.contains("no room"), "{page}");
}

#[tokio::test(start_paused = true)]
async fn whether_a_daemon_runs_stands_beside_its_instance() {
    let (world, config) = cluster();
    let view = seen(&world, &config, &Asked::default()).await;
    let rows = &view.clusters[0].instances;
    let runs: Vec<_> = rows
        .iter()
        .map(|row| (row.ec2.as_str(), row.state, row.daemons.first().and_then(|d| d.runs)))
        .collect();
    let expected = [
        ("i-1", State::Active, Some(true)),
        ("i-2", State::Active, Some(false)),
        ("i-3", State::Disconnected, Some(false)),
        ("i-4", State::Draining, None),
    ];
    assert_eq!(runs, expected);
}

/// A worker that stands nowhere on the page would be taken for one of Fargate.
#[tokio::test(start_paused = true)]
async fn no_worker_that_may_go_on_instances_is_left_out() {
    let (world, mut config) = cluster();
    world.register(&crate::tick::definition_for_both("spot"));
    world.instance("jobs", json!({"ec2InstanceId": "i-5", "capacityProvider": "gpus"}));
    let url =
        json!([{"name": "worker", "environment": [{"name": "QUEUE_URL", "value": "{queue.url}"}]}]);
    config["workers"][1]["launch"]["overrides"] = json!({"containerOverrides": url});
    config["workers"][2]["launch"] = json!({});
    config["workers"][2]["capacity"] = json!([{"capacityProvider": "gpus"}]);
    config["workers"][3]["launch"].as_object_mut().unwrap().remove("launchType");
    config["workers"][3]["capacity"] =
        json!([{"capacityProvider": "gpus"}, {"capacityProvider": "FARGATE"}]);
    config["workers"].as_array_mut().unwrap().push(json!({"name": "typo", "queu": "typo"}));
    world.register(&definition("big"));
    let view = seen(&world, &config, &Asked::default()).await;
    let of = |name: &str| view.workers.iter().find(|worker| worker.worker == name).unwrap();
    assert_eq!((of("b").error.as_deref(), world.count("GetQueueUrl")), (None, 1));
    for name in ["big", "spot"] {
        let size = &of(name).sizes[0];
        let on: Vec<_> = size.on.iter().map(|on| on.ec2.as_str()).collect();
        assert_eq!(on, ["i-5"], "{name}: the others are of no capacity provider");
        let lacks: Vec<_> = size.lacks.iter().map(|lack| lack.why.as_str()).collect();
        assert!(lacks.contains(&"of another capacity provider"), "{lacks:?}");
    }
    let typo = of("typo").error.as_deref().unwrap();
    assert!(typo.starts_with("refused by the configuration: ") && view.is_incomplete(), "{typo}");

    world.fail("GetQueueUrl", 9, denied());
    let view = seen(&world, &config, &Asked::default()).await;
    assert!(view.notes[0].starts_with("b: GetQueueUrl of "), "{:?}", view.notes);
    world.fail_where("ListTasks", "log-agent", (9, denied()));
    let fits = Asked { fits: Some("cpu=1".parse().unwrap()), ..Asked::default() };
    let view = seen(&world, &config, &fits).await;
    let [error] = view.clusters[0].errors.as_slice() else { panic!("{view:?}") };
    assert!(error.starts_with("where log-agent runs is not known: "), "{error}");
}

prop_compose! {
    fn any_instance()(
        cpu in 0_u32..9, memory in 0_u32..9, tasks in 0_u32..4, zone in 0_usize..2, connected in prop::bool::weighted(0.8),
        has_daemon in any::<bool>(),
    ) -> (Instance, bool) {
        let left = Resources { cpu: CpuUnits(cpu * 256), memory: MebiBytes(memory * 512), gpus: Gpus(0), ..Resources::default() };
        let instance = Instance {
            arn: InstanceArn::from(""),
            ec2: Ec2InstanceId::from("i"),
            connected,
            whole: Resources { cpu: CpuUnits(2048), memory: MebiBytes(4096), ..left.clone() },
            remaining: left,
            attributes: [("ecs.availability-zone".to_owned(), Some(["a", "b"][zone].to_owned()))].into(),
            tasks: Tasks(tasks),
            registered: None,
            provider: None,
        };
        (instance, has_daemon)
    }
}

fn snapshot(instances: Vec<(Instance, bool)>, visible: u64) -> Snapshot {
    let (scaler, tick) = (&ScalerName::parse("scaler").unwrap(), &Tick::Request("tick".to_owned()));
    let context = TickContext {
        scaler,
        tick,
        delivery: "request",
        function: "scaler",
        checks: false,
        now: Timestamp::UNIX_EPOCH,
        answers_hooks: false,
        may_overlap: false,
    };
    let numbered = instances.into_iter().enumerate().map(|(number, (instance, has_daemon))| {
        (Instance { arn: InstanceArn(format!("instance/{number}")), ..instance }, has_daemon)
    });
    let (active, runs): (Vec<_>, Vec<_>) = numbered.unzip();
    let with = active.iter().zip(&runs).filter(|(_, runs)| **runs);
    let with = with.map(|(instance, _)| instance.arn.clone()).collect();
    let instances =
        Instances { active, daemons: [("agent".into(), Ok(with))].into(), ..Instances::default() };
    let document = json!({
        "taskDefinitionArn": "arn:aws:ecs:us-east-1:123456789012:task-definition/a:1", "family": "a",
        "status": "ACTIVE", "networkMode": "bridge", "requiresCompatibilities": ["EC2"],
        "containerDefinitions": [{"name": "w", "image": "w", "cpu": 256, "memory": 512}],
    });
    let depth = Depth { visible: Messages(visible), ..Depth::default() };
    Snapshot {
        queues: [(WorkerName::from("a"), Ok(Queue { depth, ..Queue::default() }))].into(),
        tasks: [(ClusterName::from("jobs"), Ok(ClusterTasks::default()))].into(),
        instances: [(ClusterName::from("jobs"), Ok(instances))].into(),
        definitions: [(
            TaskDefinitionRef::from("a"),
            Ok(TaskDefinition::parse(&document, &json!([])).unwrap()),
        )]
        .into(),
        ..Snapshot::unread(context, Region::from("us-east-1"))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Nowhere more than what is told, and exactly that where enough is asked for.
    #[test]
    fn a_launch_finds_the_room_that_is_told(
        instances in prop::collection::vec(any_instance(), 0..6), n in 1_u32..=4, wanted in 1_u32..40,
        scheduler in 0_usize..3, distinct in any::<bool>(), requires_daemon in any::<bool>(),
    ) {
        let scheduler = ["leastTasks", "binpack", "spread"][scheduler];
        let mut placement = json!({"scheduler": scheduler});
        if requires_daemon {
            placement["requireDaemons"] = json!(["agent"]);
        }
        let mut launch = json!({"launchType": "EC2", "placement": placement});
        if distinct {
            launch["placementConstraints"] = json!([{"type": "distinctInstance"}]);
        }
        let config = Config::from_value(&json!({"cluster": "jobs", "workers": [{
            "name": "a", "queue": "a", "taskDefinition": "a", "launch": launch,
            "scaling": {"messagesPerContainer": 1, "maxContainers": 1000},
            "packing": {"strategy": "dense", "maxContainersPerTask": n, "maxTasks": 1000},
        }]})).unwrap();
        let snapshot = snapshot(instances, u64::from(n * wanted));
        let told = fitting(&config.workers[0], &snapshot).unwrap().unwrap();
        prop_assert_eq!(told.len(), usize::try_from(n).unwrap(), "one for each size");
        let told = told.into_iter().find(|size| size.containers_per_task == Containers(n)).unwrap();
        let plan = decide(&config, &snapshot);
        let mut placed = BTreeMap::<InstanceArn, Tasks>::new();
        if let Action::Launch(launch) = &plan.workers[0].action {
            let groups = launch.groups.iter().filter(|group| group.containers_per_task == Containers(n));
            for call in groups.flat_map(|group| &group.calls) {
                let on = match &call.way {
                    Way::Pin(_, pin) => vec![pin.arn.clone()],
                    Way::Start(on) => on.clone(),
                    Way::Run(_) => panic!("ECS would place"),
                };
                for arn in on {
                    let tasks = placed.entry(arn).or_default();
                    *tasks = tasks.plus(Tasks(1));
                }
            }
        }
        let room: Tasks = told.on.values().copied().sum();
        let there: Tasks = placed.values().copied().sum();
        prop_assert_eq!(there, room.min(Tasks(wanted)));
        for (arn, tasks) in &placed {
            prop_assert!(*tasks <= told.on.get(arn).copied().unwrap_or_default(), "{arn}");
        }
        if room <= Tasks(wanted) {
            prop_assert_eq!(placed, told.on);
        }
    }
}

fn asked(count: u32) -> start::Asked {
    start::Asked {
        cluster: "jobs".to_owned(),
        task_definition: "b".to_owned(),
        count,
        scheduler: "leastTasks".to_owned(),
        ..start::Asked::default()
    }
}

async fn prepared(world: &World, asked: &start::Asked) -> Result<ToStart, StartError> {
    Box::pin(prepare(&cloud(world), asked, &invocation(world))).await
}

fn shown(found: &ToStart) -> String {
    anstream::adapter::strip_str(&found.page(100)).to_string()
}

#[tokio::test(start_paused = true)]
async fn tasks_of_any_definition_go_where_the_fewest_run() {
    let (world, _) = cluster();
    world.take_calls();
    let found = prepared(&world, &asked(9)).await.unwrap();
    assert_eq!(world.changes(), 0, "it asks first");
    insta::assert_snapshot!("start", shown(&found));
    let came = found.start(&Aws::new(&world.sdk_config()).unwrap().write).await;
    let (lines, is_whole) = found.report(&came);
    assert!(!is_whole && lines.len() == 8, "{lines:?}");
    let calls = world.take_calls();
    let calls: Vec<_> = calls.iter().filter(|call| call.operation == "StartTask").collect();
    assert_eq!(calls.len(), 7, "never one instance twice in a call");
    assert_eq!(
        calls[0].input["startedBy"], "queue-scaler-start",
        "no scaler takes them for its own"
    );
    assert_eq!((world.tasks().len(), world.count("RunTask")), (8, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_is_told_and_not_repeated() {
    for fault in [Fault::LostAnswer, Fault::Closed] {
        let (world, _) = cluster();
        let profile = Some("our own".to_owned());
        let asked = start::Asked { profile, ..asked(3) };
        let found = prepared(&world, &asked).await.unwrap();
        world.fail("StartTask", 1, fault);
        world.take_calls();
        let came = found.start(&Aws::new(&world.sdk_config()).unwrap().write).await;
        let (lines, is_whole) = found.report(&came);
        assert!(!is_whole);
        let told = lines.last().unwrap();
        let list = "aws ecs list-tasks --cluster jobs --started-by queue-scaler-start --region \
                    eu-central-1 --profile 'our own'";
        assert!(told.contains("is not repeated") && told.contains(list), "{told}");
        assert!(found.may_be_started().contains(list));
        let calls = world.take_calls();
        assert_eq!(calls.iter().filter(|call| call.operation == "StartTask").count(), 1);
    }
}

/// Ctrl-C, or a time that is up: no further call, and what was started is listed.
#[tokio::test(start_paused = true)]
async fn nothing_is_started_once_it_is_halted() {
    let (world, _) = cluster();
    let found = prepared(&world, &asked(9)).await.unwrap();
    let halt = Halt::default();
    halt.set();
    let aws = Aws::new(&world.sdk_config()).unwrap().with_halt(halt);
    let (lines, is_whole) = found.report(&found.start(&aws.write).await);
    assert!(!is_whole && lines[0].contains("interrupted: it was not called"), "{lines:?}");
    assert_eq!(world.tasks().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_started_is_said_before_anything_is() {
    let (world, _) = cluster();
    let daemons = start::Asked { require_daemons: vec!["log-agent".to_owned()], ..asked(20) };
    let found = prepared(&world, &daemons).await.unwrap();
    assert!(shown(&found).contains("without daemon log-agent"), "{}", shown(&found));
    let big = start::Asked { task_definition: "big".to_owned(), ..asked(1) };
    let found = prepared(&world, &big).await.unwrap();
    assert!(
        found.is_nowhere() && shown(&found).contains("too small for the task"),
        "{}",
        shown(&found)
    );
    let spot = start::Asked { task_definition: "spot".to_owned(), ..asked(1) };
    let error = prepared(&world, &spot).await.unwrap_err().to_string();
    assert!(error.contains("awsvpc: give --subnet, and --security-group where"), "{error}");
    let bridge = start::Asked { subnets: vec!["subnet-1".to_owned()], ..asked(1) };
    let error = prepared(&world, &bridge).await.unwrap_err().to_string();
    assert!(error.contains("mode bridge") && error.contains("leave out --subnet"), "{error}");
    let unplaced =
        ["start", "--cluster", "c", "--task-definition", "t", "--security-group", "sg-1"];
    let (code, _, error) = super::seen(&unplaced, "");
    assert!(code == 2 && error.contains("--subnet <ID>"), "{error}");
    let none = start::Asked { task_definition: "no-such".to_owned(), ..asked(1) };
    let error = prepared(&world, &none).await.unwrap_err().to_string();
    assert!(error.contains("there is no such revision"), "{error}");
    let wrong = start::Asked { scheduler: "fastest".to_owned(), ..asked(1) };
    assert!(matches!(prepared(&world, &wrong).await, Err(StartError::Wrong(_))));
    assert_eq!(world.changes(), 0);
}
