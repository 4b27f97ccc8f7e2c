//! What a terminal asks of a queue beside its depth, and who it is that asks.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use super::pace::{About, Rate};
use super::signed::{Ask, Request, Service};
use super::{ReadCloud, WriteCloud};
use decision::config::QueueRef;
use decision::snapshot::{CallError, ErrorKind, Read};

/// The settings of a queue. What is not in the answer is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueSettings {
    /// Its ARN.
    pub arn: String,
    /// How long a message is nobody else's after it was received.
    pub visibility_timeout: Option<Duration>,
    /// How long a receive waits for a message where it does not say so itself.
    pub receive_wait: Option<Duration>,
    /// How long a message is kept.
    pub retention: Option<Duration>,
    /// Where messages go that nobody can process.
    pub redrive: Option<RedrivePolicy>,
    /// Whether it has a policy of its own, which may let in whom no other policy does.
    pub has_policy: bool,
}

/// Where messages go that nobody can process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedrivePolicy {
    /// The ARN of the dead-letter queue.
    pub target: String,
    /// After so many receives.
    pub max_receive_count: u64,
}

impl ReadCloud {
    /// Reads a queue's settings.
    ///
    /// # Errors
    /// When the queue is not there or may not be read.
    pub async fn queue_settings(&self, queue: &QueueRef) -> Read<QueueSettings> {
        let url = &self.queue_url(queue).await?;
        let about = About { operation: "GetQueueAttributes", subject: url, rate: Rate::Free };
        let call = self.sqs.get_queue_attributes().queue_url(url);
        let call = call.attribute_names(QueueAttributeName::All);
        let answer = self.pace.call(about, async || call.clone().send().await).await;
        let answer = answer.map_err(|error| error.into_call_error(about))?;
        let attributes = answer.attributes.unwrap_or_default();
        let text = |name| attributes.get(&name).map(String::as_str);
        let seconds = |name| text(name)?.parse().ok().map(Duration::from_secs);
        Ok(QueueSettings {
            arn: text(QueueAttributeName::QueueArn).unwrap_or_default().to_owned(),
            visibility_timeout: seconds(QueueAttributeName::VisibilityTimeout),
            receive_wait: seconds(QueueAttributeName::ReceiveMessageWaitTimeSeconds),
            retention: seconds(QueueAttributeName::MessageRetentionPeriod),
            redrive: text(QueueAttributeName::RedrivePolicy).and_then(RedrivePolicy::read),
            has_policy: attributes.contains_key(&QueueAttributeName::Policy),
        })
    }

    /// Who it is that calls, such as `assumed-role/developer/anna`.
    ///
    /// # Errors
    /// When nobody may say.
    pub async fn caller(&self) -> Result<String, CallError> {
        let arn = self.identity().await?;
        Ok(arn.rsplit(':').next().unwrap_or_default().to_owned())
    }

    /// The account of whoever calls.
    ///
    /// # Errors
    /// As [`Self::caller()`].
    pub async fn account(&self) -> Result<String, CallError> {
        let arn = self.identity().await?;
        Ok(arn.split(':').nth(4).unwrap_or_default().to_owned())
    }

    async fn identity(&self) -> Result<String, CallError> {
        let about = About { operation: "GetCallerIdentity", subject: "sts", rate: Rate::Free };
        // Source: AWS STS API reference, the version of its calls.
        let ask = Ask::Form("Action=GetCallerIdentity&Version=2011-06-15".to_owned());
        let request = Request::new(Service::Sts, about.operation, ask);
        let arn = self.ask(about, request).await?.element("Arn");
        arn.ok_or_else(|| about.error("its answer has no Arn", ErrorKind::Refused))
    }
}

impl RedrivePolicy {
    /// Source: SQS API reference, `SetQueueAttributes`, `RedrivePolicy`.
    fn read(text: &str) -> Option<Self> {
        let policy: Value = serde_json::from_str(text).ok()?;
        let count = policy.get("maxReceiveCount")?;
        // Some clients have written it as a text.
        let count = count.as_u64().or_else(|| count.as_str()?.parse().ok())?;
        let target = policy.get("deadLetterTargetArn")?.as_str()?.to_owned();
        Some(Self { target, max_receive_count: count })
    }
}

impl WriteCloud {
    /// Gives a queue a tag, instead of one with the same key.
    ///
    /// # Errors
    /// When SQS refuses.
    pub async fn tag_queue(&self, url: &str, key: &str, value: &str) -> Result<(), CallError> {
        let about = About { operation: "TagQueue", subject: url, rate: Rate::Free };
        let call = self.sqs.tag_queue().queue_url(url).tags(key, value);
        let answer = self.pace.call(about, async || call.clone().send().await).await;
        answer.map(drop).map_err(|error| error.into_call_error(about))
    }

    /// Takes a tag from a queue; one that it does not have is no error.
    ///
    /// # Errors
    /// When SQS refuses.
    pub async fn untag_queue(&self, url: &str, key: &str) -> Result<(), CallError> {
        let about = About { operation: "UntagQueue", subject: url, rate: Rate::Free };
        let call = self.sqs.untag_queue().queue_url(url).tag_keys(key);
        let answer = self.pace.call(about, async || call.clone().send().await).await;
        answer.map(drop).map_err(|error| error.into_call_error(about))
    }
}
