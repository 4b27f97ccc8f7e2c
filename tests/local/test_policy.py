"""The function's role fits into IAM's limits, however it is narrowed, and stands alone as a document."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from filled import Filled, refused_by
from parameters import PAGE
from policy import ASKED_FOR, FILE, SWITCHES, alone, optional, policies, size, statements, written
from template import read_template, resources

TEMPLATE = read_template()
LONGEST_POLICY = 6144
"""Characters of a managed policy, without white space. Source: IAM and STS quotas."""
MOST_POLICIES = 10
"""Managed policies of a role, before somebody asks for more. Source: the same."""
PARAMETER_BYTES = 4096
"""Source: CloudFormation quotas."""

ACCOUNT = "eu-central-1:123456789012"
NARROWED = {
    "QueueArns": f"arn:aws:sqs:{ACCOUNT}:",
    "TaskDefinitionArns": f"arn:aws:ecs:{ACCOUNT}:task-definition/",
    "PassedRoleArns": "arn:aws:iam::123456789012:role/",
    "VolumeRoleArns": "arn:aws:iam::123456789012:role/",
}
"""What a careful team narrows, and how each of these ARNs begins."""
LARGE = ASKED_FOR | {
    "ConfigArn": f"arn:aws:ssm:{ACCOUNT}:parameter/{'jobs' * 20}",
    "KmsKeyArn": f"arn:aws:kms:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "VpcSubnetIds": "subnet-12345678",
    "VpcSecurityGroupIds": "sg-12345678",
}
"""With everything else that makes a role longer."""


def longest_name(parameter: str, workers: int) -> int:
    """How long names may be where each worker has one in the parameter."""
    return (PARAMETER_BYTES + 1) // workers - len(NARROWED[parameter]) - len(",")


def by_name(workers: int) -> dict[str, str]:
    """Each list as full as its parameter allows."""

    def names(parameter: str) -> list[str]:
        longest = longest_name(parameter, workers)
        return [NARROWED[parameter] + f"{n:02}".ljust(longest, "x") for n in range(workers)]

    return {parameter: ",".join(names(parameter)) for parameter in NARROWED}


def clusters(count: int) -> str:
    return ",".join(f"arn:aws:ecs:{ACCOUNT}:cluster/production-jobs-{n:02}" for n in range(count))


def sizes(values: dict[str, str]) -> dict[str, int]:
    for name, value in values.items():
        assert not refused_by(TEMPLATE["Parameters"][name], value), name
    return {name: size(policy) for name, policy in policies(Filled(TEMPLATE, values)).items()}


@pytest.mark.parametrize("of_clusters", [1, 12])
def test_fifty_workers_by_name_fit(of_clusters: int) -> None:
    found = sizes(LARGE | by_name(50) | {"ClusterArns": clusters(of_clusters)})
    assert max(found.values()) <= LONGEST_POLICY, found
    assert len(found) <= MOST_POLICIES
    assert sum(found.values()) > 10_240, "one policy within the role would have to do otherwise"


def test_two_hundred_workers_by_prefix_path_and_tag_are_no_longer_than_one() -> None:
    shared = {
        "QueueArns": f"{NARROWED['QueueArns']}jobs-*",
        "TaskDefinitionArns": f"{NARROWED['TaskDefinitionArns']}jobs-*",
        "PassedRoleArns": f"{NARROWED['PassedRoleArns']}jobs/*",
        "VolumeRoleArns": f"{NARROWED['VolumeRoleArns']}volumes/*",
        "ClusterArns": clusters(1),
    }
    found = sizes(LARGE | shared)
    assert max(found.values()) < LONGEST_POLICY / 3, found
    allowed = [one for one in statements(Filled(TEMPLATE, shared)) if one["Sid"] == "PassRoles"]
    assert [one["Resource"] for one in allowed] == [[f"{NARROWED['PassedRoleArns']}jobs/*"]]


def test_the_page_says_from_where_on_names_do_not_fit() -> None:
    page = " ".join(PAGE.read_text().split())
    for name in ("QueueArns", "TaskDefinitionArns", "PassedRoleArns"):
        assert f"| `{name}` | {longest_name(name, 50)} |" in page, name
    too_long = by_name(50)["QueueArns"].replace("x,", "xx,")
    assert refused_by(TEMPLATE["Parameters"]["QueueArns"], too_long)


def test_one_policy_for_everything_would_not_fit() -> None:
    """What the split is for: without it this file tests nothing."""
    values = LARGE | by_name(50) | {"ClusterArns": clusters(1)}
    whole = {"Version": "2012-10-17", "Statement": statements(Filled(TEMPLATE, values))}
    assert size(whole) > LONGEST_POLICY


def test_the_policy_that_stands_alone_is_fresh_and_whole() -> None:
    assert FILE.read_text() == written(TEMPLATE), "run `make docs`"
    document = json.loads(FILE.read_text())
    sids = [one["Sid"] for one in document["Statement"]]
    assert len(set(sids)) == len(sids)

    def actions(part: Any) -> set[str]:
        return set(re.findall(r'"[a-z0-9]+:[A-Z]\w+"', json.dumps(part)))

    assert actions(document) == actions(resources(TEMPLATE, "AWS::IAM::ManagedPolicy"))


def test_every_placeholder_is_a_parameter_or_something_that_the_page_explains() -> None:
    text = json.dumps(alone(TEMPLATE))
    names = {part.split("}")[0] for part in text.split("${")[1:]}
    explained = {name for name in names if f"`${{{name}}}`" in PAGE.read_text()}
    assert names <= explained | set(TEMPLATE["Parameters"]), names - explained


def test_every_statement_that_may_be_missing_is_in_the_table() -> None:
    gone = optional(TEMPLATE)
    assert all(gone.values()), gone
    least = Filled(TEMPLATE, {"PassedRoleArns": "none", "Registration": "off"})
    always = {one["Sid"] for one in statements(least)}
    may_be_missing = {one["Sid"] for one in alone(TEMPLATE)["Statement"]} - always
    assert {sid for sids in gone.values() for sid in sids} == may_be_missing
    for words in SWITCHES:
        assert f"| {words} | " in PAGE.read_text(), words
