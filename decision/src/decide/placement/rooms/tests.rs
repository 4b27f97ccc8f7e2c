use std::collections::BTreeMap;

use proptest::prelude::{Just, Strategy as _, any, prop, prop_assert, prop_assert_eq, proptest};
use proptest::{prop_compose, prop_oneof};

use super::*;
use crate::units::{CpuUnits, Ec2InstanceId, MebiBytes};

prop_compose! {
    fn any_instance()(
        cpu in 0_u32..6, memory in 0_u32..6, gpus in 0_u32..3, tasks in 0_u32..5,
        zone in 0_usize..3, port in any::<bool>(), whole in 0_u32..9,
    ) -> Instance {
        let zones = ["a", "b", "c"];
        Instance {
            arn: InstanceArn::from(""),
            ec2: Ec2InstanceId::from(""),
            connected: true,
            whole: Resources {
                cpu: CpuUnits(cpu.max(whole)),
                memory: MebiBytes(memory.max(whole)),
                gpus: Gpus(gpus.max(whole)),
                ..Resources::default()
            },
            remaining: Resources {
                cpu: CpuUnits(cpu),
                memory: MebiBytes(memory),
                gpus: Gpus(gpus),
                tcp_taken: port.then_some(80).into_iter().collect(),
                udp_taken: BTreeSet::new(),
            },
            attributes: [("ecs.availability-zone".to_owned(), Some(zones[zone].to_owned()))].into(),
            tasks: Tasks(tasks),
            registered: None,
            provider: None,
        }
    }
}

prop_compose! {
    /// Up to five, some of which are barred, and some of which refused a task.
    fn any_cluster()(
        mut instances in prop::collection::vec((any_instance(), any::<[bool; 2]>()), 0..6),
    ) -> Cluster {
        for (index, (instance, _)) in instances.iter_mut().enumerate() {
            instance.arn = InstanceArn(format!("i-{index}"));
        }
        let with = |which: usize| {
            instances.iter().enumerate().filter(move |(_, (_, flags))| flags[which])
        };
        let barred = with(0).map(|(index, _)| (index, Lack::Agent)).collect();
        let refusals = with(1).map(|(_, (instance, _))| instance.arn.clone()).collect();
        let active = instances.iter().map(|(instance, _)| instance.clone()).collect();
        Cluster { instances: Instances { active, ..Instances::default() }, barred, refusals }
    }
}

#[derive(Clone, Debug)]
struct Cluster {
    instances: Instances,
    barred: BTreeMap<usize, Lack>,
    refusals: BTreeSet<InstanceArn>,
}

prop_compose! {
    fn any_needs()(cpu in 0_u32..4, memory in 0_u32..4, gpus in 0_u32..2, port in any::<bool>()) -> Needs {
        Needs {
            cpu: CpuUnits(cpu),
            memory: MebiBytes(memory),
            gpus: Gpus(gpus),
            tcp: port.then_some(80).into_iter().collect(),
            ..Needs::default()
        }
    }
}

fn any_rule() -> impl proptest::strategy::Strategy<Value = Rule> {
    let counted = || prop_oneof![Just(Counted::All), Just(Counted::Worker)];
    prop_oneof![
        counted().prop_map(Rule::LeastTasks),
        counted().prop_map(Rule::Spread),
        prop_oneof![Just(By::Memory), Just(By::Cpu)].prop_map(Rule::Binpack),
    ]
}

/// Tasks of the worker and of others that stand already, by instance.
fn standing(counts: &[(bool, usize)], instances: &Instances) -> Vec<Task> {
    let tasks = counts.iter().enumerate().filter_map(|(number, (own, index))| {
        let instance = instances.active.get(*index)?;
        Some(Task {
            arn: crate::units::TaskArn(number.to_string()),
            worker: WorkerName::from(if *own { "own" } else { "other" }),
            revision: crate::units::RevisionArn::from("a:1"),
            containers: Vec::new(),
            created: None,
            started: None,
            tick: None,
            container: None,
            instance: Some(instance.arn.clone()),
            capacity: crate::snapshot::Capacity::default(),
            function: None,
            provisioning: false,
            shape: None,
        })
    });
    tasks.collect()
}

/// The same choices by the plainest means: every instance is looked at for every task.
fn by_brute_force(
    cluster: &Cluster,
    tasks: &[Task],
    (rule, needs, distinct, volatile): (Rule, &Needs, bool, bool),
    wanted: u32,
) -> Vec<usize> {
    let active = &cluster.instances.active;
    let mut on: Vec<usize> = Vec::new();
    for _ in 0..wanted {
        let placed =
            |index: usize| u32::try_from(on.iter().filter(|p| **p == index).count()).unwrap();
        let standing = |index: usize, own: bool| {
            let there =
                tasks.iter().filter(|task| task.instance == Some(active[index].arn.clone()));
            let there = there.filter(|task| !own || task.worker.as_str() == "own").count();
            u32::try_from(there).unwrap()
        };
        let own = |index: usize| standing(index, true) + placed(index);
        let all = |index: usize| active[index].tasks.0.max(standing(index, false)) + placed(index);
        let left = |of: u32, each: u32, index: usize| of.saturating_sub(each * placed(index));
        let cpu = |index: usize| left(active[index].remaining.cpu.0, needs.cpu.0, index);
        let memory = |index: usize| left(active[index].remaining.memory.0, needs.memory.0, index);
        let gpus = |index: usize| left(active[index].remaining.gpus.0, needs.gpus.0, index);
        let port_taken =
            |index: usize| active[index].remaining.tcp_taken.contains(&80) || 0 < placed(index);
        let takes = |index: &usize| {
            !cluster.barred.contains_key(index)
                && needs.cpu.0 <= cpu(*index)
                && needs.memory.0 <= memory(*index)
                && needs.gpus.0 <= gpus(*index)
                && (needs.tcp.is_empty() || !port_taken(*index))
                && !(distinct && 0 < own(*index))
                && !(volatile && 0 < placed(*index))
        };
        let of_zone = |index: usize, count: &dyn Fn(usize) -> u32| -> u32 {
            let same = (0..active.len()).filter(|p| active[*p].zone() == active[index].zone());
            same.map(count).sum()
        };
        let refused = |index: usize| cluster.refusals.contains(&active[index].arn);
        let rank = |index: usize| match rule {
            Rule::LeastTasks(Counted::All) => (0, "", refused(index), all(index), own(index)),
            Rule::LeastTasks(Counted::Worker) => (0, "", refused(index), own(index), all(index)),
            Rule::Spread(Counted::All) => {
                let zone = (of_zone(index, &all), active[index].zone());
                (zone.0, zone.1, refused(index), all(index), own(index))
            }
            Rule::Spread(Counted::Worker) => {
                let zone = (of_zone(index, &own), active[index].zone());
                (zone.0, zone.1, refused(index), own(index), all(index))
            }
            Rule::Binpack(By::Memory) => (0, "", refused(index), memory(index), cpu(index)),
            Rule::Binpack(By::Cpu) => (0, "", refused(index), cpu(index), memory(index)),
        };
        let best = (0..active.len()).filter(takes).min_by_key(|index| (rank(*index), *index));
        let Some(best) = best else { break };
        on.push(best);
    }
    on
}

proptest! {
    #[test]
    fn every_task_goes_where_brute_force_puts_it(
        cluster in any_cluster(),
        (rule, needs) in (any_rule(), any_needs()),
        there in prop::collection::vec((any::<bool>(), 0_usize..6), 0..8),
        (distinct, volatile) in any::<(bool, bool)>(),
        wanted in 0_u32..12,
    ) {
        let tasks = standing(&there, &cluster.instances);
        let Cluster { instances, barred, refusals } = &cluster;
        let worker = &WorkerName::from("own");
        let fit = Fit { worker, rule, needs: &needs, barred, refusals: Some(refusals), distinct, volatile };
        let placed = Rooms::with(instances, tasks.iter(), &BTreeSet::new()).place(&fit, Tasks(wanted));
        let asked = (rule, &needs, distinct, volatile);
        prop_assert_eq!(&placed.on, &by_brute_force(&cluster, &tasks, asked, wanted));
        if placed.on.len() < usize::try_from(wanted).unwrap() {
            let reported: usize = placed.lacks.values().sum();
            prop_assert_eq!(reported, instances.active.len(), "each tells what it lacks");
        }
    }

    #[test]
    fn least_tasks_leaves_no_instance_two_above_one_that_had_room(
        counts in prop::collection::vec((0_u32..9, 0_u32..9), 1..6),
        wanted in 0_u32..30,
    ) {
        let active = counts.iter().enumerate().map(|(index, (tasks, room))| Instance {
            arn: InstanceArn(format!("i-{index}")),
            ec2: Ec2InstanceId::from(""),
            connected: true,
            whole: Resources { cpu: CpuUnits(*room), ..Resources::default() },
            remaining: Resources { cpu: CpuUnits(*room), ..Resources::default() },
            attributes: BTreeMap::new(),
            tasks: Tasks(*tasks),
            registered: None,
            provider: None,
        });
        let instances = Instances { active: active.collect(), ..Instances::default() };
        let needs = Needs { cpu: CpuUnits(1), ..Needs::default() };
        let worker = &WorkerName::from("own");
        let (rule, barred) = (Rule::LeastTasks(Counted::All), &BTreeMap::new());
        let fit = Fit { worker, rule, needs: &needs, barred, refusals: None, distinct: false, volatile: false };
        let placed = Rooms::with(&instances, std::iter::empty(), &BTreeSet::new()).place(&fit, Tasks(wanted));
        let after = |index: usize| {
            let there = placed.on.iter().filter(|p| **p == index).count();
            (u32::try_from(there).unwrap(), counts[index])
        };
        for (high, low) in (0..counts.len()).flat_map(|a| (0..counts.len()).map(move |b| (a, b))) {
            let ((got_high, (had_high, _)), (got_low, (had_low, room))) = (after(high), after(low));
            if 0 < got_high && got_low < room {
                prop_assert!(had_high + got_high <= had_low + got_low + 1);
            }
        }
        let room: u32 = counts.iter().map(|(_, room)| room).sum();
        prop_assert_eq!(u32::try_from(placed.on.len()).unwrap(), wanted.min(room));
    }
}

#[test]
fn an_attribute_is_there_with_its_value_or_the_instance_lacks_it() {
    let needs = |name: &str, value: Option<&str>| {
        let (name, value) = (name.to_owned(), value.map(str::to_owned));
        Needs { attributes: [Attribute { name, value }].into(), ..Needs::default() }
    };
    let attributes =
        [("eni".to_owned(), None), ("arch".to_owned(), Some("arm64".to_owned()))].into();
    let instance = Instance {
        arn: InstanceArn::from("i"),
        ec2: Ec2InstanceId::from(""),
        connected: true,
        whole: Resources::default(),
        remaining: Resources::default(),
        attributes,
        tasks: Tasks::ZERO,
        registered: None,
        provider: None,
    };
    let instances = Instances { active: vec![instance], ..Instances::default() };
    let worker = &WorkerName::from("own");
    let (rule, barred) = (Rule::LeastTasks(Counted::All), &BTreeMap::new());
    let lacks = |needs: &Needs| -> Vec<Lack> {
        let fit =
            Fit { worker, rule, needs, barred, refusals: None, distinct: false, volatile: false };
        Rooms::with(&instances, std::iter::empty(), &BTreeSet::new())
            .place(&fit, Tasks(1))
            .lacks
            .into_keys()
            .collect()
    };
    assert_eq!(lacks(&needs("eni", None)), []);
    assert_eq!(lacks(&needs("arch", Some("arm64"))), []);
    assert_eq!(lacks(&needs("arch", Some("x86_64"))), [Lack::Attribute("arch".to_owned())]);
    assert_eq!(lacks(&needs("gpu", None)), [Lack::Attribute("gpu".to_owned())]);
}
