//! Which scaler a command is about: a deployed function's, or one by its name and configuration.

use std::fs;
use std::time::Duration;

use decision::config::{Config, Worker, nearest};
use decision::event::Mode;

use crate::aws::{DeployedFunction, ReadCloud};
use crate::run::{DEFAULT_NAME, DEFAULT_SOURCE, Scaler};
use crate::source::{Current, Source};

/// What stands for the function's name where a terminal starts tasks: no function can be called so.
/// Source: Lambda API reference, `FunctionName`.
pub const TERMINAL: &str = "queue-scaler apply";

/// What was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// The Lambda function.
    pub function: Option<&'a str>,
    /// `SCALER_NAME`
    pub name: Option<&'a str>,
    /// `SCALER_CONFIG`, or the path of a file.
    pub config: Option<&'a str>,
    /// Whether the configuration is read here.
    pub needs_config: bool,
}

/// A scaler, as a terminal sees it.
#[derive(Debug)]
pub struct Deployment {
    /// Its name and its configuration.
    pub scaler: Scaler,
    /// The Lambda function, where one was named.
    pub function: Option<String>,
    /// Whether that starts nothing, whatever is planned: its `SCALER_DRY_RUN`.
    pub starts_nothing: bool,
    /// Whether its invocations may overlap: its `SCALER_RESERVED`.
    pub may_overlap: bool,
    /// Where the function's log goes.
    pub log_group: Option<String>,
    /// How long the function may run.
    pub timeout: Option<Duration>,
    /// The ARN of the role that the function runs as.
    pub role: Option<String>,
    /// What the function goes by, where another configuration was given beside it.
    pub deployed: Option<Deployed>,
}

/// Where a function's own configuration is.
#[derive(Debug)]
pub enum Deployed {
    /// Where others can read it.
    Source(Box<Current>),
    /// In its package, at this path.
    Packaged(String),
}

/// Why there is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeploymentError {
    /// The function's settings could not be read.
    #[error("{0}")]
    Unread(String),
    /// It is no scaler.
    #[error(
        "function `{0}` has neither SCALER_NAME nor SCALER_CONFIG in its environment: it is none of ours; name \
         the function of the stack (its output `ScalerFunction`)"
    )]
    NotOurs(String),
    /// Its configuration is where nobody else can read it.
    #[error(
        "function `{function}` has its configuration in its package (`{source_text}`): say where the same file \
         is here, with --config PATH, or let the function plan with --remote"
    )]
    Packaged {
        /// The function.
        function: String,
        /// Its `SCALER_CONFIG`.
        source_text: String,
    },
    /// There is no such file.
    #[error("cannot read `{path}`: {why}; name the configuration with --config")]
    NoFile {
        /// As it was named.
        path: String,
        /// What the system says.
        why: String,
    },
    /// A name or a source cannot be one.
    #[error("{0}")]
    Wrong(String),
}

impl Deployment {
    /// Finds it. A function is asked for its environment.
    ///
    /// # Errors
    /// Where the function cannot be read, is none of ours, or has what only it can read.
    pub async fn find(wanted: Wanted<'_>, cloud: &ReadCloud) -> Result<Self, DeploymentError> {
        let Wanted { function, name, config, needs_config } = wanted;
        let Some(function) = function else {
            let source = config.unwrap_or(DEFAULT_SOURCE);
            return Self::of(name.unwrap_or(DEFAULT_NAME), source, None);
        };
        let deployed = cloud.function(function).await;
        let deployed = deployed.map_err(|error| DeploymentError::Unread(error.to_string()))?;
        let DeployedFunction { name: function, environment, log_group, timeout, role } = deployed;
        let own = |key: &str| environment.get(key).map(String::as_str);
        if own("SCALER_NAME").is_none() && own("SCALER_CONFIG").is_none() {
            return Err(DeploymentError::NotOurs(function));
        }
        let name = own("SCALER_NAME").unwrap_or(DEFAULT_NAME);
        let source = config.or(own("SCALER_CONFIG")).unwrap_or(DEFAULT_SOURCE);
        if needs_config && config.is_none() && source.starts_with("file:") {
            let source_text = source.to_owned();
            return Err(DeploymentError::Packaged { function, source_text });
        }
        let starts_nothing = own("SCALER_DRY_RUN") == Some("true");
        let may_overlap = own("SCALER_RESERVED") == Some("no");
        // Where the function plans, nobody else reads it.
        let source = if needs_config { source } else { "{}" };
        let found = Self::of(name, source, Some(function))?;
        let log_group = Some(log_group);
        let own = own("SCALER_CONFIG").unwrap_or(DEFAULT_SOURCE);
        let deployed = config.map(|_| match own.strip_prefix("file:") {
            Some(path) => Deployed::Packaged(path.to_owned()),
            None => Deployed::Source(Box::new(Current::new(Source::parse(own)))),
        });
        Ok(Self { starts_nothing, may_overlap, log_group, timeout, role, deployed, ..found })
    }

    fn of(name: &str, source: &str, function: Option<String>) -> Result<Self, DeploymentError> {
        let source = &located(source)?;
        let scaler = Scaler::new(name, source, Mode::DryRun).map_err(DeploymentError::Wrong)?;
        let started_by = function.clone().unwrap_or_else(|| TERMINAL.to_owned());
        let scaler = Scaler { function: started_by, ..scaler };
        Ok(Self {
            scaler,
            function,
            starts_nothing: false,
            may_overlap: false,
            log_group: None,
            timeout: None,
            role: None,
            deployed: None,
        })
    }
}

/// A worker of a configuration that can be served.
///
/// # Errors
/// What is wrong with it, or that there is none, and which one may be meant.
pub fn worker_in(config: &Config, name: &str) -> Result<Worker, String> {
    if let Some(refused) = config.refused.iter().find(|refused| refused.worker.as_str() == name) {
        let problems: Vec<_> = refused.problems.iter().map(ToString::to_string).collect();
        return Err(problems.join("\n"));
    }
    let found = config.workers.iter().find(|worker| worker.name.as_str() == name);
    found.cloned().ok_or_else(|| {
        let names = config.workers.iter().map(|worker| worker.name.as_str());
        let meant = nearest(name, names).map(|name| format!("; did you mean `{name}`?"));
        format!("there is no worker `{name}`{}", meant.unwrap_or_default())
    })
}

/// A source as the function knows it: a person types a path.
fn located(source: &str) -> Result<String, DeploymentError> {
    let is_text = source.contains('\n') || source.trim_start().starts_with(['{', '[']);
    if is_text || source.starts_with("ssm:") || source.starts_with("s3:") {
        return Ok(source.to_owned());
    }
    let path = source.strip_prefix("file:").unwrap_or(source);
    match fs::metadata(path) {
        Ok(_) => Ok(format!("file:{path}")),
        Err(error) => {
            Err(DeploymentError::NoFile { path: path.to_owned(), why: error.to_string() })
        }
    }
}
