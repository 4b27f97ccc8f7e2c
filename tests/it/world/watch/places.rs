//! Looks at where tasks are started: by what the process was told of the instances in this
//! invocation, as what changed since it could not know.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::query::Query;
use super::super::room::{Need, Room};
use super::super::{State, list, text};
use super::Watch;

/// What must hold for where tasks are started, and what each process was told.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Services without whose task, RUNNING there, no instance may be used.
    pub(crate) daemons: BTreeSet<String>,
    /// Whether each task of a worker has an instance of its own.
    pub(crate) distinct: bool,
    /// Expressions that hold for every instance that is used.
    pub(crate) expressions: Vec<String>,
    /// By process and instance.
    instances: BTreeMap<(u32, String), Told>,
    /// Where the tasks of a service run, and where an expression holds; by process.
    running: BTreeMap<(u32, String), BTreeSet<String>>,
    matching: BTreeMap<(u32, String), BTreeSet<String>>,
}

/// An instance as it was described, less what was asked of it since.
#[derive(Debug)]
struct Told {
    at: u64,
    active: bool,
    connected: bool,
    left: Room,
}

impl Places {
    /// An invocation begins: what an earlier one read is no excuse.
    pub(super) fn forget(&mut self, process: u32) {
        self.instances.retain(|(of, _), _| *of != process);
        self.running.retain(|(of, _), _| *of != process);
        self.matching.retain(|(of, _), _| *of != process);
    }
}

impl Watch {
    /// A process hears of instances.
    pub(in super::super) fn describe_instances(
        &mut self,
        process: u32,
        instances: &[Value],
        now: u64,
    ) {
        for instance in instances {
            let told = Told {
                at: now,
                active: instance["status"] == "ACTIVE",
                connected: instance["agentConnected"] == true,
                left: Room::of(list(instance, "remainingResources")),
            };
            let arn = text(instance, "containerInstanceArn").to_owned();
            self.places.instances.insert((process, arn), told);
        }
    }

    /// A process hears where an expression holds, page by page.
    pub(in super::super) fn match_instances(
        &mut self,
        process: u32,
        input: &Value,
        arns: &[&String],
    ) {
        let matching = (process, text(input, "filter").to_owned());
        let matching = self.places.matching.entry(matching).or_default();
        if input.get("nextToken").is_none() {
            matching.clear();
        }
        matching.extend(arns.iter().map(|arn| (*arn).clone()));
    }

    /// A process asks for the tasks of a service anew.
    pub(in super::super) fn ask_for_service(&mut self, process: u32, input: &Value) {
        if let (Some(service), None) = (input["serviceName"].as_str(), input.get("nextToken")) {
            let service = service.rsplit('/').next().unwrap_or(service).to_owned();
            self.places.running.insert((process, service), BTreeSet::new());
        }
    }

    /// A process hears of the tasks of services, among others.
    pub(in super::super) fn describe_tasks(&mut self, process: u32, tasks: &[Value]) {
        for task in tasks.iter().filter(|task| task["lastStatus"] == "RUNNING") {
            let Some(service) = text(task, "group").strip_prefix("service:") else { continue };
            let on = text(task, "containerInstanceArn").to_owned();
            self.places.running.entry((process, service.to_owned())).or_default().insert(on);
        }
    }
}

impl State {
    /// A task is asked for on an instance, or placed there.
    pub(in super::super) fn watch_place(
        &mut self,
        process: u32,
        (input, definition): (&Value, &Value),
        arn: &str,
    ) {
        for kind in self.wrong_with(process, (input, definition), arn) {
            let now = self.millis();
            let what = format!("{} on {arn} by process {process}", text(input, "group"));
            self.watch.violate(kind, now, what);
        }
        if let Some(told) = self.watch.places.instances.get_mut(&(process, arn.to_owned())) {
            told.left.take(&Need::of(definition));
        }
    }

    fn wrong_with(
        &self,
        process: u32,
        (input, definition): (&Value, &Value),
        arn: &str,
    ) -> Vec<&'static str> {
        let places = &self.watch.places;
        let key = (process, arn.to_owned());
        let instance = self.instances.documents.get(arn);
        let Some(told) = places.instances.get(&key) else {
            // Nobody told the process anything: what counts is how things are.
            let draining = instance.is_some_and(|it| it["status"] == "DRAINING");
            let lacks = !places.daemons.iter().all(|daemon| self.runs(daemon, arn));
            let wrong =
                [(draining, "started on a draining instance"), (lacks, "started before a daemon")];
            return wrong.into_iter().filter_map(|(is, kind)| is.then_some(kind)).collect();
        };
        let of = |known: &BTreeMap<(u32, String), BTreeSet<String>>, name: &String| {
            known.get(&(process, name.clone())).is_some_and(|on| on.contains(arn))
        };
        let need = Need::of(definition);
        let wrong = [
            (!told.active, "started on a draining instance"),
            (!told.connected, "started where no agent is"),
            (told.left.lacks(&need).is_some(), "more than an instance has left"),
            (!places.daemons.iter().all(|it| of(&places.running, it)), "started before a daemon"),
            (!places.expressions.iter().all(|it| of(&places.matching, it)), "outside a constraint"),
            (self.outdates(process, arn, told), "outside a constraint by an own task"),
            (places.distinct && self.has_own(process, input, arn), "two tasks on one instance"),
        ];
        wrong.into_iter().filter_map(|(is, kind)| is.then_some(kind)).collect()
    }

    fn runs(&self, daemon: &str, arn: &str) -> bool {
        let group = format!("service:{daemon}");
        let mut there = self.tasks_on(arn);
        there.any(|it| it["group"] == group.as_str() && it["lastStatus"] == "RUNNING")
    }

    /// Whether an expression does not hold any more since the instance was read, where this very
    /// invocation has started a task since.
    fn outdates(&self, process: u32, arn: &str, told: &Told) -> bool {
        let run = self.watch.runs.get(&process).map(|run| run.number);
        let since = super::super::life::at_epoch(told.at).as_f64();
        let own = self.tasks_on(arn).any(|task| {
            let by = self.watch.seen.get(text(task, "taskArn")).map(|seen| seen.3);
            by == run && since <= task["createdAt"].as_f64()
        });
        let holds = |text: &String| self.satisfies(&Query::parse(text).unwrap(), arn);
        own && !self.watch.places.expressions.iter().all(holds)
    }

    /// Whether a task of the same worker stands there, and the process can know that it does.
    fn has_own(&self, process: u32, input: &Value, arn: &str) -> bool {
        let listed_at = self.watch.runs.get(&process).and_then(|run| run.listed_at);
        self.tasks_on(arn).any(|task| {
            let own = text(task, "taskArn");
            let Some((listed, described, by, _)) = self.watch.seen.get(own) else { return false };
            let told = listed_at.is_some_and(|at| *listed <= at && *described <= at);
            task["group"] == input["group"]
                && task["desiredStatus"] == "RUNNING"
                && (*by == process || told)
        })
    }
}
