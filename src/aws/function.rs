//! A deployed function, as a terminal sees it: its settings are read, and it is asked to plan.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::ReadCloud;
use super::pace::{About, Pace, Rate};
use super::signed::{Ask, Request, Service, Signed};
use super::stores::encoded;
use decision::limits;
use decision::snapshot::{CallError, ErrorKind};

/// Source: Lambda API reference, the version in its paths.
const API: &str = "/2015-03-31/functions";

/// What is read of a function. Its environment may hold a configuration, and that secrets: `Debug` names the
/// function.
#[derive(Clone, PartialEq, Eq)]
pub struct DeployedFunction {
    /// Its name.
    pub name: String,
    /// Its environment variables.
    pub environment: BTreeMap<String, String>,
    /// Where its log goes.
    pub log_group: String,
    /// How long it may run.
    pub timeout: Option<Duration>,
    /// The ARN of the role that it runs as.
    pub role: Option<String>,
}

impl fmt::Debug for DeployedFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, environment: _, log_group: _, timeout: _, role: _ } = self;
        f.debug_struct("DeployedFunction").field("name", name).finish()
    }
}

impl ReadCloud {
    /// The settings of a function, by its name or ARN.
    ///
    /// # Errors
    /// When it is not there or may not be read.
    pub async fn function(&self, name: &str) -> Result<DeployedFunction, CallError> {
        let about =
            About { operation: "GetFunctionConfiguration", subject: name, rate: Rate::Free };
        let path = format!("{API}/{}/configuration", encoded(name));
        let request =
            Request { path, ..Request::new(Service::Lambda, about.operation, Ask::Nothing) };
        let answer = self.ask(about, request).await?.json();
        let name = answer.get("FunctionName").and_then(Value::as_str);
        let name =
            name.ok_or_else(|| about.error("its answer has no FunctionName", ErrorKind::Refused))?;
        let variables = answer.pointer("/Environment/Variables").and_then(Value::as_object);
        let variables = variables.into_iter().flatten();
        let environment = variables
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect();
        // Source: Lambda developer guide, "Configuring CloudWatch log groups".
        let log_group = answer.pointer("/LoggingConfig/LogGroup").and_then(Value::as_str);
        let log_group = log_group.map_or_else(|| format!("/aws/lambda/{name}"), str::to_owned);
        let timeout = answer.get("Timeout").and_then(Value::as_u64).map(Duration::from_secs);
        let role = answer.get("Role").and_then(Value::as_str).map(str::to_owned);
        Ok(DeployedFunction { name: name.to_owned(), environment, log_group, timeout, role })
    }

    /// What invokes functions: reading is not all that they may do.
    pub fn invoker(&self) -> Invoker {
        Invoker {
            signed: self.signed.with_patience(limits::FUNCTION_TIMEOUT),
            pace: self.pace.clone(),
        }
    }
}

/// Invokes functions.
#[derive(Clone, Debug)]
pub struct Invoker {
    signed: Signed,
    pace: Pace,
}

impl Invoker {
    /// Invokes a function and waits for its answer, for as long as a function may run.
    ///
    /// # Errors
    /// When it may not be invoked, is busy, or fails: then with what it says.
    pub async fn invoke(&self, name: &str, event: &Value) -> Result<Value, CallError> {
        let about = About { operation: "Invoke", subject: name, rate: Rate::Free };
        let path = format!("{API}/{}/invocations", encoded(name));
        let ask = Ask::Document(event.to_string());
        let request = Request { path, ..Request::new(Service::Lambda, about.operation, ask) };
        let call = self.signed.call(&request);
        let call = call.map_err(|why| about.error(why, ErrorKind::Refused))?;
        let answer = self.pace.call(about, async || call.send().await).await;
        let answer = answer.map_err(|error| error.into_call_error(about))?.json();
        // Lambda says so in a header as well; a result has no such member.
        match answer.get("errorMessage").and_then(Value::as_str) {
            Some(message) => Err(about.error(message, ErrorKind::Refused)),
            None => Ok(answer),
        }
    }
}
