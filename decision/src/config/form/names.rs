//! What things of AWS and of ours may be called.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::{Value, json};

use super::{Form, Special, Wrong, pattern};
use crate::config::QueueRef;
use crate::document::{Member, Node};
use crate::limits;
use crate::tags;
use crate::units::{Arn, ClusterName, Family, Partition, ScalerName, TaskDefinitionRef};

/// Letters, digits, `-` and `_`, of at most so many: what ECS allows in the names of families and
/// containers.
pub(crate) struct Identifier(pub(crate) usize);

impl Form for Identifier {
    type Value = String;

    fn read(&self, node: &Node) -> Result<String, Wrong> {
        let is_legal = |text: &&str| (1..=self.0).contains(&text.len()) && is_identifier(text);
        node.as_str().filter(is_legal).map(str::to_owned).ok_or(Wrong::NotAllowed)
    }

    fn allowed(&self) -> String {
        format!("1 to {} letters, digits, `-` and `_`", self.0)
    }

    fn schema(&self) -> Value {
        pattern(&format!("^[A-Za-z0-9_-]{{1,{}}}$", self.0))
    }
}

fn is_identifier(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// The parts of an ARN, where a text may be one. Its Region has to be in its partition.
fn arn(text: &str) -> Result<Option<Arn<'_>>, Wrong> {
    let Some(arn) = Arn::parse(text) else { return Ok(None) };
    if arn.is_consistent() {
        return Ok(Some(arn));
    }
    let partition = Partition::of(arn.region).name;
    Err(Wrong::Because(format!(
        "it says partition `{}`, and {} is in `{partition}`",
        arn.partition, arn.region
    )))
}

/// A cluster of ECS.
pub(crate) const CLUSTER: Special<ClusterName> = Special {
    read: cluster,
    allowed: "a cluster's name (letters, digits, `-`, `_`) or ARN",
    schema: || pattern("^([A-Za-z0-9_-]{1,255}|arn:.*:cluster/[A-Za-z0-9_-]{1,255})$"),
};

fn cluster(node: &Node) -> Result<ClusterName, Wrong> {
    let text = node.as_str().ok_or(Wrong::NotAllowed)?;
    let name = match arn(text)? {
        Some(arn) if arn.service == "ecs" => arn.resource.strip_prefix("cluster/"),
        Some(_) => None,
        None => Some(text),
    };
    let legal = |name: &&str| (1..=255).contains(&name.len()) && is_identifier(name);
    name.filter(legal).map(|_| ClusterName(text.to_owned())).ok_or(Wrong::NotAllowed)
}

/// A task definition of ECS.
pub(crate) const TASK_DEFINITION: Special<TaskDefinitionRef> = Special {
    read: task_definition,
    allowed: "a family of at most 255 letters, digits, `-` and `_`, `family:revision`, or the ARN \
              of a revision",
    schema: || pattern("^(arn:.*:task-definition/)?[A-Za-z0-9_-]{1,255}(:[0-9]+)?$"),
};

fn task_definition(node: &Node) -> Result<TaskDefinitionRef, Wrong> {
    let text = node.as_str().ok_or(Wrong::NotAllowed)?;
    let tail = match arn(text)? {
        Some(arn) if arn.service == "ecs" => arn.resource.strip_prefix("task-definition/"),
        Some(_) => None,
        None => Some(text),
    };
    let tail = tail.ok_or(Wrong::NotAllowed)?;
    let (family, revision) = tail.split_once(':').map_or((tail, "1"), |parts| parts);
    let is_number = revision.bytes().all(|c| c.is_ascii_digit());
    let revision_is_legal = is_number && revision.parse::<u32>().is_ok_and(|r| 0 < r);
    let family_is_legal =
        (1..=limits::NAME_CHARACTERS).contains(&family.len()) && is_identifier(family);
    if !(family_is_legal && revision_is_legal) {
        return Err(Wrong::NotAllowed);
    }
    if 1 < Family::from(family).worker_containers().0 {
        return Err("`--x` and a number end the names of our own derived families; name the base \
                    family"
            .into());
    }
    Ok(TaskDefinitionRef(text.to_owned()))
}

/// A queue of SQS.
/// Source of the limits: SQS API, `CreateQueueRequest.QueueName`.
pub(crate) const QUEUE: Special<QueueRef> = Special {
    read: queue,
    allowed: "a queue's name (1 to 80 letters, digits, `-`, `_`, and `.fifo`), its https URL, or \
              its ARN",
    schema: || pattern("^((https?://[^/]+/[^/]+/|arn:.*:)?[A-Za-z0-9_-]{1,80}([.]fifo)?)$"),
};

fn queue(node: &Node) -> Result<QueueRef, Wrong> {
    let text = node.as_str().ok_or(Wrong::NotAllowed)?;
    if let Some((scheme, rest)) = text.split_once("://") {
        let parts: Vec<_> = rest.split('/').collect();
        let legal = matches!(parts.as_slice(), [host, account, name]
            if !host.is_empty() && !account.is_empty() && is_queue(name));
        let legal = legal && ["https", "http"].contains(&scheme);
        return legal.then(|| QueueRef::Url(text.to_owned())).ok_or(Wrong::NotAllowed);
    }
    if let Some(arn) = arn(text)? {
        let queue = QueueRef::of_arn(&arn).filter(|queue| is_queue(queue.name()));
        return queue.ok_or(Wrong::NotAllowed);
    }
    is_queue(text).then(|| QueueRef::Name(text.to_owned())).ok_or(Wrong::NotAllowed)
}

fn is_queue(name: &str) -> bool {
    let plain = name.strip_suffix(".fifo").unwrap_or(name);
    (1..=80).contains(&name.len()) && !plain.is_empty() && is_identifier(plain)
}

/// The key or the value of a tag, of so many characters.
/// Source: SQS developer guide, "Tag restrictions".
pub(crate) struct TagText(pub(crate) RangeInclusive<usize>);

impl Form for TagText {
    type Value = String;

    fn read(&self, node: &Node) -> Result<String, Wrong> {
        let text = node.as_str().filter(|text| {
            let is_short = self.0.contains(&text.chars().count());
            is_short && text.chars().all(tags::is_legal) && !tags::is_reserved(text)
        });
        text.map(str::to_owned).ok_or(Wrong::NotAllowed)
    }

    fn allowed(&self) -> String {
        format!(
            "{} to {} letters, digits, spaces and `_.:/=+-@`, not beginning with `aws:`",
            self.0.start(),
            self.0.end()
        )
    }

    fn schema(&self) -> Value {
        tag_schema(self.0.clone(), "")
    }
}

/// The schema of a tag's text, which must not begin as this says.
fn tag_schema(length: RangeInclusive<usize>, but: &str) -> Value {
    let legal = r##"(?![aA][wW][sS]:)[^\x00-\x1f!"#$%&'()*,;<>?\[\]\\^`{|}~]*$"##;
    let (least, most) = (length.start(), length.end());
    json!({"type": "string", "minLength": least, "maxLength": most, "pattern": format!("^{but}{legal}")})
}

/// Tags of tasks, beside our own.
/// Source of the limits: ECS API, `RunTaskRequest.tags`.
pub(crate) const TAGS: Special<BTreeMap<String, String>> = Special {
    read: read_tags,
    allowed: "an object of tags and their values, such as {team: search}",
    schema: || {
        let key = tag_schema(1..=128, "(?!ecs-queue-scaler:)");
        json!({"type": "object", "propertyNames": key,
            "additionalProperties": TagText(0..=256).schema()})
    },
};

fn read_tags(node: &Node) -> Result<BTreeMap<String, String>, Wrong> {
    let members = node.members().ok_or(Wrong::NotAllowed)?;
    let tag = |Member { key, value, .. }: &Member| {
        let (of_key, of_value) = (TagText(1..=128), TagText(0..=256));
        if key.starts_with(tags::PREFIX) {
            return Err(Wrong::Because(format!("`{key}` is a tag of the scaler's own")));
        }
        if of_key.read(&Node::untyped(key)).is_err() {
            return Err(Wrong::Because(format!(
                "`{key}` is no key, which has {}",
                of_key.allowed()
            )));
        }
        let text = of_value.read(value).map_err(|_| {
            let (seen, allowed) = (value.shown(), of_value.allowed());
            Wrong::Because(format!("`{key}` is {seen}, and a value is text of {allowed}"))
        })?;
        Ok((key.clone(), text))
    };
    members.iter().map(tag).collect()
}

/// What `SCALER_NAME` was.
pub(crate) const SCALER: Special<ScalerName> = Special {
    read: |node| {
        ScalerName::parse(node.as_str().unwrap_or_default()).map_err(|_| Wrong::NotAllowed)
    },
    allowed: "what SCALER_NAME was: 1 to 36 letters, digits, `-`, `_` or `/`",
    schema: || pattern("^[A-Za-z0-9_/-]{1,36}$"),
};

/// ECS's own hook of a capacity provider with managed draining: it waits for all tasks, not for ours.
/// Source: ECS developer guide, "Safely stop Amazon ECS workloads running on EC2 instances".
const OF_ECS: &str = "ecs-managed-draining-termination-hook";

/// Source of the limits: EC2 Auto Scaling API, `PutLifecycleHook`, `LifecycleHookName`.
pub(crate) const HOOK: Special<String> = Special {
    read: |node| {
        let legal = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
        let is_name = |t: &&str| (1..=255).contains(&t.len()) && t.chars().all(legal);
        match node.as_str().filter(is_name) {
            Some(OF_ECS) => {
                Err("ECS completes that one by itself, when all tasks have ended".into())
            }
            Some(name) => Ok(name.to_owned()),
            None => Err(Wrong::NotAllowed),
        }
    },
    allowed: "the name of a lifecycle hook of your own, of 1 to 255 letters, digits, `-`, `_` and `/`",
    schema: || pattern("^[A-Za-z0-9_/-]{1,255}$"),
};

/// The image of a container.
/// Source: the OCI distribution specification, "Pulling manifests", and Docker's `reference`, whose
/// names are in lower case.
pub(crate) const IMAGE: Special<String> = Special {
    read: |node| {
        let is_image = |text: &&str| text.len() <= 255 && is_image(text);
        node.as_str().filter(is_image).map(str::to_owned).ok_or(Wrong::NotAllowed)
    },
    allowed: "the name of an image, such as `public.ecr.aws/docker/library/busybox:1.37`",
    schema: || pattern("^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}$"),
};

fn is_image(text: &str) -> bool {
    let (name, digest) = text.split_once('@').map_or((text, None), |(n, d)| (n, Some(d)));
    let digest_is_legal = digest.is_none_or(|digest| digest.split_once(':').is_some());
    let (host, path) = match name.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
        _ => ("host", name),
    };
    let (path, tag) = path.split_once(':').unwrap_or((path, "latest"));
    let of = |text: &str, more: &str| {
        let legal = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
        text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(legal)
    };
    let part_is_legal = |part: &str| of(part, "._-") && !part.contains(char::is_uppercase);
    let tag_is_legal = of(tag, "._-") || tag.starts_with('_') && of(&tag.replace('_', ""), ".-");
    of(host, ".:-") && path.split('/').all(part_is_legal) && tag_is_legal && digest_is_legal
}

/// A role of IAM, which belongs to no Region.
pub(crate) const ROLE: Special<String> = Special {
    read: |node| of_arn(node, "iam", is_role),
    allowed: "the ARN of a role, such as `arn:aws:iam::111122223333:role/export`",
    schema: || pattern("^arn:[a-z-]+:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$"),
};

fn is_role(rest: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "_+=,.@/-".contains(c);
    rest.strip_prefix(':').and_then(|rest| rest.split_once(":role/")).is_some_and(
        |(account, name)| {
            let is_account = account.len() == 12 && account.bytes().all(|c| c.is_ascii_digit());
            is_account && !name.is_empty() && name.chars().all(legal)
        },
    )
}

/// A file of environment variables.
pub(crate) const ENVIRONMENT_FILE: Special<String> = Special {
    read: |node| of_arn(node, "s3", |rest| rest.starts_with("::") && rest.contains('/')),
    allowed: "the ARN of an object of S3, such as `arn:aws:s3:::bucket/export.env`",
    schema: || pattern("^arn:[a-z-]+:s3:::[^/]+/.+$"),
};

/// An ARN of a service, with what it is without a Region: what comes after that.
fn of_arn(node: &Node, service: &str, is_legal: fn(&str) -> bool) -> Result<String, Wrong> {
    let text = node.as_str().ok_or(Wrong::NotAllowed)?;
    let rest = text.strip_prefix("arn:").and_then(|rest| rest.split_once(':'));
    let is_partition = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    let rest = rest.filter(|(partition, _)| !partition.is_empty() && is_partition(partition));
    let rest = rest.and_then(|(_, rest)| rest.strip_prefix(service)?.strip_prefix(':'));
    rest.filter(|rest| is_legal(rest)).map(|_| text.to_owned()).ok_or(Wrong::NotAllowed)
}

/// The id of something of EC2.
pub(crate) struct Id(pub(crate) &'static str);

impl Form for Id {
    type Value = String;

    fn read(&self, node: &Node) -> Result<String, Wrong> {
        let is_rest = |rest: &str| !rest.is_empty() && is_identifier(rest);
        let is_id = |text: &&str| text.strip_prefix(self.0).is_some_and(is_rest);
        let text = node.as_str().filter(|text| text.len() <= 255);
        text.filter(is_id).map(str::to_owned).ok_or(Wrong::NotAllowed)
    }

    fn allowed(&self) -> String {
        format!("an id that begins with `{}`", self.0)
    }

    fn schema(&self) -> Value {
        pattern(&format!("^{}[A-Za-z0-9_-]+$", self.0))
    }
}

/// Attributes of instances, and their values.
/// Source of the limits: ECS API, `Attribute`.
pub(crate) const ATTRIBUTES: Special<BTreeMap<String, String>> = Special {
    read: attributes,
    allowed: "an object of attributes and their values, such as {ecs.instance-type: c7g.large}",
    schema: || json!({"type": "object", "additionalProperties": {"type": "string"}}),
};

fn attributes(node: &Node) -> Result<BTreeMap<String, String>, Wrong> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_/\\.".contains(c);
    let is_value = |c: char| is_name(c) || "@: ".contains(c);
    let is_short = |text: &str| (1..=128).contains(&text.len());
    let members = node.members().ok_or(Wrong::NotAllowed)?;
    let pairs = members.iter().map(|member| {
        let name = Some(&member.key).filter(|name| is_short(name) && name.chars().all(is_name));
        let text = member
            .value
            .as_str()
            .filter(|text| is_short(text) && text.chars().all(is_value) && text.trim() == *text);
        name.zip(text).map(|(name, text)| (name.clone(), text.to_owned())).ok_or_else(|| {
            Wrong::Because(format!(
                "`{}: {}` is not one; names have up to 128 letters, digits and `-_./\\`, values \
                 also `@`, `:` and spaces inside",
                member.key,
                member.value.shown().trim_matches('`')
            ))
        })
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_no_registry_can_have_is_none() {
        for image in [
            "busybox",
            "busybox:1.37",
            "public.ecr.aws/docker/library/busybox:1.37",
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com/tools/busybox",
            "localhost:5000/a/b:c",
            "a/b@sha256:0123456789abcdef",
            "a:B_c-1.2",
        ] {
            assert!(is_image(image), "{image}");
        }
        for image in
            ["", " ", "a b", "https://a/b", "Busybox", "a/B:1", "a:", "a//b", "/a", "a@b", "a:b c"]
        {
            assert!(!is_image(image), "{image}");
        }
    }

    #[test]
    fn queues_are_named_in_three_ways() {
        let read = |name: &str| queue(&Node::untyped(name));
        assert_eq!(read("jobs.fifo"), Ok(QueueRef::Name("jobs.fifo".to_owned())));
        let url = "https://sqs.eu-central-1.amazonaws.com/123456789012/jobs";
        assert_eq!(read(url).unwrap().region(), Some("eu-central-1"));
        assert_eq!(read("http://127.0.0.1:4566/000000000000/jobs").unwrap().region(), None);
        let arn = read("arn:aws:sqs:eu-central-1:123456789012:jobs").unwrap();
        assert_eq!(arn.region(), Some("eu-central-1"));
        assert_eq!(arn.to_string(), "arn:aws:sqs:eu-central-1:123456789012:jobs");
    }
}
