use super::*;
use crate::config::{Config, Worker};
use crate::snapshot::{Capacity, ClusterTasks, ContainerStatus, Ended, EndedContainer, Task};
use crate::units::{RevisionArn, TaskArn, WorkerName};

fn at(seconds: i64) -> Timestamp {
    Timestamp::new(1_800_000_000 + seconds, 0).unwrap()
}

fn container(name: &str, exit: Option<i32>) -> EndedContainer {
    EndedContainer { name: name.to_owned(), exit, reason: None }
}

/// A task that was created, started and stopped at these seconds.
fn ended(created: i64, started: Option<i64>, stopped: i64, exit: Option<i32>) -> Ended {
    Ended {
        arn: TaskArn(format!("{created}-{stopped}")),
        worker: WorkerName::from("thumbnail"),
        created: Some(at(created)),
        started: started.map(at),
        stopped: at(stopped),
        code: "EssentialContainerExited".to_owned(),
        reason: String::new(),
        revision: RevisionArn::from("arn:aws:ecs:r:a:task-definition/thumbnail:1"),
        containers: vec![container("worker", exit), container("watcher", Some(0))],
        tick: None,
        container: None,
        capacity: Capacity::default(),
    }
}

fn crash(created: i64) -> Ended {
    ended(created, Some(created + 20), created + 23, Some(1))
}

/// Its worker was cut short by its watcher's end.
fn unheard(created: i64) -> Ended {
    let containers = vec![container("worker", Some(137)), container("worker-watch", Some(69))];
    Ended { containers, ..ended(created, Some(created + 20), created + 600, Some(137)) }
}

#[test]
fn a_watcher_that_gave_up_is_a_failure_with_its_reason() {
    let open = breaker(&[], &[unheard(0), unheard(60), unheard(120)], 800).unwrap();
    assert!(open.last.contains("its watcher gave up (exit code 69)"), "{open}");
}

fn never_ran(created: i64) -> Ended {
    let code = "TaskFailedToStart".to_owned();
    let reason = "CannotPullContainerError: not found".to_owned();
    Ended { code, reason, ..ended(created, None, created + 30, None) }
}

fn running(created: i64) -> Task {
    Task {
        arn: TaskArn(format!("{created}")),
        worker: WorkerName::from("thumbnail"),
        revision: RevisionArn("arn:aws:ecs:r:a:task-definition/thumbnail:1".to_owned()),
        containers: vec![("worker".to_owned(), ContainerStatus::Running)],
        created: Some(at(created)),
        started: Some(at(created + 20)),
        tick: None,
        container: None,
        instance: None,
        capacity: Capacity::default(),
        function: None,
        provisioning: false,
        shape: None,
    }
}

fn pending(created: i64) -> Task {
    let containers = vec![("worker".to_owned(), ContainerStatus::Starting)];
    Task { started: None, containers, ..running(created) }
}

fn tasks(alive: &[Task], ended: &[Ended]) -> ClusterTasks {
    ClusterTasks { alive: alive.to_vec(), ended: ended.to_vec(), ..ClusterTasks::default() }
}

fn worker() -> Worker {
    let document = serde_json::json!({"cluster": "jobs", "workers": [{"name": "thumbnail",
        "queue": "q", "taskDefinition": "t",
        "scaling": {"messagesPerContainer": 1, "stuckAfter": "10m"}}]});
    Config::from_value(&document).unwrap().workers.remove(0)
}

fn breaker(alive: &[Task], ended: &[Ended], now: i64) -> Option<Tripped> {
    let tasks = tasks(alive, ended);
    tripped(&OwnTasks::of(&worker(), "worker", &tasks, at(now)), at(now))
}

fn is_stuck(task: &Task, now: i64) -> bool {
    let tasks = tasks(std::slice::from_ref(task), &[]);
    !OwnTasks::of(&worker(), "worker", &tasks, at(now)).stuck().is_empty()
}

#[test]
fn three_failures_in_a_row_open_the_breaker_and_two_do_not() {
    assert_eq!(breaker(&[], &[crash(0), crash(60)], 200), None);
    let open = breaker(&[], &[crash(0), never_ran(60), crash(120)], 200).unwrap();
    assert_eq!(open.failures, Tasks(3));
    insta::assert_snapshot!(format!(
        "{open}\n{}",
        breaker(&[], &[crash(0), crash(60), never_ran(120)], 200).unwrap()
    ));
}

#[test]
fn one_that_ran_well_closes_it() {
    let three = [crash(0), crash(60), crash(120)];
    let with = |task| breaker(&[], &[three.as_slice(), &[task]].concat(), 1000);
    assert_eq!(with(ended(180, Some(200), 210, Some(0))), None, "exit code 0");
    assert_eq!(with(ended(180, None, 210, Some(0))), None, "exit code 0, no start known");
    assert_eq!(with(ended(180, Some(200), 320, Some(1))), None, "two minutes of work");
    assert!(with(ended(180, Some(200), 319, Some(1))).is_some());
    assert!(breaker(&[running(880)], &three, 1000).is_some(), "a canary that only began");
    assert_eq!(breaker(&[running(860)], &three, 1000), None, "a canary that runs well");
    assert!(breaker(&[running(60)], &three, 1000).is_some(), "one from before the failures");
}

#[test]
fn what_others_ended_tells_nothing() {
    let by_others = |code: &str| {
        let code = code.to_owned();
        Ended { code, ..ended(180, Some(200), 210, Some(143)) }
    };
    let codes = ["SpotInterruption", "UserInitiated", "ServiceSchedulerInitiated"];
    for code in codes.into_iter().chain(["InfrastructureHealth", "", "ACodeOfNextYear"]) {
        let three = [crash(0), crash(60), by_others(code)];
        assert_eq!(breaker(&[], &three, 300), None);
        let four = [crash(0), crash(60), crash(120), by_others(code)];
        assert_eq!(breaker(&[], &four, 300).map(|open| open.failures), Some(Tasks(3)), "{code}");
    }
}

#[test]
fn tasks_that_never_start_are_failures_when_their_time_is_up() {
    let three = [pending(0), pending(1), pending(2)];
    assert_eq!(breaker(&three, &[], 599), None);
    assert_eq!(breaker(&three, &[], 602).map(|open| open.failures), Some(Tasks(3)));
    let half_started = Task {
        containers: vec![
            ("worker".to_owned(), ContainerStatus::Running),
            ("worker-2".to_owned(), ContainerStatus::Starting),
        ],
        ..pending(0)
    };
    assert!(!is_stuck(&half_started, 9999));
    let unknown = Task { created: None, ..pending(0) };
    assert!(!is_stuck(&unknown, 9999));
    let unseen = Task { containers: Vec::new(), ..pending(0) };
    assert!(!is_stuck(&unseen, 9999), "it may run, for all we know");
}

#[test]
fn a_stuck_task_is_one_failure_of_the_time_when_it_became_one() {
    let three = [pending(0), pending(1), pending(2)];
    let done = |stopped| ended(stopped - 40, Some(stopped - 30), stopped, Some(0));
    assert!(breaker(&three, &[done(590)], 700).is_some(), "before");
    assert_eq!(breaker(&three, &[done(690)], 700), None, "since");
    assert_eq!(breaker(&three, &[], 602 + 3600), None, "of an hour ago");
    let also = breaker(&three[..1], &[crash(600), crash(660)], 700).unwrap();
    assert_eq!((also.failures, also.last.contains("exit code 1")), (Tasks(3), true));
}

#[test]
fn a_worker_that_is_pending_is_stuck_whatever_runs_beside_it() {
    let sidecar = ("sidecar".to_owned(), ContainerStatus::Running);
    let beside = |worker| vec![("worker".to_owned(), worker), sidecar.clone()];
    let with = |worker| Task { containers: beside(worker), ..pending(0) };
    assert!(is_stuck(&with(ContainerStatus::Starting), 601));
    assert!(!is_stuck(&with(ContainerStatus::Starting), 599));
    assert!(!is_stuck(&with(ContainerStatus::Running), 9999));
    assert!(!is_stuck(&with(ContainerStatus::Stopped(Some(0))), 9999), "it has had its run");
}

#[test]
fn under_a_name_that_nobody_knows_a_task_counts_by_its_status() {
    let called = |name: &str, task: Task| Task {
        containers: vec![(name.to_owned(), ContainerStatus::Running)],
        ..task
    };
    let counted = |task: Task| {
        let tasks = tasks(&[task], &[]);
        let alive = OwnTasks::of(&worker(), "worker", &tasks, at(9999)).count();
        (alive.containers.0, alive.running.0, alive.stuck.0)
    };
    assert_eq!(counted(called("app", running(0))), (1, 1, 0));
    assert_eq!(counted(called("app", pending(0))), (1, 0, 1));
    let tagged = Task { container: Some("app".to_owned()), ..called("app", pending(0)) };
    assert_eq!(counted(tagged), (1, 1, 0), "its tag knows it");
}

#[test]
fn what_is_told_is_of_the_workers_container() {
    let said = |name: &str, reason: &str| EndedContainer {
        reason: Some(reason.to_owned()),
        ..container(name, Some(137))
    };
    let with = |containers| Ended { containers, ..crash(0) };
    let last = |containers| {
        let three = [crash(0), crash(0), with(containers)];
        breaker(&[], &three, 100).map(|open| open.last).unwrap_or_default()
    };
    let agent = || said("agent", "CannotPullContainerError: of an agent");
    let killed = said("worker", "OutOfMemoryError: killed");
    assert!(last(vec![agent(), killed]).contains("OutOfMemoryError: killed"));
    assert!(!last(vec![agent(), container("worker", Some(1))]).contains("agent"));
}

#[test]
fn a_shortage_that_is_told_late_is_nobodys_failure() {
    for reason in ["RESOURCE:ENI", "EMPTY CAPACITY PROVIDER", "toomanyrequests: Rate exceeded"] {
        let late = Ended { reason: reason.to_owned(), ..never_ran(120) };
        assert_eq!(breaker(&[], &[crash(0), crash(60), late], 200), None, "{reason}");
    }
    let of_the_worker =
        Ended { reason: "ResourceInitializationError".to_owned(), ..never_ran(120) };
    assert!(breaker(&[], &[crash(0), crash(60), of_the_worker], 200).is_some());
}

#[test]
fn tasks_are_failures_where_half_of_three_or_more_ended_badly_within_the_hour() {
    let worker = worker();
    let of = |ended: Vec<Ended>, now| ends(&worker, &tasks(&[], &ended), at(now));
    let well = |created| ended(created, Some(created + 20), created + 300, Some(0));
    let some = |badly: i64, good: i64| {
        let badly = (0..badly).map(|n| crash(60 * n));
        let all = badly.chain((0..good).map(|n| well(60 * n)));
        all.map(|it| Ended { container: Some("worker".to_owned()), ..it }).collect::<Vec<_>>()
    };
    for (badly, good, are_failures) in
        [(0, 0, false), (2, 0, false), (3, 0, true), (3, 3, true), (3, 4, false), (0, 9, false)]
    {
        let seen = of(some(badly, good), 1000);
        let count = (i64::try_from(seen.badly.len()).unwrap(), i64::from(seen.well.0));
        assert_eq!(count, (badly, good));
        assert_eq!(seen.are_failures(), are_failures, "{badly} badly, {good} well");
        // An hour later nothing of it says anything.
        assert_eq!(of(some(badly, good), 5000), Ends::default());
    }
}
