//! SQS: queues and the depth that they admit to.

use serde_json::{Value, json};

use super::{ACCOUNT, Answer, REGION, State, World, list, refuse, text};

/// A queue being described by a test.
pub(crate) struct Queue<'a> {
    world: &'a World,
    url: String,
}

impl World {
    /// A queue of this account is no more.
    pub(crate) fn delete_queue(&self, name: &str) {
        self.state().queues.remove(&url(ACCOUNT, name));
    }

    /// A queue of this account, empty unless told otherwise.
    pub(crate) fn queue(&self, name: &str) -> Queue<'_> {
        self.queue_of(ACCOUNT, name)
    }

    /// A queue of another account.
    pub(crate) fn queue_of(&self, account: &str, name: &str) -> Queue<'_> {
        let url = url(account, name);
        self.state().queues.entry(url.clone()).or_default();
        let queue = Queue { world: self, url };
        let redrive = r#"{"deadLetterTargetArn":"arn:aws:sqs:eu-central-1:123456789012:dead","maxReceiveCount":3}"#;
        queue.visible(0).in_flight(0).delayed(0).attribute("RedrivePolicy", redrive)
    }
}

pub(crate) fn url(account: &str, name: &str) -> String {
    format!("https://sqs.{REGION}.amazonaws.com/{account}/{name}")
}

impl Queue<'_> {
    pub(crate) fn visible(self, messages: u64) -> Self {
        self.attribute("ApproximateNumberOfMessages", &messages.to_string())
    }

    pub(crate) fn in_flight(self, messages: u64) -> Self {
        self.attribute("ApproximateNumberOfMessagesNotVisible", &messages.to_string())
    }

    pub(crate) fn delayed(self, messages: u64) -> Self {
        self.attribute("ApproximateNumberOfMessagesDelayed", &messages.to_string())
    }

    /// Any value, also one that is no number.
    pub(crate) fn attribute(self, name: &str, value: &str) -> Self {
        let mut state = self.world.state();
        let queue = state.queues.get_mut(&self.url).unwrap();
        queue.insert(name.to_owned(), value.to_owned());
        drop(state);
        self
    }

    /// The attribute is not in the answer.
    pub(crate) fn without(self, name: &str) {
        self.world.state().queues.get_mut(&self.url).unwrap().remove(name);
    }
}

/// The worker of a queue: they are called the same, but for what says that a queue is FIFO.
pub(super) fn worker_of(url: &str) -> &str {
    let name = url.rsplit('/').next().unwrap_or_default();
    name.strip_suffix(".fifo").unwrap_or(name)
}

/// A queue has one name at every host of its Region.
/// Source: SQS developer guide, "Queue and message identifiers"; AWS General Reference, "Amazon SQS
/// endpoints and quotas".
fn regional(url: &str) -> String {
    let parts: Vec<_> = url.rsplitn(3, '/').collect();
    let [name, account, host] = parts.as_slice() else { return url.to_owned() };
    let is_here = host.starts_with("https://") && host.contains(REGION);
    if is_here { self::url(account, name) } else { url.to_owned() }
}

impl State {
    pub(super) fn get_queue_url(&self, input: &Value) -> Answer {
        let owner = Some(text(input, "QueueOwnerAWSAccountId")).filter(|owner| !owner.is_empty());
        let url = url(owner.unwrap_or(ACCOUNT), text(input, "QueueName"));
        if self.queues.contains_key(&url) { Ok(json!({"QueueUrl": url})) } else { unknown_queue() }
    }

    /// A page of two. Source: SQS API, `ListQueues`: without `MaxResults` there is no token.
    pub(super) fn list_queues(&self, input: &Value) -> Value {
        assert!(input["MaxResults"].is_u64(), "{input}");
        let begin: usize = input["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let page: Vec<_> = self.queues.keys().skip(begin).take(2).collect();
        let next = (begin + 2 < self.queues.len()).then(|| (begin + 2).to_string());
        json!({"QueueUrls": page, "NextToken": next})
    }

    /// Without names, no attributes. Source: SQS API, `GetQueueAttributesRequest.AttributeNames`.
    pub(super) fn get_queue_attributes(&mut self, process: u32, input: &Value) -> Answer {
        let (now, url) = (self.millis(), &regional(text(input, "QueueUrl")));
        let Some(queue) = self.queues.get_mut(url) else { return unknown_queue() };
        if let Some((visible, in_flight, delayed)) =
            self.life.as_mut().and_then(|life| life.approximately(url, now))
        {
            queue.insert("ApproximateNumberOfMessages".to_owned(), visible.to_string());
            queue.insert("ApproximateNumberOfMessagesNotVisible".to_owned(), in_flight.to_string());
            queue.insert("ApproximateNumberOfMessagesDelayed".to_owned(), delayed.to_string());
            let name = worker_of(url);
            self.watch.served(process, name, visible + in_flight + delayed);
            self.watch.waiting.tell(process, name, (visible, in_flight));
        }
        let names = list(input, "AttributeNames");
        let asked = |name: &&String| names.iter().any(|asked| asked == "All" || asked == *name);
        let attributes: serde_json::Map<_, _> = queue
            .iter()
            .filter(|(name, _)| asked(name))
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        Ok(json!({"Attributes": attributes}))
    }
}

fn unknown_queue() -> Answer {
    refuse("com.amazonaws.sqs#QueueDoesNotExist", "The specified queue does not exist.")
}
