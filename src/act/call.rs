//! One planned call: down the capacity ladder where ECS places, on named instances where we do.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::aws::{Aws, RunTaskError, RunTasks, StartTasks, Started, StartedTask, TaskFailure};
use crate::config::Rung;
use crate::plan::{Call, ClientToken, LaunchPlan, Pin, Way};
use crate::shortage::Shortage;
use crate::snapshot::{CallError, Trouble};
use crate::units::{ClusterName, InstanceArn, RevisionArn, TaskArn, Tasks};

/// Capacity that met a quota of the account in this tick: asking again would only meet it again.
#[derive(Default)]
pub(super) struct Exhausted(Mutex<BTreeSet<(ClusterName, Rung)>>);

impl Exhausted {
    fn has(&self, cluster: &ClusterName, rung: &Rung) -> bool {
        let exhausted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        exhausted.contains(&(cluster.clone(), rung.clone()))
    }

    fn add(&self, cluster: &ClusterName, rung: &Rung) {
        let mut exhausted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        exhausted.insert((cluster.clone(), rung.clone()));
    }
}

/// What is asked for after the first call of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    All,
    /// There was no room for one task of this size.
    OtherSizes,
    /// The instance that was to take the tick's first task refused it: the tick is not taken yet.
    Elsewhere,
    /// Its revision was refused.
    Stale(CallError),
    /// Another delivery of the tick is in charge, or may become so.
    None,
}

/// What one planned call came to, over all rungs of the ladder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Called {
    pub(super) tasks: Vec<StartedTask>,
    pub(super) adopted: Vec<TaskArn>,
    pub(super) failures: Vec<TaskFailure>,
    pub(super) missing: Tasks,
    /// Of these, the ones that the named instances refused: another may take them.
    pub(super) displaced: Tasks,
    /// The instances that refused some.
    pub(super) refused_by: BTreeSet<InstanceArn>,
    pub(super) unanswered: Tasks,
    /// Where these were asked for, where they had a place.
    pub(super) unanswered_on: Vec<InstanceArn>,
    /// Another delivery of the tick has made this call with another plan, or could: it was not
    /// made here.
    pub(super) out_of_charge: bool,
    pub(super) error: Option<CallError>,
}

/// What all calls of a group have in common.
pub(super) struct Launch<'a> {
    pub(super) cloud: &'a Aws,
    pub(super) plan: &'a LaunchPlan,
    pub(super) revision: &'a RevisionArn,
    pub(super) exhausted: &'a Exhausted,
}

/// Whether a call goes on to the next rung of the ladder.
enum Next {
    Rung,
    End,
}

impl Launch<'_> {
    /// Starts a call's tasks.
    pub(super) async fn run(&self, call: &Call) -> Called {
        match &call.way {
            Way::Run(tokens) => self.run_down(call, tokens).await,
            Way::Pin(token, pin) => self.run_pinned(call, (token, pin)).await,
            Way::Start(on) => self.start(call, on).await,
        }
    }

    /// What a rung does not place is tried on the next, with that rung's token.
    async fn run_down(&self, call: &Call, tokens: &[ClientToken]) -> Called {
        let Self { cloud, plan, exhausted, .. } = *self;
        let mut called = Called { missing: call.tasks, ..Called::default() };
        for (rung, token) in plan.launch.rungs.iter().zip(tokens) {
            called.leave_rung();
            // The first call asks all the same: whose token it is, has the tick.
            if call.number != 0 && exhausted.has(&plan.cluster, rung) {
                called.not_asked();
                continue;
            }
            let run = RunTasks { count: called.missing, ..self.request((token, rung)) };
            let answer = cloud.write.run_tasks(run).await;
            if is_quota(&answer) {
                exhausted.add(&plan.cluster, rung);
            }
            if let Next::End = called.add(answer) {
                break;
            }
        }
        // Made anew with another revision, its first rung would be a conflict: the rest waits.
        if !called.tasks.is_empty() && called.error.as_ref().is_some_and(may_be_stale) {
            called.leave_rung();
        }
        called
    }

    fn request<'b>(&'b self, (token, rung): (&'b ClientToken, &'b Rung)) -> RunTasks<'b> {
        let Self { plan, revision, .. } = *self;
        RunTasks {
            cluster: &plan.cluster,
            revision,
            count: Tasks(1),
            token,
            marks: &plan.marks,
            launch: &plan.launch,
            network_mode: plan.network_mode,
            rung,
            pin: None,
        }
    }

    async fn run_pinned(&self, call: &Call, (token, pin): (&ClientToken, &Pin)) -> Called {
        let mut called = Called { missing: call.tasks, ..Called::default() };
        if let Some(rung) = self.plan.launch.rungs.first() {
            let run = RunTasks { pin: Some((pin, call.number)), ..self.request((token, rung)) };
            let _ = called.add(self.cloud.write.run_tasks(run).await);
        }
        called.tell_of_one(&pin.arn);
        called.displace(std::slice::from_ref(&pin.arn));
        called
    }

    async fn start(&self, call: &Call, on: &[InstanceArn]) -> Called {
        let Self { cloud, plan, revision, .. } = *self;
        let mut called = Called { missing: call.tasks, ..Called::default() };
        let start = StartTasks {
            cluster: &plan.cluster,
            on,
            revision,
            marks: &plan.marks,
            number: call.number,
            launch: &plan.launch,
            network_mode: plan.network_mode,
        };
        let answer = cloud.write.start_tasks(start).await.map_err(RunTaskError::Call);
        let _ = called.add(answer);
        called.displace(on);
        called
    }
}

/// ECS has no error of its own for a revision that is not ACTIVE any more.
fn may_be_stale(error: &CallError) -> bool {
    matches!(error.code.as_deref(), Some("ClientException" | "InvalidParameterException"))
}

/// Whether an answer says that the account's quota is reached.
fn is_quota(answer: &Result<Started, RunTaskError>) -> bool {
    let of = |reason: &str, detail| Shortage::of(reason, detail) == Shortage::Quota;
    match answer {
        Ok(started) => started.failures.iter().any(|f| of(&f.reason, f.detail.as_deref())),
        Err(RunTaskError::Call(error)) if error.trouble == Trouble::Refused => {
            of(error.code.as_deref().unwrap_or_default(), Some(&error.message))
        }
        Err(_) => false,
    }
}

impl Called {
    /// A call that was not made because an earlier one was refused.
    pub(super) fn refused(call: &Call, error: CallError) -> Self {
        Self { missing: call.tasks, error: Some(error), ..Self::default() }
    }

    /// Whether ECS refused the revision and nothing is known to be there. An earlier attempt may have
    /// started it all the same: its token tells, whatever revision the call is made with again.
    pub(super) fn is_stale(&self) -> bool {
        let nothing = self.tasks.is_empty() && self.adopted.is_empty() && !self.out_of_charge;
        nothing && self.error.as_ref().is_some_and(may_be_stale)
    }

    /// Where the tick is taken already, only a stale revision keeps the other calls from being made.
    pub(super) fn rest_of_taken(&self) -> Rest {
        match &self.error {
            Some(error) if self.is_stale() => Rest::Stale(error.clone()),
            _ => Rest::All,
        }
    }

    pub(super) fn rest(&self) -> Rest {
        if let (true, Some(error)) = (self.is_stale(), &self.error) {
            Rest::Stale(error.clone())
        } else if self.out_of_charge || self.error.is_some() {
            Rest::None
        } else if self.displaced != Tasks::ZERO {
            Rest::Elsewhere
        } else if self.tasks.is_empty() {
            Rest::OtherSizes
        } else {
            Rest::All
        }
    }

    fn add(&mut self, answer: Result<Started, RunTaskError>) -> Next {
        match answer {
            Ok(Started { tasks, failures }) => {
                self.missing = self.missing.minus(Tasks::counted(tasks.len()));
                self.tasks.extend(tasks);
                self.failures.extend(failures);
                self.error = None;
                if self.missing == Tasks::ZERO { Next::End } else { Next::Rung }
            }
            Err(RunTaskError::Conflict(tasks)) => {
                self.missing = self.missing.minus(Tasks::counted(tasks.len()));
                self.adopted.extend(tasks);
                self.out_of_charge = true;
                // An earlier delivery went down this ladder; how far, ECS does not tell.
                Next::End
            }
            Err(RunTaskError::Call(error)) => {
                // Only where nothing can have been started may another rung start it.
                let next = match error.trouble {
                    Trouble::Refused => Next::Rung,
                    Trouble::Later | Trouble::OutOfTime => Next::End,
                    Trouble::Unanswered => {
                        self.unanswered = self.missing;
                        Next::End
                    }
                };
                self.error = Some(error);
                next
            }
        }
    }

    /// `RunTask` may tell of each instance that it looked at; only one was meant.
    fn tell_of_one(&mut self, meant: &InstanceArn) {
        let of_it = self.failures.iter().find(|failure| failure.instance.as_ref() == Some(meant));
        let of_it = of_it.or(self.failures.first()).cloned();
        let instance = Some(meant.clone());
        self.failures =
            of_it.map(|failure| TaskFailure { instance, ..failure }).into_iter().collect();
    }

    /// What named instances refused may go to others. Of what the answer does not name, nobody knows.
    fn displace(&mut self, asked: &[InstanceArn]) {
        let took =
            |arn: &&InstanceArn| self.tasks.iter().any(|t| t.instance.as_ref() == Some(*arn));
        let named = self.failures.iter().filter_map(|failure| failure.instance.as_ref());
        let refused: BTreeSet<_> = named.filter(|arn| asked.contains(arn)).cloned().collect();
        let silent = asked.iter().filter(|arn| !(took(arn) || refused.contains(*arn)));
        let silent: Vec<_> = silent.cloned().collect();
        let nameless = self.failures.iter().filter(|failure| failure.instance.is_none()).count();
        if self.error.is_none() && !self.out_of_charge {
            let told = Tasks::counted(refused.len()).plus(Tasks::counted(nameless));
            self.displaced = self.missing.min(told);
            self.unanswered = self.missing.minus(self.displaced);
            self.refused_by = refused;
        }
        if self.unanswered != Tasks::ZERO {
            self.unanswered_on = silent;
        }
    }

    /// What a rung was refused for is told beside what others could not place.
    fn leave_rung(&mut self) {
        if let Some(CallError { code, message, .. }) = self.error.take() {
            let reason = code.unwrap_or_else(|| "refused".to_owned());
            self.not_placed(&TaskFailure { reason, detail: Some(message), instance: None });
        }
    }

    fn not_asked(&mut self) {
        let failure = TaskFailure {
            reason: "quota".to_owned(),
            detail: Some("not asked: an earlier call of this tick met it".to_owned()),
            instance: None,
        };
        self.not_placed(&failure);
    }

    fn not_placed(&mut self, failure: &TaskFailure) {
        self.failures.extend((0..self.missing.0).map(|_| failure.clone()));
    }
}
