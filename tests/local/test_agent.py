"""What becomes of the emulator's tasks when their containers end, and what the function makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from agent import Agent, running_agent
from container import eventually
from scenario import CONFIG, prepare
from stack import CLUSTER, Invocation, Stack, built_binary, event, local_aws

BINARY = built_binary()
MESSAGES = 20
"""Of the queue export: four containers in as many tasks."""


@pytest.fixture()
def stack() -> Iterator[Stack]:
    with local_aws() as running:
        yield running


def run_task(stack: Stack, essential: dict[str, bool]) -> str:
    """A task of these containers."""
    containers = [
        {"name": name, "image": "worker:1", "memory": 64, "essential": is_essential}
        for name, is_essential in essential.items()
    ]
    ecs = stack.client("ecs")
    ecs.register_task_definition(family="several", containerDefinitions=containers)
    [task] = ecs.run_task(cluster=CLUSTER, taskDefinition="several")["tasks"]
    return str(task["taskArn"])


def ends(stack: Stack, task: str, container: str, exit_code: int) -> tuple[str, dict[str, Any]]:
    """One of them ends: the task's state, and all exit codes."""
    ecs = stack.client("ecs")
    ecs.submit_container_state_change(
        cluster=CLUSTER, task=task, containerName=container, status="STOPPED", exitCode=exit_code
    )
    [found] = ecs.describe_tasks(cluster=CLUSTER, tasks=[task])["tasks"]
    return found["lastStatus"], {each["name"]: each.get("exitCode") for each in found["containers"]}


def test_a_task_ends_with_its_essential_container_and_tells_the_others_to_stop(
    stack: Stack,
) -> None:
    task = run_task(stack, {"worker": False, "worker-2": False, "watch": True})
    assert ends(stack, task, "worker", 0) == (
        "RUNNING",
        {"worker": 0, "worker-2": None, "watch": None},
    )
    assert ends(stack, task, "watch", 3) == (
        "STOPPED",
        {"worker": 0, "worker-2": 143, "watch": 3},
    )


def fails(_body: str) -> None:
    raise ValueError


@pytest.mark.parametrize(
    ("job", "exit_codes", "then"),
    [(lambda _: None, {0}, "launch 4;"), (fails, {1}, "breaker is open")],
    ids=["well", "badly"],
)
def test_the_function_sees_how_containers_have_ended(
    stack: Stack, job: Any, exit_codes: set[int], then: str
) -> None:
    prepare(stack)
    stack.deploy(BINARY, CONFIG)
    stack.send("export", MESSAGES)
    with running_agent(stack, job) as agent:
        tasks = started(stack, agent, tick(stack, minute=0))
        eventually(lambda: not stack.tasks())
        agent.check()
    ended = stack.tasks("STOPPED")
    assert len(ended) == len(tasks)
    of_workers = [c for task in ended for c in task["containers"] if c["name"] == "worker"]
    assert {container["exitCode"] for container in of_workers} == exit_codes

    stack.send("export", MESSAGES)
    assert then in tick(stack, minute=1).workers["export"]["decision"]["why"]


def tick(stack: Stack, minute: int) -> Invocation:
    invocation = stack.invoke(event("schedule.json", minute))
    assert not invocation.failed, invocation.payload
    return invocation


def started(stack: Stack, agent: Agent, invocation: Invocation) -> list[dict[str, Any]]:
    tasks = stack.tasks()
    assert len(tasks) == invocation.payload["totals"]["launchedTasks"] == 4
    agent.start(tasks)
    return tasks
