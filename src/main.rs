//! The Lambda function: log, configuration, clients, run.

use std::{env, io};

use decision::event::Mode;
use ecs_queue_scaler::aws::Aws;
use ecs_queue_scaler::log;
use ecs_queue_scaler::run::{DEFAULT_NAME, DEFAULT_SOURCE, Invocation, Ran, Scaler};
use jiff::Timestamp;
use lambda_runtime::{Context, Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log::keep_values_out_of_panics();
    let level = variable("AWS_LAMBDA_LOG_LEVEL", "INFO");
    tracing::subscriber::set_global_default(log::subscriber(&level, io::stdout))?;
    let mode = match variable("SCALER_DRY_RUN", "false").as_str() {
        "true" => Mode::DryRun,
        "false" => Mode::Launch,
        other => {
            return Err(format!("SCALER_DRY_RUN is `{other}`, it must be true or false").into());
        }
    };
    let name = variable("SCALER_NAME", DEFAULT_NAME);
    let scaler = Scaler::new(&name, &variable("SCALER_CONFIG", DEFAULT_SOURCE), mode)?;
    let function = variable("AWS_LAMBDA_FUNCTION_NAME", "local");
    let may_overlap = match variable("SCALER_RESERVED", "yes").as_str() {
        "yes" => false,
        "no" => true,
        other => return Err(format!("SCALER_RESERVED is `{other}`, it must be yes or no").into()),
    };
    let scaler = &Scaler { aws: Aws::connect().await, function, may_overlap, ..scaler };
    scaler.prepare(now()).await;
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        let Context { request_id, deadline, .. } = &event.context;
        let invocation = Invocation::new(request_id, now(), *deadline);
        scaler.run(&event.payload, &invocation, Ran::log).await
    }))
    .await
}

#[expect(clippy::disallowed_methods, reason = "the binary tells the time, once an invocation")]
fn now() -> Timestamp {
    Timestamp::now()
}

#[expect(clippy::disallowed_methods, reason = "only the binaries read the environment")]
fn variable(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}
