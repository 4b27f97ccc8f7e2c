"""That moto behind `ecs_rules.py` refuses what ECS refuses: without that, the tests of placement
would pass whatever the function asked for."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, HTTPClientError

from moto_stack import Instance, MotoStack
from stack import CLUSTER, Stack

FAMILY = "report"
# Two such tasks fill an instance.
CPU, MEMORY = 1024, 3000


@pytest.fixture()
def moto(running: MotoStack) -> MotoStack:
    running.begin()
    running.register(FAMILY, CPU, MEMORY)
    return running


@pytest.fixture()
def ecs(moto: MotoStack) -> Any:
    """A client that is in the function's place."""
    return Stack(moto.proxy.endpoint).client("ecs")


def start(ecs: Any, instances: list[Instance], **more: Any) -> dict[str, Any]:
    arns = [instance.arn for instance in instances]
    answer: dict[str, Any] = ecs.start_task(
        cluster=CLUSTER, taskDefinition=FAMILY, containerInstances=arns, **more
    )
    return answer


def run(ecs: Any, token: str, instance: Instance | None = None, **more: Any) -> dict[str, Any]:
    expression = f"ec2InstanceId == {instance.ec2_id}" if instance else ""
    pin = {"placementConstraints": [{"type": "memberOf", "expression": expression}]}
    answer: dict[str, Any] = ecs.run_task(
        cluster=CLUSTER,
        taskDefinition=FAMILY,
        launchType="EC2",
        clientToken=token,
        **(pin if instance else {}),
        **more,
    )
    return answer


def reasons(answer: dict[str, Any]) -> list[str]:
    return [failure["reason"] for failure in answer["failures"]]


def test_eleven_instances_one_twice_and_a_long_mark_are_refused(moto: MotoStack, ecs: Any) -> None:
    instances = moto.launch_instances(11)
    wrong: list[tuple[list[Instance], dict[str, Any]]] = [
        (instances, {}),
        (instances[:1] * 2, {}),
        (instances[:1], {"startedBy": "m" * 37}),
    ]
    for chosen, more in wrong:
        with pytest.raises(ClientError, match="InvalidParameterException"):
            start(ecs, chosen, **more)
    assert len(start(ecs, instances[:10], startedBy="m" * 36)["tasks"]) == 10
    assert [call.status for call in moto.rules.named("StartTask")] == [400, 400, 400, 200]


def test_what_does_not_fit_is_a_failure_and_a_draining_instance_is_refused(
    moto: MotoStack, ecs: Any
) -> None:
    full, empty, draining = moto.launch_instances(3)
    for _ in range(2):
        start(ecs, [full])
    gone = Instance("i-0", full.arn[:-4] + "0000")
    answer = start(ecs, [full, empty, gone])
    assert [task["containerInstanceArn"] for task in answer["tasks"]] == [empty.arn]
    assert reasons(answer) == ["RESOURCE:MEMORY", "MISSING"]
    moto.drain(draining)
    with pytest.raises(ClientError, match="not ACTIVE"):
        start(ecs, [draining])


def test_a_token_starts_tasks_once_and_is_bound_to_its_parameters(
    moto: MotoStack, ecs: Any
) -> None:
    moto.launch_instances(1)
    [first], [again] = run(ecs, "tick-1")["tasks"], run(ecs, "tick-1")["tasks"]
    assert first["taskArn"] == again["taskArn"]
    with pytest.raises(ClientError) as conflict:
        run(ecs, "tick-1", count=2)
    assert conflict.value.response["Error"]["Code"] == "ConflictException"
    assert conflict.value.response["resourceIds"] == [first["taskArn"]]
    assert reasons(run(ecs, "tick-2", count=3)) == ["RESOURCE:MEMORY"] * 2
    with pytest.raises(ClientError, match="count is 11"):
        run(ecs, "tick-3", count=11)


def test_a_pinned_task_stands_on_its_instance_or_nowhere(moto: MotoStack, ecs: Any) -> None:
    _, chosen, draining = moto.launch_instances(3)
    for tick in ("1", "2"):
        [task] = run(ecs, tick, chosen)["tasks"]
        assert task["containerInstanceArn"] == chosen.arn
    assert reasons(run(ecs, "3", chosen)) == ["RESOURCE:MEMORY"]
    moto.drain(draining)
    assert reasons(run(ecs, "4", draining)) == ["MemberOf placement constraint unsatisfied"]


def test_lists_are_as_ecs_filters_them(moto: MotoStack, ecs: Any) -> None:
    one, other = moto.launch_instances(2)
    stopped, kept = (start(ecs, [one], startedBy="us")["tasks"][0] for _ in range(2))
    moto.stop([stopped])
    assert listed(ecs, startedBy="us") == [kept["taskArn"]]
    with pytest.raises(ClientError, match="startedBy beside"):
        listed(ecs, startedBy="us", desiredStatus="STOPPED")
    found = ecs.list_container_instances(cluster=CLUSTER, filter=f"ec2InstanceId == {one.ec2_id}")
    assert found["containerInstanceArns"] == [one.arn]
    with pytest.raises(ClientError, match="query language"):
        ecs.list_container_instances(cluster=CLUSTER, filter="runningTasksCount == 0")
    with pytest.raises(ClientError, match="ServiceNotFoundException"):
        listed(ecs, serviceName="daemon")
    daemon = moto.start_daemon("daemon", [other])
    assert listed(ecs, serviceName="daemon") == [task["taskArn"] for task in daemon]


def test_a_list_may_lag_and_an_answer_may_be_lost(moto: MotoStack, ecs: Any) -> None:
    [instance] = moto.launch_instances(1)
    moto.rules.lost.append("StartTask")
    with pytest.raises(HTTPClientError):
        start(ecs, [instance], startedBy="us")
    moto.rules.lag.set()
    assert listed(ecs, startedBy="us") == []
    moto.rules.lag.clear()
    assert len(listed(ecs, startedBy="us")) == 1


def listed(ecs: Any, **filters: str) -> list[str]:
    arns: list[str] = ecs.list_tasks(cluster=CLUSTER, **filters)["taskArns"]
    return arns
