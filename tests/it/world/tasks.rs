//! ECS: tasks, from `RunTask` to their end.

use serde_json::{Value, json};

use super::definitions::Revision;
use super::instances::{Instances, is_standalone};
use super::placing::Spot;
use super::{ACCOUNT, Answer, REGION, Refused, State, World, list, refuse, rules, text};

impl World {
    /// All tasks that ECS does not want stopped, as documents; without those of services, which
    /// the other functions here leave alone too.
    pub(crate) fn tasks(&self) -> Vec<Value> {
        let state = self.state();
        let own = state.tasks.values().filter(|task| is_standalone(task));
        own.filter(|task| task["desiredStatus"] == "RUNNING").cloned().collect()
    }

    /// Everything that was started runs now, but for what hangs.
    pub(crate) fn all_run(&self) {
        let mut state = self.state();
        let now = state.epoch_seconds();
        let own = state.tasks.values_mut().filter(|task| is_standalone(task) && !hangs(task));
        let is_on_its_way =
            |task: &&mut Value| task["lastStatus"] != "RUNNING" && task["lastStatus"] != "STOPPED";
        for task in own.filter(is_on_its_way) {
            set_status(task, "RUNNING");
            task["startedAt"] = now.clone();
        }
    }

    /// So many of the tasks never start, and never end.
    pub(crate) fn hang(&self, count: usize) {
        for task in self.state().tasks.values_mut().take(count) {
            task["hangs"] = json!(true);
        }
    }

    /// Everything has ended as it should.
    pub(crate) fn all_stop(&self) {
        self.all_end("EssentialContainerExited", "Essential container in task exited", Some(0));
    }

    /// Everything that has not ended ends now, but for what hangs; without an exit code nothing has
    /// ever run.
    pub(crate) fn all_end(&self, code: &str, reason: &str, exit: Option<i32>) {
        let mut state = self.state();
        let now = state.epoch_seconds();
        let own = state.tasks.values_mut().filter(|task| is_standalone(task));
        for task in own.filter(|task| task["desiredStatus"] == "RUNNING" && !hangs(task)) {
            end(task, &now, (code, reason, exit));
        }
    }

    /// Everything has got its SIGTERM, and has not ended yet.
    pub(crate) fn all_are_stopping(&self) {
        for task in self.state().tasks.values_mut() {
            task["desiredStatus"] = json!("STOPPED");
        }
    }

    /// What was on its way out has ended.
    pub(crate) fn all_have_stopped(&self, code: &str, exit: Option<i32>) {
        let mut state = self.state();
        let now = state.epoch_seconds();
        for task in state.tasks.values_mut() {
            if task["desiredStatus"] == "STOPPED" && task.get("stoppedAt").is_none() {
                end(task, &now, (code, "", exit));
            }
        }
    }

    /// Something of every task is as nobody has expected.
    pub(crate) fn change_tasks(&self, change: impl Fn(&mut Value)) {
        self.state().tasks.values_mut().for_each(change);
    }

    /// One container of every task has ended.
    pub(crate) fn containers_stop(&self, name: &str) {
        self.set_of_containers(name, ("lastStatus", "STOPPED"));
    }

    /// A member of one container of every task.
    pub(crate) fn set_of_containers(&self, name: &str, (member, value): (&str, &str)) {
        for task in self.state().tasks.values_mut() {
            for container in task["containers"].as_array_mut().unwrap() {
                if container["name"] == name {
                    container[member] = json!(value);
                }
            }
        }
    }

    /// Nobody knows any more when anything was started.
    pub(crate) fn forget_starts(&self) {
        for task in self.state().tasks.values_mut() {
            task.as_object_mut().unwrap().remove("startedAt");
        }
    }

    /// No task has this tag.
    pub(crate) fn forget_tag(&self, key: &str) {
        for task in self.state().tasks.values_mut() {
            task["tags"].as_array_mut().unwrap().retain(|tag| tag["key"] != key);
        }
    }

    /// ECS has put a container of its own into every task.
    pub(crate) fn inject(&self, container: &Value) {
        for task in self.state().tasks.values_mut() {
            task["containers"].as_array_mut().unwrap().insert(0, container.clone());
        }
    }
}

/// A task stops, for a reason and with the exit code of its worker containers.
pub(super) fn end(task: &mut Value, now: &Value, (code, reason, exit): (&str, &str, Option<i32>)) {
    set_status(task, "STOPPED");
    let ended = json!({"desiredStatus": "STOPPED", "stoppedAt": now, "stopCode": code, "stoppedReason": reason});
    task.as_object_mut().unwrap().extend(ended.as_object().unwrap().clone());
    if exit.is_some() && task.get("startedAt").is_none() {
        task["startedAt"] = now.clone();
    }
    for container in task["containers"].as_array_mut().unwrap() {
        if exit.is_some() && container.get("exitCode").is_none() {
            container["exitCode"] = json!(exit);
        }
    }
}

fn hangs(task: &Value) -> bool {
    task.get("hangs").is_some()
}

pub(super) fn set_status(task: &mut Value, status: &str) {
    task["lastStatus"] = json!(status);
    for container in task["containers"].as_array_mut().unwrap() {
        // What has stopped does not come back.
        if container["lastStatus"] != "STOPPED" {
            container["lastStatus"] = json!(status);
        }
    }
}

impl State {
    pub(super) fn check_cluster(&self, input: &Value) -> Result<String, Refused> {
        let cluster = text(input, "cluster").rsplit('/').next().unwrap_or_default().to_owned();
        if self.clusters.contains(&cluster) {
            return Ok(cluster);
        }
        refuse("ClusterNotFoundException", "Cluster not found.")
    }

    /// A stopped task is known for an hour.
    /// Source: ECS developer guide, "Stopped tasks error messages".
    fn is_forgotten(&self, task: &Value) -> bool {
        let stopped = task.get("stoppedAt").and_then(Value::as_f64);
        let now = self.timestamp().as_duration().as_secs_f64();
        stopped.is_some_and(|stopped| 3600.0 < now - stopped)
    }

    /// What stopped longer ago than any job lasts is counted and gone.
    fn forget(&mut self) {
        let long_ago = self.timestamp().as_duration().as_secs_f64() - 3.0 * 3600.0;
        let stopped = |task: &Value| task["stoppedAt"].as_f64().is_some_and(|at| at < long_ago);
        let gone = self.tasks.iter().filter(|(_, task)| stopped(task));
        let gone: Vec<_> = gone.map(|(arn, _)| arn.clone()).collect();
        for task in gone.iter().filter_map(|arn| self.tasks.remove(arn)).filter(is_standalone) {
            self.forgotten.0 += 1;
            self.forgotten.1 += usize::from(task["launchType"] == "EC2");
        }
    }

    /// Source: ECS API, `ListTasksRequest.startedBy`: no other filter beside it.
    pub(super) fn list_tasks(&mut self, process: u32, input: &Value) -> Answer {
        let cluster = self.check_cluster(input)?;
        let filters = ["containerInstance", "family", "serviceName", "desiredStatus", "launchType"];
        let filtered = filters.into_iter().any(|filter| input.get(filter).is_some());
        let started_by = input.get("startedBy");
        if started_by.is_some() && filtered {
            return refuse("InvalidParameterException", "startedBy must be the only filter");
        }
        if 100 < input.get("maxResults").and_then(Value::as_u64).unwrap_or(100) {
            return refuse("InvalidParameterException", "maxResults is at most 100");
        }
        let service = input.get("serviceName").and_then(Value::as_str);
        let service = service.map(|name| name.rsplit('/').next().unwrap_or(name));
        if service.is_some_and(|name| !self.instances.has_service(&cluster, name)) {
            return refuse("ServiceNotFoundException", "Service not found.");
        }
        let group = service.map(|name| format!("service:{name}"));
        let family = input.get("family").and_then(Value::as_str);
        let launch_type = input.get("launchType");
        let instance = input.get("containerInstance").map(|name| Instances::arn(&cluster, name));
        self.forget();
        let now = self.millis();
        self.watch.ask_for_service(process, input);
        if service.is_none() {
            self.watch.listed(process, now);
        }
        let desired = input.get("desiredStatus").cloned().unwrap_or(json!("RUNNING"));
        let matching = self.tasks.values().filter(|task| {
            task["cluster"] == cluster
                && task["desiredStatus"] == desired
                && !self.is_forgotten(task)
                && self.watch.is_listed(text(task, "taskArn"), now)
                && started_by.is_none_or(|name| task["startedBy"] == *name)
                && group.as_ref().is_none_or(|group| task["group"] == *group)
                && family.is_none_or(|family| family_of(task) == family)
                && launch_type.is_none_or(|launch_type| task["launchType"] == *launch_type)
                && instance.as_ref().is_none_or(|arn| task["containerInstanceArn"] == *arn)
        });
        let arns: Vec<_> = matching.map(|task| task["taskArn"].clone()).collect();
        let from = text(input, "nextToken").parse().unwrap_or(0);
        let size = self.page_size.unwrap_or(100);
        let page: Vec<_> = arns.iter().skip(from).take(size).collect();
        self.watch.show(process, page.iter().copied());
        let mut answer = json!({"taskArns": page});
        if from + size < arns.len() {
            answer["nextToken"] = json!((from + size).to_string());
        }
        Ok(answer)
    }

    /// Source: ECS API, `DescribeTasksRequest.tasks`: at most 100.
    pub(super) fn describe_tasks(&mut self, process: u32, input: &Value) -> Answer {
        self.check_cluster(input)?;
        let arns = list(input, "tasks");
        if arns.is_empty() || 100 < arns.len() {
            return refuse("InvalidParameterException", "tasks must be 1 to 100");
        }
        let (mut tasks, mut failures) = (Vec::new(), Vec::new());
        for arn in arns {
            match self.tasks.get(arn.as_str().unwrap_or_default()) {
                Some(task)
                    if self.watch.is_described(text(task, "taskArn"), self.millis())
                        && !self.is_forgotten(task) =>
                {
                    let mut task = task.clone();
                    if !list(input, "include").contains(&json!("TAGS")) {
                        task.as_object_mut().unwrap().remove("tags");
                    }
                    tasks.push(task);
                }
                _ => failures.push(json!({"arn": arn, "reason": "MISSING"})),
            }
        }
        self.watch.describe_tasks(process, &tasks);
        Ok(json!({"tasks": tasks, "failures": failures}))
    }

    pub(super) fn run_task(
        &mut self,
        process: u32,
        input: &Value,
        placed: Option<(usize, &'static str)>,
    ) -> Answer {
        rules::check_run(input)?;
        let cluster = self.check_cluster(input)?;
        let token = (cluster.clone(), text(input, "clientToken").to_owned());
        if let Some((request, answer)) = self.tokens.get(&token) {
            // Source: ECS developer guide, "Ensuring idempotency".
            return if request == input { Ok(answer.clone()) } else { conflict(answer) };
        }
        let Some(revision) = self.definitions.find(text(input, "taskDefinition")) else {
            return refuse("ClientException", "TaskDefinition not found.");
        };
        let revision = revision.runnable()?.clone();
        rules::check_run_of(input, &revision.document)?;
        rules::beside::check(input, &revision)?;
        let count = usize::try_from(input["count"].as_u64().unwrap_or(1)).unwrap();
        let now = self.millis();
        let room = self.weather.as_mut().and_then(|weather| weather.room(input, now));
        let (placed, reason) = placed.or(room).unwrap_or((count, ""));
        let launch = Launch { process, input, cluster, revision };
        let mut spots = match self.place(&launch, count.min(placed))? {
            Some(spots) => spots,
            None => vec![Spot::Somewhere; count.min(placed)],
        };
        for spot in &spots {
            if let Spot::On(arn) = spot {
                self.watch_place(process, (input, &launch.revision.document), arn);
            }
        }
        spots.resize(count, Spot::Failed(json!({"reason": reason})));
        let answer = self.launch(&launch, &spots);
        self.tokens.insert(token, (input.clone(), answer.clone()));
        Ok(answer)
    }

    /// Starts a task on each spot that is none that failed.
    pub(super) fn launch(&mut self, launch: &Launch<'_>, spots: &[Spot]) -> Value {
        let Launch { process, input, cluster, revision } = launch;
        let failed = |spot: &&Spot| matches!(spot, Spot::Failed(_));
        let placed = spots.len() - spots.iter().filter(failed).count();
        self.watch_run(*process, input, (&revision.document, placed));
        let (mut tasks, mut failures) = (Vec::new(), Vec::new());
        for spot in spots {
            if let Spot::Failed(failure) = spot {
                failures.push(failure.clone());
                continue;
            }
            // From the token, so that it does not depend on what others start.
            let id = match text(input, "clientToken").get(..30) {
                Some(token) => format!("{token}{:02x}", tasks.len()),
                None => self.instances.next_id(),
            };
            let arn = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task/{cluster}/{id}");
            let mut task = new_task(input, (&arn, cluster), (&revision.document, revision.arn()));
            task["createdAt"] = self.epoch_seconds();
            self.place_by_default(&mut task);
            if let Spot::On(instance) = spot {
                task["launchType"] = json!("EC2");
                task["containerInstanceArn"] = json!(instance);
                task["lastStatus"] = json!("PENDING");
            }
            self.tasks.insert(arn.clone(), task.clone());
            self.begin(*process, &arn);
            tasks.push(task);
        }
        json!({"tasks": tasks, "failures": failures})
    }

    /// Source: ECS API, `RunTaskRequest.capacityProviderStrategy`: without one and without a launch
    /// type, the cluster's default strategy counts.
    fn place_by_default(&self, task: &mut Value) {
        let default = self.default_capacity;
        if task["launchType"].is_null()
            && task["capacityProviderName"].is_null()
            && !default.is_empty()
        {
            task["capacityProviderName"] = json!(default);
        }
        if text(task, "capacityProviderName").starts_with("FARGATE") {
            task["launchType"] = json!("FARGATE");
        }
    }

    /// Source: ECS API, `StopTask`: the task's tags are deleted. How long a reason may be is said
    /// differently in different versions; this is the longer one.
    pub(super) fn stop_task(&mut self, input: &Value) -> Answer {
        rules::check_members(input, &["cluster", "task", "reason"])?;
        let cluster = self.check_cluster(input)?;
        let (id, reason) = (text(input, "task"), text(input, "reason"));
        if 1024 < reason.chars().count() {
            return refuse("InvalidParameterException", "reason is too long");
        }
        let now = self.epoch_seconds();
        let known = self.tasks.values_mut().find(|task| {
            let arn = text(task, "taskArn");
            task["cluster"] == cluster && (arn == id || arn.rsplit('/').next() == Some(id))
        });
        let Some(task) = known else {
            return refuse("InvalidParameterException", "The referenced task was not found.");
        };
        if task["desiredStatus"] == "RUNNING" {
            let exit = task.get("startedAt").map(|_| 143);
            end(task, &now, ("UserInitiated", reason, exit));
            task["tags"] = json!([]);
        }
        Ok(json!({"task": task}))
    }
}

fn family_of(task: &Value) -> &str {
    let revision = text(task, "taskDefinitionArn").rsplit('/').next().unwrap_or_default();
    revision.split(':').next().unwrap_or_default()
}

/// A call that is about to start tasks.
pub(super) struct Launch<'a> {
    pub(super) process: u32,
    pub(super) input: &'a Value,
    pub(super) cluster: String,
    pub(super) revision: Revision,
}

/// Source: ECS API, `ConflictException.resourceIds`.
fn conflict(answer: &Value) -> Answer {
    let arns: Vec<_> = list(answer, "tasks").iter().map(|task| task["taskArn"].clone()).collect();
    let message = "The clientToken was used with other parameters.".to_owned();
    let more = json!({"resourceIds": arns});
    Err(Refused { code: "ConflictException", message, more })
}

pub(super) fn new_task(
    input: &Value,
    (arn, cluster): (&str, &str),
    (definition, revision): (&Value, &str),
) -> Value {
    let containers = list(definition, "containerDefinitions").iter().map(
        |container| json!({"name": container["name"], "lastStatus": "PENDING", "taskArn": arn}),
    );
    let family = format!("family:{}", text(definition, "family"));
    let architecture =
        definition["runtimePlatform"]["cpuArchitecture"].as_str().unwrap_or("X86_64");
    json!({
        "taskArn": arn, "cluster": cluster, "taskDefinitionArn": revision,
        "desiredStatus": "RUNNING", "lastStatus": "PROVISIONING",
        "startedBy": input["startedBy"], "tags": input["tags"], "overrides": rules::beside::shown(input),
        "group": input.get("group").cloned().unwrap_or(json!(family)),
        "containers": containers.collect::<Vec<_>>(),
        "launchType": input["launchType"],
        "capacityProviderName": input["capacityProviderStrategy"][0]["capacityProvider"],
        "cpu": definition["cpu"], "memory": definition["memory"],
        "platformFamily": definition["runtimePlatform"]["operatingSystemFamily"],
        "ephemeralStorage": definition["ephemeralStorage"],
        "attributes": [{"name": "ecs.cpu-architecture", "value": architecture.to_lowercase()}],
    })
}
