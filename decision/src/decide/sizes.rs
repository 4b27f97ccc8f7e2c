//! How many containers a task may have, and which revisions run so many. Pure.

use std::collections::BTreeMap;

use crate::config::{Packing, Worker};
use crate::plan::{Action, Refusal, Revision, Search, Unregistered};
use crate::snapshot::{DerivedRevision, Newest, Snapshot};
use crate::units::{Containers, Family, RevisionArn};
use crate::variant::{Obstacle, Recipe};

const DESCRIBE: &str = "DescribeTaskDefinition";

/// The sizes that a worker's tasks may have.
pub(super) struct Sizes {
    /// The largest.
    pub(super) most: Containers,
    /// Why it is no larger, where the definition says so.
    pub(super) obstacle: Option<Obstacle>,
    /// The only ones beside one container, where nothing may be registered.
    registered: Option<BTreeMap<Containers, RevisionArn>>,
}

impl Sizes {
    /// Where nothing may be registered, a size is there when the newest revision of its family is
    /// derived from this very base; the others are told apart.
    ///
    /// # Errors
    /// When a size that the operator asks for cannot be derived, or could not be read.
    pub(super) fn of(
        worker: &Worker,
        recipe: &Recipe<'_>,
        snapshot: &Snapshot,
    ) -> Result<(Self, Vec<Unregistered>), Action> {
        let (most, obstacle) = containers_per_task(recipe, &worker.packing)?;
        let Some(listed) = &worker.packing.registered_sizes else {
            return Ok((Self { most, obstacle, registered: None }, Vec::new()));
        };
        let derived = listed.iter().filter(|size| Containers(1) < **size && **size <= most);
        let (mut registered, mut unregistered) = (BTreeMap::new(), Vec::new());
        for size in derived {
            let family = worker.task_definition.family().variant(*size);
            let newest = match snapshot.derived.get(&family) {
                Some(Newest::Read(newest)) => newest.clone()?,
                Some(Newest::Remembered(_)) | None => return Err(super::unread(DESCRIBE).into()),
            };
            let variant = recipe.variant(*size).map_err(Refusal::Definition)?;
            match newest.as_ref().filter(|found| found.has(&variant.digest)) {
                Some(found) => drop(registered.insert(*size, found.arn.clone())),
                None => unregistered.push(Unregistered {
                    family,
                    newest: newest.as_ref().map(|found| found.arn.clone()),
                    base: recipe.base.arn.clone(),
                }),
            }
        }
        let most = registered.keys().copied().max().unwrap_or(Containers(1));
        Ok((Self { most, obstacle, registered: Some(registered) }, unregistered))
    }

    /// The only sizes, the smallest first; `None` where there may be any up to the largest.
    pub(super) fn only(&self) -> Option<Vec<Containers>> {
        let registered = self.registered.as_ref()?;
        Some([Containers(1)].into_iter().chain(registered.keys().copied()).collect())
    }

    /// No more containers a task than this, for a reason of the calls.
    pub(super) fn at_most(self, most: Containers, obstacle: Option<Obstacle>) -> Self {
        let registered = self.registered.map(|mut registered| {
            registered.retain(|size, _| *size <= most);
            registered
        });
        let largest = registered.as_ref().map(|all| all.keys().copied().max());
        let largest = largest.map_or(most, |largest| largest.unwrap_or(Containers(1)));
        Self { most: self.most.min(largest), obstacle: obstacle.or(self.obstacle), registered }
    }

    /// What a task of so many containers runs.
    ///
    /// # Errors
    /// What of the base stands in the way.
    pub(super) fn revision(
        &self,
        recipe: &Recipe<'_>,
        n: Containers,
        known: &BTreeMap<Family, Newest>,
    ) -> Result<Revision, Refusal> {
        match self.registered.as_ref().and_then(|registered| registered.get(&n)) {
            Some(found) => Ok(Revision::Registered(found.clone())),
            None => revision(recipe, n, known),
        }
    }
}

/// The base itself, or what is derived from it, as far as it is known.
///
/// # Errors
/// What of the base stands in the way.
pub(super) fn revision(
    recipe: &Recipe<'_>,
    n: Containers,
    known: &BTreeMap<Family, Newest>,
) -> Result<Revision, Refusal> {
    if n == Containers(1) {
        return Ok(Revision::Registered(recipe.base.arn.clone()));
    }
    let variant = recipe.variant(n)?;
    let search = match known.get(&variant.family) {
        Some(Newest::Remembered(known) | Newest::Read(Ok(Some(known))))
            if known.has(&variant.digest) =>
        {
            Search::Found(known.arn.clone())
        }
        Some(Newest::Read(Ok(newest))) => {
            Search::Missing(newest.clone().and_then(DerivedRevision::of_ours))
        }
        Some(Newest::Remembered(_) | Newest::Read(Err(_))) | None => Search::Open,
    };
    Ok(Revision::Derived(Box::new(variant), search))
}

/// The most containers a task may have. An operator who asks for several gets them or an error; a
/// worker that cannot be cloned and was not asked to be has one a task.
fn containers_per_task(
    recipe: &Recipe<'_>,
    packing: &Packing,
) -> Result<(Containers, Option<Obstacle>), Refusal> {
    if packing.max_containers_per_task == Some(Containers(1)) {
        return Ok((Containers(1), None));
    }
    match (recipe.most_containers(), packing.max_containers_per_task) {
        ((_, Some(obstacle)), Some(_)) => Err(Refusal::Definition(obstacle)),
        ((most, obstacle), asked) => Ok((most.min(asked.unwrap_or(most)), obstacle)),
    }
}
