//! How many containers a task may have, and which revisions run so many. Pure.

use std::collections::BTreeMap;

use super::own::OwnTasks;
use super::{late, request};
use crate::config::{Strategy, Worker};
use crate::limits;
use crate::plan::{Action, Refusal, Revision, Search, Unregistered};
use crate::snapshot::{DerivedRevision, Newest, Snapshot};
use crate::units::{Containers, Family, RevisionArn};
use crate::variant::{Caution, Obstacle, Recipe};

const DESCRIBE: &str = "DescribeTaskDefinition";

/// How many containers a worker's tasks may have.
pub(super) struct ContainersPerTask {
    /// At most.
    pub(super) most: Containers,
    /// Why there is only one container a task, where the definition says so.
    pub(super) obstacle: Option<Obstacle>,
    /// What the operator asks for.
    wanted: Option<Containers>,
    /// What is to be said of fewer.
    pub(super) caution: Option<Caution>,
    /// The only ones, where nothing may be registered; one container runs the base where it can.
    registered: Option<BTreeMap<Containers, RevisionArn>>,
}

impl ContainersPerTask {
    /// By all that is known of the worker, and the sizes that are not registered.
    ///
    /// # Errors
    /// When a count that the operator asks for cannot be run, or something could not be read.
    pub(super) fn of(
        worker: &Worker,
        recipe: &Recipe<'_>,
        own: &OwnTasks<'_>,
        snapshot: &Snapshot,
    ) -> Result<(Self, Vec<Unregistered>), Action> {
        let (per_task, unregistered) = Self::of_definition(worker, recipe, snapshot)?;
        let (most, obstacle) = request::most_containers(worker, recipe, snapshot, per_task.most)?;
        let per_task = per_task.at_most(most, obstacle);
        // On Fargate there is room or there is none, whatever the size.
        let too_large = late::too_large(own).filter(|_| !recipe.is_paid_as_fargate());
        let per_task = match too_large {
            Some(n) => per_task.one_by_one(recipe, n),
            None => per_task,
        };
        Ok((per_task, unregistered))
    }

    /// Where nothing may be registered, a count is there when the newest revision of its family is
    /// derived from this very base; the others are reported.
    ///
    /// # Errors
    /// When a count that the operator asks for cannot be derived, or could not be read.
    fn of_definition(
        worker: &Worker,
        recipe: &Recipe<'_>,
        snapshot: &Snapshot,
    ) -> Result<(Self, Vec<Unregistered>), Action> {
        let allowed = containers_per_task(worker, recipe)?;
        let Some(listed) = &worker.packing.registered_sizes else {
            return Ok((allowed, Vec::new()));
        };
        let derived = listed.iter().filter(|n| recipe.is_derived(**n) && **n <= allowed.most);
        let (mut registered, mut unregistered) = (BTreeMap::new(), Vec::new());
        for count in derived {
            let family = worker.task_definition.family().variant(*count);
            let newest = match snapshot.derived.get(&family) {
                Some(Newest::Read(newest)) => newest.clone()?,
                Some(Newest::Remembered(_)) | None => return Err(super::unread(DESCRIBE).into()),
            };
            let variant = recipe.variant(*count).map_err(Refusal::Definition)?;
            match newest.as_ref().filter(|found| found.has(&variant.digest)) {
                Some(found) => drop(registered.insert(*count, found.arn.clone())),
                None => unregistered.push(Unregistered {
                    family,
                    newest: newest.as_ref().map(|found| found.arn.clone()),
                    base: recipe.base.arn.clone(),
                }),
            }
        }
        if let Some(flaw) = recipe.flaw().filter(|_| !registered.contains_key(&Containers(1))) {
            let may_register = false;
            return Err(Refusal::Definition(Obstacle::NotMended { flaw, may_register }).into());
        }
        let most = registered.keys().copied().max().unwrap_or(Containers(1));
        Ok((Self { most, registered: Some(registered), ..allowed }, unregistered))
    }

    /// No more containers a task than this, for a reason of the calls.
    fn at_most(self, most: Containers, obstacle: Option<Obstacle>) -> Self {
        let registered = self.registered.map(|mut registered| {
            registered.retain(|n, _| *n <= most);
            registered
        });
        let largest = registered.as_ref().map(|all| all.keys().copied().max());
        let largest = largest.map_or(most, |largest| largest.unwrap_or(Containers(1)));
        let most = self.most.min(largest);
        let caution = match (self.wanted, &obstacle) {
            (Some(asked), Some(obstacle)) if most < asked => {
                Some(Caution::Fewer { asked, most, obstacle: obstacle.clone() })
            }
            _ => self.caution,
        };
        Self { most, obstacle: obstacle.or(self.obstacle), caution, registered, ..self }
    }

    /// One container a task, where that can be run, as tasks of so many found no instance.
    fn one_by_one(self, recipe: &Recipe<'_>, of: Containers) -> Self {
        let one = Containers(1);
        if self.most == one || self.all(recipe).first() != Some(&one) {
            return self;
        }
        Self { caution: Some(Caution::TooLarge { containers: of }), ..self.at_most(one, None) }
    }

    /// All of them, the fewest first.
    pub(super) fn all(&self, recipe: &Recipe<'_>) -> Vec<Containers> {
        let Some(registered) = &self.registered else {
            return (1..=self.most.0).map(Containers).collect();
        };
        let base = (!recipe.is_derived(Containers(1))).then_some(Containers(1));
        base.into_iter().chain(registered.keys().copied()).collect()
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
    if !recipe.is_derived(n) {
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

/// The most containers a task may have. An operator who asks for several gets as many as there can
/// be, and an error where there can be no second one at all; a worker that was not asked to be cloned
/// has one a task where it cannot be.
fn containers_per_task(worker: &Worker, recipe: &Recipe<'_>) -> Result<ContainersPerTask, Refusal> {
    let packing = &worker.packing;
    let wanted = packing.max_containers_per_task;
    let (most, obstacle) = match wanted {
        Some(Containers(1)) => (Containers(1), None),
        // Instances have the size that they have: only their owner knows what goes together.
        None if packing.strategy == Strategy::Cheapest && !recipe.is_paid_as_fargate() => {
            (Containers(1), None)
        }
        _ => recipe.most_containers(wanted.unwrap_or(limits::CONTAINERS_PER_TASK)),
    };
    let one = ContainersPerTask { most, obstacle: None, wanted, caution: None, registered: None };
    match (wanted, obstacle) {
        (Some(asked), Some(obstacle)) if most < asked => {
            if most == Containers(1) && !obstacle.is_of_size() {
                return Err(Refusal::Definition(obstacle));
            }
            let caution = Caution::Fewer { asked, most, obstacle };
            Ok(ContainersPerTask { caution: Some(caution), ..one })
        }
        (None, Some(obstacle)) if most == Containers(1) => {
            Ok(ContainersPerTask { obstacle: Some(obstacle), ..one })
        }
        (wanted, _) => Ok(ContainersPerTask { most: most.min(wanted.unwrap_or(most)), ..one }),
    }
}
