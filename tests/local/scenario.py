"""What the demo shows and the end-to-end test checks: three ticks of two workers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack import CLUSTER, Invocation, Stack, event

MESSAGES = {"thumbnail": 30, "export": 12}

CONFIG: dict[str, Any] = {
    "cluster": CLUSTER,
    "launch": {
        "launchType": "FARGATE",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
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
        },
    ],
}

DEFINITIONS: dict[str, list[dict[str, Any]]] = {
    "thumbnail": [{"name": "worker", "image": "worker:1", "cpu": 256, "memory": 512}],
    "export": [
        {"name": "worker", "image": "worker:1", "cpu": 200, "memory": 400},
        {"name": "log", "image": "log:1", "cpu": 56, "memory": 112, "essential": False},
    ],
}


@dataclass(frozen=True)
class Ticks:
    """The three invocations, and what the emulator had after each."""

    burst: Invocation
    repeated: Invocation
    restarted: Invocation
    tasks_after_burst: list[dict[str, Any]]
    tasks_after_repeated: list[dict[str, Any]]
    revisions_after_burst: list[str]
    revisions_after_restarted: list[str]


class Audience:
    """Who watches the scenario; this one does not look."""

    def step(self, text: str) -> None:
        """Something is about to be done."""

    def tick(self, invocation: Invocation, tasks: list[dict[str, Any]]) -> None:
        """A tick was done, and the emulator lists these tasks now."""


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

    def tick(minute: int) -> tuple[Invocation, list[dict[str, Any]]]:
        invocation, tasks = stack.invoke(event("schedule.json", minute)), stack.tasks()
        audience.tick(invocation, tasks)
        return invocation, tasks

    audience.step("tick 1: a schedule event wakes the function, through Lambda")
    burst, tasks_after_burst = tick(0)
    revisions_after_burst = stack.revisions("")

    audience.step("tick 2, a minute later: the containers are there, nothing is launched twice")
    repeated, tasks_after_repeated = tick(1)

    audience.step("stopping the tasks (the emulator's take no messages) and restarting the function")
    stack.stop_tasks()
    stack.deploy(binary, CONFIG)
    audience.step("tick 3, a cold start: the derived revisions are found, nothing is registered")
    restarted, _ = tick(2)
    return Ticks(
        burst=burst,
        repeated=repeated,
        restarted=restarted,
        tasks_after_burst=tasks_after_burst,
        tasks_after_repeated=tasks_after_repeated,
        revisions_after_burst=revisions_after_burst,
        revisions_after_restarted=stack.revisions(""),
    )


def by_revision(tasks: list[dict[str, Any]]) -> Counter[str]:
    """How many tasks run each revision, as family:revision."""
    return Counter(task["taskDefinitionArn"].rsplit("/", 1)[1] for task in tasks)


def mistakes(ticks: Ticks) -> list[str]:
    """What is not as the arithmetic says, a sentence each; none when all is well."""
    expected_tasks = {"thumbnail--x4:1": 7, "thumbnail--x2:1": 1, "export:1": 3}
    expected_revisions = ["export:1", "thumbnail--x2:1", "thumbnail--x4:1", "thumbnail:1"]
    invocations = {"1": ticks.burst, "2": ticks.repeated, "3": ticks.restarted}
    found = [f"tick {n} failed: {i.payload}" for n, i in invocations.items() if i.failed]
    if found:
        return found

    def expect(what: str, seen: object, expected: object) -> None:
        if seen != expected:
            found.append(f"{what}: {seen}, not {expected}")

    def launched(invocation: Invocation) -> int:
        return int(invocation.payload["totals"]["launchedTasks"])

    expect("tasks after tick 1", dict(by_revision(ticks.tasks_after_burst)), expected_tasks)
    expect("tasks that tick 1 reports", launched(ticks.burst), 11)
    expect("revisions after tick 1", ticks.revisions_after_burst, expected_revisions)
    expect("tasks that tick 2 reports", launched(ticks.repeated), 0)
    expect(
        "tasks after tick 2",
        sorted(task["taskArn"] for task in ticks.tasks_after_repeated),
        sorted(task["taskArn"] for task in ticks.tasks_after_burst),
    )
    expect("tasks that tick 3 reports", launched(ticks.restarted), 11)
    expect("revisions after tick 3", ticks.revisions_after_restarted, expected_revisions)
    return found
