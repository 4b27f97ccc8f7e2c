"""Instances that are about to go away, on moto: events of EC2 reach the function, as the template's
rules send them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ecs_rules import Call
from function import Function
from moto_stack import MotoStack
from stack import event
from test_placement import BINARY, CPU, MEMORY, WORKER, config, tick

STRANGER = "i-0123456789abcdef0"


@pytest.fixture()
def moto(running: MotoStack) -> MotoStack:
    """A cluster, and two messages."""
    running.begin()
    running.stack.create_queue(WORKER)
    running.register(WORKER, CPU, MEMORY)
    running.stack.send(WORKER, 2)
    return running


@pytest.fixture()
def function(moto: MotoStack) -> Iterator[Function]:
    with moto.function(BINARY, config(scheduler="leastTasks")) as started_function:
        yield started_function


def notice(file: str, ec2_id: str) -> dict[str, Any]:
    """What EC2 tells of an instance, now."""
    document = event(file, minute=0)
    document["detail"]["instance-id"] = ec2_id
    return document


def told(function: Function, document: dict[str, Any]) -> dict[str, Any]:
    """The result for a notice."""
    answer = function.invoke(document)
    assert not answer.failed, answer.payload
    return answer.payload


def drainings(moto: MotoStack) -> list[Call]:
    return moto.rules.named("UpdateContainerInstancesState")


@pytest.mark.parametrize("file", ["spot-interruption.json", "rebalance.json"])
def test_an_instance_that_goes_is_drained_once_and_gets_nothing_more(
    moto: MotoStack, function: Function, file: str
) -> None:
    going, _ = instances = moto.launch_instances(2)
    tick(function)
    outcomes = [told(function, notice(file, going.ec2_id))["outcome"] for _ in range(2)]
    assert outcomes == ["drained", "alreadyDraining"]
    assert moto.status(going) == "DRAINING"
    [call] = drainings(moto)
    assert call.parameters["containerInstances"] == [going.arn]
    assert moto.per_instance(WORKER, instances) == [1, 1], "nothing is stopped"

    moto.stack.send(WORKER, 4)
    tick(function, minute=1)
    assert moto.per_instance(WORKER, instances) == [1, 5]


def test_a_worker_that_asks_for_it_has_its_tasks_stopped_and_no_others(moto: MotoStack) -> None:
    going, other = instances = moto.launch_instances(2)
    moto.occupy(going, 1)
    moto.occupy(other, 1)
    stopping = {**config(scheduler="leastTasks"), "draining": {"onDrain": "stopTasks"}}
    with moto.function(BINARY, stopping) as function:
        tick(function)
        [doomed] = [t for t in moto.tasks(WORKER) if t["containerInstanceArn"] == going.arn]
        result = told(function, notice("spot-interruption.json", going.ec2_id))
        assert result["workers"] == [{"worker": WORKER, "tasks": [doomed["taskArn"]], "stopped": 1}]
        stopped = [call.parameters["task"] for call in moto.rules.named("StopTask")]
        assert stopped == [doomed["taskArn"]]
        tick(function, minute=1)
    assert moto.per_instance(WORKER, instances) == [0, 2]


def test_an_instance_of_somebody_else_is_ignored_with_a_reason(
    moto: MotoStack, function: Function
) -> None:
    [ours] = moto.launch_instances(1)
    result = told(function, notice("spot-interruption.json", STRANGER))
    assert result["outcome"] == "ignored"
    assert STRANGER in result["why"]
    assert drainings(moto) == []
    assert moto.status(ours) == "ACTIVE"
