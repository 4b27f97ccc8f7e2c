use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

use super::*;

fn budget(per_task: u32, tasks: u32) -> Budget {
    Budget { per_task: Containers(per_task), tasks: Tasks(tasks) }
}

fn packed(groups: &[(u32, u32)], deferred: u32) -> Packed {
    let groups = groups.iter().map(|&(n, tasks)| (Containers(n), Tasks(tasks))).collect();
    Packed { groups, deferred: Containers(deferred), several: None }
}

fn counts(most: u32) -> Vec<Containers> {
    (1..=most).map(Containers).collect()
}

/// At most so many tasks at once.
fn cheapest_at_once(
    launch: u32,
    budget: Budget,
    at_once: Option<u32>,
    price: impl Fn(Containers) -> MicroDollars,
) -> Packed {
    let costs = Costs {
        counts: &counts(budget.per_task.0),
        price,
        at_once: at_once.map(Tasks),
        few_addresses: false,
    };
    cheapest(Containers(launch), budget, &costs)
}

#[test]
fn spread_uses_as_few_containers_a_task_as_the_tasks_allow() {
    let spread =
        |launch, budget: Budget| spread(Containers(launch), budget, &counts(budget.per_task.0));
    assert_eq!(spread(7, budget(9, 10)), packed(&[(1, 7)], 0));
    assert_eq!(spread(30, budget(9, 10)), packed(&[(3, 10)], 0));
    assert_eq!(spread(25, budget(9, 10)), packed(&[(3, 5), (2, 5)], 0));
    assert_eq!(spread(100, budget(4, 10)), packed(&[(4, 10)], 60));
    assert_eq!(spread(0, budget(4, 10)), packed(&[], 0));
}

#[test]
fn dense_uses_as_many_containers_a_task_as_are_allowed() {
    let dense =
        |launch, budget: Budget| dense(Containers(launch), budget, &counts(budget.per_task.0));
    assert_eq!(dense(30, budget(4, 10)), packed(&[(4, 7), (2, 1)], 0));
    assert_eq!(dense(8, budget(4, 10)), packed(&[(4, 2)], 0));
    assert_eq!(dense(3, budget(4, 10)), packed(&[(3, 1)], 0));
    assert_eq!(dense(100, budget(4, 10)), packed(&[(4, 10)], 60));
}

/// 0.6 vCPU and 1.2 GB round up well in threes: 2 vCPU and 4 GB.
#[test]
fn several_a_task_are_for_what_costs_a_tenth_less() {
    let price = |n: Containers| MicroDollars([90, 90, 99, 180, 185, 198, 360, 360, 360][index(n)]);
    let cheaper = |groups: &[_]| Packed { several: Some(Several::Cheaper), ..packed(groups, 0) };
    assert_eq!(cheapest_at_once(30, budget(9, 90), None, price), cheaper(&[(3, 10)]));
    assert_eq!(cheapest_at_once(31, budget(9, 90), None, price), cheaper(&[(3, 10), (1, 1)]));
    assert_eq!(cheapest_at_once(1, budget(9, 90), None, price), packed(&[(1, 1)], 0));
    let little_less = |n: Containers| MicroDollars(u64::from(n.0) * 92 + 8);
    assert_eq!(cheapest_at_once(30, budget(9, 90), None, little_less), packed(&[(1, 30)], 0));
}

#[test]
fn several_of_the_same_price_are_for_what_cannot_start_at_once() {
    let linear = |n: Containers| MicroDollars(u64::from(n.0));
    let at_once = |tasks, groups: &[_]| Packed {
        several: Some(Several::AtOnce(Tasks(tasks))),
        ..packed(groups, 0)
    };
    assert_eq!(cheapest_at_once(100, budget(9, 500), Some(100), linear), packed(&[(1, 100)], 0));
    assert_eq!(
        cheapest_at_once(101, budget(9, 500), Some(100), linear),
        at_once(101, &[(2, 50), (1, 1)])
    );
    let why = Several::Bounded { tasks: Tasks(21), most: Tasks(11) };
    let bounded = Packed { several: Some(why), ..packed(&[(2, 10), (1, 1)], 0) };
    assert_eq!(cheapest_at_once(21, budget(2, 11), None, linear), bounded);
    let costs = Costs { counts: &counts(9), price: linear, at_once: None, few_addresses: true };
    let few = Packed { several: Some(Several::Addresses), ..packed(&[(9, 3), (3, 1)], 0) };
    assert_eq!(cheapest(Containers(30), budget(9, 500), &costs), few);
    // Only powers of two cost no more than singles.
    let in_twos = |n: Containers| MicroDollars(u64::from(n.0.next_power_of_two()));
    assert_eq!(
        cheapest_at_once(50, budget(9, 500), Some(15), in_twos),
        at_once(50, &[(4, 12), (2, 1)])
    );
    assert_eq!(
        cheapest_at_once(51, budget(9, 500), Some(15), in_twos),
        at_once(51, &[(4, 12), (1, 3)])
    );
    // Never a dearer one, whoever has to wait.
    let dear = |n: Containers| MicroDollars(u64::from(n.0) * u64::from(n.0));
    assert_eq!(cheapest_at_once(200, budget(9, 500), Some(100), dear), packed(&[(1, 200)], 0));
    assert_eq!(cheapest_at_once(200, budget(9, 50), None, dear), packed(&[(1, 50)], 150));
}

#[test]
fn a_size_that_wastes_gives_way_to_a_neighbour_that_does_not() {
    let wasteful = |n: Containers| [3, 5, 6, 7, 9].contains(&n.0);
    let kept = |most| economical((1..=most).map(Containers), wasteful);
    assert_eq!(kept(9), [1, 2, 4, 8].map(Containers));
    assert_eq!(kept(8), [1, 2, 4, 8].map(Containers));
    assert_eq!(kept(7), [1, 2, 4, 6, 7].map(Containers), "whoever asks for seven has no better");
}

/// Fives and ones: a rest of four would need four tasks.
#[test]
fn a_few_counts_hold_what_they_can_and_leave_the_rest() {
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

    fn tasks(&self) -> Tasks {
        self.groups.iter().map(|(_, tasks)| *tasks).sum()
    }

    fn cost(&self, price: impl Fn(Containers) -> MicroDollars) -> u64 {
        self.groups.iter().map(|(n, tasks)| price(*n).times(tasks.0).0).sum()
    }
}

proptest! {
    #[test]
    fn every_packing_is_exact_and_stays_in_its_room(
        launch in 0_u32..400, per_task in 1_u32..=10, tasks in 1_u32..60,
        at_once in prop::option::of(1_u32..60), prices in prop::collection::vec(1_u64..1000, 10),
    ) {
        let price = |n: Containers| MicroDollars(prices[index(n)]);
        let (launch, budget) = (Containers(launch), budget(per_task, tasks));
        let all = counts(per_task);
        let costs = Costs { counts: &all, price, at_once: at_once.map(Tasks), few_addresses: false };
        let free = [spread(launch, budget, &all), dense(launch, budget, &all)];
        let cheapest = cheapest(launch, budget, &costs);
        for packed in free.iter().chain([&cheapest]) {
            prop_assert_eq!(packed.containers().plus(packed.deferred), launch);
            prop_assert!(packed.tasks() <= budget.tasks);
            prop_assert!(packed.groups.len() <= 2);
            prop_assert!(packed.groups.iter().all(|(n, _)| (1..=per_task).contains(&n.0)));
        }
        for packed in free {
            prop_assert!(
                packed.deferred == Containers(0) || packed.containers() == budget.containers());
        }
        prop_assert!(cheapest.deferred == Containers(0) || cheapest.tasks() == budget.tasks);
    }

    /// By what one container a task costs, by what the others do, and by how many there may be.
    #[test]
    fn cheapest_never_costs_more_than_one_container_a_task(
        launch in 1_u32..400, per_task in 1_u32..=10, tasks in 1_u32..400,
        at_once in prop::option::of(1_u32..200), prices in prop::collection::vec(1_u64..1000, 10),
    ) {
        let price = |n: Containers| MicroDollars(prices[index(n)]);
        let packed = cheapest_at_once(launch, budget(per_task, tasks), at_once, price);
        let singles = prices[0] * u64::from(packed.containers().0);
        prop_assert!(packed.cost(price) <= singles);
        let best = (1..=per_task).map(Containers).min_by(|a, b| {
            price(*a).times(b.0).cmp(&price(*b).times(a.0))
        });
        let best = best.unwrap();
        let saves = price(best).0 * 10 <= prices[0] * u64::from(best.0) * 9;
        let each = packed.groups.first().map_or(1, |(n, _)| n.0);
        if saves && best.0 <= packed.containers().0 {
            // Whoever could save a tenth does, by the best but for a rest.
            let each = Containers(each);
            prop_assert!(price(each).times(best.0) <= price(best).times(each.0));
        }
        if !saves && launch <= tasks.min(at_once.unwrap_or(tasks)) {
            prop_assert_eq!(each, 1, "nothing is saved, and there is room");
        }
    }

    #[test]
    fn a_few_counts_hold_as_much_as_any_mix_of_two_could(
        launch in 0_u32..60, others in prop::collection::btree_set(2_u32..=9, 0..4),
        tasks in 0_u32..12,
    ) {
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
        for packed in [spread_of(launch, budget, &counts), dense_of(launch, budget, &counts)] {
            prop_assert_eq!(packed.containers(), Containers(most));
            prop_assert_eq!(packed.containers().plus(packed.deferred), launch);
            prop_assert!(packed.groups.iter().map(|(_, tasks)| tasks.0).sum::<u32>() <= tasks);
            prop_assert!(packed.groups.len() <= 2);
            prop_assert!(packed.groups.iter().all(|(n, _)| counts.contains(n)));
        }
    }
}
