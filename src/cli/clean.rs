//! `clean`: derived revisions that nobody needs any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use decision::config::{Config, Worker};
use decision::definition::TaskDefinition;
use decision::snapshot::ReadError;
use decision::units::{Containers, Family, RevisionArn};
use decision::variant::Recipe;
use decision::{limits, tags};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::deployment::Deployment;
use super::page::{Meaning, Page, counted};
use crate::aws::{Activity, ReadCloud, WriteCloud};
use crate::source::SourceError;

/// The name of this shape.
const SCHEMA: &str = "queue-scaler.clean";

/// Grows when a field gets another meaning or goes away, never when one is added.
const VERSION: u32 = 1;

/// Half of what ECS lets through of changes to definitions, one a second, so that the function has the other
/// half. Source: ECS API reference, "Request throttling for the Amazon ECS API".
const PACE: Duration = Duration::from_secs(2);

/// What is cleared up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Whether families whose base no worker here runs are cleared up, too.
    pub gone: bool,
    /// Whether revisions are deleted that are deregistered, or were before.
    pub delete: bool,
}

/// Why nothing is known of them.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// There is no configuration to go by.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Something could not be read. What is not known to be unused stays.
    #[error("{0}")]
    Read(#[from] ReadError),
}

/// Derived revisions, and what is done with each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CleanView {
    /// `queue-scaler.clean`
    pub schema: String,
    /// Which version of this shape it is.
    pub version: u32,
    /// The revisions that nobody needs, by family.
    pub revisions: Vec<Unneeded>,
    /// Derived revisions that stay.
    pub needed: u64,
    /// What else somebody should know.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<String>,
    /// Whether the configuration has workers that are refused: what they need is not known.
    #[serde(skip)]
    #[schemars(skip)]
    pub is_partly_known: bool,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Revisions that were deregistered.
    pub deregistered: usize,
    /// Revisions that were deleted.
    pub deleted: usize,
    /// What was not done, and why.
    pub failures: Vec<String>,
}

/// A derived revision that nobody needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unneeded {
    /// `family:revision`
    pub revision: String,
    /// Why nobody needs it.
    pub why: String,
    /// Whether it has been deregistered before, and is deleted only.
    pub is_inactive: bool,
    #[serde(skip)]
    #[schemars(skip)]
    arn: Option<RevisionArn>,
}

/// What is needed: contents by family, and revisions that run.
struct Needed<'a> {
    digests: BTreeMap<Family, BTreeSet<String>>,
    bases: BTreeSet<Family>,
    running: BTreeSet<RevisionArn>,
    cloud: &'a ReadCloud,
}

/// Finds what nobody needs. Nothing of what could not be read is among it.
///
/// # Errors
/// When there is no configuration to go by, or something could not be read.
pub async fn find(
    deployment: &Deployment,
    cloud: &ReadCloud,
    asked: Asked,
    now: Timestamp,
) -> Result<CleanView, CleanError> {
    let in_force = deployment.scaler.config.current(cloud, now).await?;
    let needed = Needed::by(&in_force.config, cloud).await?;
    let mut view = CleanView {
        schema: SCHEMA.to_owned(),
        version: VERSION,
        revisions: Vec::new(),
        needed: 0,
        notes: Vec::new(),
        is_partly_known: !in_force.config.refused.is_empty(),
    };
    let mut others = BTreeSet::new();
    let families =
        if asked.delete { cloud.all_families().await? } else { cloud.families().await? };
    for family in families {
        let Some(base) = family.base() else { continue };
        if !asked.gone && !needed.bases.contains(&base) {
            others.insert(family);
            continue;
        }
        needed.look_at(&family, Activity::Active, &mut view).await?;
        if asked.delete {
            needed.look_at(&family, Activity::Inactive, &mut view).await?;
        }
    }
    if !others.is_empty() {
        let count = u64::try_from(others.len()).unwrap_or(u64::MAX);
        view.notes.push(format!(
            "{} of bases that no worker here runs: --gone takes them in; another scaler may use them",
            counted(count, "derived family").replace("familys", "families")
        ));
    }
    if view.is_partly_known {
        let note = "the configuration has workers that are refused, and what they need may be among these: nothing \
                    is changed until they are mended or gone";
        view.notes.push(note.to_owned());
    }
    Ok(view)
}

impl<'a> Needed<'a> {
    async fn by(config: &Config, cloud: &'a ReadCloud) -> Result<Self, ReadError> {
        let mut needed = Self {
            digests: BTreeMap::new(),
            bases: BTreeSet::new(),
            running: BTreeSet::new(),
            cloud,
        };
        for worker in &config.workers {
            needed.bases.insert(worker.task_definition.family());
            let base = cloud.definition(&worker.task_definition).await;
            match base {
                Ok(base) => needed.add(worker, &base),
                // A base without an ACTIVE revision runs nothing.
                Err(ReadError::Call(call)) if call.cause().may_be_stale() => {}
                Err(error) => return Err(error),
            }
        }
        // Whoever has started them, and wherever: another scaler may derive from the same base.
        let of_workers = config.workers.iter().map(|worker| worker.cluster.clone());
        let clusters: BTreeSet<_> = cloud.clusters().await?.into_iter().chain(of_workers).collect();
        for cluster in &clusters {
            needed.running.extend(Box::pin(cloud.revisions_in_use(cluster)).await?);
        }
        Ok(needed)
    }

    /// What the next ticks may run for a worker: every size that its base gives.
    fn add(&mut self, worker: &Worker, base: &TaskDefinition) {
        let Ok(recipe) = Recipe::new(base, worker.into()) else { return };
        for n in (1..=limits::CONTAINERS_PER_TASK.0).map(Containers) {
            if let (true, Ok(variant)) = (recipe.is_derived(n), recipe.variant(n)) {
                self.digests.entry(variant.family).or_default().insert(variant.digest);
            }
        }
    }

    async fn look_at(
        &self,
        family: &Family,
        activity: Activity,
        view: &mut CleanView,
    ) -> Result<(), ReadError> {
        let revisions = self.cloud.revisions(family, activity).await?;
        for arn in revisions {
            // Whatever has no digest of ours is somebody else's.
            let Some(found) = self.cloud.revision(&arn).await? else { continue };
            let Some(digest) = found.tag(tags::DIGEST) else { continue };
            let is_inactive = activity == Activity::Inactive;
            let why = if is_inactive {
                Some("it is deregistered".to_owned())
            } else {
                self.why_not(family, digest, &found)
            };
            let why = why.filter(|_| !self.running.contains(&arn));
            match why {
                None => view.needed = view.needed.saturating_add(1),
                Some(why) => view.revisions.push(Unneeded {
                    revision: arn.family_and_revision().to_owned(),
                    why,
                    is_inactive,
                    arn: Some(arn),
                }),
            }
        }
        Ok(())
    }

    /// Why no tick to come would run it; none where one would.
    fn why_not(&self, family: &Family, digest: &str, found: &TaskDefinition) -> Option<String> {
        let wanted = self.digests.get(family);
        if wanted.is_some_and(|digests| digests.contains(digest)) {
            return None;
        }
        let base = found.tag(tags::BASE_REVISION).unwrap_or_default();
        Some(match (wanted, family.base()) {
            (Some(_), _) => {
                format!("from revision {base} of its base: superseded, or made otherwise now")
            }
            (None, Some(of)) if !self.bases.contains(&of) => {
                "no worker here runs its base".to_owned()
            }
            (None, _) => "its base gives no task of this size any more".to_owned(),
        })
    }
}

impl CleanView {
    /// The whole page.
    pub fn page(&self, width: usize, asked: Asked) -> String {
        let mut page = Page::new(width);
        for Unneeded { revision, why, .. } in &self.revisions {
            page.entry_of(Meaning::Warning, &format!("- {revision}  "), why);
        }
        for note in &self.notes {
            page.entry_of(Meaning::Warning, "! ", note);
        }
        let count = u64::try_from(self.revisions.len()).unwrap_or(u64::MAX);
        let done = if asked.delete { "deregistered and deleted" } else { "deregistered" };
        let time =
            u64::try_from(self.changes(asked)).unwrap_or(u64::MAX).saturating_mul(PACE.as_secs());
        let text = match count {
            0 => format!("Nothing to clear up: {} needed.", be(self.needed)),
            n => format!(
                "{} can be {done}, in about {time} s; {} needed.",
                counted(n, "derived revision"),
                be(self.needed)
            ),
        };
        page.entry("", &text);
        page.text()
    }

    /// Whether there is nothing to do.
    pub fn is_clean(&self) -> bool {
        self.revisions.is_empty()
    }

    /// Calls that change something.
    fn changes(&self, asked: Asked) -> usize {
        let active = self.revisions.iter().filter(|revision| !revision.is_inactive).count();
        let deletes = self.revisions.len().div_ceil(limits::REVISIONS_PER_DELETE);
        if asked.delete { active.saturating_add(deletes) } else { active }
    }

    /// Deregisters them, and deletes them where that was asked, at half of the API's rate.
    /// It ends at the first call that is refused: the next one would be, too.
    pub async fn carry_out(
        &self,
        cloud: &WriteCloud,
        asked: Asked,
        note: impl Fn(&str),
    ) -> Cleaned {
        let mut pace = Pace(Instant::now());
        let mut cleaned = Cleaned::default();
        for found in self.revisions.iter().filter(|found| !found.is_inactive) {
            let Some(arn) = &found.arn else { continue };
            pace.wait().await;
            if let Err(error) = cloud.deregister(arn).await {
                cleaned.failures.push(error.to_string());
                return cleaned;
            }
            note(&format!("deregistered {}", found.revision));
            cleaned.deregistered = cleaned.deregistered.saturating_add(1);
        }
        if !asked.delete {
            return cleaned;
        }
        let all: Vec<_> = self.revisions.iter().filter_map(|found| found.arn.clone()).collect();
        for ten in all.chunks(limits::REVISIONS_PER_DELETE) {
            pace.wait().await;
            let failures = match cloud.delete(ten).await {
                Ok(failures) => failures,
                Err(error) => {
                    cleaned.failures.push(error.to_string());
                    return cleaned;
                }
            };
            let deleted = ten.len().saturating_sub(failures.len());
            note(&format!("deleted {deleted} of {}", ten.len()));
            cleaned.deleted = cleaned.deleted.saturating_add(deleted);
            cleaned.failures.extend(failures);
        }
        cleaned
    }
}

/// When the next change may go out.
struct Pace(Instant);

impl Pace {
    async fn wait(&mut self) {
        sleep_until(self.0).await;
        self.0 = Instant::now().checked_add(PACE).unwrap_or(self.0);
    }
}

fn be(count: u64) -> String {
    let are = if count == 1 { "is" } else { "are" };
    format!("{count} {are}")
}
