use proptest::prelude::{Just, Strategy, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use serde_json::{Value, json};

use super::*;
use crate::config::Config;
use crate::snapshot::{
    Capacity, ClusterTasks, ContainerStatus, Ended, EndedContainer, Started, Task,
};
use crate::units::{RevisionArn, WorkerName};

fn worker(queue: &str, scaling: &Value) -> Worker {
    let document = json!({"cluster": "jobs", "workers": [{"name": "thumbnail", "queue": queue,
        "taskDefinition": "t", "scaling": scaling}]});
    Config::from_value(&document).unwrap().workers.remove(0)
}

fn one_each() -> Worker {
    worker("q", &json!({"messagesPerContainer": 1}))
}

fn at(minute: u32) -> Timestamp {
    Timestamp::new(1_800_000_000 + i64::from(minute) * 60, 0).unwrap()
}

fn depth(visible: u64, in_flight: u64) -> Depth {
    Depth { visible: Messages(visible), in_flight: Messages(in_flight), delayed: Messages(0) }
}

fn arn(number: u32) -> TaskArn {
    TaskArn(format!("task {number}"))
}

const REVISION: &str = "arn:aws:ecs:r:a:task-definition/t:1";

/// A task that was started in a minute, and runs from half a minute later.
fn running(number: u32, minute: u32) -> Task {
    Task {
        arn: arn(number),
        worker: WorkerName::from("thumbnail"),
        revision: RevisionArn::from(REVISION),
        containers: vec![("w".to_owned(), ContainerStatus::Running)],
        created: Some(at(minute)),
        started: Some(at(minute) + Duration::from_secs(30)),
        tick: None,
        container: None,
        instance: None,
        capacity: Capacity::default(),
        function: None,
        provisioning: false,
        shape: None,
    }
}

fn ended(task: &Task, minute: u32, exit: i32) -> Ended {
    Ended {
        arn: task.arn.clone(),
        worker: task.worker.clone(),
        revision: task.revision.clone(),
        created: task.created,
        started: task.started,
        stopped: at(minute) - Duration::from_secs(1),
        code: "EssentialContainerExited".to_owned(),
        reason: String::new(),
        containers: vec![EndedContainer { name: "w".to_owned(), exit: Some(exit), reason: None }],
        tick: None,
        container: None,
        capacity: Capacity::default(),
    }
}

/// What is known after a look, and how many of these containers may be started.
fn look(
    (worker, before): (&Worker, Option<&Progress>),
    (minute, depth): (u32, Depth),
    (alive, ended): (&[Task], &[Ended]),
    owed: u32,
) -> (Progress, Containers) {
    let (alive, ended) = (alive.to_vec(), ended.to_vec());
    let tasks = ClusterTasks { alive, ended, ..ClusterTasks::default() };
    look_at((worker, before), (minute, depth), &tasks, owed)
}

fn look_at(
    (worker, before): (&Worker, Option<&Progress>),
    (minute, depth): (u32, Depth),
    tasks: &ClusterTasks,
    owed: u32,
) -> (Progress, Containers) {
    let base = RevisionArn::from(REVISION);
    look_of((&base, worker, before), (minute, depth), tasks, owed)
}

/// The same, with another base revision.
fn look_of(
    (base, worker, before): (&RevisionArn, &Worker, Option<&Progress>),
    (minute, depth): (u32, Depth),
    tasks: &ClusterTasks,
    owed: u32,
) -> (Progress, Containers) {
    let own = &OwnTasks::of(worker, "w", tasks, at(minute));
    let per_task = Containers(1);
    let need = demand::need(worker, &depth, &own.count(), per_task);
    let look = Look { worker, now: at(minute), depth, need, per_task, own, base, breaker: None };
    let progress = look.after(before);
    let (allowed, _) = brake(&progress, &look).allows(Containers(owed));
    (progress, allowed)
}

fn launch(progress: &mut Progress, (minute, tasks): (u32, &[Task])) {
    let containers = Containers::counted(tasks.len());
    let tasks = tasks.iter().map(|task| task.arn.clone()).collect();
    let started = Started { tasks, containers, for_minimum: Containers::ZERO };
    progress.started(at(minute), started);
}

/// Five containers for five messages, twice, of which each ended with this exit code and moved nothing.
fn without_success(exit: i32) -> (Worker, Progress) {
    let worker = one_each();
    let mut before: Option<Progress> = None;
    let mut gone = Vec::new();
    for round in 0..2_u32 {
        let of_round = |i: u32| running(round * 10 + i, round);
        let (mut progress, allowed) =
            look((&worker, before.as_ref()), (round, depth(5, 0)), (&[], &gone), 5);
        assert_eq!(allowed, Containers(5), "round {round}");
        let tasks: Vec<_> = (0..5).map(of_round).collect();
        launch(&mut progress, (round, &tasks));
        gone.extend(tasks.iter().map(|task| ended(task, round + 1, exit)));
        before = Some(progress);
    }
    let (progress, allowed) = look((&worker, before.as_ref()), (2, depth(5, 0)), (&[], &gone), 5);
    assert_eq!(allowed, Containers(1), "one is tried");
    (worker, progress)
}

#[test]
fn what_moves_nothing_uses_up_its_credit() {
    let _ = without_success(0);
    let _ = without_success(1);
}

/// A worker that was mended does not wait for the pause of the one before it.
#[test]
fn a_new_base_revision_is_tried_at_once_and_once() {
    let (worker, mut progress) = without_success(0);
    let one = running(90, 2);
    launch(&mut progress, (2, std::slice::from_ref(&one)));
    (progress.pause, progress.resumes) = (LONGEST_PAUSE, at(2).checked_add(LONGEST_PAUSE).ok());
    let gone = [ended(&one, 3, 0)];
    let tasks = ClusterTasks { ended: gone.to_vec(), ..ClusterTasks::default() };
    let queue = (4, depth(5, 0));
    let of = |revision: &str, tasks: &ClusterTasks, before: &Progress, queue| {
        let base = RevisionArn(REVISION.replace(":1", revision));
        look_of((&base, &worker, Some(before)), queue, tasks, 5)
    };
    assert_eq!(of(":1", &tasks, &progress, queue).1, Containers::ZERO, "the pause runs");
    let (mut next, allowed) = of(":2", &tasks, &progress, queue);
    assert_eq!(allowed, Containers(1));
    let two = running(91, 4);
    launch(&mut next, (4, std::slice::from_ref(&two)));
    let alive = ClusterTasks { alive: vec![two.clone()], ..ClusterTasks::default() };
    let (next, allowed) = of(":2", &alive, &next, (5, depth(5, 0)));
    assert_eq!(allowed, Containers::ZERO, "it has yet to show what it does");
    let gone = ClusterTasks { ended: vec![ended(&two, 5, 0)], ..ClusterTasks::default() };
    let (next, _) = of(":2", &gone, &next, (5, depth(5, 0)));
    assert!(next.resumes.is_some(), "a pause of its own");
}

#[test]
fn a_cold_start_and_an_empty_queue_have_full_credit() {
    let (worker, spent) = without_success(0);
    let cold = look((&worker, None), (3, depth(5, 0)), (&[], &[]), 5);
    assert_eq!(cold.1, Containers(5));
    let emptied = spent.glanced(at(3), depth(0, 0));
    let after = look((&worker, Some(&emptied)), (4, depth(5, 0)), (&[], &[]), 5);
    assert_eq!(after.1, Containers(5));
}

#[test]
fn messages_that_went_pay_for_twice_as_many() {
    let (worker, spent) = without_success(0);
    let (_, allowed) = look((&worker, Some(&spent)), (3, depth(2, 0)), (&[], &[]), 9);
    assert_eq!(allowed, Containers(4), "the most there is for two");
    let stays = [running(90, 0)];
    let (before, _) = look((&worker, Some(&spent)), (3, depth(5, 0)), (&stays, &[]), 0);
    let (_, allowed) = look((&worker, Some(&before)), (4, depth(4, 0)), (&stays, &[]), 9);
    assert_eq!(allowed, Containers::ZERO, "whoever stays has taken it, and is to be judged");
}

#[test]
fn a_success_that_a_message_in_flight_vouches_for_pays_for_two() {
    for (in_flight, exit, expected) in [(1, 0, 2), (0, 0, 1), (1, 1, 1)] {
        let (worker, mut progress) = without_success(0);
        progress.held = vec![Containers(1)]; // no growth
        let task = running(50, 2);
        launch(&mut progress, (2, std::slice::from_ref(&task)));
        let queue = (3, depth(5 - in_flight, in_flight));
        let alive = std::slice::from_ref(&task);
        let (progress, _) = look((&worker, Some(&progress)), queue, (alive, &[]), 0);
        let gone = [ended(&task, 4, exit)];
        let (_, allowed) = look((&worker, Some(&progress)), (4, depth(5, 0)), (&[], &gone), 9);
        assert_eq!(allowed, Containers(expected), "{in_flight} in flight, exit code {exit}");
    }
}

/// A container may be meant for twenty messages and take one.
#[test]
fn a_policy_of_less_than_a_container_a_message_does_not_make_success_worth_less() {
    let worker = worker("q", &json!({"messagesPerContainer": 20}));
    let (mut progress, _) = look((&worker, None), (0, depth(100, 0)), (&[], &[]), 5);
    let mut gone = Vec::new();
    for round in 0..8_u32 {
        let left = 100 - 5 * u64::from(round);
        let queue = (round, depth(left, 0));
        let (mut next, allowed) = look((&worker, Some(&progress)), queue, (&[], &gone), 5);
        assert_eq!(allowed, Containers(5), "round {round}");
        let tasks: Vec<_> = (0..5).map(|i| running(round * 10 + i, round)).collect();
        launch(&mut next, (round, &tasks));
        gone = tasks.iter().map(|task| ended(task, round + 1, 0)).collect();
        progress = next;
    }
}

#[test]
fn a_message_of_a_container_that_others_ended_has_not_failed() {
    for (code, expected) in [("SpotInterruption", 1), ("EssentialContainerExited", 0)] {
        let (worker, mut progress) = without_success(0);
        let task = running(50, 2);
        launch(&mut progress, (2, std::slice::from_ref(&task)));
        progress.resumes = Some(at(99));
        let gone = [Ended { code: code.to_owned(), ..ended(&task, 3, 137) }];
        let (_, allowed) = look((&worker, Some(&progress)), (3, depth(4, 1)), (&[], &gone), 9);
        assert_eq!(allowed, Containers(expected), "{code}");
    }
}

#[test]
fn what_others_ended_is_given_back() {
    let (worker, mut progress) = without_success(0);
    let tasks: Vec<_> = (50..53).map(|number| running(number, 2)).collect();
    launch(&mut progress, (2, &tasks));
    let taken = |task: &Task| Ended { code: "SpotInterruption".to_owned(), ..ended(task, 3, 143) };
    let gone: Vec<_> = tasks.iter().map(taken).collect();
    let (_, allowed) = look((&worker, Some(&progress)), (3, depth(5, 0)), (&[], &gone), 9);
    assert_eq!(allowed, Containers(3));
}

/// The pause doubles while what is in flight is nobody's.
#[test]
fn a_pause_gets_longer_while_messages_fail_and_short_again_when_one_succeeds() {
    let (worker, mut progress) = without_success(1);
    let mut minute = 2;
    let mut pauses = Vec::new();
    for number in 60..68 {
        let task = running(number, minute);
        launch(&mut progress, (minute, std::slice::from_ref(&task)));
        let gone = [ended(&task, minute + 1, 1)];
        minute += 1;
        progress = look((&worker, Some(&progress)), (minute, depth(2, 3)), (&[], &gone), 5).0;
        pauses.push(progress.pause.as_secs() / 60);
        minute += 70;
        let (next, allowed) =
            look((&worker, Some(&progress)), (minute, depth(2, 3)), (&[], &[]), 5);
        assert_eq!(allowed, Containers(1), "no state is final");
        progress = next;
    }
    assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 64, 64]);
    let (progress, _) = look((&worker, Some(&progress)), (minute, depth(1, 3)), (&[], &[]), 5);
    assert_eq!(progress.pause, SHORTEST_PAUSE);
}

#[test]
fn canaries_that_ran_allow_twice_as_many() {
    let (worker, mut progress) = without_success(1);
    progress.canaries = Containers(3);
    let (progress, allowed) = look((&worker, Some(&progress)), (3, depth(50, 0)), (&[], &[]), 50);
    assert!(Containers(6) <= allowed && progress.canaries == Containers::ZERO);
}

/// Nobody asks ECS while nothing can be received; what it tells afterwards is as good.
#[test]
fn a_look_at_the_queue_alone_is_made_up_for_by_the_next_look_at_the_tasks() {
    let worker = one_each();
    let tasks: Vec<_> = (0..5).map(|number| running(number, 0)).collect();
    let gone: Vec<_> = tasks.iter().map(|task| ended(task, 2, 0)).collect();
    let (mut began, _) = look((&worker, None), (0, depth(5, 0)), (&[], &[]), 5);
    launch(&mut began, (0, &tasks));
    let (looked, _) = look((&worker, Some(&began)), (1, depth(0, 5)), (&tasks, &[]), 0);
    let (looked, _) = look((&worker, Some(&looked)), (2, depth(5, 0)), (&[], &gone), 5);
    let glanced = began.glanced(at(1), depth(0, 5));
    let (glanced, _) = look((&worker, Some(&glanced)), (2, depth(5, 0)), (&[], &gone), 5);
    assert_eq!(glanced.credit, looked.credit);
    assert_eq!(glanced.credit, Some(Credit::of(Containers(10))), "all is as it was");
}

/// Five that were seen at work, of which the next look sees the end, or that they are on their way to it.
#[test]
fn who_is_on_the_way_out_is_vouched_for_when_the_end_is_known() {
    let worker = one_each();
    let tasks: Vec<_> = (0..5).map(|number| running(number, 0)).collect();
    let gone: Vec<_> = tasks.iter().map(|task| ended(task, 2, 0)).collect();
    let (mut began, _) = look((&worker, None), (0, depth(5, 0)), (&[], &[]), 5);
    launch(&mut began, (0, &tasks));
    let (mut works, _) = look((&worker, Some(&began)), (1, depth(5, 5)), (&tasks, &[]), 0);
    // As many came as went: only who ended well tells that something moved.
    works.credit = Some(Credit::of(Containers::ZERO));
    let leaving = ClusterTasks { leaving: tasks.clone(), ..ClusterTasks::default() };
    let (leaves, _) = look_at((&worker, Some(&works)), (2, depth(10, 0)), &leaving, 5);
    let (knows, _) = look((&worker, Some(&leaves)), (3, depth(10, 0)), (&[], &gone), 5);
    assert_eq!(knows.tasks.len(), 0, "nobody is left");
    let (at_once, _) = look((&worker, Some(&works)), (3, depth(10, 0)), (&[], &gone), 5);
    assert_eq!(knows.credit, at_once.credit);
    assert!(Credit::of(Containers::ZERO) < at_once.credit.unwrap());
    // Of the time before somebody looked, they were there.
    let glanced = began.glanced(at(1), depth(0, 5));
    let (glanced, _) = look_at((&worker, Some(&glanced)), (2, depth(5, 0)), &leaving, 5);
    assert!(glanced.tasks.values().all(|seen| seen.vouched == Containers(1)));
}

/// One is done, and its task goes on for a moment, or for as long as others work in it.
#[test]
fn who_has_ended_in_a_task_that_goes_on_was_there_until_somebody_looked() {
    let worker = one_each();
    let task = running(0, 0);
    let with = |exit| {
        let containers = vec![("w".to_owned(), ContainerStatus::Stopped(exit))];
        Task { containers, ..task.clone() }
    };
    let (mut began, _) = look((&worker, None), (0, depth(1, 0)), (&[], &[]), 1);
    launch(&mut began, (0, std::slice::from_ref(&task)));
    began.credit = Some(Credit::of(Containers::ZERO));
    // It had the message while nobody asked ECS, and has sent the next one.
    let glanced = began.glanced(at(1), depth(0, 1));
    let seen = |exit| look((&worker, Some(&glanced)), (2, depth(1, 0)), (&[with(exit)], &[]), 1);
    let (done, allowed) = seen(Some(0));
    assert_eq!((done.pause, allowed), (SHORTEST_PAUSE, Containers(1)));
    assert_eq!(done.locked, Containers::ZERO);
    // It pays once: its end is no news.
    let (known, _) =
        look((&worker, Some(&done)), (3, depth(1, 0)), (&[], &[ended(&task, 3, 0)]), 1);
    assert_eq!(known.credit, done.credit);
    // Who crashed may have left its message behind.
    let (crashed, _) = seen(Some(1));
    assert_eq!((crashed.credit, crashed.pause), (Some(Credit::default()), 2 * SHORTEST_PAUSE));
}

/// Of three in a task, the first was paid for before nobody looked.
#[test]
fn what_was_paid_for_before_a_look_at_the_queue_alone_is_not_paid_for_again() {
    let worker = one_each();
    let names = ["w", "w-2", "w-3"];
    let revision = RevisionArn::from("arn:aws:ecs:r:a:task-definition/t--x3:1");
    let of = |done: usize| {
        let status = |place| {
            let is_done = place < done;
            if is_done { ContainerStatus::Stopped(Some(0)) } else { ContainerStatus::Running }
        };
        let all = names.iter().enumerate();
        let containers = all.map(|(place, name)| ((*name).to_owned(), status(place))).collect();
        Task { containers, revision: revision.clone(), ..running(0, 0) }
    };
    let (mut began, _) = look((&worker, None), (0, depth(3, 0)), (&[], &[]), 3);
    launch(&mut began, (0, &[of(0)]));
    let (works, _) = look((&worker, Some(&began)), (1, depth(1, 3)), (&[of(0)], &[]), 0);
    let (first, _) = look((&worker, Some(&works)), (2, depth(1, 2)), (&[of(1)], &[]), 0);
    let of_task = |progress: &Progress| *progress.tasks.values().next().unwrap();
    assert_eq!(of_task(&first).done, Containers(1));
    let end =
        |name: &&str| EndedContainer { name: (*name).to_owned(), exit: Some(0), reason: None };
    let ended = Ended {
        revision: revision.clone(),
        containers: names.iter().map(end).collect(),
        ..ended(&of(3), 5, 0)
    };
    let leaving = ClusterTasks { leaving: vec![of(3)], ..ClusterTasks::default() };
    let ended = ClusterTasks { ended: vec![ended], ..ClusterTasks::default() };
    let alive = ClusterTasks { alive: vec![of(1)], ..ClusterTasks::default() };
    let glanced = first.glanced(at(3), depth(0, 2));
    for tasks in [&leaving, &alive] {
        let (after, _) = look_at((&worker, Some(&glanced)), (4, depth(1, 2)), tasks, 0);
        assert_eq!(of_task(&after).done, Containers(1));
    }
    let own = OwnTasks::of(&worker, "w", &ended, at(5));
    let then = own.as_of(at(3), &first.tasks);
    let then: Vec<_> = then.alive.iter().map(|own| (own.running, own.stopped, own.done)).collect();
    assert_eq!(then, [(Containers(2), Containers(1), Containers(1))]);
}

/// A container runs some seconds before its task does.
#[test]
fn a_message_that_is_taken_before_the_task_runs_is_its_own() {
    let worker = one_each();
    let tasks: Vec<_> = (0..5).map(|number| running(number, 0)).collect();
    let late = |task: &Task| Task { started: Some(at(1) + Duration::from_secs(5)), ..task.clone() };
    let tasks: Vec<_> = tasks.iter().map(late).collect();
    let (mut began, _) = look((&worker, None), (0, depth(5, 0)), (&[], &[]), 5);
    launch(&mut began, (0, &tasks));
    let glanced = began.glanced(at(1), depth(0, 5));
    let gone: Vec<_> = tasks.iter().map(|task| ended(task, 2, 0)).collect();
    let (after, _) = look((&worker, Some(&glanced)), (2, depth(5, 0)), (&[], &gone), 5);
    assert_eq!((after.credit, after.pause), (Some(Credit::of(Containers(10))), SHORTEST_PAUSE));
}

fn any_depth() -> impl Strategy<Value = Depth> {
    (0_u64..40, 0_u64..20).prop_map(|(visible, in_flight)| depth(visible, in_flight))
}

proptest! {
    #[test]
    fn no_more_than_is_owed_is_allowed_and_no_state_is_final(
        depths in prop::collection::vec(any_depth(), 1..30),
        queue in prop_oneof![Just("q"), Just("q.fifo")],
        exit in 0..2,
        owed in 1_u32..50,
    ) {
        let worker = worker(queue, &json!({"messagesPerContainer": 1}));
        let mut progress: Option<Progress> = None;
        let mut gone: Vec<Ended> = Vec::new();
        let mut number = 0;
        for (minute, depth) in (0_u32..).zip(&depths) {
            let (mut next, allowed) =
                look((&worker, progress.as_ref()), (minute, *depth), (&[], &gone), owed);
            prop_assert!(allowed <= Containers(owed));
            let tasks: Vec<_> = (0..allowed.0).map(|i| running(number + i, minute)).collect();
            number += allowed.0;
            launch(&mut next, (minute, &tasks));
            gone = tasks.iter().map(|task| ended(task, minute + 1, exit)).collect();
            progress = Some(next);
        }
        let later = 31 + 64;
        let (_, allowed) =
            look((&worker, progress.as_ref()), (later, depth(9, 3)), (&[], &gone), owed);
        prop_assert!(Containers(1) <= allowed);
    }

    #[test]
    fn new_messages_pay_for_themselves(old in 1_u64..50, new in 1_u64..500) {
        let (worker, mut spent) = without_success(0);
        spent.totals = vec![Messages(old)];
        let queue = (3, depth(old + new, 0));
        let most = u32::try_from(old + new).unwrap();
        let (_, allowed) = look((&worker, Some(&spent)), queue, (&[], &[]), most);
        prop_assert!(u64::from(allowed.0) >= (4 * new).min(old + new));
    }

    #[test]
    fn waiting_costs_nothing(minutes in 1_u32..600) {
        let worker = one_each();
        let (first, _) = look((&worker, None), (0, depth(7, 0)), (&[], &[]), 7);
        let (later, allowed) =
            look((&worker, Some(&first)), (minutes, depth(7, 0)), (&[], &[]), 7);
        prop_assert_eq!((later.credit, allowed), (first.credit, Containers(7)));
    }
}
