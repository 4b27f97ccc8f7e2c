//! How many containers a task gets, by price, by room and by what a definition can hold.

use serde_json::json;

use super::{Case, beside, worker};

#[tokio::test(start_paused = true)]
async fn one_container_a_task_is_what_nobody_pays_more_than() {
    let outcome = Case::fargate(256, 512, &worker()).outcome().await;
    assert!(
        outcome
            .runs(&[(30, 1)])
            .silent()
            .why
            .ends_with("about $0.3702 an hour (Fargate On-Demand, us-east-1)")
    );
    let most = Case::fargate(256, 512, &worker()).dense(9).outcome().await;
    assert!(most.runs(&[(3, 8), (3, 2)]).why.contains("about $0.3702 an hour"), "{}", most.why);
}

/// The world's Fargate starts a hundred at once, as AWS's does.
#[tokio::test(start_paused = true)]
async fn more_tasks_than_start_at_once_are_packed_at_the_same_price() {
    let case = Case { messages: 250, ..Case::fargate(256, 512, &worker()) };
    let outcome = case.outcome().await;
    outcome.runs(&[(62, 4), (1, 2)]).warned("63 tasks pull the watcher's image from ECR Public");
    assert!(
        outcome.why.contains("as 250 tasks are more than this worker's share of the 100"),
        "{}",
        outcome.why
    );
    let odd = Case { messages: 250, ..Case::fargate(1024, 3072, &worker()) };
    assert_eq!(odd.outcome().await.groups, [(62, 4), (1, 2)]);
}

#[tokio::test(start_paused = true)]
async fn instances_get_one_a_task_until_somebody_asks_for_more() {
    let gpu = json!([{"name": "worker", "image": "w", "memory": 4096,
        "resourceRequirements": [{"type": "GPU", "value": "1"}]}]);
    Case::ec2(&gpu).outcome().await.runs(&[(30, 1)]).silent();
    let large = json!([{"name": "worker", "image": "w", "memory": 1024}]);
    Case::ec2(&large).outcome().await.runs(&[(30, 1)]).silent();
    let three = json!({"maxContainersPerTask": 3});
    Case::ec2(&large).packed(three).outcome().await.runs(&[(10, 3)]);
}

#[tokio::test(start_paused = true)]
async fn limits_of_a_definition_cap_the_clones_and_refuse_nobody() {
    let tags: Vec<_> = (0..49).map(|i| json!({"key": format!("k{i}"), "value": "v"})).collect();
    let tagged = Case::fargate(256, 512, &worker()).with(&json!({"tags": tags}));
    tagged.outcome().await.runs(&[(30, 1)]).silent();
    tagged
        .dense(2)
        .outcome()
        .await
        .runs(&[(30, 1)])
        .warned("has 49 tags and a derived one needs two more");

    let value = "x".repeat(700);
    let variables: Vec<_> =
        (0..10).map(|i| json!({"name": format!("V{i}"), "value": value})).collect();
    let mut large = worker();
    large[0]["environment"] = json!(variables);
    let outcome = Case { messages: 90, ..Case::fargate(256, 512, &large) }.outcome().await;
    outcome.runs(&[(90, 1)]).silent();
    Case::fargate(256, 512, &large).dense(8).outcome().await.runs(&[(3, 8), (3, 2)]);

    let disk = json!({"ephemeralStorage": {"sizeInGiB": 200}});
    let full = Case::fargate(256, 512, &worker()).with(&disk).dense(4).outcome().await;
    full.runs(&[(30, 1)]).warned("2 containers a task need 400 GiB of ephemeralStorage");
    let disk = json!({"ephemeralStorage": {"sizeInGiB": 30}});
    let shared = Case::fargate(256, 512, &worker()).with(&disk).dense(4).outcome().await;
    assert_eq!(shared.runs(&[(7, 4), (1, 2)]).derived[1]["ephemeralStorage"]["sizeInGiB"], 120);
}

#[tokio::test(start_paused = true)]
async fn a_name_without_room_for_our_ending_is_run_and_not_cloned() {
    const LONG: &str = "jjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjj";
    let case = Case { family: LONG, ..Case::fargate(256, 512, &worker()) };
    assert!((251..=255).contains(&LONG.len()), "{}", LONG.len());
    case.outcome().await.runs(&[(30, 1)]).silent();
    case.dense(2).outcome().await.runs(&[(30, 1)]).warned("more than the 255 characters");
}

#[tokio::test(start_paused = true)]
async fn a_worker_keeps_the_cpu_that_it_has_alone() {
    let soft = json!([{"name": "worker", "image": "w", "memoryReservation": 256, "cpu": 128}]);
    let outcome = Case::fargate(1024, 4096, &soft).dense(4).outcome().await;
    assert_eq!(outcome.runs(&[(7, 4), (1, 2)]).derived[1]["cpu"], "4096");
}

/// A share is never less than what the clone itself declares, which ECS would refuse.
#[tokio::test(start_paused = true)]
async fn a_reserve_leaves_a_clone_what_it_declares() {
    let declares = json!([{"name": "worker", "image": "w", "cpu": 256, "memoryReservation": 400}]);
    for reserve in [json!({"cpu": 64, "memory": 128}), json!({"cpu": 256, "memory": 512})] {
        for n in 2..=8 {
            let packing =
                json!({"strategy": "dense", "maxContainersPerTask": n, "reserve": reserve});
            let outcome = Case::fargate(256, 512, &declares).packed(packing).outcome().await;
            assert_eq!(outcome.errors, "", "{n} and {reserve}");
        }
    }
}

/// A sample of sizes, with sidecars and without: by default nobody pays more than for tasks of one.
#[tokio::test(start_paused = true)]
async fn the_default_costs_no_more_than_one_container_a_task() {
    let sizes = [
        (256, 512),
        (256, 1024),
        (256, 2048),
        (512, 1024),
        (512, 3072),
        (1024, 2048),
        (1024, 3072),
        (1024, 8192),
        (2048, 4096),
        (2048, 5120),
        (4096, 8192),
        (4096, 30_720),
        (8192, 16_384),
    ];
    let log = json!({"name": "log", "image": "l", "essential": false, "cpu": 64, "memory": 128});
    for (cpu, memory) in sizes {
        for containers in [worker(), beside(&json!({}), &log)] {
            for messages in [1, 7, 99, 101, 250] {
                let case = Case { messages, ..Case::fargate(cpu, memory, &containers) };
                let outcome = case.outcome().await;
                let started: u32 = outcome.groups.iter().map(|(tasks, n)| tasks * n).sum();
                assert_eq!((u64::from(started), outcome.errors.as_str()), (messages, ""));
                assert!(
                    !outcome.why.contains("in tasks of one"),
                    "{cpu} {memory}: {}",
                    outcome.why
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_others_put_into_each_task_is_no_clones() {
    let reserve = |memory| json!({"strategy": "dense", "maxContainersPerTask": 2, "reserve": {"memory": memory}});
    let memory = |packing| async {
        let case = Case::ec2(&worker()).with(&json!({"memory": "1024"})).packed(packing);
        case.outcome().await.derived[0]["memory"].clone()
    };
    assert_eq!(memory(reserve(0)).await, "2048");
    assert_eq!(memory(reserve(200)).await, "1848");
}

#[tokio::test(start_paused = true)]
async fn ports_of_a_left_over_web_server_can_be_dropped() {
    let mut ranged = worker();
    ranged[0]["portMappings"] = json!([{"containerPortRange": "8000-8010"}]);
    Case::fargate(256, 512, &ranged)
        .dense(2)
        .outcome()
        .await
        .is_refused("it maps container port 8000-8010");
    let dropped = json!({"strategy": "dense", "maxContainersPerTask": 2, "dropPortMappings": true});
    let outcome = Case::fargate(256, 512, &ranged).packed(dropped).outcome().await;
    assert_eq!(outcome.runs(&[(10, 2)]).container("worker")["portMappings"], json!([]));
    ranged[0]["memory"] = json!(128);
    Case::ec2(&ranged).dense(2).outcome().await.runs(&[(15, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_clone_that_listens_unseen_is_warned_of() {
    let mut listens = worker();
    listens[0]["healthCheck"] =
        json!({"command": ["CMD-SHELL", "wget -qO- http://127.0.0.1:8080/"]});
    let case = Case::fargate(256, 512, &listens);
    case.outcome().await.runs(&[(30, 1)]).silent();
    case.dense(2).outcome().await.runs(&[(15, 2)]).warned("asks a port of its own");
}

#[tokio::test(start_paused = true)]
async fn names_of_clones_are_needed_only_as_far_as_there_are_clones() {
    let fifth = json!({"name": "worker-5", "image": "repo/s:1", "essential": false});
    let case = Case::fargate(256, 512, &beside(&json!({}), &fifth));
    case.dense(2).outcome().await.runs(&[(15, 2)]);
    let fifth = json!({"name": "worker-5", "image": "repo/s:1", "essential": false});
    let case = Case::fargate(256, 512, &beside(&json!({}), &fifth)).dense(8);
    case.outcome().await.runs(&[(7, 4), (1, 2)]).warned("the name `worker-5` is needed");
}
