use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

use super::*;
use crate::config::{Floor, Policy};
use crate::plan::Group;
use crate::plan::{
    Alive, Call, Decision, LaunchPlan, Marks, NetworkMode, Revision, RunsOn, Target, Way,
};
use crate::units::{ClusterName, Containers, Messages, RevisionArn, ScalerName};

/// A worker that is owed so many tasks for so many messages.
fn owed(name: usize, tasks: u32, messages: u64) -> WorkerPlan {
    let messages = Messages(messages);
    let decision = Decision {
        visible: messages,
        in_flight: Messages(0),
        held: Messages(0),
        delayed: Messages(0),
        policy: Policy::MessagesPerContainer(Messages(1)),
        target: Target::Containers(Containers(tasks)),
        each: Containers(1),
        minimum: Floor::default(),
        alive: Alive::default(),
        bounds: Vec::new(),
        launch: Containers(tasks),
        launch_tasks: None,
    };
    let group = Group {
        revision: Revision::Registered(RevisionArn::from("a:1")),
        containers_per_task: Containers(1),
        needs: None,
        overrides: None,
        calls: vec![Call { number: 0, tasks: Tasks(tasks), way: Way::Run(Vec::new()) }],
    };
    let marks =
        Marks { scaler: ScalerName::parse("s").unwrap(), group: String::new(), tags: Vec::new() };
    let launch = LaunchPlan {
        decision,
        cluster: ClusterName::from("jobs"),
        launch: crate::config::Launch::default(),
        network_mode: NetworkMode::Other,
        runs_on: RunsOn::Anything,
        left_out: Vec::new(),
        marks,
        groups: vec![group],
        placement: None,
        deferred: None,
        price: None,
        several: None,
        smaller: None,
        cautions: Vec::new(),
        public_pulls: Tasks::ZERO,
        known: std::collections::BTreeSet::new(),
    };
    WorkerPlan {
        action: Action::Launch(Box::new(launch)),
        ..WorkerPlan::new(&WorkerName(name.to_string()))
    }
}

fn waited(name: usize, ticks: u32) -> (WorkerName, WorkerMemory) {
    (WorkerName(name.to_string()), WorkerMemory { waited: ticks, ..WorkerMemory::default() })
}

#[test]
fn who_waited_longest_comes_first_then_who_has_most_to_do() {
    let idle = WorkerPlan::new(&WorkerName::from("4"));
    let workers = [owed(0, 1, 5), owed(1, 1, 50), owed(2, 1, 1), owed(3, 1, 50), idle];
    let memories = BTreeMap::from([waited(2, 1)]);
    assert_eq!(order(&workers, &memories), [2, 1, 3, 0]);
}

#[test]
fn where_there_is_enough_nobody_is_cut() {
    let workers = [owed(0, 7, 7), owed(1, 3, 3)];
    assert_eq!(cuts(&workers, &[0, 1], Tasks(10)), []);
    assert_eq!(cuts(&workers, &[0, 1], Tasks(9)), [(0, Tasks(6))]);
    assert_eq!(cuts(&workers, &[0, 1], Tasks(1)), [(0, Tasks(1)), (1, Tasks(0))]);
    assert_eq!(cuts(&workers, &[1, 0], Tasks(1)), [(1, Tasks(1)), (0, Tasks(0))]);
}

proptest! {
    #[test]
    fn all_is_given_away_and_nobody_gets_more_than_another_who_wants_it(
        wishes in prop::collection::vec(0_u32..30, 1..12), most in 0_u32..200,
    ) {
        let workers: Vec<_> =
            wishes.iter().enumerate().map(|(i, n)| owed(i, *n, u64::from(*n))).collect();
        let order = order(&workers, &BTreeMap::new());
        let cuts: BTreeMap<_, _> = cuts(&workers, &order, Tasks(most)).into_iter().collect();
        let given = |i: &usize| cuts.get(i).map_or(wishes[*i], |tasks| tasks.0);
        let all: u32 = (0..wishes.len()).map(|i| given(&i)).sum();
        prop_assert_eq!(all, most.min(wishes.iter().sum()));
        for cut in cuts.keys() {
            for other in 0..wishes.len() {
                prop_assert!(given(&other) <= given(cut) + 1);
            }
        }
    }

    /// The least that is fair: with room for a third of the workers, each has its turn.
    #[test]
    fn nobody_waits_more_than_two_ticks_where_there_is_room_for_a_third(count in 1_usize..40) {
        let workers: Vec<_> =
            (0..count).map(|i| owed(i, 5, u64::try_from(i).unwrap())).collect();
        let most = Tasks(u32::try_from(count.div_ceil(3)).unwrap());
        let mut memories: BTreeMap<_, _> = (0..count).map(|i| waited(i, 0)).collect();
        for _ in 0..20 {
            let order = order(&workers, &memories);
            for (index, tasks) in cuts(&workers, &order, most) {
                let memory = memories.get_mut(&workers[index].worker).unwrap();
                memory.waited = if tasks == Tasks(0) { memory.waited + 1 } else { 0 };
                prop_assert!(memory.waited <= 2);
            }
        }
    }
}
