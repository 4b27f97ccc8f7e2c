"""Two workers with their queues, task definitions and messages, and one tick of the function."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from agent import QUEUE
from stack import CLUSTER, Invocation, Stack, event

MESSAGES = {"thumbnail": 30, "export": 60}

CONFIG: dict[str, Any] = {
    "cluster": CLUSTER,
    "launch": {
        "launchType": "FARGATE",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-0a1b2c3d"]}},
    },
    "workers": [
        {
            "name": "thumbnail",
            "queue": "thumbnail",
            "taskDefinition": "thumbnail",
            "scaling": {"messagesPerContainer": 1, "maxContainers": 100},
            "packing": {"strategy": "dense", "maxContainersPerTask": 4},
        },
        {
            "name": "export",
            "queue": "export",
            "taskDefinition": "export",
            "container": "worker",
            "scaling": {"messagesPerContainer": 5, "maxContainers": 20},
            # Twelve tasks of one size, so that they need a second RunTask call.
            "packing": {"maxContainersPerTask": 1, "maxTasks": 20},
        },
    ],
}

RUN = "RunTask"
REGISTER = "RegisterTaskDefinition"


def worker(queue: str, cpu: int, memory: int) -> dict[str, Any]:
    """A container that takes messages."""
    environment = [{"name": QUEUE, "value": queue}]
    size = {"cpu": cpu, "memory": memory}
    return {"name": "worker", "image": "worker:1", **size, "environment": environment}


DEFINITIONS: dict[str, list[dict[str, Any]]] = {
    "thumbnail": [worker("thumbnail", cpu=256, memory=512)],
    "export": [
        worker("export", cpu=200, memory=400),
        {"name": "log", "image": "log:1", "cpu": 56, "memory": 112, "essential": False},
    ],
}


@dataclass(frozen=True)
class Tick:
    """One invocation, and what the emulator saw of it."""

    invocation: Invocation
    tasks: list[dict[str, Any]]
    """The scaler's tasks afterwards."""
    batches: list[tuple[str, int]]
    """The tick's RunTask calls: which family:revision, how many tasks."""
    registered: list[str]
    """The families that the tick registered."""


def prepare(stack: Stack) -> None:
    """Queues and base task definitions, as a team has them before it knows the scaler."""
    ecs = stack.client("ecs")
    for family, containers in DEFINITIONS.items():
        stack.create_queue(family, dead_letters=f"{family}-dead")
        ecs.register_task_definition(
            family=family,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            containerDefinitions=containers,
        )


def send(stack: Stack) -> None:
    """A burst for both workers."""
    for queue, messages in MESSAGES.items():
        stack.send(queue, messages)


def queue_urls(stack: Stack) -> dict[str, str]:
    """Of each queue, by its name."""
    return {queue: stack.queue_url(queue) for queue in MESSAGES}


def observed(stack: Stack, minute: int) -> Tick:
    """Invokes the function once; what it asked for is read from the emulator's record of calls."""
    launched_before, registered_before = len(stack.calls(RUN)), len(stack.calls(REGISTER))
    invocation = stack.invoke(event("schedule.json", minute))
    launches = stack.calls(RUN)[launched_before:]
    registrations = stack.calls(REGISTER)[registered_before:]
    return Tick(
        invocation,
        tasks=stack.tasks(),
        batches=[(short(call["taskDefinition"]), call.get("count", 1)) for call in launches],
        registered=[call["family"] for call in registrations],
    )


def short(reference: str) -> str:
    """The family:revision of a task definition's ARN; a family stays as it is."""
    return reference.rpartition("/")[2]


def by_revision(tasks: list[dict[str, Any]]) -> Counter[str]:
    """How many tasks run each revision, as family:revision."""
    return Counter(short(task["taskDefinitionArn"]) for task in tasks)
