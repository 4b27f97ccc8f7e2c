//! What a tick did about an instance that a lifecycle hook holds.

use serde::Serialize;

use super::{Origin, word};
use crate::act::AnswerOutcome;
use crate::aws::Answered;
use decision::plan::{Because, HookAnswer, HookPlan, Reply};
use decision::snapshot::{CallError, ReadError};
use decision::units::{ClusterName, Ec2InstanceId, InstanceArn};

/// What a tick did about an instance that a hook holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HookReport {
    /// Where it is.
    pub cluster: ClusterName,
    /// Its machine; none where the cluster could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<Ec2InstanceId>,
    /// Which container instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_instance: Option<InstanceArn>,
    /// The Auto Scaling group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The hook that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hook: Option<String>,
    /// What came of it.
    pub outcome: HookOutcome,
    /// Why it is held, or what Auto Scaling says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What somebody has to look at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

/// What a tick did about a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum HookOutcome {
    /// It holds on.
    Held,
    /// It lets the instance go.
    Completed,
    /// It held nothing any more.
    Over,
    /// A dry run would have answered it.
    Planned,
    /// Something could not be read or done: see the errors.
    Failed,
}

impl HookReport {
    /// What came of a tick's plan for a hook.
    pub fn of(outcome: AnswerOutcome) -> Self {
        let AnswerOutcome { plan, answered, settled } = outcome;
        match plan {
            HookPlan::Unread { cluster, error } => Self::unread(cluster, &error),
            HookPlan::Answer(answer) => Self::answered(answer, answered, settled),
        }
    }

    fn unread(cluster: ClusterName, error: &ReadError) -> Self {
        Self {
            cluster,
            instance: None,
            container_instance: None,
            group: None,
            hook: None,
            outcome: HookOutcome::Failed,
            why: None,
            errors: vec![error.to_string()],
        }
    }

    fn answered(
        answer: HookAnswer,
        answered: Option<Result<Answered, ReadError>>,
        settled: Option<Result<(), CallError>>,
    ) -> Self {
        let HookAnswer { cluster, instance, ec2, hook, reply, settled: _ } = answer;
        let mut errors = Vec::new();
        if let Reply::Hold(Because::NotRead(error)) = &reply {
            errors.push(error.to_string());
        }
        let planned = || Some(reply.to_string());
        let (outcome, why) = match (answered, &reply) {
            (None, _) => (HookOutcome::Planned, planned()),
            (Some(Ok(Answered::Over(words))), _) => (HookOutcome::Over, Some(words)),
            (Some(Ok(Answered::Done)), Reply::Hold(_)) => (HookOutcome::Held, planned()),
            (Some(Ok(Answered::Done)), Reply::LetGo) => (HookOutcome::Completed, None),
            (Some(Err(error)), _) => {
                errors.push(error.to_string());
                (HookOutcome::Failed, planned())
            }
        };
        errors.extend(settled.and_then(Result::err).map(|error| error.to_string()));
        Self {
            cluster,
            instance: Some(ec2),
            container_instance: Some(instance),
            group: Some(hook.group),
            hook: Some(hook.name),
            outcome: if errors.is_empty() { outcome } else { HookOutcome::Failed },
            why,
            errors,
        }
    }

    /// What somebody has to look at.
    pub fn failure(&self) -> Option<String> {
        let Self { cluster, instance, .. } = self;
        let instance =
            instance.as_ref().map(|instance| format!("{instance} of ")).unwrap_or_default();
        let errors = self.errors.join("; ");
        (!self.errors.is_empty()).then(|| format!("lifecycle hook, {instance}{cluster}: {errors}"))
    }

    /// One line.
    pub fn log(&self, Origin { tick, request_id }: Origin<'_>) {
        let (errors, outcome) = (self.failure(), word(&self.outcome));
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    tick,
                    request_id,
                    hook.instance = self.instance.as_ref().map(Ec2InstanceId::as_str),
                    hook.group = self.group.as_deref(),
                    hook.name = self.hook.as_deref(),
                    outcome,
                    why = self.why.as_deref(),
                    error = errors.as_deref(),
                    "lifecycle hook: {outcome}"
                )
            };
        }
        if self.outcome == HookOutcome::Failed { line!(error) } else { line!(info) }
    }
}
