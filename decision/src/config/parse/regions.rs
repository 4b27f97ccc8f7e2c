//! Where the things are that a worker names: a function serves one Region, and a cluster the definitions
//! of its own account.

use super::super::QueueRef;
use super::super::reader::{Fields, Reading};
use super::worker::{Draft, Origin};
use crate::units::{Arn, ClusterName, TaskDefinitionRef};

/// The account of AWS's documentation, and of the example.
const EXAMPLES_ACCOUNT: &str = "123456789012";

/// What a worker names, as far as it could be read.
pub(super) struct Named<'a> {
    pub(super) queue: Option<&'a QueueRef>,
    pub(super) cluster: Option<&'a ClusterName>,
    pub(super) definition: Option<&'a TaskDefinitionRef>,
}

impl Named<'_> {
    /// Refuses what can never have been started.
    pub(super) fn check(&self, fields: &Fields<'_>) {
        let cluster = self.cluster.and_then(|cluster| Arn::parse(cluster.as_str()));
        let definition = self.definition.and_then(|definition| Arn::parse(definition.as_str()));
        if let (Some(cluster), Some(definition)) = (cluster, definition)
            && cluster.scope() != definition.scope()
        {
            let message = format!(
                "is in account {} of {}, and the cluster in account {} of {}; a cluster runs the \
                 definitions of its own account and Region",
                definition.account, definition.region, cluster.account, cluster.region
            );
            fields.problem("taskDefinition", &message);
        }
        let here = cluster.or(definition).map(|arn| arn.region).filter(is_of_aws);
        let queue = self.queue.and_then(QueueRef::region).filter(is_of_aws);
        if let (Some(here), Some(queue)) = (here, queue)
            && here != queue
        {
            let message = format!(
                "is in {queue}, and its tasks are to run in {here}; a function serves one Region"
            );
            fields.problem("queue", &message);
        }
        self.warn_of_the_examples_account(fields);
    }

    fn warn_of_the_examples_account(&self, fields: &Fields<'_>) {
        let account = |text: Option<&str>| Some(Arn::parse(text?)?.account.to_owned());
        let named = [
            ("queue", self.queue.and_then(QueueRef::account).map(str::to_owned)),
            ("cluster", account(self.cluster.map(ClusterName::as_str))),
            ("taskDefinition", account(self.definition.map(TaskDefinitionRef::as_str))),
        ];
        for (key, account) in named {
            if account.as_deref() == Some(EXAMPLES_ACCOUNT) && fields.is_written(key) {
                let message = format!("account {EXAMPLES_ACCOUNT} is the one of AWS's examples");
                fields.warn_of_example(key, &message);
            }
        }
    }
}

/// That of an emulator may be none of AWS's.
fn is_of_aws(region: &&str) -> bool {
    region.contains('-')
}

/// Warns where two workers of the file cannot both be served by one function.
pub(super) fn warn_of_regions(drafts: &[Draft<'_>], shared: &Reading) {
    let workers = drafts.iter().filter(|draft| draft.origin == Origin::File);
    let regions: Vec<_> = workers.filter_map(|draft| Some((draft, region_of(draft)?))).collect();
    let Some((first, here)) = regions.first() else { return };
    for (draft, (key, region)) in regions.iter().filter(|(_, (_, other))| *other != here.1) {
        let message = format!(
            "is in {region}, and {} in {}; a function serves one Region",
            first.called(),
            here.1
        );
        shared.warn_of(draft.problem(key, &message));
    }
    warn_of_queues(drafts, shared);
}

/// The first key of a worker that names a Region, and that.
fn region_of<'a>(draft: &'a Draft<'_>) -> Option<(&'static str, &'a str)> {
    let worker = draft.worker.as_ref()?;
    let named = [
        ("cluster", worker.cluster.region()),
        ("taskDefinition", worker.task_definition.region()),
        ("queue", worker.queue.region()),
    ];
    let mut named = named.into_iter().filter_map(|(key, region)| Some((key, region?)));
    named.find(|(_, region)| is_of_aws(region))
}

/// One queue may be named by its name, its URL and its ARN, and a name says neither account nor Region.
fn warn_of_queues(drafts: &[Draft<'_>], shared: &Reading) {
    let mut named: Vec<_> =
        drafts.iter().filter_map(|draft| Some((&draft.worker.as_ref()?.queue, draft))).collect();
    named.sort_by_key(|(queue, _)| queue.name());
    for pair in named.windows(2) {
        let [(queue, one), (other_queue, other)] = pair else { continue };
        if queue.may_be(other_queue) {
            let message = format!(
                "may be the queue of {} too, by another of its names; both would answer the same \
                 messages",
                one.called()
            );
            shared.warn_of(other.problem("queue", &message));
        }
    }
}

impl QueueRef {
    /// Whether two different names may be those of one queue.
    fn may_be(&self, other: &Self) -> bool {
        let differ = |a: Option<&str>, b: Option<&str>| a.zip(b).is_some_and(|(a, b)| a != b);
        let is_elsewhere =
            differ(self.region(), other.region()) || differ(self.account(), other.account());
        let is_equal = self.region() == other.region() && self.account() == other.account();
        self.name() == other.name() && !is_elsewhere && !is_equal
    }
}
