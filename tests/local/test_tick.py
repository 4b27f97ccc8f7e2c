"""The function as deployed, on a local AWS, fed by a real client."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Iterator

import pytest

from scenario import CONFIG, Audience, mistakes, play, prepare
from stack import ROOT, Stack, event, local_aws

BINARY = Path(os.environ.get("SCALER_BINARY", ROOT / "target/debug/ecs-queue-scaler"))


@pytest.fixture()
def stack() -> Iterator[Stack]:
    with local_aws() as running:
        yield running


def test_a_burst_is_launched_once_and_derived_once(stack: Stack) -> None:
    assert mistakes(play(stack, BINARY, Audience())) == []


def test_trouble_is_told_and_stays_with_its_worker(stack: Stack) -> None:
    prepare(stack)
    config = copy.deepcopy(CONFIG)
    config["workers"][1]["queue"] = "nowhere"
    stack.send("thumbnail", 2)
    stack.deploy(BINARY, config)

    planned = stack.invoke({"dryRun": True, "only": ["thumbnail"]})
    assert planned.workers["thumbnail"]["outcome"] == "planned"
    assert stack.tasks() == []

    strange = stack.invoke(event("not-ours.json", minute=0))
    assert strange.failed
    assert "accepted are" in strange.payload["errorMessage"]
    assert stack.tasks() == []

    failed = stack.invoke(event("schedule.json", minute=0))
    assert failed.failed
    assert failed.payload["errorType"] == "WorkersFailed"
    assert "export: GetQueueUrl of nowhere failed" in failed.payload["errorMessage"]
    assert len(stack.tasks()) == 1
