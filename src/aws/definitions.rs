//! Task definitions: read, registered, deregistered.

use aws_sdk_ecs::types::TaskDefinitionField;
use serde_json::Value;

use super::pace::{About, Rate};
use super::wire::{AnswerBody, RequestBody};
use super::{ReadCloud, WriteCloud};
use decision::config::Config;
use decision::definition::TaskDefinition;
use decision::snapshot::{CallError, DerivedRevision, ErrorKind, Read, ReadError};
use decision::tags;
use decision::units::{Family, RevisionArn, TaskDefinitionRef};
use decision::variant::Variant;

impl ReadCloud {
    /// A task definition as the operator names it.
    ///
    /// # Errors
    /// When it is not there, has no ACTIVE revision, or may not be read.
    pub async fn definition(&self, name: &TaskDefinitionRef) -> Read<TaskDefinition> {
        let found = self.describe_definition(name.as_str(), Tags::Welcome).await?;
        found.ok_or_else(|| {
            let call = CallError {
                operation: "DescribeTaskDefinition",
                subject: name.to_string(),
                code: Some(UNKNOWN_DEFINITION.to_owned()),
                message: "there is no such revision, or the family has no ACTIVE one; register it \
                          or correct taskDefinition"
                    .to_owned(),
                request_id: None,
                kind: ErrorKind::Refused,
            };
            ReadError::Call(call)
        })
    }

    /// The newest ACTIVE revision of a family, if it has one.
    ///
    /// # Errors
    /// When it may not be read.
    pub async fn newest_revision(&self, family: &Family) -> Read<Option<DerivedRevision>> {
        self.derived(family.as_str()).await
    }

    /// One revision of a derived family, if it is ACTIVE.
    ///
    /// # Errors
    /// When it may not be read.
    pub async fn derived_revision(&self, revision: &RevisionArn) -> Read<Option<DerivedRevision>> {
        self.derived(revision.as_str()).await
    }

    /// Remembers what a configuration gives to tasks beside their definitions: it is not to be reported, as
    /// little as their own values.
    pub fn hide_overrides(&self, config: &Config) {
        for overrides in config.workers.iter().filter_map(|w| w.launch.overrides.as_ref()) {
            self.pace.words.learn(&overrides.digest(), &overrides.secrets());
        }
    }

    /// A definition with its tags, whatever its status; none where there is none of that name.
    ///
    /// # Errors
    /// When it may not be read.
    #[cfg(feature = "cli")]
    pub(super) async fn with_its_tags(
        &self,
        name: &TaskDefinitionRef,
    ) -> Read<Option<TaskDefinition>> {
        self.describe_definition(name.as_str(), Tags::Needed).await
    }

    async fn derived(&self, name: &str) -> Read<Option<DerivedRevision>> {
        let found = self.describe_definition(name, Tags::Needed).await?;
        Ok(found.filter(TaskDefinition::is_active).map(|newest| DerivedRevision {
            digest: newest.tag(tags::DIGEST).map(str::to_owned),
            arn: newest.arn,
        }))
    }

    async fn describe_definition(&self, name: &str, tags: Tags) -> Read<Option<TaskDefinition>> {
        let about = About {
            operation: "DescribeTaskDefinition",
            subject: name,
            rate: Rate::DefinitionRead,
        };
        let body = AnswerBody::default();
        let call = self
            .ecs
            .describe_task_definition()
            .task_definition(name)
            .include(TaskDefinitionField::Tags);
        let send =
            async || call.clone().customize().interceptor(body.clone()).send().await.map(drop);
        if let Err(error) = self.pace.call(about, send).await {
            let error = error.into_call_error(about);
            return if error.cause().may_be_stale() { Ok(None) } else { Err(error.into()) };
        }
        let answer = body.json();
        let member = |name| answer.get(name).unwrap_or(&Value::Null);
        let broken = |what: String| {
            let what = format!("{what} ({name})");
            ReadError::Answer { operation: "DescribeTaskDefinition", what }
        };
        if tags == Tags::Needed && !member("tags").is_array() {
            return Err(broken("it has no list `tags`, and missing is not empty".to_owned()));
        }
        let found = TaskDefinition::parse(member("taskDefinition"), member("tags"));
        let found = found.map_err(broken)?;
        self.pace.words.learn(found.arn.as_str(), member("taskDefinition"));
        Ok(Some(found))
    }
}

/// Whether an answer without tags can be used. Those of a derived revision say whether it is ours: without
/// them it would be registered anew at every tick.
#[derive(Clone, Copy, PartialEq)]
enum Tags {
    Needed,
    Welcome,
}

/// What ECS says of one: "Unable to describe task definition."
const UNKNOWN_DEFINITION: &str = "ClientException";

impl WriteCloud {
    /// Registers a derived definition and gives its revision. A registration without an answer is
    /// not repeated: it may have been made, and would be made twice.
    ///
    /// # Errors
    /// When ECS refuses it. The message holds nothing of the definition's values.
    pub async fn register(&self, variant: &Variant) -> Result<RevisionArn, CallError> {
        let about = About {
            operation: "RegisterTaskDefinition",
            subject: variant.family.as_str(),
            rate: Rate::DefinitionChange,
        };
        self.pace.words.learn(&variant.digest, &variant.document);
        let call = self.ecs.register_task_definition().family(about.subject);
        let send = async || {
            let body = RequestBody::new(&variant.document);
            call.clone().customize().interceptor(body).send().await
        };
        let answer =
            self.pace.call(about, send).await.map_err(|error| error.into_call_error(about))?;
        let arn = answer.task_definition().and_then(|definition| definition.task_definition_arn());
        arn.map(RevisionArn::from)
            .ok_or_else(|| about.error("the answer names no revision", ErrorKind::Unanswered))
    }

    /// Makes a revision INACTIVE. Tasks that run it are not touched.
    ///
    /// # Errors
    /// When ECS refuses.
    pub async fn deregister(&self, revision: &RevisionArn) -> Result<(), CallError> {
        let about = About {
            operation: "DeregisterTaskDefinition",
            subject: revision.family_and_revision(),
            rate: Rate::DefinitionChange,
        };
        let call = self.ecs.deregister_task_definition().task_definition(revision.as_str());
        let answer = self.pace.call(about, async || call.clone().send().await).await;
        answer.map(drop).map_err(|error| error.into_call_error(about))
    }
}
