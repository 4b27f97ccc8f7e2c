"""Two templates of CloudFormation, filled in and compared: in what are their resources different?"""

from __future__ import annotations

import json
import re
from typing import Any, Iterable, Iterator

from filled import Filled

Resources = dict[str, dict[str, Any]]

NOT_COMPARED = {"Properties", "DependsOn", "Metadata", "Condition"}
"""Of a resource: what has its own treatment here, and what the deployed resource does not have."""


def made(filled: Filled) -> Resources:
    """The resources that would be made, by name, without anything that depends on how it is written."""
    found = {}
    for name, resource in filled.template["Resources"].items():
        properties = filled.resource(name)
        if properties is None:
            continue
        others = {key: value for key, value in resource.items() if key not in NOT_COMPARED}
        after = resource.get("DependsOn", [])
        found[name] = others | {
            "Properties": plain(properties),
            "DependsOn": [after] if isinstance(after, str) else after,
        }
    return found


def plain(node: Any, key: str = "") -> Any:
    """Numbers as CloudFormation takes them, as texts; the body of a dashboard as what it means."""
    if key == "DashboardBody":
        return plain(json.loads(node))
    if isinstance(node, dict):
        return {name: plain(value, name) for name, value in node.items()}
    if isinstance(node, list):
        return [plain(value) for value in node]
    is_number = isinstance(node, int) and not isinstance(node, bool)
    return str(node) if is_number else node


def differences(left: Any, right: Any, path: str = "") -> Iterator[str]:
    """Where the two differ, as deep as they have the same shape: `Name.Properties.Tags`."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key in sorted(left.keys() | right.keys()):
            inside = f"{path}.{key}".removeprefix(".")
            if key in left and key in right:
                yield from differences(left[key], right[key], inside)
            else:
                yield inside
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for index, (one, other) in enumerate(zip(left, right)):
            yield from differences(one, other, f"{path}.{index}")
    elif left != right:
        yield path


def is_among(difference: str, known: Iterable[str]) -> bool:
    """Whether it is one of the known ones, or inside of one."""
    return any(f"{difference}.".startswith(f"{one}.") for one in known)


def leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value that holds no others."""
    if isinstance(node, (dict, list)) and node:
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(value, (*path, key))
    else:
        yield path


def pattern(parameter: dict[str, Any]) -> str:
    """What a parameter's value must be, or each of its list: an empty list is a list elsewhere."""
    allowed = str(parameter["AllowedPattern"])
    if parameter["Type"] != "CommaDelimitedList":
        return allowed
    each = re.fullmatch(r"\((.*)\)\?", allowed)
    return each[1] if each else allowed.removeprefix("none|")
