"""`template.yaml` as data: the short forms of CloudFormation's functions become the long ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"


class Reader(yaml.SafeLoader):
    """YAML, and `!Sub` and its like."""


def long_form(loader: Reader, name: str, node: yaml.Node) -> dict[str, Any]:
    """`!GetAtt A.B` as `{"Fn::GetAtt": ["A", "B"]}`."""
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if name == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}


Reader.add_multi_constructor("!", long_form)


def read_template(path: Path = TEMPLATE) -> dict[str, Any]:
    """The template, every function in its long form."""
    return yaml.load(path.read_text(), Reader)


def resources(template: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """The resources of a type, by their names in the template."""
    found = template["Resources"].items()
    return {name: resource for name, resource in found if resource["Type"] == kind}


def documented_metrics() -> dict[str, str]:
    """Units by metric, as the tables of docs/result.md have them."""
    page = (ROOT / "docs" / "result.md").read_text()
    metrics = page.split("\n## Metrics\n")[1]
    return dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", metrics, re.MULTILINE))
