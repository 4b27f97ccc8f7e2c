//! `RunTask` on the instances of a cluster, and the lists of what runs there.

use aws_sdk_ecs::Client;
use aws_sdk_ecs::operation::run_task::builders::RunTaskFluentBuilder;
use aws_sdk_ecs::types::{
    AwsVpcConfiguration, LaunchType, NetworkConfiguration, PlacementConstraint,
    PlacementConstraintType, PlacementStrategy, PlacementStrategyType, Tag,
};
use serde_json::json;

use super::{code, definition, jobs, reasons, register};

/// A call that runs tasks of a definition on EC2.
fn run(ecs: &Client, family: &str, count: i32) -> RunTaskFluentBuilder {
    let call = ecs.run_task().cluster("jobs").task_definition(family).count(count);
    call.launch_type(LaunchType::Ec2).client_token(format!("{count:030}"))
}

fn member_of(expression: &str) -> PlacementConstraint {
    let constraint = PlacementConstraint::builder().r#type(PlacementConstraintType::MemberOf);
    constraint.expression(expression).build()
}

fn distinct() -> PlacementConstraint {
    PlacementConstraint::builder().r#type(PlacementConstraintType::DistinctInstance).build()
}

const NOT_A_MEMBER: &str = "MemberOf placement constraint unsatisfied.";

#[tokio::test(start_paused = true)]
async fn tasks_go_to_instances_that_are_active_and_have_room() {
    let (world, ecs) = jobs();
    register(&world, "a", &json!({}));
    let small = json!({"cpu": 512, "memory": 1024});
    let [good, draining, deaf] = [(), (), ()].map(|()| world.instance("jobs", small.clone()));
    world.change_instance(&draining, json!({"status": "DRAINING"}));
    world.change_instance(&deaf, json!({"agentConnected": false}));
    let answer = run(&ecs, "a", 2).send().await.unwrap();
    let places: Vec<_> = answer.tasks().iter().map(|it| it.container_instance_arn()).collect();
    assert_eq!(places, [Some(good.as_str())]);
    assert_eq!(reasons(answer.failures()), [(good.as_str(), "RESOURCE:CPU")]);
    world.change_instance(&good, json!({"agentConnected": false}));
    let answer = run(&ecs, "a", 1).send().await.unwrap();
    assert_eq!(reasons(answer.failures()), [(good.as_str(), "AGENT")]);
    world.change_instance(&good, json!({"status": "DRAINING"}));
    world.vanish(&deaf);
    assert_eq!(code(run(&ecs, "a", 3).send().await), "InvalidParameterException");
}

#[tokio::test(start_paused = true)]
async fn without_instances_there_is_nothing_to_choose() {
    let (world, ecs) = jobs();
    world.cluster("others");
    world.instance("others", json!({}));
    register(&world, "a", &json!({}));
    let answer = run(&ecs, "a", 3).send().await.unwrap();
    assert_eq!(answer.tasks().len(), 3);
    assert_eq!(answer.tasks()[0].container_instance_arn(), None);
}

#[tokio::test(start_paused = true)]
async fn constraints_of_a_call_and_of_a_definition_are_kept() {
    let (world, ecs) = jobs();
    register(&world, "a", &json!({}));
    let mut blue = definition("blue", &json!({}));
    blue["placementConstraints"] =
        json!([{"type": "memberOf", "expression": "attribute:stack == blue"}]);
    world.register(&blue);
    let red = world.instance("jobs", json!({"attributes": {"stack": "red"}}));
    let both = world.instance("jobs", json!({"zone": "b", "attributes": {"stack": "blue"}}));
    let answer = run(&ecs, "blue", 3).send().await.unwrap();
    assert_eq!(answer.tasks().len(), 3);
    assert_eq!(world.tasks_on(&both).len(), 3);
    let zone = member_of("attribute:ecs.availability-zone == b");
    let answer = run(&ecs, "a", 2).placement_constraints(zone).send().await.unwrap();
    assert_eq!((answer.tasks().len(), world.tasks_on(&both).len()), (2, 5));
    let nowhere = member_of("attribute:stack == green");
    let answer = run(&ecs, "a", 1).placement_constraints(nowhere).send().await.unwrap();
    assert_eq!(reasons(answer.failures()), [(red.as_str(), NOT_A_MEMBER)]);
    assert_eq!(world.tasks_on(&red).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn distinct_instances_hold_one_task_of_a_group() {
    let (world, ecs) = jobs();
    register(&world, "a", &json!({}));
    for _ in 0..2 {
        world.instance("jobs", json!({}));
    }
    let distinct = |count| run(&ecs, "a", count).placement_constraints(distinct());
    let answer = distinct(3).send().await.unwrap();
    assert_eq!((answer.tasks().len(), answer.failures().len()), (2, 1));
    let first = answer.tasks()[0].container_instance_arn();
    assert_ne!(first, answer.tasks()[1].container_instance_arn());
    let other_group = distinct(2).group("other").send().await.unwrap();
    assert_eq!(other_group.tasks().len(), 2);
    assert_eq!(distinct(1).send().await.unwrap().tasks().len(), 0);
    world.all_stop();
    let later = distinct(1).client_token("l".repeat(30)).send().await.unwrap();
    assert_eq!(later.tasks().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn illegal_constraints_are_refused() {
    let (world, ecs) = jobs();
    register(&world, "a", &json!({}));
    world.register(&crate::tick::definition("fargate"));
    world.instance("jobs", json!({}));
    let with = |constraint| run(&ecs, "a", 1).placement_constraints(constraint);
    let bare = PlacementConstraint::builder().r#type(PlacementConstraintType::MemberOf).build();
    let said = PlacementConstraint::builder().r#type(PlacementConstraintType::DistinctInstance);
    let strategy = PlacementStrategy::builder().r#type(PlacementStrategyType::from("most")).build();
    let random = PlacementStrategy::builder().r#type(PlacementStrategyType::Random).build();
    let member = || member_of("agentConnected == true");
    let vpc = AwsVpcConfiguration::builder().subnets("subnet-1").build().unwrap();
    let network = NetworkConfiguration::builder().awsvpc_configuration(vpc).build();
    let cases = [
        with(member_of("nonsense")),
        with(bare),
        with(said.expression("agentConnected == true").build()),
        run(&ecs, "a", 1).set_placement_constraints(Some(vec![member(); 11])),
        run(&ecs, "a", 1).placement_strategy(strategy),
        run(&ecs, "a", 1).set_placement_strategy(Some(vec![random; 6])),
        run(&ecs, "fargate", 1).network_configuration(network),
    ];
    for call in cases {
        assert_eq!(code(call.clone().send().await), "InvalidParameterException", "{call:?}");
    }
    let ten = run(&ecs, "a", 1).set_placement_constraints(Some(vec![member(); 10]));
    assert_eq!(ten.send().await.unwrap().tasks().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_still_stands_for_one_call() {
    let (world, ecs) = jobs();
    register(&world, "a", &json!({}));
    let arn = world.instance("jobs", json!({"cpu": 512}));
    let first = run(&ecs, "a", 2).send().await.unwrap();
    let again = run(&ecs, "a", 2).send().await.unwrap();
    assert_eq!((first.tasks(), first.failures()), (again.tasks(), again.failures()));
    assert_eq!((first.tasks().len(), first.failures().len()), (1, 1));
    assert_eq!(world.tasks_on(&arn).len(), 1);
    let tagged = run(&ecs, "a", 2).tags(Tag::builder().key("k").value("v").build());
    assert_eq!(code(tagged.send().await), "ConflictException");
}

#[tokio::test(start_paused = true)]
async fn tasks_are_listed_by_instance_and_by_service() {
    let (world, ecs) = jobs();
    register(&world, "a", &json!({}));
    let [one, two] = [(), ()].map(|()| world.instance("jobs", json!({})));
    world.service("jobs", "idle");
    let daemons = [&one, &two].map(|on| world.daemon("jobs", "log-agent", (on, "RUNNING")));
    super::start::start(&ecs, "a", &[&one]).send().await.unwrap();
    let list = || ecs.list_tasks().cluster("jobs");
    let arns =
        |answer: aws_sdk_ecs::operation::list_tasks::ListTasksOutput| answer.task_arns().to_vec();
    assert_eq!(arns(list().send().await.unwrap()).len(), 3);
    assert_eq!(arns(list().container_instance(&one).send().await.unwrap()).len(), 2);
    let id = two.rsplit('/').next().unwrap();
    let on_two = list().container_instance(id);
    assert_eq!(arns(on_two.send().await.unwrap()), [daemons[1].as_str()]);
    assert_eq!(arns(list().service_name("log-agent").send().await.unwrap()), daemons);
    let both = list().service_name("log-agent").container_instance(&one);
    assert_eq!(arns(both.clone().send().await.unwrap()), [daemons[0].as_str()]);
    let stopped = both.desired_status(aws_sdk_ecs::types::DesiredStatus::Stopped);
    assert_eq!(arns(stopped.send().await.unwrap()), [""; 0]);
    assert_eq!(arns(list().service_name("idle").send().await.unwrap()), [""; 0]);
    let of_family = list().family("a").container_instance(&one);
    assert_eq!(arns(of_family.send().await.unwrap()).len(), 1);
    assert_eq!(arns(list().family("b").send().await.unwrap()), [""; 0]);
    let fargate = list().launch_type(LaunchType::Fargate);
    assert_eq!(arns(fargate.send().await.unwrap()), [""; 0]);
    assert_eq!(arns(list().launch_type(LaunchType::Ec2).send().await.unwrap()).len(), 3);
    let unknown = list().service_name("unknown").send().await;
    assert_eq!(code(unknown), "ServiceNotFoundException");
    let beside = list().started_by("me").container_instance(&one).send().await;
    assert_eq!(code(beside), "InvalidParameterException");
}
