use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

use super::*;

fn budget(per_task: u32, tasks: u32) -> Budget {
    Budget { per_task: Containers(per_task), tasks: Tasks(tasks) }
}

fn packed(groups: &[(u32, u32)], deferred: u32) -> Packed {
    let groups = groups.iter().map(|&(n, tasks)| (Containers(n), Tasks(tasks))).collect();
    Packed { groups, deferred: Containers(deferred) }
}

#[test]
fn spread_uses_as_few_containers_a_task_as_the_tasks_allow() {
    assert_eq!(spread(Containers(7), budget(9, 10)), packed(&[(1, 7)], 0));
    assert_eq!(spread(Containers(30), budget(9, 10)), packed(&[(3, 10)], 0));
    assert_eq!(spread(Containers(25), budget(9, 10)), packed(&[(3, 5), (2, 5)], 0));
    assert_eq!(spread(Containers(100), budget(4, 10)), packed(&[(4, 10)], 60));
    assert_eq!(spread(Containers(0), budget(4, 10)), packed(&[], 0));
}

#[test]
fn dense_uses_as_many_containers_a_task_as_are_allowed() {
    assert_eq!(dense(Containers(30), budget(4, 10)), packed(&[(4, 7), (2, 1)], 0));
    assert_eq!(dense(Containers(8), budget(4, 10)), packed(&[(4, 2)], 0));
    assert_eq!(dense(Containers(3), budget(4, 10)), packed(&[(3, 1)], 0));
    assert_eq!(dense(Containers(100), budget(4, 10)), packed(&[(4, 10)], 60));
}

/// 0.6 vCPU and 1.2 GB round up well in threes: 2 vCPU and 4 GB.
#[test]
fn cheapest_finds_the_sizes_that_round_well() {
    let price = |n: Containers| MicroDollars([90, 90, 99, 180, 185, 198, 360, 360, 360][index(n)]);
    assert_eq!(cheapest(Containers(30), budget(9, 20), price), packed(&[(6, 5)], 0));
    assert_eq!(cheapest(Containers(31), budget(9, 20), price), packed(&[(5, 2), (3, 7)], 0));
    assert_eq!(cheapest(Containers(3), budget(9, 20), price), packed(&[(3, 1)], 0));
}

#[test]
fn equal_prices_are_decided_by_the_fewest_calls() {
    let linear = |n: Containers| MicroDollars(u64::from(n.0));
    assert_eq!(cheapest(Containers(21), budget(2, 30), linear), packed(&[(2, 10), (1, 1)], 0));
}

/// Fives and ones: a rest of four would need four tasks.
#[test]
fn a_few_sizes_hold_what_they_can_and_leave_the_rest() {
    let counts = [Containers(1), Containers(5)];
    assert_eq!(dense_of(Containers(12), budget(5, 10), &counts), packed(&[(5, 2), (1, 2)], 0));
    assert_eq!(dense_of(Containers(49), budget(5, 10), &counts), packed(&[(5, 9), (1, 1)], 3));
    assert_eq!(spread_of(Containers(9), budget(5, 10), &counts), packed(&[(1, 9)], 0));
    assert_eq!(spread_of(Containers(12), budget(5, 10), &counts), packed(&[(5, 1), (1, 7)], 0));
    assert_eq!(spread_of(Containers(3), budget(5, 0), &counts), packed(&[], 3));
}

fn index(n: Containers) -> usize {
    usize::try_from(n.0 - 1).unwrap()
}

impl Packed {
    fn containers(&self) -> Containers {
        self.groups.iter().map(|(n, tasks)| tasks.containers(*n)).sum()
    }

    fn cost(&self, price: impl Fn(Containers) -> MicroDollars) -> u64 {
        self.groups.iter().map(|(n, tasks)| price(*n).times(tasks.0).0).sum()
    }
}

proptest! {
    #[test]
    fn every_packing_is_exact_and_stays_in_its_room(
        launch in 0_u32..400, per_task in 1_u32..=10, tasks in 1_u32..60,
        prices in prop::collection::vec(1_u64..1000, 10),
    ) {
        let price = |n: Containers| MicroDollars(prices[index(n)]);
        let (launch, budget) = (Containers(launch), budget(per_task, tasks));
        for packed in [spread(launch, budget), dense(launch, budget), cheapest(launch, budget, price)] {
            prop_assert_eq!(packed.containers().plus(packed.deferred), launch);
            let all_tasks: Tasks = packed.groups.iter().map(|(_, tasks)| *tasks).sum();
            prop_assert!(all_tasks <= budget.tasks);
            prop_assert!(packed.groups.len() <= 2);
            prop_assert!(packed.groups.iter().all(|(n, _)| (1..=per_task).contains(&n.0)));
            prop_assert!(
                packed.deferred == Containers(0) || packed.containers() == budget.containers());
        }
    }

    #[test]
    fn a_few_sizes_hold_as_much_as_any_mix_of_two_could(
        launch in 0_u32..60, others in prop::collection::btree_set(2_u32..=9, 0..4),
        tasks in 0_u32..12, prices in prop::collection::vec(1_u64..1000, 10),
    ) {
        let price = |n: Containers| MicroDollars(prices[index(n)]);
        let counts: Vec<_> = [1].into_iter().chain(others).map(Containers).collect();
        let (launch, budget) = (Containers(launch), budget(counts.last().unwrap().0, tasks));
        let mut most = 0;
        for a in &counts {
            for b in &counts {
                for many_a in 0..=tasks {
                    let held = (0..=tasks - many_a).map(|many_b| a.0 * many_a + b.0 * many_b);
                    most = most.max(held.filter(|held| *held <= launch.0).max().unwrap_or(0));
                }
            }
        }
        for packed in [
            spread_of(launch, budget, &counts),
            dense_of(launch, budget, &counts),
            cheapest_of(launch, budget, &counts, price),
        ] {
            prop_assert_eq!(packed.containers(), Containers(most));
            prop_assert_eq!(packed.containers().plus(packed.deferred), launch);
            prop_assert!(packed.groups.iter().map(|(_, tasks)| tasks.0).sum::<u32>() <= tasks);
            prop_assert!(packed.groups.len() <= 2);
            prop_assert!(packed.groups.iter().all(|(n, _)| counts.contains(n)));
        }
    }

    #[test]
    fn cheapest_is_never_dearer_than_brute_force(
        launch in 1_u32..60, per_task in 1_u32..=10, tasks in 1_u32..30,
        prices in prop::collection::vec(1_u64..1000, 10),
    ) {
        let price = |n: Containers| MicroDollars(prices[index(n)]);
        let budget = budget(per_task, tasks);
        let held = Containers(launch).min(budget.containers()).0;
        let mut best = u64::MAX;
        for a in 1..=per_task {
            for b in 1..=per_task {
                for many_a in 0..=tasks {
                    for many_b in 0..=tasks - many_a {
                        if a * many_a + b * many_b == held {
                            let (a, b) = (price(Containers(a)), price(Containers(b)));
                            best = best.min(a.times(many_a).0 + b.times(many_b).0);
                        }
                    }
                }
            }
        }
        prop_assert_eq!(cheapest(Containers(launch), budget, price).cost(price), best);
    }
}
