//! `init`: a `workers.yaml` for what an account has, for a person to correct.

mod text;

use std::collections::{BTreeMap, BTreeSet};

use decision::config::QueueRef;
use decision::definition::TaskDefinition;
use decision::snapshot::ReadError;
use decision::units::{ClusterName, Family, TaskDefinitionRef};
use futures_util::{StreamExt, stream};
use serde_json::Value;

use crate::aws::{QueueSettings, ReadCloud, RunningService};

/// Two names have to have half of their words in common.
const ALIKE: f64 = 0.5;

/// Queues that are read at once.
const AT_ONCE: usize = 8;

/// Words that say nothing of what a queue or a definition is for.
const GENERIC: [&str; 14] = [
    "queue", "queues", "sqs", "job", "jobs", "worker", "workers", "task", "tasks", "def", "ecs",
    "fifo", "messages", "td",
];

/// What an account has.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Queues that are no dead-letter queue.
    pub queues: Vec<FoundQueue>,
    /// Families with an ACTIVE revision that nobody derived.
    pub families: Vec<Family>,
    /// Clusters.
    pub clusters: Vec<ClusterName>,
    /// What runs in them.
    pub services: Vec<RunningService>,
    /// What could not be read.
    pub notes: Vec<String>,
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundQueue {
    /// Its name.
    pub name: String,
    /// Its settings.
    pub settings: QueueSettings,
}

/// A worker that is proposed.
#[derive(Clone, Debug)]
pub struct Proposed {
    /// Its queue.
    pub queue: FoundQueue,
    /// What its tasks run.
    pub family: Family,
    /// The definition, where it could be read.
    pub definition: Option<TaskDefinition>,
    /// A service that runs it now.
    pub service: Option<RunningService>,
}

/// What is proposed.
#[derive(Clone, Debug, Default)]
pub struct Proposal {
    /// Where tasks run.
    pub cluster: Option<ClusterName>,
    /// Workers, by their queues' names.
    pub workers: Vec<Proposed>,
    /// Queues that no definition is called like.
    pub others: Vec<FoundQueue>,
    /// Families that no queue is called like.
    pub families: Vec<Family>,
    /// All clusters.
    pub clusters: Vec<ClusterName>,
    /// What could not be read.
    pub notes: Vec<String>,
}

/// Looks at what there is. What may not be read is said, and the rest is looked at all the same.
///
/// # Errors
/// When neither queues nor families may be read: there is nothing to propose then.
pub async fn survey(cloud: &ReadCloud) -> Result<Survey, ReadError> {
    let mut survey = Survey::default();
    let urls = cloud.queue_urls().await?;
    let mut queues = BTreeMap::new();
    let read = stream::iter(urls).map(async |url| {
        let name = url.rsplit('/').next().unwrap_or_default().to_owned();
        (name, Box::pin(cloud.queue_settings(&QueueRef::Url(url))).await)
    });
    for (name, settings) in read.buffered(AT_ONCE).collect::<Vec<_>>().await {
        match settings {
            Ok(settings) => drop(queues.insert(name.clone(), FoundQueue { name, settings })),
            Err(error) => survey.notes.push(error.to_string()),
        }
    }
    let dead = queues.values().filter_map(|queue| queue.settings.redrive.as_ref());
    let dead: BTreeSet<_> = dead.map(|redrive| redrive.target.clone()).collect();
    survey.queues =
        queues.into_values().filter(|queue| !dead.contains(&queue.settings.arn)).collect();
    let families = cloud.families().await?;
    survey.families = families.into_iter().filter(|family| family.base().is_none()).collect();
    match cloud.clusters().await {
        Ok(clusters) => survey.clusters = clusters,
        Err(error) => survey.notes.push(error.to_string()),
    }
    for cluster in &survey.clusters {
        match Box::pin(cloud.services(cluster)).await {
            Ok(services) => survey.services.extend(services),
            Err(error) => survey.notes.push(error.to_string()),
        }
    }
    Ok(survey)
}

/// Pairs queues with definitions by their names.
pub async fn propose(cloud: &ReadCloud, survey: Survey) -> Proposal {
    let Survey { queues, families, clusters, services, notes } = survey;
    let mut proposal = Proposal { notes, clusters: clusters.clone(), ..Proposal::default() };
    let mut taken = BTreeSet::new();
    for queue in queues {
        let Some(family) = alike(&queue.name, &families) else {
            proposal.others.push(queue);
            continue;
        };
        let definition = cloud.definition(&TaskDefinitionRef(family.to_string())).await;
        if let Err(error) = &definition {
            proposal.notes.push(error.to_string());
        }
        let service = services.iter().find(|service| service.family == *family).cloned();
        taken.insert(family.clone());
        let (family, definition) = (family.clone(), definition.ok());
        proposal.workers.push(Proposed { queue, family, definition, service });
    }
    proposal.families = families.into_iter().filter(|family| !taken.contains(family)).collect();
    proposal.cluster = most_used(&proposal.workers).or_else(|| clusters.into_iter().next());
    proposal
}

/// The cluster in which most of their services run.
fn most_used(workers: &[Proposed]) -> Option<ClusterName> {
    let mut counts = BTreeMap::<_, usize>::new();
    for service in workers.iter().filter_map(|worker| worker.service.as_ref()) {
        let count = counts.entry(&service.cluster).or_default();
        *count = count.saturating_add(1);
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(cluster, _)| cluster.clone())
}

/// The family whose name has most words in common with a queue's; of equals the shorter.
fn alike<'a>(queue: &str, families: &'a [Family]) -> Option<&'a Family> {
    let of_queue = words(queue);
    let scored = families.iter().filter_map(|family| {
        let of_family = words(family.as_str());
        let common = of_queue.intersection(&of_family).count();
        let all = of_queue.union(&of_family).count();
        let score =
            f64::from(u32::try_from(common).ok()?) / f64::from(u32::try_from(all.max(1)).ok()?);
        (ALIKE <= score).then_some((score, family))
    });
    let best = scored.min_by(|(a, one), (b, other)| {
        b.total_cmp(a).then(one.as_str().len().cmp(&other.as_str().len())).then(one.cmp(other))
    });
    best.map(|(_, family)| family)
}

/// The words of a name, without those that all names have.
fn words(name: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut word = String::new();
    let mut was_lower = false;
    for c in name.chars().chain(['-']) {
        let begins = c.is_uppercase() && was_lower;
        if (!c.is_alphanumeric() || begins) && !word.is_empty() {
            words.insert(std::mem::take(&mut word));
        }
        was_lower = c.is_lowercase();
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
    }
    let singular = |word: String| match word.strip_suffix('s') {
        Some(rest) if 3 < word.len() => rest.to_owned(),
        _ => word,
    };
    words.into_iter().filter(|word| !GENERIC.contains(&word.as_str())).map(singular).collect()
}

/// The containers of a definition that could be the worker: all, where it says nothing.
fn containers(definition: &TaskDefinition) -> Vec<(String, Option<u64>, Option<u64>)> {
    let read = |container: &Value| {
        let number = |key: &str| container.get(key).and_then(Value::as_u64).filter(|n| *n != 0);
        let memory = number("memory").or_else(|| number("memoryReservation"));
        Some((container.get("name")?.as_str()?.to_owned(), number("cpu"), memory))
    };
    definition.containers().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paired_by_their_words() {
        let families = ["encode", "thumbnail-worker", "ReportBuilder", "invoice", "invoice-mail"];
        let families: Vec<_> = families.into_iter().map(Family::from).collect();
        for (queue, family) in [
            ("encode-jobs", Some("encode")),
            ("prod-thumbnails", Some("thumbnail-worker")),
            ("report-builder.fifo", Some("ReportBuilder")),
            ("invoice_queue", Some("invoice")),
            ("invoiceMail", Some("invoice-mail")),
            ("export", None),
            ("jobs", None),
        ] {
            let found = alike(queue, &families).map(Family::as_str);
            assert_eq!(found, family, "{queue}");
        }
    }
}
