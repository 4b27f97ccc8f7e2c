//! The revisions that were derived, for a terminal that clears up.

use aws_sdk_ecs::types::{TaskDefinitionFamilyStatus, TaskDefinitionStatus};

use super::pace::{About, Rate};
use super::{ReadCloud, WriteCloud};
use decision::definition::TaskDefinition;
use decision::limits;
use decision::snapshot::{CallError, Read};
use decision::units::{Family, RevisionArn, TaskDefinitionRef};

/// Whether revisions can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// They can.
    Active,
    /// They cannot, and are there until somebody deletes them.
    Inactive,
}

impl ReadCloud {
    /// The families that have an ACTIVE revision.
    ///
    /// # Errors
    /// When a page is missing.
    pub async fn families(&self) -> Read<Vec<Family>> {
        self.families_of(TaskDefinitionFamilyStatus::Active).await
    }

    /// All families, also those whose revisions are all INACTIVE.
    ///
    /// # Errors
    /// When a page is missing.
    pub async fn all_families(&self) -> Read<Vec<Family>> {
        self.families_of(TaskDefinitionFamilyStatus::All).await
    }

    /// INACTIVE would be the families that have no ACTIVE revision, and not those with an INACTIVE one.
    /// Source: ECS API, `ListTaskDefinitionFamiliesRequest.status`.
    async fn families_of(&self, status: TaskDefinitionFamilyStatus) -> Read<Vec<Family>> {
        let (operation, rate) = ("ListTaskDefinitionFamilies", Rate::DefinitionRead);
        let about = About { operation, subject: "all families", rate };
        let call = self.ecs.list_task_definition_families().status(status);
        let page = async |token| {
            let page = call.clone().set_next_token(token).send().await;
            page.map(|page| (page.families, page.next_token))
        };
        let families = self.pace.pages(about, usize::MAX, page).await?;
        Ok(families.iter().map(|name| Family::from(name.as_str())).collect())
    }

    /// The revisions of a family, the oldest first.
    ///
    /// # Errors
    /// When a page is missing.
    pub async fn revisions(&self, family: &Family, activity: Activity) -> Read<Vec<RevisionArn>> {
        let (operation, rate) = ("ListTaskDefinitions", Rate::DefinitionRead);
        let about = About { operation, subject: family.as_str(), rate };
        let status = match activity {
            Activity::Active => TaskDefinitionStatus::Active,
            Activity::Inactive => TaskDefinitionStatus::Inactive,
        };
        let call = self.ecs.list_task_definitions().family_prefix(family.as_str()).status(status);
        let page = async |token| {
            let page = call.clone().set_next_token(token).send().await;
            page.map(|page| (page.task_definition_arns, page.next_token))
        };
        let revisions = self.pace.pages(about, usize::MAX, page).await?;
        let revisions = revisions.iter().map(|arn| RevisionArn::from(arn.as_str()));
        Ok(revisions.filter(|revision| revision.family() == *family).collect())
    }

    /// A revision with its tags, whether it can be run or not; none where it is not there any more.
    ///
    /// # Errors
    /// When it may not be read.
    pub async fn revision(&self, revision: &RevisionArn) -> Read<Option<TaskDefinition>> {
        self.with_its_tags(&TaskDefinitionRef(revision.to_string())).await
    }
}

impl WriteCloud {
    /// Deletes INACTIVE revisions, ten at most, and says which were not and why. ECS deletes a revision when no
    /// task runs it any more.
    ///
    /// # Errors
    /// When ECS refuses them all.
    pub async fn delete(&self, revisions: &[RevisionArn]) -> Result<Vec<String>, CallError> {
        let (operation, rate) = ("DeleteTaskDefinitions", Rate::DefinitionChange);
        let subject = revisions.first().map(RevisionArn::family_and_revision).unwrap_or_default();
        let about = About { operation, subject, rate };
        let names = revisions.iter().take(limits::REVISIONS_PER_DELETE).map(ToString::to_string);
        let call = self.ecs.delete_task_definitions();
        let call = call.set_task_definitions(Some(names.collect()));
        let answer = self.pace.call(about, async || call.clone().send().await).await;
        let answer = answer.map_err(|error| error.into_call_error(about))?;
        let failures = answer.failures().iter().map(|failure| {
            let reason = self.pace.words.redacted(failure.reason().unwrap_or("no reason given"));
            let revision = RevisionArn::from(failure.arn().unwrap_or_default());
            format!("{} was not deleted: {reason}", revision.family_and_revision())
        });
        Ok(failures.collect())
    }
}
