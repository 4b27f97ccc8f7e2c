//! The partitions of AWS: what their Regions, ARNs and hosts are called.

/// A partition of AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// What its Regions begin with; nothing for the one that all others belong to.
    prefix: &'static str,
    /// What stands after `arn:`.
    pub name: &'static str,
    /// What its hosts end with.
    pub suffix: &'static str,
    /// What its hosts end with where they have IPv6 too.
    pub dual_stack_suffix: &'static str,
}

const fn partition(
    prefix: &'static str,
    name: &'static str,
    suffix: &'static str,
    dual_stack_suffix: &'static str,
) -> Partition {
    Partition { prefix, name, suffix, dual_stack_suffix }
}

/// Source: botocore `data/partitions.json`; `tests/local/test_hosts.py` holds the hosts to it.
const PARTITIONS: [Partition; 8] = [
    partition("cn-", "aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    partition("us-gov-", "aws-us-gov", "amazonaws.com", "api.aws"),
    partition("eusc-", "aws-eusc", "amazonaws.eu", "api.amazonwebservices.eu"),
    partition("us-iso-", "aws-iso", "c2s.ic.gov", "api.aws.ic.gov"),
    partition("us-isob-", "aws-iso-b", "sc2s.sgov.gov", "api.aws.scloud"),
    partition("eu-isoe-", "aws-iso-e", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    partition("us-isof-", "aws-iso-f", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    AWS,
];

const AWS: Partition = partition("", "aws", "amazonaws.com", "api.aws");

impl Partition {
    /// The one that a Region is in.
    pub fn of(region: &str) -> Self {
        let found = PARTITIONS.iter().find(|partition| region.starts_with(partition.prefix));
        *found.unwrap_or(&AWS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_in_its_partition() {
        assert_eq!(Partition::of("eu-central-1"), AWS);
        assert_eq!(Partition::of("us-gov-west-1").name, "aws-us-gov");
        assert_eq!(Partition::of("cn-north-1").suffix, "amazonaws.com.cn");
        assert_eq!(Partition::of("us-isob-east-1").name, "aws-iso-b");
    }
}
