//! The Lambda function: log, configuration, clients, run.

use std::env;

use ecs_queue_scaler::aws::Aws;
use ecs_queue_scaler::event::Mode;
use ecs_queue_scaler::run::Scaler;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let variable = |name, default: &str| env_or(name, default);
    init_log(&variable("AWS_LAMBDA_LOG_LEVEL", "INFO"));
    let mode = match variable("SCALER_DRY_RUN", "false").as_str() {
        "true" => Mode::DryRun,
        "false" => Mode::Launch,
        other => {
            return Err(format!("SCALER_DRY_RUN is `{other}`, it must be true or false").into());
        }
    };
    let name = variable("SCALER_NAME", "ecs-queue-scaler");
    let scaler = Scaler::new(&name, &variable("SCALER_CONFIG", "file:workers.yaml"), mode)?;
    let scaler = &Scaler { aws: Aws::connect().await, ..scaler };
    lambda_runtime::run(service_fn(async |event: LambdaEvent<Value>| {
        scaler.run(&event.payload, &event.context.request_id).await
    }))
    .await
}

#[expect(clippy::disallowed_methods, reason = "only the binaries read the environment")]
fn env_or(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// JSON lines at the level that Lambda's `LoggingConfig` asks for. The SDK's own events stay out:
/// they print requests and answers, and with them task definitions and credentials. What goes wrong
/// there comes back as an error and is told by the report.
fn init_log(level: &str) {
    let level = level.parse().unwrap_or(LevelFilter::INFO);
    let targets = Targets::new()
        .with_target("ecs_queue_scaler", level)
        .with_target("lambda_runtime", LevelFilter::ERROR.min(level));
    let lines =
        tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false);
    tracing_subscriber::registry().with(lines.with_filter(targets)).init();
}
