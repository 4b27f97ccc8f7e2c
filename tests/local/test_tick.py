"""The function as deployed, on a local AWS, fed by a real client."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, Iterator

import pytest

from agent import running_agent
from container import eventually
from policy import allowed_actions
from scenario import CONFIG, REGISTER, RUN, by_revision, observed, prepare, send
from stack import SCALER, Stack, built_binary, event, local_aws
from story import Audience, Story, mistakes, play
from template import read_template

BINARY = built_binary()


@pytest.fixture()
def stack() -> Iterator[Stack]:
    with local_aws() as running:
        yield running


@pytest.fixture()
def ready(stack: Stack) -> Stack:
    """Two messages for a good worker, and a second worker whose queue does not exist."""
    prepare(stack)
    stack.send("thumbnail", 2)
    config = copy.deepcopy(CONFIG)
    config["workers"][1]["queue"] = "nowhere"
    stack.deploy(BINARY, config)
    return stack


def changes(stack: Stack) -> list[list[dict[str, Any]]]:
    """Every call so far that changes something in ECS."""
    return [stack.calls(action) for action in (RUN, REGISTER, "DeregisterTaskDefinition")]


# What the role allows and three ticks do not do: no new base is deployed, tags come with what is
# created and not by a call of their own, and Fargate has no instances (test_placement.py,
# test_draining.py).
NOT_PLAYED = {
    "ecs:DeregisterTaskDefinition",
    "ecs:TagResource",
    "ecs:StartTask",
    "ecs:ListContainerInstances",
    "ecs:DescribeContainerInstances",
    "ecs:UpdateContainerInstancesState",
    "ecs:StopTask",
}


def test_a_burst_is_launched_once_and_derived_once(stack: Stack) -> None:
    story = play(stack, BINARY, Audience())
    assert mistakes(story) == []
    for worse in worse_than(story):
        assert mistakes(worse) != []

    allowed = {a for a in allowed_actions(read_template()) if a.startswith(("ecs:", "sqs:Get"))}
    assert stack.functions_actions(allowed) == allowed - NOT_PLAYED


def test_a_cold_start_finds_the_derived_revisions(stack: Stack) -> None:
    prepare(stack)
    send(stack)
    stack.deploy(BINARY, CONFIG)
    burst = observed(stack, minute=0)
    with running_agent(stack, job=lambda _: None) as agent:
        agent.start(burst.tasks)
        eventually(lambda: not stack.tasks())

    stack.deploy(BINARY, CONFIG)
    send(stack)
    again = observed(stack, minute=1)
    assert len(burst.registered) == 2
    assert again.registered == []
    assert by_revision(again.tasks) == by_revision(burst.tasks)
    assert sorted(again.batches) == sorted(burst.batches)
    tags = [tag for task in again.tasks for tag in task["tags"]]
    functions = {tag["value"] for tag in tags if tag["key"] == "ecs-queue-scaler:function"}
    assert functions == {SCALER}, "by Lambda's variable: another of this name would be told"


def worse_than(story: Story) -> list[Story]:
    """A message is taken by nobody, or twice; one is left; a task runs on, or ends badly;
    something is started in vain, or nothing at all, or without one of its containers."""
    ended = copy.deepcopy(story.ended)
    ended[0]["containers"][0]["exitCode"] = 1
    stopped = [{**story.ended[0], "stopCode": "UserInitiated"}, *story.ended[1:]]
    return [
        replace(story, taken=story.taken[1:]),
        replace(story, taken=[*story.taken, story.taken[0]]),
        replace(story, last=replace(story.last, in_work={"thumbnail": 1, "export": 0})),
        replace(story, ended=story.ended[1:]),
        replace(story, ended=ended),
        replace(story, ended=stopped),
        replace(story, over=replace(story.over, tasks=story.burst.tasks[:1])),
        replace(story, at_work=story.burst),
        replace(story, burst=story.over),
        replace(story, containers=story.containers - 1),
    ]


def test_a_dry_run_changes_nothing(ready: Stack) -> None:
    before = changes(ready)
    planned = ready.invoke({"dryRun": True, "only": ["thumbnail"]}).workers["thumbnail"]
    assert planned["outcome"] == "planned"
    assert [group["taskDefinition"] for group in planned["launched"]] == ["thumbnail--x2"]
    assert changes(ready) == before


def test_an_event_of_another_shape_names_the_accepted_ones(ready: Stack) -> None:
    before = changes(ready)
    strange = ready.invoke(event("not-ours.json", minute=0))
    assert strange.failed
    assert "accepted are" in strange.payload["errorMessage"]
    assert changes(ready) == before


def test_a_missing_queue_fails_the_invocation_and_holds_its_worker_only(ready: Stack) -> None:
    failed = ready.invoke(event("schedule.json", minute=0))
    assert failed.failed
    assert failed.payload["errorType"] == "WorkersFailed"
    assert "export: GetQueueUrl of nowhere failed" in failed.payload["errorMessage"]
    assert [task["group"] for task in ready.tasks()] == ["worker:thumbnail"]
