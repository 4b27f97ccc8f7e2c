use serde_json::{Value, json};

use super::*;
use crate::event::{Hook, Tick, Woken};
use crate::snapshot::TickContext;
use crate::snapshot::{Read, Registration, Unseen};
use crate::units::{ClusterName, InstanceArn, Region, RevisionArn, TaskArn};

const HERE: &str = "arn:aws:ecs:r:a:container-instance/jobs/1";
const INSTANCE: &str = "i-1234567890abcdef0";

fn at(seconds: i64) -> Timestamp {
    Timestamp::new(1_800_000_000 + seconds, 0).unwrap()
}

fn scaler() -> ScalerName {
    ScalerName("scaler".to_owned())
}

/// Two workers, of which the tasks of `a` are stopped, and whatever is said of draining.
fn config(draining: &Value) -> Config {
    let worker = |name, on_drain| {
        json!({"name": name, "queue": name, "taskDefinition": name, "onDrain": on_drain,
               "scaling": {"messagesPerContainer": 1}})
    };
    let mut before = worker("a", "stopTasks");
    before["previousNames"] = json!(["before"]);
    let workers = [before, worker("b", "leave")];
    let launch = json!({"launchType": "EC2"});
    let document =
        json!({"cluster": "jobs", "launch": launch, "draining": draining, "workers": workers});
    Config::from_value(&document).unwrap()
}

fn notice(payload: &Value) -> Notice {
    match Woken::parse(payload, "request").unwrap() {
        Woken::Notice(notice) => notice,
        other => panic!("{other:?}"),
    }
}

fn termination() -> Notice {
    let detail = json!({"EC2InstanceId": INSTANCE, "AutoScalingGroupName": "jobs",
                        "LifecycleHookName": "drain-workers"});
    let kind = "EC2 Instance-terminate Lifecycle Action";
    notice(&json!({"source": "aws.autoscaling", "detail-type": kind, "detail": detail}))
}

fn of_ec2(kind: &str) -> Notice {
    let detail = json!({"instance-id": INSTANCE});
    notice(&json!({"source": "aws.ec2", "detail-type": kind, "detail": detail}))
}

fn registration(arn: &str, status: &str) -> Registration {
    let (status, tags) = (status.to_owned(), BTreeMap::new());
    Registration { arn: arn.into(), ec2: INSTANCE.into(), status, tags }
}

/// What was found in which cluster.
fn sought(clusters: &[(&str, Read<Vec<Registration>>)]) -> Sought {
    let clusters = clusters.iter().map(|(name, read)| (ClusterName::from(*name), read.clone()));
    Sought { scaler: scaler(), now: at(0), clusters: clusters.collect() }
}

fn drains(draining: &Value, notice: &Notice) -> DrainPlan {
    let found = Ok(vec![registration(HERE, "ACTIVE")]);
    drain(&config(draining), notice, &sought(&[("jobs", found)]))
}

#[test]
fn an_instance_is_drained_where_ecs_lets_it() {
    for (status, expected) in [
        ("ACTIVE", DrainStep::Drain),
        ("DRAINING", DrainStep::IsDraining),
        ("REGISTERING", DrainStep::NotYet),
        ("DEREGISTERING", DrainStep::Leaves),
        ("REGISTRATION_FAILED", DrainStep::Leaves),
        ("a status of tomorrow", DrainStep::Leaves),
    ] {
        let found = sought(&[("jobs", Ok(vec![registration(HERE, status)]))]);
        let plan = drain(&config(&json!({})), &termination(), &found);
        let steps: Vec<_> = plan.instances.iter().map(|leaving| leaving.step).collect();
        assert_eq!(steps, [expected], "{status}");
    }
}

#[test]
fn a_cluster_of_two_names_has_each_instance_once_and_one_that_is_not_read_keeps_no_other() {
    let found = || Ok(vec![registration(HERE, "ACTIVE"), registration("other", "DRAINING")]);
    let failed = unread("ListContainerInstances");
    let found = sought(&[("jobs", found()), ("arn:jobs", found()), ("lost", Err(failed.clone()))]);
    let plan = drain(&config(&json!({})), &termination(), &found);
    let arns: Vec<_> = plan.instances.iter().map(|leaving| leaving.instance.as_str()).collect();
    assert_eq!(arns, [HERE, "other"]);
    assert_eq!(plan.clusters.len(), 3);
    assert_eq!(plan.unread, [failed]);
}

#[test]
fn a_hook_is_the_ticks_to_answer_where_the_configuration_names_it() {
    let owner = |draining: &Value| drains(draining, &termination()).hook.unwrap();
    let HookOwner::Ours { hook, tags } = owner(&json!({"lifecycleHook": "drain-workers"})) else {
        panic!("it is ours")
    };
    assert_eq!((hook.group.as_str(), hook.name.as_str()), ("jobs", "drain-workers"));
    assert_eq!(tags.unwrap().len(), 3);
    let why = |draining: &Value| match owner(draining) {
        HookOwner::NotOurs { why, .. } => why,
        HookOwner::Ours { hook, .. } => panic!("{hook:?}"),
    };
    assert_eq!(why(&json!({})), NotOurs::NoneNamed);
    assert_eq!(why(&json!({"lifecycleHook": "mine"})), NotOurs::Another("mine".to_owned()));
    let spot = of_ec2("EC2 Spot Instance Interruption Warning");
    assert_eq!(drains(&json!({"lifecycleHook": "drain-workers"}), &spot).hook, None);
}

#[test]
fn only_what_wants_to_be_is_stopped_and_never_for_a_recommendation() {
    let task = |worker: &str, is_stopping| TaskThere {
        worker: worker.into(),
        arn: TaskArn(format!("{worker} {is_stopping}")),
        is_stopping,
    };
    let there = ["a", "before", "b", "unknown"].map(|worker| task(worker, false));
    let tasks: Vec<_> = there.into_iter().chain([task("a", true)]).collect();
    let stopped = |notice: &Notice| -> Vec<String> {
        let standing =
            Standing { cluster: "jobs".into(), instance: HERE.into(), tasks: Ok(tasks.clone()) };
        let plan = stop(&config(&json!({})), notice, &scaler(), vec![standing]);
        let tasks = plan.instances.into_iter().flat_map(|emptying| emptying.tasks.unwrap());
        let stopped = tasks.filter(|task| task.step == TaskStep::Stop);
        stopped.map(|task| task.arn.0).collect()
    };
    assert_eq!(stopped(&termination()), ["a false", "before false"]);
    let spot = of_ec2("EC2 Spot Instance Interruption Warning");
    assert_eq!(stopped(&spot), ["a false", "before false"]);
    assert_eq!(stopped(&of_ec2("EC2 Instance Rebalance Recommendation")), [""; 0]);
}

/// An instance that began to drain at second 0.
fn held(tasks: Option<Read<Vec<TaskThere>>>) -> Held {
    let hook = Hook { group: "jobs".to_owned(), name: "drain-workers".to_owned() };
    let mark = Mark { hook, since: Some(at(0)) };
    Held { arn: HERE.into(), ec2: INSTANCE.into(), mark, tasks }
}

fn tasks(count: usize) -> Vec<TaskThere> {
    let task = TaskThere { worker: "a".into(), arn: TaskArn("t".to_owned()), is_stopping: true };
    vec![task; count]
}

#[test]
fn an_instance_is_let_go_only_when_nothing_of_ours_can_be_there() {
    let lost = unread("ListTasks");
    let cases = [
        (Some(Ok(tasks(0))), 300, Reply::LetGo),
        (Some(Ok(tasks(0))), 299, Reply::Hold(Because::JustDrained)),
        (Some(Ok(tasks(0))), -60, Reply::Hold(Because::JustDrained)),
        (Some(Ok(tasks(2))), 3600, Reply::Hold(Because::TasksRun(2))),
        (Some(Err(lost.clone())), 3600, Reply::Hold(Because::NotRead(lost.clone()))),
        (None, 3600, Reply::Hold(Because::NotRead(lost))),
    ];
    for (tasks, now, expected) in cases {
        let none = ClusterTasks::default();
        for seen in [None, Some(&none)] {
            assert_eq!(reply(&held(tasks.clone()), seen, at(now)), expected, "{now}");
        }
    }
}

/// A call without an answer that was made at this second, for this instance or for any.
fn presumed(second: i64, instance: Option<&str>) -> ClusterTasks {
    let (worker, revision) = (&WorkerName::from("a"), &RevisionArn::from("a:1"));
    let unseen = Unseen { worker, revision, created: at(second), tick: None };
    let presumed = unseen.presumed(vec![instance.map(InstanceArn::from)]).collect();
    ClusterTasks { presumed, ..ClusterTasks::default() }
}

#[test]
fn a_call_without_an_answer_holds_where_it_may_have_started_something() {
    let may_start = Reply::Hold(Because::TasksMayStart);
    for (second, instance, expected) in [
        (-200, None, &may_start),
        (0, Some(HERE), &may_start),
        (59, None, &may_start),
        (60, None, &Reply::LetGo),
        (0, Some("elsewhere"), &Reply::LetGo),
    ] {
        let seen = presumed(second, instance);
        let reply = reply(&held(Some(Ok(tasks(0)))), Some(&seen), at(300));
        assert_eq!(reply, *expected, "{second} {instance:?}");
    }
}

#[test]
fn hooks_are_answered_cluster_by_cluster_and_an_instance_once() {
    let (scaler, tick) = (&scaler(), &Tick::Scheduled(at(300)));
    let (delivery, now) = ("delivery", at(300));
    let context = TickContext {
        scaler,
        tick,
        delivery,
        now,
        answers_hooks: true,
        function: "scaler",
        checks: false,
        may_overlap: false,
    };
    let mut snapshot = Snapshot::unread(context, Region::from("eu-central-1"));
    assert_eq!(hooks(&snapshot), []);
    let failed = unread("ListContainerInstances");
    for (name, read) in [
        ("jobs", Ok(vec![held(Some(Ok(tasks(0))))])),
        ("arn:jobs", Ok(vec![held(Some(Ok(tasks(0))))])),
        ("lost", Err(failed.clone())),
    ] {
        snapshot.held.insert(name.into(), read);
    }
    let [HookPlan::Answer(answer), HookPlan::Unread { cluster, error }] = &hooks(&snapshot)[..]
    else {
        panic!("{:?}", hooks(&snapshot))
    };
    assert_eq!((&answer.reply, answer.instance.as_str()), (&Reply::LetGo, HERE));
    assert_eq!((cluster.as_str(), error), ("lost", &failed));
    assert_eq!(unread_hooks(&snapshot).len(), 3);
}
