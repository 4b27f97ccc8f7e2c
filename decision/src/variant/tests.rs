use serde_json::{Value, json};

use super::containers::WATCHER_SCRIPT;
use super::*;
use crate::config::{Strategy, Watcher};
use crate::fargate::TaskSize;
use crate::tags;
use crate::units::{CpuUnits, MebiBytes, Region, Tasks};

const ARN: &str = "arn:aws:ecs:eu-central-1:123456789012:task-definition/thumbnail:7";

fn definition(more: &Value) -> TaskDefinition {
    let mut document = json!({
        "taskDefinitionArn": ARN, "family": "thumbnail", "revision": 7, "status": "ACTIVE",
        "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
        "compatibilities": ["EC2", "FARGATE"], "requiresAttributes": [{"name": "x"}],
        "registeredAt": 1.0, "registeredBy": "arn:aws:iam::123456789012:root",
        "cpu": "512", "memory": "1024", "taskRoleArn": "arn:aws:iam::123456789012:role/worker",
        "volumes": [], "placementConstraints": [], "fieldOfTheFuture": {"kept": true},
        "containerDefinitions": [
            {"name": "worker", "image": "worker:1", "cpu": 256, "memory": 512, "essential": true,
             "environment": [{"name": "TABLE", "value": "jobs"}, {"name": "WORKER_INDEX", "value": "?"}],
             "secrets": [{"name": "KEY", "valueFrom": "arn:aws:ssm:x"}],
             "startTimeout": 60, "restartPolicy": {"enabled": true}, "stopTimeout": 120,
             "dependsOn": [{"containerName": "log", "condition": "START"}],
             "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "jobs"}}},
            {"name": "log", "image": "log:1", "cpu": 0, "essential": false},
            {"name": "upload", "image": "upload:1", "cpu": 0, "essential": false,
             "dependsOn": [{"containerName": "worker", "condition": "COMPLETE"}]},
        ],
    });
    let fields = document.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    let tags = json!([{"key": "team", "value": "media"}, {"key": "aws:x", "value": "1"}]);
    TaskDefinition::parse(&document, &tags).unwrap()
}

fn packing(completion: Completion) -> Packing {
    Packing {
        strategy: Strategy::Spread,
        max_containers_per_task: None,
        registered_sizes: None,
        max_tasks: Some(Tasks(10)),
        max_task_cpu: CpuUnits(32_768),
        completion,
        watcher: Watcher::Image("busybox:1".to_owned()),
        reserve: TaskSize { cpu: CpuUnits(0), memory: MebiBytes(0) },
        drop_port_mappings: false,
    }
}

fn settings<'a>(container: Option<&'a str>, packing: &'a Packing) -> Settings<'a> {
    Settings { container, packing, rungs: &[Rung::ClusterDefault] }
}

/// The first container of the definition with other fields.
fn with_worker(more: &Value) -> Value {
    let mut containers = definition(&json!({})).document["containerDefinitions"].clone();
    let worker = containers[0].as_object_mut().unwrap();
    worker.extend(more.as_object().unwrap().clone());
    json!({"containerDefinitions": containers})
}

fn render(base: &TaskDefinition, completion: Completion, n: u32) -> Result<Value, Obstacle> {
    let packing = packing(completion);
    let variant = Recipe::new(base, settings(Some("worker"), &packing))?.variant(Containers(n))?;
    Ok(variant.document)
}

fn digest_of(document: &Value) -> &str {
    let tags = document["tags"].as_array().unwrap();
    tags.iter().find(|tag| tag["key"] == tags::DIGEST).unwrap()["value"].as_str().unwrap()
}

#[test]
fn three_workers_that_all_end() {
    let document = render(&definition(&json!({})), Completion::All, 3).unwrap();
    let text = serde_json::to_string_pretty(&document).unwrap();
    let script = serde_json::to_string(&*WATCHER_SCRIPT).unwrap();
    assert!(text.contains(&script), "the watcher's script is inline");
    let text = text.replace(&script, "\"(watcher.sh)\"");
    insta::assert_snapshot!(text.replace(digest_of(&document), "(digest)"));
}

/// Without the upload, which runs after the worker.
fn nobody_after() -> Value {
    let mut containers = definition(&json!({})).document["containerDefinitions"].clone();
    containers.as_array_mut().unwrap().pop();
    json!({"containerDefinitions": containers})
}

#[test]
fn two_workers_of_which_the_first_to_end_ends_the_task() {
    let document = render(&definition(&nobody_after()), Completion::Any, 2).unwrap();
    let text = serde_json::to_string_pretty(&document).unwrap();
    insta::assert_snapshot!(text.replace(digest_of(&document), "(digest)"));
}

#[test]
fn the_watcher_waits_for_what_runs_after_the_workers() {
    let document = render(&definition(&json!({})), Completion::All, 2).unwrap();
    let containers = document["containerDefinitions"].as_array().unwrap();
    let watcher = containers.iter().find(|c| c["name"] == "worker-watch").unwrap();
    assert_eq!(watcher["environment"][0]["value"], "worker worker-2 upload");
}

#[test]
fn equal_content_has_equal_digests_and_a_new_base_revision_another() {
    let packing = packing(Completion::All);
    let digest = |more: &Value, n| {
        let base = definition(more);
        let recipe = Recipe::new(&base, settings(Some("worker"), &packing)).unwrap();
        recipe.variant(Containers(n)).unwrap().digest
    };
    let next = json!({"taskDefinitionArn": ARN.replace(":7", ":8")});
    assert_eq!(digest(&json!({}), 2), digest(&json!({}), 2));
    assert_ne!(digest(&json!({}), 2), digest(&json!({}), 3));
    assert_ne!(digest(&json!({}), 2), digest(&next, 2));
    assert_eq!(digest(&json!({"registeredAt": 2.0}), 2), digest(&json!({}), 2));
}

#[test]
fn a_task_grows_by_the_workers_share_and_rounds_up() {
    let packing = packing(Completion::All);
    let size = |more: &Value, n| {
        let base = definition(more);
        let recipe = Recipe::new(&base, settings(Some("worker"), &packing)).unwrap();
        let size = recipe.size(Containers(n)).unwrap();
        (size.cpu.map(|cpu| cpu.0), size.memory.map(|memory| memory.0))
    };
    let base = json!({});
    assert_eq!(size(&base, 1), (Some(512), Some(1024)));
    assert_eq!(size(&base, 2), (Some(1024), Some(2048)), "1024 and 1536 are needed");
    assert_eq!(size(&base, 7), (Some(4096), Some(8192)), "3584 and 4096 are needed");

    let unset = with_worker(&json!({"cpu": 0, "memory": null}));
    assert_eq!(size(&unset, 2), (Some(1024), Some(2048)), "all that the sidecars leave");

    let mut beside = with_worker(&json!({"cpu": 0, "memory": null}));
    beside["containerDefinitions"][1]["memoryReservation"] = json!(100);
    beside["requiresCompatibilities"] = json!(["EC2"]);
    assert_eq!(size(&beside, 3), (Some(1536), Some(1024 + 2 * 924)), "less what a sidecar has");

    let on_ec2 = |more: Value| {
        let mut fields = with_worker(&json!({}));
        fields["requiresCompatibilities"] = json!(["EC2"]);
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fields
    };
    assert_eq!(size(&on_ec2(json!({})), 3), (Some(1536), Some(2048)), "no table on EC2");
    assert_eq!(size(&on_ec2(json!({"cpu": null})), 3), (None, Some(2048)));
    assert_eq!(size(&on_ec2(json!({"cpu": null, "memory": null})), 3), (None, None));
}

#[test]
fn a_task_has_as_many_workers_as_ten_containers_and_the_largest_size_allow() {
    let most = |more: &Value, packing: &Packing| {
        let base = definition(more);
        let recipe = Recipe::new(&base, settings(Some("worker"), packing)).unwrap();
        let (most, obstacle) = recipe.most_containers(Containers(10));
        (most, obstacle.map(|obstacle| obstacle.to_string()))
    };
    let (all, any) = (packing(Completion::All), packing(Completion::Any));
    assert_eq!(most(&json!({}), &all).0, Containers(7), "two sidecars and the watcher");
    assert_eq!(most(&nobody_after(), &any).0, Containers(9), "one sidecar");
    let small = Packing { max_task_cpu: CpuUnits(1024), ..packing(Completion::All) };
    let why = "3 containers a task need 1536 CPU units, 2048 MiB, more than any size up to 1024 \
               CPU units; lower packing.maxContainersPerTask or the size of the container";
    assert_eq!(most(&json!({}), &small), (Containers(2), Some(why.to_owned())));
    let large = json!({"cpu": "16384", "memory": "32768"});
    let large = [large, with_worker(&json!({"cpu": 16_384, "memory": 32_768}))];
    let large = large.into_iter().reduce(|mut a, b| {
        a.as_object_mut().unwrap().extend(b.as_object().unwrap().clone());
        a
    });
    assert_eq!(most(&large.unwrap(), &all).0, Containers(2), "32 vCPU are the end");
}

#[test]
fn a_definition_of_one_container_needs_no_name_for_it() {
    let only = json!({"containerDefinitions": [{"name": "job", "cpu": 512, "memory": 1024}]});
    let (base, packing) = (definition(&only), packing(Completion::All));
    assert_eq!(Recipe::new(&base, settings(None, &packing)).unwrap().worker.name, "job");
}

/// Everything that cannot be run or cloned, each with the sentence that a person reads.
#[test]
fn what_stands_in_the_way_is_told_by_name() {
    let containers = |n: usize| {
        let sidecars = (1..n).map(|i| json!({"name": format!("side{i}"), "memory": 8}));
        let worker = json!({"name": "worker", "cpu": 1, "memory": 64});
        json!({"containerDefinitions": std::iter::once(worker).chain(sidecars).collect::<Vec<_>>()})
    };
    let bridge = |more: &Value| {
        let mut fields = with_worker(more);
        fields["networkMode"] = json!("bridge");
        fields["requiresCompatibilities"] = json!(["EC2"]);
        fields
    };
    let add = |container: Value| {
        let mut fields = with_worker(&json!({}));
        fields["containerDefinitions"].as_array_mut().unwrap().push(container);
        fields
    };
    let cases = [
        ("a port under awsvpc", with_worker(&json!({"portMappings": [{"containerPort": 80}]}))),
        (
            "a fixed host port",
            bridge(&json!({"portMappings": [{"containerPort": 80, "hostPort": 80}]})),
        ),
        ("the log router", with_worker(&json!({"firelensConfiguration": {"type": "fluentbit"}}))),
        ("the proxy", json!({"proxyConfiguration": {"containerName": "worker"}})),
        (
            "a dependent on success",
            add(
                json!({"name": "d", "dependsOn": [{"containerName": "worker", "condition": "SUCCESS"}]}),
            ),
        ),
        (
            "a secret where a clone's place goes",
            with_worker(
                &json!({"secrets": [{"name": "WORKER_COUNT", "valueFrom": "arn:aws:ssm:x"}]}),
            ),
        ),
        ("no network", json!({"networkMode": "none", "requiresCompatibilities": ["EC2"]})),
        (
            "a range of ports",
            with_worker(&json!({"portMappings": [{"containerPortRange": "8000-8010"}]})),
        ),
        ("a disk", json!({"ephemeralStorage": {"sizeInGiB": 100}})),
        ("a taken name", add(json!({"name": "worker-2"}))),
        ("the watcher's name", add(json!({"name": "worker-watch"}))),
        ("ten containers", containers(10)),
        (
            "Windows",
            json!({"runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"},
            "cpu": "1024", "memory": "2048"}),
        ),
        ("inactive", json!({"status": "INACTIVE"})),
        ("no such container", json!({"containerDefinitions": [{"name": "a"}, {"name": "b"}]})),
        ("no size", json!({"cpu": "300", "memory": "700"})),
        ("size unset", json!({"cpu": null})),
    ];
    let reported = cases.map(|(case, more)| {
        let obstacle = render(&definition(&more), Completion::All, 3).unwrap_err();
        format!("{case}\n  {obstacle}")
    });
    insta::assert_snapshot!(reported.join("\n"));
}

#[test]
fn a_definition_beyond_64_kib_is_refused() {
    let labels = with_worker(&json!({"dockerLabels": {"x": "y".repeat(30_000)}}));
    let obstacle = render(&definition(&labels), Completion::All, 3).unwrap_err();
    assert!(matches!(obstacle, Obstacle::TooLarge { most: 64_512, .. }), "{obstacle}");
}

#[test]
fn a_container_must_be_named_where_there_are_several() {
    let (base, packing) = (definition(&json!({})), packing(Completion::All));
    let obstacle = Recipe::new(&base, settings(None, &packing)).unwrap_err();
    let reported = "the task definition has 3 containers, `worker`, `log`, `upload`; name the one that works in `container`";
    assert_eq!(obstacle.to_string(), reported);
}

#[test]
fn ports_that_the_host_chooses_are_cloned_under_names_of_their_own() {
    let mut fields = with_worker(&json!({"portMappings": [{"containerPort": 80, "name": "http"}]}));
    fields["networkMode"] = json!("bridge");
    fields["requiresCompatibilities"] = json!(["EC2"]);
    let document = render(&definition(&fields), Completion::All, 2).unwrap();
    let name = |i: usize| document["containerDefinitions"][i]["portMappings"][0]["name"].clone();
    assert_eq!((name(0), name(1)), (json!("http"), json!("http-2")));
}

#[test]
fn a_task_without_its_own_memory_gives_the_watcher_some() {
    let on_ec2 = json!({"requiresCompatibilities": ["EC2"], "cpu": null, "memory": null});
    let document = render(&definition(&on_ec2), Completion::All, 2).unwrap();
    let watcher = document["containerDefinitions"].as_array().unwrap().last().unwrap();
    assert_eq!(watcher["memoryReservation"], 16);
    assert!(document.get("cpu").is_none_or(Value::is_null));
}

#[test]
fn debug_shows_no_value_of_the_definition() {
    let (base, packing) = (definition(&json!({})), packing(Completion::All));
    let recipe = Recipe::new(&base, settings(Some("worker"), &packing)).unwrap();
    let variant = recipe.variant(Containers(2)).unwrap();
    assert!(!format!("{recipe:?}{variant:?}").contains("jobs"));
}

#[test]
fn the_price_is_the_sizes() {
    let (base, packing) = (definition(&json!({})), packing(Completion::All));
    let recipe = Recipe::new(&base, settings(Some("worker"), &packing)).unwrap();
    let prices = recipe.price_list(&Region::from("us-east-1")).unwrap();
    let size = TaskSize { cpu: CpuUnits(1024), memory: MebiBytes(2048) };
    assert_eq!(recipe.hourly_price(Containers(2), prices), Some(prices.hourly(size)));
}

/// Where it is launched decides, not what it says of itself.
#[test]
fn what_names_nothing_has_fargates_sizes_by_its_rungs() {
    let (base, packing) =
        (definition(&json!({"requiresCompatibilities": null})), packing(Completion::All));
    let size = |launch_type: &str| {
        let rungs = &[Rung::LaunchType(launch_type.to_owned())];
        let settings = Settings { rungs, ..settings(Some("worker"), &packing) };
        let size = Recipe::new(&base, settings).unwrap().size(Containers(3)).unwrap();
        (size.cpu.map(|cpu| cpu.0), size.memory.map(|memory| memory.0))
    };
    assert_eq!(size("FARGATE"), (Some(2048), Some(4096)), "1536 and 2048 are needed");
    assert_eq!(size("EC2"), (Some(1536), Some(2048)));
}
