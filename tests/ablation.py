"""What each defence is good for: the tests without it.

Copies the repository, takes one defence out of the copy, builds it and runs the seeds (or the test
that stands for it), one defence after the other. A defence whose absence nobody notices fails the
run, and so does an edit that does not fit the source any more. Writes the table of
docs/reliability.md.

    ablation.py                 all of them
    ablation.py WORD [WORD ..]  those with one of these in their names; the other rows stay
    ablation.py --check         only whether every edit fits the source; runs nothing
"""

import datetime
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
COPY = ROOT / "target" / "ablation"
PAGE = ROOT / "docs" / "reliability.md"
BUSYBOX = ROOT / ".tools" / "busybox" / "bin" / "busybox"
SEEDS = int(os.environ.get("SEEDS", "400"))
# Most defences are missed by the first of them: then the others are not run.
FEW_SEEDS = 40
SOAK = "soak::no_fault_breaks_an_invariant"
# The same of workers that work for hours: a quarter of the seeds, as each takes four times as long.
WAITS = "soak::no_message_waits_without_a_true_reason"

# (the defence, file, what stands there, what stands there without it, the test that notices)
DEFENCES = [
    ("the token names the tick", "decision/src/plan.rs",
     'let name = format!("{scaler}\\n{worker}\\n{tick}\\n{call}\\n{rung}");',
     'let _ = tick; let name = format!("{scaler}\\n{worker}\\n{call}\\n{rung}");', SOAK),
    ("the first call names the whole plan and goes alone", "src/act.rs",
     "Way::Run(_) | Way::Pin(_, _) => called.rest(),",
     "Way::Run(_) | Way::Pin(_, _) => Rest::All,",
     "two_deliveries_that_planned_differently"),
    ("a tick that was acted on is not acted on again", "decision/src/decide.rs",
     "if own.are_of_this_tick_or_later(snapshot) {",
     "if own.are_of_this_tick_or_later(snapshot) && false {", SOAK),
    ("what was launched is remembered until it is listed", "src/run.rs",
     "self.ledger.memory().remember(&snapshot, &outcomes, over);", "", SOAK),
    ("what another process started is of the hour", "src/observe.rs",
     "remembered.knows_ended &= !self.context.may_overlap;", "",
     "what_another_process_started_and_ended"),
    ("the hour has no tasks of a call that started none", "decision/src/memory.rs",
     "outcome.groups.iter().map(GroupOutcome::count).sum()",
     "outcome.groups.iter().map(|group| group.count().plus(group.unanswered)).sum()",
     "what_a_call_without_an_answer_did_not_start"),
    ("what is remembered ages while the process is frozen", "decision/src/memory.rs",
     "elapsed(at, now) < time",
     "elapsed(at, now) < time || true",
     "tasks_that_ecs_has_forgotten"),
    ("a task of another tick is of no call without an answer", "decision/src/memory.rs",
     "&& !of_another;", "&& (!of_another || true);", "seeds_that_once_failed"),
    ("and what a clock that was set back has noted", "decision/src/memory.rs",
     "*time = now.min(*time);", "let _ = time;", "a_call_of_a_clock_that_was_set_back"),
    ("rates refill while the process is frozen", "src/aws/pace.rs",
     "self.rate.permits_in(since);",
     "self.rate.permits_in(Duration::ZERO);", "what_has_come_of_a_rate"),
    ("a call without an answer may have started its tasks", "src/act/call.rs",
     "self.unanswered = self.missing;", "", "what_a_call_without_an_answer"),
    ("nor does a later attempt take that back", "src/aws/pace.rs",
     "unanswered |= kind == ErrorKind::Unanswered;", "", "a_lost_answer_counts_whatever"),
    ("what is starting is deducted", "decision/src/decide/demand.rs",
     "decision.bound(target.minus(alive.capacity()), scaling)",
     "decision.bound(target.minus(alive.running), scaling)", SOAK),
    ("a failed read holds", "src/observe.rs",
     "let tasks = self.cloud.tasks(cluster, &self.scalers, &remembered).await?;",
     "let tasks = self.cloud.tasks(cluster, &self.scalers, &remembered).await.unwrap_or_default();", SOAK),
    ("launched means placed", "src/act/call.rs",
     "self.missing = self.missing.minus(Tasks::counted(tasks.len()));\n"
     "                self.tasks.extend(tasks);",
     "self.missing = Tasks::ZERO;\n                self.tasks.extend(tasks);", SOAK),
    ("maxContainers", "decision/src/decide/demand.rs",
     "(room, Bound::MaxContainers(room)),", "", SOAK),
    ("maxTasksPerTick and maxTasksPerHour", "decision/src/decide.rs",
     "in share::cuts(&workers, &order, tasks) {",
     "in share::cuts(&workers, &order, Tasks(u32::MAX)) {", SOAK),
    ("who waited comes first", "decision/src/decide/share.rs",
     "Some(((waited, launch.decision.backlog()), index))",
     "Some(((waited & 0, launch.decision.backlog()), index))", "nobody_waits_more_than_two_ticks"),
    ("overrides have a container that is there", "decision/src/decide/request.rs",
     "let is_missing = |container: &&ContainerOverride| present().all(|name| *name != container.name);",
     "let is_missing = |_: &&ContainerOverride| false;", "what_a_definition_cannot_take_is_refused"),
    ("overrides of all clones fit into a call", "decision/src/decide/request.rs",
     "match characters.filter(|characters| limits::OVERRIDES < *characters) {",
     "match characters.filter(|_| false) {", "what_is_said_of_each_container_caps"),
    ("the tags of a task are summed", "decision/src/decide/request.rs",
     "let fits = own.saturating_add(given).saturating_add(propagated) <= most;",
     "let fits = true;", "tags_are_sent_with_ours"),
    ("a volume that is left to the launch is compulsory", "decision/src/decide/request.rs",
     "Some(volume) => Err(Unfit::VolumeNotConfigured { volume }),", "Some(_) => Ok(()),",
     "a_volume_that_is_missing_on_either_side"),
    ("execute command has its role", "decision/src/decide/request.rs",
     "if has_role || !worker.launch.enable_execute_command {", "if true {",
     "execute_command_needs_a_task_role"),
    ("a paused worker starts nothing", "decision/src/decide.rs",
     "owes && worker.pause(now).is_none()", "owes",
     "nothing_is_started_while_it_lasts"),
    ("and a pause ends by itself", "decision/src/config/pause.rs",
     "self.until.is_none_or(|until| now < until)", "self.until.is_none_or(|_| now < Timestamp::MAX)",
     "nothing_is_started_while_it_lasts"),
    ("a new base revision is tried at once", "decision/src/decide/progress.rs",
     "if base.is_some_and(|base| base != *self.base) {",
     "if base.is_some_and(|base| base != *self.base) && false {",
     "a_new_base_revision_is_tried_at_once"),
    ("a dry run looks at everything", "src/observe.rs",
     "Ok(read) if owes(read) || self.context.checks => self.read_rest(worker, read).await,",
     "Ok(read) if owes(read) => self.read_rest(worker, read).await,",
     "what_is_not_there_is_told_before_a_message_comes"),
    ("tasks of an empty queue are looked at until they end", "src/observe.rs",
     "Ok(read) if self.goes_on(worker, read) => self.read_what_goes_on(worker).await,",
     "Ok(read) if self.goes_on(worker, read) => {}",
     "tasks_that_go_on_after_their_queue_is_empty"),
    ("tasks of another function are told", "decision/src/decide/own.rs",
     "for other in of.filter(|other| *other != function) {",
     "for other in of.filter(|other| *other != function && false) {",
     "tasks_of_another_function_under_the_same_name"),
    ("no level of Lambda's keeps the metrics out", "src/report/metrics.rs",
     '("level".to_owned(), json!(LEVEL)),', '("level".to_owned(), json!("INFO")),',
     "a_tick_becomes_one_line_for_each_busy_worker"),
    ("values of overrides are not told", "src/observe.rs",
     "cloud.hide_overrides(config);", "", "no_canary_of_an_override"),
    ("an old event is refused", "src/run.rs",
     "refuse_if_late(event, &config, invocation.now)?;", "", SOAK),
    ("no call after the deadline's margin", "src/run.rs",
     "self.deadline.checked_sub(margin)", "self.deadline.checked_add(margin)", SOAK),
    ("a call has a time limit", "src/aws.rs",
     "Duration::from_millis(4500)", "Duration::from_secs(4500)", SOAK),
    ("trouble that passes is tried again", "src/aws/pace.rs",
     "const ATTEMPTS: u32 = 3;", "const ATTEMPTS: u32 = 1;", SOAK),
    ("calls are paced under the rates", "src/aws/pace.rs",
     "let Some(limiter) = &of_rate.limiter else { return };",
     "let Some(limiter) = of_rate.limiter.as_ref().filter(|_| false) else { return };",
     "a_burst_stays_under_every_rate"),
    ("a quota is asked once", "src/act/call.rs",
     "if exhausted.has(plan, rung, call.number) {",
     "if exhausted.has(plan, rung, call.number) && false {",
     "a_quota_is_met_once_a_tick"),
    ("and by all workers, where it is told as an error", "src/act/call.rs",
     "Some(ReportedQuota::AsError) => true,", "Some(ReportedQuota::AsError) => call != 0,",
     "a_quota_that_is_told_as_an_error"),
    ("throttling is known by its words", "decision/src/refusal/table.rs",
     'row(ANYWHERE, "", Has(&["(errorcode: throttling)",', 'row(&[Stop], "", Has(&["(errorcode: throttling)",',
     "refusals::ec2s_throttling"),
    ("a registration that met another is repeated", "decision/src/refusal/table.rs",
     '"too many concurrent attempts to create a new revision"', '"not this"',
     "a_registration_that_met_another_one"),
    ("a mistake is for a person", "src/act/call.rs",
     "ErrorKind::Refused if error.cause().is_of_every_rung() => Next::End,", "",
     "a_mistake_is_told_as_one"),
    ("a task of the first call makes the tick this delivery's", "src/act/call.rs",
     "} else if !self.tasks.is_empty() {\n            Rest::All",
     "} else if !self.tasks.is_empty() && self.error.is_none() {\n            Rest::All",
     "where_the_first_call_was_placed_in_part"),
    ("a rung that ran short after all is left out", "decision/src/decide/late.rs",
     "let is_asked = |rung: &&Rung| left_out.iter().all(|left| left.rung != **rung);",
     "let is_asked = |_: &&Rung| true;", "a_rung_that_runs_short_after_all"),
    ("and gives its token to the next one", "decision/src/decide.rs",
     "let rungs = 0..served.rungs.len();",
     "let rungs = served.left_out.len()..worker.launch.rungs.len();",
     "a_delivery_that_leaves_a_rung_out"),
    ("and comes back", "decision/src/decide/late.rs",
     "lasted.saturating_sub(passed)", "lasted", "a_rung_that_runs_short_after_all"),
    ("somebody is asked", "decision/src/decide/late.rs",
     "if asked.is_empty() {", "if asked.is_empty() && false {", "where_there_is_no_other_rung"),
    ("ECS waits half an hour for instances", "decision/src/decide/own.rs",
     "let patience = if waits {", "let patience = if waits && false {",
     "a_task_that_waits_for_instances"),
    ("and that is no failure of the worker", "decision/src/decide/health.rs",
     "own.alive.iter().filter(|own| own.waits_since.is_none())", "own.alive.iter()",
     "a_task_that_waits_for_instances"),
    ("a registry's limit is waited for", "decision/src/decide/demand.rs",
     "decision.restrain(Containers::ZERO, Bound::Registry(wait));", "let _ = wait;",
     "a_registrys_limit_is_waited_for"),
    ("what AWS puts into a task is not the worker's", "decision/src/decide/own.rs",
     "if of_others { Cause::OfOthers }", "if of_others && false { Cause::OfOthers }",
     "an_agent_that_aws_puts_into"),
    ("Fargate's rates hold for a cluster's default", "src/aws/launch.rs",
     "None => self.of(run),", "None => BTreeSet::new(),",
     "a_clusters_default_capacity"),
    ("a stale revision is resolved once again", "src/run/again.rs",
     "Box::pin(renew_stale(executor, config, &mut attempts)).await;",
     "attempts.iter_mut().for_each(|attempt| attempt.settle(None));", SOAK),
    ("a registration is not repeated blindly", "src/aws/pace.rs",
     'const WITHOUT_TOKEN: [&str; 3] = ["RegisterTaskDefinition", "StartTask", "Invoke"];',
     'const WITHOUT_TOKEN: [&str; 2] = ["StartTask", "Invoke"];',
     "a_registration_without_an_answer"),
    ("what a crash left ACTIVE is taken away", "src/act/revisions.rs",
     "if let Some(before) = superseded.before() {",
     "if let Some(before) = superseded.before().filter(|_| false) {",
     "revisions_that_a_crash_left"),
    ("the circuit breaker", "decision/src/decide.rs",
     "let is_broken = look.breaker.is_some();", "let is_broken = false;", SOAK),
    ("a cold start reads what failed before", "src/aws/tasks.rs",
     "if remembered.knows_ended {", "if true {", "after_three_failures"),
    ("a stuck task is no capacity", "decision/src/decide/own.rs",
     "*late <= now && is_shown", "*late <= now && is_shown && false", SOAK),
    ("whatever runs beside it", "decision/src/decide/own.rs",
     "let is_shown = !task.containers.is_empty();",
     "let is_shown = !task.containers.iter().any(|c| c.1 != ContainerStatus::Starting);",
     "a_worker_that_is_pending_beside"),
    ("a task that ECS does not show yet is not stuck", "decision/src/decide/own.rs",
     "*late <= now && is_shown", "*late <= now",
     "tasks_that_never_start_are_failures"),
    ("a stuck task is a failure of its own time", "decision/src/decide/health.rs",
     "Some((own.stuck_since?, own.created, verdict))",
     "Some((own.stuck_since.map(|_| now)?, own.created, verdict))",
     "three_tasks_that_are_stuck_for_hours"),
    ("a cap is told where it is reached", "decision/src/plan.rs",
     "*most <= self.launch,", "*most <= self.launch || true,",
     "a_cap_that_is_far"),
    ("a canary is one until it is known what became of it", "decision/src/decide.rs",
     "Containers(1).minus(look.own.unjudged(look.now))",
     "Containers(1).minus(alive.capacity().minus(alive.running))", SOAK),
    ("what AWS ended is no failure of a worker", "decision/src/decide/health.rs",
     "if own.cause() != Cause::OfWorker {", "if own.cause().is_shortage() {",
     "what_aws_ended_opens_no_breaker"),
    ("nor is what ECS had no room for after all", "decision/src/decide/health.rs",
     "if own.cause() != Cause::OfWorker {", "if own.cause() == Cause::OfOthers {",
     "what_aws_ended_opens_no_breaker"),
    ("a container that is called something else now counts", "decision/src/decide/own.rs",
     "Some(_) if known.is_empty() =>", "Some(_) if known.is_empty() && false =>",
     "under_a_name_that_nobody_knows"),
    ("a launch goes on only while messages move", "decision/src/decide/demand.rs",
     "decision.restrain(allowed, Bound::Progress { held_back, by });", "let _ = (held_back, by);",
     "launches_that_move_nothing_stop"),
    ("new messages pay for themselves", "decision/src/decide/progress.rs",
     "moved.rise.times(4).max(Credit::of(moved.higher)),", "Credit::ZERO,",
     "new_messages_are_never_braked"),
    ("each for a container of its own", "decision/src/decide/progress.rs",
     "moved.rise.times(4).max(Credit::of(moved.higher)),", "moved.rise.times(4),",
     "the_figures_of_the_brake_hold"),
    ("and so does success, for its successor and one more", "decision/src/decide/progress.rs",
     "Credit::of(vouched.minus(moved.failed)).times(of_vouched),", "Credit::ZERO,",
     "healthy_workers_lose_nothing_to_the_brake"),
    ("what nobody holds was received and failed", "decision/src/decide/progress.rs",
     "failed: locked.minus(last.locked).minus(of_tasks.by_others),", "failed: Containers::ZERO,",
     "the_figures_of_the_brake_hold"),
    ("what others ended is given back", "decision/src/decide/progress.rs",
     "Credit::of(*by_others),", "Credit::ZERO,", "what_others_ended_is_given_back"),
    ("one is tried when a pause is over", "decision/src/plan/facts.rs",
     "None => (Containers(1), HeldBack::ToOne),", "None => (Containers::ZERO, HeldBack::ToOne),",
     "what_moves_nothing_uses_up"),
    ("a look at the queue alone is made up for", "decision/src/decide/progress.rs",
     "for (now, depth) in std::mem::take(&mut last.glances) {",
     "for (now, depth) in std::mem::take(&mut last.glances).into_iter().take(0) {",
     "a_look_at_the_queue_alone"),
    ("who ended well was there until somebody looked", "decision/src/decide/own.rs",
     "let since = self.done.minus(seen.done);", "let since = self.done.minus(self.done);",
     "who_has_ended_in_a_task_that_goes_on"),
    ("and what was paid for is not paid for again", "decision/src/decide/own.rs",
     "let TaskSeen { stopped: had_stopped, done, .. } = seen;",
     "let TaskSeen { stopped: had_stopped, done, .. } = TaskSeen { stopped: Containers::ZERO, done: Containers::ZERO, ..seen };",
     "what_was_paid_for_before_a_look"),
    ("a FIFO queue begins gently", "decision/src/decide/progress.rs",
     "self.worker.queue.is_fifo() && !self.worker.scaling.max_is_written",
     "self.worker.queue.is_fifo() && !self.worker.scaling.max_is_written && false",
     "a_fifo_queue_whose_groups_nobody_has_told"),
    ("what is started ahead of messages and ends waits longer", "decision/src/decide/demand.rs",
     "decision.restrain(Containers::ZERO, Bound::Ahead(wait));", "let _ = wait;",
     "a_minimum_whose_containers_end_by_themselves"),
    ("an idle container is no capacity", "decision/src/plan.rs",
     "self.containers.minus(self.stuck).minus(self.idle)", "self.containers.minus(self.stuck)",
     "a_container_that_holds_no_message_while_one_waits"),
    ("until then it is a reason", "src/report/waiting.rs",
     "(doubted, WaitsFor::IdleAfter)", "(Containers::ZERO, WaitsFor::IdleAfter)",
     "seeds_that_once_failed"),
    ("a single look doubts nobody", "decision/src/decide/idle.rs",
     "DOUBTED_AFTER <= elapsed(at, *now)", "true",
     "a_container_that_holds_no_message_while_one_waits"),
    ("nobody is idle who may work", "decision/src/decide/idle.rs",
     "running_for(look, time).minus(held.as_containers())", "running_for(look, time)",
     "who_works_or_has_just_begun"),
    ("nor who may have taken what is gone", "decision/src/decide/idle.rs",
     "Messages(u64::from(look.depth.total() < messages_before))", "Messages::ZERO",
     "who_may_have_taken_what_is_gone"),
    ("who was idle stays so", "decision/src/decide/idle.rs",
     "let idle = shown.max(known);", "let idle = shown;",
     "who_was_idle_stays_so"),
    ("unless it may have taken the last message", "decision/src/snapshot/progress.rs",
     "if self.has_others { self.clone() }", "if true { self.clone() }",
     "who_was_idle_and_alone"),
    ("a task on its way out is asked for until it has ended", "decision/src/memory.rs",
     "for task in seen.alive.iter().chain(&seen.leaving) {", "for task in &seen.alive {",
     "a_task_that_is_seen_on_its_way_out"),
    ("and its success pays", "decision/src/decide/progress.rs",
     "for own in &self.own.leaving {", "for own in self.own.leaving.iter().take(0) {",
     "who_is_on_the_way_out"),
    ("and its start counts", "decision/src/snapshot.rs",
     "self.alive.iter().chain(&self.leaving).chain(&self.presumed)",
     "self.alive.iter().chain(&self.presumed)",
     "a_task_on_its_way_out_counts"),
    ("what is alive counts by what it can do", "decision/src/decide/demand.rs",
     "let owed = target.containers(each).minus(alive.capacity());",
     "let owed = target.minus(alive.tasks).containers(each);",
     "what_is_alive_counts_by_what_it_can_do"),
    ("a panic in a decision is its worker's trouble", "decision/src/decide.rs",
     "catch_unwind(AssertUnwindSafe(decide))", "Ok::<_, ()>(decide())", "a_panic_holds_its_worker"),
    ("a panic in a read is its worker's trouble", "src/observe.rs",
     "AssertUnwindSafe(read).catch_unwind().await.unwrap_or(Err(ReadError::Panic))", "read.await",
     "the_others_is_the_same_byte_for_byte"),
    ("a panic in a call is its worker's trouble", "src/act.rs",
     "AssertUnwindSafe(launch(cloud, common, plan)).catch_unwind().await",
     "Ok::<_, ()>(launch(cloud, common, plan).await)", "the_others_is_the_same_byte_for_byte"),
    ("an unusable configuration leaves the good one whole", "src/source/current.rs",
     "(Ok(newer), Some(good)) if newer.is_flawed && !good.is_flawed => {",
     "(Ok(newer), Some(good)) if newer.is_flawed && good.is_flawed => {",
     "a_newer_configuration_that_cannot_be_used"),
    ("a worker's mistake is its own", "decision/src/config/parse.rs",
     "if shared.is_empty() {",
     "if shared.is_empty() && drafts.iter().all(|draft| draft.problems.is_empty()) {",
     "the_others_is_the_same_byte_for_byte"),
    ("what cannot be read holds an instance", "decision/src/decide/draining.rs",
     "Some(Err(error)) => Reply::Hold(Because::NotRead(error.clone())),",
     "Some(Err(_)) => Reply::LetGo,", "what_cannot_be_read_never_means"),
    ("a task on its way out holds its instance", "src/aws/draining.rs",
     'if task.last_status() == Some("STOPPED") {', 'if task.desired_status() == Some("STOPPED") {',
     "a_task_that_is_on_its_way_out"),
    ("a call without an answer holds an instance", "decision/src/decide/draining.rs",
     "0 if perhaps =>", "0 if perhaps && false =>", "a_call_without_an_answer_may_have_started"),
    ("an instance is held for five minutes, as lists lag", "decision/src/decide/draining.rs",
     "Some(Ok(_)) if lag =>", "Some(Ok(_)) if lag && false =>", "an_instance_without_tasks"),
    ("what is stopped is what wants to be", "decision/src/decide/draining.rs",
     "is_certain && of_worker.is_some_and(", "is_certain || of_worker.is_some_and(",
     "only_workers_that_want_it"),
    ("a panic about a hook ends no launch", "src/act/draining.rs",
     "AssertUnwindSafe(Box::pin(answer_one(cloud, &plan))).catch_unwind().await",
     "Ok::<_, ()>(Box::pin(answer_one(cloud, &plan)).await)", "a_panic_about_a_hook"),
    ("launches do not wait long for the hooks' reading", "src/observe/draining.rs",
     "reads.cloud.until(Instant::now() + IN_TIME)", "reads.cloud.until(Instant::now() + 9 * IN_TIME)",
     "launches_wait_ten_seconds"),
    ("GovCloud's plain hosts are the validated ones", "src/aws/hosts.rs",
     'let is_plain = partition.name == "aws-us-gov"', 'let is_plain = partition.name == "nowhere"',
     "the_hosts_are_those"),
    ("an event of a time to come is refused", "src/run.rs",
     "refuse_if_early(event, invocation.now)?;", "", "an_event_of_2035"),
    ("a tag of a time to come is ignored", "decision/src/decide/own.rs",
     "this <= tick && !is_to_come(tick, now)", "this <= tick", "a_task_of_2035"),
    ("only revisions of ours are deregistered", "decision/src/snapshot.rs",
     "self.digest.is_some().then_some(self.arn)", "Some(self.arn)",
     "a_revision_without_a_digest"),
    ("a queue is one by all its names", "src/observe.rs",
     "QueueRef::Url(read.url.clone()).id(here)", "(here.as_str(), read.url.clone())",
     "one_queue_has_one_worker"),
    ("a cluster is one by name and ARN", "decision/src/units.rs",
     "self.short().cmp(other.short())", "self.0.cmp(&other.0)", "one_cluster_by_name"),
    ("a renamed worker keeps its tasks", "src/observe.rs",
     "Ok(self.renamed.tasks(self.ledger.memory().completed(cluster, tasks, now)))",
     "Ok(self.ledger.memory().completed(cluster, tasks, now))", "a_worker_that_is_renamed_twice"),
    ("a renamed scaler keeps its tasks", "decision/src/config/names.rs",
     "std::iter::once(own).chain(previous).cloned().collect()",
     "std::iter::once(own).chain(previous.filter(|_| false)).cloned().collect()",
     "a_scaler_that_is_renamed"),
    ("tasks that nobody owns are told", "decision/src/decide/unowned.rs",
     "alive.filter(|task| !known.contains(&task.worker))",
     "alive.filter(|task| !known.contains(&task.worker) && false)",
     "tasks_of_a_worker_that_is_no_more"),
    ("a list that is missing is not an empty one", "src/aws/unusable.rs",
     "members.get(*member) != Some(kind)", "members.get(*member) != Some(kind) && false",
     "five_tasks_stay_five"),
    ("a derived revision without tags is no other", "src/aws/definitions.rs",
     "if tags == Tags::Needed && !member", "if tags == Tags::Needed && false && !member",
     "a_derived_revision_without_its_tags"),
    ("a page in the place of AWS is no answer", "src/aws/unusable.rs",
     "let is_html = is_called_html || begins_as_html(body);", "let is_html = is_called_html && false;",
     "what_answers_in_the_place"),
    ("an answer is read up to a bound", "src/aws/bounded.rs",
     "LONGEST_ANSWER: usize = 8 << 20", "LONGEST_ANSWER: usize = 64 << 20",
     "an_answer_without_an_end"),
    ("a command that AWS quotes is not told", "decision/src/redaction/shapes.rs",
     "without_json(&without_command(text))", "without_json(text)", "a_command_in_a_stop_reason"),
    ("no value of a definition is told", "decision/src/redaction.rs",
     "text = without(&text, piece);", "", "no_canary_of_a_definition"),
    ("AWS's texts are cut", "decision/src/redaction.rs",
     "const LONGEST: usize = 1024;", "const LONGEST: usize = 1 << 20;",
     "a_reason_of_300_kilobytes"),
    ("mistakes beyond fifty are counted", "decision/src/document/problem.rs",
     "const MOST_REPORTED: usize = 50;", "const MOST_REPORTED: usize = 500_000;",
     "four_hundred_thousand_unknown_keys"),
    ("on instances a tick is taken before the first StartTask", "decision/src/decide/placement.rs",
     "let mut numbering = Numbering(claim);",
     """let mut numbering = Numbering(TickClaim::Taken(match claim {
            TickClaim::ToTake => 0,
            TickClaim::ToTakeAgain(next) | TickClaim::Taken(next) => next,
        }));""", SOAK),
    ("of its deliveries, one takes it", "decision/src/decide/placement.rs",
     "marks.tags.push(Tag { key, value });", "let _ = Tag { key, value };", SOAK),
    ("who takes it is where it was to be", "src/act/call.rs",
     "pin: Some((pin, call.number))", "pin: Some((pin, call.number)).filter(|_| false)", SOAK),
    ("a StartTask without an answer is not repeated", "src/aws/pace.rs",
     'const WITHOUT_TOKEN: [&str; 3] = ["RegisterTaskDefinition", "StartTask", "Invoke"];',
     'const WITHOUT_TOKEN: [&str; 2] = ["RegisterTaskDefinition", "Invoke"];', SOAK),
    ("and where it may have started tasks is remembered", "src/act/call.rs",
     "self.unanswered_on = silent;", "", "where_a_lost_call_may_have_started"),
    ("what is placed is deducted", "decision/src/decide/placement/rooms.rs", "room.take(fit);", "", SOAK),
    ("an instance that drains gets nothing", "src/aws/instances.rs",
     """        let listed = self.list_instances(cluster, status.clone(), None).await?;
        let described = self.describe_instances(cluster, &listed).await?;
        // One that began to drain since it was listed is described as such.
        let has_it = |i: &&EcsInstance| i.status() == Some(status.as_str()) && is_ec2(i);
""",
     """        let mut listed = self.list_instances(cluster, status, None).await?;
        let draining = ContainerInstanceStatus::Draining;
        listed.extend(self.list_instances(cluster, draining, None).await?);
        let described = self.describe_instances(cluster, &listed).await?;
        let has_it = |i: &&EcsInstance| is_ec2(i);
""", SOAK),
    ("nor one without its agent", "decision/src/decide/placement.rs",
     "if !instance.connected {", "if !instance.connected && false {", SOAK),
    ("nor one without a daemon", "decision/src/decide/placement.rs",
     "missing.map(|(daemon, _)| Lack::Daemon((*daemon).clone()))",
     "missing.filter(|_| false).map(|(daemon, _)| Lack::Daemon((*daemon).clone()))", SOAK),
    ("distinctInstance", "decision/src/decide/placement/rooms.rs",
     "if self.distinct && own != Tasks::ZERO {",
     "if self.distinct && own != Tasks::ZERO && false {", SOAK),
    ("memberOf", "decision/src/decide/placement.rs",
     "matching.iter().any(|matching| !matching.contains(arn))",
     "matching.iter().any(|matching| !matching.contains(arn) && false)", SOAK),
    ("an expression over tasks lets one task pass", "decision/src/decide/placement/rooms.rs",
     "(self.touched && fit.volatile).then_some(Lack::Constraint)",
     "(self.touched && fit.volatile && false).then_some(Lack::Constraint)", SOAK),
    ("a brake that holds containers back says so", "src/report/waiting.rs",
     "Bound::Canary(_) => Some(WaitsFor::Canary),", "Bound::Canary(_) => None,", SOAK),
    ("so does a read that failed", "src/report/waiting.rs",
     "Action::Hold(_) => of_depth(depth.as_ref(), WaitsFor::Read),",
     "Action::Hold(_) => BTreeSet::new(),", SOAK),
    ("who is not served is told", "src/report/waiting.rs",
     "waits && owes && !is_paused && alive == Containers::ZERO && self.launched.is_empty()",
     "waits && owes && !is_paused && alive == Containers::ZERO && self.launched.is_empty() && false", SOAK),
    ("and nobody else is", "src/report/waiting.rs",
     "waits && owes && !is_paused && alive == Containers::ZERO && self.launched.is_empty()",
     "waits && owes && self.launched.is_empty()", SOAK),
    ("what an instance refused is placed again", "src/run/again.rs",
     "Box::pin(place_displaced(executor, config, snapshot, &mut attempts)).await;", "",
     "what_an_instance_refuses_goes_to_another"),
    ("and not on that instance", "decision/src/decide/placement.rs",
     "} else if refused.contains(arn) {", "} else if refused.contains(arn) && false {",
     "where_the_first_call_is_refused"),
    ("which is the last choice for some minutes", "decision/src/decide/placement/rooms.rs",
     "let refused = self.refusals.is_some_and(|them| them.contains(&room.instance.arn));",
     "let refused = false;",
     "what_an_instance_refuses_goes_to_another"),
    ("definition: one that its worker does not end is mended", "decision/src/variant/single.rs",
     "        let essential = essential.next()?.name.clone();",
     "        let essential = essential.next().filter(|_| false)?.name.clone();",
     "a_worker_that_is_not_essential_ends_its_task"),
    ("definition: a worker is not restarted for ever", "decision/src/variant/single.rs",
     "if self.worker.is_restarted_after_success() {",
     "if self.worker.is_restarted_after_success() && false {",
     "a_worker_that_is_restarted_for_ever"),
    ("definition: who waits for a clone is not essential", "decision/src/variant/containers.rs",
     "if self.is_watched(n) && dependents.contains(&name) {",
     "if self.is_watched(n) && dependents.contains(&name) && false {",
     "a_variant_of_a_legal_definition_is_legal"),
    ("definition: with any, the first to end ends the task", "decision/src/variant/containers.rs",
     'clone.insert("essential".to_owned(), json!(!watched));',
     'clone.insert("essential".to_owned(), json!(!watched && self.worker.is_essential()));',
     "who_is_awaited_cannot_end_a_task"),
    ("definition: a rung that takes no such definition is refused", "decision/src/variant.rs",
     "recipe.check_rungs()?;", "", "a_rung_that_a_definition_cannot_go_to"),
    ("definition: Fargate's sizes hold for what is launched there", "decision/src/variant/size.rs",
     "view.names_fargate() || self.rungs.iter().any(may_be)",
     "view.names_fargate() || self.rungs.iter().any(may_be) && false",
     "what_names_nothing_has_fargates_sizes"),
    ("definition: clones share one disk", "decision/src/variant/size.rs",
     "let (needed, most) = (of_one.times(n.0), limits::TASK_STORAGE);",
     "let (needed, most) = (of_one, limits::TASK_STORAGE);",
     "limits_of_a_definition_cap_the_clones"),
    ("definition: a worker keeps the CPU that it has alone", "decision/src/variant/size.rs",
     "left.max(self.worker.cpu.0)",
     "left.min(self.worker.cpu.0)",
     "a_worker_keeps_the_cpu"),
    ("definition: several a task only where they cost no more", "decision/src/decide/packing.rs",
     "chosen <= **n && costs.is_no_dearer(**n, chosen)",
     "chosen <= **n",
     "cheapest_never_costs_more"),
    ("definition: and one where nothing is saved by more", "decision/src/decide/packing.rs",
     "let chosen = if costs.is_a_tenth_below(best, fewest) { best } else { fewest };",
     "let chosen = best;",
     "several_a_task_are_for_what_costs_a_tenth_less"),
    ("definition: no count wastes where another does not", "decision/src/decide/packed.rs",
     "|n| sizes.wasteful.contains(&n)", "|n| sizes.wasteful.contains(&n) && false",
     "one_container_a_task_is_what_nobody_pays"),
    ("definition: what has no room is started one by one", "src/act.rs",
     "smaller::fall_back(Launching { cloud, common, plan }, claim, &mut attempts).await;",
     "let _ = (claim, Launching { cloud, common, plan }, smaller::fall_back);",
     "what_has_no_room_in_threes"),
    ("definition: but for calls without an answer", "src/act/smaller.rs",
     "is_answered && has_none && !plan.is_on_fargate()",
     "!plan.is_on_fargate()",
     "nothing_is_started_in_the_place_of"),
    ("definition: by our own scheduler too", "decision/src/decide/placement.rs",
     "if let Some(smaller) = &launch.smaller {",
     "if let Some(smaller) = launch.smaller.as_ref().filter(|_| false) {",
     "what_no_instance_takes_in_fours"),
    ("definition: and where ECS finds none later", "decision/src/decide/per_task.rs",
     "late::too_large(own).filter(|_| !recipe.is_paid_as_fargate());",
     "late::too_large(own).filter(|_| false);",
     "what_found_no_instance_after"),
    ("definition: what had no address makes the next tasks fewer", "decision/src/memory.rs",
     "if failures.any(|failure| failure.cause == Cause::NetworkInterface) {",
     "if failures.any(|failure| failure.cause == Cause::NetworkInterface) && false {",
     "so_they_are_where_a_call_is_refused"),
    ("definition: and within the caps", "src/act/smaller.rs",
     "let wanted = Tasks(refused.0).min(smaller.tasks().minus(there));",
     "let wanted = Tasks(refused.0).min(smaller.tasks());",
     "no_cap_is_exceeded_by_smaller_tasks"),
    ("definition: which two deliveries meet on", "decision/src/decide.rs",
     "&mut (packed::SMALLER..)", "&mut numbered",
     "two_deliveries_that_planned_differently_meet"),
    ("definition: or on the first call, where none was made", "src/act/smaller.rs",
     "(first.number, first.way) = (claim.number, claim.way.clone());",
     "let _ = (&first.number, claim);",
     "who_could_not_register_takes_the_tick"),
    ("definition: what outlives is remembered", "decision/src/memory.rs",
     "if let Some(seen) = &plan.without_workers {",
     "if let Some(seen) = Some(&plan.without_workers.clone().unwrap_or_default()) {",
     "what_outlives_is_remembered"),
    ("definition: a watcher that hears nothing gives up", "decision/src/variant/watcher.sh",
     '[ "$deaf" -gt "$DEAF" ] && give_up', '[ "$deaf" -gt "$DEAF" ] && : give_up',
     "a_watcher_that_cannot_hear"),
    ("definition: a task that outlives its workers counts", "decision/src/decide/outlived.rs",
     "let outlived: Containers = of_them.map(|task| task.containers).sum();",
     "let outlived: Containers = of_them.map(|_| Containers::ZERO).sum();",
     "tasks_that_outlive_their_workers"),
    ("the console answers to its own names alone", "src/cli/console/guard.rs",
     "is_here && !has_user && self.ports", "!has_user && self.ports",
     "only_names_of_this_machine"),
    ("and to whoever has its key", "src/cli/console/guard.rs",
     "if is_secret(request.uri()) && !self.has_key(headers) {",
     "if is_secret(request.uri()) && !self.has_key(headers) && false {",
     "what_says_something_of_the_account_needs_the_key"),
    ("its own page alone changes anything", "src/cli/console/guard.rs",
     "if !site || !origin {", "if !origin {",
     "only_our_own_page_changes_anything"),
    ("without --allow-stop there is no way to stop", "src/cli/console/answers.rs",
     "if beside.stop {", "if true {",
     "a_way_to_stop_is_there_only_where"),
    ("what is stopped was asked about", "src/cli/console/reader.rs",
     "self.asked.iter().position(|it| it.target == waiting.target)",
     "self.asked.iter().position(|_| true)",
     "a_task_is_stopped_after_a_question"),
    ("not long ago", "src/cli/console/reader.rs",
     "self.asked.retain(|it| it.at.elapsed() < TIME_TO_ANSWER);", "",
     "a_task_is_stopped_after_a_question"),
    ("one task a second is stopped", "src/cli/console/reader.rs",
     "if self.stop.is_some() || is_soon {", "if self.stop.is_some() {",
     "a_task_is_stopped_after_a_question"),
    ("nothing is read for nobody", "src/cli/console/reader.rs",
     "self.open = self.open.saturating_sub(1);", "",
     "hours_of_looking"),
    ("a quarter of the rate of ECS is used", "src/cli/top/pace.rs",
     "self.earliest = now + paid;", "self.earliest = now;",
     "nobody_reads_more_than_a_quarter"),
    ("what is remembered hides values", "src/cli/status/session.rs",
     "let known = cloud.in_words(known);", "",
     "what_ended_badly_is_shown"),
    ("and waits for its definition", "src/cli/status/session.rs",
     "failed.into_iter().partition(|task| read.contains(&task.revision))",
     "failed.into_iter().partition(|_| true)",
     "five_definitions_are_read"),
    ("also after new credentials", "src/aws.rs",
     "self.with(&before.pace)", "{ let _ = before; self.clone() }",
     "what_was_read_before_new_credentials"),
]


class Unusable(Exception):
    """A row that shows nothing, as its copy cannot be tested."""


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)


def copy():
    shutil.rmtree(COPY, ignore_errors=True)
    files = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout
    for name in files.splitlines():
        if (ROOT / name).is_file():
            target = COPY / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)


def test_without(name):
    """Runs a test of a copy that lacks a defence: of the seeds no more than it takes."""
    if name not in (SOAK, WAITS):
        return test(name)
    violations, seen = test(name, min(FEW_SEEDS, SEEDS))
    return (violations, seen) if violations else test(name)


def targets(name):
    """What cargo has to build for a test: the libraries' own tests take as long as the run."""
    function = re.compile(rf"fn \w*{re.escape(name.split('::')[-1])}")
    in_it, in_lib = (any(function.search(path.read_text()) for top in tops
                         for path in (COPY / top).rglob("*.rs"))
                     for tops in (["tests/it"], ["src", "decision/src"]))
    return ["--lib"] * in_lib + ["--test", "it"] * in_it or ["--lib", "--test", "it"]


def test(name, seeds=SEEDS):
    """Runs a test of the copy: how many violations, which are first, and where."""
    seeds = seeds // 4 if name == WAITS else seeds
    environment = dict(os.environ, CARGO_TARGET_DIR=str(ROOT / "target"), SEEDS=str(seeds),
                       RUST_BACKTRACE="0", RUSTFLAGS="", INSTA_UPDATE="no",
                       BUSYBOX=str(BUSYBOX))
    # The packages of all tests, as with others the shared crates are compiled once more.
    cargo = ["cargo", "test", "--quiet", "--all-features",
             "--package", "decision", "--package", "ecs-queue-scaler"]
    if name in (SOAK, WAITS):
        command = [*cargo, "--test", "it", name, "--", "--nocapture"]
    else:
        command = [*cargo, *targets(name), "--no-fail-fast", name]
    done = run(*command, cwd=COPY, env=environment)
    if re.search(r"^error(\[E\d+\])?: (?!test failed|\d+ target)", done.stderr, re.M):
        raise Unusable(f"the copy does not build:\n{done.stderr}")
    if name not in (SOAK, WAITS):
        failed = sum(map(int, re.findall(r"(\d+) failed;", done.stdout)))
        ran = failed + sum(map(int, re.findall(r"(\d+) passed;", done.stdout)))
        if not ran:
            raise Unusable(f"no test is named {name}")
        return failed, f"test `{name}…`"
    counts = re.findall(r"^ *(\d+) violations: (.*); first seen: make soak SEED=(\d+)$",
                        done.stdout, re.M)
    late = re.search(r"^([^|\n]*): p95 \d+ ms beyond", done.stdout + done.stderr, re.M)
    if not counts and late:
        return 1, f"{seeds} seeds: {late[1]} wait too long"
    if not counts:
        return 0, f"{seeds} seeds"
    kinds = ", ".join(kind for _, kind, _ in counts)
    smallest = min(int(seed) for _, _, seed in counts)
    return sum(int(count) for count, _, _ in counts), f"{seeds} seeds, seed {smallest}: {kinds}"


def check():
    """Every edit fits the source."""
    wrong = [f"{name}: {file} has {count} times, not once: {there}"
             for name, file, there, _, _ in DEFENCES
             if (count := (ROOT / file).read_text().count(there)) != 1]
    if wrong:
        sys.exit("\n".join(wrong))


def ablate(defence):
    name, file, there, instead, noticing = defence
    path = COPY / file
    text = (ROOT / file).read_text()
    path.write_text(text.replace(there, instead))
    try:
        return test_without(noticing)
    finally:
        path.write_text(text)


def main():
    only = sys.argv[1:]
    check()
    if only == ["--check"]:
        return
    if not BUSYBOX.exists():
        sys.exit(f"there is no {BUSYBOX}, which tests need: run `make tools`")
    chosen = [defence for defence in DEFENCES
              if not only or any(word in defence[0] for word in only)]
    copy()
    rows, unnoticed, unusable = [], [], []
    for defence in chosen:
        try:
            off, seen = ablate(defence)
        except Unusable as error:
            # The others take hours: they are not lost for this one.
            print(f"unusable: {defence[0]}: {error}", flush=True)
            unusable.append(defence[0])
            continue
        rows.append((defence[0], off, seen))
        print(f"{off:>6} violations without: {defence[0]} ({seen})", flush=True)
        if not off:
            unnoticed.append(defence[0])
    on = {name: test(name)[0] for name in dict.fromkeys(defence[4] for defence in chosen)}
    shutil.rmtree(COPY)
    if any(on.values()):
        sys.exit(f"violations with every defence on: {on}")
    if unusable:
        sys.exit(f"these show nothing: {unusable}")
    if unnoticed:
        sys.exit(f"nobody notices that these are off: {unnoticed}")
    if only:
        replace(rows)
    else:
        write(rows)


def replace(rows):
    """Puts rows of a part of the defences into the table, which says on its own of which commit."""
    page = PAGE.read_text()
    for name, off, seen in rows:
        row = f"| {name} | {off} | {seen} | 0 |"
        page, count = re.subn(rf"^\| {re.escape(name)} \|.*$", lambda _: row, page, flags=re.M)
        if not count:
            page = page.replace("\n<!-- end of ablation -->", f"\n{row}\n<!-- end of ablation -->")
    PAGE.write_text(page)


def write(rows):
    commit = run("git", "rev-parse", "--short", "HEAD", cwd=ROOT).stdout.strip()
    head = (f"`make ablation` at commit {commit}, {datetime.date.today()}, at most {SEEDS} seeds each:\n\n"
            "| defence | violations without it | first seen | with it |\n|---|---:|---|---:|\n")
    lines = [f"| {name} | {off} | {seen} | 0 |" for name, off, seen in rows]
    table = head + "\n".join(lines)
    page = PAGE.read_text()
    page, count = re.subn(r"(<!-- ablation -->\n).*?(\n<!-- end of ablation -->)",
                          lambda found: found[1] + table + found[2], page, flags=re.S)
    if count != 1:
        sys.exit(f"{PAGE} has no place for the table")
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
