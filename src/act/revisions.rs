//! The revisions that a plan runs: found by their digest, or registered; and the ones that they
//! supersede.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared, join_all};
use tokio::time::Instant;

use crate::aws::Aws;
use decision::plan::{Action, Plan, Revision, Search};
use decision::snapshot::{CallError, DerivedRevision, ErrorKind, ReadError};
use decision::units::{Family, RevisionArn};
use decision::variant::Variant;

/// A tick does not wait longer than this to tidy up: a deregistration takes a second each where
/// there are many.
const MOST_TIDYING: Duration = Duration::from_secs(10);

/// A revision that can be run.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) revision: RevisionArn,
    pub(super) superseded: Superseded,
    /// Members of the base that ECS would not register.
    pub(super) left_out: Vec<String>,
}

impl Found {
    /// One that was there before.
    fn there(revision: RevisionArn) -> Self {
        Self { revision, superseded: Superseded::NotRegistered, left_out: Vec::new() }
    }
}

/// What a registration made superfluous.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Superseded {
    /// It was there before.
    NotRegistered,
    /// It is the first ACTIVE one of its family.
    Nothing,
    Revision(RevisionArn),
}

type Finding<'a> = Shared<LocalBoxFuture<'a, Result<Found, ReadError>>>;

/// The revisions that a plan needs, each found once: two workers may share one.
pub(super) struct Revisions<'a>(BTreeMap<(&'a Family, &'a str), Finding<'a>>);

impl<'a> Revisions<'a> {
    pub(super) fn new(cloud: &'a Aws, plan: &'a Plan) -> Self {
        let launches = plan.workers.iter().filter_map(|plan| match &plan.action {
            Action::Launch(plan) => Some(plan),
            Action::Idle(_) | Action::Hold(_) | Action::Refuse(_) => None,
        });
        let groups = launches.flat_map(|plan| plan.groups.iter().chain(&plan.smaller));
        let variants = groups.filter_map(|group| match &group.revision {
            Revision::Registered(_) => None,
            Revision::Derived(variant, search) => Some((&**variant, search)),
        });
        let finding = |(variant, search): (&'a Variant, &'a Search)| {
            let key = (&variant.family, variant.digest.as_str());
            let finding = AssertUnwindSafe(find_or_register(cloud, variant, search)).catch_unwind();
            let finding = finding.map(|found| found.unwrap_or(Err(ReadError::Panic)));
            (key, finding.boxed_local().shared())
        };
        Self(variants.map(finding).collect())
    }

    pub(super) async fn of(&self, revision: &Revision) -> Result<Found, ReadError> {
        let finding = match revision {
            Revision::Registered(base) => {
                return Ok(Found::there(base.clone()));
            }
            Revision::Derived(variant, _) => {
                self.0.get(&(&variant.family, variant.digest.as_str()))
            }
        };
        match finding {
            Some(finding) => finding.clone().await,
            None => Err(ReadError::Answer {
                operation: "DescribeTaskDefinition",
                what: format!("{revision} is not of this plan"),
            }),
        }
    }

    /// Deregisters what was superseded, when all that needs the rate of registrations has had it.
    /// It gives what went wrong, by the new revision.
    pub(super) async fn retire(&self, cloud: &Aws) -> BTreeMap<RevisionArn, CallError> {
        let cloud = &cloud.until(Instant::now() + MOST_TIDYING);
        let found = self.0.values().filter_map(|finding| finding.peek()?.as_ref().ok());
        let retiring = found.filter_map(|found| match &found.superseded {
            Superseded::Revision(superseded) => Some((found.revision.clone(), superseded)),
            Superseded::Nothing | Superseded::NotRegistered => None,
        });
        let retired = join_all(retiring.map(async |(revision, superseded)| {
            Some((revision, retire(cloud, superseded).await.err()?))
        }));
        retired.await.into_iter().flatten().collect()
    }
}

/// The revision of this very content: the family's newest if its digest says so, else a new one.
async fn find_or_register(
    cloud: &Aws,
    variant: &Variant,
    search: &Search,
) -> Result<Found, ReadError> {
    let newest = match search {
        Search::Found(revision) => {
            return Ok(Found::there(revision.clone()));
        }
        Search::Missing(newest) => newest.clone(),
        Search::Open => match cloud.read.newest_revision(&variant.family).await? {
            Some(found) if found.has(&variant.digest) => {
                return Ok(Found::there(found.arn));
            }
            newest => newest.and_then(DerivedRevision::of_ours),
        },
    };
    let superseded = newest.map_or(Superseded::Nothing, Superseded::Revision);
    match register(cloud, variant).await {
        // What an answer of ECS has and its request does not is an open list: it is left out, once.
        Err(ReadError::Call(refused)) if refused.kind == ErrorKind::Refused => {
            let left_out = variant.members_that_only_answers_have(&refused.message);
            if left_out.is_empty() {
                return Err(refused.into());
            }
            let revision = register(cloud, &variant.without(&left_out)).await?;
            Ok(Found { revision, superseded, left_out })
        }
        registered => Ok(Found { revision: registered?, superseded, left_out: Vec::new() }),
    }
}

async fn register(cloud: &Aws, variant: &Variant) -> Result<RevisionArn, ReadError> {
    match cloud.write.register(variant).await {
        // It may have been made: there is no token that would make a second call the same.
        Err(error) if error.kind == ErrorKind::Unanswered => {
            let newest = cloud.read.newest_revision(&variant.family).await?;
            Ok(newest.filter(|found| found.has(&variant.digest)).ok_or(error)?.arn)
        }
        registered => Ok(registered?),
    }
}

/// Deregisters a superseded revision, and the one before it: a crash between a registration and
/// this leaves one ACTIVE, until the next change of the definition takes it away here.
async fn retire(cloud: &Aws, superseded: &RevisionArn) -> Result<(), CallError> {
    let retired = cloud.write.deregister(superseded).await;
    if let Some(before) = superseded.before() {
        // Mostly it is INACTIVE already, or somebody else's.
        let before = cloud.read.derived_revision(&before).await;
        if let Ok(Some(before)) = before.map(|found| found.and_then(DerivedRevision::of_ours)) {
            drop(cloud.write.deregister(&before).await);
        }
    }
    retired
}
