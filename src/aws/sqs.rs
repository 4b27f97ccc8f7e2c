//! Queue depths.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_sqs::types::QueueAttributeName;

use super::ReadCloud;
use super::pace::{About, Rate};
use decision::config::{QueueRef, Worker};
use decision::snapshot::{Depth, Queue, Read, ReadError, Redrive};
use decision::units::Messages;

/// A queue that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueRead {
    /// What all names of the queue stand for.
    pub url: String,
    /// What is known of it.
    pub queue: Queue,
}

/// URLs by name: they never change, so that a tick of a warm function reads a queue in one call.
#[derive(Clone, Debug, Default)]
pub(super) struct QueueUrls(Arc<Mutex<BTreeMap<QueueRef, String>>>);

impl QueueUrls {
    fn get(&self, queue: &QueueRef) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(queue).cloned()
    }

    fn put(&self, queue: &QueueRef, url: &str) {
        let mut urls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        urls.insert(queue.clone(), url.to_owned());
    }
}

impl ReadCloud {
    /// Reads a queue's depth.
    ///
    /// # Errors
    /// When the queue is in another Region, is not there, may not be read, or its answer lacks a
    /// number.
    pub async fn queue(&self, queue: &QueueRef) -> Read<QueueRead> {
        self.is_here("queue", &queue.to_string(), queue.region())?;
        let url = self.queue_url(queue).await?;
        let queue = self.attributes(&url).await?;
        Ok(QueueRead { url, queue })
    }

    /// Whether a worker's cluster and its definition are in our Region, as far as their names say.
    ///
    /// # Errors
    /// When one is elsewhere.
    pub fn serves(&self, worker: &Worker) -> Read<()> {
        let Worker { cluster, task_definition, .. } = worker;
        self.is_here("cluster", cluster.as_str(), cluster.region())?;
        self.is_here("task definition", task_definition.as_str(), task_definition.region())
    }

    fn is_here(&self, what: &'static str, name: &str, region: Option<&str>) -> Read<()> {
        let here = self.region.as_str();
        // That of an emulator may be none of AWS's.
        match region.filter(|region| *region != here && region.contains('-')) {
            None => Ok(()),
            Some(region) => Err(ReadError::OtherRegion {
                what,
                name: name.to_owned(),
                region: region.to_owned(),
                here: here.to_owned(),
            }),
        }
    }

    /// The URL of a queue, which never changes: it is asked for once.
    ///
    /// # Errors
    /// When the queue is not there, or may not be asked for.
    pub async fn queue_url(&self, queue: &QueueRef) -> Read<String> {
        let (name, owner) = match queue {
            QueueRef::Url(url) => return Ok(url.clone()),
            QueueRef::Name(name) => (name, None),
            QueueRef::Arn { name, account, .. } => (name, Some(account.clone())),
        };
        if let Some(url) = self.urls.get(queue) {
            return Ok(url);
        }
        let subject = &queue.to_string();
        let about = About { operation: "GetQueueUrl", subject, rate: Rate::Free };
        let call = self.sqs.get_queue_url().queue_name(name).set_queue_owner_aws_account_id(owner);
        let answer = self.pace.call(about, async || call.clone().send().await).await;
        let answer = answer.map_err(|error| error.into_call_error(about))?;
        let url = answer.queue_url.ok_or_else(|| ReadError::Answer {
            operation: "GetQueueUrl",
            what: "it has no QueueUrl".to_owned(),
        })?;
        self.urls.put(queue, &url);
        Ok(url)
    }

    async fn attributes(&self, url: &str) -> Read<Queue> {
        // Without names the answer holds no attribute at all.
        // Source: SQS API, `GetQueueAttributesRequest.AttributeNames`.
        let counts = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let about = About { operation: "GetQueueAttributes", subject: url, rate: Rate::Free };
        let call = self
            .sqs
            .get_queue_attributes()
            .queue_url(url)
            .set_attribute_names(Some(counts.to_vec()))
            .attribute_names(QueueAttributeName::RedrivePolicy);
        let answer = self.pace.call(about, async || call.clone().send().await).await;
        let answer = answer.map_err(|error| error.into_call_error(about))?;
        let attributes = answer.attributes.unwrap_or_default();
        let count = |name: &QueueAttributeName| {
            let value = attributes.get(name);
            value.and_then(|value| value.parse().ok()).map(Messages).ok_or_else(|| {
                let seen = value.map_or("is missing".to_owned(), |value| {
                    format!("is `{}`, no number", self.pace.words.redacted(value))
                });
                ReadError::Answer {
                    operation: "GetQueueAttributes",
                    what: format!("{name} of {url} {seen}"),
                }
            })
        };
        let [visible, in_flight, delayed] = &counts;
        Ok(Queue {
            depth: Depth {
                visible: count(visible)?,
                in_flight: count(in_flight)?,
                delayed: count(delayed)?,
            },
            redrive: match attributes.get(&QueueAttributeName::RedrivePolicy) {
                Some(_) => Redrive::Bounded,
                None => Redrive::Endless,
            },
        })
    }
}
