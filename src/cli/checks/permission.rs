//! What the role of the deployed function may do, as IAM says without anybody doing it.

use std::collections::{BTreeMap, BTreeSet};

use decision::plan::{Group, Revision, Way, WorkerPlan};
use decision::units::{Arn, ClusterName, Family, RevisionArn, WorkerName};

use super::{Finding, Level, Looks};
use crate::aws::{Context, ECS_TASKS, Permission, Verdict};

/// Who takes the role of a volume. Source: ECS developer guide, "Amazon ECS infrastructure IAM role".
const ECS: &str = "ecs.amazonaws.com";

/// What the function has to be allowed for a worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    ReadQueue { has_policy: bool },
    RunTask { cluster: String },
    StartTask { cluster: String },
    RegisterTaskDefinition,
    PassRole,
    PassVolumeRole,
}

/// Which workers need it, by resource.
type Needs = BTreeMap<Need, BTreeMap<String, BTreeSet<WorkerName>>>;

/// What was found: of workers, and of none alone.
#[derive(Default)]
pub(super) struct Found {
    pub(super) of_workers: BTreeMap<WorkerName, Vec<Finding>>,
    pub(super) of_all: Vec<Finding>,
}

impl Looks<'_> {
    /// What the function may not do; nothing where no function was named.
    pub(super) async fn of_permissions(&self) -> Found {
        let mut found = Found::default();
        let Some(role) = &self.deployment.role else { return found };
        for (need, workers) in self.needs().await {
            let resources: Vec<_> = workers.keys().cloned().collect();
            let verdicts = self.cloud.may(role, &need.permission(), &resources).await;
            let verdicts = match verdicts {
                Ok(verdicts) => verdicts,
                Err(error) => {
                    let what = format!("whether the function may {} is", need.verb());
                    found.of_all.push(Finding::not_checked(&what, &error));
                    continue;
                }
            };
            for (resource, workers) in workers {
                let verdict = verdicts.get(&resource).copied();
                let Some(finding) = need.finding(verdict, &resource) else { continue };
                for worker in workers {
                    found.of_workers.entry(worker).or_default().push(finding.clone());
                }
            }
        }
        found
    }

    async fn needs(&self) -> Needs {
        let mut needs = Needs::new();
        for plan in &self.foreseen.plan.workers {
            let mut add = |need: Need, resource: String| {
                let workers = needs.entry(need).or_default().entry(resource).or_default();
                workers.insert(plan.worker.clone());
            };
            let worker = self.foreseen.config.workers.iter().find(|it| it.name == plan.worker);
            let Some(worker) = worker else { continue };
            if let Ok(queue) = &*self.queue(&worker.queue).await
                && !queue.arn.is_empty()
            {
                add(Need::ReadQueue { has_policy: queue.has_policy }, queue.arn.clone());
            }
            let base = self.foreseen.snapshot.definitions.get(&worker.task_definition);
            let Some(Ok(base)) = base else { continue };
            for (need, resource) in of_launch(plan, &base.arn) {
                add(need, resource);
            }
        }
        needs
    }
}

/// What its largest launch calls, and on what.
fn of_launch(plan: &WorkerPlan, base: &RevisionArn) -> Vec<(Need, String)> {
    let Some(check) = &plan.check else { return Vec::new() };
    let roles = check.roles.iter().filter(|role| role.starts_with("arn:"));
    let mut needs: Vec<_> = roles.map(|role| (Need::PassRole, role.clone())).collect();
    needs.extend(check.volume_roles.iter().map(|role| (Need::PassVolumeRole, role.clone())));
    let Some(launch) = &check.largest else { return needs };
    let Some(cluster) = cluster_arn(&launch.cluster, base) else { return needs };
    for Group { revision, calls, .. } in launch.groups.iter().chain(&launch.smaller) {
        let definition = match revision {
            Revision::Registered(arn) => arn.to_string(),
            Revision::Derived(variant, _) => {
                let next = next_revision(base, &variant.family);
                needs.push((Need::RegisterTaskDefinition, next.clone()));
                next
            }
        };
        needs.extend(calls.iter().map(|call| {
            let cluster = cluster.clone();
            let need = match &call.way {
                Way::Run(_) | Way::Pin(..) => Need::RunTask { cluster },
                Way::Start(_) => Need::StartTask { cluster },
            };
            (need, definition.clone())
        }));
    }
    needs
}

impl Need {
    fn permission(&self) -> Permission<'_> {
        let context = match self {
            Self::RunTask { cluster } | Self::StartTask { cluster } => {
                Some(Context { key: "ecs:cluster", value: cluster })
            }
            Self::PassRole => Some(Context { key: "iam:PassedToService", value: ECS_TASKS }),
            Self::PassVolumeRole => Some(Context { key: "iam:PassedToService", value: ECS }),
            Self::ReadQueue { .. } | Self::RegisterTaskDefinition => None,
        };
        Permission { action: self.action(), context }
    }

    fn action(&self) -> &'static str {
        match self {
            Self::ReadQueue { .. } => "sqs:GetQueueAttributes",
            Self::RunTask { .. } => "ecs:RunTask",
            Self::StartTask { .. } => "ecs:StartTask",
            Self::RegisterTaskDefinition => "ecs:RegisterTaskDefinition",
            Self::PassRole | Self::PassVolumeRole => "iam:PassRole",
        }
    }

    fn verb(&self) -> &'static str {
        match self {
            Self::ReadQueue { .. } => "read queues",
            Self::RunTask { .. } => "run tasks",
            Self::StartTask { .. } => "start tasks on instances",
            Self::RegisterTaskDefinition => "register task definitions",
            Self::PassRole => "pass roles to tasks",
            Self::PassVolumeRole => "pass roles to ECS for volumes",
        }
    }

    /// The same of one resource, as the person names it who has to do something about it.
    fn what(&self, resource: &str) -> String {
        let name = resource.rsplit('/').next().unwrap_or(resource);
        let family = name.rsplit_once(':').map_or(name, |(family, _)| family);
        match self {
            Self::ReadQueue { .. } => format!("read the queue {resource}"),
            Self::RunTask { cluster } => format!("run {family} in {cluster}"),
            Self::StartTask { cluster } => format!("start {family} on instances of {cluster}"),
            Self::RegisterTaskDefinition => format!("register {family}"),
            Self::PassRole => format!("pass the role {resource}"),
            Self::PassVolumeRole => format!("pass the role {resource} to ECS"),
        }
    }

    /// What to do in the stack of `template.yaml`.
    fn way_out(&self) -> &'static str {
        match self {
            Self::ReadQueue { .. } => "add the queue to the stack's QueueArns",
            Self::RunTask { .. } => {
                "the stack's ClusterArns have to hold the cluster, and its TaskDefinitionArns the definition"
            }
            Self::StartTask { .. } => {
                "the stack needs `OwnScheduler=yes`, the cluster among its ClusterArns, and the definition among \
                 its TaskDefinitionArns"
            }
            Self::RegisterTaskDefinition => {
                "the stack needs `Registration=on`, or the configuration `registration: off`"
            }
            Self::PassRole => "add it to the stack's PassedRoleArns",
            Self::PassVolumeRole => "add it to the stack's VolumeRoleArns",
        }
    }

    /// None where it may; no verdict is none of IAM's.
    fn finding(&self, verdict: Option<Verdict>, resource: &str) -> Option<Finding> {
        let (what, action) = (self.what(resource), self.action());
        let open = |why: &str| {
            let message = format!("whether the function may {what} ({action}) {why}");
            Some(Finding::new(Level::NotChecked, message))
        };
        let Some(verdict) = verdict else { return open("is not in IAM's answer") };
        match (verdict, self) {
            (Verdict::Allowed, _) => None,
            (Verdict::Open, _) => open("hangs on conditions that are not known here"),
            (Verdict::NotAllowed, Self::ReadQueue { has_policy: true }) => open(
                "hangs on the queue's own policy, which is not looked at: its role does not allow it",
            ),
            (Verdict::NotAllowed, _) => {
                let way_out = self.way_out();
                Some(Finding::wrong(format!("the function may not {what} ({action}): {way_out}")))
            }
            (Verdict::Denied, _) => Some(Finding::wrong(format!(
                "a policy denies the function to {what} ({action}): of the role, its boundary, or the organization"
            ))),
        }
    }
}

fn cluster_arn(cluster: &ClusterName, base: &RevisionArn) -> Option<String> {
    let base = base.to_string();
    let Arn { partition, region, account, .. } = Arn::parse(&base)?;
    let name = cluster.as_str();
    let is_arn = name.starts_with("arn:");
    Some(if is_arn {
        name.to_owned()
    } else {
        format!("arn:{partition}:ecs:{region}:{account}:cluster/{name}")
    })
}

/// The revision that would be registered; its number decides about nothing.
fn next_revision(base: &RevisionArn, family: &Family) -> String {
    let base = base.to_string();
    let before = base.rsplit_once('/').map(|(before, _)| before).unwrap_or_default();
    format!("{before}/{family}:1")
}
