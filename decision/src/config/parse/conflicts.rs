//! Workers that cannot live beside each other: each is refused by the name of the other. Who is
//! discovered gives way to who is in the file.

use std::collections::BTreeMap;

use super::super::{Completion, QueueRef, Watcher, Worker};
use super::worker::{Draft, Origin};
use crate::fargate::TaskSize;
use crate::units::{Containers, Family, TaskDefinitionRef};

pub(super) fn refuse_conflicts(drafts: &mut [Draft<'_>]) {
    let names = |draft: &Draft<'_>| draft.name.clone();
    refuse_equal(drafts, names, "name", |draft, other| match (draft.origin, other.origin) {
        (Origin::File, _) => "is used by two workers".to_owned(),
        (_, Origin::File) => format!("is used by {} of the file", other.called()),
        _ => format!("is used by {} too", other.called()),
    });
    let queues = |draft: &Draft<'_>| draft.worker.as_ref().map(|worker| alike(&worker.queue));
    refuse_equal(drafts, queues, "queue", |_, other| of_two(other));
    refuse_queues_of_the_file(drafts);
    refuse_shared_variants(drafts);
    refuse_clusters_of_others(drafts);
    refuse_names_of_others(drafts);
}

/// A task is of one worker: a previous name is nobody's name of today, and no other's previous one.
fn refuse_names_of_others(drafts: &mut [Draft<'_>]) {
    let names = by_name(drafts, |draft| {
        [draft.name.clone().into_iter().collect(), draft.previous()].concat()
    });
    let previous = by_name(drafts, previous_of);
    let sentence = |name: &str, other: &Draft<'_>| {
        format!("has `{name}`, which is a name of {} too", other.called())
    };
    let refused: Vec<_> = drafts
        .iter()
        .enumerate()
        .filter_map(|(index, draft)| {
            let own = draft.previous();
            let is_repeated = |name: &&String| 1 < own.iter().filter(|other| other == name).count();
            let repeated = own.iter().find(is_repeated).map(|name| sentence(name, draft));
            let of_other = |name: &String, all| {
                first_of_others(drafts, index, all, name).map(|other| sentence(name, other))
            };
            let shared = repeated.or_else(|| own.iter().find_map(|name| of_other(name, &names)));
            if let Some(message) = shared {
                return Some((index, "previousNames", message));
            }
            // Two equal names of today are refused as such.
            let name = draft.name.as_ref().filter(|_| draft.origin == Origin::Discovered)?;
            Some((index, "name", of_other(name, &previous)?))
        })
        .collect();
    for (index, field, message) in refused {
        if let Some(draft) = drafts.get_mut(index) {
            draft.refuse(field, &message);
        }
    }
}

fn previous_of(draft: &Draft<'_>) -> Vec<String> {
    draft.previous()
}

/// Which drafts have each name.
fn by_name(
    drafts: &[Draft<'_>],
    names: impl Fn(&Draft<'_>) -> Vec<String>,
) -> BTreeMap<String, Vec<usize>> {
    let mut by_name: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        for name in names(draft) {
            by_name.entry(name).or_default().push(index);
        }
    }
    by_name
}

/// The first other draft that has a name. Who is discovered takes nothing from who is in the file.
fn first_of_others<'a>(
    drafts: &'a [Draft<'a>],
    index: usize,
    names: &BTreeMap<String, Vec<usize>>,
    name: &str,
) -> Option<&'a Draft<'a>> {
    let origin = drafts.get(index)?.origin;
    let others = names.get(name)?.iter().filter(|other| **other != index);
    let mut others = others.filter_map(|other| drafts.get(*other));
    others.find(|other| other.origin <= origin)
}

/// The same for all names of a queue, as far as they say: its Region, its account and its name.
fn alike(queue: &QueueRef) -> (Option<String>, Option<String>, String) {
    let owned = |part: Option<&str>| part.map(str::to_owned);
    (owned(queue.region()), owned(queue.account()), queue.name().to_owned())
}

/// A function has the clusters of its own account and Region: of two that are called the same and are
/// elsewhere than each other, one is out of its reach.
fn refuse_clusters_of_others(drafts: &mut [Draft<'_>]) {
    let scope = |draft: &Draft<'_>| {
        let cluster = &draft.worker.as_ref()?.cluster;
        let (partition, region, account) = cluster.scope()?;
        let scope = [partition, region, account].map(str::to_owned);
        Some((cluster.short().to_owned(), scope))
    };
    let scopes: Vec<_> = drafts.iter().map(scope).collect();
    // The first draft of each account and Region that a name has: those of the file come before the others.
    let mut firsts: BTreeMap<&str, Vec<(usize, &[String; 3])>> = BTreeMap::new();
    for (index, (name, scope)) in indexed(&scopes) {
        let known = firsts.entry(name).or_default();
        if known.iter().all(|(_, other)| *other != scope) {
            known.push((index, scope));
        }
    }
    for (index, (name, own)) in indexed(&scopes) {
        let origin = drafts.get(index).map(|draft| draft.origin);
        let others = firsts.get(name.as_str()).into_iter().flatten();
        let mut others = others.filter(|(_, scope)| *scope != own);
        let other = others.find_map(|(other, _)| {
            drafts.get(*other).filter(|other| Some(other.origin) <= origin).map(Draft::called)
        });
        if let (Some(other), Some(draft)) = (other, drafts.get_mut(index)) {
            let message = format!(
                "is of another account or Region than the one of {other}; a function serves the \
                 clusters of its own"
            );
            draft.refuse("cluster", &message);
        }
    }
}

fn indexed<T>(all: &[Option<T>]) -> impl Iterator<Item = (usize, &T)> {
    all.iter().enumerate().filter_map(|(index, one)| Some((index, one.as_ref()?)))
}

fn of_two(other: &Draft<'_>) -> String {
    format!("is the queue of {} too; both would answer the same messages", other.called())
}

impl Draft<'_> {
    fn previous(&self) -> Vec<String> {
        let names = self.worker.iter().flat_map(|worker| &worker.previous_names);
        names.map(ToString::to_string).collect()
    }

    pub(super) fn called(&self) -> String {
        match self.origin {
            Origin::File => format!("worker `{}`", self.name.as_deref().unwrap_or("?")),
            Origin::Discovered => format!("the worker of {}", self.path),
        }
    }
}

/// Refuses the drafts that are alike in `key`.
fn refuse_equal<K: Ord>(
    drafts: &mut [Draft<'_>],
    key: impl Fn(&Draft<'_>) -> Option<K>,
    field: &str,
    message: impl Fn(&Draft<'_>, &Draft<'_>) -> String,
) {
    let mut alike: BTreeMap<K, Vec<usize>> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        if let Some(key) = key(draft) {
            alike.entry(key).or_default().push(index);
        }
    }
    for group in alike.into_values().filter(|group| 1 < group.len()) {
        for index in &group {
            let draft = drafts.get(*index);
            let others = group.iter().filter(|other| *other != index);
            let other = others
                .filter_map(|other| drafts.get(*other))
                .find(|other| draft.is_some_and(|draft| other.origin <= draft.origin));
            let message = draft.zip(other).map(|(draft, other)| message(draft, other));
            if let (Some(message), Some(draft)) = (message, drafts.get_mut(*index)) {
                draft.refuse(field, &message);
            }
        }
    }
}

/// The file may name a queue by its name or URL, and discovery always by its ARN.
fn refuse_queues_of_the_file(drafts: &mut [Draft<'_>]) {
    let mut of_file: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        if let (Origin::File, Some(worker)) = (draft.origin, &draft.worker) {
            of_file.entry(worker.queue.name().to_owned()).or_default().push(index);
        }
    }
    for index in 0..drafts.len() {
        let draft = drafts.get(index).filter(|draft| draft.origin == Origin::Discovered);
        let queue = draft.and_then(|draft| Some(&draft.worker.as_ref()?.queue));
        let same = queue.and_then(|queue| {
            let alike = of_file.get(queue.name())?.iter().filter_map(|other| drafts.get(*other));
            alike.into_iter().find(|other| {
                // The same reference is found already.
                let other = other.worker.as_ref().map(|worker| &worker.queue);
                other.is_some_and(|other| other != queue && is_same(other, queue))
            })
        });
        if let (Some(message), Some(draft)) = (same.map(of_two), drafts.get_mut(index)) {
            draft.refuse("queue", &message);
        }
    }
}

/// Whether a reference of the file stands for a queue of our own account and Region, of that ARN.
fn is_same(of_file: &QueueRef, discovered: &QueueRef) -> bool {
    let QueueRef::Arn { region, account, name } = discovered else { return false };
    of_file.name() == name
        && of_file.region().is_none_or(|other| other == region || !other.contains('-'))
        && of_file.account().is_none_or(|other| other == account)
}

/// What decides the derived definitions of a family beside the number of clones.
#[derive(PartialEq)]
struct VariantSettings {
    task_definition: TaskDefinitionRef,
    container: Option<String>,
    completion: Completion,
    watcher: Watcher,
    reserve: TaskSize,
    drop_port_mappings: bool,
    /// Whether a rung holds them to Fargate's sizes.
    on_fargate: bool,
}

impl From<&Worker> for VariantSettings {
    fn from(worker: &Worker) -> Self {
        let packing = &worker.packing;
        Self {
            task_definition: worker.task_definition.clone(),
            container: worker.container.clone(),
            completion: packing.completion,
            watcher: packing.watcher.clone(),
            reserve: packing.reserve,
            drop_port_mappings: packing.drop_port_mappings,
            on_fargate: worker.launch.rungs.iter().any(|rung| rung.is_fargate() == Some(true)),
        }
    }
}

/// Two workers that clone one family in different ways would replace each other's revisions at
/// every tick.
fn refuse_shared_variants(drafts: &mut [Draft<'_>]) {
    let mut families: BTreeMap<Family, Vec<(usize, Origin, VariantSettings)>> = BTreeMap::new();
    for (index, draft) in drafts.iter().enumerate() {
        let clones = |w: &&Worker| w.packing.max_containers_per_task != Some(Containers(1));
        if let Some(worker) = draft.worker.as_ref().filter(clones) {
            let settings = VariantSettings::from(worker);
            let family = worker.task_definition.family();
            families.entry(family).or_default().push((index, draft.origin, settings));
        }
    }
    for (family, users) in families {
        for (index, origin, settings) in &users {
            let other =
                users.iter().find(|(_, other, others)| others != settings && other <= origin);
            let other = other.and_then(|(other, ..)| drafts.get(*other)).map(Draft::called);
            if let (Some(other), Some(draft)) = (other, drafts.get_mut(*index)) {
                let message = format!(
                    "clones family `{family}` in another way than {other}, and they would replace \
                     each other's derived revisions; give both the same taskDefinition, container, \
                     packing and kind of capacity, or one of them packing.maxContainersPerTask: 1"
                );
                draft.refuse("taskDefinition", &message);
            }
        }
    }
}
