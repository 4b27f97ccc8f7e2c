//! The role in `template.yaml` allows what the function does, and nothing else.
//!
//! What it does is what the in-process AWS saw in whole ticks; what Lambda does in its name is read
//! from the function's properties. Each call becomes the permissions that it needs.

mod policy;

use std::collections::{BTreeMap, BTreeSet};

use decision::event::Mode;
use ecs_queue_scaler::aws::Aws;
use ecs_queue_scaler::run::Scaler;
use serde_json::{Value, json};

use self::policy::{Policy, Settings, template};
use crate::tick::{config, definition, scaler, tick, worker, world_of};
use crate::world::{ACCOUNT, Call, REGION, World};

const TASK_ROLE: &str = "arn:aws:iam::123456789012:role/jobs/task";
/// Auto Scaling's own id of a group, which no call tells.
const GROUP_ID: &str = "87654321-4321-4321-4321-210987654321";
const EXECUTION_ROLE: &str = "arn:aws:iam::123456789012:role/execution";
const OTHER_ROLE: &str = "arn:aws:iam::123456789012:role/jobs/other";
const VOLUME_ROLE: &str = "arn:aws:iam::123456789012:role/volumes";
const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/scaler";
/// What Lambda asks for before a function may join a VPC, of EC2.
const NETWORK: [&str; 6] = [
    "AssignPrivateIpAddresses",
    "CreateNetworkInterface",
    "DeleteNetworkInterface",
    "DescribeNetworkInterfaces",
    "DescribeSubnets",
    "UnassignPrivateIpAddresses",
];

/// A permission that something needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Need {
    action: String,
    resource: String,
    /// What the conditions of a policy may look at.
    context: BTreeMap<&'static str, String>,
}

impl Need {
    fn new(action: &str, resource: impl Into<String>) -> Self {
        Self { action: action.into(), resource: resource.into(), context: BTreeMap::new() }
    }

    fn with(mut self, key: &'static str, value: &str) -> Self {
        self.context.insert(key, value.to_owned());
        self
    }
}

fn ecs(rest: &str) -> String {
    format!("arn:aws:ecs:{REGION}:{ACCOUNT}:{rest}")
}

/// The permissions that a call needs. Source: Service Authorization Reference, ECS and SQS.
fn needs(call: &Call) -> Vec<Need> {
    let Call { operation, input } = call;
    let text = |key: &str| input[key].as_str().unwrap_or_default();
    let queue = |name: &str| format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}");
    let cluster =
        |need: Need| need.with("ecs:cluster", &ecs(&format!("cluster/{}", text("cluster"))));
    match operation.as_str() {
        "GetQueueUrl" => vec![Need::new("sqs:GetQueueUrl", queue(text("QueueName")))],
        "GetQueueAttributes" => {
            let name = text("QueueUrl").rsplit('/').next().unwrap_or_default();
            vec![Need::new("sqs:GetQueueAttributes", queue(name))]
        }
        "GetParameter" => {
            let parameter = format!("parameter{}", text("Name"));
            let arn = format!("arn:aws:ssm:{REGION}:{ACCOUNT}:{parameter}");
            vec![Need::new("ssm:GetParameter", arn)]
        }
        "GetObject" => {
            let arn = format!("arn:aws:s3:::{}/{}", text("Bucket"), text("Key"));
            vec![Need::new("s3:GetObject", arn)]
        }
        "GetResources" => vec![Need::new("tag:GetResources", "*")],
        "ListTasks" => vec![cluster(Need::new("ecs:ListTasks", "*"))],
        "DescribeTasks" => {
            let tasks = input["tasks"].as_array().into_iter().flatten();
            tasks.map(|t| cluster(Need::new("ecs:DescribeTasks", t.as_str().unwrap()))).collect()
        }
        "ListContainerInstances" => {
            let cluster = ecs(&format!("cluster/{}", text("cluster")));
            vec![Need::new("ecs:ListContainerInstances", cluster)]
        }
        "DescribeTaskDefinition" | "DeregisterTaskDefinition" => {
            vec![Need::new(&format!("ecs:{operation}"), "*")]
        }
        "RegisterTaskDefinition" => {
            let family = ecs(&format!("task-definition/{}:*", text("family")));
            let register = Need::new("ecs:RegisterTaskDefinition", &family);
            [register].into_iter().chain(tagging(call, &family)).chain(passing(call)).collect()
        }
        "RunTask" | "StartTask" => {
            let run = cluster(Need::new(&format!("ecs:{operation}"), text("taskDefinition")));
            let tasks = ecs(&format!("task/{}/*", text("cluster")));
            [run].into_iter().chain(tagging(call, &tasks)).chain(passing(call)).collect()
        }
        "DescribeContainerInstances" | "UpdateContainerInstancesState" => {
            let action = format!("ecs:{operation}");
            let named = input["containerInstances"].as_array().into_iter().flatten();
            named.map(|arn| cluster(Need::new(&action, arn.as_str().unwrap()))).collect()
        }
        "StopTask" => vec![cluster(Need::new("ecs:StopTask", text("task")))],
        "TagResource" => vec![Need::new("ecs:TagResource", text("resourceArn"))],
        "RecordLifecycleActionHeartbeat" | "CompleteLifecycleAction" => {
            let group = format!("autoScalingGroupName/{}", text("AutoScalingGroupName"));
            let group = format!("autoScalingGroup:{GROUP_ID}:{group}");
            let arn = format!("arn:aws:autoscaling:{REGION}:{ACCOUNT}:{group}");
            vec![Need::new(&format!("autoscaling:{operation}"), arn)]
        }
        other => vec![Need::new(other, "a call that this test does not know")],
    }
}

/// Tags that come with a call that creates something are a permission of their own.
fn tagging(call: &Call, created: &str) -> Option<Need> {
    let tags = call.input["tags"].as_array().is_some_and(|tags| !tags.is_empty());
    tags.then(|| Need::new("ecs:TagResource", created).with("ecs:CreateAction", &call.operation))
}

/// Whoever registers or runs a task definition hands over its roles, which are the same here for all, and
/// those that a call gives beside it: for the task, and for its volume.
fn passing(call: &Call) -> Vec<Need> {
    let pass = |role: &str, to| Need::new("iam:PassRole", role).with("iam:PassedToService", to);
    let overrides = &call.input["overrides"];
    let given = ["taskRoleArn", "executionRoleArn"].map(|member| overrides[member].as_str());
    let of_task = [Some(TASK_ROLE), Some(EXECUTION_ROLE)].into_iter().chain(given).flatten();
    let volumes = call.input["volumeConfigurations"].as_array().into_iter().flatten();
    let of_volumes = volumes.filter_map(|volume| volume["managedEBSVolume"]["roleArn"].as_str());
    let to_tasks = of_task.map(|role| pass(role, "ecs-tasks.amazonaws.com"));
    to_tasks.chain(of_volumes.map(|role| pass(role, "ecs.amazonaws.com"))).collect()
}

/// What Lambda does in the function's name, as its properties ask for. Source of what it needs in a VPC,
/// and for a queue under a key: the developer guides of Lambda and SQS.
fn needs_of_lambda(template: &Value, settings: &Settings) -> Vec<Need> {
    let function = &template["Resources"]["ScalerFunction"]["Properties"];
    let destination = &function["EventInvokeConfig"]["DestinationConfig"]["OnFailure"];
    let log = function["LoggingConfig"]["LogGroup"].as_str().unwrap().replace("Ref=", "GetAtt=");
    let mut needs = vec![
        Need::new("logs:CreateLogStream", format!("{log}.Arn")),
        Need::new("logs:PutLogEvents", format!("{log}.Arn")),
        Need::new("sqs:SendMessage", destination["Destination"].as_str().unwrap()),
    ];
    if settings.holds("Traces") {
        let traces = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"];
        needs.extend(traces.map(|action| Need::new(action, "*")));
    }
    if settings.holds("InVpc") {
        needs.extend(NETWORK.map(|action| Need::new(&format!("ec2:{action}"), "*")));
    }
    if settings.holds("Encrypts") {
        let key = ["kms:Decrypt", "kms:GenerateDataKey"];
        needs.extend(key.map(|action| Need::new(action, KEY)));
    }
    needs
}

fn with_roles() -> Value {
    let mut with_roles = definition("thumbnail");
    with_roles["taskRoleArn"] = json!(TASK_ROLE);
    with_roles["executionRoleArn"] = json!(EXECUTION_ROLE);
    with_roles
}

/// A worker whose tasks have four containers, and its base definition with roles.
fn thumbnail() -> (World, Value) {
    let world = world_of(&["thumbnail"]);
    world.register(&with_roles());
    let four = json!({"strategy": "dense", "maxContainersPerTask": 4});
    let config = config(&[worker("thumbnail", &json!({"messagesPerContainer": 1}), &four)]);
    (world, config)
}

/// The calls of ticks that launch, look at what runs, and meet a new base revision.
async fn calls() -> Vec<Call> {
    let (world, config) = thumbnail();
    for minute in 0..4 {
        world.queue("thumbnail").visible(4 * (1 + minute));
        if minute == 2 {
            world.register(&with_roles());
            world.all_stop();
        }
        let _ = tick(&scaler(&world, &config), &world, minute).await;
        world.all_run();
    }
    world.take_calls()
}

/// The same where nothing may be registered, and a task of four was registered beforehand.
async fn calls_without_registration() -> Vec<Call> {
    let (world, mut config) = thumbnail();
    world.queue("thumbnail").visible(4);
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    world.take_calls();
    config["registration"] = json!("off");
    config["workers"][0]["packing"]["registeredSizes"] = json!([4]);
    for minute in 1..3 {
        world.queue("thumbnail").visible(4 * (1 + minute));
        let _ = tick(&scaler(&world, &config), &world, minute).await;
        world.all_run();
    }
    let derived = world.tasks().into_iter().filter(|task| task.to_string().contains("--x4"));
    assert!(1 < derived.count(), "tasks of four are run");
    world.take_calls()
}

/// The calls of ticks whose configuration is elsewhere, and finds its workers by tags.
async fn calls_for_the_configuration() -> Vec<Call> {
    let world = world_of(&["thumbnail"]);
    world.register(&with_roles());
    let mut config = config(&[]);
    config["discover"] = json!({"tag": "ecs-queue-scaler"});
    world.put_parameter("/scaler", &config.to_string());
    world.put_object("a-bucket", "scaler", config.to_string().as_bytes());
    for (minute, source) in (0..).zip(["ssm:/scaler", "s3://a-bucket/scaler"]) {
        let aws = Aws::new(&world.sdk_config());
        let function = Scaler { aws, ..Scaler::new("scaler", source, Mode::Launch).unwrap() };
        let _ = tick(&function, &world, minute).await;
    }
    world.take_calls()
}

/// The calls of a tick that places its tasks itself.
async fn calls_of_our_own_scheduler() -> Vec<Call> {
    let (world, mut config) = thumbnail();
    let mut definition = with_roles();
    definition["requiresCompatibilities"] = json!(["EC2"]);
    world.register(&definition);
    for _ in 0..3 {
        world.instance("jobs", json!({"cpu": 8192, "memory": 16384}));
    }
    config["launch"]["launchType"] = json!("EC2");
    config["launch"]["placement"] = json!({"scheduler": "leastTasks"});
    world.queue("thumbnail").visible(8);
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    world.take_calls()
}

/// The calls of a tick whose tasks have a role and a volume beside their definition.
async fn calls_beside_a_definition() -> Vec<Call> {
    let (world, mut config) = thumbnail();
    let mut definition = with_roles();
    definition["volumes"] = json!([{"name": "scratch", "configuredAtLaunch": true}]);
    world.register(&definition);
    let volume = json!({"roleArn": VOLUME_ROLE, "sizeInGiB": 10});
    config["launch"]["volumeConfigurations"] =
        json!([{"name": "scratch", "managedEBSVolume": volume}]);
    config["launch"]["overrides"] = json!({"taskRoleArn": OTHER_ROLE});
    world.queue("thumbnail").visible(4);
    let _ = tick(&scaler(&world, &config), &world, 0).await;
    assert_eq!(world.tasks().len(), 1);
    world.take_calls()
}

/// The calls for an instance that goes away, and for the hook that holds it, up to its end.
async fn calls_for_instances_that_go() -> Vec<Call> {
    let world = crate::drain::all_that_a_termination_takes().await;
    world.take_calls()
}

/// Every call that is made where everything is switched on.
async fn all_calls() -> Vec<Call> {
    let placing = calls_of_our_own_scheduler().await;
    let draining = calls_for_instances_that_go().await;
    let beside = calls_beside_a_definition().await;
    [calls().await, placing, draining, beside, calls_for_the_configuration().await].concat()
}

/// What does not fit between the role and what is done, a sentence each.
fn complaints(policy: &Policy, needs: &BTreeSet<Need>) -> Vec<String> {
    let denied = needs.iter().filter(|need| !policy.allows(need)).map(|need| {
        format!("{} of {} is done and not allowed ({:?})", need.action, need.resource, need.context)
    });
    let unused = policy.grants().into_iter().filter_map(|(sid, action)| {
        let used = needs.iter().any(|need| policy.grants_by(&sid, &action, need));
        (!used).then(|| format!("{sid} allows {action}, which is never done"))
    });
    denied.chain(unused).collect()
}

fn all_needs(calls: &[Call], template: &Value, settings: &Settings) -> BTreeSet<Need> {
    calls.iter().flat_map(needs).chain(needs_of_lambda(template, settings)).collect()
}

/// Parameters as a careful team sets them.
fn settings(conditions: &[&str]) -> Settings {
    let cluster = ecs("cluster/jobs");
    let parameters = [
        ("QueueArns", vec![format!("arn:aws:sqs:{REGION}:{ACCOUNT}:*")]),
        ("ClusterArns", vec![cluster]),
        (
            "PassedRoleArns",
            ["arn:aws:iam::123456789012:role/jobs/*", EXECUTION_ROLE].map(str::to_owned).into(),
        ),
        ("VolumeRoleArns", vec![VOLUME_ROLE.to_owned()]),
        (
            "ConfigArn",
            vec![
                format!("arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/scaler"),
                "arn:aws:s3:::a-bucket/scaler".to_owned(),
            ],
        ),
        ("TaskDefinitionArns", vec![ecs("task-definition/thumbnail*")]),
        ("KmsKeyArn", vec![KEY.to_owned()]),
    ];
    Settings::new(conditions, parameters)
}

const NONE: [String; 0] = [];

/// Conditions under which the role allows most.
const ALL: [&str; 13] = [
    "PassesRoles",
    "PassesVolumeRoles",
    "Registers",
    "Places",
    "SeesInstances",
    "Traces",
    "Encrypts",
    "InVpc",
    "ReadsConfig",
    "Discovers",
    "Drains",
    "DrainsOnTermination",
    "StopsTasks",
];

#[tokio::test(start_paused = true)]
async fn the_role_allows_what_is_done_and_nothing_else() {
    let template = template();
    let held = |settings: &Settings, calls: &[Call]| {
        let needs = all_needs(calls, &template, settings);
        assert_eq!(complaints(&Policy::of(&template, settings), &needs), NONE, "{settings:?}");
    };
    for more in [&[][..], &["RunsAll"], &["Traces"], &["RunsAll", "Traces"]] {
        let conditions = [&["PassesRoles", "Registers"], more].concat();
        held(&settings(&conditions), &calls().await);
    }
    held(&settings(&ALL), &all_calls().await);
}

#[tokio::test(start_paused = true)]
async fn without_registration_the_role_has_no_say_in_task_definitions() {
    let template = template();
    let settings = settings(&["PassesRoles"]);
    let needs = all_needs(&calls_without_registration().await, &template, &settings);
    let policy = Policy::of(&template, &settings);
    assert_eq!(complaints(&policy, &needs), NONE);
    let register = ["ecs:RegisterTaskDefinition", "ecs:DeregisterTaskDefinition"];
    assert!(policy.grants().iter().all(|(_, action)| !register.contains(&action.as_str())));
    assert_ne!(complaints(&policy, &all_needs(&calls().await, &template, &settings)), NONE);
}

/// What is not asked for is not allowed: nothing can be stopped, and no hook be answered.
#[tokio::test(start_paused = true)]
async fn each_part_of_letting_an_instance_go_has_to_be_asked_for() {
    let template = template();
    let needs = all_needs(&calls_for_instances_that_go().await, &template, &settings(&[]));
    let denied = |conditions: &[&str]| -> BTreeSet<String> {
        let policy = Policy::of(&template, &settings(conditions));
        let denied = needs.iter().filter(|need| !policy.allows(need));
        denied.map(|need| need.action.clone()).collect()
    };
    let hooks = [
        "autoscaling:CompleteLifecycleAction",
        "autoscaling:RecordLifecycleActionHeartbeat",
        "ecs:TagResource",
    ];
    assert_eq!(
        denied(&["SeesInstances", "Drains", "DrainsOnTermination", "StopsTasks"]),
        BTreeSet::new()
    );
    let without_stops = denied(&["SeesInstances", "Drains", "DrainsOnTermination"]);
    assert_eq!(without_stops, BTreeSet::from(["ecs:StopTask".to_owned()]));
    assert_eq!(denied(&["SeesInstances", "Drains", "StopsTasks"]), hooks.map(str::to_owned).into());
    assert_eq!(denied(&[]).len(), 7);
}

#[tokio::test(start_paused = true)]
async fn an_action_too_many_or_too_few_on_either_side_is_noticed() {
    let (template, settings) = (template(), settings(&ALL));
    let (calls, policy) = (all_calls().await, Policy::of(&template, &settings));
    let needs = all_needs(&calls, &template, &settings);
    assert_eq!(complaints(&policy, &needs), NONE);
    for (sid, action) in policy.grants() {
        assert_ne!(complaints(&policy.without(&sid, &action), &needs), NONE, "-{action} in {sid}");
        assert_ne!(complaints(&policy.with(&sid, "ecs:DeleteCluster"), &needs), NONE, "+ in {sid}");
    }
    let operations: BTreeSet<_> = calls.iter().map(|call| call.operation.as_str()).collect();
    assert_eq!(operations.len(), 19, "{operations:?}");
    for operation in operations {
        let fewer: Vec<_> = calls.iter().filter(|c| c.operation != operation).cloned().collect();
        let fewer = all_needs(&fewer, &template, &settings);
        assert_ne!(complaints(&policy, &fewer), NONE, "without {operation}");
    }
    let more = Call { operation: "DeleteCluster".to_owned(), input: json!({}) };
    let more = all_needs(&[calls, vec![more]].concat(), &template, &settings);
    assert_ne!(complaints(&policy, &more), NONE, "with DeleteCluster");
}

#[tokio::test(start_paused = true)]
async fn what_is_elsewhere_is_out_of_reach() {
    let (template, settings) = (template(), settings(&ALL));
    let policy = Policy::of(&template, &settings);
    let needs = all_needs(&all_calls().await, &template, &settings);
    let elsewhere = |need: &Need| {
        let foreign = |text: &str| text.replace(":cluster/jobs", ":cluster/others");
        let mut need = need.clone();
        for value in need.context.values_mut() {
            let other = foreign(value).replace("ecs-tasks.", "ec2.").replace("Task", "Service");
            *value = other.replace("ecs.amazonaws.com", "ec2.amazonaws.com");
        }
        need
    };
    let conditional = needs.iter().filter(|need| !need.context.is_empty());
    for need in conditional {
        assert!(!policy.allows(&elsewhere(need)), "{need:?}");
    }
    for (action, resource) in [
        ("ecs:RegisterTaskDefinition", ecs("task-definition/thumbnail:*")),
        ("ecs:TagResource", ecs("cluster/jobs")),
        ("ssm:GetParameter", format!("arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/secret")),
        ("s3:GetObject", "arn:aws:s3:::a-bucket/other".to_owned()),
        ("iam:PassRole", format!("arn:aws:iam::{ACCOUNT}:role/admin")),
        ("iam:PassRole", format!("arn:aws:iam::{ACCOUNT}:role/jobs-of-others/task")),
        ("sqs:SendMessage", format!("arn:aws:sqs:{REGION}:{ACCOUNT}:thumbnail")),
        ("sqs:GetQueueAttributes", format!("arn:aws:sqs:{REGION}:999999999999:thumbnail")),
    ] {
        let any = needs.iter().find(|need| need.action == action).unwrap();
        let need = Need { resource, ..any.clone() };
        assert!(!policy.allows(&need), "{need:?}");
    }
}

/// What Lambda may do to connect the function, the function itself may not.
#[test]
fn the_network_is_lambdas_alone() {
    let policy = Policy::of(&template(), &settings(&["InVpc"]));
    for action in NETWORK {
        let by_lambda = Need::new(&format!("ec2:{action}"), "*");
        assert!(policy.allows(&by_lambda), "{action}");
        let function = format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:scaler");
        let by_itself = by_lambda.clone().with("lambda:SourceFunctionArn", &function);
        assert!(!policy.allows(&by_itself), "{action}");
        let outside = Policy::of(&template(), &settings(&[]));
        assert!(!outside.allows(&by_lambda), "{action}");
    }
}

#[test]
fn the_template_has_the_version_of_the_crate() {
    let application = &template()["Metadata"]["AWS::ServerlessRepo::Application"];
    assert_eq!(application["SemanticVersion"], env!("CARGO_PKG_VERSION"));
}
