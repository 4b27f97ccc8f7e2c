//! A worker, of the file or of a queue's tags.

use super::super::discovery::{Discover, TaggedQueue};
use super::super::form::names::{CLUSTER, Identifier, QUEUE, TASK_DEFINITION};
use super::super::reader::{Fields, ListOf, Reading};
use super::super::shape::about;
use super::super::{Launch, Overrides, Packing, Refused, Worker};
use super::draining::read_on_drain;
use super::launch::LaunchPart;
use super::pause::read_pause;
use super::regions::Named;
use super::{Defaults, PREVIOUS_NAMES, WORKERS, scaling};
use crate::document::{Node, Problem};
use crate::limits;
use crate::units::{ClusterName, Containers, WorkerName};

/// Who describes a worker. Who comes later gives way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    File,
    Discovered,
}

/// A worker as far as it could be read.
pub(super) struct Draft<'a> {
    pub(super) origin: Origin,
    /// Where the file describes it.
    pub(super) node: Option<&'a Node>,
    pub(super) source: String,
    /// Its path in the file, or the ARN of its queue.
    pub(super) path: String,
    pub(super) name: Option<String>,
    pub(super) previous_names: Vec<WorkerName>,
    pub(super) worker: Option<Worker>,
    pub(super) problems: Vec<Problem>,
}

impl Draft<'_> {
    pub(super) fn refused(self) -> Refused {
        let name = self.name.filter(|_| self.origin == Origin::File).unwrap_or(self.path);
        let previous_names = self.previous_names;
        Refused { worker: WorkerName(name), previous_names, problems: self.problems }
    }

    pub(super) fn refuse(&mut self, key: &str, message: &str) {
        let problem = self.problem(key, message);
        self.problems.push(problem);
    }

    /// What is to be said of one of its keys.
    pub(super) fn problem(&self, key: &str, message: &str) -> Problem {
        if self.origin == Origin::Discovered {
            return Problem::new(key, message);
        }
        let value = self.node.and_then(|node| node.get(key)).or(self.node);
        let (path, worker) = match name_in_lines(self.name.as_deref()) {
            Some(name) => (key.to_owned(), Some(name)),
            None => (format!("{}.{key}", self.path), None),
        };
        let problem = Problem::new(&path, message).at(value.and_then(|value| value.position));
        problem.in_worker(worker).of_source(&self.source)
    }
}

/// A worker without a name that fits into a line is named by its number in the list.
fn name_in_lines(name: Option<&str>) -> Option<&str> {
    name.filter(|name| (1..=128).contains(&name.len()))
}

fn read_worker<'a>(node: &'a Node, path: String, context: Context<'_>) -> Draft<'a> {
    let name = node.get("name").and_then(Node::as_str).map(str::to_owned);
    let before = node.get("previousNames").and_then(Node::items).unwrap_or_default();
    let previous_names =
        before.iter().filter_map(|name| Some(WorkerName(name.as_str()?.to_owned()))).collect();
    let name_shown = name_in_lines(name.as_deref());
    let reading = context.reading.of_worker(name_shown);
    let root = if name_shown.is_some() { "" } else { path.as_str() };
    let fields = reading.fields_of_item(node, root);
    let worker = fields.and_then(|fields| read_worker_fields(fields, context.defaults));
    context.reading.include(&reading);
    let (origin, node, source) = (Origin::File, Some(node), reading.source().to_owned());
    let problems = reading.take_problems();
    Draft { origin, node, source, path, name, previous_names, worker, problems }
}

fn read_tags(queue: &TaggedQueue, by: &Discover, defaults: &Defaults) -> Draft<'static> {
    let (document, mut own) = queue.document(by);
    // Its name is the queue's, or the one of a tag: what is wrong is reported by the tag.
    let reading = Reading::default();
    let fields = reading.fields(&document, "");
    let worker = fields.and_then(|fields| read_worker_fields(fields, defaults));
    let problems = reading.take_problems();
    own.extend(queue.problems_in_tags(by, problems, &own));
    // What is malformed is in nobody's way.
    let worker = worker.filter(|_| own.is_empty());
    Draft {
        origin: Origin::Discovered,
        node: None,
        source: String::new(),
        path: queue.arn.clone(),
        name: document.get("name").and_then(Node::as_str).map(str::to_owned),
        previous_names: Vec::new(),
        worker,
        problems: own,
    }
}

fn read_worker_fields(mut fields: Fields<'_>, defaults: &Defaults) -> Option<Worker> {
    let name = about("unique; its tasks have the group `worker:<name>`").tag("worker");
    let name = fields.required("name", Identifier(128), name).map(WorkerName);
    let queue = "the queue that it empties, also of another account; no other worker may have it";
    let queue = fields.required("queue", QUEUE, queue);
    let definition = about("what its tasks run; of a family its newest ACTIVE revision");
    let definition = definition.tag("task-definition");
    let task_definition = fields.required("taskDefinition", TASK_DEFINITION, definition);
    let container = about("the container that works and is cloned").defaults_to("the only one");
    let container = container.tag("container");
    let container = fields.optional("container", Identifier(limits::NAME_CHARACTERS), container);
    let cluster = read_own_cluster(&mut fields, defaults);
    let (packing, chosen) = scaling::read_packing(&mut fields, defaults);
    let scaling = scaling::read_scaling(&mut fields, &chosen);
    let launch = LaunchPart::read(&mut fields).over(&defaults.launch).checked(&fields);
    let packing = packing.for_policy(scaling.as_ref(), &chosen);
    if let Some(launch) = &launch {
        refuse_sized_clones(&fields, launch, &packing);
    }
    let on_drain = read_on_drain(&mut fields).unwrap_or(defaults.on_drain);
    let paused = read_pause(&mut fields);
    let previous_names = read_previous_names(&mut fields);
    let named = Named {
        queue: queue.as_ref(),
        cluster: cluster.as_ref(),
        definition: task_definition.as_ref(),
    };
    named.check(&fields);
    fields.finish();
    Some(Worker {
        name: name?,
        queue: queue?,
        cluster: cluster?,
        task_definition: task_definition?,
        container,
        scaling: scaling?,
        packing,
        launch: launch?,
        on_drain,
        paused,
        previous_names,
    })
}

/// The size of a task of several containers follows from its definition, and what is set for one
/// container would have to be multiplied: whoever sets it knows for how many it is.
fn refuse_sized_clones(fields: &Fields<'_>, launch: &Launch, packing: &Packing) {
    let sizes_are_set = launch.overrides.as_ref().is_some_and(Overrides::set_sizes);
    if sizes_are_set && packing.max_containers_per_task != Some(Containers(1)) {
        let message = "launch.overrides sets CPU, memory or storage, which a task of several worker \
                       containers needs more of; give packing.maxContainersPerTask: 1, or set them \
                       in the task definition";
        fields.problem("packing", message);
    }
}

fn read_own_cluster(fields: &mut Fields<'_>, defaults: &Defaults) -> Option<ClusterName> {
    let what = about("where its tasks run").defaults_to("the file's").tag("cluster");
    let own = fields.optional("cluster", CLUSTER, what);
    let cluster = own.or_else(|| defaults.cluster.clone());
    if cluster.is_none() && !fields.has("cluster") && !defaults.cluster_is_wrong {
        fields.problem("cluster", "is missing, here and as the default of the file");
    }
    cluster
}

fn read_previous_names(worker: &mut Fields<'_>) -> Vec<WorkerName> {
    let names = ListOf { length: PREVIOUS_NAMES, of: Identifier(128) };
    let what =
        about("what it was called before: tasks that were started under these names are its own");
    let names = worker.list("previousNames", &names, what.defaults_to("none"));
    names.into_iter().flatten().map(WorkerName).collect()
}

pub(super) fn read_workers<'a>(fields: &mut Fields<'a>, defaults: &Defaults) -> Vec<Draft<'a>> {
    let may_be_none = fields.has("discover") || fields.is_blank();
    let least = if may_be_none { 0 } else { *WORKERS.start() };
    if !fields.has("workers") && 0 < least {
        fields.problem("workers", "is missing; it is the list of your workers");
    }
    let what =
        about("the kinds of workers, each with its queue").defaults_to("needed without `discover`");
    let workers = fields.items("workers", least..=*WORKERS.end(), what).unwrap_or_default();
    let worker = |(index, node)| {
        read_worker(
            node,
            fields.path_of_item("workers", index),
            Context { reading: fields.reading(), defaults },
        )
    };
    workers.iter().enumerate().map(worker).collect()
}

/// What a worker is read with.
#[derive(Clone, Copy)]
struct Context<'a> {
    reading: &'a Reading,
    defaults: &'a Defaults,
}

pub(super) fn read_queues(
    queues: &[TaggedQueue],
    by: &Discover,
    defaults: &Defaults,
) -> Vec<Draft<'static>> {
    let is_worker =
        |queue: &&TaggedQueue| queue.tags.get(&by.tag).is_none_or(|value| by.takes(value));
    let mut queues: Vec<_> = queues.iter().filter(is_worker).collect();
    queues.sort_by_key(|queue| &queue.arn);
    queues.into_iter().map(|queue| read_tags(queue, by, defaults)).collect()
}
