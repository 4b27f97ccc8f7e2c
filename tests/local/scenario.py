"""What the demo shows and the end-to-end test checks: three ticks of two workers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

DEFINITIONS: dict[str, list[dict[str, Any]]] = {
    "thumbnail": [{"name": "worker", "image": "worker:1", "cpu": 256, "memory": 512}],
    "export": [
        {"name": "worker", "image": "worker:1", "cpu": 200, "memory": 400},
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


@dataclass(frozen=True)
class Ticks:
    """The three invocations."""

    burst: Tick
    repeated: Tick
    restarted: Tick


class Audience:
    """Who watches the scenario; this one does not look."""

    def step(self, text: str) -> None:
        """Something is about to be done."""

    def tick(self, tick: Tick) -> None:
        """A tick was done."""


def prepare(stack: Stack) -> None:
    """Queues and base task definitions, as a team has them before it knows the scaler."""
    ecs = stack.client("ecs")
    for family, containers in DEFINITIONS.items():
        stack.create_queue(family)
        ecs.register_task_definition(
            family=family,
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="256",
            memory="512",
            containerDefinitions=containers,
        )


def play(stack: Stack, binary: Path, audience: Audience) -> Ticks:
    """Plays the three ticks. What came of them is for the caller to judge."""
    audience.step("creating a cluster, two queues and two task definitions")
    prepare(stack)
    for queue, messages in MESSAGES.items():
        audience.step(f"sending {messages} messages to queue {queue}")
        stack.send(queue, messages)
    audience.step("deploying the function to the emulator's Lambda")
    stack.deploy(binary, CONFIG)

    def tick(minute: int) -> Tick:
        done = observed(stack, minute)
        audience.tick(done)
        return done

    audience.step("tick 1: a schedule event wakes the function, through Lambda")
    burst = tick(0)

    audience.step("tick 2, a minute later: the containers are there, nothing is launched twice")
    repeated = tick(1)

    audience.step("stopping the tasks (the emulator's take no messages) and restarting the function")
    stack.stop_tasks()
    stack.deploy(binary, CONFIG)
    audience.step("tick 3, a cold start: the derived revisions are found, nothing is registered")
    return Ticks(burst, repeated, restarted=tick(2))


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


def mistakes(ticks: Ticks) -> list[str]:
    """What is not as the arithmetic says, a sentence each; none when all is well."""
    by_number = {1: ticks.burst, 2: ticks.repeated, 3: ticks.restarted}
    failed = {n: tick.invocation for n, tick in by_number.items() if tick.invocation.failed}
    if failed:
        return [f"tick {n} failed: {invocation.payload}" for n, invocation in failed.items()]

    tasks = {"thumbnail--x4:1": 7, "thumbnail--x2:1": 1, "export:1": 12}
    batches = [("export:1", 2), ("export:1", 10), ("thumbnail--x2:1", 1), ("thumbnail--x4:1", 7)]
    expected = {
        1: (20, batches, ["thumbnail--x2", "thumbnail--x4"]),
        2: (0, [], []),
        3: (20, batches, []),
    }
    found = []

    def expect(what: str, seen: object, wanted: object) -> None:
        if seen != wanted:
            found.append(f"{what}: {seen}, not {wanted}")

    for n, tick in by_number.items():
        launched, calls, families = expected[n]
        reported = tick.invocation.payload["totals"]["launchedTasks"]
        expect(f"tasks that tick {n} reports as launched", reported, launched)
        expect(f"RunTask calls of tick {n}", sorted(tick.batches), calls)
        expect(f"families that tick {n} registered", sorted(tick.registered), families)
        expect(f"tasks after tick {n}", dict(by_revision(tick.tasks)), tasks)
    return found
