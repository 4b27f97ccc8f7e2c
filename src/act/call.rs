//! One planned call: down the capacity ladder where ECS places, on named instances where we do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::aws::{Aws, RunTaskError, RunTasks, StartTasks, Started};
use decision::config::Rung;
use decision::outcome::{StartedTask, TaskFailure};
use decision::plan::{Call, ClientToken, LaunchPlan, Pin, TaskOverrides, Way};
use decision::refusal::Cause;
use decision::snapshot::{CallError, ErrorKind};
use decision::units::{ClusterName, InstanceArn, RevisionArn, TaskArn, Tasks};

/// Capacity that met a quota of the account in this tick: asking again would only meet it again.
#[derive(Default)]
pub(super) struct Exhausted(Mutex<BTreeMap<Capacity, ReportedQuota>>);

/// What has a quota of its own: Fargate's are an account's in a Region, whatever the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Capacity {
    OnDemand,
    Spot,
    Other(ClusterName, Rung),
}

/// How a quota was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ReportedQuota {
    /// Under `failures[]` of a call, which ECS may remember by its token.
    InFailures,
    /// As the error of a call, which leaves no token.
    AsError,
}

impl Exhausted {
    fn has(&self, plan: &LaunchPlan, rung: &Rung, call: usize) -> bool {
        let exhausted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match exhausted.get(&Capacity::of(plan, rung)) {
            None => false,
            // The first call asks all the same: whose token it is, has the tick.
            Some(ReportedQuota::InFailures) => call != 0,
            Some(ReportedQuota::AsError) => true,
        }
    }

    fn learn(&self, plan: &LaunchPlan, rung: &Rung, answer: &Result<Started, RunTaskError>) {
        let reported = match answer {
            Ok(started) if started.failures.iter().any(|f| f.cause == Cause::Quota) => {
                ReportedQuota::InFailures
            }
            Err(RunTaskError::Call(error)) if error.cause() == Cause::Quota => {
                ReportedQuota::AsError
            }
            Ok(_) | Err(_) => return,
        };
        let mut exhausted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = exhausted.entry(Capacity::of(plan, rung)).or_insert(reported);
        *known = reported.max(*known);
    }
}

impl Capacity {
    fn of(plan: &LaunchPlan, rung: &Rung) -> Self {
        match rung.is_fargate() {
            Some(true) if rung.is_spot() => Self::Spot,
            Some(true) => Self::OnDemand,
            Some(false) | None => Self::Other(plan.cluster.clone(), rung.clone()),
        }
    }
}

/// What is asked for after the first call of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    All,
    /// There was no room for one task of this group.
    OtherGroups,
    /// The instance that was to take the tick's first task refused it: the tick is not taken yet.
    Elsewhere,
    /// Its revision was refused.
    Stale(CallError),
    /// Another delivery has the tick, or may get it.
    None,
}

/// What one planned call came to, over all rungs of the ladder.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Called {
    pub(super) tasks: Vec<StartedTask>,
    pub(super) adopted: Vec<TaskArn>,
    pub(super) failures: Vec<TaskFailure>,
    pub(super) missing: Tasks,
    /// Of these, the ones that the named instances refused: another may take them.
    pub(super) displaced: Tasks,
    /// The instances that refused some.
    pub(super) refused_by: BTreeSet<InstanceArn>,
    pub(super) unanswered: Tasks,
    /// Where these were asked for, where they were for named instances.
    pub(super) unanswered_on: Vec<InstanceArn>,
    /// Another delivery of the tick has made this call with another plan, or could: it was not
    /// made here.
    pub(super) lost_tick: bool,
    pub(super) error: Option<CallError>,
}

/// What all calls of a group have in common.
pub(super) struct Launch<'a> {
    pub(super) cloud: &'a Aws,
    pub(super) plan: &'a LaunchPlan,
    pub(super) revision: &'a RevisionArn,
    pub(super) overrides: Option<&'a TaskOverrides>,
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
            Way::Pin(token, pin) => self.run_pinned(call, token, pin).await,
            Way::Start(on) => self.start(call, on).await,
        }
    }

    /// What a rung does not place is tried on the next, with that rung's token.
    async fn run_down(&self, call: &Call, tokens: &[ClientToken]) -> Called {
        let Self { cloud, plan, exhausted, .. } = *self;
        let mut called = Called { missing: call.tasks, ..Called::default() };
        for (rung, token) in plan.launch.rungs.iter().zip(tokens) {
            called.leave_rung();
            if exhausted.has(plan, rung, call.number) {
                called.skip();
                continue;
            }
            let run = RunTasks { count: called.missing, ..self.request(token, rung) };
            let answer = cloud.write.run_tasks(run).await;
            let answer = answer.map_err(|error| advised(error, rung));
            exhausted.learn(plan, rung, &answer);
            if let Next::End = called.add(answer) {
                break;
            }
        }
        // Made anew with another revision, its first rung would be a conflict: the rest waits.
        let may_be_stale = called.error.as_ref().is_some_and(|e| e.cause().may_be_stale());
        if !called.tasks.is_empty() && may_be_stale {
            called.leave_rung();
        }
        called
    }

    fn request<'b>(&'b self, token: &'b ClientToken, rung: &'b Rung) -> RunTasks<'b> {
        let Self { plan, revision, overrides, .. } = *self;
        RunTasks {
            cluster: &plan.cluster,
            revision,
            count: Tasks(1),
            token,
            marks: &plan.marks,
            launch: &plan.launch,
            overrides,
            network_mode: plan.network_mode,
            runs_on: plan.runs_on,
            rung,
            pin: None,
        }
    }

    async fn run_pinned(&self, call: &Call, token: &ClientToken, pin: &Pin) -> Called {
        let mut called = Called { missing: call.tasks, ..Called::default() };
        if let Some(rung) = self.plan.launch.rungs.first() {
            let run = RunTasks { pin: Some((pin, call.number)), ..self.request(token, rung) };
            let _ = called.add(self.cloud.write.run_tasks(run).await);
        }
        called.keep_of_one(&pin.arn);
        called.displace(std::slice::from_ref(&pin.arn));
        called
    }

    async fn start(&self, call: &Call, on: &[InstanceArn]) -> Called {
        let Self { cloud, plan, revision, overrides, .. } = *self;
        let mut called = Called { missing: call.tasks, ..Called::default() };
        let start = StartTasks {
            cluster: &plan.cluster,
            on,
            revision,
            marks: &plan.marks,
            number: call.number,
            launch: &plan.launch,
            overrides,
            network_mode: plan.network_mode,
        };
        let answer = cloud.write.start_tasks(start).await.map_err(RunTaskError::Call);
        let _ = called.add(answer);
        called.displace(on);
        called
    }
}

/// With `launchType`, ECS places on the instances that are there, and no capacity provider hears of it.
/// Source: ECS API, `RunTaskRequest.capacityProviderStrategy`: "cluster auto scaling" needs it.
fn advised(error: RunTaskError, rung: &Rung) -> RunTaskError {
    match (error, rung) {
        (RunTaskError::Call(error), Rung::LaunchType(on_instances))
            if error.cause() == Cause::NoRoom && rung.is_fargate() == Some(false) =>
        {
            let message = format!(
                "{} (launchType {on_instances} makes no capacity provider scale; where one is to bring \
                 the instances, name it in `capacity`)",
                error.message
            );
            RunTaskError::Call(CallError { message, ..error })
        }
        (error, _) => error,
    }
}

impl Called {
    /// A call that was not made because an earlier one was refused.
    pub(super) fn refused(call: &Call, error: CallError) -> Self {
        Self { missing: call.tasks, error: Some(error), ..Self::default() }
    }

    /// Whether tasks of this tick are there for it, so that the calls after it are made too.
    pub(super) fn has_started(&self) -> bool {
        !self.tasks.is_empty() && !self.lost_tick
    }

    /// Whether ECS refused the revision and nothing is known to be there. An earlier attempt may have
    /// started it all the same: its token says so, whatever revision the call is made with again.
    pub(super) fn is_stale(&self) -> bool {
        let nothing = self.tasks.is_empty() && self.adopted.is_empty() && !self.lost_tick;
        nothing && self.error.as_ref().is_some_and(|error| error.cause().may_be_stale())
    }

    /// Where the tick is taken already, only a stale revision keeps the other calls from being made.
    pub(super) fn rest_of_taken(&self) -> Rest {
        match &self.error {
            Some(error) if self.is_stale() => Rest::Stale(error.clone()),
            _ => Rest::All,
        }
    }

    /// A task that this call has started makes the tick this delivery's, whatever became of the rest.
    pub(super) fn rest(&self) -> Rest {
        if let (true, Some(error)) = (self.is_stale(), &self.error) {
            Rest::Stale(error.clone())
        } else if self.lost_tick {
            Rest::None
        } else if !self.tasks.is_empty() {
            Rest::All
        } else if self.error.is_some() {
            Rest::None
        } else if self.displaced != Tasks::ZERO {
            Rest::Elsewhere
        } else {
            Rest::OtherGroups
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
                self.lost_tick = true;
                // An earlier delivery went down this ladder; how far, ECS does not say.
                Next::End
            }
            Err(RunTaskError::Call(error)) => {
                // Only where nothing can have been started may another rung start it, and only where
                // that could help: a mistake is for a person, not for dearer capacity.
                let next = match error.kind {
                    ErrorKind::Refused if error.cause().is_of_every_rung() => Next::End,
                    ErrorKind::Refused => Next::Rung,
                    ErrorKind::Later | ErrorKind::OutOfTime => Next::End,
                    ErrorKind::Unanswered => {
                        self.unanswered = self.missing;
                        Next::End
                    }
                };
                self.error = Some(error);
                next
            }
        }
    }

    /// `RunTask` may report on each instance that it looked at; only one was meant.
    fn keep_of_one(&mut self, meant: &InstanceArn) {
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
        if self.error.is_none() && !self.lost_tick {
            let named = Tasks::counted(refused.len()).plus(Tasks::counted(nameless));
            self.displaced = self.missing.min(named);
            self.unanswered = self.missing.minus(self.displaced);
            self.refused_by = refused;
        }
        if self.unanswered != Tasks::ZERO {
            self.unanswered_on = silent;
        }
    }

    /// A shortage is reported as one, by whichever channel ECS says it.
    pub(super) fn report_shortage(&mut self) {
        let is_shortage =
            |error: &CallError| error.kind == ErrorKind::Refused && error.cause().is_shortage();
        if self.error.as_ref().is_some_and(is_shortage) {
            self.leave_rung();
        }
    }

    /// What a rung was refused for is reported beside what others could not place.
    fn leave_rung(&mut self) {
        let Some(error) = self.error.take() else { return };
        let (cause, instance) = (error.cause(), None);
        let CallError { code, message, .. } = error;
        let reason = code.unwrap_or_else(|| "refused".to_owned());
        self.not_placed(&TaskFailure { reason, detail: Some(message), cause, instance });
    }

    fn skip(&mut self) {
        let failure = TaskFailure {
            reason: "quota".to_owned(),
            detail: Some("not asked: an earlier call of this tick met it".to_owned()),
            cause: Cause::Quota,
            instance: None,
        };
        self.not_placed(&failure);
    }

    fn not_placed(&mut self, failure: &TaskFailure) {
        self.failures.extend((0..self.missing.0).map(|_| failure.clone()));
    }
}
