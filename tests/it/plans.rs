//! What holds for every plan, whatever the configuration and the world.

use std::collections::{BTreeMap, BTreeSet};

use decision::config::{Config, Limits, read_settings};
use decision::decide::{decide, derive};
use decision::definition::TaskDefinition;
use decision::event::Tick;
use decision::fargate::{OperatingSystem, TaskSize};
use decision::plan::{
    Action, Facts, Group, Idle, LaunchPlan, Plan, Revision, Several, Way, WorkerPlan,
};
use decision::snapshot::{
    Capacity, ClusterTasks, ContainerStatus, Depth, Queue, ReadError, Snapshot, Task, TickContext,
};
use decision::units::{
    ClusterName, Containers, CpuUnits, MebiBytes, Messages, Region, RevisionArn, ScalerName,
    TaskArn, TaskDefinitionRef, Tasks, WorkerName,
};
use jiff::Timestamp;
use proptest::prelude::{
    ProptestConfig, any, prop, prop_assert, prop_assert_eq, prop_compose, proptest,
};
use proptest::sample::select;
use serde_json::{Value, json};

const ARN: &str = "arn:aws:ecs:us-east-1:123456789012:task-definition/a:1";
const MAX: u32 = 120;

/// A base of one worker of 200 CPU units and 300 MiB, and a sidecar, in a task of 256 and 512.
fn definition() -> TaskDefinition {
    let document = json!({
        "taskDefinitionArn": ARN, "family": "a", "status": "ACTIVE", "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
        "containerDefinitions": [
            {"name": "w", "image": "w", "cpu": 200, "memory": 300},
            {"name": "s", "image": "s", "cpu": 56, "memory": 212, "essential": false},
        ],
    });
    TaskDefinition::parse(&document, &json!([])).unwrap()
}

fn config(scaling: &Value, packing: &Value) -> Config {
    let worker = |name: &str| {
        json!({"name": name, "queue": name, "taskDefinition": "a", "container": "w",
            "scaling": scaling, "packing": packing,
            "capacity": [{"capacityProvider": "FARGATE_SPOT"}, {"capacityProvider": "FARGATE"}]})
    };
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-1"]}});
    let document = json!({"cluster": "jobs", "launch": {"networkConfiguration": network},
        "workers": [worker("one"), worker("two")]});
    let config = Config::from_value(&document).unwrap();
    assert_eq!(config.refused, []);
    config
}

prop_compose! {
    fn any_config()(
        scaling in select(vec![
            json!({"messagesPerContainer": 1}), json!({"messagesPerContainer": 7}),
            json!({"drainWithin": {"target": "1m", "secondsPerMessage": 20}}),
            json!({"steps": [{"depth": 1, "containers": 3}, {"depth": 50, "containers": 40}]}),
            json!({"steps": [{"depth": 1, "tasks": 2}, {"depth": 20, "tasks": 15}]}),
        ]),
        min in select(vec![
            json!(0), json!(3),
            json!([{"containers": 1}, {"cron": "0 0 1 1 *", "for": "1h", "containers": 4}]),
            json!([{"cron": "1 0 1 1 *", "for": "1h", "containers": 4}]),
        ]),
        per_tick in prop::option::of(1_u32..60),
        strategy in select(vec!["spread", "dense", "cheapest"]),
        completion in select(vec!["all", "any"]),
        per_task in prop::option::of(1_u32..=9),
        max_tasks in prop::option::of(1_u32..40),
    ) -> Config {
        let mut scaling = scaling;
        scaling["maxContainers"] = json!(MAX);
        scaling["minContainers"] = min;
        if let Some(per_tick) = per_tick {
            scaling["maxLaunchPerTick"] = json!(per_tick);
        }
        let of_tasks = scaling["steps"][0]["tasks"].is_number();
        let strategy = if of_tasks && strategy == "cheapest" { "dense" } else { strategy };
        let mut packing = json!({"strategy": strategy, "completion": completion});
        if let Some(per_task) = per_task {
            packing["maxContainersPerTask"] = json!(per_task);
        }
        if let Some(max_tasks) = max_tasks {
            packing["maxTasks"] = json!(max_tasks);
        }
        config(&scaling, &packing)
    }
}

/// A worker's plan without what all share: warnings of all pulls, and what is left under the caps.
fn apart(plan: &WorkerPlan) -> WorkerPlan {
    let mut plan = plan.clone();
    if let Action::Launch(launch) = &mut plan.action {
        (launch.cautions, launch.smaller) = (Vec::new(), None);
    }
    plan
}

/// Whether a worker has several containers a task only because of the others.
fn shares_what_starts_at_once(plan: &Plan) -> bool {
    launches(plan).iter().any(|launch| matches!(launch.several, Some(Several::AtOnce(_))))
}

fn task(worker: &str, (number, containers): (usize, u32), status: ContainerStatus) -> Task {
    let family = if containers == 1 { "a".to_owned() } else { format!("a--x{containers}") };
    let name = |i| if i == 1 { "w".to_owned() } else { format!("w-{i}") };
    Task {
        arn: TaskArn(format!("{worker}/{number}")),
        worker: WorkerName::from(worker),
        revision: RevisionArn(format!("arn:aws:ecs:r:a:task-definition/{family}:1")),
        containers: (1..=containers).map(|i| (name(i), status)).collect(),
        created: None,
        started: None,
        tick: None,
        container: None,
        instance: None,
        capacity: Capacity::default(),
        function: None,
        provisioning: false,
        shape: None,
    }
}

prop_compose! {
    fn any_snapshot()(
        visible in 0_u64..200, in_flight in 0_u64..200, delayed in 0_u64..9,
        alive in prop::collection::vec(1_u32..=9, 0..12),
    ) -> Snapshot {
        let depth =
            Depth { visible: Messages(visible), in_flight: Messages(in_flight), delayed: Messages(delayed) };
        let tasks = ["one", "two"].into_iter().flat_map(|worker| {
            let numbered = alive.iter().enumerate();
            numbered.map(|(i, n)| task(worker, (i, *n), ContainerStatus::Running)).collect::<Vec<_>>()
        });
        let (scaler, tick) =
            (&ScalerName::parse("scaler").unwrap(), &Tick::Request("tick".to_owned()));
        let now = Timestamp::UNIX_EPOCH;
        let context = TickContext { scaler, tick, delivery: "request", now, answers_hooks: false, function: "scaler", checks: false, may_overlap: false };
        Snapshot {
            queues: ["one", "two"]
                .into_iter()
                .map(|w| (WorkerName::from(w), Ok(Queue { depth, ..Queue::default() })))
                .collect(),
            tasks: BTreeMap::from([(
                ClusterName::from("jobs"),
                Ok(ClusterTasks { alive: tasks.collect(), ..ClusterTasks::default() }),
            )]),
            definitions: BTreeMap::from([(TaskDefinitionRef::from("a"), Ok(definition()))]),
            ..Snapshot::unread(context, Region::from("us-east-1"))
        }
    }
}

fn launches(plan: &Plan) -> Vec<&LaunchPlan> {
    let mut launches = Vec::new();
    for worker in &plan.workers {
        match &worker.action {
            Action::Launch(launch) => launches.push(&**launch),
            Action::Idle(_) => {}
            other => panic!("{other:?}"),
        }
    }
    launches
}

fn tokens(plan: &Plan) -> Vec<String> {
    let calls = launches(plan).into_iter().flat_map(|launch| &launch.groups).flat_map(|g| &g.calls);
    let tokens = calls.flat_map(|call| match &call.way {
        Way::Run(tokens) => tokens.clone(),
        Way::Pin(token, _) => vec![token.clone()],
        Way::Start(_) => Vec::new(),
    });
    tokens.map(|token| token.as_str().to_owned()).collect()
}

/// The world after a plan was carried out, before any message was taken.
fn applied(snapshot: &Snapshot, plan: &Plan) -> Snapshot {
    let mut after = snapshot.clone();
    let tasks = &mut after.tasks.values_mut().next().unwrap().as_mut().unwrap().alive;
    for worker in &plan.workers {
        let Action::Launch(launch) = &worker.action else { continue };
        for group in &launch.groups {
            for _ in 0..group.tasks().0 {
                let size = (tasks.len(), group.containers_per_task.0);
                tasks.push(task(worker.worker.as_str(), size, ContainerStatus::Starting));
            }
        }
    }
    after
}

proptest! {
    // Of two workers each: ten thousand decisions.
    #![proptest_config(ProptestConfig::with_cases(5000))]

    /// What was decided is derived again from what a line of the log has of it.
    #[test]
    fn a_decision_is_derived_again_from_its_line(
        config in any_config(), snapshot in any_snapshot(), tasks_per_tick in 1_u32..60,
    ) {
        let limits = Limits { tasks_per_tick: Tasks(tasks_per_tick), ..config.limits };
        let plan = decide(&Config { limits, ..config }, &snapshot);
        for plan in &plan.workers {
            let Some(facts) = &plan.facts else { continue };
            let line = facts.line();
            prop_assert!(json!(line).to_string().len() <= 900, "{line}");
            let read: Facts = serde_json::from_str(&line).unwrap();
            // The settings are what it goes without where it would be too long.
            prop_assert_eq!(&**facts, &Facts { settings: facts.settings.clone(), ..read.clone() });
            let worker = read_settings(facts.settings.as_ref().unwrap()).unwrap();
            let derived = derive(&worker.scaling, &worker.packing, &read);
            match &plan.action {
                Action::Launch(launch) => {
                    let groups: Vec<_> = launch.groups.iter().map(|group| (group.containers_per_task, group.tasks())).collect();
                    let deferred = launch.deferred.as_ref().map(|d| d.containers).unwrap_or_default();
                    prop_assert_eq!((&derived.decision, derived.tasks, derived.deferred), (&launch.decision, groups, deferred));
                }
                Action::Idle(Idle::Answered(decision)) => prop_assert_eq!(&derived.decision, &**decision),
                other => panic!("{other:?}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn a_plan_holds_exactly_what_is_owed_within_every_cap(
        config in any_config(), snapshot in any_snapshot(),
    ) {
        let plan = decide(&config, &snapshot);
        for launch in launches(&plan) {
            let decision = &launch.decision;
            let planned: Containers = launch.groups.iter().map(Group::containers).sum();
            let deferred = launch.deferred.as_ref().map(|d| d.containers).unwrap_or_default();
            prop_assert_eq!(planned.plus(deferred), decision.launch, "{}", launch);
            prop_assert!(decision.alive.containers.plus(planned) <= Containers(MAX), "{}", launch);
            prop_assert!(launch.groups.len() <= 2);
            let tasks: Tasks = launch.groups.iter().map(Group::tasks).sum();
            let worker = &config.workers[0];
            prop_assert!(worker.packing.max_tasks.is_none_or(|most| tasks <= most), "{}", launch);
            prop_assert!(decision.launch_tasks.is_none_or(|owed| tasks <= owed), "{}", launch);
            for group in &launch.groups {
                let most = worker.packing.max_containers_per_task.unwrap_or(Containers(9));
                prop_assert!(group.containers_per_task <= most);
                prop_assert!(group.calls.iter().all(|call| (1..=10).contains(&call.tasks.0)));
            }
        }
    }

    #[test]
    fn a_derived_size_is_legal_and_never_smaller_than_needed(
        config in any_config(), snapshot in any_snapshot(),
    ) {
        let plan = decide(&config, &snapshot);
        for group in launches(&plan).into_iter().flat_map(|launch| &launch.groups) {
            let Revision::Derived(variant, _) = &group.revision else { continue };
            let number = |member: &str| variant.document[member].as_str().unwrap().parse().unwrap();
            let size =
                TaskSize { cpu: CpuUnits(number("cpu")), memory: MebiBytes(number("memory")) };
            let more = group.containers_per_task.0 - 1;
            prop_assert!(size.is_legal(OperatingSystem::Linux));
            prop_assert!(CpuUnits(256 + 200 * more) <= size.cpu);
            prop_assert!(MebiBytes(512 + 300 * more) <= size.memory);
        }
    }

    /// Ten steps of large numbers are too many for a line that has much else, and such a line still has that.
    #[test]
    fn a_line_is_short_whatever_the_settings_are(
        steps in prop::collection::btree_map(1_u32..=u32::MAX, 1_u32..=5000, 1..=10),
        visible in any::<u64>(),
    ) {
        let steps: Vec<_> = steps.iter().map(|(from, n)| json!({"from": from, "containers": n})).collect();
        let settings = json!({"scaling": {"steps": steps, "maxLaunchPerTick": 5000, "progressBrake": false,
            "countDelayed": true}, "packing": {"strategy": "cheapest", "maxTasks": 5000}});
        let facts = Facts {
            visible: Messages(visible),
            in_flight: Messages(visible),
            delayed: Messages(visible),
            config: "01234567".to_owned(),
            settings: Some(settings.clone()),
            ..Facts::default()
        };
        let line = facts.line();
        prop_assert!(json!(line).to_string().len() <= 900, "{line}");
        let read: Facts = serde_json::from_str(&line).unwrap();
        let whole = json!(serde_json::to_string(&facts).unwrap()).to_string();
        prop_assert_eq!(read.settings, (whole.len() <= 900).then_some(settings));
    }

    #[test]
    fn tokens_are_the_same_for_one_tick_and_never_shared(
        config in any_config(), snapshot in any_snapshot(),
    ) {
        let plan = decide(&config, &snapshot);
        prop_assert_eq!(&plan, &decide(&config, &snapshot));
        let tokens = tokens(&plan);
        let distinct: BTreeSet<_> = tokens.iter().collect();
        prop_assert_eq!(distinct.len(), tokens.len());
        let next = Snapshot { tick: Tick::Request("next".to_owned()), ..snapshot };
        let next = self::tokens(&decide(&config, &next));
        prop_assert!(next.iter().all(|token| !distinct.contains(token)));
    }

    #[test]
    fn the_next_tick_starts_only_what_was_left_for_it(
        config in any_config(), snapshot in any_snapshot(),
    ) {
        let plan = decide(&config, &snapshot);
        let next = decide(&config, &applied(&snapshot, &plan));
        let held_back = |plan: &Plan| launches(plan).iter().any(|launch| {
            launch.deferred.is_some() || !launch.decision.bounds.is_empty()
        });
        prop_assert!(held_back(&plan) || launches(&next).is_empty(), "{plan:?}\n{next:?}");
    }

    #[test]
    fn one_workers_trouble_changes_nothing_for_another(
        config in any_config(), snapshot in any_snapshot(), kind in any::<bool>(),
    ) {
        let healthy = decide(&config, &snapshot);
        let mut troubled = snapshot;
        let one = WorkerName::from("one");
        if kind {
            let error = ReadError::Answer { operation: "GetQueueAttributes", what: "x".to_owned() };
            troubled.queues.insert(one, Err(error));
        } else {
            troubled.queues.remove(&one);
        }
        let plan = decide(&config, &troubled);
        prop_assert!(matches!(plan.workers[0].action, Action::Hold(_)));
        // Who has to share what Fargate starts at once packs tighter, and who is alone need not.
        let tasks: u32 = launches(&healthy).iter().flat_map(|l| &l.groups).map(|g| g.tasks().0).sum();
        if tasks <= 100 && !shares_what_starts_at_once(&healthy) {
            prop_assert_eq!(&apart(&plan.workers[1]), &apart(&healthy.workers[1]));
        }
    }
}
