"""Tasks on container instances, end to end, fed by a real client: moto's ECS and SQS, with the
rules of ECS that moto leaves out (`ecs_rules.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from container import SLEEPER, ended, outcomes, started
from function import Function
from moto_stack import MotoStack
from stack import CLUSTER, SCALER, Invocation, built_binary, event

BINARY = built_binary()
WORKER = "report"
TAG = "ecs-queue-scaler"
CPU, MEMORY = 256, 512

# Of 7482 MiB.
TWO_FILL_AN_INSTANCE = 3000


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


def test_tasks_go_to_the_instances_that_run_the_fewest(moto: MotoStack, function: Function) -> None:
    instances = moto.launch_instances(3)
    for instance, tasks in zip(instances, (3, 1, 0)):
        moto.occupy(instance, tasks)
    moto.stack.send(WORKER, 5)
    worker = tick(function)
    assert worker["outcome"] == "launched"
    assert moto.per_instance(WORKER, instances) == [0, 2, 3]
    assert worker["placement"] == {"instances": 3, "asked": 5, "fit": 5}


def test_a_draining_instance_gets_nothing(moto: MotoStack, function: Function) -> None:
    draining, *others = instances = moto.launch_instances(3)
    moto.drain(draining)
    moto.stack.send(WORKER, 6)
    assert tick(function)["outcome"] == "launched"
    assert moto.per_instance(WORKER, instances) == [0, 3, 3]
    started_on = [arn for call in asked_for(moto) for arn in call]
    assert set(started_on) == {instance.arn for instance in others}
    assert draining.ec2_id not in str(moto.rules.named("RunTask"))


def test_twenty_five_tasks_start_in_calls_that_ecs_takes(
    moto: MotoStack, function: Function
) -> None:
    instances = moto.launch_instances(12)
    moto.stack.send(WORKER, 25)
    worker = tick(function)
    assert sum(group["count"] for group in worker["launched"]) == 25
    assert sorted(moto.per_instance(WORKER, instances)) == [2] * 11 + [3]

    [lock] = moto.rules.named("RunTask")
    [constraint] = lock.parameters["placementConstraints"]
    assert lock.parameters["clientToken"]
    assert lock.parameters["count"] == 1
    assert constraint["type"] == "memberOf"
    assert constraint["expression"] in {f"ec2InstanceId == {i.ec2_id}" for i in instances}
    calls = moto.rules.named("StartTask")
    assert [call.status for call in calls] == [200] * len(calls)
    assert sum(len(call) for call in asked_for(moto)) == 24
    assert all(1 <= len(call) <= 10 and len(set(call)) == len(call) for call in asked_for(moto))
    assert len(calls) == 3, "the fewest that hold 24"


def test_every_task_carries_its_worker_tick_and_call(moto: MotoStack, function: Function) -> None:
    moto.launch_instances(12)
    moto.stack.send(WORKER, 25)
    due = event("schedule.json", minute=0)
    of_worker(function.invoke(due))
    tasks = moto.tasks(WORKER)
    assert {task["startedBy"] for task in tasks} == {SCALER}
    marks = [tags(task) for task in tasks]
    assert {each[f"{TAG}:worker"] for each in marks} == {WORKER}
    assert {each[f"{TAG}:tick"] for each in marks} == {due["time"]}
    calls = moto.rules.named("RunTask", "StartTask")
    assert len({each[f"{TAG}:call"] for each in marks}) == len(calls)


def test_what_has_no_room_is_told_with_what_is_short(moto: MotoStack, function: Function) -> None:
    moto.register(WORKER, CPU, TWO_FILL_AN_INSTANCE)
    instances = moto.launch_instances(2)
    moto.stack.send(WORKER, 7)
    worker = tick(function)
    assert worker["outcome"] == "partial"
    assert moto.per_instance(WORKER, instances) == [2, 2]
    assert worker["placement"] == {
        "instances": 2,
        "asked": 7,
        "fit": 4,
        "short": [{"what": "memory", "instances": 2}],
        "needs": {"cpu": CPU, "memory": TWO_FILL_AN_INSTANCE},
    }
    assert sum(failure["tasks"] for failure in worker["failures"]) == 3

    calls = len(moto.rules.named("RunTask", "StartTask"))
    function.invoke(event("schedule.json", minute=1))
    assert len(moto.rules.named("RunTask", "StartTask")) == calls, "nothing is tried in vain"


def test_a_cluster_without_instances_is_told_and_served_when_one_joins(
    moto: MotoStack, function: Function
) -> None:
    moto.stack.send(WORKER, 2)
    failed = function.invoke(event("schedule.json", minute=0))
    assert failed.failed
    assert "no ACTIVE container instance" in failed.payload["errorMessage"]
    assert moto.rules.named("RunTask", "StartTask") == []
    joined = moto.launch_instances(1)
    assert tick(function, minute=1)["outcome"] == "launched"
    assert moto.per_instance(WORKER, joined) == [2]


def test_what_an_instance_refuses_goes_elsewhere_in_the_same_tick(
    moto: MotoStack, function: Function
) -> None:
    moto.register(WORKER, CPU, TWO_FILL_AN_INSTANCE)
    moto.register("large", cpu=1, memory=4000)
    moto.launch_instances(4)
    moto.stack.send(WORKER, 6)
    taken = []

    def another_team_is_faster(parameters: dict[str, Any]) -> None:
        taken.append(parameters["containerInstances"][0])
        moto.client("ecs").start_task(
            cluster=CLUSTER, taskDefinition="large", containerInstances=taken
        )

    moto.rules.meanwhile["StartTask"] = another_team_is_faster
    worker = tick(function)
    assert worker["outcome"] == "launched"
    assert worker["failures"] == []
    assert "placed anew, as an instance refused: 1 x RESOURCE:MEMORY" in worker["warnings"]
    stand = [task["containerInstanceArn"] for task in moto.tasks(WORKER)]
    assert len(stand) == 6
    assert max(stand.count(arn) for arn in stand) == 2
    # Two calls go out at once; there is room for one of the two that name the instance.
    calls = moto.rules.named("StartTask")
    refused = [failure["arn"] for call in calls for failure in call.answer["failures"]]
    assert refused == taken, "once, and no second refusal"


def test_a_second_delivery_of_an_event_starts_nothing(moto: MotoStack, function: Function) -> None:
    moto.launch_instances(3)
    moto.stack.send(WORKER, 7)
    delivered = event("schedule.json", minute=0)
    for _ in range(2):
        of_worker(function.invoke(delivered))
    with moto.function(BINARY, config(scheduler="leastTasks")) as cold:
        of_worker(cold.invoke(delivered))
    assert len(moto.tasks(WORKER)) == 7


def test_a_second_delivery_that_sees_no_task_yet_starts_nothing(
    moto: MotoStack, function: Function
) -> None:
    moto.launch_instances(3)
    moto.stack.send(WORKER, 7)
    delivered = event("schedule.json", minute=0)
    of_worker(function.invoke(delivered))
    calls = len(moto.rules.named("StartTask"))
    moto.rules.lag.set()
    with moto.function(BINARY, config(scheduler="leastTasks")) as cold:
        cold.invoke(delivered)
    assert len(moto.rules.named("StartTask")) == calls
    assert len(moto.rules.named("RunTask")) == 2, "it asked, and the token kept it from more"
    assert len(moto.tasks(WORKER)) == 7


def test_a_lost_answer_of_run_task_is_asked_for_again_by_its_token(
    moto: MotoStack, function: Function
) -> None:
    moto.launch_instances(12)
    moto.stack.send(WORKER, 25)
    moto.rules.lost.append("RunTask")
    assert tick(function)["outcome"] == "launched"
    first, again = moto.rules.named("RunTask")
    assert first.parameters == again.parameters
    assert len(moto.tasks(WORKER)) == 25


def test_a_start_task_whose_answer_is_lost_is_made_once_though_the_list_lags(
    moto: MotoStack, function: Function
) -> None:
    moto.launch_instances(12)
    moto.stack.send(WORKER, 25)
    moto.rules.lost.append("StartTask")
    assert function.invoke(event("schedule.json", minute=0)).failed
    assert len(moto.tasks(WORKER)) == 25
    moto.rules.lag.set()
    assert tick(function, minute=1)["outcome"] == "idle"
    moto.rules.lag.clear()
    assert tick(function, minute=2)["outcome"] == "idle"
    assert len(moto.tasks(WORKER)) == 25


def test_a_lost_answer_sends_nothing_down_the_capacity_ladder(moto: MotoStack) -> None:
    moto.launch_instances(3)
    moto.stack.send(WORKER, 5)
    moto.rules.lost.append("RunTask")
    ladder = [{"capacityProvider": "spot"}, {"capacityProvider": "on-demand"}]
    with moto.function(BINARY, {**config(), "launch": {}, "capacity": ladder}) as function:
        tick(function)
    assert len(moto.tasks(WORKER)) == 5


def test_containers_drain_the_queue_and_the_next_tick_places_again(
    moto: MotoStack, function: Function
) -> None:
    instances = moto.launch_instances(2)
    sqs = moto.client("sqs")
    queue = sqs.get_queue_url(QueueName=WORKER)["QueueUrl"]
    for _ in range(3):
        sqs.send_message(QueueUrl=queue, MessageBody="0")
    tick(function)
    tasks = moto.tasks(WORKER)
    assert sorted(moto.per_instance(WORKER, instances)) == [1, 2]

    containers = [started(moto.stack, ["-c", SLEEPER], QUEUE_URL=queue) for _ in tasks]
    assert sum(len(outcomes(ended(container))) for container in containers) == 3
    moto.stop(tasks)
    assert tick(function, minute=1)["outcome"] == "idle"

    moto.stack.send(WORKER, 2)
    assert tick(function, minute=2)["outcome"] == "launched"
    assert moto.per_instance(WORKER, instances) == [1, 1]


def test_an_instance_without_its_daemon_gets_nothing(moto: MotoStack) -> None:
    instances = moto.launch_instances(3)
    moto.start_daemon("log-agent", instances[1:2])
    moto.stack.send(WORKER, 2)
    placement = {"scheduler": "leastTasks", "requireDaemons": ["log-agent"]}
    with moto.function(BINARY, config(**placement)) as function:
        assert tick(function)["outcome"] == "launched"
    assert moto.per_instance(WORKER, instances) == [0, 2, 0]
