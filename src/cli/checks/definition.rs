//! What a worker's task definition names: roles, images, log groups, secrets.

use decision::config::Worker;
use decision::definition::TaskDefinition;
use decision::plan::WorkerPlan;
use serde_json::Value;

use super::{Finding, Level, Looks};
use crate::aws::{EcrImage, FoundImage};

impl Looks<'_> {
    pub(super) async fn of_definition(&self, worker: &Worker, plan: &WorkerPlan) -> Vec<Finding> {
        let read = self.foreseen.snapshot.definitions.get(&worker.task_definition);
        // What keeps it from being read is found by the dry run.
        let Some(Ok(definition)) = read else { return Vec::new() };
        let mut findings = Vec::new();
        let roles = plan.check.iter().flat_map(|check| &check.roles);
        for role in roles.filter(|role| role.starts_with("arn:")) {
            findings.extend(Box::pin(self.of_role(role)).await);
        }
        for container in definition.containers() {
            findings.extend(Box::pin(self.of_container(definition, container)).await);
        }
        findings
    }

    async fn of_role(&self, role: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        let key = &role.to_owned();
        let known = self.once.roles.read(key, async || self.cloud.is_role_of_tasks(role).await);
        match &*known.await {
            Ok(Some(true)) => {}
            Ok(Some(false)) => findings.push(Finding::wrong(format!(
                "ECS may not assume the role {role}: its trust policy has to name ecs-tasks.amazonaws.com"
            ))),
            Ok(None) => findings.push(Finding::wrong(format!("there is no role {role}"))),
            Err(error) => {
                findings.push(Finding::not_checked(&format!("the role {role} is"), error));
            }
        }
        findings
    }

    async fn of_container(&self, of: &TaskDefinition, container: &Value) -> Vec<Finding> {
        let text = |pointer: &str| container.pointer(pointer).and_then(Value::as_str);
        let name = text("/name").unwrap_or_default();
        let mut findings = Vec::new();
        if let Some(image) = text("/image").and_then(EcrImage::parse) {
            findings
                .extend(Box::pin(self.of_image(text("/image").unwrap_or_default(), &image)).await);
        }
        findings.extend(Box::pin(self.of_log(container)).await);
        let secrets = container.get("secrets").and_then(Value::as_array);
        for secret in secrets.into_iter().flatten() {
            let text = |key: &str| secret.get(key).and_then(Value::as_str).unwrap_or_default();
            // Where it is from is nobody's to read here.
            let what = format!("the secret {} of container {name}", text("name"));
            let from = text("valueFrom").to_owned();
            if is_elsewhere(&from, of) {
                let message = format!("{what} is of another Region or account, which is not asked");
                findings.push(Finding::new(Level::NotChecked, message));
                continue;
            }
            let read = self.once.secrets.read(&from, async || self.cloud.has_secret(&from).await);
            match &*read.await {
                Ok(true) => {}
                Ok(false) => findings.push(Finding::wrong(format!("{what} is not there"))),
                Err(error) => {
                    let what = format!("whether {what} is there is");
                    findings.push(Finding::not_checked(&what, &without(error, &from)));
                }
            }
        }
        findings
    }

    async fn of_image(&self, shown: &str, image: &EcrImage) -> Option<Finding> {
        if image.region != self.cloud.region().as_str() {
            let message =
                format!("image {shown} is in the registry of {}, which is not asked", image.region);
            return Some(Finding::new(Level::NotChecked, message));
        }
        let found = self.once.images.read(image, async || Box::pin(self.cloud.image(image)).await);
        let found = found.await;
        match &*found {
            Ok(FoundImage::There) => return None,
            Ok(_) => {}
            Err(error) => {
                return Some(Finding::not_checked(&format!("image {shown} is"), error));
            }
        }
        // Before the first pull a cache has neither the repository nor the tag.
        let cache =
            self.once.caches.read(image, async || self.cloud.is_pulled_through(image).await);
        match (&*cache.await, &*found) {
            (Err(error), _) => {
                let what =
                    format!("image {shown} is not in ECR, and whether a pull brings it there is");
                Some(Finding::not_checked(&what, error))
            }
            (Ok(false), Ok(FoundImage::NoRepository)) => {
                let repository = &image.repository;
                Some(Finding::wrong(format!("image {shown}: there is no repository {repository}")))
            }
            (Ok(false), Ok(FoundImage::Missing(newest))) => {
                let newest = newest.as_ref().map(|tag| format!("; the newest there is {tag}"));
                let newest = newest.unwrap_or_default();
                Some(Finding::wrong(format!("image {shown} is not in its repository{newest}")))
            }
            (Ok(true), _) | (Ok(false), Ok(FoundImage::There) | Err(_)) => None,
        }
    }

    async fn of_log(&self, container: &Value) -> Option<Finding> {
        let option = |key: &str| {
            container.pointer(&format!("/logConfiguration/options/{key}")).and_then(Value::as_str)
        };
        let driver = container.pointer("/logConfiguration/logDriver").and_then(Value::as_str);
        if driver != Some("awslogs") || option("awslogs-create-group") == Some("true") {
            return None;
        }
        let group = option("awslogs-group")?.to_owned();
        let region = option("awslogs-region").filter(|at| *at != self.cloud.region().as_str());
        if let Some(region) = region {
            let message = format!("log group {group} is of {region}, which is not asked");
            return Some(Finding::new(Level::NotChecked, message));
        }
        let read =
            self.once.log_groups.read(&group, async || self.cloud.has_log_group(&group).await);
        match &*read.await {
            Ok(true) => None,
            Ok(false) => Some(Finding::wrong(format!(
                "log group {group} is not there, and awslogs-create-group is not `true`: no task would start"
            ))),
            Err(error) => Some(Finding::not_checked(&format!("log group {group} is"), error)),
        }
    }
}

/// Whether an ARN is of another Region or account than the task definition is.
fn is_elsewhere(arn: &str, definition: &TaskDefinition) -> bool {
    let place = |arn: &str| arn.split(':').skip(3).take(2).map(str::to_owned).collect::<Vec<_>>();
    arn.starts_with("arn:") && place(arn) != place(&definition.arn.to_string())
}

/// The error without where a secret is from.
fn without(error: &decision::snapshot::ReadError, from: &str) -> decision::snapshot::ReadError {
    use decision::snapshot::{CallError, ReadError};
    let ReadError::Call(call) = error else { return error.clone() };
    let hidden = |text: &str| text.replace(from, "it");
    ReadError::Call(CallError {
        subject: "it".to_owned(),
        message: hidden(&call.message),
        ..call.clone()
    })
}
