"""The members of a task definition that the code names, held to botocore's model of ECS.

Called by its name, it prints a definition with every member that there is, which a test of the
function clones: `python tests/local/test_model.py > tests/it/tick/variants/every_member.json`.
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any

import botocore.loaders
from template import ROOT

VARIANT = ROOT / "decision" / "src" / "variant.rs"


@functools.cache
def shapes() -> dict[str, Any]:
    model = botocore.loaders.Loader().load_service_model("ecs", "service-2")
    return dict(model["shapes"])


def listed(name: str) -> set[str]:
    """The members of a list of the code."""
    found = re.search(rf"^(?:pub )?const {name}: \[&str; \d+\] = \[(.*?)\];", VARIANT.read_text(), re.M | re.S)
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


def every_member(shape: str = "RegisterTaskDefinitionRequest", name: str = "") -> Any:
    """A value with all members: of each list one, of each choice the first."""
    described = shapes()[shape]
    match described["type"]:
        case "structure":
            inner = described["members"].items()
            return {member: every_member(of["shape"], member) for member, of in inner}
        case "list":
            return [every_member(described["member"]["shape"], name)]
        case "map":
            return {"key": every_member(described["value"]["shape"], name)}
        case "string":
            return described.get("enum", [name])[0]
        case kind:
            return {"boolean": True, "integer": 1, "long": 1}[kind]


def test_the_definition_with_every_member_is_the_models() -> None:
    kept = ROOT / "tests" / "it" / "tick" / "variants" / "every_member.json"
    assert json.loads(kept.read_text()) == every_member(), f"{kept} is out of date: see above"


if __name__ == "__main__":
    print(json.dumps(every_member(), indent=2))
