"""Tasks on container instances, end to end, fed by a real client: moto's ECS and SQS, with the
rules of ECS that moto leaves out (`ecs_rules.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from container import SLEEPER, ended, outcomes, started
from function import Function
from moto_stack import MotoStack, moto_aws
from stack import CLUSTER, SCALER, Invocation, built_binary, event

BINARY = built_binary()
WORKER = "report"
TAG = "ecs-queue-scaler"
CPU, MEMORY = 256, 512

# Of 7482 MiB.
TWO_FILL_AN_INSTANCE = 3000


@pytest.fixture(scope="module")
def running() -> Iterator[MotoStack]:
    with moto_aws() as moto:
        yield moto


@pytest.fixture()
def moto(running: MotoStack) -> MotoStack:
    """A cluster, a queue, and a task definition for EC2."""
    running.begin()
    running.stack.create_queue(WORKER)
    running.register(WORKER, CPU, MEMORY)
    return running


@pytest.fixture()
def function(moto: MotoStack) -> Iterator[Function]:
    """The function, with our own scheduler."""
    with moto.function(BINARY, config(scheduler="leastTasks")) as started_function:
        yield started_function


def config(**placement: Any) -> dict[str, Any]:
    """One worker, a message for each task; without a placement ECS places."""
    launch = {"launchType": "EC2", **({"placement": placement} if placement else {})}
    worker = {
        "name": WORKER,
        "queue": WORKER,
        "taskDefinition": WORKER,
        "scaling": {"messagesPerContainer": 1, "maxContainers": 100},
        "packing": {"maxContainersPerTask": 1, "maxTasks": 100},
    }
    return {"cluster": CLUSTER, "launch": launch, "workers": [worker]}


def tick(function: Function, minute: int = 0) -> dict[str, Any]:
    """One scheduled event: what came of the worker."""
    return of_worker(function.invoke(event("schedule.json", minute)))


def of_worker(invocation: Invocation) -> dict[str, Any]:
    assert not invocation.failed, invocation.payload
    return invocation.workers[WORKER]


def tags(call_or_task: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in call_or_task["tags"]}


def asked_for(moto: MotoStack) -> list[list[str]]:
    """The instances of each StartTask call so far."""
    return [call.parameters["containerInstances"] for call in moto.rules.named("StartTask")]


def test_without_a_placement_ecs_places_by_one_call(moto: MotoStack) -> None:
    moto.launch_instances(3)
    moto.stack.send(WORKER, 5)
    with moto.function(BINARY, config()) as function:
        assert tick(function)["outcome"] == "launched"
    assert len(moto.tasks(WORKER)) == 5
    assert asked_for(moto) == []
    [call] = moto.rules.named("RunTask")
    assert call.parameters["launchType"] == "EC2"
    assert "placementConstraints" not in call.parameters
