//! Definitions as people have them: what runs of each, what is refused before any call, and in which
//! words. The world holds what is registered and run to ECS's own rules.

mod counts;

use serde_json::{Value, json};

use super::{config, definition, groups, scaler, tick};
use crate::world::{Fault, World};

/// A definition and its worker, and what a tick makes of them.
struct Case {
    family: &'static str,
    definition: Value,
    packing: Value,
    launch_type: &'static str,
    messages: u64,
}

/// What a tick came to.
struct Outcome {
    /// Tasks, and worker containers in each.
    groups: Vec<(u32, u32)>,
    errors: String,
    warnings: String,
    why: String,
    /// The newest revision of each derived family that was registered.
    derived: Vec<Value>,
    changes: usize,
}

impl Case {
    /// On Fargate, in tasks of this size.
    fn fargate(cpu: u32, memory: u32, containers: &Value) -> Self {
        let definition = json!({"networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
            "cpu": cpu.to_string(), "memory": memory.to_string(), "executionRoleArn": "arn:e",
            "containerDefinitions": containers});
        Self::new("FARGATE", definition)
    }

    /// On instances, without a size of its own.
    fn ec2(containers: &Value) -> Self {
        let definition = json!({"networkMode": "bridge", "requiresCompatibilities": ["EC2"],
            "containerDefinitions": containers});
        Self::new("EC2", definition)
    }

    fn new(launch_type: &'static str, definition: Value) -> Self {
        Self { family: "job", definition, packing: json!({}), launch_type, messages: 30 }
    }

    /// At most so many containers a task, and as many as that.
    fn dense(self, most: u32) -> Self {
        self.packed(json!({"strategy": "dense", "maxTasks": 100, "maxContainersPerTask": most}))
    }

    fn packed(self, packing: Value) -> Self {
        Self { packing, ..self }
    }

    fn on(self, launch_type: &'static str) -> Self {
        Self { launch_type, ..self }
    }

    /// With other members of the definition.
    fn with(mut self, more: &Value) -> Self {
        let fields = self.definition.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        self
    }

    fn config(&self, container: &str) -> Value {
        let mut launch = json!({"launchType": self.launch_type});
        if self.launch_type != "EXTERNAL" {
            launch["networkConfiguration"] =
                json!({"awsvpcConfiguration": {"subnets": ["subnet-0a1b2c3d"]}});
        }
        json!({"cluster": "jobs", "workers": [{
            "name": "job", "queue": "job", "taskDefinition": self.family, "container": container,
            "scaling": {"messagesPerContainer": 1, "maxContainers": 1000},
            "packing": self.packing, "launch": launch}]})
    }

    /// What one tick makes of it; the worker container is `worker`.
    async fn outcome(&self) -> Outcome {
        self.outcome_of("worker").await
    }

    async fn outcome_of(&self, container: &str) -> Outcome {
        let world = World::default();
        world.cluster("jobs");
        world.queue("job").visible(self.messages);
        let mut definition = self.definition.clone();
        definition["family"] = json!(self.family);
        world.register(&definition);
        let report = tick(&scaler(&world, &self.config(container)), &world, 0).await;
        let worker = &report.workers[0];
        let about_redrive = |warning: &&String| !warning.contains("redrive policy");
        let warnings: Vec<_> = worker.warnings.iter().filter(about_redrive).cloned().collect();
        let families = world.families().into_iter().filter(|family| family.contains("--x"));
        Outcome {
            groups: groups(worker),
            errors: worker.errors.join("\n"),
            warnings: warnings.join("\n"),
            why: worker.decision.as_ref().map(|d| d.why.clone()).unwrap_or_default(),
            derived: families.flat_map(|family| world.active_revisions(&family)).collect(),
            changes: world.changes(),
        }
    }
}

impl Outcome {
    /// Nothing was changed, and these words say why.
    fn is_refused(&self, words: &str) {
        assert!(self.errors.contains(words), "{}", self.errors);
        assert_eq!((self.changes, self.groups.as_slice()), (0, [].as_slice()));
    }

    /// These tasks were started, without an error.
    fn runs(&self, groups: &[(u32, u32)]) -> &Self {
        assert_eq!((self.groups.as_slice(), self.errors.as_str()), (groups, ""), "{}", self.why);
        self
    }

    fn warned(&self, words: &str) -> &Self {
        assert!(self.warnings.contains(words), "{}", self.warnings);
        self
    }

    fn silent(&self) -> &Self {
        assert_eq!(self.warnings, "");
        self
    }

    /// A container of the definition that was derived.
    fn container(&self, name: &str) -> &Value {
        let containers = self.derived[0]["containerDefinitions"].as_array().unwrap();
        containers.iter().find(|container| container["name"] == name).unwrap()
    }
}

fn worker() -> Value {
    json!([{"name": "worker", "image": "repo/worker:1"}])
}

/// The worker and another container.
fn beside(worker: &Value, other: &Value) -> Value {
    let mut whole = json!({"name": "worker", "image": "repo/worker:1"});
    whole.as_object_mut().unwrap().extend(worker.as_object().unwrap().clone());
    json!([whole, other])
}

// -- what is launched decides --

#[tokio::test(start_paused = true)]
async fn what_names_nothing_has_fargates_sizes_where_it_is_launched_there() {
    let mut case = Case::fargate(256, 512, &worker()).dense(4);
    case.definition.as_object_mut().unwrap().remove("requiresCompatibilities");
    let outcome = Case { messages: 4, ..case }.outcome().await;
    outcome.runs(&[(1, 4)]);
    assert_eq!(
        (&outcome.derived[0]["cpu"], &outcome.derived[0]["memory"]),
        (&json!("1024"), &json!("2048"))
    );
    assert!(outcome.why.contains("(Fargate On-Demand"), "{}", outcome.why);
}

#[tokio::test(start_paused = true)]
async fn what_is_launched_on_instances_has_no_price_of_fargate() {
    let both = json!({"requiresCompatibilities": ["EC2", "FARGATE"]});
    let outcome = Case::fargate(256, 512, &worker()).with(&both).on("EC2").dense(3).outcome().await;
    assert!(!outcome.runs(&[(10, 3)]).why.contains("Fargate"), "{}", outcome.why);
}

/// As long as one rung is meant, the others may be any that ECS found it fit for.
#[tokio::test(start_paused = true)]
async fn a_ladder_of_instances_and_fargate_runs_a_definition_of_fargate() {
    let world = World::default();
    world.cluster("jobs");
    world.queue("a").visible(3);
    world.register(&definition("a"));
    let mut config = config(&[super::worker("a", &json!({"messagesPerContainer": 1}), &json!({}))]);
    config["workers"][0]["capacity"] =
        json!([{"capacityProvider": "mine"}, {"capacityProvider": "FARGATE_SPOT"}]);
    let report = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(groups(&report.workers[0]), [(3, 1)], "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rung_that_a_definition_cannot_go_to_is_refused_by_name() {
    Case::ec2(&json!([{"name": "worker", "image": "w", "memory": 64}]))
        .on("FARGATE")
        .outcome()
        .await
        .is_refused("cannot be launched on FARGATE: it is for EC2");
    Case::fargate(256, 512, &worker())
        .on("EC2")
        .outcome()
        .await
        .is_refused("cannot be launched on EC2: it is for FARGATE");
}

#[tokio::test(start_paused = true)]
async fn hosts_of_ones_own_run_as_they_did() {
    let external = json!({"requiresCompatibilities": ["EXTERNAL"]});
    let containers = json!([{"name": "worker", "image": "w", "memory": 256}]);
    Case::ec2(&containers).with(&external).on("EXTERNAL").dense(2).outcome().await.runs(&[(15, 2)]);
}

#[tokio::test(start_paused = true)]
async fn windows_has_its_own_sizes_and_prices() {
    let windows = json!({"runtimePlatform": {"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"}});
    let any = json!({"strategy": "dense", "completion": "any", "maxContainersPerTask": 2});
    let outcome = Case::fargate(1024, 2048, &worker()).with(&windows).packed(any).outcome().await;
    outcome.runs(&[(10, 2)]);
    // Ten tasks of two vCPU at $0.092552 and four GB at $0.005112.
    assert!(outcome.why.contains("about $2.0555 an hour"), "{}", outcome.why);
}

// -- one container a task keeps the same promises --

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_not_essential_ends_its_task_all_the_same() {
    let proxy = json!({"name": "proxy", "image": "repo/proxy:1"});
    let case = Case::fargate(512, 1024, &beside(&json!({"essential": false}), &proxy)).dense(1);
    let outcome = case.outcome().await;
    outcome.runs(&[(30, 1)]).warned("`worker` is not essential and `proxy` is");
    assert_eq!(outcome.container("worker")["essential"], true);
    assert_eq!(outcome.derived[0]["containerDefinitions"].as_array().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_restarted_for_ever_is_not_restarted() {
    let policy = json!({"restartPolicy": {"enabled": true, "restartAttemptPeriod": 60}});
    let mut containers = worker();
    containers[0]["restartPolicy"] = policy["restartPolicy"].clone();
    let outcome = Case::fargate(256, 512, &containers).outcome().await;
    outcome.runs(&[(30, 1)]).warned("would be restarted for ever");
    assert_eq!(outcome.container("worker").get("restartPolicy"), None);

    containers[0]["restartPolicy"]["ignoredExitCodes"] = json!([0]);
    let case = Case::fargate(256, 512, &containers);
    assert_eq!(case.outcome().await.runs(&[(30, 1)]).silent().derived, [json!(null); 0]);
    let clones = case.dense(2).outcome().await;
    clones.runs(&[(15, 2)]).warned("the restartPolicy of `worker` is left out");
    assert_eq!(clones.container("worker-2").get("restartPolicy"), None);
}

#[tokio::test(start_paused = true)]
async fn what_runs_after_the_worker_ends_the_task_by_itself() {
    let upload = json!({"name": "upload", "image": "repo/u:1",
        "dependsOn": [{"containerName": "worker", "condition": "COMPLETE"}]});
    let case = Case::fargate(512, 1024, &beside(&json!({"essential": false}), &upload));
    assert_eq!(case.outcome().await.runs(&[(30, 1)]).silent().derived, [json!(null); 0]);
    let clones = case.dense(2).outcome().await;
    clones.runs(&[(15, 2)]).warned("`upload` waits for the worker and is not essential");
    assert_eq!(clones.container("upload")["essential"], false);
    assert_eq!(
        clones.container("worker-watch")["environment"][0]["value"],
        "worker worker-2 upload"
    );
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_clone_takes_no_sibling_along() {
    for condition in ["START", "HEALTHY"] {
        let collector = json!({"name": "collector", "image": "c", "memory": 128, "essential": true,
            "dependsOn": [{"containerName": "worker", "condition": condition}]});
        let check = json!({"memory": 128, "healthCheck": {"command": ["CMD-SHELL", "true"]}});
        let outcome = Case::ec2(&beside(&check, &collector)).dense(3).outcome().await;
        outcome.runs(&[(10, 3)]).warned("`collector` waits for the worker and is not essential");
        assert_eq!(outcome.container("collector")["essential"], false);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_awaited_cannot_end_a_task_with_the_first() {
    let upload = json!({"name": "upload", "image": "repo/u:1",
        "dependsOn": [{"containerName": "worker", "condition": "COMPLETE"}]});
    let any = json!({"strategy": "dense", "completion": "any", "maxContainersPerTask": 2});
    let containers = beside(&json!({"essential": false}), &upload);
    Case::fargate(512, 1024, &containers)
        .packed(any.clone())
        .outcome()
        .await
        .is_refused("`upload` runs after it");
    let log = json!({"name": "log", "image": "l"});
    let outcome = Case::fargate(512, 1024, &beside(&json!({"essential": false}), &log))
        .packed(any)
        .outcome()
        .await;
    outcome.runs(&[(10, 2)]);
    assert_eq!(outcome.container("worker-2")["essential"], true, "the first to end ends the task");
}

#[tokio::test(start_paused = true)]
async fn another_worker_in_the_definition_is_warned_of() {
    let containers = json!([
        {"name": "high", "image": "repo/w:1", "command": ["work", "high"]},
        {"name": "low", "image": "repo/w:2", "command": ["work", "low"]}]);
    let outcome = Case::fargate(1024, 2048, &containers).dense(2).outcome_of("low").await;
    outcome
        .runs(&[(15, 2)])
        .warned("`high` is essential and has an image of the repository of `low`");
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_waits_for_others_runs_as_it_did() {
    for condition in ["COMPLETE", "SUCCESS"] {
        let agent = json!({"name": "agent", "image": "vendor/agent:1", "essential": false});
        let waits = json!({"dependsOn": [{"containerName": "agent", "condition": condition}]});
        let outcome = Case::fargate(512, 1024, &beside(&waits, &agent)).dense(4).outcome().await;
        outcome.runs(&[(7, 4), (1, 2)]);
        assert_eq!(outcome.container("worker-2")["dependsOn"][0]["condition"], condition);
    }
}

/// An answer may have a tenth member that no request has.
#[tokio::test(start_paused = true)]
async fn what_only_answers_have_is_left_out_once_and_told() {
    let world = World::default();
    world.cluster("jobs");
    world.queue("a").visible(4);
    world.register(&definition("a"));
    let mut younger = world.active_revisions("a").remove(0);
    younger["observedAt"] = json!(1.0);
    let answer = json!({"taskDefinition": younger, "tags": []});
    world.fail_where("DescribeTaskDefinition", "\"a\"", (9, Fault::Answer(answer)));
    let four = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let config = config(&[super::worker("a", &json!({"messagesPerContainer": 1}), &four)]);
    let report = tick(&scaler(&world, &config), &world, 0).await;
    let worker = &report.workers[0];
    assert_eq!((groups(worker), worker.errors.len()), (vec![(1, 4)], 0), "{worker:?}");
    assert!(worker.warnings.join(";").contains("`observedAt`"), "{worker:?}");
    assert_eq!(world.count("RegisterTaskDefinition"), 2);
    world.all_stop();
    world.take_calls();
    let again = tick(&scaler(&world, &config), &world, 1).await;
    assert_eq!(
        (groups(&again.workers[0]), world.count("RegisterTaskDefinition")),
        (vec![(1, 4)], 0)
    );
}

// -- what a watcher needs --

#[tokio::test(start_paused = true)]
async fn what_a_watcher_lacks_is_told_before_anything_is_run() {
    let none = json!({"networkMode": "none"});
    let alone = json!([{"name": "worker", "image": "w", "memory": 256}]);
    Case::ec2(&alone).with(&none).dense(2).outcome().await.is_refused("network mode is none");
    Case::ec2(&alone).with(&none).outcome().await.runs(&[(30, 1)]);

    let mut secret = worker();
    secret[0]["secrets"] = json!([{"name": "WORKER_COUNT", "valueFrom": "arn:aws:ssm:x"}]);
    Case::fargate(256, 512, &secret)
        .dense(2)
        .outcome()
        .await
        .is_refused("has a secret named WORKER_COUNT");

    let envoy = json!({"name": "envoy", "image": "repo/envoy:1", "user": "1337"});
    let proxied = |ips: Option<&str>| {
        let mut properties = vec![json!({"name": "IgnoredUID", "value": "1337"})];
        properties.extend(ips.map(|ips| json!({"name": "EgressIgnoredIPs", "value": ips})));
        let proxy = json!({"type": "APPMESH", "containerName": "envoy", "properties": properties});
        let case = Case::fargate(512, 1024, &beside(&json!({}), &envoy)).dense(2);
        case.with(&json!({"proxyConfiguration": proxy}))
    };
    proxied(None).outcome().await.runs(&[(15, 2)]).warned("no EgressIgnoredIPs");
    let named = proxied(Some("169.254.170.2,169.254.169.254")).outcome().await;
    assert!(!named.runs(&[(15, 2)]).warnings.contains("EgressIgnoredIPs"), "{}", named.warnings);
}

#[tokio::test(start_paused = true)]
async fn the_workers_own_image_can_watch() {
    let mut containers = worker();
    containers[0]["repositoryCredentials"] =
        json!({"credentialsParameter": "arn:aws:secretsmanager:x"});
    let own = json!({"strategy": "dense", "maxContainersPerTask": 2, "watcherImage": "worker"});
    let outcome = Case::fargate(256, 512, &containers).packed(own).outcome().await;
    let watcher = outcome.runs(&[(10, 2)]).silent().container("worker-watch");
    assert_eq!(watcher["image"], "repo/worker:1");
    assert_eq!(watcher["repositoryCredentials"], containers[0]["repositoryCredentials"]);
}

/// What refers to the worker by name goes on to refer to it.
#[tokio::test(start_paused = true)]
async fn links_and_shared_volumes_stay() {
    let containers = json!([
        {"name": "worker", "image": "w", "memory": 128, "links": ["db:database"]},
        {"name": "db", "image": "d", "memory": 128},
        {"name": "side", "image": "s", "memory": 64, "links": ["worker:w"],
         "volumesFrom": [{"sourceContainer": "worker"}]}]);
    let outcome = Case::ec2(&containers).dense(3).outcome().await;
    assert_eq!(outcome.runs(&[(10, 3)]).container("side")["links"], json!(["worker:w"]));
}

/// The shape that this project began with: ten tasks of ten.
#[tokio::test(start_paused = true)]
async fn ten_tasks_of_ten() {
    let config: Value =
        serde_saphyr::from_str(include_str!("../../../examples/ten-of-ten/workers.yaml")).unwrap();
    let world = World::default();
    world.cluster("jobs");
    world.queue("convert").visible(1000);
    world.register(&definition("convert"));
    let report = tick(&scaler(&world, &config), &world, 0).await;
    let worker = &report.workers[0];
    assert_eq!(groups(worker), [(10, 10)], "{worker:?}");
    insta::assert_snapshot!(worker.decision.as_ref().unwrap().why);
    let mut derived = world.active_revisions("convert--x10").remove(0);
    let containers = derived["containerDefinitions"].as_array_mut().unwrap();
    assert_eq!(containers.len(), 10);
    containers.drain(1..9);
    insta::assert_snapshot!(
        serde_json::to_string_pretty(&derived["containerDefinitions"]).unwrap()
    );
    assert_eq!((&derived["cpu"], &derived["memory"]), (&json!("4096"), &json!("8192")));
}
