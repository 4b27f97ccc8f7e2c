"""The template as deployed: its own schedule wakes the function, nobody invokes it."""

from __future__ import annotations

import json
import time
from typing import Any, Callable, Iterator

import pytest

from deployment import STACK, Deployment, deploy, unsupported
from scenario import CONFIG, by_revision, prepare
from stack import Stack, StackError, built_binary, local_aws
from template import ROOT, documented_metrics, read_template

# Found before `local_aws` hides the person's environment.
BINARY = built_binary()
MESSAGES = 4

# rate(1 minute) counts from the schedule's creation, and the emulator looks every ten seconds.
FIRST_TICK_SECONDS = 100
SOON_SECONDS = 15


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with local_aws() as running:
        prepare(running)
        yield running


@pytest.fixture(scope="module")
def deployment(stack: Stack) -> Deployment:
    return deploy(
        stack,
        BINARY,
        CONFIG,
        Architecture="x86_64",
        PassedRoleArns="arn:aws:iam::000000000000:role/jobs/*",
        VolumeRoleArns="arn:aws:iam::000000000000:role/volumes/*",
        AlarmEmail="team@example.com",
        DrainOnSpotInterruption="yes",
        DrainOnRebalance="yes",
        DrainOnTermination="yes",
        StopTasksOnDrain="yes",
        WatcherCachePrefix="ecr-public",
    )


def wait_for(what: str, seconds: int, look: Callable[[], Any]) -> Any:
    """What `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(1)
    raise StackError(f"no {what} within {seconds} s")


def test_every_resource_is_created_but_what_the_emulator_does_not_know(
    deployment: Deployment,
) -> None:
    template = read_template()
    assert unsupported(template) == ["BacklogAtCapAlarm", "WatcherCache"]
    created = deployment.resources()
    assert set(template["Resources"]) - set(created) == {"BacklogAtCapAlarm", "WatcherCache"}
    image = deployment.outputs["WatcherImage"]
    assert image.endswith("/ecr-public/docker/library/busybox:1.37"), image
    assert {state for _, state in created.values()} == {"CREATE_COMPLETE"}
    made_by_sam = {kind for name, (kind, _) in created.items() if name.startswith("ScalerFunction")}
    assert {"AWS::Lambda::EventInvokeConfig", "AWS::Scheduler::Schedule"} < made_by_sam
    assert "AWS::IAM::Role" not in made_by_sam, "a role without the path and the boundary"


def test_the_schedule_launches_tasks_for_messages_without_a_hand_on_it(
    stack: Stack, deployment: Deployment
) -> None:
    stack.send("thumbnail", MESSAGES)
    tasks = wait_for("task", FIRST_TICK_SECONDS, stack.tasks)
    assert dict(by_revision(tasks)) == {"thumbnail--x4:1": 1}
    line = wait_for("line of the tick", SOON_SECONDS, lambda: tick_lines(deployment))[0]
    assert line["containers.launched"] == MESSAGES
    assert line["scaler.name"] == STACK


def tick_lines(deployment: Deployment) -> list[dict[str, Any]]:
    lines = deployment.log_lines()
    return [line for line in lines if line.get("message", "").startswith("tick done")]


def test_every_metric_that_is_written_is_documented_with_its_unit(deployment: Deployment) -> None:
    def written() -> dict[tuple[str, ...], dict[str, str]]:
        lines = [line for line in deployment.log_lines() if "_aws" in line]
        directives = [each for line in lines for each in line["_aws"]["CloudWatchMetrics"]]
        return {
            tuple(directive["Dimensions"][0]): {m["Name"]: m["Unit"] for m in directive["Metrics"]}
            for directive in directives
        }

    metrics = wait_for("metrics", FIRST_TICK_SECONDS, written)
    assert set(metrics) == {("Scaler",), ("Scaler", "Worker")}
    for units in metrics.values():
        assert units.items() <= documented_metrics().items()
    assert {"Ticks", "WorkersAtCap", "BreakersOpen", "LaunchFailures"} <= set(metrics["Scaler",])
    assert "QueueVisible" in metrics["Scaler", "Worker"]


@pytest.mark.parametrize("event", ["spot-interruption", "rebalance", "lifecycle-terminate"])
def test_an_instance_that_goes_is_looked_for_and_its_event_understood(
    stack: Stack, deployment: Deployment, event: str
) -> None:
    answer = stack.client("lambda").invoke(
        FunctionName=deployment.outputs["DrainFunction"],
        Payload=(ROOT / "events" / f"{event}.json").read_text(),
    )
    result = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, result
    assert result["outcome"] == "ignored"
    assert "is not a container instance of the cluster" in result["why"]


def test_an_event_that_fails_is_kept_with_its_reason(stack: Stack, deployment: Deployment) -> None:
    stack.client("lambda").invoke(
        FunctionName=deployment.outputs["ScalerFunction"],
        InvocationType="Event",
        Payload=json.dumps({"source": "somebody"}),
    )
    sqs, queue = stack.client("sqs"), deployment.outputs["FailedEvents"]
    look = lambda: sqs.receive_message(QueueUrl=queue).get("Messages")  # noqa: E731
    [message] = wait_for("failed event", SOON_SECONDS, look)
    kept = json.loads(message["Body"])
    assert kept["requestPayload"] == {"source": "somebody"}
    assert "accepted are" in kept["responsePayload"]["errorMessage"]
