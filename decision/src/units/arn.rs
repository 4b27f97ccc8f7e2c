//! An ARN in its parts, and the Region that a host of SQS names.

use super::Partition;

/// An ARN in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// Such as `aws-cn`.
    pub partition: &'a str,
    /// Such as `sqs`.
    pub service: &'a str,
    /// Such as `cn-north-1`.
    pub region: &'a str,
    /// The account's number.
    pub account: &'a str,
    /// What it is there.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Its parts, where a text is an ARN of something in a Region and an account.
    pub fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<_> = text.strip_prefix("arn:")?.splitn(5, ':').collect();
        let [partition, service, region, account, resource] = parts.as_slice() else { return None };
        let is_whole = parts.iter().all(|part| !part.is_empty());
        is_whole.then_some(Self { partition, service, region, account, resource })
    }

    /// Whether its Region is in its partition. That of an emulator may be in none.
    pub fn is_consistent(&self) -> bool {
        !self.region.contains('-') || Partition::of(self.region).name == self.partition
    }

    /// Its partition, Region and account.
    pub fn scope(&self) -> (&'a str, &'a str, &'a str) {
        (self.partition, self.region, self.account)
    }
}

/// The Region in a host of SQS; none where the host is not AWS's, such as an emulator's.
/// Sources: SQS developer guide, "Queue and message identifiers" and "Amazon VPC endpoints"; AWS General
/// Reference, "Amazon SQS endpoints and quotas", with the legacy ones.
pub fn region_of_sqs_host(host: &str) -> Option<&str> {
    let host = host.split(':').next()?;
    if host == "queue.amazonaws.com" {
        return Some("us-east-1");
    }
    let labels: Vec<_> = host.split('.').collect();
    match labels.as_slice() {
        ["sqs" | "sqs-fips", region, ..] | [_, "sqs" | "sqs-fips", region, "vpce", ..] => {
            Some(*region)
        }
        [region, "queue", "amazonaws", "com", ..] => Some(*region),
        _ => None,
    }
    .filter(|region| region.contains('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_has_all_its_parts_or_is_none() {
        let arn = Arn::parse("arn:aws-cn:ecs:cn-north-1:1:task-definition/a:7").unwrap();
        assert_eq!(arn.scope(), ("aws-cn", "cn-north-1", "1"));
        assert_eq!((arn.service, arn.resource), ("ecs", "task-definition/a:7"));
        assert!(arn.is_consistent());
        assert!(!Arn::parse("arn:aws:ecs:cn-north-1:1:cluster/a").unwrap().is_consistent());
        for none in ["a", "arn:aws:sqs", "arn:aws:sqs:eu-central-1::a", "arn:aws:s3:::bucket"] {
            assert_eq!(Arn::parse(none), None, "{none}");
        }
    }

    #[test]
    fn every_host_of_sqs_tells_its_region() {
        for (host, region) in [
            ("sqs.eu-central-1.amazonaws.com", Some("eu-central-1")),
            ("eu-central-1.queue.amazonaws.com", Some("eu-central-1")),
            ("queue.amazonaws.com", Some("us-east-1")),
            ("sqs-fips.us-west-2.amazonaws.com", Some("us-west-2")),
            ("sqs.eu-central-1.api.aws", Some("eu-central-1")),
            ("sqs-fips.us-west-2.api.aws", Some("us-west-2")),
            ("vpce-0a1b-xyz.sqs.eu-central-1.vpce.amazonaws.com", Some("eu-central-1")),
            ("vpce-0a1b-xyz-us-east-1a.sqs.us-east-1.vpce.amazonaws.com", Some("us-east-1")),
            ("sqs.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("cn-north-1.queue.amazonaws.com.cn", Some("cn-north-1")),
            ("127.0.0.1:4566", None),
            ("sqs.local", None),
            ("localhost", None),
        ] {
            assert_eq!(region_of_sqs_host(host), region, "{host}");
        }
    }
}
