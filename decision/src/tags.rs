//! Our tags: what a task and a definition carry so that any process knows them again. Those of an
//! instance that a hook holds are in `snapshot/draining.rs`: their names hold the scaler's.

/// On a task: the tick that started it.
pub const TICK: &str = "ecs-queue-scaler:tick";

/// On a task: all that the tick started for the worker, such as `7x4 + 1x2`. A repeated token with
/// another plan is a conflict, whichever call it is.
pub const PLAN: &str = "ecs-queue-scaler:plan";

/// On a task: the delivery of the tick, where our own scheduler places. What another delivery asks for
/// is another request, whatever it has planned.
pub const DELIVERY: &str = "ecs-queue-scaler:delivery";

/// On a task: the number of the call among the worker's calls of a tick, where our own scheduler places.
pub const CALL: &str = "ecs-queue-scaler:call";

/// On a task: the name of its worker container. A later revision may call it something else.
pub const CONTAINER: &str = "ecs-queue-scaler:container";

/// On a task: the Lambda function that started it. Another one under the same scaler's name takes its
/// tasks for its own.
pub const FUNCTION: &str = "ecs-queue-scaler:function";

/// On a task: its worker.
pub const WORKER: &str = "ecs-queue-scaler:worker";

/// On a derived revision: its content. Equal digests mean equal definitions.
pub const DIGEST: &str = "ecs-queue-scaler:digest";

/// On a derived revision: the revision of the base that it is derived from.
pub const BASE_REVISION: &str = "ecs-queue-scaler:base-revision";

/// What the keys of all our tags begin with.
pub const PREFIX: &str = "ecs-queue-scaler:";

/// Whether a text begins as only AWS's own tags may, whatever its case.
/// Source: ECS API, `RunTaskRequest.tags`.
pub fn is_reserved(text: &str) -> bool {
    text.get(..4).is_some_and(|beginning| beginning.eq_ignore_ascii_case("aws:"))
}

/// Whether a character may be in the key or in the value of a tag.
/// Source: ECS developer guide and SQS developer guide, "Tag restrictions".
pub fn is_legal(c: char) -> bool {
    c.is_alphanumeric() || " _.:/=+-@".contains(c)
}

/// The variables that tell a clone its number among the others, and how many there are.
pub const OF_CLONES: [&str; 2] = ["WORKER_INDEX", "WORKER_COUNT"];
