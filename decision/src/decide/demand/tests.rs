use proptest::prelude::{
    Just, Strategy as _, prop, prop_assert, prop_compose, prop_oneof, proptest,
};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::config::{
    Breaker, Completion, Floor, Launch, Minimum, OnDrain, Packing, ProgressBrake, QueueRef,
    Watcher, Window,
};
use crate::fargate::TaskSize;
use crate::units::{ClusterName, CpuUnits, MebiBytes, TaskDefinitionRef, WorkerName};

fn worker(policy: Policy) -> Worker {
    Worker {
        name: WorkerName::from("thumbnail"),
        queue: QueueRef::Name("thumbnail".to_owned()),
        cluster: ClusterName::from("jobs"),
        task_definition: TaskDefinitionRef::from("thumbnail"),
        container: None,
        scaling: Scaling {
            policy,
            min_containers: Minimum::default(),
            max_containers: Containers(1000),
            max_is_written: true,
            max_launch_per_tick: None,
            in_flight_per_container: Messages(1),
            delayed: Delayed::Ignored,
            stuck_after: Duration::from_mins(15),
            idle_after: Some(Duration::from_mins(5)),
            wait_within: None,
            breaker: Breaker::On,
            progress_brake: ProgressBrake::On,
        },
        packing: Packing {
            strategy: Strategy::Spread,
            max_containers_per_task: None,
            registered_sizes: None,
            max_tasks: Some(Tasks(10)),
            max_task_cpu: CpuUnits(32_768),
            completion: Completion::All,
            watcher: Watcher::Image("busybox".to_owned()),
            reserve: TaskSize { cpu: CpuUnits(0), memory: MebiBytes(0) },
            drop_port_mappings: false,
        },
        launch: Launch::default(),
        on_drain: OnDrain::default(),
        paused: None,
        previous_names: Vec::new(),
    }
}

fn per_container(messages: u64) -> Worker {
    worker(Policy::MessagesPerContainer(Messages(messages)))
}

/// With the minimum of a worker that has no windows.
fn decide(worker: &Worker, depth: Depth, alive: Alive, per_task: Containers) -> Decision {
    let minimum = worker.scaling.min_containers.at(Timestamp::UNIX_EPOCH);
    decide_with(worker, minimum, (depth, alive), per_task)
}

fn decide_with(
    worker: &Worker,
    minimum: Floor,
    (depth, alive): (Depth, Alive),
    most: Containers,
) -> Decision {
    let Depth { visible, in_flight, delayed } = depth;
    let facts = Facts { visible, in_flight, delayed, alive, minimum, most, ..Facts::default() };
    super::decide(&worker.scaling, &worker.packing, &facts)
}

fn depth(visible: u64, in_flight: u64) -> Depth {
    Depth { visible: Messages(visible), in_flight: Messages(in_flight), delayed: Messages(0) }
}

fn alive(running: u32, starting: u32) -> Alive {
    let containers = Containers(running + starting);
    let running = Containers(running);
    Alive { tasks: Tasks(containers.0), containers, running, ..Alive::default() }
}

/// The situations in which other scalers start too much or too little.
#[test]
fn the_demand_table_holds() {
    let minimum_of_two = |mut worker: Worker| {
        worker.scaling.min_containers = Containers(2).into();
        worker
    };
    let one = || per_container(1);
    #[rustfmt::skip]
    let table = [
        // situation                              worker              V    F   R  starting launch
        ("cold, one message",                     one(),              1,   0,  0,   0,   1),
        ("its container is starting",             one(),              1,   0,  0,   1,   0),
        ("running, has not received yet",         one(),              1,   0,  1,   0,   0),
        ("being processed",                       one(),              0,   1,  1,   0,   0),
        ("one more arrives",                      one(),              1,   1,  1,   0,   1),
        ("3 long jobs, 3 new messages",           one(),              3,   3,  3,   0,   3),
        ("100 new, 50 busy",                      one(),            100,  50, 50,   0, 100),
        ("next tick, those 100 are starting",     one(),            100,  50, 50, 100,   0),
        ("two warm idle, one message",            minimum_of_two(one()), 1, 0, 2,   0,   0),
        ("all busy, none waiting",                one(),              0,   9,  9,   0,   0),
        ("workers crashed, messages locked",      one(),              0,   5,  0,   0,   0),
        ("30 messages, 10 a container",           per_container(10), 30,   0,  0,   0,   3),
        ("the minimum, with nothing waiting",     minimum_of_two(one()), 0, 0, 0,   0,   2),
    ];
    for (situation, worker, visible, in_flight, running, starting, launch) in table {
        let (depth, alive) = (depth(visible, in_flight), alive(running, starting));
        let decision = decide(&worker, depth, alive, Containers(9));
        assert_eq!(decision.launch, Containers(launch), "{situation}: {decision}");
    }
}

#[test]
fn a_container_is_never_started_for_a_message_that_another_holds() {
    let mut worker = per_container(1);
    worker.scaling.in_flight_per_container = Messages(10);
    // One container holds all ten; the eleventh message asks for one more, not for ten.
    let decision = decide(&worker, depth(1, 10), alive(1, 0), Containers(9));
    assert_eq!(decision.launch, Containers(1), "{decision}");
}

#[test]
fn what_is_starting_will_take_its_messages() {
    let mut worker = per_container(1);
    worker.scaling.in_flight_per_container = Messages(10);
    let decision = decide(&worker, depth(5, 10), alive(1, 5), Containers(9));
    assert_eq!(decision.launch, Containers(0), "{decision}");
}

#[test]
fn a_bound_that_changes_nothing_is_not_told() {
    let mut exact = per_container(1);
    exact.scaling.min_containers = Containers(5).into();
    exact.scaling.max_containers = Containers(5);
    exact.scaling.max_launch_per_tick = Some(Containers(5));
    let steps = worker(Policy::StepsOfTasks(vec![(Messages(1), Tasks(10))]));
    for (worker, messages) in [(exact, 5), (steps, 10)] {
        let decision = decide(&worker, depth(messages, 0), alive(0, 0), Containers(9));
        assert_eq!(decision.launch, Containers(u32::try_from(messages).unwrap()));
        assert_eq!(decision.bounds, [], "{decision}");
    }
}

#[test]
fn steps_ask_for_what_the_reached_one_says() {
    let steps = vec![(Messages(1), Containers(1)), (Messages(10), Containers(5))];
    let worker = worker(Policy::StepsOfContainers(steps));
    for (visible, launch) in [(0, 0), (1, 1), (9, 1), (10, 5), (1_000_000, 5)] {
        let decision = decide(&worker, depth(visible, 0), alive(0, 0), Containers(9));
        assert_eq!(decision.launch, Containers(launch), "{decision}");
    }
}

#[test]
fn steps_of_tasks_deduct_what_is_alive_in_tasks() {
    let mut worker = worker(Policy::StepsOfTasks(vec![(Messages(10), Tasks(10))]));
    worker.packing.strategy = Strategy::Dense;
    let (tasks, containers) = (Tasks(3), Containers(12));
    let three_tasks_of_four = Alive { tasks, containers, running: containers, ..Alive::default() };
    let decision = decide(&worker, depth(100, 0), three_tasks_of_four, Containers(4));
    assert_eq!((decision.launch_tasks, decision.launch), (Some(Tasks(7)), Containers(28)));
    // With few messages each task still gets its share, and no container is surplus.
    let decision = decide(&worker, depth(12, 0), alive(0, 0), Containers(4));
    assert_eq!((decision.launch_tasks, decision.launch), (Some(Tasks(10)), Containers(12)));
}

#[test]
fn the_sum_can_be_read_and_checked() {
    let drain = worker(Policy::EmptyWithin {
        target: Duration::from_mins(10),
        per_message: Duration::from_secs(30),
    });
    let mut bounded = per_container(1);
    bounded.scaling.max_containers = Containers(60);
    bounded.scaling.max_launch_per_tick = Some(Containers(40));
    bounded.scaling.delayed = Delayed::Counted;
    let delayed = Depth { delayed: Messages(7), ..depth(90, 9) };
    let tasks = worker(Policy::StepsOfTasks(vec![(Messages(1), Tasks(2))]));
    let many = worker(Policy::StepsOfTasks(vec![(Messages(1), Tasks(40))]));
    let mut greedy = per_container(1);
    greedy.scaling.in_flight_per_container = Messages(10);
    let mut warm = per_container(5);
    warm.scaling.min_containers = Containers(2).into();
    let mut office = per_container(5);
    office.scaling.min_containers = Minimum {
        always: Containers(1),
        windows: vec![Window {
            begins: "0 8 * * 1-5".parse().unwrap(),
            zone: TimeZone::get("Europe/Berlin").unwrap(),
            lasts: SignedDuration::from_hours(10),
            containers: Containers(4),
        }],
        ..Minimum::default()
    };
    let in_the_office = office.scaling.min_containers.at("2026-11-20T09:00:00Z".parse().unwrap());
    let cases = [
        decide(&per_container(20), depth(57, 3), alive(1, 0), Containers(9)),
        decide(&drain, depth(100, 0), alive(2, 1), Containers(9)),
        decide(&bounded, delayed, alive(4, 5), Containers(9)),
        decide(&tasks, depth(5, 0), alive(1, 0), Containers(9)),
        decide(&many, depth(50, 0), alive(1, 0), Containers(9)),
        decide(&greedy, depth(5, 20), alive(2, 3), Containers(9)),
        decide(&warm, depth(0, 0), alive(0, 0), Containers(9)),
        decide_with(&office, in_the_office, (depth(2, 0), alive(1, 0)), Containers(9)),
        decide(&office, depth(0, 0), alive(0, 0), Containers(9)),
    ];
    let sums: Vec<_> = cases.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(sums.join("\n"));
}

prop_compose! {
    fn any_worker()(
        policy in prop_oneof![
            (1_u64..100).prop_map(|n| Policy::MessagesPerContainer(Messages(n))),
            (1_u32..50, 1_u64..50).prop_map(|(n, depth)| {
                Policy::StepsOfContainers(vec![(Messages(depth), Containers(n))])
            }),
            (1_u32..50, 1_u64..50).prop_map(|(n, depth)| {
                Policy::StepsOfTasks(vec![(Messages(depth), Tasks(n))])
            }),
        ],
        max in 1_u32..200,
        min in 0_u32..200,
        per_tick in prop::option::of(1_u32..100),
        holds in 1_u64..20,
        strategy in prop_oneof![Just(Strategy::Spread), Just(Strategy::Dense)],
    ) -> Worker {
        let mut worker = worker(policy);
        worker.scaling.max_containers = Containers(max);
        worker.scaling.min_containers = Containers(min.min(max)).into();
        worker.scaling.max_launch_per_tick = per_tick.map(Containers);
        worker.scaling.in_flight_per_container = Messages(holds);
        worker.packing.strategy = strategy;
        worker
    }
}

proptest! {
    #[test]
    fn no_cap_is_ever_exceeded(
        worker in any_worker(), visible in 0_u64..500, in_flight in 0_u64..500,
        running in 0_u32..200, starting in 0_u32..200, per_task in 1_u32..10,
    ) {
        let alive = alive(running, starting);
        let decision = decide(&worker, depth(visible, in_flight), alive, Containers(per_task));
        let scaling = &worker.scaling;
        let after = alive.containers.plus(decision.launch);
        prop_assert!(
            decision.launch == Containers(0) || after <= scaling.max_containers, "{decision}");
        prop_assert!(
            scaling.max_launch_per_tick.is_none_or(|most| decision.launch <= most), "{decision}");
        let floor = scaling.min_containers.always.minus(alive.containers);
        prop_assert!(decision.launch <= Messages(visible).as_containers().max(floor), "{decision}");
    }

    #[test]
    fn what_is_owed_is_launched_or_the_bound_is_told(
        worker in any_worker(), visible in 0_u64..500, in_flight in 0_u64..500,
        running in 0_u32..200, starting in 0_u32..200, per_task in 1_u32..10,
    ) {
        let alive = alive(running, starting);
        let decision = decide(&worker, depth(visible, in_flight), alive, Containers(per_task));
        let owed = match decision.target {
            Target::Containers(target) => target.minus(alive.containers),
            Target::Tasks(target) => Containers(target.minus(alive.tasks).0),
        };

        prop_assert!(owed <= decision.launch || !decision.bounds.is_empty(), "{decision}");
        prop_assert!(
            decision.launch_tasks.is_none_or(|tasks| tasks.0 <= decision.launch.0), "{decision}");
    }

    #[test]
    fn more_messages_never_start_fewer_containers(
        worker in any_worker(), visible in 0_u64..500, more in 0_u64..500,
        running in 0_u32..200, per_task in 1_u32..10,
    ) {
        let launch = |visible| {
            decide(&worker, depth(visible, 0), alive(running, 0), Containers(per_task)).launch
        };
        prop_assert!(launch(visible) <= launch(visible + more));
    }
}

/// A stuck task answers nothing, and still counts under the cap.
#[test]
fn what_is_stuck_is_replaced_as_far_as_the_cap_allows() {
    let stuck = |n| Alive { stuck: Containers(n), stuck_tasks: Tasks(n), ..alive(0, 3) };
    let mut worker = per_container(1);
    let launch = |worker: &Worker, alive| decide(worker, depth(3, 0), alive, Containers(1)).launch;
    assert_eq!(launch(&worker, stuck(0)), Containers(0));
    assert_eq!(launch(&worker, stuck(2)), Containers(2));
    worker.scaling.max_containers = Containers(4);
    assert_eq!(launch(&worker, stuck(2)), Containers(1));
    let reported = decide(&worker, depth(3, 0), stuck(2), Containers(1)).to_string();
    insta::assert_snapshot!(reported);
}
