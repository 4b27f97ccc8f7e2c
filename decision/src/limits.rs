//! AWS's numbers, each once and with its source, and what two clocks may differ by.

use std::time::Duration;

use crate::units::{Containers, CpuUnits, GibiBytes, Tasks};

/// Containers of a task definition; it cannot be raised.
/// Source: ECS service quotas, "Containers per task definition".
pub const CONTAINERS_PER_TASK: Containers = Containers(10);

/// Tasks that one `RunTask` starts. Source: ECS API, `RunTaskRequest.count`.
pub const TASKS_PER_RUN_TASK: Tasks = Tasks(10);

/// Container instances that one `StartTask` names.
/// Source: ECS API, `StartTaskRequest.containerInstances`.
pub const INSTANCES_PER_START_TASK: usize = 10;

/// Bytes of a task definition. Source: ECS service quotas, "Task definition size".
pub const DEFINITION_BYTES: usize = 64 * 1024;

/// The disk of a task on Fargate, where a definition says how large it is to be.
/// Source: ECS API, `EphemeralStorage.sizeInGiB`.
pub const TASK_STORAGE: GibiBytes = GibiBytes(200);

/// Tasks that Fargate starts at once, before its rate of twenty a second holds.
/// Source: ECS developer guide, "AWS Fargate throttling quotas".
pub const FARGATE_AT_ONCE: Tasks = Tasks(100);

/// Pulls a second of an account's tasks from ECR Public; it cannot be raised.
/// Source: ECR Public service quotas, "Rate of image pulls to AWS resources".
pub const PUBLIC_PULLS: Tasks = Tasks(10);

/// Tags of a task definition, and of a task with those that it gets from its definition.
/// Source: ECS API, `RegisterTaskDefinitionRequest.tags`, `RunTaskRequest.tags`.
pub const TAGS: usize = 50;

/// Characters of the overrides of a task, with those of their JSON.
/// Source: ECS API, `RunTaskRequest.overrides`.
pub const OVERRIDES: usize = 8192;

/// Characters in the name of a family, and of a container.
/// Source: ECS API, `RegisterTaskDefinitionRequest.family`, `ContainerDefinition.name`.
pub const NAME_CHARACTERS: usize = 255;

/// Task-level CPU on EC2: 192 vCPU. Source: ECS API, `RegisterTaskDefinitionRequest.cpu`.
pub const EC2_CPU: CpuUnits = CpuUnits(196_608);

/// Tasks that one `DescribeTasks` names. Source: ECS API, `DescribeTasksRequest.tasks`.
pub const TASKS_PER_DESCRIBE: usize = 100;

/// Revisions that one `DeleteTaskDefinitions` names. Source: ECS API, `DeleteTaskDefinitionsRequest`.
pub const REVISIONS_PER_DELETE: usize = 10;

/// Container instances that one `DescribeContainerInstances` names.
/// Source: ECS API, `DescribeContainerInstancesRequest.containerInstances`.
pub const INSTANCES_PER_DESCRIBE: usize = 100;

/// For so long ECS's lists may not show a task that was started.
/// Source: ECS API, `RunTask`: "from a couple of seconds up to five minutes".
pub const LISTS_LAG: Duration = Duration::from_mins(5);

/// The clocks of two machines differ by less, and a tick does all that it does in this time.
pub const CLOCKS_DIFFER: Duration = Duration::from_mins(1);

/// For so long ECS shows a task that has stopped.
/// Source: ECS developer guide, "Stopped tasks error messages".
pub const STOPPED_TASKS_KEPT: Duration = Duration::from_hours(1);

/// No function may run longer. Source: Lambda quotas, "Function timeout".
pub const FUNCTION_TIMEOUT: Duration = Duration::from_mins(15);
