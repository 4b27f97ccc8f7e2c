//! `start`: tasks of any definition on container instances, by our own scheduler.

use std::collections::BTreeMap;

use decision::config::{Config, ConfigError, Worker};
use decision::decide::{OnInstances, place_as_is};
use decision::event::Tick;
use decision::outcome::{StartedTask, TaskFailure};
use decision::plan::{Marks, NetworkMode};
use decision::snapshot::{CallError, ErrorKind, ReadError, Snapshot, TickContext};
use decision::units::{InstanceArn, Region, RevisionArn, ScalerName, Tasks};
use serde_json::{Map, json};

use super::page::{Meaning, Page, counted, quoted, short_id};
use crate::aws::{ReadCloud, StartTasks, Started, WriteCloud};
use crate::observe::with_fresh_instances;
use crate::run::Invocation;

/// `startedBy` of these tasks: no scaler may count them as its own.
const STARTED_BY: &str = "queue-scaler-start";

/// What stands for the one worker that there is.
const WORKER: &str = "start";

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Where.
    pub cluster: String,
    /// `family`, `family:revision` or an ARN.
    pub task_definition: String,
    /// How many.
    pub count: u32,
    /// `leastTasks`, `binpack` or `spread`.
    pub scheduler: String,
    /// Services of which a task must run on an instance.
    pub require_daemons: Vec<String>,
    /// For the network mode `awsvpc`.
    pub subnets: Vec<String>,
    /// For the network mode `awsvpc`.
    pub security_groups: Vec<String>,
    /// The profile by which it was asked, where one was named.
    pub profile: Option<String>,
}

/// Why nothing is started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What was asked for cannot be.
    #[error("{0}")]
    Wrong(String),
    /// Something could not be read.
    #[error("{0}")]
    Read(#[from] ReadError),
}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::Wrong(error.to_string())
    }
}

/// Tasks that are to be started, each with its instance.
#[derive(Clone, Debug)]
pub struct ToStart {
    worker: Worker,
    revision: RevisionArn,
    network_mode: NetworkMode,
    count: Tasks,
    placed: OnInstances,
    /// Machines by the container instance.
    ec2: BTreeMap<InstanceArn, String>,
    /// The command that lists them.
    list: String,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Came {
    /// Tasks that were started.
    pub started: Vec<StartedTask>,
    /// Why others were not.
    pub failures: Vec<TaskFailure>,
    /// The call after which none was made.
    pub error: Option<CallError>,
}

/// Finds an instance for each.
///
/// # Errors
/// When something is wrong with what was asked for, or could not be read.
pub async fn prepare(
    cloud: &ReadCloud,
    asked: &Asked,
    invocation: &Invocation,
) -> Result<ToStart, StartError> {
    let worker = worker(asked)?;
    let definition = cloud.definition(&worker.task_definition).await?;
    let mode = definition.view.network_mode.as_deref();
    let revision = definition.arn.family_and_revision();
    let network_mode = match (mode, &worker.launch.network) {
        (Some("awsvpc"), Some(_)) => NetworkMode::AwsVpc,
        (Some("awsvpc"), None) => {
            return Err(StartError::Wrong(format!(
                "{revision} has the network mode awsvpc: give --subnet, and --security-group where the VPC's \
                 default one is not meant"
            )));
        }
        (mode, Some(_)) => {
            let mode = mode.unwrap_or("bridge");
            return Err(StartError::Wrong(format!(
                "{revision} has the network mode {mode}, by which its tasks get no network of their own: leave \
                 out --subnet and --security-group"
            )));
        }
        (_, None) => NetworkMode::Other,
    };
    let scaler = ScalerName(STARTED_BY.to_owned());
    let context = TickContext {
        scaler: &scaler,
        tick: &Tick::Request(STARTED_BY.to_owned()),
        delivery: STARTED_BY,
        function: STARTED_BY,
        checks: false,
        now: invocation.now,
        answers_hooks: false,
        may_overlap: false,
    };
    let revision = definition.arn.clone();
    let mut snapshot = Snapshot::unread(context, cloud.region().clone());
    snapshot.definitions.insert(worker.task_definition.clone(), Ok(definition));
    let workers = std::iter::once(&worker);
    let snapshot = Box::pin(with_fresh_instances(cloud, snapshot, workers)).await;
    let count = Tasks(asked.count);
    let placed = place_as_is(&worker, &snapshot, count)?;
    let read = snapshot.instances.get(&worker.cluster).and_then(|read| read.as_ref().ok());
    let ec2 = read.into_iter().flat_map(|read| &read.active);
    let ec2 = ec2.map(|instance| (instance.arn.clone(), instance.ec2.to_string())).collect();
    let list = list(asked, cloud.region());
    Ok(ToStart { worker, revision, network_mode, count, placed, ec2, list })
}

/// The command of the AWS CLI that lists these tasks.
fn list(asked: &Asked, region: &Region) -> String {
    let Asked { cluster, profile, .. } = asked;
    let profile = profile.as_ref().map(|name| format!(" --profile {}", quoted(name)));
    format!(
        "aws ecs list-tasks --cluster {} --started-by {STARTED_BY} --region {region}{}",
        quoted(cluster),
        profile.unwrap_or_default()
    )
}

/// What was asked for, as a configuration says it: its reader knows what may be.
fn worker(asked: &Asked) -> Result<Worker, StartError> {
    let Asked { cluster, task_definition, scheduler, require_daemons, .. } = asked;
    let mut vpc = Map::from_iter([("subnets".to_owned(), json!(asked.subnets))]);
    if !asked.security_groups.is_empty() {
        vpc.insert("securityGroups".to_owned(), json!(asked.security_groups));
    }
    let placement = json!({"scheduler": scheduler, "requireDaemons": require_daemons});
    let mut launch = Map::from_iter([
        ("launchType".to_owned(), json!("EC2")),
        ("placement".to_owned(), placement),
    ]);
    if !asked.subnets.is_empty() {
        let network = json!({"awsvpcConfiguration": vpc});
        launch.insert("networkConfiguration".to_owned(), network);
    }
    let document = json!({"cluster": cluster, "workers": [{
        "name": WORKER, "queue": WORKER, "taskDefinition": task_definition,
        "scaling": {"messagesPerContainer": 1}, "launch": launch,
    }]});
    let mut config = Config::from_value(&document)?;
    if let Some(worker) = config.workers.pop() {
        return Ok(worker);
    }
    let problems = config.refused.iter().flat_map(|refused| &refused.problems);
    let problems: Vec<_> =
        problems.map(|problem| format!("{}: {}", problem.path, problem.message)).collect();
    Err(StartError::Wrong(problems.join("\n")))
}

impl ToStart {
    /// Whether there is nothing that could be started.
    pub fn is_nowhere(&self) -> bool {
        self.placed.calls.is_empty()
    }

    /// Which tasks go where, and why others have no room.
    pub fn page(&self, width: usize) -> String {
        let Self { worker, revision, count, placed, .. } = self;
        let mut page = Page::new(width);
        let mut on = BTreeMap::<_, u64>::new();
        for arn in placed.calls.iter().flatten() {
            let tasks = on.entry(arn).or_default();
            *tasks = tasks.saturating_add(1);
        }
        let fit: u64 = on.values().sum();
        let revision = revision.family_and_revision();
        let of = format!("of {revision} in {}", worker.cluster);
        let places: Vec<_> =
            on.iter().map(|(arn, tasks)| format!("{tasks} on {}", self.machine(arn))).collect();
        if fit == 0 {
            let text = format!("no instance has room for a task {of}");
            page.entry_of(Meaning::Bad, "! ", &text);
        } else {
            let text = format!("{} {of}: {}", counted(fit, "task"), places.join(", "));
            page.entry_of(Meaning::Good, "> StartTask  ", &text);
        }
        let left = u64::from(count.0).saturating_sub(fit);
        if left != 0 {
            let lacks = placed.lacks.iter().map(|(lack, instances)| format!("{instances} {lack}"));
            let lacks: Vec<_> = lacks.collect();
            let why = match lacks.join(", ") {
                none if none.is_empty() => {
                    "the cluster has no ACTIVE container instance".to_owned()
                }
                lacks => format!("instances: {lacks}"),
            };
            let text = format!("{} without room; {why}", counted(left, "task"));
            page.entry_of(Meaning::Warning, "! ", &text);
        }
        page.text()
    }

    fn machine<'a>(&'a self, arn: &'a InstanceArn) -> &'a str {
        self.ec2.get(arn).map_or_else(|| short_id(arn.as_str()), String::as_str)
    }

    /// What may have been started, wherever it is ended.
    pub fn may_be_started(&self) -> String {
        let most = self.placed.calls.iter().flatten().count();
        let most = counted(u64::try_from(most).unwrap_or(u64::MAX), "task");
        format!("up to {most} may have been started; `{}` shows them", self.list)
    }

    /// Starts them, call by call, none a second time. After an error there is no further call.
    pub async fn start(&self, cloud: &WriteCloud) -> Came {
        let Self { worker, revision, network_mode, placed, .. } = self;
        let group = format!("family:{}", revision.family());
        let marks = Marks { scaler: ScalerName(STARTED_BY.to_owned()), group, tags: Vec::new() };
        let mut came = Came::default();
        for (number, on) in placed.calls.iter().enumerate() {
            let start = StartTasks {
                cluster: &worker.cluster,
                on,
                revision,
                marks: &marks,
                number,
                launch: &worker.launch,
                overrides: None,
                network_mode: *network_mode,
            };
            match cloud.start_tasks(start).await {
                Ok(Started { tasks, failures }) => {
                    came.started.extend(tasks);
                    came.failures.extend(failures);
                }
                Err(error) => {
                    came.error = Some(error);
                    break;
                }
            }
        }
        came
    }

    /// What came of it, a line each, and whether all are there.
    pub fn report(&self, came: &Came) -> (Vec<String>, bool) {
        let Came { started, failures, error } = came;
        let line = |task: &StartedTask| {
            let on = task.instance.as_ref().map(|arn| format!("  on {}", self.machine(arn)));
            format!("{}{}", short_id(task.arn.as_str()), on.unwrap_or_default())
        };
        let mut lines: Vec<_> = started.iter().map(line).collect();
        for TaskFailure { reason, detail, instance, .. } in failures {
            let on = instance.as_ref().map(|arn| format!(" on {}", self.machine(arn)));
            let detail = detail.as_ref().map(|detail| format!(" ({detail})"));
            let (on, detail) = (on.unwrap_or_default(), detail.unwrap_or_default());
            lines.push(format!("not started{on}: {reason}{detail}"));
        }
        if let Some(error) = error {
            let may_be = match error.kind {
                ErrorKind::Unanswered => format!(
                    "; that call may have started its tasks all the same, and is not repeated: before you start \
                     more, look with `{}`, which lists those that have not ended",
                    self.list
                ),
                ErrorKind::Refused | ErrorKind::Later | ErrorKind::OutOfTime => String::new(),
            };
            lines.push(format!("{error}{may_be}"));
        }
        (lines, Tasks::counted(started.len()) == self.count)
    }
}
