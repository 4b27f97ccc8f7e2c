"""What the function's role allows: the managed policies of `template.yaml`, filled in."""

from __future__ import annotations

import json
from typing import Any

from filled import PSEUDO, Filled
from template import ROOT

FILE = ROOT / "docs" / "policy.json"

ASKED_FOR = {
    "DiscoverQueues": "yes",
    "OwnScheduler": "yes",
    "DrainOnSpotInterruption": "yes",
    "DrainOnRebalance": "yes",
    "DrainOnTermination": "yes",
    "StopTasksOnDrain": "yes",
    "Tracing": "Active",
}
"""Parameters that a policy does not hold, but depends on; as they allow most."""

HELD = [
    "QueueArns",
    "ClusterArns",
    "TaskDefinitionArns",
    "PassedRoleArns",
    "VolumeRoleArns",
    "ConfigArn",
    "KmsKeyArn",
]
"""Parameters whose values stand in a policy."""

SWITCHES = {
    "`Registration=off`": {"Registration": "off"},
    "no `DiscoverQueues`": {"DiscoverQueues": "no"},
    "no `OwnScheduler` and no `DrainOn...`": {
        name: "no" for name in ASKED_FOR if name == "OwnScheduler" or name.startswith("DrainOn")
    },
    "no `DrainOnTermination`": {"DrainOnTermination": "no"},
    "no `StopTasksOnDrain`": {"StopTasksOnDrain": "no"},
    "no `ConfigArn`": {"ConfigArn": ""},
    "`PassedRoleArns=none`": {"PassedRoleArns": "none"},
    "no `VolumeRoleArns`": {"VolumeRoleArns": ""},
    "no `KmsKeyArn`": {"KmsKeyArn": ""},
    "`Tracing=PassThrough`": {"Tracing": "PassThrough"},
    "no `VpcSubnetIds`": {"VpcSubnetIds": ""},
}
"""What each statement that may be missing depends on, as a person would say it."""

PLACEHOLDERS = {name: f"${{{name}}}" for name in HELD}
EVERYTHING = PLACEHOLDERS | ASKED_FOR | {"VpcSubnetIds": "subnet-12345678"}


def policies(filled: Filled) -> dict[str, dict[str, Any]]:
    """The policies of the function's role, by their names in the template."""
    role = filled.resource("ScalerRole")
    assert role is not None and "Policies" not in role
    names = [reference.strip("${}") for reference in role["ManagedPolicyArns"]]
    found = {name: filled.resource(name) for name in names}
    return {name: policy["PolicyDocument"] for name, policy in found.items() if policy is not None}


def statements(filled: Filled) -> list[dict[str, Any]]:
    return [one for policy in policies(filled).values() for one in policy["Statement"]]


def allowed_actions(template: dict[str, Any]) -> set[str]:
    """What the function's role can allow, whatever the template's parameters say."""
    allows = [one["Action"] for one in alone(template)["Statement"] if one["Effect"] == "Allow"]
    return {name for a in allows for name in ([a] if isinstance(a, str) else a)}


def size(policy: dict[str, Any]) -> int:
    """Characters as IAM counts them: white space is free."""
    return len(json.dumps(policy, separators=(",", ":")))


def alone(template: dict[str, Any]) -> dict[str, Any]:
    """All that the role can allow, as one policy with placeholders."""
    pseudo = {name: f"${{{name}}}" for name in PSEUDO}
    filled = Filled(template, EVERYTHING, pseudo)
    return {"Version": "2012-10-17", "Statement": statements(filled)}


def optional(template: dict[str, Any]) -> dict[str, list[str]]:
    """Which statements go, by what is not used."""

    def sids(values: dict[str, str]) -> list[str]:
        return [one["Sid"] for one in statements(Filled(template, EVERYTHING | values))]

    everything = sids({})
    return {
        words: [sid for sid in everything if sid not in sids(values)]
        for words, values in SWITCHES.items()
    }


def written(template: dict[str, Any]) -> str:
    return json.dumps(alone(template), indent=2) + "\n"
