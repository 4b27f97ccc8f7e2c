//! Which account, which scaler, when: what all commands that read AWS need.

use std::env;
use std::io::stdout;
use std::pin::pin;
use std::time::Duration;

use clap::Args;
use ecs_queue_scaler::aws::{Account, Aws, ConnectError, ReadCloud};
use ecs_queue_scaler::cli::deployment::{Deployment, DeploymentError, Wanted};
use ecs_queue_scaler::run::Invocation;
use indicatif::ProgressBar;
use jiff::Timestamp;
use terminal_size::{Width, terminal_size_of};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep_until};

use super::Failed;

/// A reading command begins no call after this: with the last one's own time it ends within 15 seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// What reads every worker's definition takes longer where there are hundreds: ECS lets them be read slowly.
pub(crate) const PATIENCE_FOR_ALL: Duration = Duration::from_mins(1);

/// Where there is no terminal.
const WIDTH: u16 = 120;

/// What names the invocation of a terminal in what it reads.
const REQUEST: &str = "queue-scaler";

#[derive(Args, Clone, Debug)]
#[group(id = "account")]
pub(crate) struct Arguments {
    /// The Lambda function of the deployment: its environment says its name and where its configuration is
    #[arg(long, value_name = "NAME", conflicts_with = "name")]
    pub(crate) function: Option<String>,
    /// Without a function: the name under which tasks are started [default: `SCALER_NAME`, else
    /// `ecs-queue-scaler`]
    #[arg(long)]
    name: Option<String>,
    /// The configuration: a path, `ssm:NAME` or `s3://bucket/key` [default: the function's, else
    /// `SCALER_CONFIG`, else workers.yaml]
    #[arg(long, value_name = "SOURCE")]
    pub(crate) config: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Which account, and where.
#[derive(Args, Clone, Debug)]
#[group(id = "connection")]
pub(crate) struct Connection {
    /// The profile of ~/.aws/config
    #[arg(long)]
    profile: Option<String>,
    /// The AWS Region
    #[arg(long)]
    region: Option<String>,
    /// Where all services are, instead of AWS
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
}

/// What a command works with.
pub(crate) struct Access {
    pub(crate) cloud: ReadCloud,
    pub(crate) deployment: Deployment,
    pub(crate) invocation: Invocation,
}

impl Access {
    /// The same with more patience, for what makes many calls.
    pub(crate) fn within(self, patience: Duration) -> Self {
        let now = now();
        let end = now.checked_add(patience).unwrap_or(now);
        let end = u64::try_from(end.as_millisecond()).unwrap_or_default();
        Self {
            cloud: self.cloud.for_tick(now, Instant::now() + patience),
            invocation: Invocation::new(REQUEST, now, end),
            ..self
        }
    }
}

impl Connection {
    /// The profile that was named.
    pub(crate) fn profile(&self) -> Option<&String> {
        self.profile.as_ref()
    }

    /// Connects with what may change something, too.
    pub(crate) async fn connect(&self) -> Result<Aws, Failed> {
        let Self { profile, region, endpoint_url } = self;
        let account = Account {
            profile: profile.clone(),
            region: region.clone(),
            endpoint: endpoint_url.clone(),
        };
        account.connect(now()).await.map_err(|error| match error {
            ConnectError::NoRegion(_) => Failed::Use(error.to_string()),
            ConnectError::NoCredentials(text) => Failed::Wrong(vec![text]),
        })
    }
}

/// A cloud with a reading command's time, and what that is called.
pub(crate) fn reading(cloud: &ReadCloud) -> (ReadCloud, Invocation) {
    let now = now();
    (cloud.for_tick(now, patience()), Invocation::new(REQUEST, now, deadline(now)))
}

impl Arguments {
    /// Connects, and finds the deployment.
    pub(crate) async fn access(&self, needs_config: bool) -> Result<Access, Failed> {
        self.access_by(self.connect().await?.read, needs_config).await
    }

    /// Connects with what may change something, too.
    pub(crate) async fn connect(&self) -> Result<Aws, Failed> {
        self.connection.connect().await
    }

    /// Finds the deployment.
    pub(crate) async fn access_by(
        &self,
        cloud: ReadCloud,
        needs_config: bool,
    ) -> Result<Access, Failed> {
        let (cloud, invocation) = reading(&cloud);
        let (name, config) = match self.function {
            Some(_) => (None, None),
            None => (variable("SCALER_NAME"), variable("SCALER_CONFIG")),
        };
        let wanted = Wanted {
            function: self.function.as_deref(),
            name: self.name.as_deref().or(name.as_deref()),
            config: self.config.as_deref().or(config.as_deref()),
            needs_config,
        };
        let deployment = Deployment::find(wanted, &cloud).await;
        let deployment = deployment.map_err(|error| match error {
            DeploymentError::NoFile { .. } => Failed::Use(error.to_string()),
            error => Failed::Wrong(vec![error.to_string()]),
        })?;
        Ok(Access { cloud, deployment, invocation })
    }

    /// The same with a configuration that was named otherwise.
    pub(crate) fn with_config(&self, config: Option<String>) -> Self {
        Self { config: config.or_else(|| self.config.clone()), ..self.clone() }
    }

    /// Whether somebody has said where the configuration is.
    pub(crate) fn is_config_given(&self) -> bool {
        self.config.is_some() || variable("SCALER_CONFIG").is_some()
    }

    /// Whether somebody has said what the name is.
    pub(crate) fn is_name_given(&self) -> bool {
        self.name.is_some() || variable("SCALER_NAME").is_some()
    }
}

/// Runs what waits for answers.
pub(crate) fn runtime() -> Result<Waiting, Failed> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map(Waiting).map_err(|error| Failed::Wrong(vec![format!("cannot start: {error}")]))
}

/// Whoever looks at a terminal sees after so long that something happens.
const SILENCE: Duration = Duration::from_millis(300);

/// How often that changes.
const GLANCE: Duration = Duration::from_millis(120);

/// What waits for answers.
pub(crate) struct Waiting(Runtime);

impl Waiting {
    /// Waits, with a line on a terminal that says so and goes away again.
    pub(crate) fn block_on<T>(&self, what: impl Future<Output = T>) -> T {
        self.0.block_on(async {
            let mut what = pin!(what);
            let soon = sleep_until(Instant::now() + SILENCE);
            tokio::select! {
                biased;
                done = &mut what => return done,
                () = soon => {}
            }
            let is_dumb = variable("TERM").is_none_or(|name| name == "dumb");
            let line = if is_dumb { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
            line.set_message("waiting for AWS");
            line.enable_steady_tick(GLANCE);
            let done = what.await;
            line.finish_and_clear();
            done
        })
    }

    /// Waits for what shows itself how far it is.
    pub(crate) fn block_on_in_silence<T>(&self, what: impl Future<Output = T>) -> T {
        self.0.block_on(what)
    }
}

/// When what only reads gives up.
pub(crate) fn patience() -> Instant {
    Instant::now() + PATIENCE
}

/// Columns of the terminal.
pub(crate) fn width() -> usize {
    let width = terminal_size_of(stdout()).map_or(WIDTH, |(Width(width), _)| width);
    usize::from(width)
}

fn deadline(now: Timestamp) -> u64 {
    let end = now.checked_add(PATIENCE).unwrap_or(now);
    u64::try_from(end.as_millisecond()).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "a binary tells the time, once a command")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

#[expect(clippy::disallowed_methods, reason = "only the binaries read the environment")]
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
