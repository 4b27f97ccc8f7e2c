"""The members of a task definition that the code names, held to botocore's model of ECS."""

from __future__ import annotations

import re
from typing import Any

import botocore.loaders
from template import ROOT

VARIANT = ROOT / "decision" / "src" / "variant.rs"


def shapes() -> dict[str, Any]:
    model = botocore.loaders.Loader().load_service_model("ecs", "service-2")
    return dict(model["shapes"])


def listed(name: str) -> set[str]:
    """The members of a list of the code."""
    found = re.search(rf"^const {name}: \[&str; \d+\] = \[(.*?)\];", VARIANT.read_text(), re.M | re.S)
    assert found, f"{VARIANT} has no {name}"
    return set(re.findall(r'"(\w+)"', found[1]))


def members(shape: str) -> set[str]:
    return set(shapes()[shape]["members"])


def test_a_request_has_the_members_that_the_model_says() -> None:
    assert listed("REQUEST") == members("RegisterTaskDefinitionRequest")


def test_only_answers_have_the_members_that_are_dropped() -> None:
    answers = members("TaskDefinition") - members("RegisterTaskDefinitionRequest")
    assert listed("READ_ONLY") == answers


def test_every_member_of_a_container_is_known_to_us() -> None:
    """A member that AWS adds is seen here: does it mean anything for clones?"""
    known = set((ROOT / "tests" / "local" / "container_members.txt").read_text().split())
    assert members("ContainerDefinition") == known
