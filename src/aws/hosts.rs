//! The hosts of the services that have no crate here, by AWS's published rule sets.
//!
//! Source: botocore `data/*/endpoint-rule-set-1.json`. `tests/local/hosts.txt` has them for every Region;
//! `tests/local/test_hosts.py` holds that table to botocore, and the test below this file to the table.

use super::signed::Service;
use decision::units::Partition;

/// Which of a service's hosts is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kind {
    /// One whose cryptography is validated by FIPS 140.
    pub(super) fips: bool,
    /// One that has addresses of IPv6 too.
    pub(super) dual_stack: bool,
}

/// The host of a service in a Region; none where AWS has none.
pub(super) fn host(service: Service, region: &str, kind: Kind) -> Option<String> {
    let partition = Partition::of(region);
    let name = service.name();
    if service == Service::S3 {
        let fips = if kind.fips { "-fips" } else { "" };
        let dual_stack = if kind.dual_stack { ".dualstack" } else { "" };
        let is_there = !(kind.fips && partition.name == "aws-cn");
        let suffix = partition.suffix;
        return is_there.then(|| format!("{name}{fips}{dual_stack}.{region}.{suffix}"));
    }
    #[cfg(feature = "cli")]
    match service {
        Service::Iam => return host_of_iam(partition.name, kind),
        Service::Ecr | Service::Secrets | Service::Quotas => {
            let api = if service == Service::Ecr { "api." } else { "" };
            let host = format!("{api}{name}.{region}.{}", partition.suffix);
            return (kind == Kind::default()).then_some(host);
        }
        _ => {}
    }
    // There the plain host is validated, and there is no other.
    let is_plain = partition.name == "aws-us-gov" && service.is_plain_in_gov(kind.dual_stack);
    let fips = if kind.fips && !is_plain { "-fips" } else { "" };
    let suffix = if kind.dual_stack { partition.dual_stack_suffix } else { partition.suffix };
    Some(format!("{name}{fips}.{region}.{suffix}"))
}

/// IAM is one for a partition, and its calls are signed for this Region.
/// Source: IAM user guide, "IAM endpoints and quotas".
#[cfg(feature = "cli")]
pub(super) fn region_of_iam(region: &str) -> Option<&'static str> {
    match Partition::of(region).name {
        "aws" => Some("us-east-1"),
        "aws-cn" => Some("cn-north-1"),
        "aws-us-gov" => Some("us-gov-west-1"),
        _ => None,
    }
}

/// Its plain host. In others nothing is looked at.
#[cfg(feature = "cli")]
fn host_of_iam(partition: &str, kind: Kind) -> Option<String> {
    let host = match partition {
        "aws" => "iam.amazonaws.com",
        "aws-cn" => "iam.cn-north-1.amazonaws.com.cn",
        "aws-us-gov" => "iam.us-gov.amazonaws.com",
        _ => return None,
    };
    (kind == Kind::default()).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_are_those_of_the_published_rule_sets() {
        let table = include_str!("../../tests/local/hosts.txt");
        let lines: Vec<Vec<_>> = table.lines().map(|line| line.split(' ').collect()).collect();
        for line in &lines {
            let [service, region, fips, dual_stack, url] = line.as_slice() else {
                panic!("{line:?}")
            };
            let service = match *service {
                "ssm" => Service::Ssm,
                "s3" => Service::S3,
                "resourcegroupstaggingapi" => Service::Tagging,
                "autoscaling" => Service::AutoScaling,
                #[cfg(feature = "cli")]
                "lambda" => Service::Lambda,
                #[cfg(feature = "cli")]
                "cloudwatch" => Service::CloudWatch,
                #[cfg(feature = "cli")]
                "logs" => Service::Logs,
                #[cfg(feature = "cli")]
                "sts" => Service::Sts,
                #[cfg(feature = "cli")]
                "iam" => Service::Iam,
                #[cfg(feature = "cli")]
                "ec2" => Service::Ec2,
                #[cfg(feature = "cli")]
                "ecr" => Service::Ecr,
                #[cfg(feature = "cli")]
                "secretsmanager" => Service::Secrets,
                #[cfg(feature = "cli")]
                "service-quotas" => Service::Quotas,
                other => panic!("{other}"),
            };
            let kind = Kind { fips: *fips == "yes", dual_stack: *dual_stack == "yes" };
            let host = url.strip_prefix("https://").map(|host| host.trim_start_matches("bucket."));
            assert_eq!(super::host(service, region, kind).as_deref(), host, "{line:?}");
        }
        assert!(700 < lines.len(), "{}", lines.len());
    }
}
