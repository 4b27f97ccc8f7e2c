//! The only files that name the AWS SDK. [`ReadCloud`] reads and cannot change anything;
//! [`WriteCloud`] changes and decides nothing.

#[cfg(feature = "cli")]
mod account;
mod answer;
mod bounded;
mod definitions;
mod draining;
#[cfg(feature = "cli")]
mod families;
#[cfg(feature = "cli")]
mod function;
mod hosts;
mod instances;
#[cfg(feature = "cli")]
mod inventory;
mod launch;
#[cfg(feature = "cli")]
mod look;
#[cfg(feature = "cli")]
mod logs;
#[cfg(feature = "cli")]
mod measured;
#[cfg(feature = "cli")]
mod oldest;
#[cfg(feature = "cli")]
mod network;
mod pace;
#[cfg(feature = "cli")]
mod past;
#[cfg(feature = "cli")]
mod roles;
#[cfg(feature = "cli")]
mod settings;
mod signed;
mod sqs;
mod stores;
#[cfg(feature = "cli")]
mod strangers;
mod tasks;
mod unusable;
mod wire;
mod words;

use std::error::Error;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_ecs::config::SharedHttpClient;
use aws_sdk_ecs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ecs::operation::RequestId;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use jiff::Timestamp;
use tokio::time::Instant;

#[cfg(feature = "cli")]
pub use account::{Account, ConnectError};
pub use draining::{Answered, Drained};
#[cfg(feature = "cli")]
pub use families::Activity;
#[cfg(feature = "cli")]
pub use function::{DeployedFunction, Invoker};
#[cfg(feature = "cli")]
pub use inventory::RunningService;
pub use launch::{RunTaskError, RunTasks, StartTasks, Started};
#[cfg(feature = "cli")]
pub use logs::{LogLine, LogLines, Logged};
#[cfg(feature = "cli")]
pub use look::{EcrImage, FoundImage};
#[cfg(feature = "cli")]
pub use measured::Measured;
#[cfg(feature = "cli")]
pub use network::{Network, WayOut};
#[cfg(feature = "cli")]
pub use past::{OfWorker, PastSeries, PastWorker};
#[cfg(feature = "cli")]
pub use roles::{Context, ECS_TASKS, Permission, Verdict};
pub use sqs::QueueRead;
pub use stores::{Object, Parameter};
#[cfg(feature = "cli")]
pub use strangers::Known;

#[cfg(feature = "cli")]
pub use pace::Halt;
pub use pace::Tally;
#[cfg(feature = "cli")]
pub use settings::{QueueSettings, RedrivePolicy};

use self::bounded::Bounded;
use self::pace::{About, Pace, kind_of};
use self::signed::Signed;
use self::unusable::{Unusable, Usable};
use self::words::Words;
use decision::snapshot::CallError;
use decision::units::Region;

/// A handshake inside a Region takes milliseconds.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The slowest call, `RunTask` of ten Fargate tasks, takes about one second. A call that starts at
/// the last moment ends before `deadlineMargin` does, which is five seconds at least.
const CALL_TIMEOUT: Duration = Duration::from_millis(4500);

/// Both halves of the cloud, for one process.
#[derive(Clone, Debug)]
pub struct Aws {
    /// What a plan may use.
    pub read: ReadCloud,
    /// What only `act` may use.
    pub write: WriteCloud,
}

/// The calls that read.
#[derive(Clone, Debug)]
pub struct ReadCloud {
    ecs: aws_sdk_ecs::Client,
    sqs: aws_sdk_sqs::Client,
    signed: Signed,
    region: Region,
    urls: sqs::QueueUrls,
    pace: Pace,
}

/// The calls that change something.
#[derive(Clone, Debug)]
pub struct WriteCloud {
    ecs: aws_sdk_ecs::Client,
    #[cfg(feature = "cli")]
    sqs: aws_sdk_sqs::Client,
    signed: Signed,
    defaults: launch::Defaults,
    pace: Pace,
}

/// The environment names no Region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no AWS Region is set; set AWS_REGION, or a profile that names one (AWS_PROFILE)")]
pub struct NoRegion;

impl Aws {
    /// Clients from the environment.
    ///
    /// # Errors
    /// When no Region is configured.
    pub async fn connect() -> Result<Self, NoRegion> {
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(https());
        Self::new(&config.load().await)
    }

    /// Clients from a configuration, such as a test's, with bounds on every wait: the SDK itself
    /// has none.
    ///
    /// # Errors
    /// When it names no Region.
    pub fn new(config: &SdkConfig) -> Result<Self, NoRegion> {
        let region = config.region().ok_or(NoRegion)?;
        let region = Region::from(region.as_ref());
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(CALL_TIMEOUT)
            .operation_timeout(CALL_TIMEOUT)
            .build();
        let once = RetryConfig::disabled(); // `pace` is the layer that repeats
        let bounded = Bounded(config.http_client().unwrap_or_else(https));
        let config = config.to_builder().timeout_config(timeouts).retry_config(once);
        let config = config.http_client(bounded).build();
        let ecs = aws_sdk_ecs::config::Builder::from(&config).interceptor(Usable).build();
        let ecs = aws_sdk_ecs::Client::from_conf(ecs);
        let sqs = aws_sdk_sqs::config::Builder::from(&config).interceptor(Usable).build();
        let sqs = aws_sdk_sqs::Client::from_conf(sqs);
        let signed = Signed::new(&config);
        let pace = Pace::default();
        Ok(Self {
            write: WriteCloud {
                ecs: ecs.clone(),
                #[cfg(feature = "cli")]
                sqs: sqs.clone(),
                signed: signed.clone(),
                defaults: launch::Defaults::default(),
                pace: pace.clone(),
            },
            read: ReadCloud { ecs, sqs, signed, region, urls: sqs::QueueUrls::default(), pace },
        })
    }

    /// The same clients for a new tick, which begins now and starts no call after this.
    #[must_use]
    pub fn for_tick(&self, now: Timestamp, no_call_after: Instant) -> Self {
        self.with(&self.read.pace.of_tick(now).until(no_call_after))
    }

    /// The same clients for a part of a tick that ends earlier.
    #[must_use]
    pub fn until(&self, no_call_after: Instant) -> Self {
        self.with(&self.read.pace.until(no_call_after))
    }

    /// These clients in the place of others, as of another session of the same person: what is known of values that
    /// may not be shown stays known, and what was taken of AWS's rates is taken.
    #[cfg(feature = "cli")]
    #[must_use]
    pub fn instead_of(&self, before: &ReadCloud) -> Self {
        self.with(&before.pace)
    }

    /// The same clients for what a person may halt.
    #[cfg(feature = "cli")]
    #[must_use]
    pub fn with_halt(&self, halt: Halt) -> Self {
        self.with(&self.read.pace.with_halt(halt))
    }

    fn with(&self, pace: &Pace) -> Self {
        Self {
            read: ReadCloud { pace: pace.clone(), ..self.read.clone() },
            write: self.write.with(pace.clone()),
        }
    }

    /// The calls that the tick has made so far.
    pub fn tally(&self) -> Tally {
        self.read.pace.tally().clone()
    }
}

/// TLS by rustls with ring. The SDK's default, aws-lc, gathers entropy of its own at the first
/// handshake, which at the share of a processor that a small function gets takes longer than the
/// whole tick, and makes the package larger. Measured: docs/benchmarks.md.
fn https() -> SharedHttpClient {
    let ring = Provider::Rustls(CryptoMode::Ring);
    aws_smithy_http_client::Builder::new().tls_provider(ring).build_https()
}

impl ReadCloud {
    /// The same for a tick that begins now and starts no call after this.
    #[cfg(feature = "cli")]
    #[must_use]
    pub fn for_tick(&self, now: Timestamp, no_call_after: Instant) -> Self {
        Self { pace: self.pace.of_tick(now).until(no_call_after), ..self.clone() }
    }

    /// The calls that were made so far.
    #[cfg(feature = "cli")]
    pub fn tally(&self) -> Tally {
        self.pace.tally().clone()
    }

    /// The same for what starts no call after this.
    #[must_use]
    pub fn until(&self, no_call_after: Instant) -> Self {
        Self { pace: self.pace.until(no_call_after), ..self.clone() }
    }

    /// Where we are.
    pub fn region(&self) -> &Region {
        &self.region
    }
}

impl WriteCloud {
    fn with(&self, pace: Pace) -> Self {
        Self { pace, ..self.clone() }
    }
}

/// An SDK error as far as it may be shown. Its `Debug` is not used: it may hold the whole answer.
fn call_error<E>(about: About<'_>, error: &SdkError<E>, words: &Words) -> CallError
where
    E: Error + ProvideErrorMetadata + 'static,
{
    let code = error.code().map(|code| words.redacted(code));
    let message = match (Unusable::in_error(error), error.message()) {
        (Some(unusable), _) => unusable.to_string(),
        (None, Some(message)) => with_clock(message),
        (None, None) if error.as_service_error().is_some() => "no message".to_owned(),
        (None, None) => explained(chain(error)),
    };
    let message = words.redacted(&message);
    let request_id = error.meta().request_id().map(|id| words.redacted(id));
    let (operation, subject) = (about.operation, about.subject.to_owned());
    CallError { operation, subject, code, message, request_id, kind: kind_of(error) }
}

/// A signature is refused for its time only where the SDK could not take the right one from the answers. AWS says
/// which times differ, and not what a person can do.
/// Source: IAM user guide, "Troubleshoot Signature Version 4"; S3 API reference, `RequestTimeTooSkewed`.
fn with_clock(message: &str) -> String {
    let of_time =
        ["Signature expired", "Signature not yet current", "difference between the request time"];
    if !of_time.iter().any(|words| message.contains(words)) {
        return message.to_owned();
    }
    format!("{message}; the clock of this machine is wrong: set it, as by NTP, and try again")
}

/// The SDK says where it looked for credentials, and not what a person can do.
fn explained(failure: String) -> String {
    if !failure.contains("credentials") {
        return failure;
    }
    format!(
        "no AWS credentials; give the function a role, or set AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; of a profile with SSO, sign in again: aws sso login ({failure})"
    )
}

/// An error and its causes, each once.
fn chain(error: &dyn Error) -> String {
    let mut chain = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !chain.ends_with(&text) {
            chain = format!("{chain}: {text}");
        }
        cause = error.source();
    }
    chain
}
