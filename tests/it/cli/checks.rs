//! `queue-scaler validate --aws` in the in-process AWS: what is wrong is found, and what may not be read is not
//! called wrong.

use std::time::Duration;

use ecs_queue_scaler::cli::checks::{ChecksView, Finding, Level, check};
use ecs_queue_scaler::cli::deployment::{Deployment, Wanted};
use serde_json::{Value, json};

use super::plan::{cloud, deployment};
use crate::tick::{config, definition, invocation, scaler, tick, worker, world_of};
use crate::world::World;

const REGISTRY: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
const ROLE: &str = "arn:aws:iam::123456789012:role/jobs/encoder";

async fn checked_as(world: &World, deployment: &Deployment) -> ChecksView {
    Box::pin(check(deployment, &cloud(world), &invocation(world))).await.unwrap()
}

async fn checked(world: &World, config: &Value) -> ChecksView {
    checked_as(world, &deployment(world, config).await).await
}

fn page(view: &ChecksView, width: usize) -> String {
    anstream::adapter::strip_str(&view.page(width)).to_string()
}

/// A definition that names something of everything.
fn rich(family: &str) -> Value {
    let mut definition = definition(family);
    definition["taskRoleArn"] = json!(ROLE);
    let container = &mut definition["containerDefinitions"][0];
    container["image"] = json!(format!("{REGISTRY}/encoder:2026-11-21"));
    container["logConfiguration"] = json!({"logDriver": "awslogs", "options": {"awslogs-group": "/jobs/encoder", "awslogs-region": "eu-central-1", "awslogs-stream-prefix": "x"}});
    container["secrets"] = json!([
        {"name": "KEY", "valueFrom": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:hush-AbCdEf:key::"},
        {"name": "NAME", "valueFrom": "arn:aws:ssm:eu-central-1:123456789012:parameter/jobs/hush"},
    ]);
    definition
}

/// A network with a way out, a cluster with its capacity, and no other reader of a queue.
pub(super) fn reachable(world: &World) {
    world.answers("DescribeSubnets", "subnet-", json!("<DescribeSubnetsResponse xmlns=\"x\"><subnetSet><item><subnetId>subnet-0a1b2c3d</subnetId><vpcId>vpc-1</vpcId></item></subnetSet></DescribeSubnetsResponse>"));
    world.answers("DescribeSecurityGroups", "sg-", json!("<DescribeSecurityGroupsResponse><securityGroupInfo><item><vpcId>vpc-1</vpcId></item></securityGroupInfo></DescribeSecurityGroupsResponse>"));
    world.answers("DescribeRouteTables", "vpc-1", routes("<natGatewayId>nat-1</natGatewayId>"));
    world.answers(
        "DescribeVpcEndpoints",
        "vpc-1",
        json!("<DescribeVpcEndpointsResponse><vpcEndpointSet/></DescribeVpcEndpointsResponse>"),
    );
    world.answers("DescribeClusters", "jobs", json!({"clusters": [{"status": "ACTIVE", "capacityProviders": ["FARGATE", "FARGATE_SPOT"]}]}));
    world.answers("GetServiceQuota", "fargate", json!({"Quota": {"Value": 4000.0}}));
    world.answers("ListEventSourceMappings", "", json!({"EventSourceMappings": []}));
}

/// An account in which all of it is there.
pub(super) fn good_world() -> (World, Value) {
    let world = world_of(&["encode"]);
    world.register(&rich("encode"));
    let arn = "arn:aws:sqs:eu-central-1:123456789012:encode";
    world
        .queue("encode")
        .attribute("QueueArn", arn)
        .attribute("VisibilityTimeout", "300")
        .attribute("ReceiveMessageWaitTimeSeconds", "20")
        .attribute("MessageRetentionPeriod", "345600");
    world.queue("dead").attribute("MessageRetentionPeriod", "1209600");
    let trusts = "%7B%22Service%22%3A%22ecs-tasks.amazonaws.com%22%7D";
    world.answers("GetRole", "encoder", json!(format!("<GetRoleResponse xmlns=\"x\"><GetRoleResult><Role><AssumeRolePolicyDocument>{trusts}</AssumeRolePolicyDocument></Role></GetRoleResult></GetRoleResponse>")));
    world.answers(
        "DescribeImages",
        "2026-11-21",
        json!({"imageDetails": [{"imageTags": ["2026-11-21"]}]}),
    );
    let rules = json!({"pullThroughCacheRules": [{"ecrRepositoryPrefix": "docker-hub"}]});
    world.answers("DescribePullThroughCacheRules", "", rules);
    world.answers(
        "DescribeLogGroups",
        "",
        json!({"logGroups": [{"logGroupName": "/jobs/encoder"}]}),
    );
    world.answers("DescribeSecret", "hush-AbCdEf\"", json!({"ARN": "arn"}));
    world.answers(
        "DescribeParameters",
        "/jobs/hush",
        json!({"Parameters": [{"Name": "/jobs/hush"}]}),
    );
    reachable(&world);
    let one = json!({"messagesPerContainer": 1});
    let mut config = config(&[worker("encode", &one, &json!({}))]);
    config["launch"].as_object_mut().unwrap().remove("launchType");
    config["capacity"] =
        json!([{"capacityProvider": "FARGATE_SPOT"}, {"capacityProvider": "FARGATE"}]);
    world.put_parameter("/jobs", &config.to_string());
    world.function(
        "jobs",
        &json!({"SCALER_NAME": "scaler", "SCALER_CONFIG": "ssm:/jobs"}),
        &json!({}),
    );
    (world, config)
}

/// A main table with a route of all addresses.
fn routes(target: &str) -> Value {
    json!(format!(
        "<DescribeRouteTablesResponse><routeTableSet><item><routeSet><item>\
         <destinationCidrBlock>0.0.0.0/0</destinationCidrBlock>{target}<state>active</state></item></routeSet>\
         <associationSet><item><main>true</main></item></associationSet></item></routeTableSet>\
         </DescribeRouteTablesResponse>"
    ))
}

pub(super) async fn of_function(world: &World, config: Option<&str>) -> ChecksView {
    let wanted = Wanted { function: Some("jobs"), config, needs_config: true, name: None };
    let found = Deployment::find(wanted, &cloud(world)).await.unwrap();
    checked_as(world, &found).await
}

#[tokio::test(start_paused = true)]
async fn where_all_is_there_nothing_is_said() {
    let (world, config) = good_world();
    world.take_calls();
    let view = of_function(&world, None).await;
    assert_eq!(view.workers[0].findings, [], "{view:?}");
    assert_eq!((view.findings.len(), world.changes()), (0, 0));
    assert!(page(&view, 100).starts_with("1 worker: 1 good. "), "{}", page(&view, 100));
    // By the role of the function, which is not read where no function is named.
    assert_eq!(world.count("SimulatePrincipalPolicy"), 0, "the function has no role here");
    let _ = config;
}

/// What AWS answers, or refuses.
type Broken = (&'static str, &'static str, Result<Value, &'static str>);

/// One thing after the other that is not as it has to be.
fn broken_answers() -> Vec<Broken> {
    let xml = |text: &str| Ok(json!(text));
    let providers = json!({"clusters": [{"status": "ACTIVE", "capacityProviders": ["FARGATE"]}]});
    let mapping =
        json!({"State": "Enabled", "FunctionArn": "arn:aws:lambda:r:1:function:old-worker"});
    vec![
        ("GetRole", "encoder", Err("NoSuchEntity")),
        ("GetRole", "encoder", xml("<GetRoleResponse>lambda.amazonaws.com</GetRoleResponse>")),
        ("DescribeImages", "2026-11-21", Err("ImageNotFoundException")),
        ("DescribeImages", "", Err("RepositoryNotFoundException")),
        ("DescribeLogGroups", "", Ok(json!({"logGroups": [{"logGroupName": "/jobs/encoder2"}]}))),
        ("DescribeSecret", "", Err("ResourceNotFoundException")),
        ("DescribeParameters", "", Ok(json!({"Parameters": []}))),
        ("DescribeSubnets", "", Err("InvalidSubnetID.NotFound")),
        (
            "DescribeSecurityGroups",
            "",
            xml(
                "<DescribeSecurityGroupsResponse><securityGroupInfo><item><ipPermissions><item><groups><item><vpcId>vpc-1</vpcId></item></groups></item></ipPermissions><vpcId>vpc-2</vpcId></item></securityGroupInfo></DescribeSecurityGroupsResponse>",
            ),
        ),
        ("DescribeRouteTables", "", Ok(routes("<gatewayId>igw-1</gatewayId>"))),
        (
            "DescribeRouteTables",
            "",
            xml(
                "<DescribeRouteTablesResponse><routeTableSet><item><routeSet/><associationSet><item><main>true</main></item></associationSet></item></routeTableSet></DescribeRouteTablesResponse>",
            ),
        ),
        ("DescribeClusters", "", Ok(json!({"clusters": []}))),
        ("DescribeClusters", "", Ok(providers)),
        ("GetServiceQuota", "", Ok(json!({"Quota": {"Value": 6.0}}))),
        ("ListEventSourceMappings", "", Ok(json!({"EventSourceMappings": [mapping]}))),
    ]
}

/// And of the queues.
const BROKEN_QUEUES: [fn(&World); 6] = [
    |world| drop(world.queue("encode").attribute("ReceiveMessageWaitTimeSeconds", "0")),
    |world| world.queue("encode").without("RedrivePolicy"),
    |world| {
        let once = r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-central-1:123456789012:dead","maxReceiveCount":"1"}"#;
        drop(world.queue("encode").attribute("RedrivePolicy", once));
    },
    |world| drop(world.queue("dead").attribute("MessageRetentionPeriod", "60000")),
    |world| world.delete_queue("dead"),
    |world| world.delete_queue("encode"),
];

async fn found_where(broken: impl Fn(&World)) -> String {
    let (world, config) = good_world();
    let image = |day: u32| json!({"imageTags": [format!("2026-11-{day}")], "imagePushedAt": day});
    world.answers("DescribeImages", "TAGGED", json!({"imageDetails": [image(19), image(20)]}));
    broken(&world);
    let view = checked(&world, &config).await;
    let findings = &view.workers[0].findings;
    assert!(!findings.is_empty());
    assert!(findings.iter().all(|finding| finding.level != Level::NotChecked), "{findings:?}");
    let lines = findings.iter().map(|finding| format!("{:?}: {}", finding.level, finding.message));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test(start_paused = true)]
async fn each_thing_that_is_wrong_is_found_and_said_with_the_way_out() {
    let mut all = Vec::new();
    for (operation, about, answer) in broken_answers() {
        let broken = |world: &World| match &answer {
            Ok(answer) => world.answers(operation, about, answer.clone()),
            Err(code) => world.refuses(operation, about, code),
        };
        all.push(found_where(broken).await);
    }
    for broken in BROKEN_QUEUES {
        all.push(found_where(broken).await);
    }
    let all = all.join("\n\n");
    assert!(!all.contains("hush"), "{all}");
    insta::assert_snapshot!("findings", all);
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_read_is_not_called_wrong() {
    let world = world_of(&["encode", "dead"]);
    world.register(&rich("encode"));
    let _ =
        world.queue("encode").attribute("QueueArn", "arn:aws:sqs:eu-central-1:123456789012:encode");
    let mut config = config(&[worker("encode", &json!({"messagesPerContainer": 1}), &json!({}))]);
    config["capacity"] = json!([{"capacityProvider": "FARGATE"}]);
    config["launch"].as_object_mut().unwrap().remove("launchType");
    let view = checked(&world, &config).await;
    assert!(!view.is_wrong() && !view.has(Level::Warning), "{view:?}");
    insta::assert_snapshot!("denied", page(&view, 100));
    assert!(!page(&view, 100).contains("hush"));
    let schema: Value =
        serde_json::from_str(include_str!("../../../docs/schema/checks.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(&json!(view)).map(|e| e.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    let (_, made, _) = super::seen(&["schema", "--of", "checks"], "");
    assert!(made == include_str!("../../../docs/schema/checks.json"), "make docs");
}

/// What is there all the same, or is nobody's to say from here.
#[tokio::test(start_paused = true)]
async fn what_is_good_or_not_seen_is_not_called_wrong() {
    let levels = async |broken: &dyn Fn(&World, &mut Value)| {
        let (world, mut config) = good_world();
        broken(&world, &mut config);
        let view = checked(&world, &config).await;
        let findings = view.workers[0].findings.iter();
        findings.map(|finding| (finding.level, finding.message.clone())).collect::<Vec<_>>()
    };
    // A cache has nothing before the first pull.
    let cached = levels(&|world, _| {
        world.refuses("DescribeImages", "", "RepositoryNotFoundException");
        let rules = json!({"pullThroughCacheRules": [{"ecrRepositoryPrefix": "ROOT"}]});
        world.answers("DescribePullThroughCacheRules", "", rules);
    });
    assert_eq!(cached.await, []);
    // A page may have none although others follow.
    let paged = levels(&|world, _| {
        world.answers("DescribeParameters", "", json!({"Parameters": [], "NextToken": "2"}));
        world.answers(
            "DescribeParameters",
            "NextToken",
            json!({"Parameters": [{"Name": "/jobs/hush"}]}),
        );
    });
    assert_eq!(paged.await, []);
    let elsewhere = levels(&|world, _| {
        let mut definition = rich("encode");
        let from = "arn:aws:ssm:us-east-1:123456789012:parameter/jobs/hush";
        definition["containerDefinitions"][0]["secrets"][1]["valueFrom"] = json!(from);
        world.register(&definition);
    });
    let [(Level::NotChecked, said)] = &elsewhere.await[..] else { panic!() };
    assert!(said.contains("another Region or account") && !said.contains("hush"), "{said}");
    let abroad = levels(&|world, _| {
        let mut definition = rich("encode");
        let container = &mut definition["containerDefinitions"][0];
        container["image"] = json!("123456789012.dkr.ecr.us-east-1.amazonaws.com/encoder:1");
        container["logConfiguration"]["options"]["awslogs-region"] = json!("us-east-1");
        world.register(&definition);
    });
    let [(Level::NotChecked, image), (Level::NotChecked, log)] = &abroad.await[..] else {
        panic!()
    };
    assert_eq!(log, "log group /jobs/encoder is of us-east-1, which is not asked");
    assert!(image.ends_with("is in the registry of us-east-1, which is not asked"), "{image}");
    let shared = levels(&|world, _| {
        world.answers("DescribeSubnets", "subnet-", json!("<DescribeSubnetsResponse><subnetSet><item><vpcId>vpc-1</vpcId><ownerId>999999999999</ownerId></item></subnetSet></DescribeSubnetsResponse>"));
        world.answers("DescribeRouteTables", "", routes("<gatewayId>igw-1</gatewayId>"));
    });
    let [(Level::NotChecked, said)] = &shared.await[..] else { panic!() };
    assert!(said.contains("is shared by account 999999999999"), "{said}");
    let unseen = levels(&|world, _| {
        let none = "<DescribeRouteTablesResponse><routeTableSet/></DescribeRouteTablesResponse>";
        world.answers("DescribeRouteTables", "", json!(none));
    });
    let [(Level::NotChecked, said)] = &unseen.await[..] else { panic!() };
    assert!(said.contains("it has no route table here"), "{said}");
}

/// On instances the agent fetches image, secrets and log by the instance's network; SQS every task needs itself.
#[tokio::test(start_paused = true)]
async fn a_subnet_is_held_to_what_its_tasks_have_to_reach() {
    let said = async |capacity: Value, endpoints: &[&str]| {
        let (world, mut config) = good_world();
        config["capacity"] = json!([{"capacityProvider": capacity}]);
        let providers =
            json!({"clusters": [{"status": "ACTIVE", "capacityProviders": [capacity]}]});
        world.answers("DescribeClusters", "", providers);
        world.answers("DescribeRouteTables", "", routes("<gatewayId>igw-1</gatewayId>"));
        let items = endpoints.iter().map(|name| {
            format!("<item><serviceName>com.amazonaws.eu-central-1.{name}</serviceName></item>")
        });
        let items: String = items.collect();
        let list = format!(
            "<DescribeVpcEndpointsResponse><vpcEndpointSet>{items}</vpcEndpointSet></DescribeVpcEndpointsResponse>"
        );
        world.answers("DescribeVpcEndpoints", "", json!(list));
        let findings = checked(&world, &config).await.workers[0].findings.clone();
        let of_subnet = findings.into_iter().filter(|finding| finding.message.contains("subnet-"));
        of_subnet.map(|finding| finding.message).collect::<Vec<_>>()
    };
    let all = ["ecr.api", "ecr.dkr", "s3", "logs", "secretsmanager", "ssm", "sqs"];
    assert_eq!(said(json!("FARGATE"), &all).await, Vec::<String>::new());
    let [but_sqs] = &said(json!("FARGATE"), &all[..6]).await[..] else { panic!() };
    assert!(
        but_sqs.ends_with("needs assignPublicIp: ENABLED, or the VPC the endpoints sqs"),
        "{but_sqs}"
    );
    assert_eq!(said(json!("instances"), &["sqs"]).await, Vec::<String>::new());
    let [on_instances] = &said(json!("instances"), &all[..6]).await[..] else { panic!() };
    assert!(
        on_instances.ends_with("give it a NAT gateway, or the VPC the endpoints sqs"),
        "{on_instances}"
    );
}

/// Whoever has no credentials has found nothing wrong.
#[tokio::test(start_paused = true)]
async fn where_nothing_could_be_read_nothing_is_called_wrong_or_good() {
    let (world, config) = good_world();
    for operation in ["GetQueueUrl", "GetQueueAttributes", "ListTasks"] {
        world.fail(operation, 99, super::changes::denied());
    }
    let view = checked(&world, &config).await;
    assert!(!view.is_wrong() && view.is_unread(), "{view:?}");
}

/// A job that outlasts the timeout is done twice.
#[tokio::test(start_paused = true)]
async fn the_visibility_timeout_is_held_to_what_tasks_took() {
    let (world, config) = good_world();
    let function = scaler(&world, &config);
    for minute in [0, 7, 14] {
        world.queue("encode").visible(1);
        let _ = tick(&function, &world, minute).await;
        world.all_run();
        world.queue("encode").visible(0);
        world.reach(Duration::from_mins(minute + 6)).await;
        world.all_end("EssentialContainerExited", "", Some(0));
    }
    assert_eq!(world.count("RunTask"), 3);
    let view = checked(&world, &config).await;
    let [finding] = view.workers[0].findings.as_slice() else { panic!("{view:?}") };
    assert_eq!(
        finding.message,
        "visibility timeout 5m 00s: 3 of its last 3 tasks ran longer (6m 00s at most); where a job does, its message \
         is delivered twice: make the timeout longer, or let the worker extend it"
    );
}

#[tokio::test(start_paused = true)]
async fn the_documentation_shows_what_is_found() {
    let (world, config) = good_world();
    let tagged = json!({"imageDetails": [{"imageTags": ["2026-11-20"], "imagePushedAt": 20}]});
    world.answers("DescribeImages", "TAGGED", tagged);
    world.refuses("DescribeImages", "2026-11-21", "ImageNotFoundException");
    let _ = world.queue("encode").attribute("ReceiveMessageWaitTimeSeconds", "0");
    world.refuses("GetServiceQuota", "", "AccessDeniedException");
    let shown = page(&checked(&world, &config).await, 100);
    assert!(include_str!("../../../docs/cli.md").contains(&shown), "{shown}");
}

/// By the role of the function, and what it goes by.
#[tokio::test(start_paused = true)]
async fn the_deployment_is_held_to_the_file() {
    let (world, config) = good_world();
    let environment = json!({"SCALER_NAME": "scaler", "SCALER_CONFIG": "ssm:/jobs"});
    world.function_of(
        "jobs",
        &environment,
        &json!({"Role": "arn:aws:iam::1:role/scaler", "Timeout": 75}),
    );
    let mut other = config.clone();
    other["pollEvery"] = json!("10s");
    other["workers"][0]["scaling"]["messagesPerContainer"] = json!(2);
    let mut second = other["workers"][0].clone();
    second["name"] = json!("new");
    second["queue"] = json!("new");
    other["workers"].as_array_mut().unwrap().push(second);
    let _ = world.queue("new");
    allow(&world, "encode--x1");
    let view = of_function(&world, Some(&other.to_string())).await;
    let messages: Vec<_> = view.findings.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(
        messages[0].starts_with("pollEvery fills the function's timeout of 75 s"),
        "{messages:?}"
    );
    assert_eq!(messages[1], "it differs from what the function goes by: encode, new (new)");

    world.function_of("jobs", &json!({"SCALER_NAME": "scaler"}), &json!({}));
    let view = of_function(&world, Some(&config.to_string())).await;
    let [Finding { level: Level::NotChecked, message }] = &view.findings[..] else {
        panic!("{view:?}")
    };
    let expected =
        "what the function goes by is not compared: it is in its package, at `workers.yaml`";
    assert_eq!(message, expected);
}

/// What IAM answers: the same of all, but of those that are named otherwise.
fn simulated(decision: &str, resources: &[(&str, &str)], missing: &str) -> Value {
    let of_resources = resources.iter().map(|(name, decision)| {
        format!(
            "<member><EvalResourceName>{name}</EvalResourceName><EvalResourceDecision>{decision}\
             </EvalResourceDecision>{missing}</member>"
        )
    });
    let of_resources: String = of_resources.collect();
    let first = resources.first().map_or("*", |(name, _)| name);
    json!(format!(
        "<SimulatePrincipalPolicyResponse xmlns=\"x\"><SimulatePrincipalPolicyResult><EvaluationResults><member>\
         <EvalResourceName>{first}</EvalResourceName><EvalDecision>{decision}</EvalDecision>\
         <ResourceSpecificResults>{of_resources}</ResourceSpecificResults></member></EvaluationResults>\
         </SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
    ))
}

const QUEUE: &str = "arn:aws:sqs:eu-central-1:123456789012:encode";
const BASE: &str = "arn:aws:ecs:eu-central-1:123456789012:task-definition/encode:2";
const DERIVED: &str = "arn:aws:ecs:eu-central-1:123456789012:task-definition/encode--x8:1";

/// Where a worker's tasks run this definition, the function may do all of it.
fn allow(world: &World, definition: &str) {
    for (action, resource) in [
        ("GetQueueAttributes", QUEUE),
        ("RunTask", definition),
        ("RegisterTaskDefinition", definition),
        ("PassRole", ROLE),
    ] {
        let allowed = simulated("allowed", &[(resource, "allowed"), (BASE, "allowed")], "");
        world.answers("SimulatePrincipalPolicy", action, allowed);
    }
}

/// What was said of the function where IAM answers so to this action.
async fn of_permissions(action: &str, answer: Result<Value, &'static str>) -> Vec<String> {
    let (world, mut config) = good_world();
    config["workers"][0]["packing"] = json!({"strategy": "dense", "maxContainersPerTask": 8});
    config["workers"][0]["scaling"]["maxContainers"] = json!(8);
    let environment = json!({"SCALER_NAME": "scaler", "SCALER_CONFIG": "ssm:/jobs"});
    world.put_parameter("/jobs", &config.to_string());
    world.function_of("jobs", &environment, &json!({"Role": "arn:aws:iam::1:role/scaler"}));
    allow(&world, DERIVED);
    match answer {
        Ok(answer) => world.answers("SimulatePrincipalPolicy", action, answer),
        Err(code) => world.refuses("SimulatePrincipalPolicy", action, code),
    }
    let view = of_function(&world, None).await;
    assert_eq!(world.count("SimulatePrincipalPolicy"), 4, "one a permission");
    let findings = view.workers[0].findings.iter().chain(&view.findings);
    findings.map(|finding| format!("{:?}: {}", finding.level, finding.message)).collect()
}

/// By the role of the deployed function, as IAM says without anybody doing it.
#[tokio::test(start_paused = true)]
async fn what_the_function_may_not_do_is_found_before_it_has_to() {
    let denied = |resource: &str| {
        let of_each = [(resource, "implicitDeny"), (BASE, "allowed")];
        Ok(simulated("implicitDeny", &of_each, ""))
    };
    let mut all = Vec::new();
    for (action, resource) in [
        ("GetQueueAttributes", QUEUE),
        ("RunTask", DERIVED),
        ("RegisterTaskDefinition", DERIVED),
        ("PassRole", ROLE),
    ] {
        let said = of_permissions(action, denied(resource)).await;
        assert_eq!(said.len(), 1, "{said:?}");
        all.extend(said);
    }
    let pass = "PassRole";
    let explicit = simulated("explicitDeny", &[(ROLE, "explicitDeny")], "");
    all.extend(of_permissions(pass, Ok(explicit)).await);
    let missing = "<MissingContextValues><member>aws:SourceVpc</member></MissingContextValues>";
    let open = simulated("implicitDeny", &[(ROLE, "implicitDeny")], missing);
    all.extend(of_permissions(pass, Ok(open)).await);
    // The worst of all says nothing of one, and what is not in the answer is not known.
    let of_another = simulated("implicitDeny", &[(ROLE, "allowed"), ("arn:x", "implicitDeny")], "");
    assert_eq!(of_permissions(pass, Ok(of_another)).await, Vec::<String>::new());
    let without = simulated("allowed", &[("arn:x", "allowed")], "");
    all.extend(of_permissions(pass, Ok(without)).await);
    // As IAM answered before: a result for each resource, and none within.
    let before = json!(format!(
        "<SimulatePrincipalPolicyResponse><EvaluationResults><member><EvalResourceName>{ROLE}</EvalResourceName>\
         <EvalDecision>allowed</EvalDecision></member></EvaluationResults>\
         </SimulatePrincipalPolicyResponse>"
    ));
    assert_eq!(of_permissions(pass, Ok(before)).await, Vec::<String>::new());
    all.extend(of_permissions(pass, Err("AccessDeniedException")).await);
    insta::assert_snapshot!("permissions", all.join("\n"));
}

/// Of a queue in the same account its own policy is enough, which IAM does not look at.
#[tokio::test(start_paused = true)]
async fn a_queue_with_a_policy_may_let_in_whom_the_role_does_not() {
    let (world, _) = good_world();
    let environment = json!({"SCALER_NAME": "scaler", "SCALER_CONFIG": "ssm:/jobs"});
    world.function_of("jobs", &environment, &json!({"Role": "arn:aws:iam::1:role/scaler"}));
    let _ = world.queue("encode").attribute("Policy", "{}");
    let denied = simulated("implicitDeny", &[(QUEUE, "implicitDeny")], "");
    world.answers("SimulatePrincipalPolicy", "GetQueueAttributes", denied);
    let view = of_function(&world, None).await;
    let of_queue = |it: &&Finding| it.message.contains("read the queue");
    let found: Vec<_> = view.workers[0].findings.iter().filter(of_queue).collect();
    let [Finding { level: Level::NotChecked, message }] = found[..] else { panic!("{view:?}") };
    assert!(message.contains("the queue's own policy"), "{message}");
}
