//! The account that a terminal reads.

use aws_config::{BehaviorVersion, Region};

use super::{Aws, NoRegion, https};

/// Where a terminal looks; what is not said here, the environment and the profile say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The profile of `~/.aws/config`.
    pub profile: Option<String>,
    /// The Region.
    pub region: Option<String>,
    /// Where all services are, instead of AWS.
    pub endpoint: Option<String>,
}

impl Account {
    /// Clients. What only reads takes their first half.
    ///
    /// # Errors
    /// When no Region is configured.
    pub async fn connect(self) -> Result<Aws, NoRegion> {
        let Self { profile, region, endpoint } = self;
        let mut config = aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(https());
        if let Some(profile) = profile {
            config = config.profile_name(profile);
        }
        if let Some(region) = region {
            config = config.region(Region::new(region));
        }
        if let Some(endpoint) = endpoint {
            config = config.endpoint_url(endpoint);
        }
        let aws = Aws::new(&config.load().await)?;
        Ok(aws.with(&aws.read.pace.of_terminal()))
    }
}
