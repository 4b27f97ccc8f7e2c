//! ECS: which container instances tasks go to, by `StartTask` and by `RunTask` on EC2.

use serde_json::{Value, json};

use super::instances::{Instances, has_attribute};
use super::query::Query;
use super::room::{Need, Room};
use super::tasks::Launch;
use super::{Answer, Refused, State, list, refuse, rules, text};

/// Where a task goes.
#[derive(Clone, Debug)]
pub(super) enum Spot {
    /// Where there are no instances that could be told apart.
    Somewhere,
    On(String),
    /// Nowhere, and what `failures[]` say of it.
    Failed(Value),
}

/// What a task's placement has to keep to.
#[derive(Debug, Default)]
struct Constraints {
    member_of: Vec<Query>,
    distinct: bool,
}

/// An instance that `RunTask` may choose.
#[derive(Debug)]
struct Candidate {
    arn: String,
    room: Room,
    tasks: usize,
    /// Those of them that are of the call's group.
    of_group: usize,
    /// Why nothing of this call can be placed there.
    closed: Option<&'static str>,
}

const NOT_A_MEMBER: &str = "MemberOf placement constraint unsatisfied.";

impl State {
    /// Source: ECS API, `StartTask`; ECS developer guide, "API failure reasons". It goes past the
    /// scheduler: placement constraints are not looked at.
    pub(super) fn start_task(
        &mut self,
        process: u32,
        input: &Value,
        placed: Option<(usize, &'static str)>,
    ) -> Answer {
        rules::check_start(input)?;
        let cluster = self.check_cluster(input)?;
        let Some(revision) = self.definitions.find(text(input, "taskDefinition")) else {
            return refuse("ClientException", "TaskDefinition not found.");
        };
        let revision = revision.runnable()?.clone();
        rules::check_on_instance(&revision.document)?;
        rules::check_network(input, &revision.document)?;
        rules::beside::check(input, &revision)?;
        let sized = rules::beside::overridden(&input["overrides"], &revision.document);
        self.watch_attempt(input);
        let now = self.millis();
        let room = self.weather.as_mut().and_then(|weather| weather.room(input, now));
        let (placed, reason) = placed.or(room).unwrap_or((usize::MAX, ""));
        let named = list(input, "containerInstances").iter();
        let named: Vec<_> = named.map(|name| Instances::arn(&cluster, name)).collect();
        let spot = |(number, arn): (usize, &String)| {
            let reason = if placed <= number { Some(reason) } else { None };
            match reason.or_else(|| self.why_not(&cluster, arn, &sized)) {
                None => Spot::On(arn.clone()),
                Some(reason) => Spot::Failed(json!({"arn": arn, "reason": reason})),
            }
        };
        let spots: Vec<_> = named.iter().enumerate().map(spot).collect();
        self.note_refusals(&spots);
        for arn in &named {
            self.watch_place(process, (input, &revision.document), arn);
        }
        Ok(self.launch(&Launch { process, input, cluster, revision }, &spots))
    }

    /// Refusals are weather: what ECS told before was not all.
    fn note_refusals(&mut self, spots: &[Spot]) {
        let Some(weather) = &mut self.weather else { return };
        for spot in spots {
            if let Spot::Failed(failure) = spot {
                let kind = match text(failure, "reason") {
                    "RESOURCE:ENI" => "refused for network interfaces",
                    "AGENT" => "refused for its agent",
                    "INACTIVE" | "MISSING" => "refused by an instance that is gone",
                    _ => "refused for another reason",
                };
                weather.note(kind);
            }
        }
    }

    /// Why one more task cannot start on an instance, as `failures[]` say it.
    fn why_not(&self, cluster: &str, arn: &str, definition: &Value) -> Option<&'static str> {
        if !self.is_instance_of(cluster, arn) {
            return Some("MISSING");
        }
        let instance = &self.instances.documents[arn];
        if !["ACTIVE", "DRAINING"].contains(&text(instance, "status")) {
            return Some("INACTIVE");
        }
        let closed = closed(instance, definition);
        closed.or_else(|| self.room(arn).lacks(&Need::of(definition)))
    }

    /// At most one attempt for what a call says that it is.
    fn watch_attempt(&mut self, input: &Value) {
        let tag = |name: &str| {
            let key = format!("ecs-queue-scaler:{name}");
            let tag = list(input, "tags").iter().find(|tag| text(tag, "key") == key);
            tag.map(|tag| text(tag, "value").to_owned()).unwrap_or_default()
        };
        let started_by = text(input, "startedBy").to_owned();
        let mark = [started_by, tag("worker"), tag("tick"), tag("call")];
        let now = self.millis();
        let what = format!("{mark:?}");
        let is_ours = mark.iter().skip(1).any(|tag| !tag.is_empty());
        if is_ours && !self.instances.attempts.insert(mark) {
            self.watch.violate("an attempt twice", now, what);
        }
    }

    /// Where the tasks of a `RunTask` go, if it is one for a cluster's instances.
    pub(super) fn place(
        &self,
        launch: &Launch<'_>,
        count: usize,
    ) -> Result<Option<Vec<Spot>>, Refused> {
        let Launch { input, cluster, revision, .. } = launch;
        let on_ec2 = text(input, "launchType") == "EC2";
        if !on_ec2 || self.instances.of(cluster).next().is_none() {
            return Ok(None);
        }
        let definition = &revision.document;
        rules::check_on_instance(definition)?;
        let constraints = Constraints::of(input, definition)?;
        let mut candidates = self.candidates(launch, &constraints);
        if candidates.is_empty() {
            return refuse(
                "InvalidParameterException",
                "No Container Instances were found in your cluster.",
            );
        }
        let need = Need::of(&rules::beside::overridden(&input["overrides"], definition));
        let spots = (0..count).map(|_| choose(&mut candidates, &need, constraints.distinct));
        Ok(Some(spots.collect()))
    }

    fn candidates(&self, launch: &Launch<'_>, constraints: &Constraints) -> Vec<Candidate> {
        let definition = &launch.revision.document;
        let family = format!("family:{}", text(definition, "family"));
        let group = launch.input.get("group").and_then(Value::as_str).unwrap_or(&family);
        let active = self.instances.of(&launch.cluster).filter(|(_, it)| it["status"] == "ACTIVE");
        let candidate = |(arn, instance): (&String, &Value)| {
            let member = constraints.member_of.iter().all(|query| self.satisfies(query, arn));
            let of_group =
                |task: &&Value| task["group"] == group && task["desiredStatus"] == "RUNNING";
            Candidate {
                arn: arn.clone(),
                room: self.room(arn),
                tasks: self.tasks_on(arn).count(),
                of_group: self.tasks_on(arn).filter(of_group).count(),
                closed: if member { closed(instance, definition) } else { Some(NOT_A_MEMBER) },
            }
        };
        active.map(candidate).collect()
    }
}

/// What keeps every task of a definition from an instance.
fn closed(instance: &Value, definition: &Value) -> Option<&'static str> {
    if instance["agentConnected"] != true {
        return Some("AGENT");
    }
    let required = list(definition, "requiresAttributes").iter();
    let mut lacking = required.filter(|attribute| {
        let value = attribute.get("value").and_then(Value::as_str);
        !has_attribute(instance, text(attribute, "name"), value)
    });
    let architecture = match text(&definition["runtimePlatform"], "cpuArchitecture") {
        "" => None,
        named => Some(named.to_lowercase()),
    };
    let fits = architecture
        .is_none_or(|named| has_attribute(instance, "ecs.cpu-architecture", Some(&named)));
    if lacking.next().is_some() || !fits { Some("ATTRIBUTE") } else { None }
}

/// One task more, where the fewest are. ECS itself draws lots unless a strategy is given.
fn choose(candidates: &mut [Candidate], need: &Need, distinct: bool) -> Spot {
    let why_not = |it: &Candidate| {
        let taken = (distinct && 0 < it.of_group)
            .then_some("DistinctInstance placement constraint unsatisfied.");
        it.closed.or(taken).or_else(|| it.room.lacks(need))
    };
    let open = candidates.iter_mut().filter(|candidate| why_not(candidate).is_none());
    if let Some(chosen) = open.min_by_key(|candidate| candidate.tasks) {
        chosen.room.take(need);
        chosen.tasks += 1;
        chosen.of_group += 1;
        return Spot::On(chosen.arn.clone());
    }
    let all = || candidates.iter().map(|it| (it, why_not(it).unwrap_or_default()));
    let short = all().find(|(_, reason)| reason.starts_with("RESOURCE:"));
    let (candidate, reason) = short.or_else(|| all().next()).unwrap();
    Spot::Failed(json!({"arn": candidate.arn, "reason": reason}))
}

impl Constraints {
    /// Source: ECS API, `PlacementConstraint` and `PlacementStrategy`.
    fn of(input: &Value, definition: &Value) -> Result<Self, Refused> {
        let all = list(input, "placementConstraints").iter();
        let all: Vec<_> = all.chain(list(definition, "placementConstraints")).collect();
        if 10 < all.len() {
            return invalid("too many placement constraints");
        }
        let mut constraints = Self::default();
        for constraint in all {
            let expression = constraint.get("expression").and_then(Value::as_str);
            match (text(constraint, "type"), expression) {
                ("distinctInstance", None) => constraints.distinct = true,
                ("memberOf", Some(expression)) => {
                    constraints.member_of.push(Query::parse(expression).or_else(invalid)?);
                }
                _ => return invalid(format!("{constraint} is no placement constraint")),
            }
        }
        let strategy = list(input, "placementStrategy");
        let known = |rule: &Value| ["random", "spread", "binpack"].contains(&text(rule, "type"));
        if 5 < strategy.len() || !strategy.iter().all(known) {
            return invalid("placementStrategy is not legal");
        }
        Ok(constraints)
    }
}

fn invalid<T>(why: impl Into<String>) -> Result<T, Refused> {
    refuse("InvalidParameterException", why)
}
