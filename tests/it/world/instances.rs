//! ECS: container instances, and what the tasks that stand on them leave free.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::query::Query;
use super::room::{Need, Room};
use super::{ACCOUNT, Answer, REGION, Refused, State, World, list, refuse, rules, tasks, text};

/// Ports that ECS reserves on every instance.
/// Source: ECS API, `PortMapping.hostPort`: 22, 2375, 2376, and the agent's 51678 to 51680.
const RESERVED: [u64; 5] = [22, 2375, 2376, 51678, 51679];

#[derive(Debug, Default)]
pub(super) struct Instances {
    /// As `DescribeContainerInstances` tells them, without what their tasks make of them; by ARN.
    pub(super) documents: BTreeMap<String, Value>,
    /// How many network interfaces for tasks an instance has, where a test says so; by ARN.
    enis: BTreeMap<String, u64>,
    /// Services by cluster and name.
    services: BTreeSet<(String, String)>,
    /// How many tasks were started without a token.
    pub(super) count: u64,
    /// The marks of the `StartTask` calls that were executed.
    pub(super) attempts: BTreeSet<[String; 4]>,
    /// What instances are told to be though they are that no more, and until when; by ARN.
    outdated: BTreeMap<String, (u64, Value)>,
}

impl World {
    /// A container instance of a cluster. Members: `ec2InstanceId`, `cpu` (units), `memory`
    /// (MiB), `zone`, `gpus`, `enis` (unlimited where `null`), `capacityProvider`, `attributes`
    /// (a text is a value, `true` an attribute without one, `null` takes one away).
    pub(crate) fn instance(&self, cluster: &str, about: Value) -> String {
        let mut state = self.state();
        let number = state.instances.documents.len() + 1;
        let arn = instance_arn(cluster, &format!("{number:032x}"));
        let registered_at = state.epoch_seconds();
        let mut document = registered(&arn, number, &about);
        document["registeredAt"] = registered_at;
        state.instances.documents.insert(arn.clone(), document);
        drop(state);
        let Value::Object(mut about) = about else { panic!("{about} says nothing") };
        about.retain(|member, _| member == "attributes" || member == "enis");
        self.change_instance(&arn, Value::Object(about));
        arn
    }

    /// Changes members of an instance: `status`, `agentConnected`, `attributes` and `enis` as in
    /// [`World::instance`], `tags`, or any other of a description.
    pub(crate) fn change_instance(&self, arn: &str, change: Value) {
        let mut state = self.state();
        let instances = &mut state.instances;
        let Value::Object(change) = change else { panic!("{change} changes nothing") };
        let document = instances.documents.get_mut(arn).unwrap();
        for (member, value) in change {
            match (member.as_str(), value) {
                ("attributes", value) => change_attributes(document, value.as_object().unwrap()),
                ("enis", Value::Null) => drop(instances.enis.remove(arn)),
                ("enis", value) => {
                    instances.enis.insert(arn.to_owned(), value.as_u64().unwrap());
                }
                (_, value) => document[member] = value,
            }
        }
    }

    /// Changes an instance as [`World::change_instance`] does, and ECS tells it so much later.
    pub(crate) fn change_instance_late(&self, arn: &str, (change, lag): (Value, u64)) {
        let mut state = self.state();
        let until = state.millis() + lag;
        let before = state.instances.documents[arn].clone();
        state.instances.outdated.insert(arn.to_owned(), (until, before));
        drop(state);
        self.change_instance(arn, change);
    }

    /// A task that stands on an instance RUNs now, unless it has ended.
    pub(crate) fn task_runs(&self, arn: &str) {
        let mut state = self.state();
        let now = state.epoch_seconds();
        let task = state.tasks.get_mut(arn).unwrap();
        if task["desiredStatus"] == "RUNNING" {
            tasks::set_status(task, "RUNNING");
            task["startedAt"] = now;
        }
    }

    /// An instance is terminated: ECS knows it as INACTIVE, and its tasks have stopped.
    /// Source: ECS developer guide, "Stopped task error messages": `Host EC2 ... terminated`;
    /// the code beside it is not documented.
    pub(crate) fn vanish(&self, arn: &str) {
        self.change_instance(arn, json!({"status": "INACTIVE", "agentConnected": false}));
        let mut state = self.state();
        let now = state.epoch_seconds();
        let id = text(&state.instances.documents[arn], "ec2InstanceId");
        let reason = format!("Host EC2 (instance {id}) terminated.");
        for task in state.tasks.values_mut().filter(|task| stands_on(task, arn)) {
            tasks::end(task, &now, ("TerminationNotice", &reason, None));
        }
    }

    /// A service of a cluster, which may have no tasks.
    pub(crate) fn service(&self, cluster: &str, name: &str) {
        self.state().instances.services.insert((cluster.to_owned(), name.to_owned()));
    }

    /// A daemon's task on an instance with a `lastStatus`; its definition is made for it, of 32
    /// units and 64 MiB, unless there is one of the service's name. Gives the task's ARN.
    pub(crate) fn daemon(&self, cluster: &str, name: &str, (on, status): (&str, &str)) -> String {
        self.service(cluster, name);
        if !self.families().iter().any(|family| family == name) {
            let agent = json!({"name": "agent", "image": "i", "cpu": 32, "memory": 64});
            self.register(&json!({
                "family": name, "networkMode": "host", "containerDefinitions": [agent],
            }));
        }
        let mut state = self.state();
        let revision = state.definitions.find(name).unwrap().clone();
        let input = json!({
            "startedBy": format!("ecs-svc/{:019}", state.instances.count),
            "group": format!("service:{name}"), "launchType": "EC2", "tags": [],
        });
        let id = state.instances.next_id();
        let arn = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task/{cluster}/{id}");
        let (document, of) = (&revision.document, revision.arn());
        let mut task = tasks::new_task(&input, (&arn, cluster), (document, of));
        let now = state.epoch_seconds();
        task["createdAt"] = now.clone();
        task["containerInstanceArn"] = json!(on);
        tasks::set_status(&mut task, status);
        if status == "RUNNING" {
            task["startedAt"] = now;
        }
        state.tasks.insert(arn.clone(), task);
        let now = state.millis();
        state.watch.began(0, &arn, (now, now));
        arn
    }

    /// The tasks that stand on an instance, as documents.
    pub(crate) fn tasks_on(&self, arn: &str) -> Vec<Value> {
        self.state().tasks_on(arn).cloned().collect()
    }

    /// An instance as `DescribeContainerInstances` tells it.
    pub(crate) fn described_instance(&self, arn: &str) -> Value {
        self.state().described(arn)
    }
}

fn instance_arn(cluster: &str, id: &str) -> String {
    let id = id.rsplit('/').next().unwrap_or(id);
    format!("arn:aws:ecs:{REGION}:{ACCOUNT}:container-instance/{cluster}/{id}")
}

/// What an instance registers. The attributes are some of those that the agent tells.
fn registered(arn: &str, number: usize, about: &Value) -> Value {
    let or = |member: &str, value: Value| match about.get(member) {
        None | Some(Value::Null) => value,
        Some(given) => given.clone(),
    };
    let gpus =
        (0..or("gpus", json!(0)).as_u64().unwrap()).map(|n| json!(format!("GPU-{number}-{n}")));
    let room = Room {
        cpu: or("cpu", json!(4096)).as_u64().unwrap(),
        memory: or("memory", json!(8192)).as_u64().unwrap(),
        ports: RESERVED.into_iter().map(|port| ("tcp".to_owned(), port)).collect(),
        gpus: gpus.collect(),
        enis: None,
    };
    let mut document = json!({
        "containerInstanceArn": arn, "status": "ACTIVE", "agentConnected": true, "version": 1,
        "ec2InstanceId": or("ec2InstanceId", json!(format!("i-{number:017x}"))),
        "versionInfo": {"agentVersion": "1.105.1"}, "tags": [], "attachments": [],
        "registeredResources": room.resources(),
        "attributes": [
            {"name": "ecs.availability-zone", "value": or("zone", json!("eu-central-1a"))},
            {"name": "ecs.instance-type", "value": "c6i.xlarge"},
            {"name": "ecs.os-type", "value": "linux"},
            {"name": "ecs.cpu-architecture", "value": "x86_64"},
            {"name": "ecs.capability.task-eni"},
            {"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"},
            {"name": "com.amazonaws.ecs.capability.logging-driver.awslogs"},
            {"name": "com.amazonaws.ecs.capability.task-iam-role"},
        ],
    });
    if let Some(provider) = about.get("capacityProvider").filter(|given| given.is_string()) {
        document["capacityProviderName"] = provider.clone();
    }
    document
}

fn change_attributes(document: &mut Value, change: &Map<String, Value>) {
    let attributes = document["attributes"].as_array_mut().unwrap();
    for (name, value) in change {
        attributes.retain(|attribute| attribute["name"] != *name);
        match value {
            Value::Null => {}
            Value::Bool(true) => attributes.push(json!({"name": name})),
            value => attributes.push(json!({"name": name, "value": value})),
        }
    }
}

fn stands_on(task: &Value, arn: &str) -> bool {
    task["containerInstanceArn"] == arn && task.get("stoppedAt").is_none()
}

/// Whether an instance has an attribute, with that value where one is asked for.
pub(super) fn has_attribute(instance: &Value, name: &str, value: Option<&str>) -> bool {
    let mut attributes = list(instance, "attributes").iter();
    attributes.any(|it| text(it, "name") == name && value.is_none_or(|v| text(it, "value") == v))
}

impl Instances {
    /// An id for a task that has no token.
    pub(super) fn next_id(&mut self) -> String {
        self.count += 1;
        // Not among those that are made of tokens.
        format!("f{:031x}", self.count)
    }

    pub(super) fn has_service(&self, cluster: &str, name: &str) -> bool {
        self.services.contains(&(cluster.to_owned(), name.to_owned()))
    }

    /// The ARN of an instance that is named by its ARN or its id; of one that is not there too.
    pub(super) fn arn(cluster: &str, name: &Value) -> String {
        let name = name.as_str().unwrap_or_default();
        if name.starts_with("arn:") { name.to_owned() } else { instance_arn(cluster, name) }
    }

    /// An instance as ECS tells its state, which may be late.
    fn told(&self, arn: &str, now: u64) -> &Value {
        match self.outdated.get(arn) {
            Some((until, before)) if now < *until => before,
            _ => &self.documents[arn],
        }
    }

    /// A cluster's instances, in the order of their ARNs.
    pub(super) fn of<'a>(&'a self, cluster: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
        let start = instance_arn(cluster, "");
        self.documents.iter().filter(move |(arn, _)| arn.starts_with(&start))
    }
}

impl State {
    pub(super) fn tasks_on(&self, arn: &str) -> impl Iterator<Item = &Value> {
        self.tasks.values().filter(move |task| stands_on(task, arn))
    }

    pub(super) fn room(&self, arn: &str) -> Room {
        self.room_beside(arn, self.tasks_on(arn))
    }

    fn room_beside<'a>(&self, arn: &str, tasks: impl Iterator<Item = &'a Value>) -> Room {
        let registered = list(&self.instances.documents[arn], "registeredResources");
        let mut room = Room::of(registered);
        room.enis = self.instances.enis.get(arn).copied();
        for task in tasks {
            let revision = self.definitions.find(text(task, "taskDefinitionArn")).unwrap();
            room.take(&Need::of(&rules::beside::overridden(
                &task["overrides"],
                &revision.document,
            )));
        }
        room
    }

    /// Source: ECS API, `ContainerInstance`: `runningTasksCount` counts the tasks that ECS wants
    /// to run, whether they do or not, and `pendingTasksCount` those that are PENDING.
    fn described(&self, arn: &str) -> Value {
        let mut document = self.instances.documents[arn].clone();
        let count = |member: &str, status: &str| {
            self.tasks_on(arn).filter(|task| text(task, member) == status).count()
        };
        document["runningTasksCount"] = json!(count("desiredStatus", "RUNNING"));
        document["pendingTasksCount"] = json!(count("lastStatus", "PENDING"));
        document["remainingResources"] = self.room(arn).resources();
        document
    }

    /// The same as far as ECS knows it already: a task that it does not describe yet takes nothing,
    /// and what an instance became shows late.
    fn described_late(&self, arn: &str) -> Value {
        let now = self.millis();
        let mut document = self.described(arn);
        let known = |task: &&Value| self.watch.is_described(text(task, "taskArn"), now);
        let known: Vec<_> = self.tasks_on(arn).filter(known).collect();
        let running = known.iter().filter(|task| task["desiredStatus"] == "RUNNING").count();
        document["runningTasksCount"] = json!(running);
        document["remainingResources"] = self.room_beside(arn, known.into_iter()).resources();
        let told = self.instances.told(arn, now);
        for member in ["status", "agentConnected"] {
            document[member] = told[member].clone();
        }
        document
    }

    /// What the subjects of an expression are, of an instance.
    pub(super) fn satisfies(&self, query: &Query, arn: &str) -> bool {
        let document = self.described(arn);
        query.holds(&|subject: &str| match subject {
            "agentVersion" => vec![text(&document["versionInfo"], "agentVersion").to_owned()],
            "ec2InstanceId" => vec![text(&document, "ec2InstanceId").to_owned()],
            "task:group" => self.tasks_on(arn).map(|task| text(task, "group").to_owned()).collect(),
            "agentConnected" | "registeredAt" | "runningTasksCount" => {
                vec![document[subject].to_string()]
            }
            attribute => {
                let name = attribute.trim_start_matches("attribute:");
                let named = list(&document, "attributes").iter().filter(|it| it["name"] == name);
                named.map(|it| text(it, "value").to_owned()).collect()
            }
        })
    }

    /// Source: ECS API, `ListContainerInstances`: without a status, all but those that are INACTIVE.
    pub(super) fn list_container_instances(&mut self, process: u32, input: &Value) -> Answer {
        rules::check_members(input, &["cluster", "filter", "nextToken", "maxResults", "status"])?;
        let cluster = self.check_cluster(input)?;
        let status = input.get("status").and_then(Value::as_str);
        let known = ["ACTIVE", "DRAINING", "REGISTERING", "DEREGISTERING", "REGISTRATION_FAILED"];
        let most = input.get("maxResults").and_then(Value::as_u64).unwrap_or(100);
        if !(1..=100).contains(&most) || status.is_some_and(|status| !known.contains(&status)) {
            return refuse("InvalidParameterException", "maxResults or status is not legal");
        }
        let query = input.get("filter").and_then(Value::as_str).map(Query::parse).transpose();
        let query = query.or_else(|why| refuse("InvalidParameterException", why))?;
        let now = self.millis();
        let matching = self.instances.of(&cluster).filter(|(arn, _)| {
            let document = self.instances.told(arn, now);
            status.map_or(document["status"] != "INACTIVE", |it| document["status"] == it)
                && query.as_ref().is_none_or(|query| self.satisfies(query, arn))
        });
        let arns: Vec<_> = matching.map(|(arn, _)| arn).collect();
        let from = text(input, "nextToken").parse().unwrap_or(0);
        let size = self.page_size.unwrap_or(100).min(usize::try_from(most).unwrap());
        let page: Vec<_> = arns.iter().copied().skip(from).take(size).collect();
        let mut answer = json!({"containerInstanceArns": page});
        if query.is_some() {
            self.watch.match_instances(process, input, &page);
        }
        if from + size < arns.len() {
            answer["nextToken"] = json!((from + size).to_string());
        }
        Ok(answer)
    }

    /// Source: ECS API, `DescribeContainerInstances`.
    pub(super) fn describe_container_instances(&mut self, process: u32, input: &Value) -> Answer {
        rules::check_members(input, &["cluster", "containerInstances", "include"])?;
        let cluster = self.check_cluster(input)?;
        let named = named_instances(input, 100)?;
        let tagged = list(input, "include").contains(&json!("TAGS"));
        let (mut instances, mut failures) = (Vec::new(), Vec::new());
        for arn in named.iter().map(|name| Instances::arn(&cluster, name)) {
            if !self.is_instance_of(&cluster, &arn) {
                failures.push(json!({"arn": arn, "reason": "MISSING"}));
                continue;
            }
            let mut document = self.described_late(&arn);
            if !tagged {
                document.as_object_mut().unwrap().remove("tags");
            }
            instances.push(document);
        }
        let now = self.millis();
        self.watch.describe_instances(process, &instances, now);
        Ok(json!({"containerInstances": instances, "failures": failures}))
    }

    pub(super) fn is_instance_of(&self, cluster: &str, arn: &str) -> bool {
        self.instances.of(cluster).any(|(known, _)| known == arn)
    }

    /// Source: ECS API, `UpdateContainerInstancesState`: of a service's tasks those that are
    /// PENDING stop at once; other tasks are left alone.
    pub(super) fn update_container_instances_state(&mut self, input: &Value) -> Answer {
        rules::check_members(input, &["cluster", "containerInstances", "status"])?;
        let cluster = self.check_cluster(input)?;
        let named = named_instances(input, 10)?;
        let status = text(input, "status");
        if !["ACTIVE", "DRAINING"].contains(&status) {
            return refuse("InvalidParameterException", "status must be ACTIVE or DRAINING");
        }
        let (mut instances, mut failures) = (Vec::new(), Vec::new());
        let now = self.epoch_seconds();
        for arn in named.iter().map(|name| Instances::arn(&cluster, name)) {
            let known = self.is_instance_of(&cluster, &arn);
            if !known || !self.accepts_state(&arn) {
                let reason = if known { "INACTIVE" } else { "MISSING" };
                failures.push(json!({"arn": arn, "reason": reason}));
                continue;
            }
            self.instances.documents.get_mut(&arn).unwrap()["status"] = json!(status);
            let pending =
                |task: &&mut Value| !is_standalone(task) && task["lastStatus"] == "PENDING";
            let here = self.tasks.values_mut().filter(|task| stands_on(task, &arn));
            for task in here.filter(pending).filter(|_| status == "DRAINING") {
                let reason = "Scaling activity initiated by the service scheduler";
                tasks::end(task, &now, ("ServiceSchedulerInitiated", reason, None));
            }
            instances.push(self.described(&arn));
        }
        Ok(json!({"containerInstances": instances, "failures": failures}))
    }

    fn accepts_state(&self, arn: &str) -> bool {
        ["ACTIVE", "DRAINING"].contains(&text(&self.instances.documents[arn], "status"))
    }

    /// Tags of a container instance. Source: ECS API, `TagResource`.
    pub(super) fn tag_resource(&mut self, input: &Value) -> Answer {
        rules::check_members(input, &["resourceArn", "tags"])?;
        rules::check_tags(input)?;
        let Some(document) = self.instances.documents.get_mut(text(input, "resourceArn")) else {
            return refuse("InvalidParameterException", "The specified resource is not known.");
        };
        let tags = document["tags"].as_array_mut().unwrap();
        for tag in list(input, "tags") {
            tags.retain(|there| there["key"] != tag["key"]);
            tags.push(tag.clone());
        }
        Ok(json!({}))
    }
}

/// The instances that a call names, as many as it may.
pub(super) fn named_instances(input: &Value, most: usize) -> Result<&[Value], Refused> {
    let named = list(input, "containerInstances");
    if (1..=most).contains(&named.len()) {
        return Ok(named);
    }
    refuse("InvalidParameterException", format!("containerInstances must be 1 to {most}"))
}

/// Whether no service has started a task.
pub(super) fn is_standalone(task: &Value) -> bool {
    !text(task, "group").starts_with("service:")
}
