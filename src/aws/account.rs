//! The account that a terminal reads.

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ecs::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use jiff::Timestamp;

use super::{Aws, NoRegion, chain, https};

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

/// Why nothing can be asked of an account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Nobody says where.
    #[error(transparent)]
    NoRegion(#[from] NoRegion),
    /// Nobody says as whom.
    #[error("{0}")]
    NoCredentials(String),
}

impl Account {
    /// Clients. What only reads takes their first half. Credentials are looked for once, here: without them each
    /// call would look anew, and fail on its own.
    ///
    /// # Errors
    /// When no Region is configured, or there are no credentials that are valid now.
    pub async fn connect(self, now: Timestamp) -> Result<Aws, ConnectError> {
        let config = self.load().await;
        if config.region().is_none() && self.profile.is_none() {
            return Err(NoRegion.into());
        }
        let credentials = self.credentials(&config, now).await?;
        let config = match credentials.expiry() {
            // Whatever gives them need not run again.
            None => {
                let fixed = SharedCredentialsProvider::new(credentials);
                config.into_builder().credentials_provider(fixed).build()
            }
            Some(_) => config,
        };
        let aws = Aws::new(&config)?;
        Ok(aws.with(&aws.read.pace.of_terminal()))
    }

    async fn load(&self) -> SdkConfig {
        let Self { profile, region, endpoint } = self;
        let mut config = aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(https());
        if let Some(profile) = profile {
            config = config.profile_name(profile);
        }
        if let Some(region) = region {
            config = config.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = endpoint {
            config = config.endpoint_url(endpoint);
        }
        let config = config.load().await;
        let Some(profile) = profile else { return config };
        // A profile that is named is meant. The SDK would take the keys of the environment before it, and the
        // machine's role where it is missing.
        let from = ProviderConfig::without_region().with_http_client(https());
        let from = from.with_region(config.region().cloned());
        let named = ProfileFileCredentialsProvider::builder().profile_name(profile);
        let named = SharedCredentialsProvider::new(named.configure(&from).build());
        config.into_builder().credentials_provider(named).build()
    }

    async fn credentials(
        &self,
        config: &SdkConfig,
        now: Timestamp,
    ) -> Result<Credentials, ConnectError> {
        let missing = |why: &str| ConnectError::NoCredentials(self.no_credentials(why));
        let provider = config.credentials_provider().ok_or_else(|| missing(""))?;
        let credentials = provider.provide_credentials().await;
        let credentials = credentials.map_err(|error| missing(&chain(&error)))?;
        match credentials.expiry().map(Timestamp::try_from) {
            Some(Ok(end)) if end <= now => {
                Err(missing(&format!("the ones that were found ended at {end}")))
            }
            _ => Ok(credentials),
        }
    }

    /// What a person can do about it.
    fn no_credentials(&self, why: &str) -> String {
        let (of, option) = match &self.profile {
            Some(name) => (format!(" of profile `{name}`"), format!(" --profile {name}")),
            None => (String::new(), String::new()),
        };
        let todo = if why.contains("SSO") {
            format!("sign in again: aws sso login{option}")
        } else if why.contains("Login") {
            format!("sign in again: aws login{option}")
        } else if why.contains("external process") {
            "run its credential_process by hand and correct what it says".to_owned()
        } else if why.contains("ended at") {
            "get new ones".to_owned()
        } else if self.profile.is_some() {
            "correct it in the AWS configuration, or give another --profile".to_owned()
        } else {
            "give --profile, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                .to_owned()
        };
        // The SDK then lists where it has looked.
        let why = if why.contains("found in chain") { "none was found" } else { why.trim() };
        format!("no AWS credentials{of}; {todo} ({why})")
    }
}
